"""The two ways of a call, forced and watched."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from aiobotocore.client import AioBaseClient
from aiobotocore.session import AioSession

from tests.http.conftest import CREDENTIALS, make_config
from workspaces_apps import RetryPolicy, WorkSpacesClient
from workspaces_apps._http.config import RequestChecks
from workspaces_apps._http.fast_path import PooledPost, RawAnswer

PATIENCE = 60.0
"""Real seconds after which an exchange is taken for hung; nothing waits that long when it works."""


async def calls(ws: WorkSpacesClient, count: int = 1) -> None:
    """Call DescribeAccount, one call after the other."""
    for _ in range(count):
        await ws.describe_account()


def ignore(**_: object) -> None:
    """Listen, and do nothing."""


def listening(event: str, handler: Callable[..., object] = ignore) -> AioSession:
    """Return a session with a handler of somebody else's on it."""
    session = AioSession()
    emitter: Any = session.get_component("event_emitter")
    emitter.register(event, handler)
    return session


def client_of(
    url: str,
    session: AioSession | None = None,
    request_checks: RequestChecks = "all",
    read_timeout: float = PATIENCE,
) -> WorkSpacesClient:
    """Return a client of the server that tries once, on that session if there is one."""
    return WorkSpacesClient(
        region="eu-west-1",
        endpoint_url=url,
        session=session,
        credentials=CREDENTIALS,
        config=make_config(
            retry=RetryPolicy(max_attempts=1, budget=None),
            read_timeout=read_timeout,
            request_checks=request_checks,
        ),
    )


def slow_client(
    url: str, request_checks: RequestChecks = "all", read_timeout: float = PATIENCE
) -> WorkSpacesClient:
    """Return a client whose every call aiobotocore makes, since somebody listens."""
    return client_of(url, listening("needs-retry"), request_checks, read_timeout)


WAYS: Final[dict[str, Callable[[str], WorkSpacesClient]]] = {"allowed": client_of, "forbidden": slow_client}
"""Make a client of a server: one that may take the fast path from the second call of an operation on, and one that may not."""


async def inner_of(ws: WorkSpacesClient) -> AioBaseClient:
    """Return the client of aiobotocore's inside."""
    transport: Any = getattr(ws, "_shared").transport()  # noqa: B009 - nothing public tells
    connection, _ = await transport.connection()
    found: AioBaseClient = connection._client
    return found


async def forbid(ws: WorkSpacesClient) -> None:
    """Keep all further calls of a client from the fast path, by listening to them."""
    events: Any = (await inner_of(ws)).meta.events
    events.register("needs-retry", ignore)


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The requests that took the fast path."""
    seen: list[bytes] = []
    post = PooledPost.post

    async def watch(pool: PooledPost, data: bytes, guard: Callable[[], None] | None = None) -> RawAnswer:
        seen.append(data)
        return await post(pool, data, guard)

    monkeypatch.setattr(PooledPost, "post", watch)
    return seen
