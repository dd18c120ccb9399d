"""One large apply in a process of its own, with what it takes of processor, memory and the loop's patience.

JSON in, JSON out; `benchmarks.scale` runs it with either package. Only public names that both have are used.
"""

import asyncio
import gc
import selectors
import tempfile
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.fleet import FIXED, answer, client_of, given, lasting, manifest
from benchmarks.fleet_rollout import shortest
from benchmarks.packages import Json
from benchmarks.sampling import sampled
from benchmarks.worker import peak
from workspaces_apps import Credentials, WorkSpacesClient
from workspaces_apps.rollout import Deployed, Manifest, Report, Rollout, Succeeded
from workspaces_apps.simulator import ManualClock, Simulator, Throttle

RARE = (50_000, 1_000, 1_000)
IN_FLIGHT = 300


class Stops:
    """The time that the garbage collector takes.

    Attributes:
        longest: Seconds of the longest collection.
        total: Seconds of all of them.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.total = 0.0
        self._began = 0.0

    def hear(self, phase: str, _: dict[str, int]) -> None:
        """Be told of a collection by `gc.callbacks`."""
        if phase == "start":
            self._began = time.thread_time()
        else:
            took = time.thread_time() - self._began
            self.longest, self.total = max(self.longest, took), self.total + took


@contextmanager
def collections() -> Generator[Stops]:
    """Watch the collector meanwhile."""
    stops = Stops()
    gc.callbacks.append(stops.hear)
    try:
        yield stops
    finally:
        gc.callbacks.remove(stops.hear)


class TurnSelector(selectors.DefaultSelector):
    """A selector that moves the clock when the loop has nothing left to do, and times the loop's turns.

    A clock that jumps by itself looks at every turn of the loop if it may: some seventy turns for each WorkSpace, which
    no real time has, and whose time would pass for the client's. The simulator's own loop in virtual time is not used: the
    earlier commit has none.

    Attributes:
        clock: Moved to its next sleeper when nothing is ready and no executor works.
        longest: Seconds of processor time of the longest turn, the simulator's part of it included.
    """

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock
        self.longest = 0.0
        self._woken = time.thread_time()
        self._jobs: list[Future[object]] = []

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, between two turns."""
        self.longest = max(self.longest, time.thread_time() - self._woken)
        try:
            ready = super().select(0)
            if ready or (timeout is not None and timeout <= 0):
                return ready
            ready = self._after_jobs()
            if ready or self.clock.jump_to_next():
                return ready
            return super().select(timeout)
        finally:
            self._woken = time.thread_time()

    def _after_jobs(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for what executors do, such as syncing the journal: it takes no simulated time."""
        while self._jobs:
            self._jobs = [job for job in self._jobs if not job.done()]
            # Once more where the last one has just ended, and is about to wake the loop.
            if ready := super().select(0.001):
                return ready
        return []

    @contextmanager
    def hearing_of_jobs(self) -> Generator[None]:
        """Note meanwhile what executors are given."""
        submit = ThreadPoolExecutor.submit

        def noted(executor: ThreadPoolExecutor, *given: Any, **named: Any) -> Future[Any]:
            job = submit(executor, *given, **named)
            self._jobs.append(job)
            return job

        with patch.object(ThreadPoolExecutor, "submit", noted):
            yield


async def apply(targets: int, each: int, turns: TurnSelector, *, rare: bool) -> dict[str, Json]:
    """Plan and apply one application, with a journal, and read the report from it.

    Args:
        targets: Accounts, one client each.
        each: WorkSpaces of each.
        turns: The selector of the loop.
        rare: Collect as the command line does: rarely, and never what the plan is made of.
    """
    clock = turns.clock
    sim = Simulator(
        workspaces=0,
        clock=clock,
        settings=lasting(*FIXED),
        throttle=Throttle.at(2.0, 5),
        seed=0,
        verify_signatures=False,
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sim)
        clients: dict[str, WorkSpacesClient] = {}
        names: list[str] = []
        for number in range(targets):
            account = f"{number + 1:012d}"
            credentials: Credentials = sim.add_account(account) if number else sim.credentials
            fleet = sim.fleet_of(account, sim.region) if number else sim.fleet
            fleet.add_workspaces(each)
            names.append(fleet.application("Microsoft Office LTSC Professional Plus 2021"))
            client = await stack.enter_async_context(
                client_of(sim, clock, seed=number, credentials=credentials)
            )
            clients[f"t{number}"] = client
        wanted = wanted_on(clients, names[0])
        rollout = Rollout(clients["t0"] if targets == 1 else clients, clock=clock)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if rare:
            gc.set_threshold(*RARE)
        with collections() as stops, sampled() as planning:
            plan = await rollout.plan(wanted)
        if rare:
            gc.freeze()
        zero, began = clock.timestamp(), clock.monotonic()
        deployed: dict[str, float] = {}
        ended: dict[str, float] = {}
        await asyncio.sleep(0)
        turns.longest = 0.0
        with collections() as stops, sampled() as applying:
            async with rollout.apply(plan, journal=folder / "journal") as run:
                async for event in run:
                    if isinstance(event, Deployed):
                        deployed.setdefault(event.workspace_id, event.at.timestamp() - zero)
                    elif isinstance(event, Succeeded):
                        ended[event.workspace_id] = event.at.timestamp() - zero
                result = await run.finished()
        wall, stall = clock.monotonic() - began, turns.longest
        memory = peak()
        cpu = time.process_time()
        Report.from_journal(folder / "journal").to_text()
        report = time.process_time() - cpu
    if result.ending != "complete" or len(ended) != targets * each:
        raise SystemExit(f"the apply did not do its work: {result}")
    return {
        "cpu": applying.client / len(ended),
        "plan_cpu": planning.client,
        "longest": stops.longest,
        "stall": stall,
        "collected": stops.total / applying.total if applying.total else 0.0,
        "memory": memory,
        "wall": wall,
        "limit": shortest([FIXED[0]] * each, IN_FLIGHT, 1),
        "report_cpu": report,
    }


def wanted_on(clients: dict[str, WorkSpacesClient], application: str) -> Manifest:
    """The application everywhere."""
    if len(clients) == 1:
        return manifest([application], IN_FLIGHT)
    rule = {"select": {"everything": True}, "present": [application]}
    return Manifest.from_data(
        {
            "name": "benchmark",
            "targets": [{"name": name} for name in clients],
            "rules": [rule],
            "policy": {"max_in_flight": IN_FLIGHT * len(clients)},
        }
    )


def main() -> None:
    """Do what was asked, and print the figures."""
    asked = given()
    targets, each = int(str(asked.get("targets", 1))), int(str(asked.get("each", 1000)))
    turns = TurnSelector(ManualClock())
    with (
        turns.hearing_of_jobs(),
        asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(turns)) as runner,
    ):
        answer(runner.run(apply(targets, each, turns, rare=bool(asked.get("rare", False)))))


if __name__ == "__main__":
    main()
