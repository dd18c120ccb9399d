"""Redirects are never followed: the session token would go to the other host."""

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.awsrequest import AWSPreparedRequest

from tests.http.conftest import CREDENTIALS, Connect, make_config
from tests.http.server import Answer, ScriptedServer, ok
from workspaces_apps import AssumeRole, CredentialsError, RetryPolicy, ServiceError, WorkSpacesClient
from workspaces_apps._base.connections import HttpSession


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_error_and_the_other_host_sees_nothing(
    server: ScriptedServer, connect: Connect, status: int
) -> None:
    """Whatever the status, the answer is a ServiceError and nothing is sent elsewhere."""
    async with ScriptedServer() as other:
        other.respond(lambda _: ok())
        server.script(Answer(status=status, headers={"Location": other.url}))

        with pytest.raises(ServiceError) as caught:
            await connect(retry=RetryPolicy(max_attempts=1)).describe_account()

        assert (caught.value.http_status, caught.value.code) == (status, None)
        assert (len(server.requests), other.requests) == (1, [])


async def test_sts_is_not_followed_either(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source's session token stays with STS; a redirect there means that the role cannot be assumed."""
    role = AssumeRole("arn:aws:iam::123456789012:role/roll-out", source=CREDENTIALS)
    async with ScriptedServer() as sts, ScriptedServer() as other:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.script(Answer(status=307, headers={"Location": other.url}))

        with pytest.raises(CredentialsError):
            await connect(credentials=role).describe_account()

        assert (len(sts.requests), other.requests, server.requests) == (1, [], [])


async def test_a_redirect_is_an_error_where_somebody_listens(server: ScriptedServer) -> None:
    """With a listener on the session, which makes aiobotocore send the request, nothing is followed either."""
    overheard: list[str] = []
    session = AioSession()
    emitter: Any = session.get_component("event_emitter")

    def listen(request: AWSPreparedRequest, **_: object) -> None:
        overheard.append(request.url or "")

    emitter.register("before-send.workspaces", listen)
    client = WorkSpacesClient(
        region="eu-west-1",
        endpoint_url=server.url,
        session=session,
        credentials=CREDENTIALS,
        config=make_config(retry=RetryPolicy(max_attempts=1)),
    )
    async with ScriptedServer() as other, client as ws:
        server.script(Answer(status=307, headers={"Location": other.url}))

        with pytest.raises(ServiceError):
            await ws.describe_account()

        assert (overheard, other.requests) == ([f"{server.url}/"], [])


def test_the_private_method_of_aiobotocore_is_still_the_one_that_we_override() -> None:
    """Fails when aiobotocore renames `_get_session`, changes what it takes, or asks it for more than a request."""
    theirs: Callable[..., object] = vars(AIOHTTPSession)["_get_session"]
    ours: Callable[..., object] = vars(HttpSession)["_get_session"]
    sending = inspect.getsource(AIOHTTPSession.send)

    for method in (theirs, ours):
        assert list(inspect.signature(method).parameters) == ["self", "proxy_url"]
        assert inspect.iscoroutinefunction(method)
    assert "session = await self._get_session(proxy_url)" in sending
    assert re.findall(r"(?<![\w.])session\.(\w+)", sending) == ["request"]
