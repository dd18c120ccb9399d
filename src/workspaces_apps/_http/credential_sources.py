"""Credentials for every request: those in hand until they end, and one refresh for all who need others.

A refresh is a task of its own. Whoever waits for it may be cancelled or run out of time, and the refresh goes on for
the others. One that begins some minutes before the end is no condition of anything: if it fails, the credentials in
hand are used until they have ended, and it is tried again after a while.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from botocore.credentials import ReadOnlyCredentials

from workspaces_apps._base.credentials import UNFIT, Credentials, RefusableCredentialsProvider, is_fit
from workspaces_apps._base.detached import start_detached
from workspaces_apps._base.hooks import RefreshRecord
from workspaces_apps._base.log_fields import field_logger
from workspaces_apps._base.text import hide
from workspaces_apps._base.waiting import told_when_long
from workspaces_apps.errors import ClientStateError, CredentialsError, WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from workspaces_apps._base.credentials import CredentialsProvider

_log = field_logger("workspaces_apps.credentials")

EARLY: Final = timedelta(minutes=5)
"""Time before their expiry at which credentials are refreshed."""

GRACE: Final = 1.0
"""Seconds that a call waits for the early refresh that it begins: most take less, and it then goes with the newer ones."""

LONGEST_PAUSE: Final = 60.0
"""Seconds at most between two early refreshes that came to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The result of a loader.

    Attributes:
        credentials: The credentials.
        expires_at: When they end, with a time zone; None if they do not, or nobody knows.
        live: Gives the credentials of each moment, where they look after themselves; `credentials` are those of
            the first.
    """

    credentials: ReadOnlyCredentials
    expires_at: datetime | None = None
    live: Callable[[], Awaitable[ReadOnlyCredentials]] | None = None


class Loader(Protocol):
    """A source of credentials."""

    @property
    def waits_for(self) -> str:
        """The source that is asked at this moment, in words; empty where none is."""
        ...

    @property
    def advice(self) -> str:
        """Advice: what to run or set to get credentials; empty where nothing is known."""
        ...

    async def load(self, refused: ReadOnlyCredentials | None, /) -> Loaded:
        """Get credentials; others than `refused`, which the service says have ended.

        Raises:
            WorkSpacesError: There are none.
        """
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


class RefreshingSource:
    """Credentials of a loader, kept until they end.

    Args:
        loader: Gets them.
        now: The wall time; real, because the service does not share the caller's clock.
        monotonic: Seconds that never go back.
        grace: Seconds that a call waits for the early refresh that it begins.
        refreshed: Hears of each load, and of each that failed; none of one that is cancelled.
    """

    def __init__(
        self,
        loader: Loader,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        grace: float = GRACE,
        refreshed: Callable[[RefreshRecord], None] = lambda _: None,
    ) -> None:
        self._loader = loader
        self._now = now
        self._monotonic = monotonic
        self._grace = grace
        self._tell = refreshed
        self._held: Loaded | None = None
        self._ended_when_got = False
        self._refresh: asyncio.Task[Loaded] | None = None
        self._refused: ReadOnlyCredentials | None = None
        self._vain = 0
        self._next_try = 0.0
        self._closed = False

    @property
    def advice(self) -> str:
        """Advice: what to run or set to get credentials; empty where nothing is known."""
        return self._loader.advice

    async def current(self) -> ReadOnlyCredentials:
        """Return credentials to sign with.

        Raises:
            CredentialsError: There are none, or those in hand have ended and there are no others.
        """
        held = self._held
        if held is None:
            return (await self._refreshed(None)).credentials
        if held.live is not None:
            return await self._live(held.live)
        if held.expires_at is None:
            return held.credentials
        left = held.expires_at - self._now()
        if left <= timedelta(0) and not self._ended_when_got:
            return (await self._refreshed(None)).credentials
        if left < EARLY:
            await self._refresh_early()
            # What a refusal has taken away meanwhile is not in hand any more.
            return self._held.credentials if self._held is not None else await self.current()
        return held.credentials

    async def renew(self, refused: ReadOnlyCredentials) -> None:
        """Get others than `refused`; nothing is done where another call has done it already.

        Raises:
            CredentialsError: There are no others.
        """
        while self._held is None or self._held.live is not None or self._held.credentials == refused:
            if self._refresh is not None and self._refused != refused:
                # Begun before the refusal was known: what it gets may be just these, or others.
                await asyncio.wait({self._refresh})
                if self._held is not None and self._held.live is None:
                    continue
            self._held = None
            await self._refreshed(refused)
            return

    async def close(self) -> None:
        """End a refresh that is under way."""
        self._closed = True
        task = self._refresh
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        await self._loader.close()

    async def _live(self, get: Callable[[], Awaitable[ReadOnlyCredentials]]) -> ReadOnlyCredentials:
        try:
            return _required_fit(await get(), self.advice)
        except WorkSpacesError:
            raise
        except Exception as error:  # whoever looks after them is a stranger, and may raise anything
            raise CredentialsError(
                f"the AWS credentials could not be refreshed ({type(error).__name__}): {self.advice}"
            ) from error

    async def _refresh_early(self) -> None:
        if self._refresh is None and self._monotonic() >= self._next_try:
            await asyncio.wait({self._begin(None)}, timeout=self._grace)

    async def _refreshed(self, refused: ReadOnlyCredentials | None) -> Loaded:
        task = self._refresh or self._begin(refused)
        # Not awaited itself: whoever waits may be cancelled, and the others still want it.
        await asyncio.wait({task})
        if task.cancelled():
            raise ClientStateError("the client was closed while its credentials were being refreshed")
        error = task.exception()
        if isinstance(error, CredentialsError):
            # Each who waits gets an error of its own, which tells of its own call.
            raise CredentialsError(error.message) from error.__cause__
        return task.result()

    def _begin(self, refused: ReadOnlyCredentials | None) -> asyncio.Task[Loaded]:
        if self._closed:
            raise ClientStateError("the client is closed; make a new one")
        self._refused = refused
        self._refresh = start_detached(partial(self._load, refused), name="workspaces-apps credentials")
        self._refresh.add_done_callback(self._ended)
        return self._refresh

    async def _load(self, refused: ReadOnlyCredentials | None) -> Loaded:
        began = self._monotonic()
        try:
            with told_when_long(lambda: self._loader.waits_for):
                loaded = await self._loader.load(refused)
            _required_fit(loaded.credentials, self.advice)
        except WorkSpacesError as error:
            self._tell(RefreshRecord(elapsed=self._monotonic() - began, error=error))
            raise
        self._tell(RefreshRecord(elapsed=self._monotonic() - began))
        hide(loaded.credentials.secret_key, loaded.credentials.token)
        return loaded

    def _ended(self, task: asyncio.Task[Loaded]) -> None:
        self._refresh = self._refused = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            loaded = self._held = task.result()
            left = None if loaded.expires_at is None else loaded.expires_at - self._now()
            # Got this moment, so that it is rather the clock that is wrong: the service will say.
            self._ended_when_got = left is not None and left <= timedelta(0)
            self._vain = self._vain + 1 if self._ended_when_got else 0
        else:
            self._vain += 1
            if self._held is not None:
                _log.warning("AWS credentials in hand are used on, because a refresh failed: %s", error)
        pause = min(2.0 ** min(self._vain - 1, 10), LONGEST_PAUSE) if self._vain else 0.0
        self._next_try = self._monotonic() + pause


class ProviderLoader:
    """Asks a provider of the caller's."""

    def __init__(self, provider: CredentialsProvider) -> None:
        self._provider = provider
        self._given: Credentials | None = None

    @property
    def waits_for(self) -> str:
        """The provider."""
        return f"the credentials provider {type(self._provider).__name__}"

    @property
    def advice(self) -> str:
        """Advice: only the provider's author knows what it needs."""
        return f"see what the credentials provider {type(self._provider).__name__} needs"

    async def load(self, refused: ReadOnlyCredentials | None, /) -> Loaded:
        """Ask it; after a refusal it is told first what was refused, if it wants to know.

        Raises:
            CredentialsError: It failed, or what it gave is no credentials.
        """
        name = type(self._provider).__name__
        try:
            if refused is not None and self._given is not None:
                await self._tell(self._given)
            asked: object = self._provider.get_credentials()
            if not inspect.isawaitable(asked):
                raise CredentialsError(
                    f"get_credentials() of the credentials provider {name} must be `async def`"
                )
            given: object = await asked
        except WorkSpacesError:
            raise
        except Exception as error:  # a provider is a stranger's code and may raise anything
            raise CredentialsError(
                f"the credentials provider {name} failed with {type(error).__name__}"
            ) from error
        self._given = found = _checked(given, name)
        return Loaded(credentials=frozen(found), expires_at=found.expires_at)

    async def _tell(self, refused: Credentials) -> None:
        if isinstance(self._provider, RefusableCredentialsProvider):
            await self._provider.invalidate(refused)

    async def close(self) -> None:
        """Do nothing: the provider is its owner's."""


def _checked(given: object, name: str) -> Credentials:
    if not isinstance(given, Credentials):
        raise CredentialsError(
            f"the credentials provider {name} must return Credentials, not {type(given).__name__}"
        )
    return given


def frozen(given: Credentials) -> ReadOnlyCredentials:
    """Return credentials in the form that requests are signed with."""
    return ReadOnlyCredentials(
        given.access_key_id, given.secret_access_key, given.session_token, given.account_id
    )


def _required_fit(found: ReadOnlyCredentials, advice: str) -> ReadOnlyCredentials:
    for name, value in (
        ("access key id", found.access_key),
        ("secret access key", found.secret_key),
        ("session token", found.token),
    ):
        if value and not is_fit(value):
            raise CredentialsError(f"the {name} of the AWS credentials {UNFIT}: {advice}")
    return found
