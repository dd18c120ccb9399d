"""The report as one HTML page that needs nothing else, under a policy that lets it load nothing and run nothing.

Here are the page's rows, words and charts; the template ``page.html`` makes HTML of them, and escapes every word. The only
style allowed is the page's own, named by its hash; there is no script. Tables become lists where there is no room for
columns. Charts are readable at any width: positions along it are percentages, areas and columns lie in a box of 1000 by
100, and text keeps its size.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template

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

BARS: Final = 10

STACKED: Final[tuple[Outcome, ...]] = ("succeeded", "failed", "skipped", "in-progress", "waiting")
"""From the ground up: what the chart of progress shows."""

_TOP: Final = 18.0
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

Kinds: TypeAlias = Sequence[tuple[str, str]]
"""Kinds, which give colours, each with its words or its outline."""

Columns: TypeAlias = Sequence[tuple[str, float, float, float]]
"""The kind of each, where it begins from the left, how wide and how tall it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawing over time.

    Attributes:
        name: The beginning of its ids.
        title: Its heading.
        unit: What is counted, for those who do not see the drawing.
        description: What it shows, in words.
        legend: The kinds in it.
        tall: How tall it is, without what stands above and below.
        areas: Kinds with their outlines.
        columns: Kinds that stand on the ground.
        levels: Lines across, with their labels.
        times: Moments along the ground, with their labels, and the side on which a label is fastened.
        marks: The moments at which runs began.
        note: What is said below.
    """

    name: str
    title: str
    unit: str = ""
    description: str
    legend: Kinds
    tall: float
    areas: Kinds = ()
    columns: Columns = ()
    levels: Sequence[tuple[float, str]]
    times: Sequence[tuple[float, str, str]]
    marks: Sequence[float]
    note: str = ""

    @property
    def ground(self) -> float:
        """The place of the ground, from the top."""
        return _TOP + self.tall


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar with its words.

    Attributes:
        label: What it is about.
        user: Whose that is.
        figure: Its length, as a number with its unit.
        parts: From the left: the kind of each, where it begins, and how long it is.
        words: What it says, in words.
        example: More about it.
    """

    label: str
    user: str = ""
    figure: str
    parts: Sequence[tuple[str, float, float]]
    words: str
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Bars that can be compared.

    Attributes:
        title: Their heading.
        legend: The kinds in them.
        bars: From the top.
        note: What is said below.
    """

    title: str
    legend: Kinds
    bars: Sequence[Bar]
    note: str = ""


def progress(report: Report) -> Plot | None:
    """Draw the number of changes by outcome, stacked, over time; None where nothing was to change."""
    shown: list[Outcome] = [one for one in STACKED if report.counts[one]]
    if report.seconds <= 0 or not shown:
        return None
    points = report.progress
    span = points[-1].seconds or 1.0
    most = max(1, *(sum(point.counts[kind] for kind in STACKED) for point in points))
    present: list[Outcome] = [one for one in STACKED if any(point.counts[one] for point in points)]
    words = ", ".join(f"{report.counts[one]:,} {WORDS[one].lower()}" for one in shown)
    return Plot(
        name="progress",
        title="Progress over time",
        unit="Changes",
        description=f"Changes by outcome, stacked, over {length(report.seconds)} of work. At the end: {words}.",
        legend=[(one, WORDS[one]) for one in reversed(present)],
        tall=210.0,
        areas=_areas(points, span, most),
        levels=_levels(210.0, most),
        times=_times(span),
        marks=_marks(report, span),
        note="Dashed lines: another run began." if len(report.runs) > 1 else "",
    )


def traffic(report: Report) -> Plot | None:
    """Draw requests a minute, with those that were throttled in front, over time; None where no run told."""
    if report.calls is None or len(report.traffic) < 2 or report.seconds <= 0:
        return None
    buckets = list(rates(report.traffic, report.seconds, _BUCKETS))
    most = max(1.0, *(calls for calls, _ in buckets))
    width = 1000 / _BUCKETS
    throttled = f"{report.throttled or 0:,}"
    return Plot(
        name="traffic",
        title="Calls and throttles",
        description=f"Requests a minute over {length(report.seconds)} of work: {report.calls:,} in all, "
        f"{throttled} of them throttled.",
        legend=[
            ("calls", f"Calls a minute ({report.calls:,} in all)"),
            ("throttled", f"Throttled ({throttled})"),
        ],
        tall=120.0,
        columns=[
            (kind, (place + 0.1) * width, width * 0.8, 100 * value / most)
            for place, bucket in enumerate(buckets)
            for kind, value in zip(("calls", "throttled"), bucket, strict=True)
            if value > 0
        ],
        levels=_levels(120.0, most),
        times=_times(report.seconds),
        marks=_marks(report, report.seconds),
    )


def states(report: Report) -> Bars | None:
    """Draw what became of every application, and of each of them."""
    if not report.total:
        return None
    bars = [_stack("All applications", report.counts, f"{report.total:,}")]
    for one in report.applications[:BARS] if len(report.applications) > 1 else ():
        name = one.application or one.application_id or ""
        bars.append(_stack(name, one.counts, count(sum(one.counts.values()), "WorkSpace")))
    return Bars(
        title="States",
        legend=[(one, f"{WORDS[one]} {report.counts[one]:,}") for one in OUTCOMES if report.counts[one]],
        bars=bars,
        note=_more(len(report.applications) - BARS, "application"),
    )


def failures(report: Report) -> Bars | None:
    """Draw how often each reason was why something failed."""
    shown = report.failures[:BARS]
    if not shown:
        return None
    most = max(1, *(one.changes + one.retried for one in shown))
    retried = [("retried", "Failed, and retried")] if any(one.retried for one in shown) else []
    return Bars(
        title="Failures by reason",
        legend=[("failed", "Failed for good"), *retried],
        bars=[_failure(one, most) for one in shown],
        note=_more(len(report.failures) - len(shown), "reason"),
    )


def slowest(report: Report) -> Bars | None:
    """Draw how long the slowest deployments took."""
    shown = [(one, one.seconds) for one in report.slowest(BARS) if one.seconds]
    if not shown:
        return None
    longest = max(seconds for _, seconds in shown)
    several = _sections.has_targets(report)
    seen = {_sections.timed(one) for one, _ in shown}
    return Bars(
        title="Slowest WorkSpaces",
        legend=[(one, WORDS[one]) for one in OUTCOMES if one in seen],
        bars=[
            Bar(
                label=_sections.place(one, several=several),
                user=one.user_name or "",
                figure=_sections.took(one),
                parts=_parts([(_sections.timed(one), seconds / longest)]),
                words=f"{_sections.took(one)}, {WORDS[_sections.timed(one)].lower()}",
            )
            for one, seconds in shown
        ],
    )


def _stack(name: str, counts: Counts, figure: str) -> Bar:
    total = sum(counts.values())
    shown: list[Outcome] = [one for one in OUTCOMES if counts[one]]
    return Bar(
        label=name,
        figure=figure,
        parts=_parts([(one, counts[one] / total) for one in shown]),
        words=", ".join(f"{WORDS[one].lower()} {counts[one]:,}" for one in shown),
    )


def _failure(one: ReasonCount, most: int) -> Bar:
    again = f"{one.retried:,} retried" if one.retried else ""
    return Bar(
        label=one.reason,
        figure=" + ".join(part for part in (f"{one.changes:,}" if one.changes else "", again) if part),
        parts=_parts([("failed", one.changes / most), ("retried", one.retried / most)]),
        words=", ".join(part for part in (f"{one.changes:,} failed", again) if part),
        example=one.example.strip(),
    )


def _more(number: int, noun: str) -> str:
    return f"And {count(number, f'more {noun}')}." if number > 0 else ""


def _parts(shares: Sequence[tuple[str, float]]) -> list[tuple[str, float, float]]:
    """Put the parts of a bar side by side, each with its share of the width."""
    begins = accumulate((share for _, share in shares), initial=0.0)
    return [
        (kind, _percent(begin), _percent(share))
        for begin, (kind, share) in zip(begins, shares, strict=False)
        if share
    ]


def _areas(points: Sequence[ProgressPoint], span: float, most: int) -> Kinds:
    across = [point.seconds / span * 1000 for point in points]
    lower = [0] * len(points)
    found: list[tuple[str, str]] = []
    for kind in STACKED:
        upper = [low + point.counts[kind] for low, point in zip(lower, points, strict=True)]
        if upper != lower:
            there, back = _edge(across, upper, most), _edge(across[::-1], lower[::-1], most)
            found.append((kind, f"M{' '.join(there)} {' '.join(back)}Z"))
        lower = upper
    return found


def _edge(places: Sequence[float], heights: Sequence[int], most: int) -> Iterator[str]:
    """Yield the corners of a line; between equal heights there is none."""
    for place, (x, height) in enumerate(zip(places, heights, strict=True)):
        around = heights[max(0, place - 1) : place + 2]
        if 0 < place < len(places) - 1 and min(around) == max(around):
            continue
        yield f"{number(x)},{number(100 - 100 * height / most)}"


def rates(points: Sequence[TrafficPoint], span: float, buckets: int) -> Iterator[tuple[float, float]]:
    """Give calls and throttles a minute in each of so many equal parts of the time; evenly spread between two points."""
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


def _levels(tall: float, most: float) -> list[tuple[float, str]]:
    """Return heights from the top, with what is counted there; the ground has no label."""
    rough = most / 4
    power = 10 ** math.floor(math.log10(rough))
    step = max(1.0, next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough))
    values = [step * place for place in range(int(most / step) + 1)]
    return [(_TOP + tall - tall * value / most, _short(value) if value else "") for value in values]


def _times(span: float) -> list[tuple[float, str, str]]:
    step = next((step for step in _STEPS if span / step <= 4), span / 4)
    found: list[tuple[float, str, str]] = []
    for place in range(int(span / step) + 1):
        share = step * place / span
        anchor = "start" if share < 0.06 else "end" if share > 0.94 else "middle"
        # Without the parts that are nothing.
        found.append((_percent(share), re.sub(r"(?<=\w) 00 \w+$", "", length(step * place)), anchor))
    return found


def _marks(report: Report, span: float) -> list[float]:
    return [_percent(run.offset / span) for run in report.runs[1:]]


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1e3:g} k" if value >= 1e4 else f"{value:,.0f}"


def _percent(share: float) -> float:
    return min(1.0, max(0.0, share)) * 100


def number(value: float) -> str:
    """Write a number in as few digits as tell it to two places."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


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
        plots=[progress(report), traffic(report)],
        columns=[[states(report), failures(report)], [slowest(report)]],
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
        return number(value)
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
