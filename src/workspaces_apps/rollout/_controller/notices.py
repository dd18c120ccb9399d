"""Calls of the hook `before_deploy`: recorded before each, bounded in time and number."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.clock import timeout
from workspaces_apps._base.logs import field_logger
from workspaces_apps.rollout._log.events import Noticed
from workspaces_apps.rollout._notice import DeployNotice, Postpone, Proceed, Skip

if TYPE_CHECKING:
    from datetime import datetime

    from workspaces_apps._base.clock import Clock
    from workspaces_apps.rollout._log.event_log import EventLog
    from workspaces_apps.rollout._notice import BeforeDeploy, NoticeAnswer
    from workspaces_apps.rollout._plan.plan import Plan, PlannedWorkspace

_AT_ONCE: Final = 16
"""Calls of the hook that go on at the same time: each may be a process."""

_log = field_logger("workspaces_apps.rollout")


class HookFailed(Exception):
    """The hook gave no answer that counts; the text says why."""


class Notifier:
    """Calls the hook of one apply.

    Args:
        hook: The hook.
        hook_timeout: Seconds that a call may take.
        plan: Whose names it tells.
        clock: The time of the limit.
        log: Where each call is recorded before it is made.
    """

    def __init__(
        self, hook: BeforeDeploy, hook_timeout: float, plan: Plan, clock: Clock, log: EventLog
    ) -> None:
        self._hook = hook
        self._timeout = hook_timeout
        self._plan = plan
        self._clock = clock
        self._log = log
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def call(self, workspace: PlannedWorkspace, planned_at: datetime) -> NoticeAnswer:
        """Call the hook for one deployment.

        Raises:
            HookFailed: It raised, took too long, or answered something else.
            JournalError: The call could not be recorded, and was not made.
        """
        target, workspace_id = workspace.target, workspace.workspace_id
        notice = DeployNotice(
            target=target,
            workspace_id=workspace_id,
            user_name=workspace.user_name,
            directions={
                one.application_id: one.direction for one in workspace.pending if one.direction is not None
            },
            application_names={
                one.application_id: self._plan.application_name(target, one.application_id)
                or one.application_id
                for one in workspace.pending
            },
            planned_at=planned_at,
            attempt=self._log.history.notices(target, workspace_id) + 1,
            run=self._log.run,
        )
        async with self._slots:
            # After a crash nobody knows whether the user was told: so it counts, and is told again.
            await self._log.record(
                self._log.event(
                    Noticed,
                    target,
                    workspace_id=workspace_id,
                    planned_at=planned_at,
                    attempt=notice.attempt,
                ),
                durable=True,
            )
            return await self._answer(notice)

    async def _answer(self, notice: DeployNotice) -> NoticeAnswer:
        limit = timeout(self._clock, self._timeout)
        try:
            async with limit:
                answer = await self._hook(notice)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise HookFailed("before_deploy was cancelled") from error
        except Exception as error:
            if limit.expired():
                raise HookFailed(f"before_deploy did not answer within {self._timeout:g} s") from error
            # Somebody else's code: whatever it raises, the WorkSpace is left alone and the others go on.
            _log.warning("before_deploy failed for %s", notice.workspace_id, exc_info=error)
            raise HookFailed(f"before_deploy raised {type(error).__name__}: {error}") from error
        return _checked(answer)


def _checked(answer: object) -> NoticeAnswer:
    # Whoever wrote the hook need not have a type checker.
    if not isinstance(answer, Proceed | Postpone | Skip):
        raise HookFailed(f"before_deploy answered {type(answer).__name__}, not Proceed, Postpone or Skip")
    return answer
