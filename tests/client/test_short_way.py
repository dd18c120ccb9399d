"""The short way to the wire: taken where it changes nothing, and what it takes for granted of aiobotocore."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from aiobotocore.client import AioBaseClient
from aiobotocore.session import AioSession
from botocore.loaders import Loader
from botocore.session import Session

from tests.client.conftest import CREDENTIALS, Connect, make_config
from tests.client.server import Answer, ScriptedServer, fault, ok
from workspaces_apps import MalformedResponseError, RetryPolicy, ServiceError, WorkSpacesClient
from workspaces_apps._http.fast_path import LEFT_OUT, DirectSession, PlainSession, SignedRequest
from workspaces_apps._http.loader import make_loader
from workspaces_apps._http.request_template import FRAME, RESOLVE

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that were posted to on the short way."""
    seen: list[str] = []
    post = DirectSession.post

    async def watch(session: DirectSession, request: SignedRequest) -> object:
        seen.append(request.url)
        return await post(session, request)

    monkeypatch.setattr(DirectSession, "post", watch)
    return seen


def ignore(**_: object) -> None:
    """Listen, and do nothing."""


def listening(event: str, handler: Callable[..., object]) -> AioSession:
    """A session with a handler of a stranger's on it."""
    session = AioSession()
    emitter: Any = session.get_component("event_emitter")
    emitter.register(event, handler)
    return session


def client_of(session: AioSession, server: ScriptedServer) -> WorkSpacesClient:
    """A client of the server on that session, which tries once."""
    return WorkSpacesClient(
        region="eu-west-1",
        endpoint_url=server.url,
        session=session,
        credentials=CREDENTIALS,
        config=make_config(retry=ONCE),
    )


async def test_it_is_the_way_that_calls_take(
    server: ScriptedServer, ws: WorkSpacesClient, posts: list[str]
) -> None:
    """The first call and the next ones; fails when aiobotocore changes so that it is closed."""
    server.respond(lambda _: ok())

    for _ in range(3):
        await ws.describe_account()

    assert posts == [f"{server.url}/"] * 3


@pytest.mark.parametrize("event", LEFT_OUT)
@pytest.mark.parametrize("place", ["", ".workspaces", ".workspaces.DescribeAccount"])
async def test_it_is_closed_where_a_stranger_listens(
    server: ScriptedServer, posts: list[str], event: str, place: str
) -> None:
    """A handler on any event that it leaves out, however general, makes aiobotocore do the work."""
    server.respond(lambda _: ok())

    async with client_of(listening(event + place, ignore), server) as ws:
        await ws.describe_account()
        await ws.describe_account()

    assert (posts, len(server.requests)) == ([], 2)


async def test_a_listener_to_another_operation_does_not_close_it(
    server: ScriptedServer, posts: list[str]
) -> None:
    """Each operation has a way of its own."""
    server.respond(lambda _: ok())
    session = listening("before-send.workspaces.DescribeTags", ignore)

    async with client_of(session, server) as ws:
        await ws.describe_account()

    assert len(posts) == 1


async def test_whoever_answers_before_the_call_comes_first(server: ScriptedServer, posts: list[str]) -> None:
    """botocore's Stubber answers on `before-call.*.*`; nothing is sent then."""

    class Response:
        status_code = 200

    def answer(**_: object) -> tuple[Response, dict[str, object]]:
        return Response(), {}

    async with client_of(listening("before-call.*.*", answer), server) as ws:
        await ws.describe_account()

    assert (posts, server.requests) == ([], [])


ANSWERS = {
    "success": ok({"DedicatedTenancySupport": "ENABLED", "New": [1]}),
    "error": fault("ResourceNotFoundException", "gone", ResourceId="ws-1"),
    "no JSON": Answer(status=503, body=b"<html>", headers={"Content-Type": "text/html"}),
    "malformed": ok({"DedicatedTenancySupport": 7}),
    "status 300": Answer(status=300, body=b""),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_both_ways_lead_to_the_same(server: ScriptedServer, answer: Answer) -> None:
    """The request on the wire, the result and the error are the same on the long way."""
    outcomes: list[object] = []
    for session in (AioSession(), listening("needs-retry", ignore)):
        server.script(answer)
        async with client_of(session, server) as ws:
            try:
                found = await ws.describe_account()
                outcomes.append((found, found.meta.request_id, found.meta.http_status))
            except (ServiceError, MalformedResponseError) as error:
                outcomes.append(
                    (
                        type(error),
                        str(error),
                        error.code,
                        error.http_status,
                        error.request_id,
                        error.resource_id,
                    )
                )

    short, long = server.requests
    added_by_botocore = {"amz-sdk-invocation-id", "amz-sdk-request"}
    assert outcomes[0] == outcomes[1]
    assert (short.body, short.path) == (long.body, long.path)
    assert long.headers.keys() - added_by_botocore == short.headers.keys()


async def test_headers_that_a_listener_adds_before_the_call_are_sent(
    server: ScriptedServer, posts: list[str]
) -> None:
    """The event `before-call` is emitted for every call, with headers of its own, and they are signed."""
    count = iter(range(10))

    def add(params: dict[str, Any], **_: object) -> None:
        params["headers"][f"X-Number-{next(count)}"] = "x"

    server.respond(lambda _: ok())

    async with client_of(listening("before-call", add), server) as ws:
        await ws.describe_account()
        await ws.describe_account()

    added = [[name for name in request.headers if name.startswith("x-number")] for request in server.requests]
    assert (added, len(posts)) == ([["x-number-0"], ["x-number-1"]], 2)
    assert "x-number-1" in server.requests[1].headers["authorization"]


async def test_the_way_to_the_service_is_worked_out_once(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint rules are asked by the first call of an operation only."""
    asked: list[str] = []
    resolve: Any = getattr(AioBaseClient, RESOLVE)

    async def watch(client: object, operation_model: Any, *rest: Any, **options: Any) -> object:
        asked.append(operation_model.name)
        return await resolve(client, operation_model, *rest, **options)

    monkeypatch.setattr(AioBaseClient, RESOLVE, watch)
    server.respond(lambda _: ok())
    ws = connect()

    for _ in range(2):
        await ws.describe_account()
        await ws.describe_tags(resource_id="ws-1")

    assert asked == ["DescribeAccount", "DescribeTags"]


def test_the_endpoint_rules_ask_for_nothing_that_differs_from_call_to_call() -> None:
    """Fails when the service's rules gain a parameter: what is remembered of a call must be right for the next."""
    rules = Session().get_component("data_loader").load_service_model("workspaces", "endpoint-rule-set-1")

    assert set(rules["parameters"]) == {"Region", "UseDualStack", "UseFIPS", "Endpoint"}


def test_the_private_methods_of_aiobotocore_are_still_those_that_we_stand_in_for() -> None:
    """Fails when aiobotocore renames them or changes what they take."""
    assert list(inspect.signature(getattr(AioBaseClient, RESOLVE)).parameters)[:4] == [
        "self", "operation_model", "params", "request_context",
    ]  # fmt: skip
    assert list(inspect.signature(getattr(AioBaseClient, FRAME)).parameters)[:6] == [
        "self", "api_params", "operation_model", "endpoint_url", "context", "headers",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "proxies,verified", [(None, False), ({}, False), ({"http": "https://proxy.example"}, True)]
)
def test_plain_http_needs_no_trust_store_unless_a_proxy_is_in_the_way(
    proxies: dict[str, str] | None, verified: bool
) -> None:
    """The way to a proxy may be TLS, and is verified as ever."""
    session: Any = PlainSession(proxies=proxies, verify=True)

    assert session._verify is verified
    assert session.needs_proxy("http://127.0.0.1/") is verified


def test_the_quick_loader_loads_what_botocore_loads() -> None:
    """The same data for the service, for STS and for endpoints; and it knows a service that there is not."""
    # Not the one that is shared: botocore changes the endpoints that it has loaded.
    theirs, ours = Loader(), make_loader(None)

    for service, kind in (("workspaces", "service-2"), ("sts", "endpoint-rule-set-1")):
        assert ours.load_service_model(service, kind) == theirs.load_service_model(service, kind)
    assert ours.load_data("endpoints") == theirs.load_data("endpoints")
    assert set(theirs.list_available_services("service-2")) <= set(ours.list_available_services("service-2"))
    with pytest.raises(Exception, match="no-such-service"):
        ours.load_service_model("no-such-service", "service-2")
