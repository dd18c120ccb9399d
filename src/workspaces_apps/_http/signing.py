"""Signing requests: whose credentials, and at what time.

The client of aiobotocore's is opened unsigned and what it sends is signed here, because three things are ours to
decide: which credentials (a provider's, or the standard chain's), when they are got anew, and by which clock a
request is dated.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from workspaces_apps._base.credentials import UNFIT, Credentials, is_fit
from workspaces_apps._http.sigv4 import SigV4
from workspaces_apps.errors import CredentialsError, WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiobotocore.session import AioSession

    from workspaces_apps._base.credentials import CredentialsProvider

_EARLY: Final = timedelta(minutes=5)
"""How long before their end credentials of a provider are got anew."""

_ADVICE: Final = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws configure` or `aws sso login`,"
    " or pass credentials= or profile="
)


@dataclass(frozen=True, slots=True)
class SigningContext:
    """The credentials and the clock offset that a request was signed with.

    Attributes:
        credentials: Whose it was.
        offset: By how much this machine's clock was corrected.
    """

    credentials: ReadOnlyCredentials = field(repr=False)
    offset: timedelta


class CredentialsSource(Protocol):
    """The source of the signer's credentials."""

    async def current(self) -> ReadOnlyCredentials:
        """Credentials to sign with."""
        ...

    async def renew(self, expired: ReadOnlyCredentials) -> None:
        """Look for others than `expired`; nothing is done where another call has done it already."""
        ...


class Frozen(Protocol):
    """Credentials of aiobotocore, which refresh themselves.

    Attributes:
        method: Which member of the chain they are of; "explicit" if somebody gave them to the session.
    """

    method: str

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """The credentials of this moment."""
        ...


class ChainSource:
    """The standard AWS chain: environment, profile, SSO, container, instance."""

    def __init__(self, session: AioSession) -> None:
        self._session = session
        self._lock = asyncio.Lock()
        self._found: Frozen | None = None
        self._fit: ReadOnlyCredentials | None = None

    async def current(self) -> ReadOnlyCredentials:
        """Credentials of the first member of the chain that has any."""
        try:
            if self._found is None:
                self._found = await self._session.get_credentials()
            if self._found is None:
                raise CredentialsError(f"no AWS credentials were found: {_ADVICE}")
            current = await self._found.get_frozen_credentials()
        except WorkSpacesError:
            raise
        except Exception as error:  # whoever is in the chain may raise anything
            raise _not_loaded(error) from error
        if current != self._fit:
            _require_fit(current)
            self._fit = current
        return current

    async def renew(self, expired: ReadOnlyCredentials) -> None:
        """Go through the chain again, unless the session was given its credentials: they are nobody else's."""
        async with self._lock:
            if await self.current() != expired or (self._found and self._found.method == "explicit"):
                return
            await self._load()

    async def _load(self) -> None:
        try:
            self._found = await self._session.get_component("credential_provider").load_credentials()
        except Exception as error:  # whoever is in the chain may raise anything
            raise _not_loaded(error) from error


def _not_loaded(error: Exception) -> CredentialsError:
    """Return the error of this package for what a member of the chain raised.

    It may be a program or a plugin of the user's, so that only the words of known errors are repeated.
    """
    known = isinstance(error, BotoCoreError | ClientError | OSError | RuntimeError)
    said = str(error) if known else type(error).__name__
    return CredentialsError(f"the AWS credentials could not be loaded or refreshed ({said}): {_ADVICE}")


def _require_fit(found: ReadOnlyCredentials) -> None:
    for name, value in (
        ("access key id", found.access_key),
        ("secret access key", found.secret_key),
        ("session token", found.token),
    ):
        if value and not is_fit(value):
            raise CredentialsError(f"the {name} of the AWS credentials {UNFIT}: {_ADVICE}")


class ProviderSource:
    """A provider of the caller's, asked again before its credentials end."""

    def __init__(self, provider: CredentialsProvider) -> None:
        self._provider = provider
        self._lock = asyncio.Lock()
        self._cached: ReadOnlyCredentials | None = None
        self._expires_at: datetime | None = None

    async def current(self) -> ReadOnlyCredentials:
        """The provider's credentials."""
        if self._cached is not None and not self._ends_soon():
            return self._cached
        async with self._lock:
            if self._cached is None or self._ends_soon():
                given = await self._ask()
                self._expires_at = given.expires_at
                self._cached = ReadOnlyCredentials(
                    given.access_key_id, given.secret_access_key, given.session_token, given.account_id
                )
            return self._cached

    async def renew(self, expired: ReadOnlyCredentials) -> None:
        """Ask the provider again next time."""
        if self._cached == expired:
            self._cached = None

    async def _ask(self) -> Credentials:
        try:
            asked: object = self._provider.get_credentials()
            if not inspect.isawaitable(asked):
                raise CredentialsError(
                    f"get_credentials() of the credentials provider {type(self._provider).__name__} must be `async def`"
                )
            given: object = await asked
            return self._checked(given)
        except WorkSpacesError:
            raise
        except Exception as error:  # a provider is a stranger's code and may raise anything
            raise CredentialsError(
                f"the credentials provider {type(self._provider).__name__} failed with {type(error).__name__}"
            ) from error

    def _checked(self, given: object) -> Credentials:
        if not isinstance(given, Credentials):
            raise CredentialsError(
                f"the credentials provider {type(self._provider).__name__} must return Credentials,"
                f" not {type(given).__name__}"
            )
        return given

    def _ends_soon(self) -> bool:
        # Real time: the service does not share the caller's clock.
        return self._expires_at is not None and datetime.now(UTC) + _EARLY >= self._expires_at


class Signer:
    """Signs every request that a client creates.

    Attributes:
        offset: What is added to this machine's clock, since the service found it skewed.
    """

    def __init__(self, source: CredentialsSource, *, service: str, region: str) -> None:
        self._source = source
        self._sigv4 = SigV4(service, region)
        self.offset: timedelta = timedelta(0)

    async def sign(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[dict[str, str], SigningContext]:
        """Sign a POST.

        Args:
            url: Where it goes.
            headers: Its headers, each name once.
            body: Its body.

        Returns:
            The headers that it needs besides, and what it was signed with.
        """
        credentials, offset = await self._source.current(), self.offset
        moment = datetime.now(UTC) + offset
        added = self._sigv4.headers(credentials, moment, url=url, headers=headers, body=body)
        return added, SigningContext(credentials, offset)

    async def account(self) -> str:
        """Whose calls these are: the account's id if known, else the access key's."""
        credentials = await self._source.current()
        return credentials.account_id or credentials.access_key or ""

    async def renew(self, signed_with: SigningContext) -> bool:
        """Look for other credentials than those of a request that was refused because they have expired.

        Returns:
            Whether there are any.
        """
        await self._source.renew(signed_with.credentials)
        return await self._source.current() != signed_with.credentials

    def set_time(self, service_time: datetime, signed_with: SigningContext) -> bool:
        """Correct the date of the requests to come, after one was refused for its date.

        Returns:
            Whether that makes a difference: False if that request was dated right.
        """
        offset = service_time - datetime.now(UTC)
        if abs(offset - signed_with.offset) < timedelta(seconds=60):
            return False
        self.offset = offset
        return True
