"""The report as one HTML page that needs nothing else, under a policy that lets it load nothing and run nothing.

HTML and SVG are escaped unless they were made here: a text becomes markup only through `element`, and whatever came from
the service or the manifest goes through `foreign`. The only style allowed is the page's own, named by its hash; there is no
script.

Tables become lists where there is no room for columns. Charts are inline SVG, readable at any width: text keeps its size
because only the drawing inside is stretched; positions along the width are percentages, and areas are drawn in a nested SVG
whose box is 1000 by 100.
"""

from __future__ import annotations

import base64
import hashlib
import html
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

from workspaces_apps._base import VERSION
from workspaces_apps.rollout._log.events import Ending
from workspaces_apps.rollout._log.projections import Outcome
from workspaces_apps.rollout.report import _sections
from workspaces_apps.rollout.report._model import (
    GRAVEST_FIRST,
    OUTCOMES,
    Counts,
    Moment,
    ProgressPoint,
    ReasonCount,
    TrafficPoint,
    Workspace,
)
from workspaces_apps.rollout.report._report import Report
from workspaces_apps.rollout.report._sections import WORDS, Section
from workspaces_apps.rollout.report._text import clock_time, count, length, one_line

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
    title = _sections.title(report)
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
    yield _table(_sections.licences(report))
    yield _table(_sections.unmatched(report))
    yield _table(_sections.reasons(report, ROWS))
    yield _table(_sections.troubled(report, ROWS))
    yield _table(_sections.targets(report, ROWS))
    yield _table(_sections.waves(report, ROWS))
    yield _table(_sections.runs(report, ROWS))
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
        "Changes": f"{_sections.changes_of(report.counts):,}",
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
        element("h1", foreign(_sections.title(report), 200)),
        element("p", foreign(_sections.headline(report), 600), class_=f"headline {_look(report)}"),
        element("dl", *pairs, class_="facts"),
    )


def _look(report: Report) -> str:
    return _LOOKS["incomplete"] if _sections.reservation(report) else _LOOKS[report.ending]


def _tiles(report: Report) -> Markup:
    shown: list[Outcome] = [one for one in OUTCOMES if report.counts[one] or one in ("succeeded", "failed")]
    tiles = [
        element(
            "li",
            element("strong", f"{report.counts[one]:,}"),
            element("span", dot(one), WORDS[one].lower()),
            title=_sections.meaning(report, one),
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
    several = _sections.has_targets(report)
    rows = [
        element(
            "li",
            _row(
                group(
                    foreign(_sections.place(one, several=several), 80),
                    Markup(" ") if one.user_name else None,
                    element("span", foreign(one.user_name, 40), class_="small") if one.user_name else None,
                ),
                _sections.took(one),
            ),
            bar(
                [Part((one.seconds or 0.0) / longest, _sections.timed(one))],
                f"{_sections.took(one)}, {WORDS[_sections.timed(one)].lower()}",
            ),
        )
        for one in shown
    ]
    seen = {_sections.timed(one) for one in shown}
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
    several = _sections.has_targets(report)
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
        foreign(_sections.place(one, several=several), 120),
        who,
        element("span", dot(one.outcome), WORDS[one.outcome].lower()),
        element("span", _sections.took(one)) if one.seconds is not None else None,
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


CELL: Final = 300
"""Characters at most of a text in a cell."""

OPEN_ROWS: Final = 15


def grid(section: Section) -> Markup:
    """The table with its note; of a long one all but the first `OPEN_ROWS` are folded away."""
    note = element("p", section.note, class_="note") if section.note else None
    if len(section.rows) <= OPEN_ROWS + 5:
        return group(rows(section), note)
    folded = f"{len(section.rows) - OPEN_ROWS:,} more rows"
    return group(
        rows(section, 0, OPEN_ROWS),
        element("details", element("summary", folded), rows(section, OPEN_ROWS, None)),
        note,
    )


def rows(section: Section, first: int = 0, last: int | None = None) -> Markup:
    """The table with its rows from `first` up to `last`."""
    # The roles are said again because a table whose parts are laid out as blocks loses them in some browsers.
    heads = [
        element("th", name, scope="col", role="columnheader", class_=_align(section, place))
        for place, name in enumerate(section.columns)
    ]
    outcomes: Sequence[Outcome | None] = section.outcomes or [None] * len(section.rows)
    lines = [
        element("tr", *_row_cells(section, row, outcome), role="row")
        for row, outcome in zip(section.rows[first:last], outcomes[first:last], strict=True)
    ]
    return element(
        "table",
        element("caption", section.title, class_="away"),
        element("thead", element("tr", *heads, role="row"), role="rowgroup"),
        element("tbody", *lines, role="rowgroup"),
        role="table",
    )


def _row_cells(section: Section, row: Sequence[str], outcome: Outcome | None) -> Iterable[Markup]:
    for place, (name, cell) in enumerate(zip(section.columns, row, strict=True)):
        spot = dot(outcome) if outcome is not None and name == "Outcome" else None
        kind = "kind" if spot is not None else None
        inside = element("span", spot, foreign(cell, CELL), class_=kind) if cell else Markup()
        if place == 0:
            yield element("th", inside, scope="row", role="rowheader", class_=_align(section, place))
        else:
            yield element("td", inside, role="cell", data_label=name, class_=_align(section, place))


def _align(section: Section, place: int) -> str | None:
    return "num" if place in section.numeric else None


def dot(kind: str) -> Markup:
    """A spot in the colour of an outcome, or of another kind of what charts draw."""
    return element("span", class_=f"dot fill-{kind}", aria_hidden="true")


_VOID: Final = frozenset({"meta", "link", "br"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """An element.

    Args:
        name: Its name, a literal.
        children: What is in it: `Markup` as it is, any other text escaped; None is nothing.
        attributes: Its attributes; an underscore at the end of a name is dropped, one within it is a hyphen. None
            leaves the attribute out. A number is written in as few digits as tell it to two places.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    inside = "".join(
        child if isinstance(child, Markup) else html.escape(child, quote=True)
        for child in children
        if child is not None
    )
    return Markup(f"<{name}{given}>{inside}</{name}>")


def group(*parts: str | None) -> Markup:
    """Several parts after each other."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(part) for part in parts if part))


def foreign(text: str, limit: int) -> Markup:
    """A text from elsewhere: in one harmless line, cut, escaped, and in a direction of its own."""
    line = one_line(text, limit)
    return element("bdi", line) if line else Markup()


def number(value: float) -> str:
    """A number in as few digits as tell it to two places."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


def _value(value: str | float) -> str:
    return html.escape(value, quote=True) if isinstance(value, str) else number(value)


STACKED: Final[tuple[Outcome, ...]] = ("succeeded", "failed", "skipped", "in-progress", "waiting")
"""From the ground up: what the chart of progress shows."""

_TOP: Final = 18.0
_BELOW: Final = 30.0
_BUCKETS: Final = 60

_STEPS: Final = tuple(
    float(seconds)
    for seconds in (
        *(1, 2, 5, 10, 15, 30),
        *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
        *(3600 * hours for hours in (1, 2, 3, 6, 12)),
        *(86400 * days for days in (1, 2, 7, 14, 30, 90, 365)),
    )
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a bar.

    Attributes:
        share: How long it is, from 0 to 1 of the whole width.
        kind: The class that gives it its colour.
    """

    share: float
    kind: str


def bar(parts: Sequence[Part], title: str) -> Markup:
    """A bar of one or several parts, as wide as there is room.

    Args:
        parts: From the left; the shares add up to at most 1.
        title: What it says, in words.
    """
    drawn: list[Markup] = []
    start = 0.0
    for part in parts:
        drawn.append(
            element(
                "rect",
                x=_percent(start),
                width=_percent(part.share),
                height="100%",
                class_=f"fill-{part.kind}",
            )
        )
        start += part.share
    back = element("rect", width="100%", height="100%", class_="track")
    return element("svg", element("title", title), back, *drawn, class_="bar", role="img")


def progress_chart(points: Sequence[ProgressPoint], marks: Sequence[float], description: str) -> Markup:
    """Draw the number of changes by outcome, stacked, over time.

    Args:
        points: At least one.
        marks: Where runs began, in seconds.
        description: What it shows, in words.
    """
    span = points[-1].seconds or 1.0
    most = max(1, *(sum(point.counts[kind] for kind in STACKED) for point in points))
    lower = [0] * len(points)
    areas: list[Markup] = []
    for kind in STACKED:
        upper = [low + point.counts[kind] for low, point in zip(lower, points, strict=True)]
        if upper != lower:
            path = _area([point.seconds / span * 1000 for point in points], lower, upper, most)
            areas.append(element("path", d=path, class_=f"fill-{kind} area"))
        lower = upper
    return _plot(
        "progress",
        "Progress over time",
        description,
        group(*areas),
        tall=210.0,
        most=most,
        span=span,
        marks=marks,
    )


def traffic_chart(
    points: Sequence[TrafficPoint], seconds: float, marks: Sequence[float], description: str
) -> Markup:
    """Requests a minute, with those that were throttled in front, over time.

    Args:
        points: At least two.
        seconds: How long the work took in all.
        marks: Where runs began, in seconds.
        description: What it shows, in words.
    """
    span = seconds or 1.0
    buckets = list(rates(points, span, _BUCKETS))
    most = max(1.0, *(calls for calls, _ in buckets))
    width = 1000 / _BUCKETS
    columns: list[Markup] = []
    for place, (calls, throttled) in enumerate(buckets):
        for value, kind in ((calls, "calls"), (throttled, "throttled")):
            if value > 0:
                tall = 100 * value / most
                columns.append(
                    element(
                        "rect",
                        x=place * width + width * 0.1,
                        y=100 - tall,
                        width=width * 0.8,
                        height=tall,
                        class_=f"fill-{kind}",
                    )
                )
    return _plot(
        "traffic",
        "Calls and throttles",
        description,
        group(*columns),
        tall=120.0,
        most=most,
        span=span,
        marks=marks,
    )


def rates(points: Sequence[TrafficPoint], span: float, buckets: int) -> Iterator[tuple[float, float]]:
    """Calls and throttles a minute in each of so many equal parts of the time; evenly spread between two points."""
    calls, throttled = [0.0] * buckets, [0.0] * buckets
    width = span / buckets
    for before, after in pairwise(points):
        first, last = before.seconds / width, after.seconds / width
        more = after.calls - before.calls, after.throttled - before.throttled
        for place in range(min(int(first), buckets - 1), min(int(last), buckets - 1) + 1):
            end = last if place == buckets - 1 else min(last, place + 1.0)
            share = (end - max(first, float(place))) / (last - first) if last > first else 1.0
            calls[place] += more[0] * share
            throttled[place] += more[1] * share
    minutes = width / 60
    return ((one / minutes, other / minutes) for one, other in zip(calls, throttled, strict=True))


def _plot(
    name: str,
    title: str,
    description: str,
    drawing: Markup,
    *,
    tall: float,
    most: float,
    span: float,
    marks: Sequence[float],
) -> Markup:
    ground = _TOP + tall
    inner = element(
        "svg",
        drawing,
        y=_TOP,
        width="100%",
        height=tall,
        viewBox="0 0 1000 100",
        preserveAspectRatio="none",
    )
    grid: list[Markup] = []
    labels: list[Markup] = []
    for value in _ticks(most):
        y = ground - tall * value / most
        grid.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        if value:
            labels.append(element("text", _short(value), x="2", y=y - 4, class_="halo"))
    for second in _times(span):
        share = second / span
        anchor = "start" if share < 0.06 else "end" if share > 0.94 else "middle"
        labels.append(element("text", _moment(second), x=_percent(share), y=ground + 20, text_anchor=anchor))
        grid.append(
            element("line", x1=_percent(share), x2=_percent(share), y1=ground, y2=ground + 5, class_="tick")
        )
    for mark in marks:
        place = _percent(mark / span)
        grid.append(element("line", x1=place, x2=place, y1="0", y2=ground, class_="mark"))
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        inner,
        *grid,
        *labels,
        class_="plot",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        height=ground + _BELOW,
    )


def _area(across: Sequence[float], lower: Sequence[int], upper: Sequence[int], most: int) -> str:
    def edge(places: Sequence[float], heights: Sequence[int]) -> Iterator[str]:
        for place, (x, height) in enumerate(zip(places, heights, strict=True)):
            around = heights[max(0, place - 1) : place + 2]
            if 0 < place < len(places) - 1 and min(around) == max(around):
                continue
            yield f"{number(x)},{number(100 - 100 * height / most)}"

    there = edge(across, upper)
    back = edge(across[::-1], lower[::-1])
    return f"M{' '.join(there)} {' '.join(back)}Z"


def _ticks(most: float) -> list[float]:
    rough = most / 4
    power = 10 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    step = max(1.0, step)
    return [step * place for place in range(int(most / step) + 1)]


def _times(span: float) -> list[float]:
    step = next((step for step in _STEPS if span / step <= 4), span / 4)
    return [step * place for place in range(int(span / step) + 1)]


def _moment(seconds: float) -> str:
    """A length of time without the parts that are nothing."""
    return re.sub(r"(?<=\w) 00 \w+$", "", length(seconds))


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1e3:g} k" if value >= 1e4 else f"{value:,.0f}"


def _percent(share: float) -> str:
    return f"{number(min(1.0, max(0.0, share)) * 100)}%"
