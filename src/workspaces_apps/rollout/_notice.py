"""Notice of a deployment: what a hook is told before Deploy, and what it may answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from workspaces_apps._base.public import Datetime, public
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.rollout._log.events import Direction


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployNotice:
    """A deployment that is about to begin, and that will end the session of its user.

    Attributes:
        target: The name of the manifest's target.
        workspace_id: The WorkSpace.
        user_name: Its user; None where the service does not say.
        directions: Where each application goes, by its id.
        application_names: What the catalogue calls each of them, by its id; the id where it has no name.
        planned_at: When Deploy will be sent, at the earliest; in UTC.
        attempt: How often the hook was called for this deployment, this time included, over all runs on the journal.
        run: The run.
    """

    target: str
    workspace_id: str
    user_name: str | None
    directions: Mapping[str, Direction]
    application_names: Mapping[str, str]
    planned_at: Datetime
    attempt: int
    run: str


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True)
class Proceed:
    """The deployment may begin as planned."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True)
class Postpone:
    """The deployment must not begin before a moment; then the hook is called again.

    Attributes:
        until: That moment, with a time zone. It counts at most until the policy's `connected_timeout`.
    """

    until: Datetime

    def __post_init__(self) -> None:
        """Refuse a time without a zone.

        Raises:
            ConfigurationError: It has none.
        """
        if self.until.tzinfo is None:
            raise ConfigurationError("Postpone(until=...) takes a time with a time zone")


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True)
class Skip:
    """The WorkSpace is left alone in this run.

    Attributes:
        reason: Why, in a word or a sentence; it becomes the reason of the `Skipped` event.
    """

    reason: str


NoticeAnswer: TypeAlias = Proceed | Postpone | Skip
"""The answer of a hook."""

BeforeDeploy: TypeAlias = Callable[[DeployNotice], Awaitable[NoticeAnswer]]
"""A hook that is called before each deployment of an apply.

    async def tell_the_user(notice: DeployNotice) -> NoticeAnswer:
        await send_mail(notice.user_name, f"Your desktop will restart at {notice.planned_at:%H:%M} UTC.")
        return Proceed()
"""
