"""How an apply stands, gathered from its events."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean
from typing import TYPE_CHECKING, Final

from workspaces_apps.cli.console import harmless
from workspaces_apps.rollout import (
    Deployed,
    Failed,
    Finished,
    Intent,
    Planned,
    Progress,
    Skipped,
    Succeeded,
    WaveBegan,
)
from workspaces_apps.rollout.estimate import Pace
from workspaces_apps.rollout.waves import cut, wave_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workspaces_apps.rollout import Event, Hours, Plan, PlannedWorkspace

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
    """How an apply stands.

    Args:
        plan: What it carries out.
        now: The clock that it lives by.
    """

    def __init__(self, plan: Plan, now: Callable[[], datetime]) -> None:
        self.plan = plan
        self._now = now
        self._began = now()
        self._pending = {
            (workspace.target, workspace.workspace_id): {
                change.application_id for change in workspace.pending
            }
            for workspace in plan.pending
        }
        self.total: int = sum(map(len, self._pending.values()))
        self.workspaces: int = len(self._pending)
        self.done: int = 0
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.wave: WaveBegan | None = None
        self.failures: deque[Failure] = deque(maxlen=LAST)
        self.draining = False
        self.silent: timedelta = timedelta(0)
        """For how long the service has not answered."""
        self.result: Finished | None = None
        self._begun: set[tuple[str, str]] = set()
        self._deploying: set[tuple[str, str]] = set()
        self._names: dict[str, str] = {}
        self._lengths: list[float] = []
        self._last_deployed = self._began
        policy = plan.policy
        sizes = wave_sizes(self.workspaces, policy.canary, policy.growth, policy.largest_wave)
        self._waves = cut(plan.pending, sizes)

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
        return len(self._deploying)

    @property
    def waiting(self) -> int:
        """WorkSpaces that have not begun and are not left out."""
        return sum(bool(left) and key not in self._begun for key, left in tuple(self._pending.items()))

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
        """The WorkSpaces of the wave that have not begun and are not left out."""
        if not 0 < wave.wave <= len(self._waves):
            return ()
        return [
            one
            for one in self._waves[wave.wave - 1]
            if (one.target, one.workspace_id) not in self._begun
            and self._pending.get((one.target, one.workspace_id))
        ]

    @property
    def opening(self) -> tuple[datetime, Hours] | None:
        """When the next hours begin, and which, while nothing but they is waited for; None otherwise."""
        policy, now = self.plan.policy, self._now()
        if not policy.hours or policy.outside_hours != "wait" or self.wave is None or self.draining:
            return None
        if any(self._pending.get(key) for key in self._begun):
            return None
        numbers = {one.hours for one in self._waiting_in(self.wave) if one.hours is not None}
        entries = [policy.hours[number] for number in sorted(numbers)]
        if not entries or any(one.is_open(now) for one in entries):
            return None
        return min(((one.next_opening(now), one) for one in entries), key=lambda found: found[0])

    def note(self, event: Event) -> None:
        """Take an event down."""
        match event:
            case Planned():
                if event.application is not None:
                    self._names[event.application_id] = harmless(event.application)
                if event.action == "blocked":
                    self.reasons["blocked", harmless(event.reason)] += 1
                self.counts[event.action] += 1
            case WaveBegan():
                self.wave = event
            case Intent():
                self._begun.add((event.target, event.workspace_id))
            case Deployed():
                self._last_deployed = event.at
                self._deploying.add((event.target, event.workspace_id))
            case Succeeded():
                if event.elapsed is not None:
                    self._lengths.append(event.elapsed)
                self.counts["succeeded"] += 1
                self._settle(event.target, event.workspace_id, event.application_id)
            case Failed():
                self._note_failure(event)
            case Skipped():
                self.counts["skipped"] += 1
                self.reasons["skipped", harmless(event.reason)] += 1
                self._settle(event.target, event.workspace_id, event.application_id)
            case Progress():
                self.silent = timedelta(seconds=event.silent_seconds)
            case Finished():
                self.result = event
            case _:
                pass

    def name(self, application_id: str | None) -> str:
        """What an application is called, else its id."""
        if application_id is None:
            return "the deployment"
        return self._names.get(application_id) or harmless(application_id)

    def why(self, outcome: str) -> Mapping[str, int]:
        """The reasons of an outcome, the most frequent first."""
        return {reason: count for (kind, reason), count in self.reasons.most_common() if kind == outcome}

    def _note_failure(self, event: Failed) -> None:
        self.failures.append(
            Failure(
                harmless(event.workspace_id),
                self.name(event.application_id),
                harmless(event.reason),
                harmless(event.message),
                event.final,
            )
        )
        if event.final:
            self.counts["failed"] += 1
            self.reasons["failed", harmless(event.reason)] += 1
            self._settle(event.target, event.workspace_id, event.application_id)
        else:
            self.counts["retried"] += 1

    def _settle(self, target: str, workspace_id: str, application_id: str | None) -> None:
        left = self._pending.get((target, workspace_id), set())
        ended = set(left) if application_id is None else left & {application_id}
        left -= ended
        self.done += len(ended)
        if not left:
            self._deploying.discard((target, workspace_id))
