"""One call over real HTTP: what leaves, and what comes back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiobotocore.session import AioSession
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from tests.http.conftest import CREDENTIALS, Connect, make_config
from tests.http.server import REQUEST_ID, Answer, Recorded, ScriptedServer, ok
from workspaces_apps import MalformedResponseError, RetryPolicy, ServiceError, WorkSpacesClient
from workspaces_apps.api import CreateTagsRequest, DescribeApplicationsRequest, DescribeWorkspacesRequest
from workspaces_apps.simulator import ManualClock

WORKSPACE = "ws-123456789"
APPLICATION = "wsa-123456789"


def signature_of(request: Recorded, url: str) -> str:
    """The Authorization header that botocore itself would give the request."""
    signed = {
        name: value
        for name, value in request.headers.items()
        if name in ("content-type", "x-amz-date", "x-amz-security-token", "x-amz-target")
    }
    again = AWSRequest(
        method="POST", url=f"{url}/", headers=signed | {"host": urlsplit(url).netloc}, data=request.body
    )
    again.context["timestamp"] = request.headers["x-amz-date"]
    credentials = ReadOnlyCredentials(
        CREDENTIALS.access_key_id, CREDENTIALS.secret_access_key, CREDENTIALS.session_token
    )
    auth = SigV4Auth(credentials, "workspaces", "eu-west-1")
    canonical = auth.canonical_request(again)
    signature = auth.signature(auth.string_to_sign(again, canonical), again)
    names = auth.signed_headers(auth.headers_to_sign(again))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(again)}, SignedHeaders={names}, Signature={signature}"


async def test_a_request_has_the_wire_format_of_the_service(
    server: ScriptedServer, ws: WorkSpacesClient
) -> None:
    """POST /, the target header, JSON 1.1, and a body with nothing but what was set."""
    server.script(ok())

    await ws.describe_applications(owner="AMAZON", max_results=7)

    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/")
    assert request.headers["x-amz-target"] == "WorkspacesService.DescribeApplications"
    assert request.headers["content-type"] == "application/x-amz-json-1.1"
    assert request.headers["content-length"] == str(len(request.body))
    assert request.json == {"Owner": "AMAZON", "MaxResults": 7}


async def test_a_request_carries_a_signature_that_botocore_agrees_with(
    server: ScriptedServer, ws: WorkSpacesClient
) -> None:
    """Signature Version 4 over what really arrived, session token included."""
    server.script(ok())

    await ws.describe_applications(owner="AMAZON")

    (request,) = server.requests
    assert request.headers["x-amz-security-token"] == "the-session-token"
    assert request.headers["authorization"] == signature_of(request, server.url)
    sent = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - sent) < timedelta(minutes=1)


async def test_the_user_agent_names_the_package_and_the_caller(
    server: ScriptedServer, connect: Connect
) -> None:
    """The same for every request, with what the caller adds at the end."""
    server.script(ok(), ok())
    client = connect(user_agent_extra="rollout/3")

    await client.describe_applications()
    await client.describe_account()

    first, second = (request.headers["user-agent"] for request in server.requests)
    assert first == second
    assert first.startswith("workspaces-apps/")
    assert " rollout/3 " in f"{first} "
    assert first.count("botocore/") == 2, "aiobotocore's version and botocore's, each once"


async def test_unknown_members_of_a_request_are_sent(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """A request read from the wire goes out with members of a newer model than ours."""
    wire = {"Owner": "AMAZON", "Brand": {"New": [1, None]}}
    server.script(ok())

    await ws.execute(DescribeApplicationsRequest.from_wire(wire))

    assert server.requests[0].json == wire


async def test_unknown_members_of_a_result_are_kept(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """New fields, new enum values and nulls come back out of `to_wire`."""
    wire = {
        "Applications": [{"ApplicationId": APPLICATION, "Owner": "AMAZON", "State": "SHINY", "Colour": 3}],
        "Extra": {"deep": [None]},
    }
    server.script(ok(wire))

    page = await ws.describe_applications()

    assert page.to_wire() == wire
    assert page.model_extra == {"Extra": {"deep": [None]}}
    assert page.applications[0].state == "SHINY"


async def test_timestamps_come_in_utc(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """Epoch seconds with a fraction become datetimes in UTC, whatever the zone of the machine."""
    created = {"WorkspaceId": WORKSPACE, "AssociatedResourceId": APPLICATION, "Created": 1700000000.25}
    server.script(ok({"Associations": [created | {"State": "COMPLETED"}]}))

    found = await ws.describe_workspace_associations(
        workspace_id=WORKSPACE, associated_resource_types=["APPLICATION"]
    )

    moment = found.associations[0].created
    assert moment == datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=UTC)
    assert moment is not None
    assert moment.utcoffset() == timedelta(0)


async def test_meta_tells_how_the_answer_came(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """Request id, status and attempts of a call that went well at once."""
    server.script(ok())

    meta = (await ws.describe_account()).meta

    assert (meta.request_id, meta.http_status, meta.attempts) == (REQUEST_ID, 200, 1)


async def test_an_answer_needs_no_request_id(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """Without the header the request id is None, and the result is a result."""
    server.script(Answer(body=b"{}"))

    assert (await ws.describe_account()).meta.request_id is None


async def test_elapsed_is_measured_by_the_clients_clock(server: ScriptedServer, connect: Connect) -> None:
    """Time that passes on the clock between call and answer is what `elapsed` says."""
    clock = ManualClock()

    def slowly(_: Recorded) -> Answer:
        clock.jump(42)
        return ok()

    server.script(slowly)

    assert (await connect(clock=clock).describe_account()).meta.elapsed == timedelta(seconds=42)


async def test_execute_is_the_same_call_as_the_method(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """A request model and the method with the same arguments send the same bytes."""
    server.script(ok(), ok())

    await ws.execute(DescribeWorkspacesRequest(workspace_ids=[WORKSPACE]))
    await ws.describe_workspaces(workspace_ids=[WORKSPACE])

    assert server.requests[0].body == server.requests[1].body
    assert server.operations == ["DescribeWorkspaces", "DescribeWorkspaces"]


async def test_text_of_any_script_survives(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """Non-ASCII text arrives as it was written, and the signature covers it."""
    server.script(ok())
    request = CreateTagsRequest.from_wire(
        {"ResourceId": WORKSPACE, "Tags": [{"Key": "Ort", "Value": "Zürich 東京"}]}
    )

    await ws.execute(request)

    assert json.loads(server.requests[0].body)["Tags"][0]["Value"] == "Zürich 東京"
    assert server.requests[0].headers["authorization"] == signature_of(server.requests[0], server.url)


def listen(**_: object) -> None:
    """Do nothing, but be there."""


async def test_the_long_way_is_the_same_call(server: ScriptedServer) -> None:
    """Where somebody listens to aiobotocore's events, bytes, signature, results and errors are the same."""
    session = AioSession()
    emitter: Any = session.get_component("event_emitter")
    emitter.register("before-send.workspaces", listen)
    client = WorkSpacesClient(
        region="eu-west-1",
        endpoint_url=server.url,
        session=session,
        credentials=CREDENTIALS,
        config=make_config(retry=RetryPolicy(max_attempts=1)),
    )
    server.script(ok({"Extra": 1}), Answer(status=300), Answer(status=503, body=b"["), Answer(body=b"[]"))

    async with client as ws:
        result = await ws.describe_applications(owner="AMAZON")
        for status in (300, 503):
            with pytest.raises(ServiceError) as caught:
                await ws.describe_applications()
            assert (caught.value.http_status, caught.value.code) == (status, None)
        with pytest.raises(MalformedResponseError):
            await ws.describe_applications()

    assert (result.to_wire(), result.meta.request_id) == ({"Extra": 1}, REQUEST_ID)
    assert server.requests[0].json == {"Owner": "AMAZON"}
    assert server.requests[0].headers["authorization"] == signature_of(server.requests[0], server.url)
