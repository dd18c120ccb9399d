"""The progress of a reading, as lines and as a drawing, by a clock that the test moves."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.fleet import in_environment, in_simulated_time, write_manifest
from workspaces_apps._telemetry.port import AttemptRecord, ThrottleRecord
from workspaces_apps.cli import main
from workspaces_apps.cli._apply import Settings, run
from workspaces_apps.cli._console import ExitCode
from workspaces_apps.cli._live import EVERY, CallCounter, reading, reading_progress
from workspaces_apps.rollout import Manifest
from workspaces_apps.simulator import Simulator


class Watch:
    """Seconds that the test moves on."""

    time = 0.0

    def monotonic(self) -> float:
        """The time it was set to."""
        return self.time


@pytest.fixture
def watch() -> Watch:
    """A clock at the beginning."""
    return Watch()


def call(traffic: CallCounter, operation: str) -> None:
    """A request that is answered well."""
    assert traffic.hooks.on_attempt is not None
    traffic.hooks.on_attempt(AttemptRecord(operation=operation, attempt=1, elapsed=0.1, outcome="success"))


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulator]:
    """A fleet that commands find in the environment; they run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    with in_environment(monkeypatch) as simulator:
        yield simulator


def test_a_long_reading_is_told_every_so_often(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe, a line on standard error says how long, how many calls of what, and what is asked now."""
    traffic = CallCounter(watch.monotonic)
    with reading(traffic):
        for second in range(1, 96):
            watch.time = float(second)
            call(traffic, "DescribeWorkspaces" if second < 40 else "DescribeTags")
    call(traffic, "DescribeTags")
    shown = capsys.readouterr()

    assert (shown.out, shown.err.count("\n"), EVERY) == ("", 3, 30.0)
    assert shown.err.splitlines()[1] == (
        "workspaces-apps: reading for 1m00s: 60 calls, 1.0/s, 0 throttled"
        "; DescribeWorkspaces 39, DescribeTags 21; now DescribeTags"
    )


def test_a_short_reading_is_not_told(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written about what is over before anybody wonders."""
    traffic = CallCounter(watch.monotonic)
    with reading(traffic):
        watch.time = EVERY - 1
        call(traffic, "DescribeWorkspaces")

    assert tuple(capsys.readouterr()) == ("", "")


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_terminal_sees_each_operation(width: int, watch: Watch) -> None:
    """A line for the whole, one for each operation with the rate that it is held to; all of them fit."""
    traffic = CallCounter(watch.monotonic)
    watch.time = 80.0
    for operation in ("DescribeWorkspaces", "DescribeTags", "DescribeTags"):
        call(traffic, operation)
    assert traffic.hooks.on_throttle is not None
    traffic.hooks.on_throttle(ThrottleRecord(operation="DescribeTags", attempt=1, rate=2.0))
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(reading_progress(traffic))
    first, *others = (line.rstrip() for line in captured.get().splitlines())

    assert first.startswith("reading  1m20s  3 calls, ")
    assert others == ["> DescribeTags: 2 calls, rate-limited to 2.0/s", "  DescribeWorkspaces: 1 call"]
    assert max(map(len, (first, *others))) <= width


@pytest.mark.parametrize(
    "command",
    [
        ["plan", "fleet.toml", "--output", "json"],
        ["status", "fleet.toml", "--output", "json"],
        ["watch", "fleet.toml", "--count", "1", "--output", "json"],
        ["list", "workspaces", "--output", "json"],
    ],
)
def test_every_command_that_reads_shows_it_on_a_terminal(
    command: list[str], sim: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is drawn on standard error and gone in the end; standard output has the document alone."""
    write_manifest(Path())
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, _environ={"TERM": "xterm"})
    monkeypatch.setattr("workspaces_apps.cli._live.err", lambda: console)

    main(command)

    assert json.loads(capsys.readouterr().out)
    assert "DescribeWorkspaces: 1 call" in file.getvalue()
    assert file.getvalue().endswith("\x1b[2K")
    assert sim.requests.count() > 0


async def test_the_calls_of_an_apply_are_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Calls made for its plan are not counted again: its lines and its summary agree."""
    manifest = Manifest.load(write_manifest(tmp_path))
    async with in_simulated_time(2) as (_, connection):
        code = await run(manifest, None, connection, Settings(journal=None, yes=True))
    shown = capsys.readouterr().out.splitlines()
    (last,) = [line for line in shown if "0 deploying, 0 waiting" in line]
    (summary,) = [line for line in shown if " succeeded, " in line]

    assert code == ExitCode.DONE
    assert last.partition("; ")[2].split(" calls")[0] == summary.partition("; ")[2].split(" calls")[0]
