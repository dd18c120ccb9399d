"""`apply` and `report`: carrying out, asking, and what is told; in simulated time, but for the signals."""

import asyncio
import io
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from tests.cli.fleet import OFFICE, environment, in_simulated_time, write_manifest
from tests.cli.process import COMMAND, FULL, PATIENCE, PYTHON_WITHIN_LIMITS, child_environment
from workspaces_apps.cli import main
from workspaces_apps.cli._apply import Settings, run
from workspaces_apps.cli._connection import journal_path
from workspaces_apps.cli._console import ExitCode, UsageError
from workspaces_apps.cli._options import Output
from workspaces_apps.rollout import Finished, Manifest, Plan, Started, read_journal
from workspaces_apps.rollout._journal.lines import to_line
from workspaces_apps.simulator import ScaledClock, Simulator, SimulatorSettings, Span


async def test_apply_installs_tells_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plan, waves, the end in words, the reports in the forms of their names, the journal."""
    manifest = Manifest.load(write_manifest(tmp_path, policy='canary = 1\nfailure_budget = "100%"'))
    journal, html, junit = tmp_path / "office.journal", tmp_path / "report.html", tmp_path / "report.xml"
    settings = Settings(journal=journal, reports=(html, junit), yes=True)

    async with in_simulated_time() as (sim, connection):
        code = await run(manifest, None, connection, settings)
        again = await run(manifest, None, connection, settings)
        installed = sum(OFFICE in names_of(sim, one) for one in sim.fleet)
    shown = capsys.readouterr()

    assert (code, again, shown.err) == (ExitCode.DONE, ExitCode.DONE, "")
    assert installed > 3
    assert "wave 1 of " in shown.out
    assert "All planned changes applied." in shown.out
    assert "There is nothing to do." in shown.out
    assert html.read_text().startswith("<!DOCTYPE html>")
    assert junit.read_text().startswith("<?xml")
    told = await asyncio.to_thread(main, ["report", str(journal), "--output", "json"])
    assert told == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["counts"]["succeeded"] > 0


@pytest.mark.parametrize(
    "suffix,beginning",
    [
        (".html", "<!DOCTYPE html>"),
        (".json", "{"),
        (".csv", "target,"),
        (".xml", "<?xml"),
        (".txt", "Roll-out office"),
    ],
)
async def test_a_report_has_the_form_of_its_file(suffix: str, beginning: str, tmp_path: Path) -> None:
    """Or the one that is asked for, on standard output; a journal that is none is told."""
    manifest = Manifest.load(write_manifest(tmp_path))
    journal, path = tmp_path / "office.journal", tmp_path / f"report{suffix}"
    async with in_simulated_time(2) as (_, connection):
        await run(manifest, None, connection, Settings(journal=journal, yes=True))

    arguments = ["report", str(journal), "--run", "last", "--to", str(path)]
    assert await asyncio.to_thread(main, arguments) == ExitCode.DONE
    assert path.read_text(encoding="utf-8-sig").startswith(beginning)
    assert await asyncio.to_thread(main, ["report", str(path)]) == ExitCode.FAILED


async def test_no_is_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal it is asked, and without a yes nothing is written."""
    manifest = Manifest.load(write_manifest(tmp_path))
    monkeypatch.setattr("typer.confirm", say_no)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stderr", Terminal())

    async with in_simulated_time() as (sim, connection):
        with pytest.raises(typer.Exit) as ended:
            await run(manifest, None, connection, Settings(journal=None))

    assert ended.value.exit_code == ExitCode.FAILED
    assert sim.requests.count(operation="AssociateWorkspaceApplication") == 0


def say_no(question: str, *, err: bool) -> bool:
    """Answer no, as `typer.confirm` does."""
    assert question.endswith("?")
    return not err


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


def names_of(sim: Simulator, workspace_id: str) -> Sequence[str]:
    """The names of what a WorkSpace has."""
    catalogue = {sim.fleet.application(OFFICE): OFFICE}
    return [catalogue.get(one, "") for one in sim.fleet.associations(workspace_id)]


async def test_failures_are_told_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, the reason in the summary, and nothing of the service's words steers the terminal."""
    manifest = Manifest.load(write_manifest(tmp_path, policy='retries = 0\nfailure_budget = "100%"'))

    async with in_simulated_time() as (sim, connection):
        (broken,) = sim.fleet.compatible(sim.fleet.application(OFFICE))
        sim.faults.add("deployment_error", workspace_id=broken, reason="Weird\x1b[2J", message="[red]x\x9b1m")
        code = await run(manifest, None, connection, Settings(journal=None, yes=True))
    shown = capsys.readouterr().out

    assert code == ExitCode.CHANGES
    assert f"failed: {broken}" in shown
    assert "failed: Weird" in shown
    assert {"\x1b", "\x9b"} & set(shown) == set()


async def test_a_spent_budget_has_its_exit_code(tmp_path: Path) -> None:
    """Too many failures in the canary end it with 3."""
    manifest = Manifest.load(write_manifest(tmp_path, policy="retries = 0\ncanary = 1\nfailure_budget = 0"))

    async with in_simulated_time() as (sim, connection):
        sim.faults.add("deployment_error")
        code = await run(manifest, None, connection, Settings(journal=None, yes=True))

    assert code == ExitCode.BUDGET_SPENT


async def test_events_are_json_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --output json, what is printed is what the journal gets, from started to finished."""
    manifest = Manifest.load(write_manifest(tmp_path))
    settings = Settings(journal=tmp_path / "office.journal", yes=True, output=Output.JSON)

    async with in_simulated_time() as (_, connection):
        await run(manifest, None, connection, settings)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert (lines[0]["kind"], lines[-1]["kind"]) == ("started", "finished")
    assert lines == [json.loads(line) for line in (tmp_path / "office.journal").read_text().splitlines()]


async def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither to the service nor to a journal; it needs no yes, and can still be reported."""
    manifest = Manifest.load(write_manifest(tmp_path))
    journal, report = tmp_path / "office.journal", tmp_path / "report.txt"

    async with in_simulated_time() as (sim, connection):
        code = await run(
            manifest, None, connection, Settings(journal=journal, reports=(report,), dry_run=True)
        )
        written = sim.requests.count(operation="AssociateWorkspaceApplication")

    assert (code, written, journal.exists()) == (ExitCode.DONE, 0, False)
    assert "It was a dry run" in capsys.readouterr().out or report.exists()


async def test_a_saved_plan_is_applied_without_its_manifest(tmp_path: Path) -> None:
    """One account and Region: the options say which."""
    manifest = Manifest.load(write_manifest(tmp_path))

    async with in_simulated_time() as (sim, connection):
        async with connection.client() as client:
            from workspaces_apps.rollout import Rollout

            plan = await Rollout(client).plan(manifest)
        plan.save(tmp_path / "plan.json")
        code = await run(
            None, Plan.load(tmp_path / "plan.json"), connection, Settings(journal=None, yes=True)
        )

    assert code == ExitCode.DONE
    assert sim.requests.count(operation="DeployWorkspaceApplications") == len(plan.pending)


async def test_without_a_terminal_yes_must_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can answer, so the service is not even asked; a dry run asks nothing."""
    monkeypatch.setattr("sys.stdin", None)
    manifest = Manifest.load(write_manifest(tmp_path))

    async with in_simulated_time() as (sim, connection):
        with pytest.raises(UsageError, match="--yes"):
            await run(manifest, None, connection, Settings(journal=None))
        calls = sim.requests.count()
        dry = await run(manifest, None, connection, Settings(journal=None, dry_run=True))

    assert (calls, dry) == (0, ExitCode.DONE)


def test_the_journal_is_named_after_the_rollout() -> None:
    """So that plan, apply and status of one manifest find the same one, and two roll-outs two."""
    assert journal_path(None, "Office 2021/EMEA") == "Office-2021-EMEA.journal"
    assert journal_path(None, "../..") == "rollout.journal"
    assert journal_path("mine", "x") == "mine"
    assert [journal_path(None, name) for name in ("東京", "大阪")] == ["東京.journal", "大阪.journal"]
    assert journal_path(None, "Bu\u0308ro") == journal_path(None, "Büro") == "Büro.journal"


def test_a_journal_of_a_former_name_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that of the roll-out, and only while it has none of today's name."""
    monkeypatch.chdir(tmp_path)
    about = {"at": datetime(2026, 1, 5, tzinfo=UTC), "run": "r", "target": "*"}
    started = Started.model_validate({**about, "name": "Büro", "plan": "p", "workspaces": 1, "changes": 1})
    Path("B-ro.journal").write_bytes(to_line(started))

    assert journal_path(None, "Büro") == "B-ro.journal"
    assert journal_path(None, "Bäro") == "Bäro.journal"
    Path("Büro.journal").touch()
    assert journal_path(None, "Büro") == "Büro.journal"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
@pytest.mark.parametrize(
    "signals,code,ending",
    [
        ([signal.SIGINT], ExitCode.DRAINED, "drained"),
        ([signal.SIGTERM, signal.SIGINT], ExitCode.STOPPED, "stopped"),
    ],
    ids=["once", "twice"],
)
def test_asked_to_end_it_drains_and_asked_again_it_stops(
    signals: Sequence[signal.Signals], code: ExitCode, ending: str, tmp_path: Path
) -> None:
    """Once: what has begun ends, nothing more begins. Twice: it is over at once. Both are in the journal."""
    manifest = write_manifest(tmp_path, policy='canary = 1\nmax_in_flight = 1\ndeployment_timeout = "1h"')
    settings = SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(3600, 3600))
    clock = ScaledClock(1)
    with Simulator.in_thread(
        workspaces=10, throttle=None, settings=settings, clock=clock, verify_signatures=False
    ) as sim:
        process = subprocess.Popen(
            [*COMMAND, "apply", str(manifest), "--yes", "--output", "json"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=child_environment(environment(sim)),
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert any('"kind":"deployed"' in line for line in process.stdout)
        process.send_signal(signals[0])
        err = next(line for line in process.stderr if "draining" in line)
        for number in signals[1:]:
            process.send_signal(number)
        if ending == "drained":
            # However long it took until now, the deployment had not ended.
            clock.catch_up(clock.timestamp() + 3600)
        _, rest = process.communicate(timeout=PATIENCE)
        err += rest

    last = read_journal(tmp_path / "office.journal")[-1]
    assert isinstance(last, Finished)
    assert (process.returncode, last.ending) == (code, ending)
    assert "draining: no new deployments start" in err
    assert "Traceback" not in err
    assert sim.requests.count(operation="DeployWorkspaceApplications") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no limit of a file's size")
def test_a_full_disk_ends_an_apply_and_nothing_is_done_twice(tmp_path: Path) -> None:
    """A change that cannot be recorded is not begun; with room again, the same command goes on."""
    # Lifted again at the end: what measures coverage writes then.
    limit = (
        "import resource, sys; most = resource.getrlimit(resource.RLIMIT_FSIZE)[1];"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, most));"
        "from workspaces_apps.cli import main; code = main(sys.argv[1:]);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)); sys.exit(code)"
    )
    arguments = ("apply", str(write_manifest(tmp_path)), "--yes", "--journal", str(tmp_path / "full.journal"))
    settings = SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(0, 0))
    with Simulator.in_thread(workspaces=20, throttle=None, settings=settings) as sim:
        ended = [
            subprocess.run(
                [*command, *arguments],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
                env=child_environment(environment(sim)),
            )
            for command in ((*PYTHON_WITHIN_LIMITS, "-c", limit), COMMAND)
        ]
        deployed = [
            str((request.parameters or {})["WorkspaceId"])
            for request in sim.requests
            if request.operation == "DeployWorkspaceApplications"
        ]

    assert [one.returncode for one in ended] == [ExitCode.FAILED, ExitCode.DONE]
    assert "cannot write to the journal" in ended[0].stderr
    assert "applying again goes on with it" in ended[0].stderr
    assert "Traceback" not in ended[0].stderr
    assert len(deployed) == len(set(deployed)) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipes of this kind")
@pytest.mark.parametrize("stderr", [subprocess.PIPE, subprocess.STDOUT], ids=["output", "both"])
def test_an_apply_whose_reader_leaves_comes_to_its_end(stderr: int, tmp_path: Path) -> None:
    """A log collector that is restarted ends no roll-out, also where it read both streams."""
    manifest = write_manifest(tmp_path)
    settings = SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(0, 0))
    with Simulator.in_thread(workspaces=10, throttle=None, settings=settings) as sim:
        process = subprocess.Popen(
            [*COMMAND, "apply", str(manifest), "--yes", "--output", "json"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=child_environment(environment(sim)),
        )
        assert process.stdout is not None
        assert any('"kind":"deployed"' in line for line in process.stdout)
        process.stdout.close()
        with process:
            said = process.stderr.read() if process.stderr is not None else ""
            assert process.wait(PATIENCE) == ExitCode.DONE

    last = read_journal(tmp_path / "office.journal")[-1]
    assert isinstance(last, Finished)
    assert last.ending == "complete"
    assert said.count("nobody reads the output any more") == (stderr == subprocess.PIPE)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("output", ["text", "json"])
def test_an_apply_whose_log_is_on_a_full_disk_comes_to_its_end(output: str, tmp_path: Path) -> None:
    """The journal has all of it; what is lost is told, and is an exit code of its own."""
    manifest = write_manifest(tmp_path)
    settings = SimulatorSettings(pending_delay=Span(0, 0), install_duration=Span(0, 0))
    with Simulator.in_thread(workspaces=3, throttle=None, settings=settings) as sim, FULL.open("w") as full:
        ended = subprocess.run(
            [*COMMAND, "apply", str(manifest), "--yes", "--output", output],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=child_environment(environment(sim)),
            timeout=PATIENCE,
            check=False,
        )
    last = read_journal(tmp_path / "office.journal")[-1]

    assert isinstance(last, Finished)
    assert (last.ending, ended.returncode) == ("complete", ExitCode.FAILED)
    lost = "workspaces-apps: standard output: No space left on device; the rest of it is left out"
    assert ended.stderr.splitlines().count(lost) == 1
