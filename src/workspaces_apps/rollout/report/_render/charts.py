"""Charts as inline SVG, drawn here: no script, no style attribute, and readable at any width.

Text keeps its size because only the drawing inside is stretched: positions along the width are percentages, and
areas are drawn in a nested SVG whose box is 1000 by 100.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from workspaces_apps.rollout._log.projections import Outcome
from workspaces_apps.rollout.report._model import ProgressPoint, TrafficPoint
from workspaces_apps.rollout.report._render.markup import Markup, element, group, number
from workspaces_apps.rollout.report._render.text import length

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
