"""The event log: what is on disk, what is counted and what is told are the same, in the same order."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps.rollout import (
    Changed,
    Event,
    Finished,
    Intent,
    JournalError,
    Progress,
    Started,
    Withdrawn,
    open_journal,
    read_journal,
)
from workspaces_apps.rollout._log.event_log import EventLog
from workspaces_apps.rollout._log.events import EVERYWHERE
from workspaces_apps.rollout._log.projections import Key
from workspaces_apps.simulator import ManualClock

KEY = Key("default", "ws-1", "wsa-1")


class SlowJournal:
    """A journal whose appends stand when they are let through, or fail.

    Attributes:
        past: Nothing.
        kept: What stands, in order.
        durable: Of what stands, what was asked to be durable.
    """

    def __init__(self) -> None:
        self.past: Sequence[Event] = ()
        self.kept: list[Event] = []
        self.durable: list[Event] = []
        self.failure: JournalError | None = None
        self._free = asyncio.Event()
        self._turn = asyncio.Lock()

    async def append(self, *events: Event, durable: bool = False) -> None:
        """Keep events, in the order of the calls."""
        async with self._turn:
            await self._free.wait()
            if self.failure is not None:
                raise self.failure
            self.kept += events
            self.durable += events if durable else ()

    def let_through(self) -> None:
        """Let everything stand."""
        self._free.set()

    async def close(self) -> None:
        """Nothing to do."""


def log_to(journal: SlowJournal) -> EventLog:
    """An event log with that journal."""
    return EventLog(ManualClock(), journal, {})


def told(log: EventLog) -> list[Event]:
    """The events that followers were given so far."""
    return [event for _ in range(log.events.qsize()) if (event := log.events.get_nowait()) is not None]


def intent(log: EventLog, *, retry: bool = True) -> Intent:
    """A deployment that is announced."""
    return log.event(
        Intent,
        KEY.target,
        workspace_id=KEY.workspace_id,
        application_id=KEY.application_id,
        operation="DeployWorkspaceApplications",
        direction="install",
        retry=retry,
    )


async def turns() -> None:
    """Let other tasks run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_nothing_is_counted_or_told_before_it_stands() -> None:
    """Projections and followers learn of an event once its append has returned, in the journal's order."""
    journal = SlowJournal()
    log = log_to(journal)
    first, second = intent(log), intent(log)
    records = [asyncio.create_task(log.record(event, durable=True)) for event in (first, second)]
    await turns()
    assert (log.history.retries(KEY), told(log)) == (0, [])
    journal.let_through()
    await asyncio.gather(*records)

    assert (log.history.retries(KEY), told(log), journal.kept) == (2, [first, second], [first, second])


async def test_an_intent_whose_record_was_cancelled_is_withdrawn() -> None:
    """The caller hears CancelledError and does not act; the intent stands, and is durably taken back before the end."""
    journal = SlowJournal()
    log = log_to(journal)
    acted = False

    async def act() -> None:
        nonlocal acted
        await log.record(intent(log), durable=True)
        acted = True

    acting = asyncio.create_task(act())
    await turns()
    acting.cancel()
    await asyncio.wait((acting,))
    assert (acting.cancelled(), acted) == (True, False)
    journal.let_through()
    await log.finish("stopped", "")

    assert [event.kind for event in journal.kept] == ["intent", "withdrawn", "finished"]
    assert journal.durable == journal.kept == told(log)
    assert (log.history.retries(KEY), log.history.failed_direction(KEY)) == (0, None)
    assert log.summary.change((KEY.target, KEY.workspace_id), KEY.application_id).outcome is None


async def test_a_journal_that_failed_is_heard_of_and_counts_nothing() -> None:
    """Neither the projections nor the followers learn of what could not be written."""
    journal = SlowJournal()
    journal.failure = JournalError("cannot write to the journal x: No space left on device")
    journal.let_through()
    log = log_to(journal)
    for work in (
        log.record(intent(log)),
        log.withdraw(intent(log), reason="paused"),
        log.finish("complete", ""),
    ):
        with pytest.raises(JournalError, match="No space left"):
            await work

    assert (told(log), log.history.retries(KEY), log.summary.finished) == ([], 0, None)


async def test_it_ends_once_and_nothing_follows() -> None:
    """Cancelled while it ends, asked to end otherwise, or asked for progress: the first end stands, and is the last event."""
    journal = SlowJournal()
    log = log_to(journal)
    ending = asyncio.create_task(log.finish("complete", ""))
    await turns()
    ending.cancel()
    await asyncio.wait((ending,))
    assert ending.cancelled()
    journal.let_through()
    again = await log.finish("stopped", "asked to stop")
    await log.report_progress(in_flight=0, waiting=0)

    assert again.ending == "complete"
    assert journal.kept == [again] == [log.summary.finished]


async def test_what_need_not_be_durable_is_written_at_once_but_never_before_what_stands_before_it(
    tmp_path: Path,
) -> None:
    """In a file, without a turn of the loop where nothing is being written; behind what is, in the order of the calls."""
    journal = await open_journal(tmp_path / "journal")
    log = EventLog(ManualClock(), journal, {})
    started = log.event(Started, EVERYWHERE, name="n", plan="p", workspaces=1, changes=1)
    await log.record(started, durable=True)
    before, durable, behind = (
        log.event(Changed, "default", workspace_id=one, application_id="a", state="PENDING_INSTALL")
        for one in ("ws-1", "ws-2", "ws-3")
    )
    turn = False

    def turned() -> None:
        nonlocal turn
        turn = True

    asyncio.get_running_loop().call_soon(turned)
    await log.record(before)
    assert (turn, list(read_journal(tmp_path / "journal")), told(log)) == (
        False,
        [started, before],
        [started, before],
    )
    syncing = asyncio.create_task(log.record(durable, durable=True))
    await asyncio.sleep(0)
    await log.record(behind)

    assert told(log) == [durable, behind]
    await syncing
    await log.finish("complete", "")
    await journal.close()
    assert list(read_journal(tmp_path / "journal"))[2:-1] == [durable, behind]


async def test_many_events_leave_the_loop_its_turns(tmp_path: Path) -> None:
    """They are recorded in portions, the last of them durably."""
    journal = await open_journal(tmp_path / "journal")
    log = EventLog(ManualClock(), journal, {})
    before = most = 0

    def turned() -> None:
        nonlocal before, most
        most = max(most, log.events.qsize() - before)
        before = log.events.qsize()
        asyncio.get_running_loop().call_soon(turned)

    asyncio.get_running_loop().call_soon(turned)
    started = log.event(Started, EVERYWHERE, name="n", plan="p", workspaces=1, changes=1)
    many = [
        log.event(Changed, "default", workspace_id=f"ws-{number}", application_id="a", state="INSTALLED")
        for number in range(2000)
    ]
    await log.record_many([started, *many])
    await turns()
    await journal.close()

    assert list(read_journal(tmp_path / "journal")) == told(log) == [started, *many]
    assert most <= 500


async def test_who_records_one_after_the_other_lets_others_run(tmp_path: Path) -> None:
    """A record that is written at once takes no turn of the loop, but a thousand in a row do."""
    journal = await open_journal(tmp_path / "journal")
    log = EventLog(ManualClock(), journal, {})
    await log.record(log.event(Started, EVERYWHERE, name="n", plan="p", workspaces=1, changes=1))
    turned = 0

    async def turn() -> None:
        nonlocal turned
        while True:
            turned += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    for number in range(1000):
        await log.record(
            log.event(Changed, "default", workspace_id=f"ws-{number}", application_id="a", state="INSTALLED")
        )
    turning.cancel()
    await journal.close()

    assert turned >= 3


async def test_many_events_are_recorded_to_the_end_although_their_caller_is_cancelled(tmp_path: Path) -> None:
    """And the end of the run stands behind them."""
    journal = await open_journal(tmp_path / "journal")
    log = EventLog(ManualClock(), journal, {})
    started = log.event(Started, EVERYWHERE, name="n", plan="p", workspaces=1, changes=1)
    many = [
        log.event(Changed, "default", workspace_id=f"ws-{number}", application_id="a", state="INSTALLED")
        for number in range(2000)
    ]
    recording = asyncio.create_task(log.record_many([started, *many]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    recording.cancel()
    await asyncio.wait((recording,))
    assert recording.cancelled()
    ended = await log.finish("stopped", "")
    await journal.close()

    assert list(read_journal(tmp_path / "journal")) == [started, *many, ended]


@given(st.data())
def test_disk_counts_and_followers_agree_whoever_is_cancelled(data: st.DataObject) -> None:
    """Many record at once on a real journal, some are cancelled: one order everywhere, and all of a record or none."""
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=8))
    cancelled = data.draw(st.sets(st.integers(0, len(sizes) - 1)))
    patience = data.draw(st.lists(st.integers(0, 4), min_size=len(sizes), max_size=len(sizes)))

    async def go(path: Path) -> tuple[list[Event], list[list[Event]]]:
        journal = await open_journal(path)
        log = EventLog(ManualClock(), journal, {})
        await log.record(
            log.event(Started, EVERYWHERE, name="n", plan="p", workspaces=1, changes=1), durable=True
        )
        given: list[list[Event]] = []
        tasks: list[asyncio.Task[None]] = []
        for number, size in enumerate(sizes):
            events: list[Event] = [
                log.event(
                    Changed, "default", workspace_id=f"ws-{number}", application_id="a", state=str(line)
                )
                for line in range(size)
            ]
            given.append(events)
            tasks.append(asyncio.create_task(log.record(*events, durable=bool(number % 2))))
            for _ in range(patience[number]):
                await asyncio.sleep(0)
            if number in cancelled:
                tasks[-1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await log.finish("complete", "")
        await journal.close()
        return told(log), given

    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        followed, given = asyncio.run(go(path))
        written = list(read_journal(path))

    assert written == followed
    middle = written[1:-1]
    for number, events in enumerate(given):
        assert number in cancelled or events[0] in middle
    assert middle == [event for events in given if events[0] in middle for event in events]


async def test_counts_of_the_requests_are_those_since_it_began() -> None:
    """Of all targets together, shared ones told apart; silence is that of the target where it is longest."""

    class Counter:
        """Counts of a target."""

        calls, throttled, shared_calls, silent_seconds = 5, 1, 2, 3.5

    log = EventLog(ManualClock(), None, {"a": Counter(), "b": (busy := Counter())})
    busy.calls, busy.throttled, busy.shared_calls, busy.silent_seconds = 12, 3, 6, 8.0
    await log.report_progress(in_flight=1, waiting=2)
    await log.finish("complete", "")
    progress, finished = told(log)

    assert isinstance(progress, Progress)
    assert isinstance(finished, Finished)
    assert (progress.calls, progress.throttled, progress.shared_calls, progress.silent_seconds) == (
        7,
        2,
        4,
        8.0,
    )
    assert (finished.calls, finished.throttled, finished.shared_calls) == (7, 2, 4)


async def test_withdrawing_names_what_it_takes_back() -> None:
    """One event for each intent, with its operation, direction and retry."""
    log = EventLog(ManualClock(), None, {})
    announced = [intent(log), intent(log, retry=False)]
    await log.record(*announced)
    await log.withdraw(*announced, reason="paused")

    withdrawn = [event for event in told(log) if isinstance(event, Withdrawn)]
    assert [(event.operation, event.direction, event.retry, event.reason) for event in withdrawn] == [
        ("DeployWorkspaceApplications", "install", retry, "paused") for retry in (True, False)
    ]
