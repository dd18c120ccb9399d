"""The report as one HTML page that needs nothing else, under a policy that lets it load nothing and run nothing.

Here are the page's rows and words; the template ``page.html`` makes HTML of them, and escapes every one. The only style
allowed is the page's own, named by its hash; there is no script. Tables become lists where there is no room for columns.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

from workspaces_apps._base import VERSION
from workspaces_apps.rollout._log.events import Ending
from workspaces_apps.rollout._log.projections import Outcome
from workspaces_apps.rollout.report import _charts, _sections
from workspaces_apps.rollout.report._model import GRAVEST_FIRST, OUTCOMES, Moment, Workspace
from workspaces_apps.rollout.report._report import Report
from workspaces_apps.rollout.report._sections import WORDS, Section
from workspaces_apps.rollout.report._text import clock_time, count, length, one_line

ROWS: Final = 300
"""Rows of a table at most."""

TIMELINES: Final = 40
MOMENTS: Final = 80

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
    """Render the report as an HTML page."""
    more = len(report.workspaces) - TIMELINES
    return _template().render(
        title=_sections.title(report),
        headline=_sections.headline(report),
        look=_LOOKS["incomplete"] if _sections.reservation(report) else _LOOKS[report.ending],
        facts=_facts(report),
        tiles=list(_tiles(report)),
        plots=[_charts.progress(report), _charts.traffic(report)],
        columns=[[_charts.states(report), _charts.failures(report)], [_charts.slowest(report)]],
        tables=[
            _sections.licences(report),
            _sections.unmatched(report),
            _sections.reasons(report, ROWS),
            _sections.troubled(report, ROWS),
            _sections.targets(report, ROWS),
            _sections.waves(report, ROWS),
            _sections.runs(report, ROWS),
        ],
        timelines=list(_timelines(report)),
        timelines_note=f"And {count(more, 'more WorkSpace')}: the JSON form has all." if more > 0 else "",
    )


@cache
def _template() -> Template:
    """Compile the template, with what is the same on every page."""
    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["one_line"] = one_line
    style = _text("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    same = {"digest": digest, "style": style, "version": VERSION}
    return environment.get_template("page.html", globals=same)


def _text(name: str) -> str:
    return files("workspaces_apps.rollout.report").joinpath(name).read_text(encoding="utf-8")


def _shown(value: object) -> object:
    """Write a number in as few digits as tell it to two places, and a text that is no markup in one harmless line."""
    if isinstance(value, float):
        return _charts.number(value)
    return one_line(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _facts(report: Report) -> dict[str, str]:
    return {
        "Began": clock_time(report.began),
        "Ended" if report.ending is not None else "Last event": clock_time(report.ended),
        "Time of work": length(report.seconds),
        "WorkSpaces": f"{len(report.workspaces):,}",
        "Changes": f"{_sections.changes_of(report.counts):,}",
        "Runs": f"{len(report.runs):,}",
        "Calls": f"{report.calls:,}" if report.calls is not None else "",
        "Throttled": f"{report.throttled:,}" if report.throttled is not None else "",
        "Plan": report.runs[-1].plan if report.runs else "",
    }


def _tiles(report: Report) -> Iterator[tuple[Outcome, str, str, str]]:
    for one in OUTCOMES:
        if report.counts[one] or one in ("succeeded", "failed"):
            yield one, f"{report.counts[one]:,}", WORDS[one].lower(), _sections.meaning(report, one)


def _timelines(report: Report) -> Iterator[dict[str, object]]:
    order = {outcome: place for place, outcome in enumerate(GRAVEST_FIRST)}
    ranked = sorted(report.workspaces, key=lambda one: (order[one.outcome], -(one.seconds or 0.0)))
    names = {
        change.application_id: change.application
        for change in report.changes
        if change.application is not None
    }
    several = _sections.has_targets(report)
    for one in ranked[:TIMELINES]:
        yield {
            "place": _sections.place(one, several=several),
            "user": one.user_name,
            "outcome": one.outcome,
            "words": WORDS[one.outcome].lower(),
            "took": _sections.took(one) if one.seconds is not None else None,
            "moments": _moments(one, names),
        }


def _moments(one: Workspace, names: Mapping[str | None, str]) -> Section:
    shown = one.timeline[-MOMENTS:]
    left_out = len(one.timeline) - len(shown)
    return Section(
        title="Timeline",
        columns=("Time", "What", "Application", "Words"),
        rows=tuple(_cells(moment, names) for moment in shown),
        note=f"{count(left_out, 'earlier event')} left out." if left_out else "",
    )


def _cells(moment: Moment, names: Mapping[str | None, str]) -> tuple[str, ...]:
    what = " ".join(part for part in (_KINDS.get(moment.kind, moment.kind), moment.what) if part)
    request = f"request {moment.request_id}" if moment.request_id else None
    words = "; ".join(part for part in (moment.message, request) if part)
    application = names.get(moment.application_id) or moment.application_id or ""
    return clock_time(moment.at).removesuffix(" UTC"), what, application, words
