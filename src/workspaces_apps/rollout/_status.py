"""Drift: how far a fleet, and the bundles that it is made from, are from what a manifest wants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Final, Literal, TypeAlias

from pydantic import ConfigDict

from workspaces_apps._associations import OPPOSITE
from workspaces_apps._associations.states import ERROR, HELD, IN_FLIGHT, SETTLED, STAGED
from workspaces_apps._base.public import public
from workspaces_apps._client.client import WorkSpacesClient
from workspaces_apps._observe.reads import portions, side_by_side
from workspaces_apps.rollout._log.events import Direction
from workspaces_apps.rollout._plan.plan import Plan, PlannedChange, PlannedWorkspace
from workspaces_apps.rollout._plan.reading import patiently

Standing: TypeAlias = Literal["in-sync", "missing", "unwanted", "staged", "in-progress", "error", "undecided"]
"""The state of an application on a WorkSpace, compared with what is wanted.

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
class BundleDrift:
    """A bundle from which new and rebuilt WorkSpaces come out of sync."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    target: str
    """The name of its target."""
    bundle_id: str
    """Its id."""
    name: str | None = None
    """Its name; None where the service does not tell."""
    image_id: str | None = None
    """The image that it is made of; None where the service does not tell."""
    workspaces: int
    """The number of WorkSpaces that rules select and that were made from it."""
    missing: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Applications by id that rules want on them and that it does not bring, with their names."""
    unwanted: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    """Applications by id that rules want removed and that it brings, with their names."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The drift of a fleet from its manifest."""

    plan: Plan
    """The plan that an apply would carry out."""
    bundles: tuple[BundleDrift, ...] | None = None
    """Bundles that bring other applications than rules want; None where that was not asked."""

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
    if change.state == ERROR:
        return "error"
    if change.direction is None or SETTLED.get(change.state) != OPPOSITE[change.direction]:
        return "undecided"
    return "missing" if change.direction == "install" else "unwanted"


@dataclass(slots=True)
class _Wanted:
    """The wishes of rules for the WorkSpaces of a bundle; None where they do not want the same on all of them."""

    workspaces: int = 0
    directions: dict[str, Direction | None] = field(default_factory=dict[str, "Direction | None"])


async def read_bundles(
    target: str, client: WorkSpacesClient, plan: Plan, bundle_of: Mapping[str, str]
) -> list[BundleDrift]:
    """Return the bundles of a target that differ from the rules, at a call each and one for 25 names.

    Args:
        target: The name of the target.
        client: Its client.
        plan: What rules want on its WorkSpaces.
        bundle_of: The bundles of WorkSpaces, by their ids.

    Raises:
        WorkSpacesError: They could not be read.
    """
    wanted = _wanted(target, plan, bundle_of)
    brought: dict[str, frozenset[str]] = {}

    async def read(bundle_id: str) -> None:
        found = await client.describe_bundle_associations(bundle_id=bundle_id)
        brought[bundle_id] = frozenset(
            one.associated_resource_id for one in found.associations if one.state in HELD
        )

    await side_by_side(read, wanted)
    drifted: list[BundleDrift] = []
    for bundle_id, rules in wanted.items():

        def named(wish: Direction, *, held: bool) -> dict[str, str | None]:
            return {
                one: plan.application_name(target, one)
                for one, direction in sorted(rules.directions.items())  # noqa: B023 - called at once
                if direction == wish and (one in brought[bundle_id]) is held  # noqa: B023 - called at once
            }

        missing, unwanted = named("install", held=False), named("uninstall", held=True)
        if missing or unwanted:
            drifted.append(
                BundleDrift(
                    target=target,
                    bundle_id=bundle_id,
                    workspaces=rules.workspaces,
                    missing=missing,
                    unwanted=unwanted,
                )
            )
    return await _with_names(client, drifted)


def _wanted(target: str, plan: Plan, bundle_of: Mapping[str, str]) -> dict[str, _Wanted]:
    """Return what rules want by bundle: an application that some of its WorkSpaces are not asked to have is left out."""
    found: dict[str, _Wanted] = {}
    for workspace in plan.workspaces:
        bundle_id = bundle_of.get(workspace.workspace_id) if workspace.target == target else None
        if bundle_id is None:
            continue
        # What cannot be there, such as on another operating system, is not missing.
        directions: dict[str, Direction | None] = {
            change.application_id: change.direction if change.action != "blocked" else None
            for change in workspace.changes
        }
        here = found.setdefault(bundle_id, _Wanted())
        if here.workspaces:
            for one in here.directions.keys() | directions.keys():
                if here.directions.get(one) != directions.get(one):
                    here.directions[one] = None
        else:
            here.directions = directions
        here.workspaces += 1
    return found


async def _with_names(client: WorkSpacesClient, drifted: list[BundleDrift]) -> list[BundleDrift]:
    known: dict[str, tuple[str | None, str | None]] = {}
    for ids in portions([one.bundle_id for one in drifted]):
        async for bundle in patiently(client.describe_workspace_bundles(bundle_ids=ids)):
            known[bundle.bundle_id] = bundle.name, bundle.image_id
    named = ((one, known.get(one.bundle_id, (None, None))) for one in drifted)
    return [replace(one, name=name, image_id=image_id) for one, (name, image_id) in named]
