"""What is said of one WorkSpace in an apply: every change gets exactly one last word."""

from collections.abc import Callable, Mapping
from typing import Final

from workspaces_apps.rollout.associations import ERROR, GONE, IN_FLIGHT, RESTING, STAGED, Seen
from workspaces_apps.rollout.events import Direction, Event, Failed, Skipped, Succeeded
from workspaces_apps.rollout.ledger import Ledger
from workspaces_apps.rollout.plan import PlannedWorkspace
from workspaces_apps.rollout.reasons import Reason

IN_ERROR: Final = {
    Reason.DIRECTION_UNKNOWN: "in ERROR; neither the journal nor the service tells in which direction",
    Reason.DIRECTION_OPPOSITE: "in ERROR in the direction that is not wanted, and the service does not take the other",
    Reason.FOREIGN_ERROR: "in ERROR; Force would also try again what else is in ERROR on this WorkSpace",
}
"""Why something in ERROR is left alone."""

_LEFT: Final[Mapping[str, Reason]] = {
    **dict.fromkeys(STAGED, Reason.LEFT_STAGED),
    **dict.fromkeys(IN_FLIGHT, Reason.LEFT_DEPLOYING),
    **dict.fromkeys(RESTING, Reason.NOT_BEGUN),
}
"""How a roll-out that is stopped leaves a change, by the state that was seen last."""


class LastWords:
    """The events of one WorkSpace.

    Args:
        planned: What is planned for it.
        ledger: Where they go.

    Attributes:
        wanted: The changes, and where they lead.
        open: Those that have no last word yet.
        failed: Whether any failed for good.
    """

    def __init__(self, planned: PlannedWorkspace, ledger: Ledger) -> None:
        self._planned = planned
        self._ledger = ledger
        self.wanted: dict[str, Direction] = {
            change.application_id: change.direction
            for change in planned.pending
            if change.direction is not None
        }
        self.open: dict[str, Direction] = dict(self.wanted)
        self.failed: bool = False

    def event(self, kind: Callable[..., Event], **members: object) -> Event:
        """An event about this WorkSpace."""
        return self._ledger.event(
            kind, self._planned.target, workspace_id=self._planned.workspace_id, **members
        )

    def record(self, kind: Callable[..., Event], *, durable: bool = False, **members: object) -> None:
        """Take an event about this WorkSpace down."""
        self._ledger.record(self.event(kind, **members), durable=durable)

    def succeed(self, application: str, elapsed: float | None) -> None:
        """It is as wanted."""
        direction = self.open.pop(application)
        self.record(Succeeded, application_id=application, direction=direction, elapsed=elapsed)

    def fail(
        self,
        application: str,
        reason: str,
        message: str,
        *,
        final: bool = True,
        refused: bool = False,
        request_id: str | None = None,
        elapsed: float | None = None,
    ) -> None:
        """It failed; the last word unless it will be tried again."""
        if final:
            if self.open.pop(application, None) is None:
                return
            self.failed = True
        self.record(
            Failed,
            application_id=application,
            direction=self.wanted[application],
            reason=reason,
            message=message,
            request_id=request_id,
            final=final,
            refused=refused,
            elapsed=elapsed,
        )

    def fail_in_error(self, application: str, error: Seen, *, final: bool, elapsed: float | None) -> None:
        """A deployment ended in ERROR."""
        self.fail(application, error.code or ERROR, error.message or "", final=final, elapsed=elapsed)

    def skip(self, application: str, reason: Reason, message: str) -> None:
        """It is left alone."""
        if self.open.pop(application, None) is not None:
            self.record(Skipped, application_id=application, reason=reason.value, message=message)

    def give_up(self, reason: Reason, message: str, seen: dict[str, Seen]) -> None:
        """All that is open is left alone; what was begun is told."""
        for application in list(self.open):
            state = seen.get(application, GONE).state
            self.skip(application, left_as(state, reason), left_over(state, message))


def left_as(state: str, reason: Reason) -> Reason:
    """The reason; where the roll-out was stopped, the one that tells how it leaves the change."""
    return _LEFT.get(state, reason) if reason is Reason.STOPPED else reason


def left_over(state: str, message: str) -> str:
    """The message, and what is left of a change that was begun."""
    if state in STAGED:
        return f"{message}; its change stays staged, and any deployment would commit it"
    if state in IN_FLIGHT:
        return f"{message}; its deployment goes on"
    return message
