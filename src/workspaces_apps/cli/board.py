"""How an apply stands, gathered from its events."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import mean
from typing import TYPE_CHECKING, Final

from workspaces_apps.cli.console import harmless
from workspaces_apps.rollout import (
    Deployed,
    Failed,
    Finished,
    Intent,
    Planned,
    Skipped,
    Succeeded,
    WaveBegan,
)
from workspaces_apps.rollout.waves import wave_sizes

if TYPE_CHECKING:
    from workspaces_apps.rollout import Event, Plan

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
        self.result: Finished | None = None
        self._begun: set[tuple[str, str]] = set()
        self._deploying: set[tuple[str, str]] = set()
        self._names: dict[str, str] = {}
        self._lengths: list[float] = []

    @property
    def elapsed(self) -> timedelta:
        """The time since the beginning."""
        return self._now() - self._began

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
        """About how long it will still take; None where nobody knows."""
        if self.draining or not self.total:
            return None
        estimate, policy = self.plan.estimate, self.plan.policy
        deployment = mean(self._lengths) * _SLOWEST if self._lengths else estimate.deployment_seconds
        sizes = wave_sizes(self.workspaces, policy.canary, policy.growth, policy.largest_wave)

        def lasts(size: int) -> float:
            writes = size * self.total / self.workspaces / estimate.rate
            return max(writes, deployment * (ceil(size / policy.max_in_flight) - 1)) + deployment

        number = self.wave.wave if self.wave is not None else 0
        left = sum(lasts(size) + policy.pause for size in sizes[number:])
        if self.wave is not None and self.done < self.total:
            spent = (self._now() - self.wave.at).total_seconds()
            left += max(lasts(self.wave.workspaces) - spent, _LAST_BIT * deployment)
        return timedelta(seconds=left)

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
