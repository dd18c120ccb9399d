"""What only the journal knows: the direction of what is in ERROR, how often it was tried again, what is unsettled."""

from collections.abc import Iterable
from typing import NamedTuple

from workspaces_apps.rollout.associations import IN_FLIGHT, RESTING
from workspaces_apps.rollout.events import (
    Changed,
    Direction,
    Event,
    Failed,
    Intent,
    Planned,
    Skipped,
    Succeeded,
)
from workspaces_apps.rollout.reasons import Reason


class Key(NamedTuple):
    """One application on one WorkSpace of one target."""

    target: str
    workspace_id: str
    application_id: str


class Memory:
    """The events of a journal, folded to what a roll-out must not forget.

    The direction of an ERROR is that of the last deployment which this journal announced, or saw going on, for that
    application. It is forgotten once the application came to rest: an ERROR after that is somebody else's.

    Args:
        past: The events so far, oldest first.
    """

    def __init__(self, past: Iterable[Event] = ()) -> None:
        self._directions: dict[Key, Direction] = {}
        self._retries: dict[Key, int] = {}
        self._announced: set[Key] = set()
        self._unsettled: dict[Key, Direction] = {}
        for event in past:
            self.note(event)

    def direction(self, key: Key) -> Direction | None:
        """The direction of the last deployment, while it has not ended well."""
        return self._directions.get(key)

    def retries(self, key: Key) -> int:
        """How often it was tried again, over all runs, since it was last as wanted.

        Counted by intents, without those that the service refused: one that a crash kept from being sent counts.
        """
        return self._retries.get(key, 0)

    @property
    def unsettled(self) -> dict[Key, Direction]:
        """What some run planned to change, and none has reported as changed."""
        return dict(self._unsettled)

    def note(self, event: Event) -> None:
        """Take one more event in."""
        match event:
            case Planned(action="install" | "uninstall" | "retry", direction=direction) if (
                direction is not None
            ):
                self._unsettled[_key(event)] = direction
            case Intent(operation="DeployWorkspaceApplications"):
                self._directions[_key(event)] = event.direction
                if event.retry:
                    self._retries[_key(event)] = self.retries(_key(event)) + 1
                (self._announced.add if event.retry else self._announced.discard)(_key(event))
            case Failed(application_id=str(application), refused=True):
                key = Key(event.target, event.workspace_id, application)
                if key in self._announced:
                    self._announced.discard(key)
                    self._retries[key] -= 1
            case Changed(state=state) if state in IN_FLIGHT:
                self._directions[_key(event)] = IN_FLIGHT[state]
            case Changed(state=state) if state in RESTING:
                self._forget(_key(event))
            case Succeeded():
                self._forget(_key(event))
                self._unsettled.pop(_key(event), None)
            case Skipped(application_id=str(), reason=Reason.VANISHED):
                self._unsettled.pop(Key(event.target, event.workspace_id, event.application_id or ""), None)
            case _:
                pass

    def _forget(self, key: Key) -> None:
        self._directions.pop(key, None)
        self._retries.pop(key, None)
        self._announced.discard(key)


def _key(event: Planned | Intent | Changed | Succeeded) -> Key:
    return Key(event.target, event.workspace_id, event.application_id)
