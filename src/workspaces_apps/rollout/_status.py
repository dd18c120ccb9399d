"""Drift: how far a fleet is from what a manifest wants."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from workspaces_apps._associations.states import IN_FLIGHT, STAGED
from workspaces_apps._base.public import public
from workspaces_apps.rollout._bundles import BundleDrift
from workspaces_apps.rollout._plan.plan import Plan, PlannedChange, PlannedWorkspace

Standing: TypeAlias = Literal["in-sync", "missing", "unwanted", "staged", "in-progress", "error", "undecided"]
"""How an application on a WorkSpace is.

``in-sync``; ``missing``: wanted, and not installed; ``unwanted``: installed, and should not be; ``staged``: a change
waits for a deployment; ``in-progress``: a deployment goes on; ``error``: a deployment failed; ``undecided``: the
manifest contradicts itself, or the service says something unknown.
"""

IN_SYNC: Final[Standing] = "in-sync"
"""The standing of what is as the manifest wants it."""

EXIT_IN_SYNC: Final = 0
EXIT_DRIFT: Final = 2


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The drift of a fleet from its manifest.

    Attributes:
        plan: What an apply would do about it.
        bundles: Bundles that bring other applications than rules want; None where that was not asked.
    """

    plan: Plan
    bundles: tuple[BundleDrift, ...] | None = None

    @property
    def counts(self) -> Mapping[Standing, int]:
        """Count the applications on WorkSpaces by kind of drift."""
        return Counter(drift_of(change) for workspace in self.plan.workspaces for change in workspace.changes)

    @property
    def drifted(self) -> tuple[PlannedWorkspace, ...]:
        """The WorkSpaces that are out of sync, also those that an apply could do nothing about."""
        return tuple(
            workspace
            for workspace in self.plan.workspaces
            if any(drift_of(change) != "in-sync" for change in workspace.changes)
        )

    @property
    def exit_code(self) -> int:
        """0: all is in sync; 2: it is not; 1: a target could not be read.

        A WorkSpace that the manifest names and that does not exist is out of sync, and so is a bundle of `bundles`.
        """
        if self.plan.errors:
            return self.plan.exit_code
        return EXIT_DRIFT if self.drifted or self.plan.not_found or self.bundles else EXIT_IN_SYNC


def drift_of(change: PlannedChange) -> Standing:
    """Return an application's kind of drift, whatever an apply would do about it."""
    if change.action == "nothing":
        return "in-sync"
    if change.state in IN_FLIGHT:
        return "in-progress"
    if change.state in STAGED:
        return "staged"
    if change.state == "ERROR":
        return "error"
    match change.direction, change.state:
        case "install", "REMOVED":
            return "missing"
        case "uninstall", "COMPLETED":
            return "unwanted"
        case _:
            return "undecided"
