"""`--before-deploy COMMAND`: the hook of an apply as a program, whose exit code is the answer."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from workspaces_apps.cli._programs import PROCEED, TRY_AGAIN, UNAVAILABLE, run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from workspaces_apps._model.values import JsonObject
    from workspaces_apps.rollout import BeforeDeploy, DeployNotice, NoticeAnswer


class ProgramFailed(Exception):
    """The program gave no answer that counts."""


def program_hook(words: Sequence[str], now: Callable[[], datetime]) -> BeforeDeploy:
    """Return the hook that runs a program for each deployment.

    Args:
        words: The program and its arguments.
        now: The clock that postponements count from.
    """
    from workspaces_apps.rollout import Postpone, Proceed, Skip

    async def before_deploy(notice: DeployNotice) -> NoticeAnswer:
        ended = await run_program(words, payload_of(notice))
        match ended.code:
            case code if code == PROCEED:
                return Proceed()
            case code if code == TRY_AGAIN:
                try:
                    return Postpone(now() + timedelta(seconds=ended.seconds()))
                except ValueError:
                    raise ProgramFailed(f"it printed {ended.first_line[:60]!r}, not seconds") from None
            case code if code == UNAVAILABLE:
                return Skip(ended.first_line)
            case _:
                raise ProgramFailed(ended.failure)

    return before_deploy


def payload_of(notice: DeployNotice) -> JsonObject:
    """Return a notice as the program gets it: its attributes, by their names."""
    return {
        "target": notice.target,
        "workspace_id": notice.workspace_id,
        "user_name": notice.user_name,
        "directions": dict(notice.directions),
        "application_names": dict(notice.application_names),
        "planned_at": notice.planned_at.isoformat(),
        "attempt": notice.attempt,
        "run": notice.run,
    }
