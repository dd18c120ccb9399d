"""`workspaces-apps validate`, `schema` and `iam-policy`: help that calls nothing and needs no credentials."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import typer

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._app import COMMANDS
from workspaces_apps.cli._console import UsageError, out, print_document, print_output, say
from workspaces_apps.cli._live import count
from workspaces_apps.cli._options import DebugOption, ManifestArgument, Output, OutputOption

if TYPE_CHECKING:
    from workspaces_apps.rollout import Manifest


VALIDATE_EPILOG: Final = "Exit codes: 0 the manifest is right; 64 it is not, and every mistake is named."


def register_offline(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=VALIDATE_EPILOG)(validate)
    app.command()(schema)
    app.command("iam-policy")(iam_policy)


def validate(
    manifest: ManifestArgument,
    output: OutputOption = Output.TEXT,
    debug: DebugOption = False,
) -> int:
    """Check a manifest, and the lists that it names.

    Makes no call and needs no credentials. Whether applications, users and WorkSpaces exist, only the service knows: plan tells.
    """
    del debug
    from workspaces_apps.cli._console import ExitCode
    from workspaces_apps.rollout import Manifest, ManifestError

    try:
        found = Manifest.load(manifest)
    except ManifestError as error:
        if output is not Output.JSON:
            raise
        mistakes = [
            {"file": one.file, "line": one.line, "key": one.key, "rule": one.rule} for one in error.mistakes
        ]
        print_document({"format": 1, "valid": False, "mistakes": mistakes})
        return ExitCode.USAGE
    if output is Output.JSON:
        print_document({"format": 1, "valid": True, "name": found.name, "mistakes": []})
        return ExitCode.DONE
    targets = ", ".join(map(harmless, found.target_names))
    rules = count(len(found.rules), "rule")
    noun = "target" if len(found.target_names) == 1 else "targets"
    say(
        out(),
        f"{manifest}: {harmless(found.name)} is a valid manifest with {rules}, for the {noun} {targets}.",
    )
    return ExitCode.DONE


def schema(debug: DebugOption = False) -> None:
    """Print the JSON Schema of manifests, for editors.

    For TOML with Taplo, write "#:schema workspaces-apps.schema.json" above the manifest.
    """
    del debug
    from workspaces_apps.rollout import Manifest

    print_document(Manifest.json_schema())


def iam_policy(
    commands: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND]...",
            help="For these commands, such as plan, apply, or 'list inventory'; all if left out.",
            show_default=False,
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Only what this manifest needs, and the roles of its targets; anything it could if left out.",
            show_default=False,
            dir_okay=False,
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Say in comments what each action is for. IAM takes no comments."),
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Print the IAM policy that commands need.

    And nothing beyond it. Makes no call and needs no credentials.
    """
    del debug
    from workspaces_apps.cli._connection import load_manifest

    wanted = named(commands or (), tuple(PERMISSIONS))
    document = load_manifest(manifest)
    every: set[PermissionCondition] = {row.condition for rows in PERMISSIONS.values() for row in rows}
    asked = conditions_of(document) if document is not None else every
    rows = needed(wanted, asked)
    roles = roles_of(document) if document is not None and rows else []
    if explain:
        print_output("".join(f"{line}\n" for line in explained(wanted, rows, roles)))
    else:
        print_document(policy(rows, roles))


def named(given: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the commands that are meant; ``list`` means all of its own, and one that calls nothing needs nothing.

    Raises:
        UsageError: There is no such command.
    """
    if not given:
        return list(known)
    # Typed without quotes, "list inventory" comes as two words.
    words = " ".join(given).split()
    found: list[str] = []
    while words:
        two = " ".join(words[:2])
        taken = 2 if two in known else 1
        several = [one for one in known if one == " ".join(words[:taken]) or one.split()[0] == words[0]]
        if taken == 2:
            several = [two]
        if not several and words[0] not in COMMANDS:
            raise UsageError(
                f"there is no command {harmless(words[0])} that calls AWS, but {', '.join(known)}"
            )
        found += several
        words = words[taken:]
    return list(dict.fromkeys(found))


def policy(rows: Sequence[Permission], roles: Sequence[str]) -> dict[str, object]:
    """Return an IAM policy document."""
    statements: list[dict[str, object]] = []
    for sid, writes in (("WorkspacesAppsRead", False), ("WorkspacesAppsWrite", True)):
        actions = [row.action for row in rows if row.writes is writes]
        if actions:
            statements.append({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": "*"})
    if roles:
        statements.append(
            {
                "Sid": "WorkspacesAppsAssumeRole",
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Resource": list(roles),
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def explained(commands: Sequence[str], rows: Sequence[Permission], roles: Sequence[str]) -> list[str]:
    """Return the lines of a policy, with a comment for each action."""
    why = {row.action: row.why for row in rows} | {"sts:AssumeRole": "the targets of the manifest"}
    lines = [
        f"// For {', '.join(commands) or 'commands that call nothing'}.",
        *(f"// {note}" for note in NOTES),
    ]
    for line in json.dumps(policy(rows, roles), indent=1).splitlines():
        action = line.strip().removeprefix('"Action": ').strip('",')
        lines.append(f"{line}  // {why[action]}" if action in why else line)
    return lines


PermissionCondition: TypeAlias = Literal["", "tags", "connections", "bundles"]
"""The feature that a manifest or an option must ask for; empty if the command always needs it."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One row: an operation that a command calls.

    Attributes:
        operation: The API operation; the IAM action is ``workspaces:`` and its name [doc].
        why: What for.
        condition: When.
    """

    operation: str
    why: str
    condition: PermissionCondition = ""

    @property
    def action(self) -> str:
        """The IAM action."""
        return f"workspaces:{self.operation}"

    @property
    def writes(self) -> bool:
        """Tell if it changes anything."""
        return not self.operation.startswith(("Describe", "List"))


_CATALOGUE: Final = Permission("DescribeApplications", "the names and ids of applications")
_WORKSPACES: Final = Permission("DescribeWorkspaces", "the WorkSpaces, their users and states")
_BY_WORKSPACE: Final = Permission("DescribeWorkspaceAssociations", "what is on one WorkSpace")
_BY_APPLICATION: Final = Permission(
    "DescribeApplicationAssociations", "what is on many WorkSpaces, 25 a call"
)
_TAGS: Final = "the tags of WorkSpaces, where selectors, hours or the order go by them"
_CONNECTIONS: Final = "who is connected, where the policy or selectors go by it"

_READS: Final = (
    _CATALOGUE,
    _WORKSPACES,
    _BY_WORKSPACE,
    _BY_APPLICATION,
    Permission("DescribeTags", _TAGS, "tags"),
    Permission("DescribeWorkspacesConnectionStatus", _CONNECTIONS, "connections"),
)

_WRITES: Final = (
    Permission("AssociateWorkspaceApplication", "stages an installation"),
    Permission("DisassociateWorkspaceApplication", "stages a removal"),
    Permission("DeployWorkspaceApplications", "carries out what is staged"),
)

_ON_A_FEW: Final = (_CATALOGUE, _WORKSPACES, _BY_WORKSPACE, _BY_APPLICATION, *_WRITES)

PERMISSIONS: Final[Mapping[str, Sequence[Permission]]] = {
    "plan": _READS,
    "apply": (*_READS, *_WRITES),
    "worker": (*_READS, *_WRITES),
    "status": (
        *_READS,
        Permission("DescribeBundleAssociations", "what bundles bring, with --bundles", "bundles"),
        Permission("DescribeWorkspaceBundles", "the names of bundles, with --bundles", "bundles"),
    ),
    "watch": _READS,
    "install": _ON_A_FEW,
    "uninstall": _ON_A_FEW,
    "list applications": (_CATALOGUE,),
    "list workspaces": (_WORKSPACES,),
    "list associations": (_CATALOGUE, _BY_WORKSPACE, _BY_APPLICATION),
    "list inventory": (
        _CATALOGUE,
        _WORKSPACES,
        _BY_WORKSPACE,
        _BY_APPLICATION,
        Permission("DescribeTags", "the tags of WorkSpaces", "tags"),
        Permission("DescribeWorkspacesConnectionStatus", "the last connection of users", "connections"),
    ),
}
"""The commands that call AWS. All others (report, validate, schema, iam-policy, pause, …, simulate, demo) need nothing."""

NOTES: Final = (
    "sts:GetCallerIdentity tells which account a plan is for, and needs no permission [doc].",
    "Associations and connections are read for many WorkSpaces at once, so reading is allowed for all resources.",
)


def needed(commands: Iterable[str], conditions: Iterable[PermissionCondition]) -> list[Permission]:
    """Return the permissions of commands, each once, reads first.

    Args:
        commands: Commands of the table.
        conditions: What is asked for beyond what they always need.
    """
    asked = {"", *conditions}
    rows = [row for command in commands for row in PERMISSIONS[command] if row.condition in asked]
    found = {row.operation: row for row in reversed(rows)}
    return sorted(found.values(), key=lambda row: (row.writes, row.operation))


def conditions_of(manifest: Manifest) -> set[PermissionCondition]:
    """Return what a manifest asks for beyond what every one does."""
    found: set[PermissionCondition] = set()
    policy = manifest.policy.model_dump()
    keys = set(_keys(policy)) | {key for rule in manifest.rules for key in _keys(rule.model_dump())}
    if "tags" in keys or isinstance(policy.get("order_by"), dict):
        found.add("tags")
    by_connection = (
        policy.get("show_connected"),
        policy.get("when_connected", "proceed") != "proceed",
        policy.get("order_by") == "least-recently-connected",
        keys & {"last_connected", "never_connected"},
    )
    if any(by_connection):
        found.add("connections")
    return found


def roles_of(manifest: Manifest) -> list[str]:
    """Return the ARNs of the roles that a manifest's targets are reached by."""
    return sorted({target.role_arn for target in manifest.targets if target.role_arn is not None})


def _keys(value: object) -> Iterable[str]:
    """Yield every key of a document that something is set for."""
    from workspaces_apps._model.validation import is_list, is_mapping

    if is_mapping(value):
        for key, item in value.items():
            if item not in (None, False, (), []):
                yield str(key)
            yield from _keys(item)
    elif is_list(value):
        for item in value:
            yield from _keys(item)
