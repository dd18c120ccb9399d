"""A roll-out beside the scripts of `rollout_scripts`, which do the same without this package."""

from benchmarks import rollout_scripts
from benchmarks.fleet import FIXED, lasting
from benchmarks.packages import Figures
from benchmarks.tables import number
from workspaces_apps.simulator import Throttle

FEWER = 6.0
WHY = (
    "Where the service throttles 1,000 WorkSpaces at 2 calls a second, a script cannot call more often than it is let:"
    " it takes longer and notices later instead. How many calls the same loops need to notice as soon as ours, and how"
    " many they make where nothing holds them back, are rows of their own. The sample does not poll at all."
)


def by_hand(ours: Figures, unthrottled: Figures, workspaces: int, free: int) -> list[str]:
    """The same by hand, in Markdown.

    Args:
        ours: What our apply to the same fleet cost, with everything in flight and the default throttle.
        unthrottled: The same without a throttle.
        workspaces: The fleet, with the default throttle.
        free: The fleet of the loops without a throttle, where calls per WorkSpace do not depend on it.
    """
    lines = [
        "| by hand | calls per WorkSpace | throttled | time ÷ ours | noticed, median, s; ours | calls ÷ ours | goal |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for script in (rollout_scripts.GATHER, rollout_scripts.SAMPLE, rollout_scripts.SAMPLE_ONCE):
        found = rollout_scripts.run(script, workspaces, lasting(*FIXED), Throttle())
        name = f"{workspaces:,} by {script.name}"
        lines.append(line(name, found, workspaces, ours, bar=script is not rollout_scripts.SAMPLE_ONCE))
    delay = number(ours, "noticed")
    computed = rollout_scripts.as_soon_as(delay, FIXED[0])
    times = computed / number(ours, "calls")
    name = f"loops that notice as soon as ours, within {delay:.0f} s, two calls a round (computed)"
    lines.append(f"| {name} | {computed:.1f} | | | | {times:.1f} | {verdict(times)} |")
    found = rollout_scripts.run(rollout_scripts.GATHER, free, lasting(*FIXED), None)
    name = f"without a throttle, {free:,} by {rollout_scripts.GATHER.name}; ours {workspaces:,}"
    lines.append(line(name, found, free, unthrottled, bar=True))
    return [*lines, "", WHY, ""]


def line(name: str, found: rollout_scripts.Found, workspaces: int, ours: Figures, *, bar: bool) -> str:
    """A script's cost beside ours."""
    calls = found.calls / workspaces
    times = calls / number(ours, "calls")
    delay = "never" if found.delay is None else f"{found.delay:.0f}; {number(ours, 'noticed'):.0f}"
    return (
        f"| {name} | {calls:.1f} | {found.throttled / found.calls:.1%} | {found.seconds / number(ours, 'wall'):.1f}"
        f" | {delay} | {times:.1f} | {verdict(times) if bar else '–'} |"
    )


def verdict(times: float) -> str:
    """The bound, and whether it is met."""
    return f"≥ {FEWER:g} {'met' if times >= FEWER else '**missed**'}"
