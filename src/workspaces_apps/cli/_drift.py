"""Drift between two polls: what has changed of how applications stand, as a document for `watch --on-change`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workspaces_apps._model.values import JsonObject
    from workspaces_apps.rollout import Status

FORMAT: Final = 1
"""The version of the document."""

Key = tuple[str, str, str]
"""Target, WorkSpace and application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """The states at one poll.

    Attributes:
        by_key: The word for each application on each WorkSpace.
        unread: The targets that could not be read: nothing is known of them.
    """

    by_key: Mapping[Key, str]
    unread: frozenset[str] = frozenset()

    @classmethod
    def of(cls, status: Status) -> Standings:
        """Return how everything stands."""
        from workspaces_apps.rollout._status import drift_of

        plan = status.plan
        return cls(
            by_key={
                (workspace.target, workspace.workspace_id, change.application_id): drift_of(change)
                for workspace in plan.workspaces
                for change in workspace.changes
            },
            unread=frozenset(target.name for target in plan.targets if target.error is not None),
        )


def news(before: Standings | None, status: Status) -> tuple[list[JsonObject], Standings]:
    """Return what has changed since the poll before, and how everything stands now.

    At the first poll, everything that is out of sync counts as changed. A target that could not be read keeps what was
    known of it.

    Args:
        before: How everything stood; None before the first poll.
        status: How it stands.
    """
    from workspaces_apps.rollout._status import IN_SYNC

    now = Standings.of(status)
    old: Mapping[Key, str] = before.by_key if before is not None else dict[Key, str]()
    kept = {key: standing for key, standing in old.items() if key[0] in now.unread}
    current = {**now.by_key, **kept}
    plan = status.plan
    users = {(one.target, one.workspace_id): one.user_name for one in plan.workspaces}
    changed: list[JsonObject] = []
    for key in dict.fromkeys((*current, *old)):
        was, standing = old.get(key), current.get(key)
        if was == standing or (was is None and standing == IN_SYNC):
            continue
        target, workspace_id, application_id = key
        changed.append(
            {
                "target": target,
                "workspace_id": workspace_id,
                "user_name": users.get((target, workspace_id)),
                "application_id": application_id,
                "application": plan.application_name(target, application_id),
                "before": was,
                # None: it is no longer there, or no rule names it any more.
                "standing": standing,
            }
        )
    return changed, Standings(by_key=current, unread=now.unread)


def document(status: Status, changed: Sequence[JsonObject]) -> JsonObject:
    """Return what a program is told."""
    plan = status.plan
    return {
        "format": FORMAT,
        "name": plan.name,
        "at": plan.created.isoformat(),
        "exit_code": status.exit_code,
        "errors": list(plan.errors),
        "changed": list(changed),
    }
