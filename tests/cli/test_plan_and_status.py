"""`plan`, `status`, `watch` and `list` against a simulator, over real HTTP."""

import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.fleet import OFFICE, VISIO, in_environment, run_json, write_manifest
from workspaces_apps._base.clock import SystemClock
from workspaces_apps.cli import main
from workspaces_apps.cli._console import ExitCode
from workspaces_apps.rollout import Plan, Started
from workspaces_apps.rollout._journal.lines import to_line
from workspaces_apps.simulator import Simulator


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Simulator]:
    """A fleet that commands find in the environment; they run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    with in_environment(monkeypatch) as simulator:
        yield simulator


def install_everywhere(sim: Simulator, application: str) -> None:
    """Let every WorkSpace that there is have the application."""
    for workspace_id in sim.fleet:
        sim.fleet.set_association(workspace_id, sim.fleet.application(application), "COMPLETED")


def test_a_plan_says_what_would_happen_and_exits_with_2(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts, reasons and cost are there, and nothing is written."""
    code = main(["plan", str(write_manifest(tmp_path))])
    shown = capsys.readouterr()

    assert (code, shown.err) == (ExitCode.CHANGES, "")
    assert re.search(r"^Office LTSC Professional Plus 2021 +\d+ +\d+", shown.out, re.MULTILINE)
    assert "operating-system: such as ws-" in shown.out
    assert "An apply makes about" in shown.out
    assert {request.operation for request in sim.requests if request.operation} <= {
        "DescribeApplications",
        "DescribeWorkspaces",
        "DescribeApplicationAssociations",
        "DescribeWorkspaceAssociations",
    }


def test_a_plan_without_anything_to_do_exits_with_0(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so."""
    install_everywhere(sim, OFFICE)

    code = main(["plan", str(write_manifest(tmp_path))])

    assert (code, "There is nothing to do." in capsys.readouterr().out) == (ExitCode.DONE, True)


def test_a_saved_plan_is_shown_again_without_a_call(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same screen, the same exit code, no request."""
    saved = str(tmp_path / "plan.json")
    first = main(["plan", str(write_manifest(tmp_path)), "--save", saved, "--details"])
    before, calls = capsys.readouterr().out, sim.requests.count()

    again = main(["plan", "--show", saved, "--details"])

    assert (first, again) == (ExitCode.CHANGES, ExitCode.CHANGES)
    assert capsys.readouterr().out == before
    assert sim.requests.count() == calls
    assert len(re.findall(r"^ws-", before, re.MULTILINE)) == len(sim.fleet)


def test_the_json_of_a_plan_is_a_plan_that_can_be_applied(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The JSON of `--output json` is that of `--save`."""
    manifest = str(write_manifest(tmp_path))

    code, document = run_json(capsys, "plan", manifest, "--save", str(tmp_path / "plan.json"))

    assert code == ExitCode.CHANGES
    assert document == json.loads((tmp_path / "plan.json").read_text())
    assert len(Plan.from_json(json.dumps(document)).workspaces) == len(sim.fleet)


def test_a_plan_is_compared_with_an_older_one(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what has become different is told, to people and to programs."""
    manifest, saved = str(write_manifest(tmp_path)), str(tmp_path / "plan.json")
    main(["plan", manifest, "--save", saved])
    (changed,) = sim.fleet.compatible(sim.fleet.application(OFFICE))
    sim.fleet.set_association(changed, sim.fleet.application(OFFICE), "COMPLETED")
    capsys.readouterr()

    main(["plan", manifest, "--diff", saved])
    told = capsys.readouterr().out.splitlines()
    code, document = run_json(capsys, "plan", manifest, "--diff", saved)

    where = f"{changed} {sim.fleet.workspace(changed).user_name}"
    assert told == ["Since the older plan:", f"  ~ {where}  nothing to do  {OFFICE[10:]}, was install"]
    assert (code, document["added"], document["removed"]) == (ExitCode.CHANGES, [], [])
    assert [entry["workspace_id"] for entry in document["changed"]] == [changed]


def test_status_tells_drift_and_its_exit_code(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 while something is out of sync, with the WorkSpaces named; 0 when all is."""
    manifest = str(write_manifest(tmp_path))

    drifted, document = run_json(capsys, "status", manifest)
    install_everywhere(sim, OFFICE)
    wanted, after = run_json(capsys, "status", manifest)

    assert (drifted, wanted) == (ExitCode.CHANGES, ExitCode.DONE)
    assert {"format", "name", "at", "exit_code", "workspaces", "counts", "drifted"} <= set(document)
    assert (document["workspaces"], after["drifted"]) == (len(sim.fleet), [])
    assert after["counts"] == {"in-sync": len(sim.fleet)}


def test_status_tells_which_bundles_differ(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On demand: by name, with what is missing, for people and in JSON; any is out of sync."""
    install_everywhere(sim, OFFICE)
    path = write_manifest(tmp_path)
    codes = [main(["status", str(path)]), main(["status", str(path), "--bundles"])]
    text = capsys.readouterr().out
    _, document = run_json(capsys, "status", str(path), "--bundles")
    documented = document["bundles"]

    assert codes == [ExitCode.DONE, ExitCode.CHANGES]
    assert "Bundles that bring other applications than the rules want" in text
    assert re.search(
        r"^  Power with Windows 11 \(wsb-\w+\), image wsi-\w+: \d+ WorkSpaces? made from it$",
        text,
        re.MULTILINE,
    )
    assert "    missing: Office LTSC Professional Plus 2021" in text
    assert {"Power with Windows 11", "Standard with Windows 11"} <= {one["name"] for one in documented}
    assert all(list(one["missing"].values()) == [OFFICE] for one in documented)


def test_status_names_all_on_demand(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """People see what is out of sync, WorkSpace by WorkSpace."""
    code = main(["status", str(write_manifest(tmp_path)), "--all"])
    shown = capsys.readouterr().out

    assert code == ExitCode.CHANGES
    assert "  missing: install  Office LTSC Professional Plus 2021" in shown
    assert f"of {len(sim.fleet)} WorkSpaces are out of sync." in shown


INTERVAL = 4321.0
"""Seconds between polls, by which a wait for the next one is known from others."""


@pytest.fixture
def after_polls(monkeypatch: pytest.MonkeyPatch) -> dict[int, Callable[[], None]]:
    """Acts by the number of the poll that they follow; the next one comes at once."""
    acts: dict[int, Callable[[], None]] = {}
    real, polls = SystemClock.sleep, itertools.count(1)

    async def sleep(self: SystemClock, seconds: float, /) -> None:
        if seconds != INTERVAL:
            await real(self, seconds)
            return
        acts.get(next(polls), lambda: None)()

    monkeypatch.setattr(SystemClock, "sleep", sleep)
    return acts


def test_watch_looks_again_and_tells_what_changed(
    sim: Simulator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    after_polls: dict[int, Callable[[], None]],
) -> None:
    """With the WorkSpaces that it is about; a look that shows the same as the one before is not told again."""
    manifest = str(write_manifest(tmp_path))
    able = sim.fleet.compatible(sim.fleet.application(OFFICE), 2)

    def mend() -> None:
        sim.fleet.set_association(able[0], sim.fleet.application(OFFICE), "COMPLETED")

    after_polls[2] = mend
    code = main(["watch", manifest, "--interval", str(INTERVAL), "--count", "3"])
    told = capsys.readouterr().out.splitlines()
    begins = [number for number, line in enumerate(told) if line[0] != " "]

    assert (code, len(begins)) == (ExitCode.CHANGES, 2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC  .*\d+ missing.*", told[0])
    assert f"  {able[1]}  missing: Office LTSC Professional Plus 2021" in told[: begins[1]]
    assert told[begins[1] + 1 :] == [f"  {able[0]}  in sync"]


def test_watch_can_end_once_all_is_in_sync(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With JSON, each look is a line that says as much as `status`."""
    install_everywhere(sim, OFFICE)

    code, document = run_json(capsys, "watch", str(write_manifest(tmp_path)), "--until-in-sync")

    assert (code, document["exit_code"]) == (ExitCode.DONE, 0)


def test_an_application_that_means_several_is_told_with_its_candidates(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the place in the manifest, and what it may mean."""
    code = main(["plan", str(write_manifest(tmp_path, present="Visio"))])
    told = capsys.readouterr().err

    assert (code, told.count("\n")) == (ExitCode.USAGE, 1)
    assert "rules[0].present[0]" in told
    assert VISIO in told


def test_a_refused_operation_is_one_line(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a permission the command fails, and the service's words cannot steer the terminal."""
    sim.faults.add(
        "error",
        operation="DescribeWorkspaces",
        code="AccessDeniedException",
        message="no\x1b]0;title\x07\nway",
    )

    code = main(["status", str(write_manifest(tmp_path))])
    shown = capsys.readouterr()

    assert (code, shown.out, shown.err.count("\n")) == (ExitCode.FAILED, "", 1)
    assert "AccessDeniedException" in shown.err
    assert "\x1b" not in shown.err


@pytest.mark.parametrize(
    "arguments,name,head",
    [
        (["applications", "--owner", "AMAZON", "--name", "office 2021"], "Applications", "id "),
        (["workspaces"], "Workspaces", "id "),
        (["associations"], "Associations", "WorkSpace "),
    ],
)
def test_listings_for_people_and_for_programs(
    sim: Simulator, arguments: list[str], name: str, head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As many lines as objects; the objects have the API's own names, as the AWS CLI prints them."""
    install_everywhere(sim, OFFICE)

    code, document = run_json(capsys, "list", *arguments)
    assert main(["list", *arguments]) == code == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()

    items = document[name]
    assert items
    assert lines[0].startswith(head)
    assert len(lines) == len(items) + 2


def test_listings_narrow_down(sim: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """One WorkSpace, one state, one application."""
    install_everywhere(sim, OFFICE)
    first, second, *_ = sim.fleet
    office = sim.fleet.application(OFFICE)
    sim.fleet.set_association(second, office, "ERROR")

    _, workspaces = run_json(capsys, "list", "workspaces", "--workspace", first, "--workspace", second)
    _, failed = run_json(capsys, "list", "associations", "--application", office, "--state", "error")
    _, by_name = run_json(capsys, "list", "associations", "--application", OFFICE.lower(), "--state", "ERROR")
    _, there = run_json(capsys, "list", "associations", "--workspace", first)

    assert len(workspaces["Workspaces"]) == 2
    assert [one["AssociatedResourceId"] for one in failed["Associations"]] == [second]
    assert by_name == failed
    assert [one["AssociatedResourceId"] for one in there["Associations"]] == [office]


def test_what_somebody_else_has_staged_is_told(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the WorkSpace, and with what will be done about it."""
    (staged,) = sim.fleet.compatible(sim.fleet.application(OFFICE))
    sim.fleet.set_association(staged, sim.fleet.application(VISIO), "PENDING_INSTALL_DEPLOYMENT")

    main(["plan", str(write_manifest(tmp_path)), "--details"])
    shown = capsys.readouterr().out

    assert f"Somebody else has staged changes on 1 WorkSpace ({staged}); so they are left alone." in shown
    assert "  staged by somebody else: " in shown


@pytest.fixture
def two_regions(tmp_path: Path) -> str:
    """A manifest for two Regions, one of which the simulator does not serve."""
    path = write_manifest(tmp_path)
    targets = "".join(
        f'[[targets]]\nname = "{one}"\nregion = "{one}"\n' for one in ("us-east-1", "eu-west-1")
    )
    head, rest = path.read_text().split("\n", 1)
    path.write_text(f"{head}\n{targets}{rest}")
    return str(path)


def test_a_region_that_cannot_be_read_is_told_and_the_others_are_shown(
    sim: Simulator, two_regions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1: nobody knows what there is to do."""
    codes = [main([command, two_regions]) for command in ("plan", "status")]
    shown = capsys.readouterr().out

    assert codes == [ExitCode.FAILED, ExitCode.FAILED]
    assert shown.count("Could not be read: eu-west-1: ") == 2
    assert f"office: {len(sim.fleet)} WorkSpaces in us-east-1, eu-west-1" in shown


def test_an_apply_says_in_the_end_what_could_not_be_read(
    sim: Simulator, two_regions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line does not say that all is in sync then."""
    install_everywhere(sim, VISIO)
    path = Path(two_regions)
    path.write_text(path.read_text().replace(OFFICE, VISIO))
    code = main(["apply", two_regions, "--yes"])
    end = capsys.readouterr().out.rpartition("Read with")[2]

    assert code == ExitCode.FAILED
    assert "All planned changes applied, but not everything could be read." in end
    assert end.count("Could not be read: eu-west-1: ") == 2


def test_nothing_selected_is_not_called_in_sync(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sim: Simulator
) -> None:
    """A selector that fits nothing is most likely a mistake: plan, status and apply say so."""
    path = write_manifest(tmp_path)
    path.write_text(path.read_text().replace("everything = true", 'user_names = "nobody"'))
    codes = [main([*command, str(path)]) for command in (["plan"], ["status"], ["apply", "--yes"])]
    shown = capsys.readouterr().out

    assert codes == [ExitCode.CHANGES] * 3
    assert len(sim.fleet) > 0
    assert shown.count("No WorkSpace is selected, so there is nothing to do.") == 3
    assert shown.count("rules[0] selects no WorkSpace") == 3
    assert "Everything is in sync" not in shown


@pytest.mark.parametrize("journal", ["absent/office.journal", "other.journal", "text.journal"])
def test_a_journal_that_cannot_be_used_is_known_before_a_call(
    journal: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], sim: Simulator
) -> None:
    """No folder, another roll-out's, no journal at all: one line, and the service hears nothing."""
    (tmp_path / "text.journal").write_text("no line break")
    theirs = Started(
        at=datetime(2026, 1, 5, tzinfo=UTC), run="r", name="theirs", plan="0", workspaces=0, changes=0
    )
    (tmp_path / "other.journal").write_bytes(to_line(theirs))
    code = main(["apply", str(write_manifest(tmp_path)), "--yes", "--journal", str(tmp_path / journal)])
    shown = capsys.readouterr()

    assert (code, shown.out, shown.err.count("\n")) == (ExitCode.FAILED, "", 1)
    assert journal in shown.err
    assert sim.requests.count() == 0


def test_a_saved_plan_of_several_targets_needs_its_manifest(
    sim: Simulator, two_regions: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the manifest says how to reach them."""
    saved = str(tmp_path / "plan.json")
    main(["plan", two_regions, "--save", saved])
    capsys.readouterr()

    assert main(["apply", "--plan", saved, "--yes"]) == ExitCode.USAGE
    assert "name the manifest too" in capsys.readouterr().err
    assert sim.requests.count(operation="AssociateWorkspaceApplication") == 0


def test_watch_goes_on_after_a_look_that_failed(
    sim: Simulator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    after_polls: dict[int, Callable[[], None]],
) -> None:
    """The failure is one line on standard error; the first look must not fail."""
    sim.faults.add("error", operation="DescribeWorkspaces", code="AccessDeniedException", skip=1, times=1)

    code = main(["watch", str(write_manifest(tmp_path)), "--interval", str(INTERVAL), "--count", "3"])
    shown = capsys.readouterr()

    assert code == ExitCode.CHANGES
    assert shown.err.count("\n") == 1
    assert f"polling again in {INTERVAL:g} s" in shown.err


def test_watch_draws_the_screen_anew_on_a_terminal(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names as many WorkSpaces as there is room for."""
    file = io.StringIO()
    console = Console(
        file=file, force_terminal=True, color_system=None, width=80, height=24, _environ={"TERM": "xterm"}
    )
    monkeypatch.setattr("workspaces_apps.cli._status.out", lambda: console)

    main(["watch", str(write_manifest(tmp_path)), "--count", "1"])

    assert file.getvalue().startswith("\x1b[2J")
    assert f"and {len(sim.fleet) - 4} more; status --all names them" in file.getvalue()
    assert "polls every 60 s, Ctrl-C ends it" in file.getvalue()


def test_a_misspelt_user_turns_every_command_red_unless_it_is_meant(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the user's name, also in the document of a status; with `--allow-empty` only the name."""
    install_everywhere(sim, OFFICE)
    known = str(sim.fleet.workspace(next(iter(sim.fleet))).user_name)
    path = write_manifest(tmp_path)
    path.write_text(path.read_text().replace("everything = true", f'user_names = ["{known}", "{known}y"]'))
    commands = (["plan", str(path)], ["status", str(path)], ["apply", "--yes", str(path)])
    codes = [main(command) for command in commands]
    shown = capsys.readouterr().out
    allowed = [main([*command, "--allow-empty"]) for command in commands]
    assert f"did you mean {known}?" in capsys.readouterr().out
    _, document = run_json(capsys, "status", str(path))

    assert (codes, allowed) == ([ExitCode.CHANGES] * 3, [ExitCode.DONE] * 3)
    assert shown.count(f'"{known}y"') >= 3
    assert document["unmatched"] == [
        {"rule": "rules[0]", "condition": "user_names", "value": f"{known}y", "near": [known]}
    ]


def test_a_saved_plan_says_whose_it_is_and_is_applied_to_nobody_elses_fleet(
    sim: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an account that nobody knows it needs the word of the command line; with another Region it is refused."""
    saved = str(tmp_path / "plan.json")
    main(["plan", str(write_manifest(tmp_path)), "--save", saved])
    shown = capsys.readouterr().out
    codes = [main(["apply", "--plan", saved, "--yes"])]
    unsure = capsys.readouterr().err
    codes.append(main(["apply", "--plan", saved, "--yes", "--dry-run"]))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    codes.append(main(["apply", "--plan", saved, "--yes", "--accept-unknown-account"]))
    elsewhere = capsys.readouterr().err

    assert f"An unknown account in {sim.region} at {sim.url}" in shown
    assert codes == [ExitCode.USAGE, ExitCode.DONE, ExitCode.USAGE]
    assert "pass --accept-unknown-account" in unsure
    assert f"in {sim.region} at" in elsewhere
    assert "in eu-west-1 at" in elsewhere
