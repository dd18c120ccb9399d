"""`ClientConfig`: what can be set about a client, checked when it is set; how a client connects, and its identity."""

import pickle
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, fields
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from random import Random
from types import NoneType
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable
from urllib.parse import urlsplit

from workspaces_apps._base.clock import Clock, Duration, to_seconds
from workspaces_apps._base.credentials import (
    AssumeRole,
    Credentials,
    CredentialsProvider,
    check_credentials,
    check_region,
    offers,
    type_name,
)
from workspaces_apps._base.public import public
from workspaces_apps._pacing import DEFAULT_REGISTRY, Pacing, PacingRegistry
from workspaces_apps._retry import RetryPolicy
from workspaces_apps._telemetry.port import Hooks
from workspaces_apps.errors import ConfigurationError

RequestChecks: TypeAlias = Literal["all", "structure"]


def is_loopback(host: str | None) -> bool:
    """Tell if a URL's host is this machine."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


_AWS: Final = (
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".api.aws",
    ".api.amazonwebservices.com.cn",
    ".amazonaws.eu",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".csp.hci.ic.gov",
    ".cloud.adc-e.uk",
)
"""Ends of the names of AWS's own hosts, those of FIPS, dual-stack and VPC endpoints included [seen in botocore]."""


@public("workspaces_apps.types")
class Unset(Enum):
    """Stands for an argument that was not given, where None means something."""

    UNSET = "unset"


@public("workspaces_apps.types")
@runtime_checkable
class Session(Protocol):
    """An `aiobotocore.session.AioSession`, by what tells one from a session of botocore's or boto3's.

    Not the class itself: type checkers of everybody who makes a client would read the clients of all services.
    """

    @property
    def create_client(self) -> Callable[..., AbstractAsyncContextManager[Any]]:
        """Make a client, as an asynchronous context manager."""
        ...


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """The settings of a client.

    Examples:
        >>> from workspaces_apps import ClientConfig, RetryPolicy, WorkSpacesClient
        >>> config = ClientConfig(retry=RetryPolicy(max_attempts=8), timeout=60, max_connections=20)
        >>> client = WorkSpacesClient(region="eu-west-1", config=config)
    """

    retry: RetryPolicy = RetryPolicy()
    """The rules by which calls are repeated."""
    pacing: Pacing = Pacing.adaptive()
    """The rules by which calls are paced."""
    timeout: Duration | None = None
    """The time for one call with everything in it: queueing, pacing, attempts, backoff. None: no
    limit but those of the attempts. Durations are timedeltas or seconds."""
    connect_timeout: Duration = 5.0
    """The time to connect, for one attempt."""
    read_timeout: Duration = 30.0
    """The longest silence of the service, for one attempt; an answer must be complete within twice
    that."""
    max_connections: int = 50
    """Connections at most, and so requests in flight at most: 1 or more."""
    max_response_bytes: int = 16 * 1024 * 1024
    """Bytes of an answer's body at most, 1,024 or more; one that is longer is broken off."""
    request_checks: RequestChecks = "all"
    """`"all"` checks everything that the service model says of a request before it is sent;
    `"structure"` checks names, required members and types only, for the day the service relaxes a limit."""
    proxy: str | None = None
    """The URL of an HTTP proxy; None for what HTTPS_PROXY and HTTP_PROXY say."""
    ca_bundle: str | Path | None = None
    """A PEM file of certificate authorities to trust; None for AWS_CA_BUNDLE, or botocore's own."""
    use_fips: bool | None = None
    """Use the FIPS endpoint; None for what the environment or profile says."""
    use_dualstack: bool | None = None
    """Use the dual-stack endpoint; None for what the environment or profile says."""
    allow_insecure_endpoint: bool = False
    """Take a plain-http endpoint that is not on this machine."""
    user_agent_extra: str | None = None
    """Appended to the User-Agent header."""
    telemetry: bool = True
    """Make spans and metrics where `opentelemetry-api` is installed; False for none."""
    hooks: Hooks = Hooks()
    """Callbacks that are told of attempts, retries, throttles, polls and refreshes of credentials."""
    pacing_registry: PacingRegistry = field(default=DEFAULT_REGISTRY, repr=False)
    """The registry in which what is learned of the service's rate is shared; by default with every client of
    the process."""
    random: Callable[[], float] = field(default=random.random, repr=False)
    """A number in [0, 1), uniformly, for jitter."""

    def __post_init__(self) -> None:
        """Check every setting.

        Raises:
            ConfigurationError: A setting breaks its rule; the message names both.
        """
        for name, kinds in _KINDS.items():
            _require(getattr(self, name), name, *kinds)
        if self.timeout is not None:
            to_seconds(self.timeout, "timeout", positive=True)
        to_seconds(self.connect_timeout, "connect_timeout", positive=True)
        to_seconds(self.read_timeout, "read_timeout", positive=True)
        if isinstance(self.max_connections, bool) or self.max_connections < 1:
            raise ConfigurationError(
                f"max_connections must be an int, 1 or more, not {self.max_connections!r}"
            )
        if isinstance(self.max_response_bytes, bool) or self.max_response_bytes < 1024:
            raise ConfigurationError(
                f"max_response_bytes must be an int, 1024 or more, not {self.max_response_bytes!r}"
            )
        if self.request_checks not in ("all", "structure"):
            raise ConfigurationError(
                f'request_checks must be "all" or "structure", not {self.request_checks!r}'
            )
        if self.proxy is not None and not is_http_url(self.proxy):
            raise ConfigurationError(f"proxy must be {PROXY_RULE}")
        if not callable(self.random):
            raise ConfigurationError(f"random must be a function, not {type_name(self.random)}")
        extra = self.user_agent_extra
        if extra is not None and not (extra.isascii() and extra.isprintable()):
            raise ConfigurationError("user_agent_extra must be printable ASCII: it is part of a header")
        if self.ca_bundle is not None and not Path(self.ca_bundle).is_file():
            raise ConfigurationError(f"ca_bundle must be a PEM file; there is none at {self.ca_bundle}")

    def __copy__(self) -> "ClientConfig":
        return self

    def __deepcopy__(self, memo: object) -> "ClientConfig":
        # Nothing in it changes, and what is shared is meant to be shared.
        return self

    def __reduce__(
        self,
    ) -> tuple[Callable[[Mapping[str, object]], "ClientConfig"], tuple[Mapping[str, object]]]:
        """Let the settings travel to another process; what is the default travels as a reference.

        The default `random` above all: a generator's method would take its state along, and two workers would jitter in
        step.

        Raises:
            PicklingError: A setting cannot travel; the message names it.
        """
        settings: dict[str, object] = {}
        for one in fields(self):
            value: object = getattr(self, one.name)
            if value is one.default:
                continue
            for name, part in _parts(one.name, value):
                if isinstance(part, PacingRegistry) or isinstance(getattr(part, "__self__", None), Random):
                    raise pickle.PicklingError(
                        f"ClientConfig cannot be pickled: {name} belongs to this process"
                    )
                try:
                    pickle.dumps(part)
                except (pickle.PicklingError, AttributeError, TypeError) as error:
                    raise pickle.PicklingError(
                        f"ClientConfig cannot be pickled: {name} cannot: {error}"
                    ) from error
            settings[one.name] = value
        return _restore, (settings,)

    def __repr__(self) -> str:
        """Leave out the proxy, whose URL may hold a password."""
        shown = (
            f"{field.name}={'...' if field.name == 'proxy' and self.proxy else getattr(self, field.name)!r}"
            for field in fields(self)
            if field.repr
        )
        return f"ClientConfig({', '.join(shown)})"


def _parts(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield a setting, or each of the hooks in it, by the name to tell."""
    if isinstance(value, Hooks):
        yield from ((f"hooks.{hook.name}", getattr(value, hook.name)) for hook in fields(value))
    else:
        yield name, value


def _restore(settings: Mapping[str, object]) -> ClientConfig:
    return ClientConfig(**settings)  # type: ignore[arg-type]  # what another process's ClientConfig held


_PRINTABLE: Final = "without line breaks and with %20 for a space"
PROXY_RULE: Final = f"the URL of an HTTP proxy, such as http://proxy.example:3128, {_PRINTABLE}"


class CallOptions(NamedTuple):
    """The options that may differ from one view of a client to another: attributes of `ClientConfig`, and a guard.

    Attributes:
        guard: Asked after the permit and before every attempt, with whether an earlier one may have arrived; what it raises
            ends the call, and nothing more is sent.
    """

    retry: RetryPolicy
    pacing: Pacing
    timeout: Duration | None
    request_checks: RequestChecks
    hooks: Hooks
    guard: Callable[[bool], None] | None = None

    def changed(self, options: Mapping[str, object]) -> "CallOptions":
        """Return a copy with some options changed, each checked as `ClientConfig` checks it."""
        ClientConfig(**options)  # type: ignore[arg-type]  # it checks the types
        return self._replace(**options)  # type: ignore[arg-type]  # checked one line above


class ConnectionSettings:
    """The service that a client calls, and the identity it calls as; shared by all of its views.

    Attributes:
        region: The Region; None for the environment's or the profile's.
        profile: The profile; None for the environment's.
        endpoint_url: The endpoint; None for what AWS's rules give.
        credentials: Whose calls they are; None for the standard chain.
        session: The aiobotocore session to use; None for one of its own.
        config: The settings.
        clock: Where time comes from.
    """

    __slots__ = ("clock", "config", "credentials", "endpoint_url", "profile", "region", "session")

    def __init__(
        self,
        *,
        region: str | None,
        profile: str | None,
        endpoint_url: str | None,
        credentials: Credentials | CredentialsProvider | None,
        session: Session | None,
        config: ClientConfig,
        clock: Clock,
    ) -> None:
        """Refuse arguments that contradict each other.

        Raises:
            ConfigurationError: They do; the message names them.
        """
        self.region = region
        self.profile = profile
        self.endpoint_url = endpoint_url
        self.credentials = credentials
        self.session = session
        self.config = config
        self.clock = clock
        for name in ("region", "profile", "endpoint_url"):
            _require(getattr(self, name), name, str, NoneType)
            if getattr(self, name) == "":
                raise ConfigurationError(
                    f"{name} must not be empty; None stands for AWS's standard resolution"
                )
        if self.region is not None:
            check_region(self.region, "region")
        _require(self.config, "config", ClientConfig)
        _require(self.clock, "clock", Clock)
        if self.session is not None and not offers(self.session, "create_client"):
            raise ConfigurationError(
                f"session must be an aiobotocore.session.AioSession, not {type_name(self.session)}"
            )
        check_credentials(self.credentials)
        if self.session is not None and self.profile is not None:
            raise ConfigurationError(
                "session and profile contradict each other: give the profile to the session"
            )
        own_source = isinstance(self.credentials, AssumeRole) and self.credentials.source is None
        if self.credentials is not None and self.profile is not None and not own_source:
            raise ConfigurationError(
                "credentials and profile contradict each other: both say whose calls these are"
            )
        if self.endpoint_url is not None:
            if self.config.use_fips or self.config.use_dualstack:
                raise ConfigurationError(
                    "endpoint_url contradicts use_fips and use_dualstack: they choose the endpoint"
                )
            check_endpoint(self.endpoint_url, allow_insecure=self.config.allow_insecure_endpoint)


class ClientIdentity(NamedTuple):
    """The fleet that a client reads and changes.

    Attributes:
        region: The Region.
        account: The account's id; None where nobody tells.
        endpoint: The endpoint, without what is behind its host and port; None for AWS's own.
        access_key_id: The access key of the calls; it is kept in no plan and no journal.
    """

    region: str
    account: str | None
    endpoint: str | None
    access_key_id: str


def custom_endpoint(url: str) -> str | None:
    """Return an endpoint as a plan names it: scheme, host and port; None for one of AWS's own."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if host.endswith(_AWS):
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{parts.port}" if parts.port is not None else "")


_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "retry": (RetryPolicy,),
    "pacing": (Pacing,),
    "hooks": (Hooks,),
    "pacing_registry": (PacingRegistry,),
    "max_connections": (int,),
    "max_response_bytes": (int,),
    "proxy": (str, NoneType),
    "ca_bundle": (str, Path, NoneType),
    "use_fips": (bool, NoneType),
    "use_dualstack": (bool, NoneType),
    "allow_insecure_endpoint": (bool,),
    "user_agent_extra": (str, NoneType),
    "telemetry": (bool,),
}
"""By setting of `ClientConfig`: what it may be an instance of."""


def _require(value: object, name: str, *kinds: type) -> None:
    # A class has the methods of a Protocol too.
    if not isinstance(value, kinds) or isinstance(value, type):
        allowed = " or ".join("None" if kind is NoneType else kind.__name__ for kind in kinds)
        raise ConfigurationError(f"{name} must be a {allowed}, not {type_name(value)}")


def is_tls(url: str) -> bool:
    """Tell if the way to a URL is TLS."""
    return urlsplit(url).scheme == "https"


def is_http_url(url: str) -> bool:
    """Tell if it is the URL of something that speaks HTTP: a scheme, a host, and a port that there can be."""
    # Line breaks are stripped by urlsplit, and by nobody who connects.
    if not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        # Looked at because a port out of range is found only then.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def check_endpoint(url: str, *, allow_insecure: bool) -> None:
    """Refuse an endpoint that is no URL, or that would carry signed requests over the network in the clear.

    Raises:
        ConfigurationError: It is one of the two.
    """
    try:
        parts = urlsplit(url)
        # A port out of range is found only when it is looked at.
        _ = parts.port
    except ValueError as error:
        raise ConfigurationError(f"endpoint_url is not a URL: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("endpoint_url must hold no user name or password: requests are signed")
    if not is_http_url(url):
        raise ConfigurationError(
            f"endpoint_url must be an http or https URL, such as https://…, {_PRINTABLE}, not {url!r}"
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname) and not allow_insecure:
        raise ConfigurationError(
            f"endpoint_url is plain http to {parts.hostname}: anybody on the way could read and change the"
            " calls. Use https, or set ClientConfig(allow_insecure_endpoint=True)"
        )
