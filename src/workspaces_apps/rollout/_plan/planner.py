"""From what is wanted and what was read to what would happen: one target's part of a plan, and what matches nothing in any."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from workspaces_apps._associations.states import (
    ERROR,
    IN_FLIGHT,
    NO_ASSOCIATION,
    SETTLED,
    STAGED,
    NextAction,
    Readiness,
    next_action,
    readiness,
)
from workspaces_apps._client.client import WorkSpacesClient
from workspaces_apps._observe.reads import AssociationRecord
from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps.api.applications import WorkSpaceApplication
from workspaces_apps.errors import WorkSpacesError
from workspaces_apps.rollout._errors import ManifestError, Mistake
from workspaces_apps.rollout._licences import Price
from workspaces_apps.rollout._log.events import Action, Direction, bounded
from workspaces_apps.rollout._log.projections import Key, RunHistory
from workspaces_apps.rollout._manifest.manifest import ApplicationRef, Manifest, Rule
from workspaces_apps.rollout._manifest.policy import OrderByTag
from workspaces_apps.rollout._manifest.selectors import (
    ConnectionFacts,
    Inventory,
    Named,
    Scope,
    Selector,
    Tags,
    UnmatchedValue,
    WorkspaceFacts,
    named_by,
    undecided,
    unmatched,
)
from workspaces_apps.rollout._plan.compatibility import Obstacle, obstacle
from workspaces_apps.rollout._plan.plan import (
    UNREAD,
    ForeignChange,
    PlannedChange,
    PlannedWorkspace,
    TargetReading,
    blocked,
    some,
)
from workspaces_apps.rollout._plan.reading import (
    Catalogue,
    ConnectionReading,
    FleetReading,
    UnresolvedError,
    facts_of,
    patiently,
    read_connections,
    read_fleet,
    read_tags,
    read_workspaces,
)
from workspaces_apps.rollout._run_telemetry import CallMetrics

_UNREADY: Final = {
    Readiness.NEEDS_SOMEBODY: (
        Reason.WORKSPACE_STATE,
        ", which does not pass by itself: somebody must see to it",
    ),
    Readiness.GONE: (Reason.VANISHED, ""),
}
"""The reason to plan nothing for a WorkSpace that does not become ready by itself."""

_NAMED: Final = 10
"""Rules that a warning names; it counts the others."""

LEAST_RECENTLY: Final = "least-recently-connected"

_CONNECTED_LAST: Final = 2**53
"""The rank of a WorkSpace whose user is connected: behind every moment at which one was."""

Wanted = dict[str, "Direction | None"]
"""By application: where to; None where rules contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ResolvedRule:
    label: str
    select: Selector
    wanted: Mapping[str, Direction]


@dataclass(slots=True, kw_only=True)
class TargetPlan:
    """One target's part of a plan; the inventory is what selectors are judged by, prices are by application, bundles by WorkSpace."""

    reading: TargetReading
    workspaces: list[PlannedWorkspace]
    warnings: list[str]
    inventory: Inventory
    prices: Mapping[str, Price]
    bundles: Mapping[str, str]


Review: TypeAlias = Callable[[Key, AssociationRecord | None, PlannedChange], PlannedChange]
"""A second look at a planned change, with the association as the service shows it."""


async def plan_target(
    manifest: Manifest,
    target: str,
    metrics: CallMetrics,
    history: RunHistory,
    review: Review | None = None,
) -> TargetPlan:
    """Read a target and say what would happen to it.

    Args:
        manifest: What is wanted.
        target: The name of the target.
        metrics: Its client.
        history: What the journal knows.
        review: Looks at every change once more; None: nobody does.

    Raises:
        ManifestError: It names applications that the target's catalogue does not have.
        WorkSpacesError: The target could not be read.
    """
    before = metrics.calls, metrics.throttled
    rules = manifest.rules_for(target)
    scope = Scope.union(rule.select.scope for _, rule in rules)
    fleet = await read_fleet(metrics.client, scope)
    resolved = _resolve(manifest, rules, fleet.catalogue, target)
    planner = _Planner(manifest, target, fleet, resolved, history, review)
    if any(rule.select.wants_connections for rule in resolved):
        # 25 a call, and so before the tags, of which each costs one.
        connections = await read_connections(metrics.client, metrics.client.clock, planner.undecided())
        planner.add_connections(connections)
        planner.add_errors({one: read.error for one, read in connections.items() if read.error is not None})
    read = await read_tags(metrics.client, planner.undecided())
    planner.add_errors(read.errors)
    tags = read.found
    planned = planner.plan(tags)
    changed = [workspace for workspace in planned if workspace.pending]
    policy = manifest.policy
    wants_more = isinstance(policy.order_by, OrderByTag) or any(
        hours.select is not None and hours.select.wants_tags for hours in policy.hours
    )
    if wants_more:
        missing = [one.workspace_id for one in changed if one.workspace_id not in tags]
        more = await read_tags(metrics.client, missing)
        tags |= more.found
        planned = [
            unreadable(one, more.errors[one.workspace_id]) if one.workspace_id in more.errors else one
            for one in planned
        ]
    by_hours = any(hours.select is not None and hours.select.wants_connections for hours in policy.hours)
    if policy.show_connected or policy.minds_users or policy.order_by == LEAST_RECENTLY or by_hours:
        unread = planner.without_connection(workspace.workspace_id for workspace in changed)
        planner.add_connections(await read_connections(metrics.client, metrics.client.clock, unread))
    return TargetPlan(
        reading=TargetReading(
            name=target,
            workspaces=len(fleet.workspaces),
            calls=metrics.calls - before[0],
            throttled=metrics.throttled - before[1],
            names=planner.names(),
            owners=planner.owners(),
        ),
        workspaces=[planner.finish(workspace, tags) for workspace in planned],
        warnings=planner.warnings(scope),
        inventory=Inventory.of(scope, fleet.workspaces.values(), tags),
        prices=_prices(manifest, fleet.catalogue),
        bundles={
            one.workspace_id: one.bundle_id for one in fleet.workspaces.values() if one.bundle_id is not None
        },
    )


def _prices(manifest: Manifest, catalogue: Catalogue) -> dict[str, Price]:
    """Return the prices by id; what a catalogue does not have, another Region's may."""
    found: dict[str, Price] = {}
    for name, price in (manifest.prices or {}).items():
        try:
            ref = ApplicationRef(id=name) if name.startswith("wsa-") else ApplicationRef(name=name)
            found[catalogue.resolve(ref)] = price
        except (UnresolvedError, ValueError):
            continue
    return found


def _resolve(
    manifest: Manifest, rules: Iterable[tuple[int, Rule]], catalogue: Catalogue, target: str
) -> list[_ResolvedRule]:
    mistakes: list[Mistake] = []
    where = f" in target {target}" if len(manifest.target_names) > 1 else ""

    # Thousands of rules may name the same few.
    known: dict[ApplicationRef, str | UnresolvedError] = {}

    def meant(ref: ApplicationRef) -> str | UnresolvedError:
        try:
            return catalogue.resolve(ref)
        except UnresolvedError as error:
            return error

    def ids(number: int, key: str, refs: Iterable[ApplicationRef]) -> list[str]:
        found: list[str] = []
        for index, ref in enumerate(refs):
            if ref not in known:
                known[ref] = meant(ref)
            match known[ref]:
                case str(application):
                    found.append(application)
                case error:
                    mistake = f"{error.message}{where}"
                    mistakes.append(manifest.mistake(("rules", number, key, index), mistake))
        return found

    resolved: list[_ResolvedRule] = []
    for number, rule in rules:
        present, absent = ids(number, "present", rule.present), ids(number, "absent", rule.absent)
        mistakes += [
            manifest.mistake(("rules", number), f"{both} is wanted present and absent, by different names")
            for both in sorted(set(present) & set(absent))
        ]
        wanted: dict[str, Direction] = dict.fromkeys(present, "install")
        wanted |= dict.fromkeys(absent, "uninstall")
        label = rule.name or f"rules[{number}]"
        resolved.append(_ResolvedRule(label=label, select=rule.select, wanted=wanted))
    if mistakes:
        raise ManifestError(mistakes)
    return resolved


class _Planner:
    """Plans one target from what was read."""

    def __init__(
        self,
        manifest: Manifest,
        target: str,
        fleet: FleetReading,
        rules: list[_ResolvedRule],
        history: RunHistory,
        review: Review | None,
    ) -> None:
        self._policy = manifest.policy
        self._target = target
        self._fleet = fleet
        self._rules = rules
        self._history = history
        self._review = review
        self._selected = dict.fromkeys((rule.label for rule in rules), 0)
        self._at_odds: dict[tuple[str, str], str] = {}
        self._obstacles: dict[object, Obstacle | None] = {}
        self._unknown_connections: dict[str, WorkSpacesError] = {}
        # Something is removed there, and what should be installed is blocked.
        self._only_losing: list[str] = []
        self._errors: dict[str, WorkSpacesError] = {}
        self._unread: dict[str, WorkSpacesError] = dict(fleet.unread)

    def add_errors(self, errors: Mapping[str, WorkSpacesError]) -> None:
        """Take in why it cannot be told of WorkSpaces which rules are for them."""
        self._errors |= errors

    def add_connections(self, readings: Mapping[str, ConnectionReading]) -> None:
        """Take the connections of WorkSpaces in."""
        for workspace_id, reading in readings.items():
            if reading.error is not None:
                self._unknown_connections[workspace_id] = reading.error
            facts = self._fleet.workspaces[workspace_id]
            self._fleet.workspaces[workspace_id] = replace(facts, connection=reading.facts(facts.state))

    def without_connection(self, workspace_ids: Iterable[str]) -> list[str]:
        """Return those whose connection was not read."""
        return [one for one in workspace_ids if self._fleet.workspaces[one].connection is None]

    def undecided(self) -> list[str]:
        """Return the WorkSpaces whose tags are needed to tell which rules are for them."""
        return [
            workspace.workspace_id
            for workspace in self._fleet.workspaces.values()
            if any(rule.select.fits(workspace, None) is None for rule in self._rules)
        ]

    def plan(self, tags: Mapping[str, Tags]) -> list[PlannedWorkspace]:
        """Plan the changes, WorkSpace by WorkSpace, in the service's order."""
        planned: list[PlannedWorkspace] = []
        for workspace in self._fleet.workspaces.values():
            wanted = self._wanted(workspace, tags.get(workspace.workspace_id))
            if wanted:
                planned.append(self._workspace(workspace, wanted))
        return planned

    def finish(self, workspace: PlannedWorkspace, tags: Mapping[str, Tags]) -> PlannedWorkspace:
        """Return a copy with its place in the order, its hours, and whether its user is connected."""
        facts = self._fleet.workspaces[workspace.workspace_id]
        known = tags.get(workspace.workspace_id)
        connection = facts.connection
        return replace(
            workspace,
            connected=connection.connected if connection is not None else None,
            last_connected=connection.last_connected if connection is not None else None,
            rank=self._rank(connection, known),
            hours=next(
                (
                    number
                    for number, hours in enumerate(self._policy.hours)
                    if hours.select is None or hours.select.fits(facts, known)
                ),
                None,
            ),
        )

    def _rank(self, connection: ConnectionFacts | None, tags: Tags | None) -> int:
        match self._policy.order_by:
            case OrderByTag() as order:
                return order.rank(dict(tags or {}))
            case None:
                return 0
            case _:
                if connection is not None and connection.connected:
                    return _CONNECTED_LAST
                last = connection.last_connected if connection is not None else None
                return int(last.timestamp()) if last is not None else 0

    def names(self) -> dict[str, str]:
        """Return the names of the applications that rules name."""
        wanted = {application for rule in self._rules for application in rule.wanted}
        found = {application: self._fleet.catalogue.name(application) for application in sorted(wanted)}
        return {application: name for application, name in found.items() if name is not None}

    def owners(self) -> dict[str, str]:
        """Return who offers the applications that rules name."""
        wanted = {application for rule in self._rules for application in rule.wanted}
        found = {application: self._fleet.catalogue.get(application) for application in sorted(wanted)}
        return {
            application: str(one.owner)
            for application, one in found.items()
            if one is not None and one.owner is not None
        }

    def warnings(self, scope: Scope) -> list[str]:
        """Return messages about what looks like a mistake."""
        idle = [label for label, count in self._selected.items() if not count]
        found = [f"{self._target}: {label} selects no WorkSpace" for label in idle[:_NAMED]]
        if len(idle) > _NAMED:
            found.append(f"{self._target}: {len(idle) - _NAMED} more rules select no WorkSpace")
        if self._unknown_connections:
            error = next(iter(self._unknown_connections.values()))
            ids = some(tuple(self._unknown_connections))
            found.append(f"{self._target}: connections could not be read, of {ids}: {bounded(str(error))}")
        if self._only_losing:
            ids = some(self._only_losing)
            found.append(
                f"{self._target}: something is removed where what should be installed is blocked, on {ids}"
            )
        # Ids that do not exist are told by themselves.
        if not self._fleet.workspaces and (scope.everything or scope.directory_ids or scope.bundle_ids):
            found.append(f"{self._target}: there are no WorkSpaces")
        return found

    def _wanted(self, workspace: WorkspaceFacts, tags: Tags | None) -> Wanted:
        wanted: Wanted = {}
        by: dict[str, str] = {}
        for rule in self._rules:
            fits = rule.select.fits(workspace, tags)
            if fits is None and workspace.workspace_id in self._errors:
                # The rule may be for it, which is a reason to leave it alone.
                self._unread.setdefault(workspace.workspace_id, self._errors[workspace.workspace_id])
            elif not fits:
                continue
            self._selected[rule.label] += 1
            for application, direction in rule.wanted.items():
                first = by.setdefault(application, rule.label)
                if wanted.setdefault(application, direction) not in (direction, None):
                    wanted[application] = None
                    self._at_odds[workspace.workspace_id, application] = f"{first} and {rule.label}"
        return wanted

    def _workspace(self, workspace: WorkspaceFacts, wanted: Wanted) -> PlannedWorkspace:
        seen = self._fleet.states.get(workspace.workspace_id, {})
        changes = [self._change(workspace, seen, wanted, application) for application in wanted]
        if self._review is not None:
            changes = [
                self._review(
                    Key(self._target, workspace.workspace_id, one.application_id),
                    seen.get(one.application_id),
                    one,
                )
                for one in changes
            ]
        changes = self._beside_what_stays(changes, workspace, seen, wanted)
        acted = {
            change.application_id for change in changes if change.action in ("install", "uninstall", "retry")
        }
        foreign = tuple(
            ForeignChange(application_id=application, state=one.state)
            for application, one in sorted(seen.items())
            if one.state in STAGED and application not in acted
        )
        if foreign and acted and not self._policy.allow_foreign_staged:
            message = "staged by somebody else: " + ", ".join(one.application_id for one in foreign)
            changes = [
                blocked(change, Reason.FOREIGN_STAGED, message) if change.application_id in acted else change
                for change in changes
            ]
        planned = PlannedWorkspace(
            target=self._target,
            workspace_id=workspace.workspace_id,
            user_name=workspace.user_name,
            state=workspace.state,
            changes=tuple(changes),
            foreign=foreign,
        )
        error = self._unread.get(workspace.workspace_id)
        if error is not None:
            return unreadable(planned, error)
        removes = any(one.action == "uninstall" for one in changes)
        if removes and any(one.action == "blocked" and one.direction == "install" for one in changes):
            self._only_losing.append(workspace.workspace_id)
        return planned

    def _beside_what_stays(
        self,
        changes: list[PlannedChange],
        workspace: WorkspaceFacts,
        seen: Mapping[str, AssociationRecord],
        wanted: Wanted,
    ) -> list[PlannedChange]:
        """Block the installations that do not fit what stays because its removal is blocked."""
        stays = {
            one.application_id for one in changes if one.action == "blocked" and one.direction == "uninstall"
        }
        if not stays:
            return changes
        rest: Wanted = {one: direction for one, direction in wanted.items() if one not in stays}
        found = {
            one.application_id: self._obstacle(one.application_id, workspace, seen, rest)
            for one in changes
            if one.action == "install" and one.state == NO_ASSOCIATION
        }
        return [
            one if (way := found.get(one.application_id)) is None else blocked(one, way.reason, way.message)
            for one in changes
        ]

    def _change(
        self,
        workspace: WorkspaceFacts,
        seen: Mapping[str, AssociationRecord],
        wanted: Wanted,
        application: str,
    ) -> PlannedChange:
        direction = wanted[application]
        record = seen.get(application)
        state = str(record.state) if record is not None else NO_ASSOCIATION
        if direction is None:
            change = _planned(application, "blocked", None, state)
            rules = self._at_odds[workspace.workspace_id, application]
            return blocked(change, Reason.CONTRADICTION, f"{rules}: one wants it present, the other absent")
        action = next_action(state, direction)
        if action is NextAction.NOTHING:
            return _planned(application, "nothing", direction, state)
        if state in IN_FLIGHT:
            return _planned(application, direction, direction, state)
        retries = action is NextAction.RETRY
        change = _planned(application, "retry" if retries else direction, direction, state)
        if action is NextAction.WAIT:
            return blocked(change, Reason.UNKNOWN, f"the state {state[:60]!r} is not known to this release")
        # What is on its way becomes ready by itself, and is waited for.
        unready = _UNREADY.get(readiness(workspace.state))
        if unready is not None:
            reason, advice = unready
            return blocked(change, reason, f"the WorkSpace is {workspace.state[:60]}{advice}")
        if retries:
            return self._retry(change, workspace.workspace_id)
        if direction == "install" and state == NO_ASSOCIATION:
            found = self._obstacle(application, workspace, seen, wanted)
            if found is not None:
                return blocked(change, found.reason, found.message + self._remedy(found, wanted))
        return change

    def _retry(self, change: PlannedChange, workspace_id: str) -> PlannedChange:
        key = Key(self._target, workspace_id, change.application_id)
        tries = self._history.retries(key)
        if tries >= self._policy.retries:
            return blocked(
                change,
                Reason.RETRIES_EXHAUSTED,
                f"in ERROR; retried {tries} of {self._policy.retries} times",
            )
        if self._history.failed_direction(key) is None:
            message = "in ERROR; the journal does not know in which direction, so it is staged anew if the service takes it"
            return replace(change, message=message)
        return change

    def _remedy(self, found: Obstacle, wanted: Wanted) -> str:
        """Say what the manifest could do about an obstacle: remove what is in the way in the same deployment."""
        removable = [one for one in found.others if one not in wanted]
        if not removable or len(removable) < len(found.others):
            return ""
        # JSON's strings are TOML's and YAML's too.
        names = sorted(
            json.dumps(self._fleet.catalogue.reference(one), ensure_ascii=False) for one in removable
        )
        return f"; absent = [{', '.join(names)}] would remove it in the same deployment"

    def _obstacle(
        self,
        application: str,
        workspace: WorkspaceFacts,
        seen: Mapping[str, AssociationRecord],
        wanted: Wanted,
    ) -> Obstacle | None:
        others = frozenset(_staying(application, seen, wanted))
        key = (
            application,
            workspace.operating_system,
            workspace.compute_type,
            workspace.root_volume_gib,
            others,
        )
        if key not in self._obstacles:
            found = self._fleet.catalogue.get(application)
            rest: list[WorkSpaceApplication] = []
            for other in others:
                one = self._fleet.catalogue.get(other)
                rest += [one] if one is not None else []
            self._obstacles[key] = obstacle(found, workspace, rest) if found is not None else None
        return self._obstacles[key]


def unreadable(workspace: PlannedWorkspace, error: WorkSpacesError) -> PlannedWorkspace:
    """Return a WorkSpace that is left alone because not all of it could be read."""
    message = f"it cannot be read: {bounded(str(error))}"
    return replace(
        workspace,
        changes=tuple(
            blocked(replace(one, state=UNREAD), Reason.UNKNOWN, message) for one in workspace.changes
        ),
    )


def _staying(application: str, seen: Mapping[str, AssociationRecord], wanted: Wanted) -> Iterable[str]:
    """Return what else will be on a WorkSpace once all that is wanted and staged is done."""
    for other, direction in wanted.items():
        if direction == "install" and other != application:
            yield other
    leads = {**STAGED, **IN_FLIGHT, **SETTLED, ERROR: None}
    for other, one in seen.items():
        if other not in wanted and leads.get(one.state, "install") == "install":
            yield other


def _planned(application: str, action: Action, direction: Direction | None, state: str) -> PlannedChange:
    return PlannedChange(application_id=application, action=action, direction=direction, state=state)


async def judge(
    manifest: Manifest, inventories: Mapping[str, Inventory], clients: Mapping[str, WorkSpacesClient]
) -> tuple[list[UnmatchedValue], list[str]]:
    """Return what matches nothing, and warnings about what could not be found out.

    Where rules select by directory, bundle or id, only those WorkSpaces were read. A value that is not among them may
    stand elsewhere, so it is looked for: 25 ids a call, a call for each directory and bundle, and for users all of the
    target, once. Where everything matches, this makes no call.

    Args:
        manifest: What names the values.
        inventories: What was read of each target that could be read; it is added to.
        clients: Their clients.
    """
    named = [
        one
        for number, rule in enumerate(manifest.rules)
        for one in named_by(
            rule.name or f"rules[{number}]", rule.targets or manifest.target_names, rule.select
        )
    ]
    warnings: list[str] = []
    for target, suspects in undecided(named, inventories).items():
        try:
            await _look_for(suspects, inventories[target], clients[target])
        except WorkSpacesError as error:
            # They stay undecided, and what is not known to be missing is not called so.
            warnings.append(
                f"{target}: could not find out whether {suspects[0].value} exists: {bounded(str(error))}"
            )
    return unmatched(named, inventories), warnings


async def _look_for(suspects: Sequence[Named], inventory: Inventory, client: WorkSpacesClient) -> None:
    """Read what is needed to decide about values, and add it to the inventory."""

    def of(condition: str) -> frozenset[str]:
        return frozenset(one.value for one in suspects if one.condition == condition)

    if of("user_names"):
        # There is no filter by user alone; after this, everything is decided.
        for workspace in (await read_workspaces(client, Scope(everything=True))).values():
            inventory.add(workspace)
        inventory.scope = Scope(everything=True)
        return
    ids, directories, bundles = of("workspace_ids"), of("directory_ids"), of("bundle_ids")
    for workspace in (await read_workspaces(client, Scope(workspace_ids=ids))).values():
        inventory.add(workspace)
    # One WorkSpace of each is enough.
    for directory_id in sorted(directories):
        async for one in patiently(client.describe_workspaces(directory_id=directory_id, limit=1)):
            inventory.add(facts_of(one))
            break
    for bundle_id in sorted(bundles):
        async for one in patiently(client.describe_workspaces(bundle_id=bundle_id, limit=1)):
            inventory.add(facts_of(one))
            break
    inventory.scope = replace(
        inventory.scope,
        workspace_ids=inventory.scope.workspace_ids | ids,
        directory_ids=inventory.scope.directory_ids | directories,
        bundle_ids=inventory.scope.bundle_ids | bundles,
    )
