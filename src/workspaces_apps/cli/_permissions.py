"""Permissions: the IAM actions that each command needs, as a table that a test compares with what the commands call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from workspaces_apps.rollout import Manifest

Condition: TypeAlias = Literal["", "tags", "connections", "bundles"]
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
    condition: Condition = ""

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


def needed(commands: Iterable[str], conditions: Iterable[Condition]) -> list[Permission]:
    """Return the permissions of commands, each once, reads first.

    Args:
        commands: Commands of the table.
        conditions: What is asked for beyond what they always need.
    """
    asked = {"", *conditions}
    rows = [row for command in commands for row in PERMISSIONS[command] if row.condition in asked]
    found = {row.operation: row for row in reversed(rows)}
    return sorted(found.values(), key=lambda row: (row.writes, row.operation))


def conditions_of(manifest: Manifest) -> set[Condition]:
    """Return what a manifest asks for beyond what every one does."""
    found: set[Condition] = set()
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
    from workspaces_apps.rollout._manifest.fields import is_row, is_table

    if is_table(value):
        for key, item in value.items():
            if item not in (None, False, (), []):
                yield str(key)
            yield from _keys(item)
    elif is_row(value):
        for item in value:
            yield from _keys(item)
