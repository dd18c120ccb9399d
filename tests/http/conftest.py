"""A scripted server, and clients that call it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, TypedDict, Unpack

import pytest
from botocore import handlers

from tests.http.clocks import SkippingClock
from tests.http.server import ScriptedServer
from workspaces_apps import (
    ClientConfig,
    Clock,
    Credentials,
    CredentialsProvider,
    Duration,
    Hooks,
    Pacing,
    RetryPolicy,
    WorkSpacesClient,
)
from workspaces_apps._http.config import RequestChecks
from workspaces_apps._pacing import PacingRegistry


@pytest.fixture(autouse=True)
def no_stubs_of_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions as they are without moto, which listens to every one once another test has imported it."""
    kept = [entry for entry in handlers.BUILTIN_HANDLERS if not entry[1].__module__.startswith("moto.")]
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", kept)


CREDENTIALS: Final = Credentials("AKIAEXAMPLE", "the-secret-key", "the-session-token", "123456789012")


class Settings(TypedDict, total=False):
    """The settings of `ClientConfig` that tests vary."""

    retry: RetryPolicy
    pacing: Pacing
    timeout: Duration | None
    connect_timeout: Duration
    read_timeout: Duration
    max_connections: int
    max_response_bytes: int
    request_checks: RequestChecks
    proxy: str
    ca_bundle: Path
    use_fips: bool
    use_dualstack: bool
    user_agent_extra: str
    hooks: Hooks
    telemetry: bool


class Connect(Protocol):
    """Makes a client of the scripted server, and closes it when the test ends."""

    def __call__(
        self,
        *,
        endpoint_url: str | None = None,
        credentials: Credentials | CredentialsProvider | None = CREDENTIALS,
        clock: Clock | None = None,
        **settings: Unpack[Settings],
    ) -> WorkSpacesClient:
        """A client of the server, or of `endpoint_url`."""
        ...


def make_config(**settings: Unpack[Settings]) -> ClientConfig:
    """A `ClientConfig` with a pacing registry of its own, jitter that is always the middle, and patience on a busy machine."""
    usual = ClientConfig(pacing_registry=PacingRegistry(), random=lambda: 0.5, connect_timeout=60)
    return replace(usual, **settings)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    """A scripted server."""
    async with ScriptedServer() as scripted:
        yield scripted


@pytest.fixture
async def connect(server: ScriptedServer) -> AsyncIterator[Connect]:
    """Make clients of the server."""
    async with AsyncExitStack() as closing:

        def make(
            *,
            endpoint_url: str | None = None,
            credentials: Credentials | CredentialsProvider | None = CREDENTIALS,
            clock: Clock | None = None,
            **settings: Unpack[Settings],
        ) -> WorkSpacesClient:
            client = WorkSpacesClient(
                region="eu-west-1",
                endpoint_url=endpoint_url or server.url,
                credentials=credentials,
                config=make_config(**settings),
                clock=clock or SkippingClock(),
            )
            closing.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
def ws(connect: Connect) -> WorkSpacesClient:
    """A client of the server, with a clock on which every sleep is over at once."""
    return connect()
