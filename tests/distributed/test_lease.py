"""Lease and fence, model-checked: any order of calls, pauses, lost answers and expiries, with clocks that differ."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.distributed.memory import Content, MemoryStorage
from workspaces_apps.rollout import Event, Intent, JournalBusyError, JournalError, JournalWriter, Started
from workspaces_apps.rollout._journal.lines import LineReader
from workspaces_apps.rollout._journal.segments import (
    RealTime,
    SegmentedStore,
    SegmentHeader,
    SegmentJournal,
    SegmentStorage,
    StoreUnavailableError,
    header_of,
)

NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
LEASE: Final = 9.0


def begun() -> Event:
    """The beginning of a run."""
    return Started(at=NOW, run="r", name="office", plan="p", workspaces=1, changes=1)


def intent(number: int) -> Event:
    """An intent that no other is equal to."""
    return Intent(
        at=NOW,
        run="r",
        workspace_id=f"ws-{number:09}",
        application_id="wsa-123456789",
        operation="DeployWorkspaceApplications",
        direction="install",
    )


class Machine:
    """One machine: its clock, the writer on it, and what it asked of the store.

    Args:
        content: The store.
        offset: What its clock shows when it starts: nobody may compare it with another's.
    """

    def __init__(self, content: Content, offset: float) -> None:
        self.storage = MemoryStorage(content, gated=True)
        self.offset = offset
        self.passed = 0.0
        self.paused = False
        self.sleeps: list[tuple[float, asyncio.Future[None]]] = []
        self.store = SegmentedStore(
            self._connect,
            where="memory://",
            lease=LEASE,
            real_time=RealTime(steady=self.steady, sleep=self.sleep),
        )
        self.opening: asyncio.Task[JournalWriter] | None = None
        self.journal: SegmentJournal | None = None
        self.appends: dict[int, asyncio.Task[None]] = {}
        self.known_before: set[int] = set()

    @asynccontextmanager
    async def _connect(self, _name: str) -> AsyncGenerator[SegmentStorage, None]:
        yield self.storage

    def steady(self) -> float:
        """Its clock, which also counts while it is paused."""
        return self.offset + self.passed

    async def sleep(self, seconds: float) -> None:
        """Sleep by it."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleeps.append((self.passed + seconds, future))
        await future

    def pass_by(self, seconds: float) -> None:
        """Let time pass; a machine that is paused wakes nobody."""
        self.passed += seconds
        self.wake()

    def wake(self) -> None:
        """Wake whoever is due, unless it is paused."""
        if not self.paused:
            for due, future in self.sleeps:
                if due <= self.passed and not future.done():
                    future.set_result(None)
            self.sleeps = [one for one in self.sleeps if not one[1].done()]


class TwoWriters(RuleBasedStateMachine):
    """Two machines that want to write to one journal."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.content = Content()
        # Thirty seconds apart either way, as wall clocks may be, and any zero.
        self.machines = [Machine(self.content, 1_000.0), Machine(self.content, 1_030.0)]
        self.durable: set[int] = set()
        self.number = 0
        self.closing: list[asyncio.Task[None]] = []

    def pump(self) -> None:
        """Let everything run that can."""

        async def turns() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())
        for machine in self.machines:
            if machine.opening is not None and machine.opening.done() and not machine.opening.cancelled():
                if machine.opening.exception() is None:
                    opened = machine.opening.result()
                    assert isinstance(opened, SegmentJournal)
                    machine.journal = opened
                    past = {int(one.workspace_id[3:]) for one in opened.past if isinstance(one, Intent)}
                    # Never a lost durable event.
                    assert machine.known_before <= past
                else:
                    assert isinstance(machine.opening.exception(), JournalError)
                machine.opening = None
            for number, task in list(machine.appends.items()):
                if task.done():
                    if not task.cancelled() and task.exception() is None:
                        self.durable.add(number)
                    del machine.appends[number]

    @rule(which=st.integers(0, 1))
    def open(self, which: int) -> None:
        """Want to write."""
        machine = self.machines[which]
        if machine.opening is None and machine.journal is None and not machine.paused:
            machine.known_before = set(self.durable)
            machine.opening = self.loop.create_task(machine.store.open("office"))
            self.pump()

    @rule(which=st.integers(0, 1))
    def take_over(self, which: int) -> None:
        """Open it with a store that answers, as time passes."""
        machine = self.machines[which]
        self.open(which)
        for _ in range(40):
            if machine.opening is None or machine.paused:
                return
            while machine.storage.pending and self.wants_it(which):
                machine.storage.end_first()
                self.pump()
            self.pass_by(3.0)

    def wants_it(self, which: int) -> bool:
        """Tell if a machine waits to open it."""
        return self.machines[which].opening is not None

    @rule(which=st.integers(0, 1))
    def append(self, which: int) -> None:
        """Announce a write."""
        machine = self.machines[which]
        if machine.journal is not None and not machine.paused:
            self.number += 1
            machine.appends[self.number] = self.loop.create_task(
                machine.journal.append(begun(), intent(self.number), durable=True)
            )
            self.pump()

    @rule(which=st.integers(0, 1), answered=st.integers(0, 5), calls=st.integers(1, 8))
    def serve(self, which: int, answered: int, calls: int) -> None:
        """Let calls end: most are answered, of some only the answer is lost, some never arrive."""
        machine = self.machines[which]
        for _ in range(calls):
            if machine.storage.pending:
                machine.storage.end_first(acted=answered != 0, answered=answered > 1)
                if not machine.paused:
                    self.pump()

    @rule(seconds=st.sampled_from([0.5, 2.0, 3.0, 5.0, 9.0]))
    def pass_by(self, seconds: float) -> None:
        """Let time pass everywhere."""
        for machine in self.machines:
            machine.pass_by(seconds)
        self.pump()

    @rule(which=st.integers(0, 1))
    def pause(self, which: int) -> None:
        """Stop a machine, as SIGSTOP does."""
        self.machines[which].paused = True

    @rule(which=st.integers(0, 1))
    def resume(self, which: int) -> None:
        """Let it go on."""
        self.machines[which].paused = False
        self.machines[which].wake()
        self.pump()

    @rule(which=st.integers(0, 1))
    def forget(self, which: int) -> None:
        """Let a writer that has lost the journal give up."""
        machine = self.machines[which]
        if machine.journal is not None and machine.journal._keeper.lost is not None:  # pyright: ignore[reportPrivateUsage]
            closing = self.loop.create_task(machine.journal.close())
            self.closing.append(closing)
            machine.journal = None
            self.pump()

    @invariant()
    def nobody_loses_it_to_nobody(self) -> None:
        """Whoever was told that it is taken over was so: by a lease of another, at least."""
        for machine in self.machines:
            journal = machine.journal
            keeper = journal._keeper if journal is not None else None  # pyright: ignore[reportPrivateUsage]
            if keeper is not None and keeper.lost is not None:
                assert self.content.lease is not None
                assert self.content.lease[0].owner != keeper.owner

    @precondition(lambda self: all(one.journal is not None for one in self.machines))
    @invariant()
    def never_two_hold_it(self) -> None:
        """At no moment may two begin something."""
        assert sum(one.journal is not None and one.journal.held for one in self.machines) <= 1

    @invariant()
    def one_writer_for_each_epoch(self) -> None:
        """And every writer's segments begin with its takeover, in ascending epochs."""
        heads = [header_of(body, "memory") for _, body in sorted(self.content.segments.items())]
        writers: dict[int, str] = {}
        for head in heads:
            assert writers.setdefault(head.epoch, head.writer) == head.writer
        assert [head.epoch for head in heads] == sorted(head.epoch for head in heads)
        for before, head in zip([None, *heads], heads, strict=False):
            assert head.takeover == (before is None or before.epoch != head.epoch)

    @invariant()
    def what_was_durable_stays(self) -> None:
        """Whatever an append has returned for is in the log."""
        reader = LineReader("memory")
        text = b"".join(body.partition(b"\n")[2] for _, body in sorted(self.content.segments.items()))
        kept = {int(one.workspace_id[3:]) for one in reader.read(text) if isinstance(one, Intent)}
        assert self.durable <= kept

    def teardown(self) -> None:
        """End what is left."""
        for machine in self.machines:
            machine.storage.gated = False
            machine.opening = None
        while tasks := asyncio.all_tasks(self.loop):
            for machine in self.machines:
                while machine.storage.pending:
                    machine.storage.end_first(acted=False)
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


def test_any_order_of_two_writers_keeps_one_log() -> None:
    """Pauses, expiries, lost answers and clock skew included."""
    run_state_machine_as_test(
        TwoWriters,
        settings=settings(
            max_examples=80,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


class Hands:
    """Real time in a test's hands."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        """Let it pass at once."""
        self.now += seconds
        await asyncio.sleep(0)


class Forgetful(MemoryStorage):
    """A store that answers at once, but for the next write of a segment, whose answer is lost."""

    def __init__(self, content: Content) -> None:
        super().__init__(content)
        self.loses = False

    async def put(self, number: int, body: bytes, *, epoch: int) -> bool:
        """Write a segment, and perhaps do not answer."""
        written = await super().put(number, body, epoch=epoch)
        if self.loses:
            self.loses = False
            raise StoreUnavailableError("no answer")
        return written


def store_of(content: Content, hands: Hands, storage: MemoryStorage | None = None) -> SegmentedStore:
    """A store in memory that answers at once."""

    @asynccontextmanager
    async def connect(_name: str) -> AsyncGenerator[SegmentStorage, None]:
        yield storage or MemoryStorage(content)

    real_time = RealTime(steady=lambda: hands.now, sleep=hands.sleep)
    return SegmentedStore(connect, where="memory://", lease=LEASE, real_time=real_time)


class Still(Hands):
    """Time of a machine that is suspended: it never wakes."""

    async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - for ever
        """Sleep for ever."""
        await asyncio.Event().wait()


async def test_a_writer_that_slept_through_its_lease_appends_nothing() -> None:
    """Its number is taken by the takeover, whatever it believes; and it is told, without having asked."""
    content, asleep, awake = Content(), Still(), Hands()
    former = await store_of(content, asleep).open("office")
    assert isinstance(former, SegmentJournal)
    await former.append(begun(), intent(1), durable=True)
    taker = await store_of(content, awake).open("office")
    before = dict(content.segments)
    believed = former.held
    with pytest.raises(JournalError, match="taken over by another apply"):
        await former.append(intent(2), durable=True)

    assert believed, "its clock has stopped"
    assert content.segments == before
    assert not former.held
    assert "taken over" in (await former.until_lost()).message
    assert awake.now >= LEASE
    assert [one for one in taker.past if isinstance(one, Intent)] == [intent(1)]
    await former.close()
    await taker.close()


async def test_a_lost_answer_to_ones_own_write_is_recognised() -> None:
    """The segment is written once, and its number, which is taken now, is no sign of another writer."""
    content = Content()
    storage = Forgetful(content)
    journal = await store_of(content, Hands(), storage).open("office")
    storage.loses = True
    await journal.append(begun(), intent(1), durable=True)
    await journal.append(intent(2), durable=True)
    await journal.close()

    assert sorted(content.segments) == [1, 2, 3]
    assert await store_of(content, Hands()).read("office") == [begun(), intent(1), intent(2)]


async def test_a_slow_store_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """From five seconds on, with how long it takes; logged once, and so is that it is over; nobody is lost."""
    content = Content()
    machine = Machine(content, 1_000.0)
    machine.storage.gated = False
    journal = await machine.store.open("office")
    assert isinstance(journal, SegmentJournal)
    machine.storage.gated = True

    async def settle(seconds: float) -> None:
        machine.pass_by(seconds)
        for _ in range(12):
            await asyncio.sleep(0)

    first = asyncio.create_task(journal.append(begun(), durable=True))
    second = asyncio.create_task(journal.append(intent(1), durable=True))
    await settle(0.0)
    await settle(4.5)
    assert (journal.waits_for, caplog.text) == ("", "")
    await settle(0.5)
    words = "waiting for the journal memory:/office: its store is slow, a write has taken {} s so far"
    assert journal.waits_for == words.format(5)
    await settle(3.0)
    assert journal.waits_for == words.format(8)
    assert caplog.messages == [words.format(5)]
    machine.storage.gated = False
    while machine.storage.pending:
        machine.storage.end_first()
    await asyncio.gather(first, second)
    assert journal.waits_for == ""
    assert caplog.messages[1:] == ["the journal memory:/office is written to again without delay"]
    await journal.close()


async def test_who_comes_late_to_a_takeover_leaves_it_to_the_other() -> None:
    """A lease that another has taken meanwhile is not written behind, even where the next number is free."""
    content = Content()
    newer = SegmentHeader(segment=1, epoch=7, writer="w", takeover=True)
    content.segments[1] = newer.model_dump_json().encode() + b"\n"

    with pytest.raises(JournalBusyError, match="faster"):
        await store_of(content, Hands()).open("office")
    assert sorted(content.segments) == [1]


async def test_a_lease_that_was_given_back_is_taken_at_once() -> None:
    """And one that is renewed meanwhile is not taken at all."""
    content, hands = Content(), Hands()
    await (await store_of(content, hands).open("office")).close()
    journal = await store_of(content, hands).open("office")
    assert hands.now < LEASE / 2
    with pytest.raises(JournalBusyError):
        await store_of(content, Hands()).open("office")
    await journal.close()


async def test_a_segment_of_a_newer_release_is_refused() -> None:
    """And so is what is no segment; the journal stays free."""
    content = Content(
        segments={1: SegmentHeader(segment=1, epoch=1, writer="w", format=9).model_dump_json().encode()}
    )
    with pytest.raises(JournalError, match="is of format 9; this release reads 1"):
        await store_of(content, Hands()).open("office")
    content.segments[1] = b"{}\n"
    with pytest.raises(JournalError, match="no part of a journal"):
        await store_of(content, Hands()).read("office")
    assert content.lease is not None
    assert content.lease[0].released
