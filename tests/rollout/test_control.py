"""The control record: what is said to a running apply from elsewhere, and which run hears it."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from tests.rollout.site import Site, manifest, site
from workspaces_apps._telemetry.port import Hooks
from workspaces_apps.cli import main
from workspaces_apps.cli._console import ExitCode
from workspaces_apps.rollout import (
    Apply,
    ApplyOptions,
    ApprovalRequested,
    ControlReader,
    ControlRecord,
    Deployed,
    Finished,
    Intent,
    JournalError,
    Plan,
    Started,
    open_journal,
    read_journal,
    write_control,
)
from workspaces_apps.rollout._controller.control import POLL_SECONDS
from workspaces_apps.rollout._journal.files import FileJournalStore, lock
from workspaces_apps.rollout._journal.stores import JournalLocation, locate
from workspaces_apps.rollout._run_telemetry import CallMetrics


class Seconds:
    """Real time in a test's hands: every sleep ends when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait for the test."""
        self.asked.append(seconds)
        await self._over.wait()
        self._over.clear()

    async def pass_by(self) -> None:
        """Let one sleep end, and what follows from it begin the next."""
        number = len(self.asked)
        self._over.set()
        # What is waited for reads a file in a thread.
        while len(self.asked) == number:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def apply_of(here: Site, plan: Plan, path: Path, seconds: Seconds) -> Apply:
    """An apply whose control record is read when the test says so."""
    tallies = {"default": CallMetrics(here.client, Hooks())}
    return Apply(plan, tallies, here.clock, locate(path), ApplyOptions(), real_sleep=seconds.sleep)


async def start_a_run(path: Path, run: str) -> None:
    """Let a journal hold a run that goes on, as far as it tells."""
    journal = await open_journal(path)
    async with site() as here:
        started = Started(at=here.clock.now(), run=run, name="test", plan="p", workspaces=1, changes=1)
        await journal.append(started)
    await journal.close()


async def end_a_wave(path: Path, run: str, wave: int, digest: str) -> None:
    """Let a journal hold a wave that has ended and waits for approval."""
    journal = await open_journal(path)
    at = read_journal(path)[-1].at
    await journal.append(ApprovalRequested(at=at, run=run, wave=wave, digest=digest))
    await journal.close()


async def end_a_run(path: Path) -> None:
    """Let the last run of a journal come to its end."""
    last = read_journal(path)[-1]
    numbers = dict.fromkeys(("calls", "throttled", "succeeded", "failed", "skipped"), 0)
    journal = await open_journal(path)
    await journal.append(
        Finished.model_validate(
            {"at": last.at, "run": last.run, "ending": "stopped", "elapsed": 1, **numbers}
        )
    )
    await journal.close()


def reader(path: Path, run: str, *earlier: str) -> ControlReader:
    """A reader for one run."""
    return ControlReader(locate(path), run=run, earlier=earlier)


async def test_a_command_names_who_when_why_and_for_which_run(tmp_path: Path) -> None:
    """And has a number of its own, whoever writes at the same time; the record is readable by people."""
    path = tmp_path / "journal"
    await start_a_run(path, "one")
    written = await asyncio.gather(
        *(write_control(path, "pause", reason=f"r{number}") for number in range(8))
    )
    lines = (tmp_path / "journal.control").read_text().splitlines()

    assert sorted(record.sequence for record in written) == list(range(1, 9))
    assert [ControlRecord.model_validate_json(line) for line in lines] == sorted(
        written, key=lambda record: record.sequence
    )
    assert {record.run for record in written} == {"one"}
    assert all("@" in record.who for record in written)
    assert sorted(await asyncio.to_thread(lambda: [one.name for one in tmp_path.iterdir()])) == [
        "journal",
        "journal.control",
        "journal.control.lock",
    ]


async def test_a_request_is_told_once_and_only_to_its_run(tmp_path: Path) -> None:
    """A drain or stop for a run that has ended stops no other."""
    path = tmp_path / "journal"
    await start_a_run(path, "one")
    mine, later = reader(path, "one"), reader(path, "two", "one")
    assert (await mine.poll()).requests == ()
    journal = await open_journal(path)
    drain = await write_control(path, "drain")
    stop = await write_control(path, "stop")
    await journal.close()

    assert (await mine.poll()).requests == (drain, stop)
    assert (await mine.poll()).requests == ()
    assert (await later.poll()).requests == ()


async def test_a_pause_holds_for_later_runs_until_it_is_lifted(tmp_path: Path) -> None:
    """A restart does not lift it; a journal that was begun anew knows nothing of it."""
    path = tmp_path / "journal"
    await start_a_run(path, "one")
    pause = await write_control(path, "pause", reason="the help desk is closed", who="ann@desk")
    restarted, anew = reader(path, "two", "one"), reader(path, "three")

    assert (await restarted.poll()).pause == pause
    assert "ann@desk" in (await restarted.poll()).why
    assert "the help desk is closed" in (await restarted.poll()).why
    assert not (await anew.poll()).paused
    await write_control(path, "resume")
    assert not (await restarted.poll()).paused


async def test_a_decision_is_about_a_wave_of_that_content(tmp_path: Path) -> None:
    """By number and digest, the last one counts, in later runs too."""
    path = tmp_path / "journal"
    await start_a_run(path, "one")
    with pytest.raises(JournalError, match="no wave has ended"):
        await write_control(path, "approve")
    await end_a_wave(path, "one", 1, "d1")
    await write_control(path, "approve", wave=1, digest="d1")
    rejected = await write_control(path, "reject")
    await end_a_wave(path, "one", 2, "d2")
    approved = await write_control(path, "approve", wave=2)

    assert (await reader(path, "two", "one").poll()).decisions == {(1, "d1"): rejected, (2, "d2"): approved}
    with pytest.raises(JournalError, match="nothing to approve but wave 2"):
        await write_control(path, "approve", wave=1, digest="d1")
    with pytest.raises(ValueError, match="takes no wave"):
        await write_control(path, "pause", wave=1, digest="d")


@pytest.mark.parametrize("command", ["drain", "stop"])
async def test_without_a_run_there_is_nothing_to_stop(command: str, tmp_path: Path) -> None:
    """No journal, or one whose last run was killed or has ended: nothing is written for the next run to find."""
    path = tmp_path / "journal"
    for prepare in (None, start_a_run, end_a_run):
        if prepare is start_a_run:
            await start_a_run(path, "one")
        if prepare is end_a_run:
            await end_a_run(path)
        with pytest.raises(JournalError, match=f"nothing to {command}"):
            await write_control(path, "drain" if command == "drain" else "stop")

    assert not (tmp_path / "journal.control").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"{", b'{"sequence": "x"}\n', b'{"command":"explode","sequence":9}\n']
)
async def test_what_cannot_be_read_is_told_and_ignored(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a record, another file, an unknown command: a warning once, the readable lines count, and writing goes on."""
    path = tmp_path / "journal"
    await start_a_run(path, "one")
    pause = await write_control(path, "pause")
    with (tmp_path / "journal.control").open("ab") as file:
        file.write(content)
    mine = reader(path, "one")
    with caplog.at_level(logging.WARNING):
        states = [await mine.poll() for _ in range(3)]

    assert [state.pause for state in states] == [pause] * 3
    assert len(caplog.records) == bool(content)
    await write_control(path, "resume")
    assert not (await mine.poll()).paused


class SlowStore(FileJournalStore):
    """A store whose first answer comes when the test says so."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.read_one = asyncio.Event()
        self.answer_one = asyncio.Event()

    async def read_control(self, name: str) -> bytes | None:
        """Read at once, and answer the first time when the test says so."""
        content = await super().read_control(name)
        if not self.read_one.is_set():
            self.read_one.set()
            await self.answer_one.wait()
        return content


async def test_of_two_polls_that_overlap_the_one_that_began_later_counts(tmp_path: Path) -> None:
    """An answer from before a pause may come after one that has it."""
    path = tmp_path / "journal"
    await start_a_run(path, "one")
    store = SlowStore(tmp_path)
    mine = ControlReader(JournalLocation(store, "journal"), run="one")
    earlier = asyncio.create_task(mine.poll())
    await store.read_one.wait()
    await write_control(path, "pause")
    later = await mine.poll()
    store.answer_one.set()

    assert [state.paused for state in (later, await earlier, await mine.poll())] == [True] * 3


async def test_a_record_that_is_no_file_is_told_and_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An apply goes on, whatever stands where its control record should be."""
    path = tmp_path / "journal"
    await start_a_run(path, "one")
    (tmp_path / "journal.control").mkdir()
    mine = reader(path, "one")
    with caplog.at_level(logging.WARNING):
        states = [await mine.poll() for _ in range(3)]

    assert not any(state.paused for state in states)
    assert ["cannot read the control record" in record.getMessage() for record in caplog.records] == [True]
    with pytest.raises(JournalError, match="cannot"):
        await write_control(path, "pause")


@pytest.mark.parametrize("command,ending", [("drain", "drained"), ("stop", "stopped")])
async def test_a_running_apply_obeys(command: str, ending: str, tmp_path: Path) -> None:
    """Said from elsewhere while the first of five WorkSpaces deploys."""
    path, seconds = tmp_path / "journal", Seconds()
    async with site() as here:
        here.sim.fleet.add_workspaces(5)
        plan = await here.rollout.plan(manifest(max_in_flight=1))
        async with apply_of(here, plan, path, seconds) as run:
            async for event in run:
                if isinstance(event, Deployed) and len(seconds.asked) == 1:
                    await write_control(path, "drain" if command == "drain" else "stop")
                    await seconds.pass_by()

        assert run.result is not None
        assert run.result.ending == ending
        assert run.result.not_started >= 3
        assert set(seconds.asked) == {POLL_SECONDS}


async def test_a_paused_apply_starts_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    """A pause that an earlier run left holds from the first moment, and what runs is finished, not begun."""
    path, seconds = tmp_path / "journal", Seconds()
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        plan = await here.rollout.plan(manifest())
        await start_a_run(path, "one")
        await write_control(path, "pause", reason="change freeze")
        async with apply_of(here, plan, path, seconds) as run:
            assert "change freeze" in run.paused
            await here.clock.sleep(600)
            assert not [event for event in read_journal(path) if isinstance(event, Intent)]
            await write_control(path, "resume")
            await seconds.pass_by()
            assert run.paused == ""
            result = await run.finished()

    assert (result.ending, result.succeeded) == ("complete", 3)


@pytest.mark.parametrize("way", ["drain", "stop"])
async def test_a_paused_apply_can_be_ended(way: str, tmp_path: Path) -> None:
    """A pause keeps nobody from draining or stopping."""
    path, seconds = tmp_path / "journal", Seconds()
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        plan = await here.rollout.plan(manifest(max_in_flight=1))
        await write_control(path, "pause")
        async with asyncio.timeout(60), apply_of(here, plan, path, seconds) as run:
            await here.clock.sleep(10)
            (run.drain if way == "drain" else run.stop)()
            result = await run.finished()

    assert (result.ending, result.not_started) == ("drained" if way == "drain" else "stopped", 3)


def test_the_commands_write_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says what it wrote; one that would reach nobody fails with a line."""
    path = tmp_path / "office.journal"
    assert main(["pause", str(path)]) == ExitCode.USAGE
    asyncio.run(start_a_run(path, "one"))
    with path.open("r+b") as held:
        lock(held.fileno())
        codes = [
            main([command, str(path), "--reason", "lunch"])
            for command in ("pause", "resume", "drain", "stop")
        ]
    shown = capsys.readouterr()
    written = [json.loads(line) for line in (tmp_path / "office.journal.control").read_text().splitlines()]

    assert codes == [ExitCode.DONE] * 4
    assert [one["command"] for one in written] == ["pause", "resume", "drain", "stop"]
    assert shown.out.count("lunch") == 4
    assert f"there is no journal {path}" in shown.err
    assert main(["drain", str(path)]) == ExitCode.FAILED
    assert "its last one was broken off" in capsys.readouterr().err
    asyncio.run(end_a_run(path))
    assert main(["stop", str(path)]) == ExitCode.FAILED
    assert main(["pause", "redis://host/name"]) == ExitCode.USAGE
