"""`python -m benchmarks.throttling`: real clients in virtual time against a service that throttles.

Ours and aiobotocore's `legacy`, `standard` and `adaptive` modes make the same calls: what is simulated is the clock
and the service, on botocore's event `before-send`; pacing, retries and backoff are each library's own.
"""

import argparse
import asyncio
import random
import statistics
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from unittest.mock import patch

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import ClientError

from benchmarks.answers import (
    ACCESS_KEY_ID,
    ANSWERS,
    APPLICATION_ID,
    REGION,
    SECRET_ACCESS_KEY,
    WORKSPACE_ID,
)
from benchmarks.virtual import BotocoreClock, Response, answer_with
from tests.pacing.bucket import Bucket
from tests.pacing.test_bars import CASES, Case
from workspaces_apps import ClientConfig, Credentials, PacingRegistry, WorkSpacesClient, WorkSpacesError
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._clocks import run_virtual

TASKS: Final = 50
FIRST: Final = 20
"""Answers that are not counted: no client can know the service's rate before it was told of it."""

MAIN: Final = "10/s, burst 5, latency 10–200 ms"
ROWS: Final[Mapping[str, Case]] = {
    MAIN: Case(time=1.06, throttled=0.02),
    **{name: case for name, case in CASES.items() if name not in ("1/s", "four processes")},
}
"""What is simulated, and the bars for our pacing: those of tests/pacing/test_bars.py."""

Call = Callable[[], Awaitable[object]]


class Service:
    """A service with one token bucket, which is asked in the network's place."""

    def __init__(self, case: Case, rng: random.Random, clock: ManualClock) -> None:
        self.clock = clock
        self._case = case
        self._rng = rng
        self._bucket = Bucket(case.rate, case.burst, [case.change] if case.change else [])
        self.answers: list[bool] = []

    async def answer(self, **_: object) -> Response:
        """Accept or throttle a request, halfway between its sending and its answer."""
        took = self._rng.uniform(*self._case.latency)
        await asyncio.sleep(took / 2)
        accepted = self._bucket.accepts(asyncio.get_running_loop().time())
        self.answers.append(accepted)
        await asyncio.sleep(took / 2)
        if accepted:
            return Response(200, ANSWERS["AssociateWorkspaceApplication"])
        return Response(400, b'{"__type":"ThrottlingException","message":"Rate exceeded"}')

    async def serve_another(self) -> None:
        """Calls of another tool, which does not slow down."""
        while True:
            await asyncio.sleep(self._rng.expovariate(self._case.other))
            self._bucket.accepts(asyncio.get_running_loop().time())


@asynccontextmanager
async def ours(service: Service) -> AsyncGenerator[Call]:
    """A client of this package with its defaults, in a process of its own as far as pacing goes."""
    session = AioSession()
    answer_with(session, service.answer)
    client = WorkSpacesClient(
        region=REGION,
        session=session,
        credentials=Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY),
        config=ClientConfig(pacing_registry=PacingRegistry()),
        clock=service.clock,
    )
    async with client:
        yield lambda: client.associate_workspace_application(
            workspace_id=WORKSPACE_ID, application_id=APPLICATION_ID
        )


def theirs(mode: str) -> Callable[[Service], Any]:
    """Open a client of aiobotocore's with one of its retry modes."""

    @asynccontextmanager
    async def connected(service: Service) -> AsyncGenerator[Call]:
        session: Any = AioSession()
        answer_with(session, service.answer)
        async with session.create_client(
            "workspaces",
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=AioConfig(retries={"mode": mode}),
        ) as client:
            yield lambda: client.associate_workspace_application(
                WorkspaceId=WORKSPACE_ID, ApplicationId=APPLICATION_ID
            )

    return connected


CONTENDERS: Final[Mapping[str, Callable[[Service], Any]]] = {
    "workspaces-apps": ours,
    "`legacy`": theirs("legacy"),
    "`standard`": theirs("standard"),
    "`adaptive`": theirs("adaptive"),
}


@dataclass(slots=True)
class Measured:
    """One figure per seed.

    Attributes:
        times: Total time ÷ the ideal.
        throttled: The share of throttled answers after the first few.
        failed: The share of calls that failed for good.
        spreads: The slowest process's time ÷ the fastest's.
    """

    times: list[float] = field(default_factory=list[float])
    throttled: list[float] = field(default_factory=list[float])
    failed: list[float] = field(default_factory=list[float])
    spreads: list[float] = field(default_factory=list[float])


async def work(call: Call, calls: int) -> tuple[float, int]:
    """Make the calls from the tasks; when the last one ended, and how many failed."""
    turns = iter(range(calls))
    failed = 0

    async def task() -> None:
        nonlocal failed
        for _ in turns:
            try:
                await call()
            except (ClientError, WorkSpacesError):
                failed += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(task())
    return asyncio.get_running_loop().time(), failed


async def run(
    case: Case, connected: Callable[[Service], Any], seed: int, clock: ManualClock, measured: Measured
) -> None:
    """One run of a case."""
    service = Service(case, random.Random(seed), clock)
    another = asyncio.create_task(service.serve_another()) if case.other else None
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(connected(service)) for _ in range(case.processes)]
        done = await asyncio.gather(*(work(call, case.calls) for call in processes))
    if another is not None:
        another.cancel()
    ends = [end for end, _ in done]
    later = service.answers[FIRST:]
    measured.times.append(max(ends) / case.ideal)
    measured.spreads.append(max(ends) / min(ends))
    measured.throttled.append(later.count(False) / len(later))
    measured.failed.append(sum(failed for _, failed in done) / (case.calls * case.processes))


def measure(seeds: int) -> dict[str, dict[str, Measured]]:
    """Run every case with every client and every seed."""
    found: dict[str, dict[str, Measured]] = {}
    for name, case in ROWS.items():
        found[name] = {contender: Measured() for contender in CONTENDERS}
        for contender, connected in CONTENDERS.items():
            for seed in range(seeds):
                # Jitter is the random module's; botocore's adaptive mode reads the time by a clock of its own.
                random.seed(seed)
                phase = partial(BotocoreClock, random.random())
                clock = ManualClock()
                with patch("aiobotocore.retries.bucket.Clock", phase):
                    run_virtual(run(case, connected, seed, clock, found[name][contender]), clock)
    return found


def table(found: Mapping[str, Mapping[str, Measured]], seeds: int) -> Iterator[str]:
    """The figures as Markdown."""
    yield "## Against a throttling service"
    yield ""
    yield (
        f"Real clients in virtual time; the service is a token bucket. {ROWS[MAIN].calls} calls of one operation"
        f" from {TASKS} tasks, {seeds} seeds, medians. *Time* is that of the whole ÷ the ideal (calls ÷ rate);"
        f" *throttled* is the share of the requests after the first {FIRST}; *failed* is the share of the calls"
        " that the library gave up. aiobotocore's modes have their defaults; a call that fails early shortens"
        " their time."
    )
    yield ""
    heads = " | ".join(f"{name}: time | throttled | failed" for name in CONTENDERS)
    yield f"| service | {heads} | bar for ours |"
    yield f"|---|{'---:|' * 3 * len(CONTENDERS)}---|"
    for name, measured in found.items():
        case = ROWS[name]
        cells = " | ".join(
            f"{statistics.median(one.times):.2f} | {statistics.median(one.throttled):.1%}"
            f" | {statistics.median(one.failed):.1%}"
            for one in measured.values()
        )
        mine = measured["workspaces-apps"]
        met = (
            statistics.median(mine.times) <= case.time
            and statistics.median(mine.throttled) <= case.throttled
            and not any(mine.failed)
        )
        bar = f"≤ {case.time:g}, ≤ {case.throttled:.1%}, none failed: {'met' if met else '**missed**'}"
        if case.processes > 1:
            spread = statistics.median(mine.spreads)
            bar += (
                f"; slowest ÷ fastest process {spread:.2f} ≤ 1.5: {'met' if spread <= 1.5 else '**missed**'}"
            )
        yield f"| {name} | {cells} | {bar} |"
    yield ""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throttling", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each case")
    arguments = parser.parse_args()
    print("\n".join(table(measure(arguments.seeds), arguments.seeds)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
