"""The fast path of a call: taken where nobody would miss anything, and left the moment somebody would."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final, TypeAlias

import aiohttp
import pytest
import wrapt
from aiobotocore.client import AioBaseClient
from botocore.loaders import Loader
from botocore.session import Session
from botocore.stub import Stubber

from benchmarks.files_entered import entered
from tests.http.conftest import CREDENTIALS, Connect
from tests.http.server import ScriptedServer, ok
from tests.http.ways import WAYS, calls, client_of, inner_of, listening, posts
from workspaces_apps import ClientConfig, WorkSpacesClient
from workspaces_apps._http.borrowed import TABLE
from workspaces_apps._http.fast_path import EVENTS, LONGEST_BODY
from workspaces_apps._http.session import PlainSession, make_loader

__all__ = ["posts"]


async def test_the_first_call_shows_the_way_to_the_next(
    server: ScriptedServer, ws: WorkSpacesClient, posts: list[bytes]
) -> None:
    """aiobotocore makes the first call of each operation; fails when it changes so that the path is closed."""
    server.respond(lambda _: ok())

    await calls(ws, 3)
    await ws.describe_tags(resource_id="ws-123456789")

    assert (len(posts), len(server.requests)) == (2, 4)


async def test_a_warm_call_enters_few_files(server: ScriptedServer) -> None:
    """Whoever follows a call, in an editor or a profile, opens at most twelve files of ours."""
    server.respond(lambda _: ok())
    config = ClientConfig(telemetry=False)

    async with WorkSpacesClient(
        region="eu-west-1", endpoint_url=server.url, credentials=CREDENTIALS, config=config
    ) as ws:
        await ws.describe_applications()
        await ws.describe_applications()
        with entered() as files:
            await ws.describe_applications()

    assert len(files) <= 12, files


@pytest.mark.parametrize(
    "event", [*EVENTS, "before-call.workspaces", "needs-retry.workspaces.DescribeAccount"]
)
async def test_it_is_closed_where_somebody_listens(
    server: ScriptedServer, posts: list[bytes], event: str
) -> None:
    """A handler on any event of a call, however general, makes aiobotocore do the work."""
    server.respond(lambda _: ok())

    async with client_of(server.url, listening(event)) as ws:
        await calls(ws, 2)

    assert (posts, len(server.requests)) == ([], 2)


async def test_a_listener_to_another_operation_does_not_close_it(
    server: ScriptedServer, posts: list[bytes]
) -> None:
    """Each operation has a path of its own."""
    server.respond(lambda _: ok())

    async with client_of(server.url, listening("before-send.workspaces.DescribeTags")) as ws:
        await calls(ws, 2)

    assert len(posts) == 1


Note: TypeAlias = Callable[[], None]
"""Called by whoever watches, for each thing that it sees."""

Watcher: TypeAlias = Callable[[AioBaseClient, Note], Callable[[], None]]
"""Begins to watch a client's calls, and returns what ends it."""


def listen(inner: AioBaseClient, note: Note) -> Callable[[], None]:
    """Begin to listen to an event."""

    def handle(**_: object) -> None:
        note()

    events: Any = inner.meta.events
    events.register("before-send", handle)
    return lambda: events.unregister("before-send", handle)


def wrap(owner: object, name: str, note: Note) -> Callable[[], None]:
    """Wrap a method as tracers do: the wrapper is equal to the method, and says that it is of its type."""
    original, own = getattr(owner, name), name in vars(owner)

    def through(wrapped: Any, _: object, args: Any, options: Any) -> object:
        note()
        return wrapped(*args, **options)

    setattr(owner, name, wrapt.FunctionWrapper(original, through))
    return lambda: setattr(owner, name, original) if own else delattr(owner, name)


def on_class(owner: type, name: str) -> Watcher:
    """Watch by a wrapper on a class."""
    return lambda _, note: wrap(owner, name, note)


def on_class_of(of: Callable[[AioBaseClient], object], name: str) -> Watcher:
    """Watch by a wrapper on the class of an object of the client's, which may inherit from the one in the table."""
    return lambda inner, note: wrap(type(of(inner)), name, note)


def on_instance(of: Callable[[AioBaseClient], object], name: str) -> Watcher:
    """Watch by a wrapper on an object of the client's."""
    return lambda inner, note: wrap(of(inner), name, note)


def endpoint_of(inner: AioBaseClient) -> Any:
    """Return the endpoint of aiobotocore's client, whose HTTP session is public on it."""
    return getattr(inner, "_endpoint")  # noqa: B009 - private


def aiohttp_session_of(inner: AioBaseClient) -> Any:
    """Return aiohttp's session, of which there is one where there is no proxy."""
    (session,) = endpoint_of(inner).http_session._sessions.values()
    return session


def trace(inner: AioBaseClient, note: Note) -> Callable[[], None]:
    """Trace the requests of aiohttp's session."""

    async def begun(*_: object) -> None:
        note()

    session, config = aiohttp_session_of(inner), aiohttp.TraceConfig()
    config.on_request_start.append(begun)
    config.freeze()
    session.trace_configs.append(config)
    return lambda: session.trace_configs.remove(config)


def go_between(inner: AioBaseClient, note: Note) -> Callable[[], None]:
    """Put a middleware into aiohttp's session."""

    async def middleware(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        note()
        return await handler(request)

    session = aiohttp_session_of(inner)
    before, session._middlewares = session._middlewares, (middleware,)
    return lambda: setattr(session, "_middlewares", before)


def stand_in(inner: AioBaseClient, note: Note) -> Callable[[], None]:
    """Put another HTTP session in the place of the endpoint's."""
    endpoint = endpoint_of(inner)
    original = endpoint.http_session

    class Other:
        async def send(self, request: object) -> object:
            note()
            return await original.send(request)

    endpoint.http_session = Other()
    return lambda: setattr(endpoint, "http_session", original)


OBJECTS: Final[dict[str, Callable[[AioBaseClient], object]]] = {
    "AioBaseClient": lambda inner: inner,
    "AioEndpoint": endpoint_of,
    "AIOHTTPSession": lambda inner: endpoint_of(inner).http_session,
    "ClientSession": aiohttp_session_of,
}
"""By class: the object of it that lives as long as the client."""


def wrappers() -> Iterator[tuple[str, Watcher]]:
    """Yield a watcher for each method that the fast path skips: on a class, or on an object."""
    for row in TABLE:
        if not row.skipped:
            continue
        module, _, kind = row.owner.partition(":")
        owner: type = getattr(import_module(module), kind)
        (author, *_) = (base for base in owner.__mro__ if row.name in vars(base))
        yield f"{kind}.{row.name}", on_class(owner, row.name)
        if author is not owner:
            yield f"{author.__name__}.{row.name}", on_class(author, row.name)
        if kind in OBJECTS:
            yield f"{row.name} of the {kind} in use", on_class_of(OBJECTS[kind], row.name)
            yield f"{row.name} of one {kind}", on_instance(OBJECTS[kind], row.name)


WATCHERS: Final[dict[str, Watcher]] = {
    "a listener": listen,
    "a trace of aiohttp": trace,
    "a middleware of aiohttp": go_between,
    "another HTTP session": stand_in,
    **dict(wrappers()),
}


@pytest.mark.parametrize("watcher", WATCHERS.values(), ids=WATCHERS)
async def test_it_is_left_and_taken_again_while_the_client_is_in_use(
    server: ScriptedServer, ws: WorkSpacesClient, posts: list[bytes], watcher: Watcher
) -> None:
    """Whoever begins to watch sees the very next call, and when nobody watches any more the path is open again."""
    server.respond(lambda _: ok())
    await calls(ws, 2)
    assert len(posts) == 1

    seen: list[None] = []
    end = watcher(await inner_of(ws), lambda: seen.append(None))
    try:
        await calls(ws)
        first = len(seen)
        await calls(ws)
    finally:
        end()
    both = len(seen)
    assert 0 < first < both
    assert (len(posts), len(server.requests)) == (1, 4)
    await calls(ws, 3)

    # After a change of listeners the way is shown anew.
    assert len(posts) == (3 if watcher is listen else 4)
    assert (len(seen), len(server.requests)) == (both, 7)


@pytest.mark.parametrize("make", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("before", [0, 2], ids=["at first", "while in use"])
async def test_whoever_stubs_a_client_answers_in_the_place_of_the_network(
    server: ScriptedServer, posts: list[bytes], make: Callable[[str], WorkSpacesClient], before: int
) -> None:
    """botocore's own Stubber is no listener of botocore's: it answers each call until it is taken away."""
    server.respond(lambda _: ok())
    async with make(server.url) as ws:
        await calls(ws, before)
        taken = len(posts)
        stubber = Stubber(await inner_of(ws))
        for _ in range(3):
            stubber.add_response("describe_account", {"DedicatedTenancySupport": "ENABLED"})

        with stubber:
            found = [await ws.describe_account() for _ in range(3)]
            stubber.assert_no_pending_responses()
        assert (len(posts), len(server.requests)) == (taken, before)
        await calls(ws, 2)

    assert [one.dedicated_tenancy_support for one in found] == ["ENABLED"] * 3
    assert (len(posts) > taken, len(server.requests)) == (make is WAYS["allowed"], before + 2)


async def test_it_is_closed_where_a_method_was_wrapped_before_the_client_was_made(
    server: ScriptedServer, connect: Connect, posts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method as it is at the beginning is not taken for what its author wrote."""
    original: Any = getattr(AioBaseClient, "_make_api_call")  # noqa: B009 - private

    async def wrapped(*args: Any) -> object:
        return await original(*args)

    wrapped.__wrapped__ = original  # type: ignore[attr-defined]  # as functools.wraps does
    monkeypatch.setattr(AioBaseClient, "_make_api_call", wrapped)
    server.respond(lambda _: ok())

    await calls(connect(), 2)

    assert (posts, len(server.requests)) == ([], 2)


async def test_on_lambda_each_call_has_the_header_of_its_invocation(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore adds it to every request, and it may be another one each time."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "nightly")
    server.respond(lambda _: ok())
    ws = connect()

    for invocation in ("Root=1-a", "Root=1-b"):
        monkeypatch.setenv("_X_AMZN_TRACE_ID", invocation)
        await ws.describe_account()

    assert [request.headers["x-amzn-trace-id"] for request in server.requests] == ["Root=1-a", "Root=1-b"]


async def test_a_body_that_does_not_fit_the_socket_is_left_to_aiohttp(
    server: ScriptedServer, ws: WorkSpacesClient, posts: list[bytes]
) -> None:
    """The writing is left to aiohttp where it may have to wait."""
    server.respond(lambda _: ok())
    view = ws.with_options(request_checks="structure")
    for size in (1, 1, LONGEST_BODY):
        await view.describe_tags(resource_id="x" * size)

    assert (len(posts), len(server.requests)) == (1, 3)


async def test_headers_that_a_listener_adds_before_the_call_are_signed_each_time(
    server: ScriptedServer, posts: list[bytes]
) -> None:
    """A header added to one call is not carried over to the next."""
    count = iter(range(10))

    def add(params: dict[str, Any], **_: object) -> None:
        params["headers"][f"X-Number-{next(count)}"] = "x"

    server.respond(lambda _: ok())

    async with client_of(server.url, listening("before-call", add)) as ws:
        await calls(ws, 2)

    added = [[name for name in request.headers if name.startswith("x-number")] for request in server.requests]
    assert (added, posts) == ([["x-number-0"], ["x-number-1"]], [])
    assert "x-number-1" in server.requests[1].headers["authorization"]


def test_the_endpoint_rules_ask_for_nothing_that_differs_from_call_to_call() -> None:
    """Fails when the service's rules gain a parameter: what is remembered of a call must be right for the next."""
    rules = Session().get_component("data_loader").load_service_model("workspaces", "endpoint-rule-set-1")

    assert set(rules["parameters"]) == {"Region", "UseDualStack", "UseFIPS", "Endpoint"}


@pytest.mark.parametrize(
    "proxies,verified,needed",
    [
        (None, False, False),
        ({}, False, False),
        ({"https": "https://proxy.example"}, False, False),
        ({"http": "http://proxy.example"}, False, True),
        ({"http": "https://proxy.example"}, True, True),
        ({"http": "HTTPS://proxy.example"}, True, True),
    ],
)
def test_plain_http_needs_no_trust_store_unless_a_proxy_is_in_the_way(
    proxies: dict[str, str] | None, verified: bool, needed: bool
) -> None:
    """The way to a proxy may be TLS, and is verified as ever."""
    session: Any = PlainSession(proxies=proxies, verify=True)

    assert session._verify is verified
    assert session.needs_proxy("http://127.0.0.1/") is needed


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


async def test_the_guard_is_asked_again_before_a_request_leaves(
    server: ScriptedServer, ws: WorkSpacesClient, posts: list[bytes]
) -> None:
    """Signing and connecting may have taken seconds; what it refuses is not sent, and the connection stays in use."""
    server.respond(lambda _: ok())
    await calls(ws, 2)
    answers = iter((True, False, True, True))

    def guard(_: bool) -> None:
        if not next(answers):
            raise LookupError

    guarded: WorkSpacesClient = getattr(ws, "_guarded")(guard, once=True)  # noqa: B009 - nothing public guards
    with pytest.raises(LookupError):
        await calls(guarded)
    assert len(server.requests) == 2

    await calls(guarded)
    assert (len(posts), len(server.requests)) == (3, 3)
