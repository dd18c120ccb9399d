"""`workspaces-apps validate`, `schema` and `iam-policy`: help that calls nothing and needs no credentials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._commands import COMMANDS
from workspaces_apps.cli._console import out, print_document, say
from workspaces_apps.cli._failures import UsageError
from workspaces_apps.cli._options import DebugOption, Output, OutputOption
from workspaces_apps.cli._words import count

if TYPE_CHECKING:
    from workspaces_apps.cli._permissions import Condition, Permission

VALIDATE_EPILOG: Final = "Exit codes: 0 the manifest is right; 64 it is not, and every mistake is named."


def register_offline(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=VALIDATE_EPILOG)(validate)
    app.command()(schema)
    app.command("iam-policy")(iam_policy)


def validate(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="A .toml, .yaml or .json file.")],
    output: OutputOption = Output.TEXT,
    debug: DebugOption = False,
) -> int:
    """Check a manifest, and the lists that it names.

    Makes no call and needs no credentials. Whether applications, users and WorkSpaces exist, only the service knows: plan tells.
    """
    del debug
    from workspaces_apps.cli._failures import ExitCode
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
    from workspaces_apps.cli._permissions import PERMISSIONS, conditions_of, needed, roles_of

    wanted = named(commands or (), tuple(PERMISSIONS))
    document = load_manifest(manifest)
    every: set[Condition] = {row.condition for rows in PERMISSIONS.values() for row in rows}
    asked = conditions_of(document) if document is not None else every
    rows = needed(wanted, asked)
    roles = roles_of(document) if document is not None and rows else []
    if explain:
        print("\n".join(explained(wanted, rows, roles)), flush=True)
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
    from workspaces_apps.cli._permissions import NOTES

    why = {row.action: row.why for row in rows} | {"sts:AssumeRole": "the targets of the manifest"}
    lines = [
        f"// For {', '.join(commands) or 'commands that call nothing'}.",
        *(f"// {note}" for note in NOTES),
    ]
    for line in json.dumps(policy(rows, roles), indent=1).splitlines():
        action = line.strip().removeprefix('"Action": ').strip('",')
        lines.append(f"{line}  // {why[action]}" if action in why else line)
    return lines
