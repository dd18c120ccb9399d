"""Signing requests: Signature Version 4, by the credentials in hand, which are refreshed once for all who need others.

The client of aiobotocore's is opened unsigned and what it sends is signed here, because three things are ours to
decide: which credentials (a provider's, or the standard chain's), when they are got anew, and by which clock a
request is dated. The signature is the one that `botocore.auth.SigV4Auth` makes, for a quarter of the time: the key is
derived once a day, and what is the same for every request of an operation is worked out once, by botocore.

A refresh is a task of its own. Whoever waits for it may be cancelled or run out of time, and the refresh goes on for
the others. One that begins some minutes before the end is no condition of anything: if it fails, the credentials in
hand are used until they have ended, and the refresh is retried after a while.
"""

from __future__ import annotations

import asyncio
import hmac
import inspect
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from botocore.auth import SIGNED_HEADERS_BLACKLIST, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from workspaces_apps._base.clock import SystemClock, sleep_or, start_detached
from workspaces_apps._base.credentials import (
    UNFIT,
    Credentials,
    RefusableCredentialsProvider,
    check_region,
    is_fit,
)
from workspaces_apps._base.logs import field_logger, told_when_long
from workspaces_apps._base.text import hide
from workspaces_apps._telemetry.port import RefreshRecord
from workspaces_apps.errors import ClientStateError, CredentialsError, WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from workspaces_apps._base.credentials import CredentialsProvider


_ALGORITHM: Final = "AWS4-HMAC-SHA256"

_UNSIGNED: Final = frozenset({*SIGNED_HEADERS_BLACKLIST, "authorization"})
"""Headers, in lower case, that are not part of the signature: they may be changed on the way."""


class Signature(NamedTuple):
    """The headers that a signature adds to a request.

    Attributes:
        date: The header `X-Amz-Date`.
        token: The header `X-Amz-Security-Token`; None where the credentials have none.
        authorization: The header `Authorization`.
    """

    date: str
    token: str | None
    authorization: str

    def headers(self) -> dict[str, str]:
        """Return them as headers, in the order of botocore."""
        token = {"X-Amz-Security-Token": self.token} if self.token else {}
        return {"X-Amz-Date": self.date, **token, "Authorization": self.authorization}


class _Lines(NamedTuple):
    """A canonical request, cut where date, token and the body's hash go.

    Attributes:
        before: Up to the date.
        between: From there to the token; to the end where there is none.
        after: From there to the end.
        names: The signed headers.
    """

    before: str
    between: str
    after: str
    names: str


_CUT: Final = "\0"
"""Characters that no header may hold."""


class SigningTemplate:
    """The common part of the signatures of requests with the same URL and headers."""

    __slots__ = ("_with_token", "_without_token")

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        """Work out their canonical request, by botocore.

        Args:
            url: Where they go.
            headers: Their headers, each name once; the host may be left out.
        """
        auth, request = SigV4Auth(ReadOnlyCredentials("", "", None), "", ""), AWSRequest("POST", url)
        beginning = "\n".join(auth.canonical_request(request).split("\n")[:3])
        signed = {"host": auth.headers_to_sign(request)["host"], "x-amz-date": _CUT}
        for name, value in headers.items():
            lower = name.lower()
            if lower not in _UNSIGNED:
                signed[lower] = " ".join(value.split())
        self._without_token = _cut(beginning, signed)
        self._with_token = _cut(beginning, {**signed, "x-amz-security-token": _CUT})

    def canonical(self, date: str, token: str | None, body: bytes) -> tuple[str, str]:
        """Return the canonical request, and the names of the signed headers."""
        digest = sha256(body).hexdigest()
        if token:
            before, between, after, names = self._with_token
            return f"{before}{date}{between}{' '.join(token.split())}{after}{digest}", names
        before, between, _, names = self._without_token
        return f"{before}{date}{between}{digest}", names


def _cut(beginning: str, signed: Mapping[str, str]) -> _Lines:
    names = sorted(signed)
    lines = "\n".join([f"{name}:{signed[name]}" for name in names])
    listed = ";".join(names)
    # The date's name comes before the token's.
    before, between, *after = f"{beginning}\n{lines}\n\n{listed}\n".split(_CUT)
    return _Lines(before, between, "".join(after), listed)


class SigV4:
    """Signs requests to one service in one Region."""

    def __init__(self, service: str, region: str) -> None:
        """Make a signer that has not derived a key yet.

        Args:
            service: The service's signing name.
            region: Its Region.

        Raises:
            ConfigurationError: No Region is called so, and the head of a request could not hold it.
        """
        check_region(region, "region")
        self._service = service
        self._region = region
        self._derived: tuple[str, str, bytes, str] | None = None

    def sign(
        self, template: SigningTemplate, credentials: ReadOnlyCredentials, moment: datetime, body: bytes
    ) -> Signature:
        """Sign a POST.

        Args:
            template: What it has in common with others.
            credentials: Whose request it is.
            moment: When it is sent, in UTC.
            body: Its body.
        """
        date = moment.strftime("%Y%m%dT%H%M%SZ")
        token: str | None = credentials.token
        request, names = template.canonical(date, token, body)
        key, scope = self._key(credentials.secret_key or "", date[:8])
        text = f"{_ALGORITHM}\n{date}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        authorization = f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return Signature(date, token, authorization)

    def _key(self, secret: str, day: str) -> tuple[bytes, str]:
        derived = self._derived
        if derived is None or derived[0] != secret or derived[1] != day:
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            scope = f"{day}/{self._region}/{self._service}/aws4_request"
            self._derived = derived = (secret, day, key, scope)
        return derived[2], derived[3]


_LARGEST_SKEW: Final = timedelta(hours=24)
"""By how much a clock is corrected at most; what is further off is rather the fault of whoever answered."""

_NOTICEABLE: Final = timedelta(seconds=60)
"""The least difference that a correction is worth: the service allows minutes."""


class SigningContext:
    """The credentials and the clock offset that a request was signed with.

    Attributes:
        credentials: Whose it was.
        offset: By how much this machine's clock was corrected.
    """

    __slots__ = ("credentials", "offset")

    def __init__(self, credentials: ReadOnlyCredentials, offset: timedelta) -> None:
        self.credentials = credentials
        self.offset = offset


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
        """Tell whose calls these are: the account's id if known, else the access key's."""
        credentials = await self._source.current()
        # A program may give the account as a number.
        return str(credentials.account_id or credentials.access_key)

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


_log = field_logger("workspaces_apps.credentials")

EARLY: Final = timedelta(minutes=5)
"""Time before their expiry at which credentials are refreshed."""

GRACE: Final = 1.0
"""Seconds that a call waits for the early refresh that it begins: most take less, and it then goes with the newer ones."""

SHORTEST_PAUSE: Final = 1.0
"""Seconds at least between two early refreshes, after the first."""

LONGEST_PAUSE: Final = 60.0
"""Seconds at most between two of them that came to nothing."""


class Loaded(NamedTuple):
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
            with _own_cancellations(""):
                return _required_fit(await get(), self.advice)
        except WorkSpacesError:
            raise
        except Exception as error:  # whoever looks after them is a stranger, and may raise anything
            raise CredentialsError(
                f"the AWS credentials could not be refreshed ({type(error).__name__}): {self.advice}"
            ) from error

    async def _refresh_early(self) -> None:
        if self._refresh is None and self._monotonic() >= self._next_try:
            # Real time, as that of credentials is.
            await sleep_or(SystemClock(), self._grace, self._begin(None))

    async def _refreshed(self, refused: ReadOnlyCredentials | None) -> Loaded:
        task = self._refresh or self._begin(refused)
        # Not awaited itself: whoever waits may be cancelled, and the others still want it.
        await asyncio.wait({task})
        if task.cancelled():
            if not self._closed:
                raise CredentialsError("the refresh of the AWS credentials was cancelled")
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
            with (
                told_when_long(lambda: self._loader.waits_for),
                _own_cancellations(self._loader.waits_for),
            ):
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
        pause = 0.0
        if error is None:
            is_first = self._held is None
            loaded = self._held = task.result()
            left = None if loaded.expires_at is None else loaded.expires_at - self._now()
            # Got this moment, so that it is rather the clock that is wrong: the service will say.
            self._ended_when_got = left is not None and left <= timedelta(0)
            self._vain = self._vain + 1 if self._ended_when_got else 0
            if left is not None and left < EARLY and not is_first:
                # Some sources keep what they have until its end, and some have nothing that lasts for minutes: either
                # would be asked by each call.
                pause = max(SHORTEST_PAUSE, left.total_seconds() / 2)
        else:
            self._vain += 1
            if self._held is not None:
                _log.warning("AWS credentials in hand are used on, because a refresh failed: %s", error)
        if self._vain:
            pause = SHORTEST_PAUSE * 2.0 ** min(self._vain - 1, 10)
        pause = min(pause, LONGEST_PAUSE)
        self._next_try = self._monotonic() + pause


@contextmanager
def _own_cancellations(source: str) -> Generator[None]:
    """Pass the cancellation of the task on, and raise one that arises within the source as its failure.

    Raises:
        CredentialsError: Nobody cancelled the task: the source awaited something that was.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise CredentialsError(f"{source or 'the source of the AWS credentials'} was cancelled") from error


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
    parts: dict[str, object] = {
        "access key id": found.access_key,
        "secret access key": found.secret_key,
        # The one that may be missing.
        "session token": found.token or None,
    }
    for name, value in parts.items():
        if value is None and name == "session token":
            continue
        if not isinstance(value, str) or not value:
            raise CredentialsError(f"the {name} of the AWS credentials is missing, or no text: {advice}")
        if not is_fit(value):
            raise CredentialsError(f"the {name} of the AWS credentials {UNFIT}: {advice}")
    return found
