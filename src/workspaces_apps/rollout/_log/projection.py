"""Projections: what is folded from the events of a roll-out, one event after the other."""

from typing import NamedTuple, Protocol

from workspaces_apps.rollout._log.events import Event


class Key(NamedTuple):
    """One application on one WorkSpace of one target."""

    target: str
    workspace_id: str
    application_id: str


class Projection(Protocol):
    """A fold of events, in the order in which they happened. It never looks back and never fails."""

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        ...
