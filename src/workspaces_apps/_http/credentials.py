"""Sources of credentials: the standard chain of AWS and assumed roles, set up as the client is; and whose calls they make.

The chain is environment, profile, SSO, container, instance. What is wanted of aiobotocore's credential providers, and has
no public name, is in `_http/borrowed.py`: clients that are set up as ours is, a refresh that is our task and not a
caller's, the moment at which credentials end, and a chain that does not give again what the service has refused.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process, SubprocessStreamProtocol
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentials, AioRefreshableCredentials
from aiobotocore.utils import create_nested_client
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    LoginError,
    NoCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as BotocoreConnectionError
from botocore.utils import parse_timestamp

from workspaces_apps._base.clock import to_seconds
from workspaces_apps._base.connections import HttpSession, ProxyError, with_limit
from workspaces_apps._base.credentials import call_sts
from workspaces_apps._base.text import MESSAGE_LIMIT, harmless
from workspaces_apps._http.borrowed import end_of, given_to, member_for, refresh_of
from workspaces_apps._http.config import custom_endpoint
from workspaces_apps._http.connection import cause_of, describe_failure, printable_name
from workspaces_apps._http.signing import Loaded, frozen
from workspaces_apps._retry import EXPIRED_CREDENTIALS_CODES, RetryPolicy, run_attempts
from workspaces_apps._telemetry.port import Hooks
from workspaces_apps.errors import CredentialsError, ServiceError, TransportError, WorkSpacesError

if TYPE_CHECKING:
    from asyncio import SubprocessTransport
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from aiobotocore.session import AioSession

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._base.credentials import AssumeRole
    from workspaces_apps._http.config import ClientConfig
    from workspaces_apps._http.signing import RefreshingSource


T = TypeVar("T")

OPERATION: Final = "the request for credentials"
"""The name in the place of an API operation in errors and logs."""


class ConfiguredSession:
    """A session of aiobotocore's whose clients are set up as a `ClientConfig` says; else it is the session itself.

    Args:
        session: The session; it is not changed.
        config: Proxy, certificate authorities, timeouts, FIPS and dual-stack.
    """

    def __init__(self, session: AioSession, config: ClientConfig) -> None:
        self._session = session
        self._config = config

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def create_client(self, service_name: str, **options: Any) -> AbstractAsyncContextManager[Any]:
        """Create a client; what the caller says of it goes before what the configuration says."""
        settings, given = self._settings(service_name), options.get("config")
        options["config"] = settings if given is None else settings.merge(given)
        if self._config.ca_bundle is not None:
            options.setdefault("verify", str(self._config.ca_bundle))
        # Its overloads name every service of AWS, each typed by a package of its own.
        untyped: Any = self._session
        client: AbstractAsyncContextManager[Any] = untyped.create_client(service_name, **options)
        return client

    def _settings(self, service_name: str) -> AioConfig:
        config = self._config
        options: dict[str, object] = {}
        # Of the services that hand out credentials only STS has such endpoints everywhere.
        if service_name == "sts" and config.use_fips is not None:
            options["use_fips_endpoint"] = config.use_fips
        if service_name == "sts" and config.use_dualstack is not None:
            options["use_dualstack_endpoint"] = config.use_dualstack
        if config.proxy is not None:
            options["proxies"] = {"http": config.proxy, "https": config.proxy}
        return AioConfig(
            connect_timeout=to_seconds(config.connect_timeout, "connect_timeout"),
            read_timeout=to_seconds(config.read_timeout, "read_timeout"),
            # Repeating is the business of whoever refreshes the credentials.
            retries={"total_max_attempts": 1, "mode": "standard"},
            http_session_cls=with_limit(HttpSession, config.max_response_bytes),
            **options,
        )


class Repeater:
    """The retry layer, for calls of the services that hand out credentials. They may all be repeated.

    Attributes:
        policy: How often and how patiently.
        clock: What backoffs are waited with.
        random: A number in [0, 1), uniformly, for the jitter.
    """

    __slots__ = ("clock", "policy", "random")

    def __init__(self, *, policy: RetryPolicy, clock: Clock, random: Callable[[], float]) -> None:
        self.policy = policy
        self.clock = clock
        self.random = random

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, again after a throttle or a fault of the moment.

        Raises:
            ServiceError: The service refused; its cause is botocore's error.
            TransportError: There was no answer; its cause is botocore's error.
        """

        async def attempt(_: int) -> T:
            try:
                return await work()
            except ClientError as error:
                raise _refusal(error) from error
            except (HTTPClientError, BotocoreConnectionError) as error:
                raise describe_failure(error, operation=OPERATION, size=0) from error

        return await run_attempts(
            attempt,
            operation=OPERATION,
            policy=self.policy,
            budget=None,
            clock=self.clock,
            random=self.random,
            hooks=Hooks(),
            repeatable=True,
            remaining=lambda: None,
            absorbed=lambda _: False,
        )


def _refusal(error: ClientError) -> ServiceError:
    details = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    return ServiceError(
        harmless(details.get("Message") or "", MESSAGE_LIMIT),
        operation=error.operation_name,
        code=printable_name(details.get("Code")),
        http_status=metadata.get("HTTPStatusCode"),
        request_id=printable_name(metadata.get("RequestId")),
    )


GENERAL_ADVICE: Final = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws configure` or `aws sso login`,"
    " or pass credentials= or profile="
)


_ASKED: Final[Mapping[str, str]] = {
    "custom-process": "the credential_process of the profile {profile}",
    "assume-role": "STS, to assume the role of the profile {profile}",
    "assume-role-with-web-identity": "STS, to take the web identity",
    "sso": "SSO, for the profile {profile}",
    "login": "the sign-in service, for the profile {profile}",
    "container-role": "the credentials endpoint of the container",
    "iam-role": "the metadata service of the instance",
}
"""By member of the chain: whom it asks."""


class Found(Protocol):
    """Credentials of aiobotocore's.

    Attributes:
        method: Which member of the chain they are of; "explicit" if somebody gave them to the session.
    """

    method: str

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the credentials of this moment."""
        ...


class ChainLoader:
    """Loads credentials of the first member of the chain that has any.

    Args:
        session: Whose chain it is; credentials that were given to it go before every member.
        config: How the clients of STS and SSO are set up.
        region: The Region where STS is asked, unless a profile names another.
        repeater: Repeats what they answer in a moment's trouble.
    """

    def __init__(self, session: AioSession, config: ClientConfig, *, region: str, repeater: Repeater) -> None:
        self._session = session
        self._configured = ConfiguredSession(session, config)
        self._region = region
        self._repeater = repeater
        self._programs = Programs()
        self._found: Found | None = None
        self._given = False
        self._member = ""

    @property
    def waits_for(self) -> str:
        """The member of the chain that is asked, where it asks somebody else."""
        return _ASKED.get(self._member, "").format(profile=_profile_of(self._session) or "default")

    @property
    def advice(self) -> str:
        """Advice: what to run or set to get credentials."""
        return advice_for(self._session)

    async def load(self, refused: ReadOnlyCredentials | None, /) -> Loaded:
        """Load credentials; after a refusal from the beginning of the chain, and nothing from its caches.

        Raises:
            CredentialsError: There are none, or a member of the chain failed.
        """
        try:
            return await self._repeater.call(partial(self._load, refused))
        except (ServiceError, TransportError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            raise self.failure(cause) from cause
        except WorkSpacesError:
            raise
        except Exception as error:  # whoever is in the chain may raise anything
            raise self.failure(error) from error

    async def _load(self, refused: ReadOnlyCredentials | None) -> Loaded:
        found = self._found
        if found is not None and refused is None and isinstance(found, AioRefreshableCredentials):
            self._member = found.method
            return await _refreshed(found)
        if found is None or (refused is not None and not self._given):
            found = await self._walk(renewed=refused is not None)
        if found is None:
            raise CredentialsError(f"no AWS credentials were found: {self.advice}")
        self._found = found
        if not isinstance(found, AioRefreshableCredentials):
            live = None if type(found) is AioCredentials else found.get_frozen_credentials
            return Loaded(credentials=await found.get_frozen_credentials(), live=live)
        expires_at, credentials = end_of(found)
        if expires_at is None or (refused is not None and self._given):
            return await _refreshed(found)
        return Loaded(credentials=credentials, expires_at=_with_zone(expires_at))

    async def _walk(self, *, renewed: bool) -> Found | None:
        session: Any = self._session
        resolver = session.get_component("credential_provider")
        providers: list[Any] | None = getattr(resolver, "providers", None)
        in_hand: Found | None = given_to(self._session)
        if in_hand is not None and in_hand.method not in {one.METHOD for one in providers or ()}:
            # Somebody gave them to the session: they are nobody else's.
            self._given = True
            return in_hand
        if providers is None:
            # Somebody's own: it sets up its clients itself.
            found: Found | None = await resolver.load_credentials()
            return found
        renew = _Renewed().over if renewed else None
        create = partial(_create_client, self._configured, self._region)
        start = self._programs.start
        members = [member_for(provider, self._configured, create, renew, start) for provider in providers]
        for member in members:
            self._member = member.METHOD
            found = await member.load()
            if found is not None:
                return found
        return None

    def failure(self, error: Exception) -> CredentialsError:
        """Return what a member of the chain raised as an error of this package.

        It may be a program or a plugin of the user's, so that only the words of known errors are repeated.
        """
        return load_failure(self._session, error)

    async def close(self) -> None:
        """End a program that is still asked for credentials."""
        await self._programs.close()


class Programs:
    """The programs that are asked for credentials, which end with their client and not when they like."""

    def __init__(self) -> None:
        self._running: dict[Process, SubprocessTransport] = {}

    async def start(
        self,
        *command: str,
        # None: it may ask whoever sits there for a code.
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Process:
        """Start a program, as `asyncio.create_subprocess_exec` does."""
        loop = asyncio.get_running_loop()
        self._running = {one: way for one, way in self._running.items() if one.returncode is None}
        # Not that function itself: a transport can let go of pipes that the program has handed on, and wait for no others.
        transport, protocol = await loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(limit=_OUTPUT_BYTES, loop=loop),
            *command,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
        process = Process(transport, protocol, loop)
        self._running[process] = transport
        return process

    async def close(self) -> None:
        """Kill those that run, and wait for their end."""
        for process, transport in self._running.items():
            if process.returncode is None:
                transport.close()
                await process.wait()


_OUTPUT_BYTES: Final = 64 * 1024
"""Bytes of a program's output that are buffered unread."""


class _Renewed(MutableMapping[str, object]):
    """A cache of credentials that does not know what was in it before.

    What is put into it goes to the old cache too, which may be shared with other tools.
    """

    def __init__(self, old: MutableMapping[str, object] | None = None) -> None:
        self._old = old
        self._new: dict[str, object] = {}

    def over(self, old: MutableMapping[str, object]) -> _Renewed:
        """Return the same cache, in the place of another one."""
        placed = _Renewed(old)
        # Members of a chain share one, so that a role is assumed once.
        placed._new = self._new
        return placed

    def __getitem__(self, key: str) -> object:
        return self._new[key]

    def __setitem__(self, key: str, value: object) -> None:
        self._new[key] = value
        if self._old is not None:
            self._old[key] = value

    def __delitem__(self, key: str) -> None:
        del self._new[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._new)

    def __len__(self) -> int:
        return len(self._new)


def _create_client(session: ConfiguredSession, region: str, service_name: str, **options: Any) -> Any:
    # SSO and sign-in have Regions of their own, which their callers know.
    settings = {"region_name": region, **options} if service_name == "sts" else options
    untyped: Any = session
    return create_nested_client(untyped, service_name, **settings)


async def _refreshed(found: AioRefreshableCredentials) -> Loaded:
    """Refresh credentials that can; unlike their own refresh, it neither logs nor is part of a caller's task."""
    answer: Any = refresh_of(found)()
    members: Mapping[str, Any] = await answer if hasattr(answer, "__await__") else answer
    end = members.get("expiry_time")
    if isinstance(end, str):
        end = parse_timestamp(end)
    credentials = ReadOnlyCredentials(
        members["access_key"], members["secret_key"], members["token"], members.get("account_id")
    )
    return Loaded(credentials=credentials, expires_at=_with_zone(end) if isinstance(end, datetime) else None)


def _with_zone(end: datetime) -> datetime:
    """Return a moment as it is, and in UTC where a program or a variable does not say a zone."""
    return end if end.tzinfo is not None else end.replace(tzinfo=UTC)


def load_failure(session: AioSession, error: Exception, general: str = GENERAL_ADVICE) -> CredentialsError:
    """Return what kept a session from loading or refreshing its credentials as an error of this package.

    Args:
        session: The session.
        error: What was raised; only the words of known errors are repeated.
        general: The advice where the session's profile has none.
    """
    advice = advice_for(session, general)
    if isinstance(error, NoCredentialsError):
        return CredentialsError(f"no AWS credentials were found: {advice}")
    known = isinstance(error, BotoCoreError | ClientError | OSError | RuntimeError)
    cause = cause_of(error)
    # botocore says of a proxy only which it is.
    told = cause if isinstance(cause, ProxyError) else error
    said = harmless(told, MESSAGE_LIMIT) if known else type(error).__name__
    if isinstance(error, SSOError | TokenRetrievalError):
        advice = f"run `aws sso login{_profile_option(session)}`"
    elif isinstance(error, LoginError):
        advice = f"run `aws login{_profile_option(session)}`"
    return CredentialsError(f"the AWS credentials could not be loaded or refreshed ({said}): {advice}")


def advice_for(session: AioSession, general: str = GENERAL_ADVICE) -> str:
    """Return what to run or set so that the session has credentials; the general advice where its profile has none."""
    untyped: Any = session
    try:
        name = untyped.get_config_variable("profile") or "default"
        profiles: Mapping[str, Mapping[str, object]] = untyped.full_config.get("profiles", {})
    except BotoCoreError:
        return general
    seen: set[str] = set()
    while name in profiles and name not in seen:
        seen.add(name)
        profile = profiles[name]
        option = "" if name == "default" else f" --profile {name}"
        if "sso_session" in profile or "sso_start_url" in profile:
            return f"run `aws sso login{option}`"
        if "login_session" in profile:
            return f"run `aws login{option}`"
        if "credential_process" in profile:
            return f"see why the credential_process of the profile {name} gives none that are valid, or {general}"
        name = str(profile.get("source_profile", ""))
    return general


def _profile_of(session: AioSession) -> str | None:
    untyped: Any = session
    name: str | None = untyped.get_config_variable("profile")
    return name


def _profile_option(session: AioSession) -> str:
    name = _profile_of(session)
    return f" --profile {name}" if name else ""


class RoleLoader:
    """Asks STS for the credentials of a role.

    Args:
        role: The role, with its Region.
        source: Whose credentials assume it.
        session: Creates the client of STS.
        repeater: Repeats what STS answers in a moment's trouble.
    """

    def __init__(
        self, role: AssumeRole, source: RefreshingSource, session: ConfiguredSession, repeater: Repeater
    ) -> None:
        self._role = role
        self._source = source
        self._session = session
        self._repeater = repeater
        self._asks = False

    @property
    def waits_for(self) -> str:
        """The request to STS; the source tells by itself whom it asks."""
        return f"STS, to assume {self._role.role_arn}" if self._asks else ""

    @property
    def advice(self) -> str:
        """Advice: what to run or set to get the credentials that assume the role."""
        return self._source.advice

    async def load(self, _: ReadOnlyCredentials | None, /) -> Loaded:
        """Assume the role; with other credentials where STS says that those of the source have ended.

        Raises:
            CredentialsError: STS refused, or did not answer, or the source has no credentials.
        """
        used = await self._source.current()
        try:
            try:
                return await self._assume(used)
            except ServiceError as error:
                if error.code not in EXPIRED_CREDENTIALS_CODES:
                    raise
                await self._source.renew(used)
                return await self._assume(await self._source.current())
        except (ServiceError, TransportError) as error:
            advice = f": {self.advice}" if error.code in EXPIRED_CREDENTIALS_CODES else ""
            raise CredentialsError(f"could not assume {self._role.role_arn}: {error}{advice}") from error
        except BotoCoreError as error:
            raise CredentialsError(
                f"could not assume {self._role.role_arn}: {harmless(error, MESSAGE_LIMIT)}"
            ) from error

    async def _assume(self, used: ReadOnlyCredentials) -> Loaded:
        self._asks = True
        try:
            given = await self._repeater.call(
                partial(call_sts, self._role, self._session.create_client, used)
            )
        finally:
            self._asks = False
        return Loaded(credentials=frozen(given), expires_at=given.expires_at)

    async def close(self) -> None:
        """End a refresh of the source that is under way."""
        await self._source.close()


STS_RETRY: Final = RetryPolicy(max_attempts=2)
"""Nobody should wait long where STS cannot be reached, as in a VPC without an endpoint for it."""


async def account_of(
    credentials: ReadOnlyCredentials,
    session: ConfiguredSession,
    repeater: Repeater,
    *,
    region: str,
    endpoint: str | None,
) -> str | None:
    """Return the account that credentials belong to: as they say, or as STS does; None where neither tells.

    GetCallerIdentity needs no permission [doc]. With a custom endpoint, STS is asked only where it has one too: AWS's
    own has never heard of a simulator's credentials.

    Args:
        credentials: The credentials.
        session: Creates the client of STS.
        repeater: Repeats what STS answers in a moment's trouble.
        region: Where STS is asked.
        endpoint: The custom endpoint of the service; None for AWS's own.
    """
    if credentials.account_id:
        return str(credentials.account_id)
    try:
        async with session.create_client(
            "sts",
            region_name=region,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token,
        ) as sts:
            if endpoint is not None and custom_endpoint(sts.meta.endpoint_url) is None:
                return None

            async def ask() -> dict[str, Any]:
                answer: dict[str, Any] = await sts.get_caller_identity()
                return answer

            account: object = (await repeater.call(ask)).get("Account")
    except (BotoCoreError, WorkSpacesError, ValueError):
        # Whoever needs to know is told that it is not known; what is wrong with the credentials, the next call tells.
        return None
    return account if isinstance(account, str) and account else None
