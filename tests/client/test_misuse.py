"""Misuse that is answered in words, and settings that travel."""

import asyncio
import copy
import functools
import gc
import pickle
import random
import unittest
import warnings

import pytest

from tests.http.conftest import CREDENTIALS, Connect, make_config
from tests.http.server import ScriptedServer, ok
from workspaces_apps import (
    AttemptRecord,
    ClientConfig,
    ClientStateError,
    ConfigurationError,
    CredentialsError,
    Hooks,
    RequestValidationError,
    RetryPolicy,
    WorkSpacesClient,
)
from workspaces_apps._model.models import Request
from workspaces_apps._pacing import PacingRegistry
from workspaces_apps.api import CreateWorkspacesRequest, DescribeApplicationsRequest, Tag, WorkspaceRequest
from workspaces_apps.simulator import ManualClock, Simulator


def watch(record: AttemptRecord) -> None:
    """Look at an attempt."""


def watch_in_disguise(record: AttemptRecord) -> object:
    """Give a coroutine, which shows only when it is called."""
    return watch_later(record)


async def watch_later(record: AttemptRecord) -> None:
    """Look at an attempt, in a coroutine that nobody awaits."""


class Watcher:
    """An object that is called like a function."""

    async def __call__(self, record: AttemptRecord) -> None:
        """Look at an attempt, in a coroutine that nobody awaits."""


@pytest.mark.parametrize(
    "hook",
    [watch_later, Watcher(), functools.partial(watch_later), 7],
    ids=["async", "object", "partial", "number"],
)
def test_a_hook_that_nobody_would_await_is_refused(hook: object) -> None:
    """By the name of the hook, when it is set."""
    with pytest.raises(ConfigurationError, match="on_attempt must be a"):
        Hooks(on_attempt=hook)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_a_hook_that_gives_a_coroutine_is_told_of(
    server: ScriptedServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """A lambda hides that from us until it is called; the call goes on, and nothing is left unawaited."""
    server.script(ok())

    await connect(hooks=Hooks(on_attempt=watch_in_disguise)).describe_account()  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert "hooks are not awaited" in caplog.text


async def test_a_provider_without_async_is_named(server: ScriptedServer, connect: Connect) -> None:
    """The error says what must be `async def`."""

    class Provider:
        """A provider that is called, not awaited."""

        def get_credentials(self) -> object:
            """The credentials."""
            return CREDENTIALS

    ws = connect(credentials=Provider())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(CredentialsError, match=r"get_credentials\(\).*Provider must be `async def`"):
        await ws.describe_account()


async def test_a_view_is_not_entered(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """Leaving it would close the client; the client stays open."""
    server.script(ok())

    with pytest.raises(ClientStateError, match="on the client itself"):
        async with ws.with_options(timeout=5):
            raise AssertionError("never reached")
    await ws.describe_account()


async def test_a_client_that_is_forgotten_is_named(server: ScriptedServer) -> None:
    """A ResourceWarning says which, and what to do."""
    server.script(ok())
    ws = WorkSpacesClient(
        region="eu-west-1", endpoint_url=server.url, credentials=CREDENTIALS, config=make_config()
    )
    await ws.describe_account()
    transport = ws._shared.transport()  # pyright: ignore[reportPrivateUsage] # closed below, as nobody else would

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del ws
        gc.collect()
    await transport.close()

    messages = [str(one.message) for one in caught if one.category is ResourceWarning]
    assert [message for message in messages if "unclosed WorkSpacesClient(region='eu-west-1'" in message]


WANTED = WorkspaceRequest(directory_id="d-12345678", user_name="ann", bundle_id="wsb-12345678")

CHANGED: dict[str, tuple[Request, str]] = {
    "type": (DescribeApplicationsRequest().model_copy(update={"max_results": "x"}), "max_results"),
    "list": (
        DescribeApplicationsRequest().model_copy(update={"application_ids": "wsa-1"}),
        "application_ids",
    ),
    "name": (DescribeApplicationsRequest().model_copy(update={"max_result": 5}), "max_result"),
    "constructed": (DescribeApplicationsRequest.model_construct(max_results=True), "max_results"),
    "nested": (
        CreateWorkspacesRequest(
            workspaces=[WANTED.model_copy(update={"tags": (Tag.model_construct(key=7),)})]
        ),
        "workspaces[0].tags[0].key",
    ),
}


@pytest.mark.parametrize("changed,member", CHANGED.values(), ids=CHANGED)
async def test_what_went_past_the_constructor_is_checked_before_it_is_sent(
    server: ScriptedServer, connect: Connect, changed: Request, member: str
) -> None:
    """`model_copy(update=…)` and `model_construct` check nothing; `execute` does, whatever is left to the service."""
    with pytest.raises(RequestValidationError) as refused:
        await connect(request_checks="structure").execute(changed)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert member in {problem.member for problem in refused.value.problems}
    assert server.requests == []


async def test_a_right_copy_is_sent(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """An update that the constructor would take is no problem."""
    server.script(ok())

    await ws.execute(DescribeApplicationsRequest(owner="AMAZON").model_copy(update={"max_results": 5}))

    assert server.requests[0].json == {"Owner": "AMAZON", "MaxResults": 5}


async def test_a_class_is_no_request(ws: WorkSpacesClient) -> None:
    """The error says that brackets are missing."""
    with pytest.raises(RequestValidationError, match=r"DescribeApplicationsRequest\(…\)"):
        await ws.execute(DescribeApplicationsRequest)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_headers_of_the_answer_are_in_its_meta(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """By name in lower case."""
    server.script(ok(None, **{"X-Something": "New"}))

    done = await ws.describe_account()

    assert done.meta.headers["x-something"] == "New"


CONFIG = ClientConfig(retry=RetryPolicy(max_attempts=2), hooks=Hooks(on_attempt=watch), timeout=3)


@pytest.mark.parametrize("config", [ClientConfig(), CONFIG], ids=["default", "changed"])
def test_a_configuration_travels(config: ClientConfig) -> None:
    """Pickled or copied it is equal, and what is the default is this process's again."""
    for made in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config), copy.copy(config)):
        assert made == config
        assert made.random == random.random
        assert made.pacing_registry is config.pacing_registry
    # A generator's method would bring its state of 2,500 bytes along.
    assert len(pickle.dumps(config)) < 1000


STUCK: dict[str, tuple[ClientConfig, str]] = {
    "hooks.on_attempt": (ClientConfig(hooks=Hooks(on_attempt=lambda _: None)), "hooks.on_attempt"),
    "registry": (ClientConfig(pacing_registry=PacingRegistry()), "pacing_registry"),
    "random": (ClientConfig(random=random.Random(1).random), "random"),
    "lambda": (ClientConfig(random=lambda: 0.5), "random"),
}


@pytest.mark.parametrize("config,name", STUCK.values(), ids=STUCK)
def test_what_cannot_travel_is_refused_by_name(config: ClientConfig, name: str) -> None:
    """Lambdas, a registry of one's own and a generator's method belong to one process; copies share them."""
    with pytest.raises(pickle.PicklingError, match=f"ClientConfig cannot be pickled: {name}"):
        pickle.dumps(config)

    assert copy.deepcopy(config) == config


async def test_a_bad_parameter_of_a_listing_is_raised_when_it_is_called(ws: WorkSpacesClient) -> None:
    """Not when it is awaited: `gather` never sees it, as docs/models.md says. Other calls are coroutines, and deliver it."""
    with pytest.raises(RequestValidationError, match="max_results"):
        await asyncio.gather(ws.describe_applications(max_results=99), return_exceptions=True)
    (delivered,) = await asyncio.gather(ws.describe_tags(resource_id=""), return_exceptions=True)

    assert isinstance(delivered, RequestValidationError)


def test_a_client_in_a_unittest_fixture() -> None:
    """`IsolatedAsyncioTestCase` sets up, runs and cleans up on one event loop, where the client lives; docs/testing.md shows it."""

    class Desktops(unittest.IsolatedAsyncioTestCase):
        """A test case as somebody would write it."""

        async def asyncSetUp(self) -> None:
            """Start a simulator and a client."""
            self.sim = await self.enterAsyncContext(Simulator(workspaces=2, clock=ManualClock(autojump=True)))
            self.ws = await self.enterAsyncContext(
                WorkSpacesClient(
                    region=self.sim.region,
                    endpoint_url=self.sim.url,
                    credentials=self.sim.credentials,
                    clock=self.sim.clock,
                    config=ClientConfig(pacing_registry=PacingRegistry()),
                )
            )

        async def test_desktops(self) -> None:
            """List them."""
            assert len(await self.ws.describe_workspaces().collect()) == 2

        async def test_again(self) -> None:
            """List them on another loop."""
            assert len(await self.ws.describe_workspaces().collect()) == 2

    found = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Desktops).run(found)

    assert (found.testsRun, found.errors, found.failures) == (2, [], [])
