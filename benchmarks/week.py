"""`python -m benchmarks.week`: a week of a roll-out over 2,000 desktops in three time zones, in simulated time.

Users come to work and go home, by the clocks of their offices, with breaks and late evenings. On Monday the canary
fails; the cause is mended, the next canary is approved, and the rest goes on at night, wherever nobody is connected.
Two processes are killed, a login expires, and once everything is done it is taken back. Printed are the runs with
their calls and times, and how many users were thrown out: those who were connected when their desktop's Deploy was
taken. A user who came after the last read of the connection, at most ten seconds before, is counted apart, because
the API has no way to prevent that. Exits with 1 where anything ends otherwise than wanted.
"""

import argparse
import asyncio
import gc
import heapq
import random
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from benchmarks.fleet import BURST, RATE, SPREAD
from benchmarks.tables import put_section
from tests.rollout.dying import DyingStore
from workspaces_apps import (
    ClientConfig,
    ClientStateError,
    Credentials,
    CredentialsError,
    PacingRegistry,
    WorkSpacesClient,
)
from workspaces_apps.rollout import (
    ApprovalRequested,
    Finished,
    JournalError,
    Manifest,
    Plan,
    Policy,
    Rollout,
    Started,
)
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings, Span, Throttle

HEADING: Final = "A week"

START: Final = datetime(2026, 1, 5, 6, tzinfo=UTC)
"""A Monday."""

ZONES: Final = ("Australia/Sydney", "Europe/Berlin", "America/New_York")
"""The time zones of the offices, a third of the desktops each."""

OLD: Final = "Microsoft Office LTSC Professional Plus 2021"
NEW: Final = "Microsoft Office LTSC Professional Plus 2024"

TICK: Final = 60.0
"""Seconds between two looks at who comes and goes."""

STARTS: Final = 5
"""The most restarts of a run that ends as incomplete."""

GUARD: Final = 10.0
"""Seconds that the last read of a connection may be old when a Deploy leaves."""

RECONNECT: Final = 300.0
"""Seconds after which a user who found the desktop locked tries again."""


@dataclass(slots=True)
class Users:
    """The users, who come and go; and what the Deploys that the service took did to them.

    Attributes:
        sim: Where their desktops are.
        clock: Its time.
        locked_out: How often a user found the desktop at work.
        came: By WorkSpace: when the user came or left, and which of the two.
    """

    sim: Simulator
    clock: ManualClock
    source: random.Random
    locked_out: int = 0
    came: dict[str, list[tuple[float, bool]]] = field(default_factory=dict[str, list[tuple[float, bool]]])
    _next: list[tuple[float, int, str, bool]] = field(default_factory=list[tuple[float, int, str, bool]])

    def plan_week(self, zone: str, workspace_ids: Sequence[str], days: int) -> None:
        """Decide when each user of an office comes and goes."""
        local = ZoneInfo(zone)
        for one in workspace_ids:
            self.came[one] = []
            early = self.source.uniform(7, 10)
            for day in range(-1, days):
                date = START.astimezone(local) + timedelta(days=day)
                for begin, end in self._day(early, weekend=date.weekday() >= 5):
                    midnight = date.replace(hour=0, minute=0, second=0, microsecond=0)
                    for hour, connected in ((begin, True), (end, False)):
                        at = (midnight + timedelta(hours=hour)).timestamp()
                        heapq.heappush(self._next, (at, len(self._next), one, connected))

    def _day(self, early: float, *, weekend: bool) -> Iterator[tuple[float, float]]:
        draw = self.source
        if not weekend and draw.random() < 0.95:
            noon = draw.uniform(11.5, 13)
            yield early + draw.uniform(-0.5, 0.5), noon
            yield noon + draw.uniform(0.3, 1), draw.uniform(16, 19)
        if draw.random() < (0.05 if weekend else 0.15):
            late = draw.uniform(19.5, 27)
            yield late, late + draw.uniform(0.3, 3)

    async def live(self) -> None:
        """Let them come and go, for as long as the task is there."""
        while True:
            now = self.clock.timestamp()
            while self._next and self._next[0][0] <= now:
                _, number, one, connected = heapq.heappop(self._next)
                desktop = self.sim.fleet.workspace(one)
                if connected and desktop.state != "AVAILABLE":
                    self.locked_out += 1
                    heapq.heappush(self._next, (now + RECONNECT, number, one, True))
                elif desktop.connected != connected:
                    desktop.connected, desktop.last_connection = connected, now
                    self.came[one].append((now, connected))
            await self.clock.sleep(TICK)

    def thrown_out(self, workspace_id: str, at: float) -> float | None:
        """Return for how many seconds a user had been connected at a moment; None where nobody was."""
        changes = self.came[workspace_id]
        place = bisect_right(changes, (at, False))
        if not place or not changes[place - 1][1]:
            return None
        return at - changes[place - 1][0]


class Login:
    """The credentials of a login, which expire."""

    def __init__(self, sim: Simulator, clock: ManualClock, lifetime: float) -> None:
        self._clock = clock
        self._credentials = sim.temporary_credentials(lifetime)
        self._expires = clock.timestamp() + lifetime

    async def get_credentials(self) -> Credentials:
        """Return them, as long as they are good.

        Raises:
            CredentialsError: They are not any more.
        """
        if self._clock.timestamp() >= self._expires:
            raise CredentialsError("the session has ended: run `aws sso login --profile fleet`")
        return self._credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One start of the command.

    Attributes:
        what: What it was for.
        wanted: How it was to end.
        ended: How it did.
        calls: Requests on the wire, those of its plan included.
        throttled: Those of them that were refused for their rate.
        began: When, in simulated time.
        hours: How long it took in simulated time.
        wall: How long it took in seconds of real time.
        counts: What it did, by outcome.
    """

    what: str
    wanted: str
    ended: str
    calls: int
    throttled: int
    began: datetime
    hours: float
    wall: float
    counts: str


@dataclass(slots=True)
class Week:
    """The roll-out of a week.

    Attributes:
        sim: The service.
        clock: Its time.
        users: Who works there.
        folder: Where the journals are.
        runs: What was done so far.
        thrown: Users who had been connected for longer than the guard's ten seconds when a Deploy was taken.
        narrowly: Those who had come within them.
        deploys: How often a Deploy was taken, by WorkSpace.
        operations: Requests, by operation.
    """

    sim: Simulator
    clock: ManualClock
    users: Users
    folder: Path
    runs: list[Run] = field(default_factory=list[Run])
    thrown: int = 0
    narrowly: int = 0
    deploys: Counter[str] = field(default_factory=Counter[str])
    operations: Counter[str] = field(default_factory=Counter[str])

    def policy(self, **other: Any) -> dict[str, Any]:
        """Return how carefully it goes: at night, wherever nobody is connected, few at a time."""
        nights = [
            {"time_zone": zone, "start": "19:00", "end": "06:00", "select": {"directory_ids": [directory]}}
            for zone, directory in zip(ZONES, self.sim.fleet.directory_ids, strict=False)
        ]
        return {
            "canary": max(4, len(self.users.came) // 60),
            # All the rest in one wave: the offices' nights come one after the other.
            "growth": 1000,
            "failure_budget": 2,
            "retries": 0 if not self.runs else 3,
            "max_in_flight": max(1, len(self.users.came) // 120),
            "when_connected": "wait",
            "idle_for": "10m",
            "connected_timeout": "12h",
            "approval": "canary",
            "hours": nights,
            **other,
        }

    def manifest(self) -> Manifest:
        """Return what is wanted: the new Office in the place of the old one."""
        rule = {"select": {"everything": True}, "present": [NEW], "absent": [OLD]}
        return Manifest.from_data({"name": "week", "rules": [rule], "policy": self.policy()})

    async def run(
        self,
        what: str,
        wanted: str,
        *,
        undo: bool = False,
        killed_at: datetime | None = None,
        login: timedelta = timedelta(days=9),
    ) -> None:
        """Start the command once, in a process that knows nothing but its journal.

        Args:
            what: What for, for the table.
            wanted: How it is to end.
            undo: Take the roll-out back.
            killed_at: When the process is killed.
            login: How long its credentials are good.
        """
        began, wall = self.clock.now(), time.perf_counter()
        store = DyingStore(self.folder, None, False)
        ended, finished = "killed", None
        config = ClientConfig(pacing_registry=PacingRegistry(), random=random.Random(len(self.runs)).random)
        async with WorkSpacesClient(
            region=self.sim.region,
            endpoint_url=self.sim.url,
            credentials=Login(self.sim, self.clock, login.total_seconds()),
            clock=self.clock,
            config=config,
        ) as client:
            rollout = Rollout(client, clock=self.clock)
            plan = await self.planned(rollout, undo=undo)
            applying = asyncio.create_task(self.applied(rollout, plan, store))
            if killed_at is not None:
                await self.kill_at(killed_at, store, client, applying)
            with suppress(asyncio.CancelledError, JournalError, ClientStateError):
                finished = await applying
                ended = finished.ending
        self.judge()
        requests = self.sim.requests
        self.runs.append(
            Run(
                what=what,
                wanted=wanted,
                ended=ended,
                calls=len(requests),
                throttled=requests.count(error="ThrottlingException"),
                began=began,
                hours=(self.clock.now() - began).total_seconds() / 3600,
                wall=time.perf_counter() - wall,
                counts="–"
                if finished is None
                else f"{finished.succeeded} / {finished.failed} / {finished.skipped}",
            )
        )
        requests.clear()

    async def run_to_the_end(self, what: str, *, undo: bool = False) -> None:
        """Start it again, as a nightly job does, until nobody is left out because of having been connected for too long."""
        for number in range(STARTS):
            await self.run(what, "complete", undo=undo)
            if self.runs[-1].ended != "incomplete" or number + 1 == STARTS:
                break
            self.runs[-1] = replace(self.runs[-1], wanted="incomplete")

    async def planned(self, rollout: Rollout, *, undo: bool) -> Plan:
        """Make the plan of a run."""
        if undo:
            policy = Policy.model_validate(self.policy(approval="none", canary=None))
            return await rollout.plan_undo(self.folder / "week", policy=policy)
        path = self.folder / "week"
        return await rollout.plan(self.manifest(), journal=path if path.exists() else None)

    async def applied(self, rollout: Rollout, plan: Plan, store: DyingStore) -> Finished:
        """Apply it; whoever is asked approves after an hour and a half."""
        async with rollout.apply(plan, journal=store) as run:
            async for event in run:
                if isinstance(event, ApprovalRequested):
                    await self.clock.sleep(5400)
                    run.approve(event.wave, reason="nobody has called")
                elif isinstance(event, Started):
                    gc.freeze()
            return await run.finished()

    async def kill_at(
        self, at: datetime, store: DyingStore, client: WorkSpacesClient, applying: asyncio.Task[Finished]
    ) -> None:
        """Let nothing more reach the journal or the service from a moment on: the process is gone."""
        while not applying.done() and self.clock.now() < at:
            await self.clock.sleep(TICK)
        if not applying.done():
            assert store.opened is not None
            await store.opened.die()
            await client.aclose()
            applying.cancel()

    def judge(self) -> None:
        """Look at each Deploy that the service took: whether somebody was at work on that desktop."""
        for request in self.sim.requests:
            self.operations[request.operation or "?"] += 1
            if request.operation == "DeployWorkspaceApplications" and request.status == 200:
                one = str((request.parameters or {})["WorkspaceId"])
                self.deploys[one] += 1
                connected = self.users.thrown_out(one, request.at.timestamp())
                if connected is not None:
                    self.thrown += connected > GUARD
                    self.narrowly += connected <= GUARD

    async def rest_until(self, moment: datetime) -> None:
        """Let the time pass."""
        await self.clock.sleep((moment - self.clock.now()).total_seconds())


def on(day: int, hour: float) -> datetime:
    """Return a moment of the week: the day from Monday, 0, and the hour in UTC."""
    return START.replace(hour=0) + timedelta(days=day, hours=hour)


async def live_through(workspaces: int, folder: Path) -> tuple[Week, bool]:
    """Live through the week; whether the fleet ended as it began, having been in sync in between."""
    clock = ManualClock(autojump=True, start=START)
    # A deployment is announced at once and takes 8 to 20 minutes, as the default of the other benchmarks.
    lasting = SimulatorSettings(
        pending_delay=Span(0, 0), install_duration=Span(*SPREAD), uninstall_duration=Span(*SPREAD)
    )
    throttle = Throttle.at(RATE, BURST)
    sim = Simulator(workspaces=0, clock=clock, settings=lasting, throttle=throttle)
    users = Users(sim, clock, random.Random(0))
    old, new = sim.fleet.application(OLD), sim.fleet.application(NEW)
    ids: list[str] = []
    for number, (zone, directory) in enumerate(zip(ZONES, sim.fleet.directory_ids, strict=False)):
        count = workspaces // 3 + (number < workspaces % 3)
        found = sim.fleet.add_workspaces(count, operating_system="WINDOWS_11", directory_id=directory)
        users.plan_week(zone, found, 14)
        ids += found
    for one in ids[::2]:
        sim.fleet.set_association(one, old, "COMPLETED")
    before = {one: sim.fleet.associations(one) for one in ids}
    async with sim:
        week = Week(sim, clock, users, folder)
        living = asyncio.create_task(users.live())
        await week.rest_until(on(0, 9))
        sim.faults.add("deployment_error")
        await week.run("a canary that fails", "budget-spent")
        sim.faults.clear()
        await week.rest_until(on(1, 7))
        await week.run("approved, then killed on Tuesday night", "killed", killed_at=on(1, 23.5))
        await week.run("killed again on Wednesday", "killed", killed_at=on(2, 2))
        await week.run("a login that expires", "credentials", login=timedelta(hours=3))
        await week.rest_until(on(3, 7))
        await week.run_to_the_end("the rest")
        wanted = all(
            {key: str(state) for key, state in sim.fleet.associations(one).items()} == {new: "COMPLETED"}
            for one in ids
        )
        await week.run_to_the_end("the undo", undo=True)
        after = {one: sim.fleet.associations(one) for one in ids}
        living.cancel()
    return week, wanted and after == before


def report(week: Week, *, restored: bool) -> Iterator[str]:
    """The story in Markdown."""
    yield "| run | began (UTC) | hours | ended | succeeded / failed / skipped | calls | throttled | wall |"
    yield "|---|---|---:|---|---:|---:|---:|---:|"
    for run in week.runs:
        ended = run.ended if run.ended == run.wanted else f"{run.ended}, **not {run.wanted}**"
        yield (
            f"| {run.what} | {run.began:%a %H:%M} | {run.hours:.1f} | {ended} | {run.counts} | {run.calls}"
            f" | {run.throttled} | {run.wall:.0f} s |"
        )
    calls, wall = sum(run.calls for run in week.runs), sum(run.wall for run in week.runs)
    comings = sum(connected for changes in week.users.came.values() for _, connected in changes)
    yield ""
    yield (
        f"{len(week.users.came)} desktops, {comings} comings of users, {sum(week.deploys.values())} deployments."
        f" Together {calls} calls and {wall:.0f} s; by operation: "
        + ", ".join(f"{name} {count}" for name, count in week.operations.most_common())
        + "."
    )
    yield ""
    yield (
        f"Users thrown out: {week.thrown}; who came in the ten seconds between the last read and the Deploy:"
        f" {week.narrowly}. Found their desktop being deployed: {week.users.locked_out}."
        f" The fleet was in sync, and in the end as before: {'yes' if restored else '**no**'}."
    )


def main() -> int:
    """Live through it and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.week", description=__doc__)
    parser.add_argument("--workspaces", type=int, default=2000)
    parser.add_argument("--page", type=Path, help=f"the page whose section {HEADING} is written anew")
    given = parser.parse_args()
    gc.set_threshold(50_000, 1_000, 1_000)
    with tempfile.TemporaryDirectory() as folder:
        week, restored = asyncio.run(live_through(given.workspaces, Path(folder)))
    lines = list(report(week, restored=restored))
    print("\n".join(lines))
    if given.page is not None:
        put_section(
            given.page,
            HEADING,
            ["`python -m benchmarks.week` writes this section, in simulated time.", "", *lines],
        )
    return int(week.thrown > 0 or not restored or any(run.ended != run.wanted for run in week.runs))


if __name__ == "__main__":
    sys.exit(main())
