"""The results of one reconciler: every change ends exactly once, as succeeded, failed or skipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from workspaces_apps._associations.states import ERROR, IN_FLIGHT, SETTLED, STAGED
from workspaces_apps._reconcile.intent_log import Failure
from workspaces_apps._reconcile.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workspaces_apps._associations import Direction
    from workspaces_apps._observe.snapshot import AssociationRecord
    from workspaces_apps._reconcile.intent_log import IntentLog
    from workspaces_apps._reconcile.observed_state import ObservedState
    from workspaces_apps.errors import WorkSpacesError

Outcome: TypeAlias = Literal["succeeded", "failed", "skipped"]

IN_ERROR: Final[Mapping[Reason, str]] = {
    Reason.RETRIES_EXHAUSTED: "in ERROR",
    Reason.DIRECTION_UNKNOWN: "in ERROR; neither the journal nor the service tells in which direction",
    Reason.DIRECTION_OPPOSITE: "in ERROR in the direction that is not wanted, and the service does not take the other",
    Reason.FOREIGN_ERROR: "in ERROR; Force would also retry what else is in ERROR on this WorkSpace",
}
"""Why something in ERROR is left alone."""

_LEFT: Final[Mapping[str, Reason]] = {
    **dict.fromkeys(STAGED, Reason.LEFT_STAGED),
    **dict.fromkeys(IN_FLIGHT, Reason.LEFT_DEPLOYING),
}
"""The state in which a stopped run, or one that has lost its credentials, leaves a change, by the state read last."""


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """The outcome of one change.

    Attributes:
        outcome: Succeeded, failed or skipped.
        reason: Why it did not succeed: a `Reason`, the service's code, a class of error, or the word of a hook.
        message: The reason in words.
        error: The error of the call that was refused, if that was it.
    """

    outcome: Outcome
    reason: str | None = None
    message: str = ""
    error: WorkSpacesError | None = None


class ResultRecorder:
    """The results of one WorkSpace, as they come.

    Args:
        desired: The direction of each change.
        observed: The WorkSpace, as it was read.
        log: Where they are recorded.

    Attributes:
        open: The changes that have not ended.
        results: Those that have.
    """

    def __init__(self, desired: Mapping[str, Direction], observed: ObservedState, log: IntentLog) -> None:
        self.open: dict[str, Direction] = dict(desired)
        self.results: dict[str, ChangeResult] = {}
        self._desired = desired
        self._observed = observed
        self._log = log

    @property
    def failed(self) -> bool:
        """Tell if any change failed."""
        return any(result.outcome == "failed" for result in self.results.values())

    async def succeed(self, application: str) -> None:
        """End a change well."""
        direction = self.open.pop(application)
        self.results[application] = ChangeResult("succeeded")
        record, elapsed = self._observed.records.get(application), self._observed.elapsed(application)
        await self._log.succeeded(application, direction, record, elapsed)

    async def fail(
        self,
        application: str,
        reason: str,
        message: str,
        *,
        final: bool = True,
        error: WorkSpacesError | None = None,
    ) -> None:
        """Record a failure; it ends the change unless it will be retried."""
        if final:
            if self.open.pop(application, None) is None:
                return
            self.results[application] = ChangeResult("failed", reason, message, error)
        await self._log.failed(
            Failure(
                application_id=application,
                direction=self._desired[application],
                reason=reason,
                message=message,
                request_id=error.request_id if error is not None else None,
                final=final,
                elapsed=self._observed.elapsed(application),
            )
        )

    async def fail_in_error(self, application: str, record: AssociationRecord | None, *, final: bool) -> None:
        """Record a deployment that ended in ERROR."""
        code = record.code if record is not None else None
        message = record.message if record is not None else None
        await self.fail(application, code or ERROR, message or "", final=final)

    async def skip(
        self, application: str, reason: str, message: str, *, error: WorkSpacesError | None = None
    ) -> None:
        """Leave a change alone."""
        if self.open.pop(application, None) is not None:
            self.results[application] = ChangeResult("skipped", str(reason), message, error)
            await self._log.skipped(application, reason, message)

    async def give_up(self, reason: str, message: str, *, error: WorkSpacesError | None = None) -> None:
        """Leave every open change alone, and tell what was begun."""
        for application in list(self.open):
            state = self._observed.state(application)
            await self.skip(application, left_as(state, reason), left_over(state, message), error=error)


def left_as(state: str | None, reason: str) -> str:
    """Return the reason; for what ends in the middle of things, the one that tells how it leaves the change."""
    if reason not in (Reason.STOPPED, Reason.CREDENTIALS):
        return reason
    if reason is Reason.STOPPED and (state or "REMOVED") in SETTLED:
        return Reason.NOT_STARTED
    return _LEFT.get(state or "REMOVED", reason)


def left_over(state: str | None, message: str) -> str:
    """Return the message, and what is left of a change that was begun."""
    if state in STAGED:
        return f"{message}; its change stays staged, and any deployment would commit it"
    if state in IN_FLIGHT:
        return f"{message}; its deployment goes on"
    return message
