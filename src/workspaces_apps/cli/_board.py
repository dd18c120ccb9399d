"""Live display of an apply: its counts, and about how long it will still take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.text import harmless
from workspaces_apps.rollout import Amount, Deployed, Failed, Planned, Succeeded, WaveBegan
from workspaces_apps.rollout._log.projections import Key, RunSummary
from workspaces_apps.rollout._manifest.policy import cut, wave_sizes
from workspaces_apps.rollout._plan.plan import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workspaces_apps.rollout import Event, Finished, Hours, Plan, PlannedWorkspace
    from workspaces_apps.rollout._log.projections import Outcome

LAST: Final = 5
"""Failures that are shown while it goes on."""

_SLOWEST: Final = 1.3
"""How much longer the slowest deployment of a wave takes than the mean, about."""

_LAST_BIT: Final = 0.1
"""The share of a deployment that a wave still takes when its time is up and it has not ended."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure, as it is shown."""

    workspace_id: str
    application: str
    reason: str
    message: str
    final: bool


class Board:
    """The state of an apply, for a screen; a projection. The counts are those of `RunSummary`.

    Args:
        plan: What it carries out.
        now: The clock that it lives by.

    Attributes:
        plan: What it carries out.
        total: The plan's changes.
        workspaces: The WorkSpaces that have any.
        summary: The counts.
        failures: The failures of late.
        draining: Whether nothing more is started.
        paused: Who paused it, when and why; empty while nothing did.
        users: How many WorkSpaces wait for their users.
        journal: The journal's file; empty without one.
    """

    def __init__(self, plan: Plan, now: Callable[[], datetime]) -> None:
        self.plan = plan
        self._now = now
        self._began = now()
        self.workspaces: int = len(plan.pending)
        self.summary: RunSummary = RunSummary(
            Key(workspace.target, workspace.workspace_id, change.application_id)
            for workspace in plan.pending
            for change in workspace.pending
        )
        self.total: int = self.summary.unfinished
        self.failures: deque[Failure] = deque(maxlen=LAST)
        self.draining = False
        self.paused: Callable[[], str] = str
        self.users: Callable[[], int] = int
        self.journal: str = ""
        self._names: dict[str, str] = {}
        self._lengths: list[float] = []
        self._last_deployed = self._began
        self._waves = self._cut(plan.policy.canary)

    def _cut(self, first: Amount | None) -> list[Sequence[PlannedWorkspace]]:
        """Return the waves of the plan, of which the first has so many WorkSpaces."""
        policy = self.plan.policy
        return cut(self.plan.pending, wave_sizes(self.workspaces, first, policy.growth, policy.largest_wave))

    @property
    def result(self) -> Finished | None:
        """The end of it; None while it goes on."""
        return self.summary.finished

    @property
    def wave(self) -> WaveBegan | None:
        """The wave that goes on; None before the first."""
        return self.summary.wave

    @property
    def silent(self) -> timedelta:
        """For how long the service has not answered."""
        return timedelta(seconds=self.summary.silent_seconds)

    @property
    def done(self) -> int:
        """Changes of the plan that have their last word."""
        return self.total - self.summary.unfinished

    @property
    def elapsed(self) -> timedelta:
        """The time since the beginning; none where the clock was put back before it."""
        return max(timedelta(0), self._now() - self._began)

    @property
    def now(self) -> datetime:
        """The time, by the clock that the apply lives by."""
        return self._now()

    @property
    def deploying(self) -> int:
        """WorkSpaces whose deployment goes on."""
        return len(self.summary.deploying)

    @property
    def waiting(self) -> int:
        """WorkSpaces that have not started and are not left out."""
        return self.summary.waiting

    @property
    def left(self) -> timedelta | None:
        """About how long it will still take, hours that are waited for included; None where nobody knows."""
        if self.draining or not self.total:
            return None
        estimate, policy, now = self.plan.estimate, self.plan.policy, self._now()
        pace = Pace(
            policy=policy,
            writes=self.total / self.workspaces / estimate.rate,
            deployment=mean(self._lengths) * _SLOWEST if self._lengths else estimate.deployment_seconds,
            needs=policy.needs_of_hours(self.summary.usual_deployment),
        )
        if self.wave is None:
            return pace.all_end(now, self._waves) - now
        later = self._waves[self.wave.wave :]
        end = now
        if self.done < self.total:
            end = self._wave_ends(self.wave, pace)
            end += timedelta(seconds=policy.pause if later else 0.0)
        return pace.all_end(end, later) - now

    def _wave_ends(self, wave: WaveBegan, pace: Pace) -> datetime:
        now, hours = self._now(), self.plan.policy.hours
        waiting = self._waiting_in(wave)
        if hours and waiting:
            return pace.wave_ends(now, waiting)
        # With hours, nobody knows how much of the time since the wave began was spent waiting for them.
        lasts = pace.deployment + (0.0 if hours else pace.beginning(wave.workspaces))
        spent = (now - (self._last_deployed if hours else wave.at)).total_seconds()
        return now + timedelta(seconds=max(lasts - spent, _LAST_BIT * pace.deployment))

    def _waiting_in(self, wave: WaveBegan) -> Sequence[PlannedWorkspace]:
        """Return the WorkSpaces of the wave that have not started and are not left out."""
        if not 0 < wave.wave <= len(self._waves):
            return ()
        wave_of = self._waves[wave.wave - 1]
        return [one for one in wave_of if self.summary.waits((one.target, one.workspace_id))]

    @property
    def opening(self) -> tuple[datetime, Hours] | None:
        """The beginning of the next hours, and those hours, while nothing else is waited for; None otherwise."""
        policy, now = self.plan.policy, self._now()
        if not policy.hours or policy.outside_hours != "wait" or self.wave is None or self.draining:
            return None
        if self.summary.busy:
            return None
        numbers = {one.hours for one in self._waiting_in(self.wave) if one.hours is not None}
        entries = [policy.hours[number] for number in sorted(numbers)]
        needs = policy.needs_of_hours(self.summary.usual_deployment)
        if not entries or any(one.is_open(now, needs) for one in entries):
            return None
        openings = [(found, one) for one in entries if (found := one.next_opening(now, needs)) is not None]
        return min(openings, key=lambda found: found[0], default=None)

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        self.summary.apply(event)
        match event:
            case Planned() if event.application is not None:
                self._names[event.application_id] = harmless(event.application)
            case WaveBegan(wave=1):
                # After an approved canary the waves of a later run grow on from there.
                self._waves = self._cut(Amount(event.workspaces))
            case Deployed():
                self._last_deployed = event.at
            case Succeeded() if event.elapsed is not None:
                self._lengths.append(event.elapsed)
            case Failed():
                self.failures.append(
                    Failure(
                        harmless(event.workspace_id),
                        self.name(event.application_id),
                        harmless(event.reason),
                        harmless(event.message),
                        event.final,
                    )
                )
            case _:
                pass

    def name(self, application_id: str | None) -> str:
        """Return what an application is called, else its id."""
        if application_id is None:
            return "the deployment"
        return self._names.get(application_id) or harmless(application_id)

    def why(self, outcome: Outcome) -> Mapping[str, int]:
        """Return the reasons of an outcome, the most frequent first."""
        found = self.summary.reasons.most_common()
        return {harmless(reason): number for (kind, reason), number in found if kind == outcome and number}
