"""Requests that break a rule: a clear error, and nothing sent."""

from collections.abc import Callable
from typing import Any, Protocol

import pytest

from tests.http.conftest import CREDENTIALS, Connect
from tests.http.server import ScriptedServer, ok
from workspaces_apps import RequestValidationError, WorkSpacesClient
from workspaces_apps.api import DescribeApplicationsResult, StopRequest, WorkspaceRequest

STOP = [StopRequest(workspace_id="ws-123456789")]
WANTED = WorkspaceRequest(directory_id="d-1234567890", user_name="ada", bundle_id="wsb-123456789")


class Call(Protocol):
    """Calls an operation in a way that checkers may refuse."""

    def __call__(self, ws: Any, /) -> Any:
        """The call, to be awaited."""
        ...


BAD: dict[str, tuple[Call, str, str]] = {
    "range": (lambda ws: ws.describe_applications(max_results=99), "max_results", "1 to 25"),
    "pattern": (
        lambda ws: ws.deploy_workspace_applications(workspace_id="i-123"),
        "workspace_id",
        "ws-",
    ),
    "no items": (lambda ws: ws.create_workspaces(workspaces=[]), "workspaces", "1 to 25 items"),
    "26 items": (
        lambda ws: ws.stop_workspaces(stop_workspace_requests=STOP * 26),
        "stop_workspace_requests",
        "25",
    ),
    "26 ids": (
        lambda ws: ws.describe_workspaces(workspace_ids=["ws-123456789"] * 26),
        "workspace_ids",
        "1 to 25 items",
    ),
    "one bad id": (
        lambda ws: ws.describe_workspaces(workspace_ids=["ws-123456789", "i-1"]),
        "workspace_ids[1]",
        "ws-",
    ),
    "type": (lambda ws: ws.describe_applications(max_results="5"), "max_results", "int"),
    "bool": (lambda ws: ws.describe_applications(max_results=True), "max_results", "int"),
    "a string for a list": (
        lambda ws: ws.describe_workspaces(workspace_ids="ws-123456789"),
        "workspace_ids",
        "list",
    ),
    "None": (lambda ws: ws.deploy_workspace_applications(workspace_id=None), "workspace_id", "str"),
    "a long token": (lambda ws: ws.describe_applications(next_token="x" * 2049), "next_token", "2048"),
    "nested": (
        lambda ws: ws.create_workspaces(workspaces=[WANTED.model_copy(update={"user_name": ""})]),
        "workspaces[0].user_name",
        "characters",
    ),
    "a trailing newline": (
        lambda ws: ws.deploy_workspace_applications(workspace_id="ws-123456789\n"),
        "workspace_id",
        "ws-",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_sends_nothing(server: ScriptedServer, ws: WorkSpacesClient, name: str) -> None:
    """The error names the operation, the parameter and the rule; it is a ValueError; the server saw nothing."""
    call, member, rule = BAD[name]

    with pytest.raises(RequestValidationError) as caught:
        await call(ws)

    error = caught.value
    assert isinstance(error, ValueError)
    assert error.operation is not None
    assert [problem.member for problem in error.problems] == [member]
    assert rule in str(error)
    assert error.operation in str(error)
    assert server.requests == []


async def test_a_listing_is_refused_when_it_is_called(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """Not only when it is iterated, which may be far away."""
    with pytest.raises(RequestValidationError):
        _ = ws.describe_applications(max_results=99)


async def test_a_value_is_never_quoted(ws: WorkSpacesClient) -> None:
    """A secret that was put into the wrong parameter does not end up in a log."""
    with pytest.raises(RequestValidationError) as caught:
        await ws.deploy_workspace_applications(workspace_id=CREDENTIALS.secret_access_key)

    assert CREDENTIALS.secret_access_key not in f"{caught.value} {caught.value!r} {caught.value.problems}"


@pytest.mark.parametrize("make", [DescribeApplicationsResult, lambda: {"Owner": "AMAZON"}, lambda: None])
async def test_execute_takes_requests_only(
    server: ScriptedServer, ws: WorkSpacesClient, make: Callable[[], Any]
) -> None:
    """A result, a mapping and nothing are refused with a message that shows what is meant."""
    with pytest.raises(RequestValidationError, match="DescribeApplicationsRequest"):
        await ws.execute(make())

    assert server.requests == []


async def test_a_relaxed_rule_can_be_left_to_the_service(server: ScriptedServer, connect: Connect) -> None:
    """The error says how, and with "structure" the request is sent; types are still checked."""
    server.script(ok())
    ws = connect()
    with pytest.raises(RequestValidationError, match='request_checks="structure"'):
        await ws.describe_applications(max_results=99)
    relaxed = ws.with_options(request_checks="structure")

    await relaxed.describe_applications(max_results=99)

    assert server.requests[0].json == {"MaxResults": 99}
    wrong: Any = "5"
    with pytest.raises(RequestValidationError):
        await relaxed.describe_applications(max_results=wrong)


async def test_a_token_of_the_service_is_not_checked(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """Whatever the service gives as a token, it gets back."""
    token = "x" * 5000
    server.script(ok({"NextToken": token}), ok())

    await ws.describe_applications().collect()

    assert server.requests[1].json["NextToken"] == token
