"""A discrete-event simulation: tasks call a service that throttles, each process behind a pacing rule."""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from workspaces_apps._pacing import AdaptiveRate, RateRule
from workspaces_apps._retry import FailureKind, RetryPolicy


@dataclass(slots=True)
class Bucket:
    """A service's token bucket; `changes` are (time, new rate), in order."""

    rate: float
    burst: float
    changes: Sequence[tuple[float, float]] = ()
    tokens: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def accepts(self, now: float) -> bool:
        """Take a token at `now`, if there is one."""
        while self.changes and self.changes[0][0] <= now:
            (moment, rate), self.changes = self.changes[0], self.changes[1:]
            self._refill(moment)
            self.rate = rate
        self._refill(now)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def _refill(self, now: float) -> None:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now


@dataclass(slots=True)
class Outcome:
    """The result of one process."""

    ended: float = 0.0
    answers: list[bool] = field(default_factory=list[bool])
    failed: int = 0

    def throttled_after(self, first: int) -> float:
        """The share of throttled answers after the first few."""
        rest = self.answers[first:]
        return rest.count(False) / len(rest) if rest else 0.0


@dataclass(slots=True)
class _Process:
    rule: RateRule
    calls: int
    line: deque[int] = field(default_factory=deque[int])
    in_flight: int = 0
    backing_off: int = 0
    turn_at: float = math.inf
    outcome: Outcome = field(default_factory=Outcome)


def simulate(
    bucket: Bucket,
    *,
    calls: int = 500,
    tasks: int = 50,
    latency: tuple[float, float] = (0.01, 0.2),
    processes: int = 1,
    seed: int = 0,
    rule: Callable[[], RateRule] = AdaptiveRate,
    other: float = 0.0,
    attempts: int = 1000,
) -> list[Outcome]:
    """Run `calls` calls in each process until all have ended.

    Args:
        bucket: The service.
        calls: Calls of each process.
        tasks: Tasks of each process, each making one call after the other.
        latency: The shortest and longest time from sending to answer; the service decides halfway.
        processes: How many share the bucket.
        seed: For latency and jitter.
        rule: Makes the rule of a process.
        other: Calls a second of another tool that does not slow down.
        attempts: Attempts before a call fails.
    """
    rng = random.Random(seed)
    policy = RetryPolicy()
    order = itertools.count()
    events: list[tuple[float, int, str, int, tuple[float, int, bool]]] = []
    procs = [_Process(rule(), calls) for _ in range(processes)]

    def at(moment: float, what: str, which: int, data: tuple[float, int, bool] = (0.0, 0, False)) -> None:
        heapq.heappush(events, (moment, next(order), what, which, data))

    def pump(which: int, now: float) -> None:
        proc = procs[which]
        while proc.line:
            delay = proc.rule.delay(now, proc.in_flight)
            if delay > 1e-9:
                if delay != math.inf and not (proc.turn_at <= now + delay):
                    proc.turn_at = now + delay
                    at(proc.turn_at, "turn", which)
                return
            attempt = proc.line.popleft()
            proc.rule.reserve(now, proc.in_flight)
            proc.in_flight += 1
            took = rng.uniform(*latency)
            at(now + took / 2, "arrive", which, (now, attempt, False))
            # The answer takes as long back as the request took there.

    for which, proc in enumerate(procs):
        first = min(tasks, calls)
        proc.calls -= first
        proc.line.extend([1] * first)
        pump(which, 0.0)
    if other:
        at(rng.random() / other, "other", 0)
    running = processes
    while running:
        now, _, what, which, data = heapq.heappop(events)
        proc = procs[which]
        if what == "other":
            bucket.accepts(now)
            at(now + rng.expovariate(other), "other", 0)
        elif what == "turn":
            if proc.turn_at == now:
                proc.turn_at = math.inf
            pump(which, now)
        elif what == "arrive":
            sent, attempt, _ = data
            at(now + (now - sent), "answer", which, (sent, attempt, bucket.accepts(now)))
        elif what == "again":
            proc.backing_off -= 1
            proc.line.append(data[1])
            pump(which, now)
        else:
            sent, attempt, accepted = data
            proc.in_flight -= 1
            proc.outcome.answers.append(accepted)
            if accepted:
                proc.rule.succeeded()
            else:
                proc.rule.throttled(now, sent)
                if attempt < attempts:
                    wait = policy.backoff(FailureKind.THROTTLE, attempt, retry_after=None, random=rng.random)
                    proc.backing_off += 1
                    at(now + wait, "again", which, (0.0, attempt + 1, False))
                else:
                    proc.outcome.failed += 1
            if accepted or attempt >= attempts:
                if proc.calls:
                    proc.calls -= 1
                    proc.line.append(1)
                elif not proc.line and not proc.in_flight and not proc.backing_off:
                    proc.outcome.ended = now
                    running -= 1
            pump(which, now)
    return [proc.outcome for proc in procs]
