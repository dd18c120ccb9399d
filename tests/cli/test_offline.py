"""Help that calls nothing: `validate`, `schema`, and `iam-policy`, whose table is what commands really call."""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tests.cli.fleet import OFFICE, in_environment, in_simulated_time, run_json, write_manifest
from tests.cli.test_install import task
from tests.schemas import SchemaMistake, validate
from workspaces_apps.cli import main
from workspaces_apps.cli._app import COMMANDS
from workspaces_apps.cli._apply import Settings
from workspaces_apps.cli._apply import run as apply
from workspaces_apps.cli._connection import ConnectionOptions
from workspaces_apps.cli._console import ExitCode
from workspaces_apps.cli._install import run as install
from workspaces_apps.cli._offline import PERMISSIONS, PermissionCondition, needed
from workspaces_apps.rollout import Manifest
from workspaces_apps.simulator import Simulator

TAGS = 'select = { tags = { Ring = "1" } }'
EVERYTHING = "select = { everything = true }"


def operations(sim: Simulator) -> set[str]:
    """Return the operations called since the last time; GetCallerIdentity needs no permission."""
    found = {request.operation for request in sim.requests if request.operation}
    sim.requests.clear()
    return found - {"GetCallerIdentity"}


def table(command: str, *conditions: PermissionCondition) -> set[str]:
    """Return the table's row of a command."""
    return {row.operation for row in needed([command], conditions)}


@pytest.mark.parametrize(
    "arguments,command,conditions",
    [
        ([["plan", "{all}"], ["plan", "{few}"]], "plan", []),
        ([["plan", "{all}"], ["plan", "{few}"], ["plan", "{tags}"]], "plan", ["tags"]),
        ([["plan", "{all}"], ["plan", "{few}"], ["plan", "{connected}"]], "plan", ["connections"]),
        ([["status", "{all}"], ["status", "{few}"], ["status", "{tags}"]], "status", ["tags"]),
        (
            [["status", "{all}", "--bundles"], ["status", "{few}", "--bundles"]],
            "status",
            ["bundles"],
        ),
        ([["watch", "{all}", "--count", "1"], ["watch", "{few}", "--count", "1"]], "watch", []),
        ([["list", "applications"]], "list applications", []),
        ([["list", "workspaces"], ["list", "workspaces", "--workspace", "{id}"]], "list workspaces", []),
        (
            [["list", "associations"], ["list", "associations", "--workspace", "{id}"]],
            "list associations",
            [],
        ),
        (
            [["list", "inventory"], ["list", "inventory", "--workspace", "{id}"]],
            "list inventory",
            ["tags", "connections"],
        ),
        ([["list", "inventory", "--no-tags", "--no-connections"]], "list inventory", []),
    ],
)
def test_reading_commands_call_what_the_table_says(
    arguments: list[list[str]],
    command: str,
    conditions: list[PermissionCondition],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In every option: no operation more; and, all ways taken together, none less."""
    monkeypatch.chdir(tmp_path)
    with in_environment(monkeypatch) as sim:
        # A connection matters only where something is to be changed.
        sim.fleet.add_workspaces(1, operating_system="WINDOWS_11", tags={"Ring": "1"})
        first = sim.fleet.workspace_ids[0]
        files = {"id": first}
        for name, select, policy in (
            ("all", EVERYTHING, ""),
            ("few", f'select = {{ workspace_ids = "{first}" }}', ""),
            ("tags", TAGS, ""),
            ("connected", EVERYTHING, "show_connected = true"),
        ):
            (tmp_path / name).mkdir()
            path = write_manifest(tmp_path / name, policy=policy)
            path.write_text(path.read_text().replace(EVERYTHING, select))
            files[name] = str(path)
        for one in arguments:
            assert main([part.format(**files) for part in one]) in (ExitCode.DONE, ExitCode.CHANGES)
        called = operations(sim)

    expected = table(command, *conditions)
    assert called <= expected
    assert expected - called <= ({"DescribeWorkspaceAssociations"} if len(arguments) == 1 else set())


Step = Callable[[Simulator, ConnectionOptions, Path], Awaitable[int]]


async def applied(sim: Simulator, connection: ConnectionOptions, folder: Path) -> int:
    """An apply that installs, and one that removes, by a list of ids."""
    code = 0
    for present, absent in (([OFFICE], []), ([], [OFFICE])):
        data = {
            "name": "x",
            "rules": [{"select": {"everything": True}, "present": present, "absent": absent}],
        }
        code |= await apply(
            Manifest.from_data(data), None, connection, Settings(journal=folder / "j", yes=True)
        )
    return code


async def installed(sim: Simulator, connection: ConnectionOptions, _: Path) -> int:
    """Install and uninstall, as the commands do."""
    (one,) = sim.fleet.workspace_ids
    return await install(connection, task(one)) | await install(connection, task(one, doing="uninstall"))


@pytest.mark.parametrize(
    "step,commands", [(applied, ["apply"]), (installed, ["install", "uninstall"])], ids=["apply", "install"]
)
async def test_writing_commands_call_nothing_beyond_the_table(
    step: Step, commands: Sequence[str], tmp_path: Path
) -> None:
    """Every write of the table is called, and nothing else."""
    async with in_simulated_time(0) as (sim, connection):
        sim.fleet.add_workspaces(1, operating_system="WINDOWS_11")
        sim.requests.clear()
        code = await step(sim, connection, tmp_path)
        called = operations(sim)

    allowed = set[str]().union(*(table(command) for command in commands))
    assert code == ExitCode.DONE
    assert called <= allowed
    assert {one for one in allowed if not one.startswith("Describe")} <= called


def test_every_command_that_calls_aws_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Those with `--region`, found in their help."""
    main(["--help"])
    names = re.findall(r"^  ([a-z-]+)  ", capsys.readouterr().out, re.MULTILINE)
    assert "plan" in names
    found: set[str] = set()
    for name in names:
        inner = ["applications", "workspaces", "associations", "inventory"] if name == "list" else [""]
        for sub in inner:
            command = f"{name} {sub}".strip()
            main([*command.split(), "--help"])
            if "--endpoint-url" in capsys.readouterr().out:
                found.add(command)

    assert found == set(PERMISSIONS)


@pytest.mark.parametrize(
    "command", [one for one in COMMANDS if one not in {name.split()[0] for name in PERMISSIONS}]
)
def test_a_command_that_calls_nothing_needs_no_permission(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its policy is an empty one; it is not taken for a misspelt name."""
    assert main(["iam-policy", command]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["Statement"] == []


def test_a_policy_is_a_document_for_iam(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It covers the commands that are asked for, and only what a manifest needs, its roles included."""
    role = "arn:aws:iam::123456789012:role/fleet"
    path = tmp_path / "m.json"
    rule = {"select": {"tags": {"Ring": "1"}}, "present": [OFFICE]}
    targets = [{"name": "a", "role_arn": role}]
    path.write_text(json.dumps({"name": "x", "targets": targets, "rules": [rule]}))
    codes = [main(["iam-policy", "plan", "--manifest", str(path)])]
    policy = json.loads(capsys.readouterr().out)
    codes += [main(["iam-policy", "list", "inventory", "apply", "--explain"])]
    explained = capsys.readouterr().out
    codes += [main(["iam-policy", "report"]), main(["iam-policy", "nix"])]

    read, assume = policy["Statement"]
    assert codes == [ExitCode.DONE] * 3 + [ExitCode.USAGE]
    assert set(read["Action"]) == {f"workspaces:{one}" for one in table("plan", "tags")}
    assert (assume["Action"], assume["Resource"]) == ("sts:AssumeRole", [role])
    assert '"workspaces:DeployWorkspaceApplications",  // carries out what is staged' in explained


def test_a_manifest_is_validated_without_credentials(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All mistakes are told, for people and for programs; no call is made."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    good = write_manifest(tmp_path)
    code, document = run_json(capsys, "validate", str(good))
    (tmp_path / "bad.json").write_text('{"name": "x", "rulez": []}')
    wrong, mistakes = run_json(capsys, "validate", str(tmp_path / "bad.json"))
    told = main(["validate", str(tmp_path / "bad.json")])

    assert (code, document["valid"], wrong, told) == (ExitCode.DONE, True, ExitCode.USAGE, ExitCode.USAGE)
    assert [one["key"] for one in mistakes["mistakes"]] == ["rules", "rulez"]
    assert "did you mean rules?" in capsys.readouterr().err


def test_the_schema_describes_every_key_and_takes_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    """A single value where a list is meant, shares, durations, and a name for an application."""
    assert main(["schema"]) == ExitCode.DONE
    schema = json.loads(capsys.readouterr().out)
    shapes = [schema, *schema["$defs"].values()]
    nameless = [
        name
        for shape in shapes
        for name, one in shape.get("properties", {}).items()
        if not one.get("description")
    ]
    manifest = {
        "name": "x",
        "rules": [
            {
                "select": {"user_names": "a", "tags": {"Ring": "1"}, "compute_types": "VALUE"},
                "present": [OFFICE, {"id": "wsa-12345678"}],
            }
        ],
        "policy": {
            "canary": "5%",
            "pause": "1h",
            "hours": [{"time_zone": "UTC", "start": "22:00", "end": "04:00"}],
        },
    }

    Manifest.from_data(manifest)
    validate(manifest, schema)
    assert nameless == []
    with pytest.raises(SchemaMistake):
        validate({**manifest, "rulez": []}, schema)
