"""Programs of somebody else's: what they are told, what their exit codes mean, and that nothing is left of them."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fleet import write_manifest
from workspaces_apps._base.clock import SystemClock, timeout
from workspaces_apps.cli import main
from workspaces_apps.cli._apply import Settings, run
from workspaces_apps.cli._connection import ConnectionOptions
from workspaces_apps.cli._console import ExitCode, UsageError
from workspaces_apps.cli._programs import (
    OUTPUT_LIMIT,
    Approver,
    ProgramFailed,
    program_hook,
    run_program,
    words_of,
)
from workspaces_apps.cli._progress import Board
from workspaces_apps.rollout import (
    ApprovalRequested,
    Approved,
    DeployNotice,
    Estimate,
    Manifest,
    NoticeAnswer,
    Plan,
    Policy,
    Postpone,
    Proceed,
    Rejected,
    Skip,
    Skipped,
    read_journal,
)
from workspaces_apps.simulator import ManualClock, ScaledClock, Simulator, SimulatorSettings, Span

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
NOTICE = DeployNotice(
    target="default",
    workspace_id="ws-1",
    user_name="Zoë",
    directions={"wsa-1": "install"},
    application_names={"wsa-1": "Office"},
    planned_at=NOW,
    attempt=1,
    run="r",
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs of these tests are of a shell")


def shell(script: str) -> tuple[str, ...]:
    """A program of one line."""
    return "/bin/sh", "-c", script


async def test_a_program_is_told_in_json() -> None:
    """One line on standard input, with the attributes of the notice by their names."""
    ended = await run_program(shell("cat"), {"user_name": "Zoë"})

    assert json.loads(ended.output) == {"user_name": "Zoë"}
    assert ended.code == 0


@pytest.mark.parametrize(
    "script, answer",
    [
        ("exit 0", Proceed()),
        ("exit 75", Postpone(NOW + timedelta(minutes=15))),
        ("echo 90; exit 75", Postpone(NOW + timedelta(seconds=90))),
        ("echo 0; exit 75", Postpone(NOW + timedelta(seconds=60))),
        ("echo 0.001; exit 75", Postpone(NOW + timedelta(seconds=60))),
        ("echo on leave; exit 69", Skip("on leave")),
        ("exit 69", Skip("")),
    ],
)
async def test_the_exit_code_is_the_answer(script: str, answer: NoticeAnswer) -> None:
    """Those of sysexits.h: 0, EX_TEMPFAIL and EX_UNAVAILABLE."""
    assert await program_hook(shell(script), lambda: NOW)(NOTICE) == answer


@pytest.mark.parametrize(
    "script, message",
    [
        ("echo no mail server >&2; exit 1", "exit code 1: no mail server"),
        ("kill -9 $$", "exit code -9"),
        ("echo soon; exit 75", "'soon', not seconds"),
        ("echo -5; exit 75", "'-5', not seconds"),
        ("echo nan; exit 75", "'nan', not seconds"),
    ],
)
async def test_anything_else_is_a_failure(script: str, message: str) -> None:
    """Told with what the program said last."""
    with pytest.raises(ProgramFailed, match=message):
        await program_hook(shell(script), lambda: NOW)(NOTICE)


async def test_what_a_program_prints_is_bounded() -> None:
    """Only 64 kB of a megabyte are kept, and the program is not stopped by a full pipe."""
    ended = await run_program(shell("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; exit 3"), {})

    assert (len(ended.output), len(ended.errors), ended.code) == (OUTPUT_LIMIT, OUTPUT_LIMIT, 3)


async def test_a_program_need_not_read_what_it_is_told() -> None:
    """A pipe that is closed at its other end is no failure."""
    assert (await run_program(shell("exec <&-; exit 0"), {"much": "x" * 200_000})).code == 0


async def test_at_the_limit_the_whole_group_is_killed(tmp_path: Path) -> None:
    """The processes that the program has started end too."""
    path = tmp_path / "pid"
    # What it is told has been read to its end: it runs for sure, however long it took to start.
    script = f"cat > /dev/null; sleep 600 & echo $! > {path}.part; mv {path}.part {path}; wait"
    clock = ManualClock()

    async def limited() -> None:
        async with timeout(clock, 60):
            await run_program(shell(script), {})

    running = asyncio.create_task(limited())
    async with asyncio.timeout(60):
        # Another process makes it, and ends: no event of this one tells.
        while not path.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        clock.jump(61)
        with pytest.raises(TimeoutError):
            await running
        child = int(path.read_text())
        while _runs(child):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("turns", range(6))
async def test_a_program_that_is_cancelled_while_it_starts_is_killed(turns: int) -> None:
    """Whatever it has started by then, and whatever that keeps open."""
    running = asyncio.create_task(run_program(shell("sleep 600 & wait"), {}))
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()

    done, _ = await asyncio.wait([running], timeout=60)

    assert done
    assert running.cancelled()


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    # Nobody need have waited for what is dead.
    return state != "Z"


async def test_a_child_that_stays_does_not_hold_the_answer_up() -> None:
    """A program may leave something running that keeps its output open."""
    async with asyncio.timeout(60):
        ended = await run_program(shell("echo 5; sleep 90 & exit 75"), {})

    assert ended.seconds() == 5


@pytest.mark.parametrize(
    "command, message",
    [("", "needs a command"), ("'", "quotation"), ("no-such-program -x", "no program no-such-program")],
)
def test_a_command_that_cannot_be_run_is_told_before_the_first_call(command: str, message: str) -> None:
    """The words are those of a shell, without a shell."""
    with pytest.raises(UsageError, match=message):
        words_of(command, "--before-deploy")


HOOK_TIMEOUT = 24_000.0
"""Seconds of quick time, so that a busy machine has four minutes for a program."""


@asynccontextmanager
async def in_quick_time(workspaces: int) -> AsyncGenerator[tuple[Simulator, ConnectionOptions]]:
    """A fleet in time that runs a hundred times as fast: programs take real time."""
    clock = ScaledClock(100)
    settings = SimulatorSettings(pending_delay=Span(1, 1), install_duration=Span(5, 10))
    async with Simulator(workspaces=0, throttle=None, settings=settings, clock=clock) as sim:
        sim.fleet.add_workspaces(workspaces)
        yield (
            sim,
            ConnectionOptions(
                region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=clock
            ),
        )


async def test_a_command_before_each_deployment(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It hears of every WorkSpace and may leave one out; no shell looks at its arguments."""
    manifest = Manifest.load(write_manifest(tmp_path))
    journal, told = tmp_path / "j", tmp_path / "told $HOME"
    program = tmp_path / "program"
    program.write_text(
        '#!/bin/sh\ntold=$(cat)\necho "$told" >> "$1"\n'
        'case "$told" in *"$2"*) echo leave; exit 69;; esac\nexit 0\n'
    )
    program.chmod(0o700)
    async with in_quick_time(3) as (sim, connection):
        words = words_of(f"{program} '{told}' {next(iter(sim.fleet))}", "--before-deploy")
        settings = Settings(journal=journal, yes=True, before_deploy=words, hook_timeout=HOOK_TIMEOUT)
        code = await run(manifest, None, connection, settings)
    capfd.readouterr()
    heard = [json.loads(line) for line in told.read_text().splitlines()]
    skipped = {event.reason for event in read_journal(journal) if isinstance(event, Skipped)}

    assert code == ExitCode.CHANGES
    assert len(heard) == 3
    assert heard[0].keys() == {one.name for one in fields(DeployNotice)}
    assert skipped == {"leave"}


@pytest.mark.parametrize("code, ending", [(0, ExitCode.DONE), (1, ExitCode.DRAINED)])
async def test_a_wave_check_decides(
    code: int, ending: ExitCode, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 approves the canary; anything else rejects it, and what it prints is the reason."""
    manifest = Manifest.load(write_manifest(tmp_path, policy='canary = 1\napproval = "canary"'))
    async with in_quick_time(3) as (_, connection):
        settings = Settings(
            journal=tmp_path / "j", yes=True, wave_check=shell(f"cat; exit {code}"), hook_timeout=HOOK_TIMEOUT
        )
        assert await run(manifest, None, connection, settings) == ending
    shown = capfd.readouterr().out
    (said,) = [event for event in read_journal(tmp_path / "j") if isinstance(event, Approved | Rejected)]

    assert isinstance(said, Rejected) is bool(code)
    assert "wave 1 has ended: waiting for approval: workspaces-apps approve" in shown
    assert json.loads(said.reason)["wave"] == 1


async def test_a_check_ends_with_the_wave_that_somebody_else_decided() -> None:
    """It does not decide about the next wave, which it knows nothing of."""
    decided: list[int | None] = []

    class Waves:
        def approve(self, wave: int | None = None, **_: str) -> None:
            decided.append(wave)

    apply: Any = Waves()
    about: Any = {"run": "r", "at": datetime(2026, 1, 5, tzinfo=UTC), "target": "*", "wave": 1, "digest": "d"}
    estimate = Estimate(calls=0, seconds=0.0, rate=1.0, rate_is_learned=False, deployment_seconds=900.0)
    plan = Plan(
        name="x",
        created=datetime(2026, 1, 5, tzinfo=UTC),
        policy=Policy(),
        targets=(),
        workspaces=(),
        estimate=estimate,
    )
    board, check = Board(plan, SystemClock().now), shell("echo 0.1; exit 75")
    async with Approver(apply, board, SystemClock(), check=check, check_timeout=60.0, asks=False) as approver:
        approver.hear(ApprovalRequested(**about, workspaces=1))
        await asyncio.sleep(0)
        approver.hear(Approved(**about, who="ann"))
        _, going_on = await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=240)

    assert (decided, going_on) == ([], set())


def test_a_wave_check_without_approvals_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody would ever run it."""
    manifest = write_manifest(tmp_path)

    assert main(["apply", str(manifest), "--yes", "--wave-check", "/bin/true"]) == ExitCode.USAGE
    assert "--wave-check needs approval" in capsys.readouterr().err


def test_approve_needs_a_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No journal is a mistake of the command line; nothing is made of it."""
    for command in ("approve", "reject"):
        assert main([command, str(tmp_path / "none")]) == ExitCode.USAGE
    assert "there is no journal" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
