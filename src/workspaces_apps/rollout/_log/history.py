"""History of a journal: the direction of what is in ERROR, how often it was tried again, and what is unsettled.

Approvals have a history of their own, in `approvals`.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from workspaces_apps._associations.states import IN_FLIGHT, SETTLED
from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps.rollout._log.approvals import ApprovalHistory
from workspaces_apps.rollout._log.events import (
    Changed,
    Deployed,
    Direction,
    Event,
    Failed,
    Intent,
    Noticed,
    Planned,
    Skipped,
    Succeeded,
    Withdrawn,
)
from workspaces_apps.rollout._log.projection import Key


@dataclass(slots=True)
class _Tries:
    """The deployments of one application that were announced and have not ended well."""

    direction: Direction | None = None
    retries: int = 0
    # The last intent was a retry, and nothing has been heard of it.
    announced: bool = False
    # What the last intent replaced, until something else tells of the direction.
    before: tuple[Direction | None, bool] | None = None


class RunHistory:
    """The memory of a roll-out over all runs of its journal; a `Projection`.

    The direction of an ERROR is that of the last deployment which this journal announced, or saw going on, for that
    application. It is forgotten once the application came to rest: an ERROR after that is somebody else's.

    Args:
        past: The events so far, oldest first.

    Attributes:
        approvals: What somebody approved, and what waits for it.
    """

    def __init__(self, past: Iterable[Event] = ()) -> None:
        self._tries: dict[Key, _Tries] = {}
        self._unsettled: dict[Key, Direction] = {}
        self._notices: Counter[tuple[str, str]] = Counter()
        self.approvals: ApprovalHistory = ApprovalHistory()
        for event in past:
            self.apply(event)

    def failed_direction(self, key: Key) -> Direction | None:
        """Return the direction of the last deployment, while it has not ended well."""
        tries = self._tries.get(key)
        return tries.direction if tries is not None else None

    def retries(self, key: Key) -> int:
        """Return how often it was tried again, over all runs, since it was last in sync.

        Intents are counted, without those that the service refused or that were withdrawn: one that a crash kept from
        being sent counts.
        """
        tries = self._tries.get(key)
        return tries.retries if tries is not None else 0

    def notices(self, target: str, workspace_id: str) -> int:
        """Return how often the hook was called for a WorkSpace, over all runs, since a Deploy was last taken for it."""
        return self._notices[target, workspace_id]

    @property
    def unsettled(self) -> dict[Key, Direction]:
        """Changes that some run planned, and none has reported as made."""
        return dict(self._unsettled)

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        self.approvals.apply(event)
        match event:
            case Noticed():
                self._notices[event.target, event.workspace_id] += 1
            case Deployed():
                self._notices.pop((event.target, event.workspace_id), None)
            case Planned(action="install" | "uninstall" | "retry", direction=direction) if (
                direction is not None
            ):
                self._unsettled[_key(event)] = direction
            case Intent(operation="DeployWorkspaceApplications"):
                tries = self._tries.setdefault(_key(event), _Tries())
                tries.before = tries.direction, tries.announced
                tries.direction, tries.announced = event.direction, event.retry
                tries.retries += event.retry
            case Withdrawn(operation="DeployWorkspaceApplications"):
                self._withdraw(self._tries.get(_key(event)), retry=event.retry)
            case Failed(application_id=str(application), refused=True):
                refused = self._tries.get(Key(event.target, event.workspace_id, application))
                if refused is not None and refused.announced:
                    refused.announced = False
                    refused.retries -= 1
            case Changed(state=state) if state in IN_FLIGHT:
                tries = self._tries.setdefault(_key(event), _Tries())
                tries.direction, tries.before = IN_FLIGHT[state], None
            case Changed(state=state) if state in SETTLED:
                self._tries.pop(_key(event), None)
            case Succeeded():
                self._tries.pop(_key(event), None)
                self._unsettled.pop(_key(event), None)
            case Skipped(application_id=str(), reason=Reason.VANISHED):
                self._unsettled.pop(Key(event.target, event.workspace_id, event.application_id or ""), None)
            case _:
                pass

    @staticmethod
    def _withdraw(tries: _Tries | None, *, retry: bool) -> None:
        if tries is None:
            return
        # One that the service refused is not counted any more.
        tries.retries -= retry and tries.announced
        tries.direction, tries.announced = tries.before or (tries.direction, False)
        tries.before = None


def _key(event: Planned | Intent | Withdrawn | Changed | Succeeded) -> Key:
    return Key(event.target, event.workspace_id, event.application_id)
