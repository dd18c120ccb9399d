"""The port through which a reconciler remembers and tells: the journal of a roll-out, or the memory of one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workspaces_apps._associations import Direction
    from workspaces_apps._observe.snapshot import AssociationRecord
    from workspaces_apps._reconcile.observed_state import Change

WriteOperation: TypeAlias = Literal[
    "AssociateWorkspaceApplication", "DisassociateWorkspaceApplication", "DeployWorkspaceApplications"
]
"""The operations that a reconciler writes with."""


class LogFailed(Exception):
    """Something could not be recorded; the cause says why. No error of the service's, and nothing may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteIntent:
    """A write that is about to be sent, for one application.

    Attributes:
        application_id: The application.
        operation: The API operation.
        direction: The direction of the change.
        force: Whether it is a Deploy with Force.
        retry: Whether it retries what had ended in ERROR; such intents are what `retries` counts.
    """

    application_id: str
    operation: WriteOperation
    direction: Direction
    force: bool = False
    retry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A change that failed.

    Attributes:
        application_id: The application.
        direction: The direction that was desired.
        reason: The service's code, or the class of error, or a `Reason`.
        message: The service's words.
        request_id: The service's id of the answer, for a call that was refused.
        final: Whether it is not retried any more.
        elapsed: Seconds since Deploy was taken; None without one.
    """

    application_id: str
    direction: Direction
    reason: str
    message: str = ""
    request_id: str | None = None
    final: bool = True
    elapsed: float | None = None


class IntentLog(Protocol):
    """The log of one reconciler, and its memory over restarts.

    Everything told may have to be written to a disk, or over a network, before it returns. What cannot be written
    raises `LogFailed`, and the write that it announces is not sent.
    """

    def failed_direction(self, application_id: str) -> Direction | None:
        """Return the direction of the last deployment, while it has not ended well; None where nobody knows."""
        ...

    def retries(self, application_id: str) -> int:
        """Return how often it was retried, over all runs, since it was last where it should be."""
        ...

    async def intend(self, intents: Sequence[WriteIntent]) -> None:
        """Have intents on record, for good, before the write that they announce."""
        ...

    async def withdraw(self, intents: Sequence[WriteIntent], reason: str) -> None:
        """Take intents back: the write was not begun."""
        ...

    async def staged(self, application_id: str, direction: Direction, request_id: str | None) -> None:
        """Record that the service took an Associate or Disassociate."""
        ...

    async def deployed(self, application_ids: Sequence[str], request_id: str | None, *, force: bool) -> None:
        """Record that the service took a Deploy."""
        ...

    async def changed(self, changes: Sequence[Change]) -> None:
        """Record that associations were read in another state than before."""
        ...

    async def succeeded(
        self,
        application_id: str,
        direction: Direction,
        record: AssociationRecord | None,
        elapsed: float | None,
    ) -> None:
        """Record that a change is made, as the service shows it."""
        ...

    async def failed(self, failure: Failure) -> None:
        """Record that a change failed."""
        ...

    async def skipped(self, application_id: str, reason: str, message: str) -> None:
        """Record that a change is left alone."""
        ...
