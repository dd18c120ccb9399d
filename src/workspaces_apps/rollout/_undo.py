"""Undoing a roll-out: what its journal says that it changed, and the manifest that takes exactly that back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from workspaces_apps._associations import OPPOSITE
from workspaces_apps._associations.states import (
    ERROR,
    IN_FLIGHT,
    SETTLED,
    SETTLED_BY,
    STAGED,
    Phase,
    state_info,
)
from workspaces_apps._observe.reads import AssociationRecord
from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps.rollout._log.events import (
    Action,
    Changed,
    Direction,
    Event,
    Failed,
    Intent,
    Planned,
    Skipped,
    Started,
    Succeeded,
    Withdrawn,
)
from workspaces_apps.rollout._log.projections import Key
from workspaces_apps.rollout._manifest.manifest import DEFAULT_TARGET, ApplicationRef, Manifest, Rule, Target
from workspaces_apps.rollout._manifest.policy import Policy
from workspaces_apps.rollout._manifest.selectors import Selector
from workspaces_apps.rollout._plan.plan import Plan, PlannedChange, PlannedWorkspace, blocked, some

_LONGEST_NAME: Final = 100

_EQUAL: Final = timedelta(milliseconds=1)
"""Times that differ by less are the same: the service gives seconds with a fraction [seen]."""

_BY_ACTION: Final[Mapping[Action, str]] = {action: SETTLED_BY[other] for action, other in OPPOSITE.items()}
"""The state before, where a journal of an earlier release tells the action only."""


def _is_own(before: str, direction: Direction) -> bool | None:
    """Tell if a change is a roll-out's own doing, by the state before; None where that tells nothing.

    A change that was only staged, and was reverted, left the application as it had been.
    """
    row = state_info(before)
    if row.direction is None:
        return None
    match row.phase:
        case Phase.SETTLED:
            return row.direction != direction
        case Phase.STAGED:
            return row.direction == direction
        case _:
            return True


@dataclass(slots=True)
class _KnownChange:
    """The known facts about one application on one WorkSpace.

    Attributes:
        before: Its state before the first write of the runs in question; None while none was announced.
        planned: Its state as it was planned last.
        intents: The writes that were announced and not withdrawn since the last success: by run, and direction.
        ended: The number of them that are known to have ended in ERROR, or to have been refused.
        made: The last success that followed one of them, and the run that announced it.
    """

    before: str | None = None
    planned: str | None = None
    intents: list[tuple[str, Direction]] = field(default_factory=list[tuple[str, Direction]])
    ended: int = 0
    made: tuple[str, Succeeded] | None = None

    def end(self) -> None:
        """Take in that what was announced so far has ended, and not well."""
        self.ended = len(self.intents)


class ChangesMade:
    """The changes that runs of a journal have made; a projection.

    Args:
        run: The id of the only run in question; None: all of the journal.
    """

    def __init__(self, run: str | None = None) -> None:
        self._run = run
        self._changes: dict[Key, _KnownChange] = {}
        self._users: dict[tuple[str, str], str] = {}
        self.name: str = ""

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        match event:
            case Started():
                self.name = event.name
            case Planned():
                self._plan(event)
            case Intent():
                change = self._of(event)
                change.intents.append((event.run, event.direction))
                if change.before is None and self._asked(event.run):
                    change.before = change.planned or ""
            case Withdrawn():
                change = self._of(event)
                if (event.run, event.direction) in change.intents:
                    change.intents.reverse()
                    change.intents.remove((event.run, event.direction))
                    change.intents.reverse()
            case Changed(state="ERROR"):
                self._of(event).end()
            case Changed(state=state) if state in IN_FLIGHT:
                # One read may show ERROR, and the next one that it goes on.
                self._of(event).ended = 0
            case Failed(application_id=str()) | Skipped(application_id=str()) if _has_ended(event):
                self._of(event).end()
            case Succeeded():
                change = self._of(event)
                # Without an intent it was so already, or another run has made it.
                if change.intents and change.intents[-1][1] == event.direction:
                    change.made = change.intents[-1][0], event
                change.intents.clear()
                change.ended = 0
            case _:
                pass

    def _asked(self, run: str) -> bool:
        return self._run is None or run == self._run

    def _of(
        self, event: Planned | Intent | Withdrawn | Changed | Failed | Skipped | Succeeded
    ) -> _KnownChange:
        return self._changes.setdefault(
            Key(event.target, event.workspace_id, event.application_id or ""), _KnownChange()
        )

    def _plan(self, event: Planned) -> None:
        if event.user_name is not None:
            self._users[event.target, event.workspace_id] = event.user_name
        state = event.state or _BY_ACTION.get(event.action)
        if state is None and event.action == "nothing" and event.direction is not None:
            state = SETTLED_BY[event.direction]
        change = self._of(event)
        change.planned = state
        if state == ERROR:
            change.end()

    def left(self) -> list[Key]:
        """Return the changes that the runs in question announced, and of whose end nothing is known."""
        return [
            key
            for key, change in self._changes.items()
            if any(self._asked(run) for run, _ in change.intents[change.ended :])
        ]

    def made(self) -> dict[Key, "Made"]:
        """Return the changes that the runs in question have made, in the order in which they were planned."""
        return {
            key: Made(success=change.made[1], before=change.before or None)
            for key, change in self._changes.items()
            if change.made is not None and self._asked(change.made[0])
        }

    def user(self, target: str, workspace_id: str) -> str | None:
        """Return the user of a WorkSpace, where a plan named one."""
        return self._users.get((target, workspace_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A change that a roll-out has made.

    Attributes:
        success: Its last word on it.
        before: The association's state before; None where the journal does not tell.
    """

    success: Succeeded
    before: str | None

    @property
    def back(self) -> Direction:
        """The direction that takes it back."""
        return OPPOSITE[self.success.direction]

    @property
    def obstacle(self) -> tuple[Reason, str] | None:
        """Return why it is left alone, whatever the service shows now; None if nothing in the journal speaks against it."""
        own = _is_own(self.before or "", self.success.direction)
        if own is None:
            said = self.before or "unknown"
            return (
                Reason.BEFORE_UNKNOWN,
                f"nobody knows how it was before: it was {said} when the roll-out began",
            )
        if not own:
            return Reason.THERE_BEFORE, f"it was so before the roll-out, which only reverted {self.before}"
        return None


class Undo:
    """The undo of a roll-out: a manifest, and the judgement of what the service shows.

    Args:
        changes: What the roll-out has made.
        policy: How carefully it goes back.
    """

    def __init__(self, changes: ChangesMade, policy: Policy) -> None:
        self._changes = changes
        self._made = changes.made()
        self.name: str = f"undo-{changes.name}"[:_LONGEST_NAME]
        self.policy: Policy = policy

    def manifest(self) -> Manifest | None:
        """Return the manifest of the way back; None where nothing is to be taken back."""
        groups: dict[tuple[str, str, Direction], list[str]] = {}
        for key, made in self._made.items():
            if made.obstacle is None:
                groups.setdefault((key.target, key.application_id, made.back), []).append(key.workspace_id)
        if not groups:
            return None
        named = tuple(dict.fromkeys(target for target, _, _ in groups))
        return Manifest(
            name=self.name,
            targets=() if named == (DEFAULT_TARGET,) else tuple(Target(name=name) for name in named),
            rules=tuple(
                _rule(target, application, direction, ids)
                for (target, application, direction), ids in groups.items()
            ),
            policy=self.policy,
        )

    def review(self, key: Key, record: AssociationRecord | None, change: PlannedChange) -> PlannedChange:
        """Return a planned change as it is after a reading of what has happened since the roll-out.

        Args:
            key: Which change.
            record: The association as the service shows it; None if there is none.
            change: What would be done to bring it back.
        """
        made = self._made[key].success
        if change.action == "nothing" or change.direction in (
            STAGED.get(change.state),
            IN_FLIGHT.get(change.state),
        ):
            # It is back, or on its way: the undo goes on.
            return change
        if change.state == ERROR:
            return change
        if SETTLED.get(change.state) != made.direction:
            return blocked(
                change, Reason.CHANGED_SINCE, f"it is {change.state} now: somebody has changed it since"
            )
        times = [
            (then, now)
            for then, now in (
                (made.created_at, record.created if record is not None else None),
                (made.updated_at, record.updated if record is not None else None),
            )
            if then is not None and now is not None
        ]
        # The time of its making is that of the same association, even where a removal was staged and reverted since, as
        # an undo does that a user came in the way of. The time of its last change tells where the other is missing.
        if times and not _equal(*times[0]):
            return blocked(
                change, Reason.CHANGED_SINCE, "somebody has changed it since: its times are others"
            )
        if not times and change.message is None:
            return replace(
                change, message="judged by its state alone: nothing tells when it was changed last"
            )
        return change

    def complete(self, plan: Plan) -> Plan:
        """Return the plan with everything that is left alone, each with its reason."""
        planned = {(one.target, one.workspace_id): one for one in plan.workspaces}
        for key, made in self._made.items():
            where = key.target, key.workspace_id
            workspace = planned.get(where)
            known = (
                {change.application_id for change in workspace.changes}
                if workspace is not None
                else set[str]()
            )
            if key.application_id in known:
                continue
            reason, message = made.obstacle or (Reason.VANISHED, "the WorkSpace does not exist any more")
            change = PlannedChange(
                application_id=key.application_id,
                action="blocked",
                direction=made.back,
                state=SETTLED_BY[made.success.direction],
                reason=reason.value,
                message=message,
            )
            if workspace is None:
                user = self._changes.user(*where)
                workspace = PlannedWorkspace(
                    target=where[0], workspace_id=where[1], user_name=user, changes=()
                )
            planned[where] = replace(workspace, changes=(*workspace.changes, change))
        warnings = plan.warnings
        left = self._changes.left()
        if left:
            ids = tuple(dict.fromkeys(key.workspace_id for key in left))
            told = f"{len(left):,} changes may have been left staged or deploying, on {some(ids)}"
            warnings += (
                f"{told}: an undo leaves them alone. Resume the roll-out so that its journal tells how they ended, then undo",
            )
        return replace(plan, workspaces=tuple(planned.values()), warnings=warnings)


def _has_ended(event: Failed | Skipped) -> bool:
    if isinstance(event, Failed):
        return event.refused or not event.final
    return event.reason == Reason.VANISHED


def changes_made(events: Iterable[Event], run: str | None) -> ChangesMade:
    """Return what the runs of a journal have made.

    Args:
        events: The journal's, oldest first.
        run: The id of the only run in question; None: all of them.
    """
    found = ChangesMade(run)
    for event in events:
        found.apply(event)
    return found


def _rule(target: str, application: str, direction: Direction, ids: Sequence[str]) -> Rule:
    refs = (ApplicationRef(id=application),)
    return Rule(
        name=f"{direction} {application} again" if direction == "install" else f"{direction} {application}",
        select=Selector(workspace_ids=tuple(ids)),
        present=refs if direction == "install" else (),
        absent=refs if direction == "uninstall" else (),
        targets=(target,),
    )


def _equal(one: datetime, other: datetime) -> bool:
    return abs(one - other) < _EQUAL
