"""Frozen records of what the retry and pacing layers report, and the hooks that receive them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.public import public
from workspaces_apps.errors import ConfigurationError, WorkSpacesError

_log = field_logger("workspaces_apps.hooks")

Outcome: TypeAlias = Literal["success", "throttle", "transient", "in_progress", "fatal"]
"""The end of one attempt: success, or a failure of that kind."""

_Record = TypeVar("_Record")


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One attempt of a call, after it ended."""

    operation: str
    """The API operation."""
    attempt: int
    """Its number, from 1."""
    elapsed: float
    """Seconds from its beginning to its end, waiting for its turn included."""
    outcome: Outcome
    """``success``, or the kind of its failure."""
    error: WorkSpacesError | None = None
    """The error it failed with; None after a success."""
    request_id: str | None = None
    """The service's id of the answer, if one came."""
    http_status: int | None = None
    """The HTTP status of the answer, if one came."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRecord:
    """A retry that is about to be waited for."""

    operation: str
    """The API operation."""
    attempt: int
    """The number of the attempt that failed."""
    wait: float
    """Seconds until the next attempt begins."""
    cause: WorkSpacesError
    """The error of the attempt."""
    kind: Outcome
    """The kind of failure."""
    request_id: str | None = None
    """The service's id of the answer, if one came."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleRecord:
    """An answer by which the service refused the rate of calls."""

    operation: str
    """The API operation."""
    attempt: int
    """The number of the attempt that was refused."""
    rate: float | None = None
    """The rate learned for this operation, the refusal counted in, in calls a second; None if none is."""
    request_id: str | None = None
    """The service's id of the answer."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class PollRecord:
    """A poll that has ended: a read that waits, jobs and roll-outs share."""

    operation: str
    """The API operation."""
    resources: int
    """WorkSpaces, images or directories that it was for, those of others included; 1 or more."""
    elapsed: float
    """Seconds that it took, its attempts and backoff included."""
    error: WorkSpacesError | None = None
    """The error it failed with; None after a success."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRecord:
    """Credentials that were loaded or refreshed, or could not be."""

    elapsed: float
    """Seconds that it took."""
    error: WorkSpacesError | None = None
    """The error it failed with; None after a success."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Functions to be told of attempts, retries, throttles, polls and refreshes of credentials.

    They run on the event loop, between the steps of a call, so they must be quick. What they raise is logged
    and goes no further: watching a call must not change how it ends.

    Examples:
        >>> from workspaces_apps import ClientConfig, Hooks, RetryRecord
        >>> def on_retry(record: RetryRecord) -> None:
        ...     print(f"{record.operation}: attempt {record.attempt} failed, the next is in {record.wait:.1f} s")
        >>> config = ClientConfig(hooks=Hooks(on_retry=on_retry))
    """

    on_attempt: Callable[[AttemptRecord], None] | None = None
    """After every attempt."""
    on_retry: Callable[[RetryRecord], None] | None = None
    """Before the wait that a retry begins with."""
    on_throttle: Callable[[ThrottleRecord], None] | None = None
    """After every attempt that was throttled."""
    on_poll: Callable[[PollRecord], None] | None = None
    """After every poll that served a wait, a job or a roll-out of the view with these hooks."""
    on_refresh: Callable[[RefreshRecord], None] | None = None
    """After credentials were loaded or refreshed, or could not be: those of the client, so that the hooks of
    its `ClientConfig` are told, and not those of a view. What botocore refreshes by itself, it does not tell."""

    def __post_init__(self) -> None:
        """Refuse what could never be called between the steps of a call.

        Raises:
            ConfigurationError: A hook cannot be called, or is a coroutine function, which nobody would await.
        """
        for name in ("on_attempt", "on_retry", "on_throttle", "on_poll", "on_refresh"):
            hook: object = getattr(self, name)
            if hook is None:
                continue
            if not callable(hook):
                raise ConfigurationError(f"{name} must be a function, not {type(hook).__name__}")
            if inspect.iscoroutinefunction(hook) or inspect.iscoroutinefunction(type(hook).__call__):
                raise ConfigurationError(
                    f"{name} must be a plain function: hooks are not awaited. An `async def` can be started from one"
                    " with asyncio.create_task()"
                )


def notify(hook: Callable[[_Record], None] | None, record: _Record) -> None:
    """Hand `record` to `hook`, if there is one; an exception of the hook's is logged."""
    if hook is None:
        return
    try:
        returned: object = hook(record)
        if inspect.iscoroutine(returned):
            returned.close()
            _log.warning("a hook gave a coroutine on %s: hooks are not awaited", type(record).__name__)
    except Exception:  # noqa: BLE001 - a hook is a stranger's code and may raise anything
        _log.exception("a hook raised on %s", type(record).__name__)
