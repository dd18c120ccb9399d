"""awsJson 1.1 on the wire, whatever the model of the installed botocore prefers, and whatever it does not know yet."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import AioSession
from botocore.loaders import Loader

from tests.http.conftest import CREDENTIALS, make_config
from tests.http.server import ScriptedServer, fault, ok
from workspaces_apps import RetryPolicy, ServiceError, WorkSpacesClient
from workspaces_apps.api import RegisterWorkspaceDirectoryRequest, WorkspaceOSUserMode
from workspaces_apps.api.operations import REQUESTS

CBOR = "smithy-rpc-v2-cbor"

PREFERENCES: dict[str, dict[str, object]] = {
    "CBOR first": {"protocol": CBOR, "protocols": [CBOR, "json"]},
    "CBOR only": {"protocol": CBOR, "protocols": [CBOR], "jsonVersion": None, "targetPrefix": None},
    "another JSON": {"protocol": "json", "protocols": ["json"], "jsonVersion": "1.0"},
}


def ignore(**_: object) -> None:
    """Listen, and do nothing."""


def quick() -> AioSession:
    """A session on which calls take the short way."""
    return AioSession()


def watched() -> AioSession:
    """A session with a listener, because of which aiobotocore does all the work."""
    session = AioSession()
    session.register("needs-retry", ignore)
    return session


WAYS = pytest.mark.parametrize("make", [quick, watched], ids=["short", "long"])


def client_of(session: AioSession | None, server: ScriptedServer) -> WorkSpacesClient:
    """A client of the server, which tries once."""
    return WorkSpacesClient(
        region="eu-west-1",
        endpoint_url=server.url,
        session=session,
        credentials=CREDENTIALS,
        config=make_config(retry=RetryPolicy(max_attempts=1)),
    )


@pytest.fixture(params=PREFERENCES.values(), ids=list(PREFERENCES))
def preference(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the service in AWS_DATA_PATH, where botocore looks first, that prefers another protocol."""
    metadata: dict[str, object] = request.param
    model: dict[str, Any] = Loader().load_service_model("workspaces", "service-2")
    changed = {name: value for name, value in {**model["metadata"], **metadata}.items() if value is not None}
    folder = tmp_path / "workspaces" / "2015-04-08"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps({**model, "metadata": changed}), encoding="utf-8")
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))


@pytest.mark.usefixtures("preference")
@pytest.mark.parametrize("make", [quick, watched, None], ids=["short", "long", "own session"])
async def test_calls_are_json_whatever_the_model_prefers(
    server: ScriptedServer, make: Callable[[], AioSession] | None
) -> None:
    """Path, target, content type and body are awsJson 1.1's, and an answer and an error are read as such."""
    server.script(ok({"DedicatedTenancySupport": "ENABLED"}), fault("AccessDeniedException", "no"))

    async with client_of(make() if make else None, server) as ws:
        found = await ws.describe_account()
        with pytest.raises(ServiceError) as refused:
            await ws.describe_account()

    assert (found.dedicated_tenancy_support, refused.value.code) == ("ENABLED", "AccessDeniedException")
    for request in server.requests:
        assert (request.path, request.body) == ("/", b"{}")
        assert request.headers["x-amz-target"] == "WorkspacesService.DescribeAccount"
        assert request.headers["content-type"] == "application/x-amz-json-1.1"
        assert "smithy-protocol" not in request.headers


async def test_the_session_is_left_as_it_was(server: ScriptedServer) -> None:
    """Clients that the caller creates on the session afterwards are none of this package's business."""
    server.respond(lambda _: ok())
    session = AioSession()
    emitter: Any = session.get_component("event_emitter")
    handlers = list(emitter._emitter._handlers.prefix_search("creating-client-class.workspaces"))

    async with client_of(session, server) as ws:
        await ws.describe_account()

    after = list(emitter._emitter._handlers.prefix_search("creating-client-class.workspaces"))
    assert after == handlers


@WAYS
async def test_members_newer_than_the_installed_botocore_are_sent_and_read(
    server: ScriptedServer, make: Callable[[], AioSession]
) -> None:
    """Requests are written and answers read by this package, so aiobotocore's cap on botocore holds nothing back."""
    server.script(
        ok(),
        ok(),
        ok({"Directories": [{"DirectoryId": "d-1", "WorkspaceOsUserMode": "ENTRA_JOIN", "Newer": 1}]}),
    )
    newer = {"DirectoryId": "d-1234567890", "WorkspaceOsUserMode": "LOCAL_USER", "NotEvenHere": {"A": [1]}}

    async with client_of(make(), server) as ws:
        await ws.register_workspace_directory(
            directory_id="d-1234567890", workspace_os_user_mode=WorkspaceOSUserMode.ENTRA_JOIN
        )
        await ws.execute(RegisterWorkspaceDirectoryRequest.from_wire(newer))
        (directory,) = await ws.describe_workspace_directories().collect()

    assert [request.json for request in server.requests[:2]] == [
        {"DirectoryId": "d-1234567890", "WorkspaceOsUserMode": "ENTRA_JOIN"},
        newer,
    ]
    assert directory.workspace_os_user_mode is WorkspaceOSUserMode.ENTRA_JOIN
    assert directory.model_extra == {"Newer": 1}


def test_the_installed_botocore_knows_every_operation() -> None:
    """Fails where the generator's botocore has an operation that the oldest one allowed cannot send."""
    theirs = Loader().load_service_model("workspaces", "service-2")["operations"]

    assert set(REQUESTS) <= set(theirs)
