"""Credentials: given ones, and providers that get them when they are needed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from workspaces_apps._base.public import Datetime, public
from workspaces_apps._base.text import MESSAGE_LIMIT, harmless
from workspaces_apps.errors import ConfigurationError, CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable


UNFIT: Final = "holds a space, a line break or another character that no key has; read from a file, strip it"


def is_fit(value: str) -> bool:
    """Tell if a part of credentials can be one: it is visible ASCII, and so can be sent in a header."""
    return value.isascii() and value.isprintable() and " " not in value


@public("workspaces_apps")
@dataclass(frozen=True, slots=True)
class Credentials:
    """AWS credentials. Their repr shows no secret.

    Examples:
        >>> from workspaces_apps import Credentials
        >>> Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG", account_id="123456789012")
        Credentials(access_key_id='AKIAIOSFODNN7EXAMPLE', account_id='123456789012', expires_at=None)
    """

    access_key_id: str
    """The access key's id."""
    secret_access_key: str = field(repr=False)
    """The secret that goes with it."""
    session_token: str | None = field(default=None, repr=False)
    """The token of temporary credentials."""
    account_id: str | None = None
    """The account they belong to, 12 digits, where known; pacing is then shared per account."""
    expires_at: Datetime | None = field(default=None, kw_only=True)
    """The end of temporary credentials, with a time zone; None if they do not end, or that is unknown."""

    def __post_init__(self) -> None:
        """Refuse what cannot be credentials."""
        for name in ("access_key_id", "secret_access_key"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise ConfigurationError(f"Credentials.{name} must be a non-empty str")
        for name in ("session_token", "account_id"):
            if not isinstance(getattr(self, name), str | None):
                raise ConfigurationError(f"Credentials.{name} must be a str or None")
        for name in ("access_key_id", "secret_access_key", "session_token"):
            value: str | None = getattr(self, name)
            if value is not None and not is_fit(value):
                raise ConfigurationError(f"Credentials.{name} {UNFIT}")
        if self.expires_at is not None and not _has_zone(self.expires_at):
            raise ConfigurationError("Credentials.expires_at must be a datetime with a time zone, or None")


@public("workspaces_apps")
@runtime_checkable
class CredentialsProvider(Protocol):
    """Somebody who gets credentials.

    It is asked before the first call, again some minutes before `expires_at`, and once more when the service
    says that they have expired.
    """

    async def get_credentials(self) -> Credentials:
        """Return credentials that are valid now."""
        ...


@public("workspaces_apps")
@runtime_checkable
class RefusableCredentialsProvider(CredentialsProvider, Protocol):
    """A provider that keeps credentials, and is told when the service does not take them any more."""

    async def invalidate(self, refused: Credentials) -> None:
        """Forget these credentials: the service says that they have ended, and asks for others next.

        Args:
            refused: What `get_credentials` gave last.
        """
        ...


@public("workspaces_apps")
@dataclass(frozen=True, slots=True)
class AssumeRole:
    """A provider that assumes a role, and does so again before its credentials end.

    Examples:
        >>> from workspaces_apps import AssumeRole, WorkSpacesClient
        >>> role = AssumeRole("arn:aws:iam::123456789012:role/rollouts", external_id="fleet")
        >>> client = WorkSpacesClient(region="eu-west-1", credentials=role)
    """

    role_arn: str
    """The role."""
    external_id: str | None = field(default=None, repr=False)
    """The external id that the role's trust policy may ask for."""
    source: Credentials | CredentialsProvider | None = None
    """The source of the credentials that assume the role; None for the standard chain (environment, profile, SSO, …)."""
    session_name: str = "workspaces-apps"
    """The name under which the session shows in CloudTrail: 2 to 64 of ``\\w+=,.@-``."""
    region: str | None = None
    """The Region in which STS is asked; None for the client's Region."""
    profile: str | None = None
    """The profile of the standard chain, where `source` is None; None for the client's."""

    def __post_init__(self) -> None:
        """Refuse what is not the ARN of a role, and what no Region is called."""
        if not _is_role(self.role_arn):
            raise ConfigurationError(
                f"AssumeRole.role_arn must look like arn:aws:iam::123456789012:role/name, not {self.role_arn!r}"
            )
        if self.region is not None:
            check_region(self.region, "AssumeRole.region")
        check_credentials(self.source)

    def for_client(self, *, region: str | None, profile: str | None) -> AssumeRole:
        """Return a copy, with what a client knows where this says nothing."""
        return replace(self, region=self.region or region, profile=self.profile or profile)

    async def get_credentials(self) -> Credentials:
        """Ask STS, by itself: a client asks it with its own configuration instead.

        Raises:
            CredentialsError: STS refused, or could not be reached, or nobody's credentials were found.
        """
        from aiobotocore.config import AioConfig
        from aiobotocore.session import AioSession
        from botocore.exceptions import BotoCoreError, ClientError

        from workspaces_apps._base.connections import HttpSession

        source = self.source
        if source is not None and not isinstance(source, Credentials):
            source = await source.get_credentials()
        # Its overloads name every service of AWS, each typed by a package of its own.
        session: Any = AioSession(profile=self.profile)
        config = AioConfig(connect_timeout=5, read_timeout=30, http_session_cls=HttpSession)
        try:
            create_client = partial(session.create_client, config=config)
            return await call_sts(self, create_client, _Frozen(source) if source is not None else None)
        except (BotoCoreError, ClientError) as error:
            raise CredentialsError(
                f"could not assume {self.role_arn}: {harmless(error, MESSAGE_LIMIT)}"
            ) from error


class Keys(Protocol):
    """The keys that a request is signed with."""

    @property
    def access_key(self) -> str | None:
        """The access key's id."""
        ...

    @property
    def secret_key(self) -> str | None:
        """The secret that goes with it."""
        ...

    @property
    def token(self) -> str | None:
        """The token of temporary credentials."""
        ...


class _Frozen:
    __slots__ = ("access_key", "secret_key", "token")

    def __init__(self, source: Credentials) -> None:
        self.access_key = source.access_key_id
        self.secret_key = source.secret_access_key
        self.token = source.session_token


async def call_sts(role: AssumeRole, create_client: Callable[..., Any], keys: Keys | None) -> Credentials:
    """Ask STS for the credentials of a role, once.

    Args:
        role: The role.
        create_client: Creates a client of aiobotocore's.
        keys: Whose credentials assume the role; None for the standard chain of whatever creates the client.

    Raises:
        BotoCoreError: There was no answer, or one that cannot be read.
        ClientError: STS refused.
    """
    from botocore.parsers import ResponseParserError

    request = {"RoleArn": role.role_arn, "RoleSessionName": role.session_name}
    if role.external_id is not None:
        request["ExternalId"] = role.external_id
    options: dict[str, object] = {"region_name": role.region}
    if keys is not None:
        options["aws_access_key_id"] = keys.access_key
        options["aws_secret_access_key"] = keys.secret_key
        options["aws_session_token"] = keys.token
    try:
        async with create_client("sts", **options) as sts:
            answer = await sts.assume_role(**request)
        given = answer["Credentials"]
        return Credentials(
            given["AccessKeyId"],
            given["SecretAccessKey"],
            given["SessionToken"],
            role.role_arn.split(":")[4] or None,
            expires_at=given["Expiration"].astimezone(UTC),
        )
    # The first three are what botocore's parser raises on an answer that is not that of the operation.
    except (ResponseParserError, KeyError, AttributeError, ConfigurationError) as error:
        raise CredentialsError(
            f"could not assume {role.role_arn}: the answer of STS holds no credentials"
        ) from error


class StaticProvider:
    """Given credentials, as a provider."""

    __slots__ = ("_credentials",)

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def get_credentials(self) -> Credentials:
        """Return the credentials given."""
        return self._credentials


_REGION: Final = re.compile("[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def check_region(region: object, name: str) -> None:
    """Refuse what no Region is called; botocore lets a line break at its end pass. [seen]

    Args:
        region: The Region, which stands in the head of each request.
        name: Where it comes from.

    Raises:
        ConfigurationError: It is not made of letters, digits and hyphens.
    """
    if not isinstance(region, str) or _REGION.fullmatch(region) is None:
        raise ConfigurationError(f"{name} must be a Region such as eu-west-1, not {region!r}")


def _has_zone(moment: object) -> bool:
    return isinstance(moment, datetime) and moment.tzinfo is not None


def _is_role(arn: object) -> bool:
    return isinstance(arn, str) and arn.startswith("arn:") and ":role/" in arn


def check_credentials(value: object) -> None:
    """Refuse what neither is credentials nor gives them.

    Raises:
        ConfigurationError: It is something else; the message says what would be right.
    """
    # A Protocol cannot be told from its look-alikes by type alone; the method is what matters.
    if value is not None and not isinstance(value, Credentials) and not offers(value, "get_credentials"):
        raise ConfigurationError(
            "credentials must be Credentials(...), AssumeRole(...) or an object with an async"
            f" get_credentials(), not {type_name(value)}"
        )


def offers(value: object, method: str) -> bool:
    """Tell if an object has a method. A class has those of its objects, and is none."""
    return callable(getattr(value, method, None)) and not isinstance(value, type)


def type_name(value: object) -> str:
    """Return the kind of a value in words: the name of its class, or that it is one itself."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
