"""Signing requests: whose credentials, and at what time.

The client of aiobotocore's is opened unsigned and what it sends is signed here, because three things are ours to
decide: which credentials (a provider's, or the standard chain's), when they are got anew, and by which clock a
request is dated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from workspaces_apps._http.sigv4 import SigV4

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

    from workspaces_apps._http.sigv4 import Signature, SigningTemplate

_LARGEST_SKEW: Final = timedelta(hours=24)
"""By how much a clock is corrected at most; what is further off is rather the fault of whoever answered."""

_NOTICEABLE: Final = timedelta(seconds=60)
"""The least difference that a correction is worth: the service allows minutes."""


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

    @property
    def advice(self) -> str:
        """Advice: what to run or set to get credentials; empty where nothing is known."""
        ...

    async def current(self) -> ReadOnlyCredentials:
        """Return credentials to sign with."""
        ...

    async def renew(self, refused: ReadOnlyCredentials) -> None:
        """Get others than `refused`; nothing is done where another call has done it already."""
        ...

    async def close(self) -> None:
        """End what is under way."""
        ...


class Signer:
    """Signs every request that a client creates.

    Attributes:
        offset: What is added to this machine's clock, since the service found it skewed.
    """

    def __init__(self, source: CredentialsSource, *, service: str, region: str) -> None:
        self._source = source
        self._sigv4 = SigV4(service, region)
        self.offset: timedelta = timedelta(0)
        self._stamp: SigningContext | None = None

    async def sign(self, template: SigningTemplate, body: bytes) -> tuple[Signature, SigningContext]:
        """Sign a POST.

        Args:
            template: What it has in common with others.
            body: Its body.

        Returns:
            What it needs besides its own headers, and what it was signed with.
        """
        credentials, offset = await self._source.current(), self.offset
        signature = self._sigv4.sign(template, credentials, datetime.now(UTC) + offset, body)
        signed_with = self._stamp
        if (
            signed_with is None
            or signed_with.credentials is not credentials
            or signed_with.offset is not offset
        ):
            self._stamp = signed_with = SigningContext(credentials, offset)
        return signature, signed_with

    async def credentials(self) -> ReadOnlyCredentials:
        """Return what the next request would be signed with."""
        return await self._source.current()

    async def account(self) -> str:
        """Whose calls these are: the account's id if known, else the access key's."""
        credentials = await self._source.current()
        return credentials.account_id or credentials.access_key or ""

    @property
    def advice(self) -> str:
        """Advice: what to run or set to get credentials; empty where nothing is known."""
        return self._source.advice

    async def close(self) -> None:
        """End a refresh of the credentials that is under way."""
        await self._source.close()

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
            Whether that makes a difference: False if that request was dated right, or the service's time cannot be.
        """
        try:
            offset = service_time - datetime.now(UTC)
        except OverflowError:
            return False
        if abs(offset) > _LARGEST_SKEW or abs(offset - signed_with.offset) < _NOTICEABLE:
            return False
        self.offset = offset
        return True
