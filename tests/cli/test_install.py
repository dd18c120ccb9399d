"""`install` and `uninstall` on a few WorkSpaces, and listings on a narrow terminal."""

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from tests.cli.fleet import OFFICE, VISIO, in_simulated_time
from workspaces_apps.cli._console import ExitCode, UsageError
from workspaces_apps.cli._formats import show
from workspaces_apps.cli._install import Doing, Task, run
from workspaces_apps.cli._options import Output
from workspaces_apps.rollout import ManifestError


def task(
    *workspaces: str, doing: Doing = "install", output: Output = Output.TEXT, retry: bool = False
) -> Task:
    """Office on these WorkSpaces."""
    return Task(
        doing=doing,
        applications=("office ltsc professional plus 2021",),
        workspaces=workspaces,
        minutes=60,
        include_staged=False,
        retry_failed=retry,
        yes=True,
        output=output,
    )


async def test_install_and_uninstall_follow_each_state(capsys: pytest.CaptureFixture[str]) -> None:
    """By a few words of its name, on several WorkSpaces at once; the second time there is nothing to do."""
    async with in_simulated_time() as (sim, connection):
        office = sim.fleet.application(OFFICE)
        first, second = sim.fleet.compatible(office, 2)
        codes = [await run(connection, task(first, second, doing=doing)) for doing in ("install", "install")]
        installed = sim.fleet.associations(first)[office]
        codes.append(await run(connection, task(first, doing="uninstall")))
        removed = office not in sim.fleet.associations(first)
    shown = capsys.readouterr().out

    assert (codes, installed, removed) == ([ExitCode.DONE] * 3, "COMPLETED", True)
    assert f"install {OFFICE} on 2 WorkSpaces" in shown
    assert f"{first}  COMPLETED " in shown
    assert "installed on 0, installed before on 2, failed on 0 of 2 WorkSpaces" in shown
    assert "uninstalled on 1," in shown


async def test_one_that_fails_does_not_hinder_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and a document that says what became of each."""
    async with in_simulated_time() as (sim, connection):
        office = sim.fleet.application(OFFICE)
        good, bad = sim.fleet.compatible(office, 2)
        sim.faults.add(
            "deployment_error", workspace_id=bad, reason="DeploymentError.UnhealthyStateError", times=1
        )
        code = await run(connection, task(good, bad, "ws-nowhere00", output=Output.JSON))
        document = json.loads(capsys.readouterr().out)
        mended = await run(connection, task(bad, retry=True))

    by_id = {entry["workspace_id"]: entry for entry in document["workspaces"]}
    assert (code, mended) == (ExitCode.FAILED, ExitCode.DONE)
    assert (document["format"], document["doing"], document["applications"]) == (
        1,
        "install",
        {office: OFFICE},
    )
    assert by_id[good]["outcome"] == "done"
    assert by_id[bad]["failed"][0]["reason"] == "DeploymentError.UnhealthyStateError"
    assert by_id["ws-nowhere00"]["error_type"] == "WaiterError"
    assert "does not exist" in by_id["ws-nowhere00"]["error"]


@pytest.mark.parametrize("output", [Output.TEXT, Output.JSON])
async def test_it_tells_what_a_refused_job_has_taken_back(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of a refused installation must not stay staged unseen."""
    async with in_simulated_time() as (sim, connection):
        office, visio = sim.fleet.application(OFFICE), sim.fleet.application(VISIO)
        (desktop,) = sim.fleet.compatible(office)
        sim.faults.add(
            "error", code="AccessDeniedException", operation="AssociateWorkspaceApplication", skip=1
        )
        both = replace(task(desktop, output=output), applications=(OFFICE, VISIO))
        code = await run(connection, both)
        left = sim.fleet.associations(desktop)
    shown = capsys.readouterr().out

    assert (code, office in left, visio in left) == (ExitCode.FAILED, False, False)
    assert "was taken back" in shown
    if output is Output.JSON:
        assert office in json.loads(shown)["workspaces"][0]["notes"][0]


@pytest.mark.parametrize("width", [60, 120])
async def test_on_a_terminal_every_workspace_has_its_word(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that failed before it was seen in any state; and no id in an error is broken in two."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, _environ={"TERM": "xterm"})
    monkeypatch.setattr("workspaces_apps.cli._install.out", lambda: console)
    async with in_simulated_time() as (sim, connection):
        (good,) = sim.fleet.compatible(sim.fleet.application(OFFICE))
        await run(connection, task(good, "ws-nowhere00"))
        request_id = next(one.request_id for one in sim.requests if one.status == 400)
    end = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue()).rpartition("WorkSpace  ")[2]

    assert [line.split()[1:3] for line in end.splitlines() if line.startswith("ws-nowhere00  ")] == [
        ["✗", "failed"]
    ]
    assert request_id in end


async def test_without_a_terminal_yes_must_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can answer, so the service is not even asked what the names mean."""
    monkeypatch.setattr("sys.stdin", None)
    async with in_simulated_time() as (sim, connection):
        with pytest.raises(UsageError, match="--yes"):
            await run(connection, replace(task("ws-nowhere00"), yes=False))

    assert sim.requests.count() == 0


async def test_every_name_that_means_none_or_several_is_told() -> None:
    """All at once, and nothing is staged."""
    async with in_simulated_time() as (sim, connection):
        wanted = Task(
            doing="install",
            applications=("visio", "no such thing", "wsa-x"),
            workspaces=(next(iter(sim.fleet)),),
            minutes=60,
            include_staged=False,
            retry_failed=False,
            yes=True,
            output=Output.TEXT,
        )
        with pytest.raises(ManifestError) as caught:
            await run(connection, wanted)
        operations = {request.operation for request in sim.requests}

    assert len(caught.value.mistakes) == 3
    assert VISIO in str(caught.value)
    assert operations == {"DescribeApplications"}


def test_names_that_differ_at_their_end_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a narrow terminal a long cell takes several lines, below itself, and no word of it is lost."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=60, markup=False)
    monkeypatch.setattr("workspaces_apps.cli._formats.out", lambda: console)
    names = [f"Microsoft Office LTSC Professional Plus {year}" for year in (2021, 2024)]

    show(
        Output.TEXT,
        "Applications",
        [],
        ("id", "name", "state"),
        [(f"wsa-{number}23456789", name, "AVAILABLE") for number, name in enumerate(names)],
    )

    assert file.getvalue().splitlines() == [
        "id             name                                state",
        "wsa-023456789  Microsoft Office LTSC Professional  AVAILABLE",
        "               Plus 2021",
        "wsa-123456789  Microsoft Office LTSC Professional  AVAILABLE",
        "               Plus 2024",
        "2 applications",
    ]


@pytest.mark.parametrize("width,titles", [(200, 3), (40, 2), (20, 2)])
def test_a_listing_fits_a_narrow_terminal(width: int, titles: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that can be spared are left out, the rest is cut, and no text steers the terminal."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=width, markup=False)
    monkeypatch.setattr("workspaces_apps.cli._formats.out", lambda: console)
    rows = [("ws-0123456789", "ERROR", "much \x1b[2J[bold]" * 3), ("ws-1", None, "\u202eless")]

    show(Output.TEXT, "Workspaces", [], ("id", "state", "remark"), rows, spare=("remark",))
    lines = file.getvalue().splitlines()

    assert len(lines[0].split()) == titles
    assert [line for line in lines if len(line) > width] == []
    assert {"\x1b", "\u202e"} & set(file.getvalue()) == set()
    assert lines[-1] == "2 WorkSpaces"
