"""An estimate of an apply's calls and time, from the plan, the policy's hours and the rate that is known."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from workspaces_apps._associations.states import SETTLED
from workspaces_apps.rollout._manifest.policy import Policy, cut, wave_sizes
from workspaces_apps.rollout._plan.plan import Estimate, PlannedWorkspace
from workspaces_apps.rollout._plan.reading import PAGE

ASSUMED_RATE: Final = 2.0
"""Calls a second of one operation, while the service has not shown better: fleets settle on 1.3 to 1.5 [field], the
simulator lets 2 through [assumed]."""

DEPLOYMENT_SECONDS: Final = 900.0
"""How long a deployment lasts; AWS publishes nothing [assumed]."""

_TICK: Final = 30.0
"""Seconds from poll to poll before it is known how long deployments take."""

_HINTS: Final = 7
"""Rounds of hints that a batch of deployments takes once that is known; as measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The approximate speed of an apply.

    Attributes:
        policy: Its ceilings and hours.
        writes: Seconds that the writes of one WorkSpace take.
        deployment: Seconds that a deployment takes.
        needs: Seconds that must be left of the hours when a deployment begins.
    """

    policy: Policy
    writes: float
    deployment: float
    needs: float = 0.0

    def beginning(self, workspaces: int) -> float:
        """Seconds until the last of so many WorkSpaces has begun."""
        # Writes of one batch go on while an earlier one deploys.
        batches = ceil(workspaces / self.policy.max_in_flight)
        return max(workspaces * self.writes, self.deployment * (batches - 1))

    def wave_ends(self, now: datetime, wave: Sequence[PlannedWorkspace]) -> datetime:
        """Return the time by which WorkSpaces that begin at `now`, or once their hours allow it, will have ended."""
        policy = self.policy
        if not policy.hours:
            return now + timedelta(seconds=self.beginning(len(wave)) + self.deployment)
        sizes = Counter(one.hours for one in wave)
        begun: list[datetime] = []
        for entry, size in sizes.items():
            # What no entry is for is never begun, and what is outside its hours may be left out.
            if entry is None:
                continue
            entry_hours, needs = policy.hours[entry], self.needs
            if policy.outside_hours == "wait" or entry_hours.is_open(now, needs):
                begun.append(entry_hours.after_open(now, self.beginning(size), needs))
        if not begun:
            return now
        last = max(*begun, now + timedelta(seconds=self.beginning(len(wave))))
        return last + timedelta(seconds=self.deployment)

    def all_end(self, now: datetime, waves: Iterable[Sequence[PlannedWorkspace]]) -> datetime:
        """Return the time by which waves will have ended, of which the first begins at `now`."""
        for number, wave in enumerate(waves):
            if number:
                now += timedelta(seconds=self.policy.pause)
            now = self.wave_ends(now, wave)
        return now


def estimate(
    workspaces: Sequence[PlannedWorkspace], policy: Policy, learned: Mapping[str, float], now: datetime
) -> Estimate:
    """Estimate the cost of applying a plan.

    Args:
        workspaces: What is planned.
        policy: Waves, ceilings and hours.
        learned: The rates that the service has shown, in calls a second, by operation.
        now: When it would begin.
    """
    slowest = min(learned, key=lambda operation: learned[operation], default=None)
    rate = learned[slowest] if slowest is not None else ASSUMED_RATE
    pending = [workspace for workspace in workspaces if workspace.pending]
    staging = sum(change.state in SETTLED for one in pending for change in one.pending)
    writes = max(len(pending), staging) / max(1, len(pending)) / rate
    waves = cut(pending, wave_sizes(len(pending), policy.canary, policy.growth, policy.largest_wave))
    always = policy.model_copy(update={"hours": ()})
    ends = [
        Pace(policy=one, writes=writes, deployment=DEPLOYMENT_SECONDS, needs=policy.needs_of_hours()).all_end(
            now, waves
        )
        for one in (always, policy)
    ]
    seconds = (ends[0] - now).total_seconds()
    reads = len(pending) * (2 if policy.minds_users else 1)
    return Estimate(
        calls=staging + reads + len(pending) + _polls(waves, policy.max_in_flight),
        seconds=seconds,
        rate=rate,
        rate_is_learned=slowest is not None,
        rate_of=slowest,
        deployment_seconds=DEPLOYMENT_SECONDS,
        closed_seconds=max(0.0, (ends[1] - ends[0]).total_seconds()),
    )


def _polls(waves: Sequence[Sequence[PlannedWorkspace]], in_flight: int) -> int:
    """Return the calls that follow deployments which all take as long, the survey at the beginning included.

    Until the first has ended, one call comes every tick. Then each batch of deployments takes a few rounds of hints, 25
    WorkSpaces a call, and confirms its end by listings of the applications or by a read for each WorkSpace.
    """
    sizes = [
        len(wave[start : start + in_flight]) for wave in waves for start in range(0, len(wave), in_flight)
    ]
    applications = len({change.application_id for wave in waves for one in wave for change in one.pending})
    calls = ceil(DEPLOYMENT_SECONDS / _TICK) + 2 * ceil(sum(sizes) / PAGE) if sizes else 0
    rows = 0
    for size in sizes:
        rows += size
        calls += _HINTS * ceil(size / PAGE) + min(size, 2 * applications * ceil(rows / PAGE))
    return calls
