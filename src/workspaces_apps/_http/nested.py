"""The clients that hand out credentials (STS, SSO), set up as the client of the service is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotocoreConnectionError

from workspaces_apps._base import text
from workspaces_apps._base.clock import to_seconds
from workspaces_apps._base.hooks import Hooks
from workspaces_apps._base.redirects import HttpSession, with_limit
from workspaces_apps._http.network import describe_failure
from workspaces_apps._retry import run_attempts
from workspaces_apps.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from aiobotocore.session import AioSession

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._http.config import ClientConfig
    from workspaces_apps._retry import RetryPolicy

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeater:
    """The retry layer, for calls of the services that hand out credentials. They may all be repeated.

    Attributes:
        policy: How often and how patiently.
        clock: What backoffs are waited with.
        random: A number in [0, 1), uniformly, for the jitter.
    """

    policy: RetryPolicy
    clock: Clock
    random: Callable[[], float]

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
        text.harmless(details.get("Message") or "", text.MESSAGE_LIMIT),
        operation=error.operation_name,
        code=text.name(details.get("Code")),
        http_status=metadata.get("HTTPStatusCode"),
        request_id=text.name(metadata.get("RequestId")),
    )
