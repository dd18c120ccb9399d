"""The intent log of one WorkSpace in a roll-out: the events of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workspaces_apps._associations.states import NO_ASSOCIATION
from workspaces_apps._reconcile.writes import LogFailed
from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._log.events import (
    Changed,
    Deployed,
    Failed,
    Intent,
    Skipped,
    Staged,
    Succeeded,
)
from workspaces_apps.rollout._log.projection import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workspaces_apps._associations import Direction
    from workspaces_apps._observe.reads import AssociationRecord
    from workspaces_apps._reconcile.observed_state import Change
    from workspaces_apps._reconcile.writes import Failure, WriteIntent
    from workspaces_apps.rollout._log.event_log import EventLog
    from workspaces_apps.rollout._log.events import Event


class JournaledLog:
    """Tells what happens to one WorkSpace in events, and remembers by the journal's history.

    Args:
        log: The event log.
        target: The target.
        workspace_id: The WorkSpace.
    """

    def __init__(self, log: EventLog, target: str, workspace_id: str) -> None:
        self._log = log
        self._target = target
        self._workspace_id = workspace_id

    def failed_direction(self, application_id: str) -> Direction | None:
        """Return the direction of the last deployment, while it has not ended well."""
        return self._log.history.failed_direction(self._key(application_id))

    def retries(self, application_id: str) -> int:
        """Return how often it was retried, over all runs on this journal."""
        return self._log.history.retries(self._key(application_id))

    async def intend(self, intents: Sequence[WriteIntent]) -> None:
        """Have intents on disk before the write that they announce."""
        await self._record(*map(self._intent, intents), durable=True)

    async def withdraw(self, intents: Sequence[WriteIntent], reason: str) -> None:
        """Take intents back."""
        try:
            await self._log.withdraw(*map(self._intent, intents), reason=reason)
        except JournalError as error:
            raise LogFailed from error

    async def staged(self, application_id: str, direction: Direction, request_id: str | None) -> None:
        """Record that the service took an Associate or Disassociate."""
        await self._record(
            self._event(Staged, application_id=application_id, direction=direction, request_id=request_id)
        )

    async def deployed(self, application_ids: Sequence[str], request_id: str | None, *, force: bool) -> None:
        """Record that the service took a Deploy."""
        await self._record(
            self._event(Deployed, applications=tuple(application_ids), force=force, request_id=request_id)
        )

    async def changed(self, changes: Sequence[Change]) -> None:
        """Record that associations were read in another state than before."""
        await self._record(
            *(
                self._event(
                    Changed,
                    application_id=change.application_id,
                    state=str(change.after.state) if change.after is not None else NO_ASSOCIATION,
                )
                for change in changes
            )
        )

    async def succeeded(
        self,
        application_id: str,
        direction: Direction,
        record: AssociationRecord | None,
        elapsed: float | None,
    ) -> None:
        """Record that a change is made."""
        await self._record(
            self._event(
                Succeeded,
                application_id=application_id,
                direction=direction,
                elapsed=elapsed,
                updated_at=record.updated if record is not None else None,
                created_at=record.created if record is not None else None,
            )
        )

    async def failed(self, failure: Failure) -> None:
        """Record that a change failed."""
        await self._record(
            self._event(
                Failed,
                application_id=failure.application_id,
                direction=failure.direction,
                reason=failure.reason,
                message=failure.message,
                request_id=failure.request_id,
                final=failure.final,
                elapsed=failure.elapsed,
            )
        )

    async def skipped(self, application_id: str, reason: str, message: str) -> None:
        """Record that a change is left alone."""
        await self._record(
            self._event(Skipped, application_id=application_id, reason=str(reason), message=message)
        )

    def _key(self, application_id: str) -> Key:
        return Key(self._target, self._workspace_id, application_id)

    def _event(self, kind: Callable[..., Event], **members: object) -> Event:
        return self._log.event(kind, self._target, workspace_id=self._workspace_id, **members)

    def _intent(self, intent: WriteIntent) -> Intent:
        event = self._event(
            Intent,
            application_id=intent.application_id,
            operation=intent.operation,
            direction=intent.direction,
            force=intent.force,
            retry=intent.retry,
        )
        assert isinstance(event, Intent)
        return event

    async def _record(self, *events: Event, durable: bool = False) -> None:
        try:
            await self._log.record(*events, durable=durable)
        except JournalError as error:
            raise LogFailed from error
