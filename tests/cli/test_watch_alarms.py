"""`watch --on-change` and `--metrics`: only what changed is told, and a file that is whole at any moment."""

import json
import re
import stat
import sys
from pathlib import Path

import pytest

from tests.cli.fleet import OFFICE, in_simulated_time, write_manifest
from workspaces_apps.cli import main
from workspaces_apps.cli._console import ExitCode
from workspaces_apps.cli._options import Output
from workspaces_apps.cli._status import Alarms, Watching, rendered
from workspaces_apps.rollout import Manifest, Rollout

TELL = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
"""A program that keeps what it is told."""

SAMPLE = re.compile(r'[a-z_]+\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)+\} -?\d[\d.e+]*\Z')


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(one.name for one in folder.iterdir())


async def test_only_what_changed_is_told(tmp_path: Path) -> None:
    """At first all that is out of sync; then nothing; then what was repaired; and the exit code is that of status."""
    told = tmp_path / "told"
    async with in_simulated_time(0) as (sim, connection):
        first, second = sim.fleet.add_workspaces(2, operating_system="WINDOWS_11")
        office = sim.fleet.application(OFFICE)

        def repair() -> None:
            if sim.requests.count(operation="DescribeApplications") == 3:
                sim.fleet.set_association(first, office, "COMPLETED")

        class Repairing(Alarms):
            async def tell(self, status: object) -> None:
                await super().tell(status)  # type: ignore[arg-type]  # a status
                repair()

        watching = Watching(
            Manifest.load(write_manifest(tmp_path)),
            connection,
            str(tmp_path / "j"),
            60.0,
            False,
            5,
            Output.TEXT,
            alarms=Repairing(
                on_change=(sys.executable, "-c", TELL, str(told)), metrics=tmp_path / "fleet.prom"
            ),
        )
        code = await watching.run()
    documents = [json.loads(line) for line in told.read_text().splitlines()]

    assert code == ExitCode.CHANGES
    assert [[one["workspace_id"] for one in each["changed"]] for each in documents] == [
        [first, second],
        [first],
    ]
    assert [one["before"] for one in documents[0]["changed"]] == [None, None]
    assert documents[1]["changed"][0]["application"] == OFFICE
    assert "workspaces_apps_workspaces_out_of_sync" in (tmp_path / "fleet.prom").read_text()


async def test_metrics_are_openmetrics_with_every_name_escaped(tmp_path: Path) -> None:
    """Each sample of a family that was declared, whatever a name holds; readable by others; none left behind."""
    async with in_simulated_time(2) as (_, connection):
        async with connection.client() as client:
            manifest = Manifest.load(write_manifest(tmp_path, name='a "b" \\ c'))
            status = await Rollout(client).status(manifest)
        alarms = Alarms(metrics=tmp_path / "x.prom")
        await alarms.tell(status)
        whole = (tmp_path / "x.prom").read_text()
        alarms.unanswered("x", status.plan.created)
        failed = (tmp_path / "x.prom").read_text()

    samples = [line for line in whole.splitlines() if not line.startswith("#")]
    declared = set(re.findall(r"# TYPE (\S+) gauge", whole))
    assert samples
    assert all(SAMPLE.match(line) for line in samples)
    assert {line.partition("{")[0] for line in samples} <= declared
    assert whole.endswith("# EOF\n")
    assert 'workspaces_apps_poll_success{rollout="x"} 0' in failed
    assert len(failed.splitlines()) == len(whole.splitlines())
    assert names_in(tmp_path) == ["fleet.toml", "x.prom"]
    assert (tmp_path / "x.prom").stat().st_mode & stat.S_IROTH


async def test_a_program_that_fails_or_hangs_is_told_and_the_watch_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is killed at the limit; a metrics file that cannot be written is told too."""
    async with in_simulated_time(1) as (_, connection), connection.client() as client:
        status = await Rollout(client).status(Manifest.load(write_manifest(tmp_path)))
    code = (sys.executable, "-c", "import sys; sys.exit('no mail server')")
    await Alarms(on_change=code, metrics=tmp_path / "absent" / "x").tell(status)
    await Alarms(on_change=(sys.executable, "-c", "import time; time.sleep(60)"), hook_timeout=0.2).tell(
        status
    )
    shown = capsys.readouterr().err

    assert "--on-change: exit code 1: no mail server" in shown
    assert "killed, because it took longer than 0.2 s" in shown
    assert "--metrics: cannot write" in shown


@pytest.mark.parametrize(
    "arguments",
    [["--metrics", "absent/x.prom"], ["--on-change", "no-such-program-at-all"], ["--on-change", "'"]],
)
def test_what_cannot_work_is_refused_before_the_first_poll(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line; no call is made, so no credentials are looked for."""
    monkeypatch.chdir(tmp_path)

    assert main(["watch", str(write_manifest(tmp_path)), *arguments]) == ExitCode.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_before_any_answer_there_are_metrics_too() -> None:
    """They tell of the poll alone."""
    from datetime import UTC, datetime

    text = rendered("x", None, at=datetime(2026, 1, 5, tzinfo=UTC), answered=False)

    assert 'workspaces_apps_poll_timestamp_seconds{rollout="x"} 1767571200.000' in text
