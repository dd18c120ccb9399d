"""The report as one HTML page that needs nothing else, under a policy that lets it load nothing and run nothing.

Whatever came from the service or the manifest goes through `markup.foreign`. The only style allowed is the page's
own, named by its hash; there is no script.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from workspaces_apps._base import VERSION
from workspaces_apps.rollout._log.events import Ending
from workspaces_apps.rollout._log.summary import Outcome
from workspaces_apps.rollout.report._model import (
    GRAVEST_FIRST,
    OUTCOMES,
    Counts,
    Moment,
    ReasonCount,
    Workspace,
)
from workspaces_apps.rollout.report._render import sections
from workspaces_apps.rollout.report._render.charts import STACKED, Part, bar, progress_chart, traffic_chart
from workspaces_apps.rollout.report._render.html_tables import CELL, dot, grid, rows
from workspaces_apps.rollout.report._render.markup import Markup, element, foreign, group
from workspaces_apps.rollout.report._render.sections import WORDS, Section
from workspaces_apps.rollout.report._render.text import clock_time, count, length, one_line
from workspaces_apps.rollout.report._report import Report

ROWS: Final = 300
"""Rows of a table at most."""

TIMELINES: Final = 40
MOMENTS: Final = 80
BARS: Final = 10

_LOOKS: Final[Mapping[Ending | None, str]] = {
    "complete": "is-good",
    "incomplete": "is-fair",
    "drained": "is-fair",
    "stopped": "is-fair",
    "budget-spent": "is-bad",
    "credentials": "is-bad",
    "dry-run": "is-open",
    None: "is-open",
}

_KINDS: Final[Mapping[str, str]] = {
    "planned": "Planned",
    "noticed": "Notice given",
    "intent": "Announced",
    "staged": "Staged",
    "deployed": "Deploy taken",
    "changed": "Seen as",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "skipped": "Skipped",
}


def page(report: Report) -> str:
    """The report as an HTML page."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = sections.title(report)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="robots", content="noindex"),
        element("title", one_line(title, CELL)),
        element("style", Markup(style)),
    )
    body = element("body", element("main", *_parts(report)))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


@cache
def _style() -> str:
    return (
        files("workspaces_apps.rollout.report")
        .joinpath("page.css")
        .read_text(encoding="utf-8")
        .replace("\r\n", "\n")
    )


def _parts(report: Report) -> Iterable[Markup | None]:
    yield _header(report)
    yield _tiles(report)
    yield _progress(report)
    yield _traffic(report)
    yield element(
        "div",
        element("div", _states(report), _failures(report)),
        element("div", _slowest(report)),
        class_="grid2",
    )
    yield _table(sections.licences(report))
    yield _table(sections.unmatched(report))
    yield _table(sections.reasons(report, ROWS))
    yield _table(sections.troubled(report, ROWS))
    yield _table(sections.targets(report, ROWS))
    yield _table(sections.waves(report, ROWS))
    yield _table(sections.runs(report, ROWS))
    yield _timelines(report)
    yield element(
        "footer",
        element(
            "p",
            f"Made by workspaces-apps {VERSION}. Times are UTC; time is time spent in runs.",
            class_="note",
        ),
    )


def _header(report: Report) -> Markup:
    last = report.runs[-1] if report.runs else None
    facts = {
        "Began": clock_time(report.began),
        "Ended" if report.ending is not None else "Last event": clock_time(report.ended),
        "Time of work": length(report.seconds),
        "WorkSpaces": f"{len(report.workspaces):,}",
        "Changes": f"{sections.changes_of(report.counts):,}",
        "Runs": f"{len(report.runs):,}",
        "Calls": f"{report.calls:,}" if report.calls is not None else "",
        "Throttled": f"{report.throttled:,}" if report.throttled is not None else "",
        "Plan": last.plan if last is not None else "",
    }
    pairs = [
        element("div", element("dt", name), element("dd", foreign(value, 80)))
        for name, value in facts.items()
        if value
    ]
    return element(
        "header",
        element("h1", foreign(sections.title(report), 200)),
        element("p", foreign(sections.headline(report), 600), class_=f"headline {_look(report)}"),
        element("dl", *pairs, class_="facts"),
    )


def _look(report: Report) -> str:
    return _LOOKS["incomplete"] if sections.reservation(report) else _LOOKS[report.ending]


def _tiles(report: Report) -> Markup:
    shown: list[Outcome] = [one for one in OUTCOMES if report.counts[one] or one in ("succeeded", "failed")]
    tiles = [
        element(
            "li",
            element("strong", f"{report.counts[one]:,}"),
            element("span", dot(one), WORDS[one].lower()),
            title=sections.meaning(report, one),
        )
        for one in shown
    ]
    return element("ul", *tiles, class_="tiles", aria_label="Applications on WorkSpaces by outcome")


def _progress(report: Report) -> Markup | None:
    if report.seconds <= 0 or not any(report.counts[kind] for kind in STACKED):
        return None
    words = ", ".join(f"{report.counts[one]:,} {WORDS[one].lower()}" for one in STACKED if report.counts[one])
    chart = progress_chart(
        report.progress,
        [run.offset for run in report.runs[1:]],
        f"Changes by outcome, stacked, over {length(report.seconds)} of work. At the end: {words}.",
    )
    marks = element("p", "Dashed lines: another run began.", class_="note") if len(report.runs) > 1 else None
    present: list[Outcome] = [one for one in STACKED if any(point.counts[one] for point in report.progress)]
    legend = _legend([(one, WORDS[one]) for one in reversed(present)])
    return _card("Progress over time", element("p", "Changes", class_="away"), legend, chart, marks)


def _states(report: Report) -> Markup | None:
    if not report.total:
        return None
    rows = [_stack("All applications", report.counts, f"{report.total:,}")]
    if len(report.applications) > 1:
        rows += [
            _stack(
                one.application or one.application_id or "",
                one.counts,
                count(sum(one.counts.values()), "WorkSpace"),
            )
            for one in report.applications[:BARS]
        ]
    more = len(report.applications) - BARS
    note = element("p", f"And {count(more, 'more application')}.", class_="note") if more > 0 else None
    shown = [(one, f"{WORDS[one]} {report.counts[one]:,}") for one in OUTCOMES if report.counts[one]]
    return _card("States", _legend(shown), element("ol", *rows, class_="bars"), note)


def _stack(name: str, counts: Counts, figure: str) -> Markup:
    total = sum(counts.values())
    words = ", ".join(f"{WORDS[one].lower()} {counts[one]:,}" for one in OUTCOMES if counts[one])
    parts = [Part(counts[one] / total, one) for one in OUTCOMES if counts[one]]
    return element("li", _row(foreign(name, 80), figure), bar(parts, words))


def _failures(report: Report) -> Markup | None:
    shown = report.failures[:BARS]
    if not shown:
        return None
    most = max(1, *(one.changes + one.retried for one in shown))
    legend: list[tuple[str, str]] = [("failed", "Failed for good")]
    if any(one.retried for one in shown):
        legend.append(("retried", "Failed, and retried"))
    more = len(report.failures) - len(shown)
    note = element("p", f"And {count(more, 'more reason')}.", class_="note") if more > 0 else None
    rows = [_failure(one, most) for one in shown]
    return _card("Failures by reason", _legend(legend), element("ol", *rows, class_="bars"), note)


def _failure(one: ReasonCount, most: int) -> Markup:
    words = f"{one.changes:,} failed" + (f", {one.retried:,} retried" if one.retried else "")
    parts = [Part(one.changes / most, "failed"), Part(one.retried / most, "retried")]
    example = element("p", foreign(one.example, 140), class_="small") if one.example.strip() else None
    again = f"{one.retried:,} retried" if one.retried else ""
    figure = " + ".join(part for part in (f"{one.changes:,}" if one.changes else "", again) if part)
    return element(
        "li",
        _row(foreign(one.reason, 80), figure),
        bar([part for part in parts if part.share], words),
        example,
    )


def _slowest(report: Report) -> Markup | None:
    shown = [one for one in report.slowest(BARS) if one.seconds]
    if not shown:
        return None
    longest = max(one.seconds or 0.0 for one in shown)
    several = sections.has_targets(report)
    rows = [
        element(
            "li",
            _row(
                group(
                    foreign(sections.place(one, several=several), 80),
                    Markup(" ") if one.user_name else None,
                    element("span", foreign(one.user_name, 40), class_="small") if one.user_name else None,
                ),
                sections.took(one),
            ),
            bar(
                [Part((one.seconds or 0.0) / longest, sections.timed(one))],
                f"{sections.took(one)}, {WORDS[sections.timed(one)].lower()}",
            ),
        )
        for one in shown
    ]
    seen = {sections.timed(one) for one in shown}
    return _card(
        "Slowest WorkSpaces",
        _legend([(one, WORDS[one]) for one in OUTCOMES if one in seen]),
        element("ol", *rows, class_="bars"),
    )


def _traffic(report: Report) -> Markup | None:
    if report.calls is None or len(report.traffic) < 2 or report.seconds <= 0:
        return None
    chart = traffic_chart(
        report.traffic,
        report.seconds,
        [run.offset for run in report.runs[1:]],
        f"Requests a minute over {length(report.seconds)} of work: {report.calls:,} in all, "
        f"{report.throttled or 0:,} of them throttled.",
    )
    legend = _legend(
        [
            ("calls", f"Calls a minute ({report.calls:,} in all)"),
            ("throttled", f"Throttled ({report.throttled or 0:,})"),
        ]
    )
    return _card("Calls and throttles", legend, chart)


def _timelines(report: Report) -> Markup | None:
    order = {outcome: place for place, outcome in enumerate(GRAVEST_FIRST)}
    ranked = sorted(report.workspaces, key=lambda one: (order[one.outcome], -(one.seconds or 0.0)))
    shown = ranked[:TIMELINES]
    if not shown:
        return None
    names = {
        change.application_id: change.application
        for change in report.changes
        if change.application is not None
    }
    several = sections.has_targets(report)
    more = len(ranked) - len(shown)
    note = f"And {count(more, 'more WorkSpace')}: the JSON form has all." if more > 0 else None
    return _card(
        "Timelines",
        element("p", "What failed first, then what is unfinished, then the slowest.", class_="small"),
        *(_timeline(one, names, several=several) for one in shown),
        element("p", note, class_="note") if note else None,
    )


def _timeline(one: Workspace, names: Mapping[str | None, str | None], *, several: bool) -> Markup:
    who = element("span", foreign(one.user_name, 60)) if one.user_name else None
    summary = element(
        "summary",
        foreign(sections.place(one, several=several), 120),
        who,
        element("span", dot(one.outcome), WORDS[one.outcome].lower()),
        element("span", sections.took(one)) if one.seconds is not None else None,
    )
    moments = one.timeline[-MOMENTS:]
    left_out = len(one.timeline) - len(moments)
    section = Section(
        title="Timeline",
        columns=("Time", "What", "Application", "Words"),
        rows=tuple(_cells(moment, names) for moment in moments),
        note=f"{count(left_out, 'earlier event')} left out." if left_out else "",
    )
    note = element("p", section.note, class_="note") if section.note else None
    return element("details", summary, rows(section), note)


def _cells(moment: Moment, names: Mapping[str | None, str | None]) -> tuple[str, ...]:
    what = " ".join(part for part in (_KINDS.get(moment.kind, moment.kind), moment.what) if part)
    request = f"request {moment.request_id}" if moment.request_id else None
    words = "; ".join(part for part in (moment.message, request) if part)
    application = names.get(moment.application_id) or moment.application_id or ""
    return clock_time(moment.at).removesuffix(" UTC"), what, application, words


def _table(section: Section) -> Markup | None:
    return _card(section.title, grid(section)) if section.rows else None


def _card(title: str, *inside: Markup | None) -> Markup:
    return element("section", element("h2", title), *inside, class_="card")


def _row(label: Markup, figure: str) -> Markup:
    return element("div", element("span", label), element("span", figure), class_="row")


def _legend(entries: Sequence[tuple[str, str]]) -> Markup:
    return element("ul", *(element("li", dot(kind), words) for kind, words in entries), class_="legend")
