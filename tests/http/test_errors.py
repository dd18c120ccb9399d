"""Answers that are no success, and successes that are no answer."""

import json

import pytest

from tests.http.conftest import Connect
from tests.http.server import REQUEST_ID, Answer, ScriptedServer, fault, ok
from workspaces_apps import (
    MalformedResponseError,
    RetryPolicy,
    ServiceError,
    ThrottlingException,
    WorkSpacesClient,
)
from workspaces_apps.api.errors import ERRORS, ResourceNotFoundException

WORKSPACE = "ws-123456789"
URI = "http://internal.amazon.com/coral/com.amazonaws.workspaces/"
ONCE = RetryPolicy(max_attempts=1)

FORMS = {
    "bare": Answer(status=400, body=b'{"__type": "%s", "message": "why"}'),
    "with a namespace": Answer(
        status=400, body=b'{"__type": "com.amazonaws.workspaces#%s", "Message": "why"}'
    ),
    "with a URI": Answer(status=400, body=b'{"__type": "%s:' + URI.encode() + b'", "message": "why"}'),
    "as code": Answer(status=400, body=b'{"code": "%s", "message": "why"}'),
    "in the header": Answer(
        status=400, body=b'{"message": "why"}', headers={"X-Amzn-Errortype": "%s:" + URI}
    ),
    "header before body": Answer(
        status=400, body=b'{"__type": "Other", "message": "why"}', headers={"X-Amzn-Errortype": "%s"}
    ),
}
"""The forms in which a service names its error, each with a gap for the name."""


def named(form: Answer, name: str) -> Answer:
    """The answer with the error's name in the gap."""
    return Answer(
        status=form.status,
        body=form.body.replace(b"%s", name.encode()),
        headers={key: value.replace("%s", name) for key, value in form.headers.items()},
    )


async def failure(ws: WorkSpacesClient) -> ServiceError:
    """The error that a call of the client fails with."""
    with pytest.raises(ServiceError) as caught:
        await ws.describe_workspace_snapshots(workspace_id=WORKSPACE)
    return caught.value


@pytest.mark.parametrize("form", FORMS)
async def test_every_modelled_error_is_its_own_class(
    server: ScriptedServer, connect: Connect, form: str
) -> None:
    """In each form in which the service may name it, an error of the model is raised as the class of its name."""
    ws = connect(retry=ONCE)

    for name, kind in ERRORS.items():
        server.script(named(FORMS[form], name))
        error = await failure(ws)
        assert (type(error), error.code, error.message) == (kind, name, "why")


@pytest.mark.parametrize(
    "code",
    ["ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"],
)
async def test_throttling_is_one_error_by_whatever_code(
    server: ScriptedServer, connect: Connect, code: str
) -> None:
    """No throttling code is in the model; all of them are ThrottlingException, with the code that came."""
    server.script(fault(code, "Rate exceeded"))

    error = await failure(connect(retry=ONCE))

    assert (type(error), error.code) == (ThrottlingException, code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<html><h1>503 Service Unavailable</h1></html>",
        b'["__type", "message"]',
        b'{"__type": null, "message": null}',
        b'{"__type": 5, "message": {"a": 1}}',
        b'{"__type": "", "code": [], "message": ""}',
        b'{"__type": "#:"}',
        b'"AccessDeniedException"',
        b"null",
        b"[" * 100_000,
        b'{"__type": "Ac',
        b"\xff\xfe\x00garbage\x80",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: f"{body[:12]!r}({len(body)})",
)
async def test_an_unreadable_error_is_still_a_service_error(
    server: ScriptedServer, connect: Connect, body: bytes
) -> None:
    """Whatever the body, an answer that is not 2xx is a ServiceError with its status and no code."""
    ws = connect(retry=ONCE)

    for status in (300, 304, 400, 404, 500, 503):
        # HTTP gives a 304 no body.
        sent = b"" if status == 304 else body
        server.script(Answer(status=status, body=sent, headers={"x-amzn-RequestId": "r-1"}))
        error = await failure(ws)
        assert type(error) is ServiceError
        assert (error.code, error.http_status, error.request_id) == (None, status, "r-1")
        assert error.message.startswith("an answer that cannot be read")


async def test_a_switch_of_protocols_is_no_success(server: ScriptedServer, connect: Connect) -> None:
    """Below 200 is not 2xx either."""
    server.script(Answer(status=101, body=b""))

    error = await failure(connect(retry=ONCE))

    assert (type(error), error.http_status) == (ServiceError, 101)


async def test_an_error_without_a_request_id(server: ScriptedServer, connect: Connect) -> None:
    """A load balancer sends none: the attribute is None and the text does not speak of it."""
    server.script(Answer(status=503, body=b"<html>", headers={"Content-Type": "text/html"}))

    error = await failure(connect(retry=ONCE))

    assert error.request_id is None
    assert "request id" not in str(error)
    assert "text/html" in str(error)


async def test_an_error_tells_all_that_the_service_told(server: ScriptedServer, connect: Connect) -> None:
    """Operation, code, status, request id, attempts, resource and reason are on the error."""
    server.script(fault("ResourceNotFoundException", "gone", ResourceId=WORKSPACE, reason="because"))

    error = await failure(connect())

    assert isinstance(error, ResourceNotFoundException)
    assert error.operation == "DescribeWorkspaceSnapshots"
    assert (error.resource_id, error.reason) == (WORKSPACE, "because")
    assert (error.http_status, error.request_id, error.attempts) == (400, REQUEST_ID, 1)
    assert all(part in str(error) for part in ("DescribeWorkspaceSnapshots", "gone", WORKSPACE, REQUEST_ID))


async def test_an_unknown_error_is_a_service_error_with_its_code(
    server: ScriptedServer, connect: Connect
) -> None:
    """A code that no table knows is kept."""
    server.script(fault("BrandNewException", "hello"))

    error = await failure(connect())

    assert (type(error), error.code, error.message) == (ServiceError, "BrandNewException", "hello")


@pytest.mark.parametrize(
    "headers,seconds",
    [
        ({"Retry-After": "7"}, 7.0),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"x-amz-retry-after": "1500", "Retry-After": "7"}, 1.5),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
async def test_the_wish_of_the_service_to_wait(
    server: ScriptedServer, connect: Connect, headers: dict[str, str], seconds: float | None
) -> None:
    """`retry_after` is in seconds, from either header."""
    server.script(Answer(status=503, headers=headers))

    assert (await failure(connect(retry=ONCE))).retry_after == seconds


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "9" * 400},
        {"Retry-After": "9" * 5000},
        {"x-amz-retry-after": "9" * 400},
        {"x-amz-retry-after": "9" * 5000},
        {"Retry-After": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"},
        {"Retry-After": "Wed, 21 Oct 2015 07:28:99999999999999999999 GMT"},
        {"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2359"},
        {"Date": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"},
        {"Date": "Fri, 31 Dec 9999 23:59:59 -2359"},
        {"Date": "yesterday"},
    ],
    ids=lambda headers: f"{dict(headers)}"[:60],
)
async def test_nonsense_in_headers_does_not_hide_the_error(
    server: ScriptedServer, connect: Connect, headers: dict[str, str]
) -> None:
    """Whatever stands in the headers of time, the error is the one of the answer."""
    server.script(Answer(status=400, body=b'{"__type": "AccessDeniedException"}', headers=headers))

    assert (await failure(connect(retry=ONCE))).code == "AccessDeniedException"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html>ok</html>",
        b"[]",
        b"null",
        b'"text"',
        b'{"Applications": {}}',
        b'{"Applications": [5]}',
        b'{"Applications": [{"Owner": 5}]}',
        b'{"NextToken": 5}',
        b'{"Applications": ',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"Extra": ' + b"[" * 100_000 + b"]" * 100_000 + b', "Applications": null}',
    ],
    ids=lambda body: f"{body[:24]!r}({len(body)})",
)
async def test_a_success_that_is_not_what_was_promised(
    server: ScriptedServer, connect: Connect, body: bytes
) -> None:
    """A 200 that cannot be read as the result raises, with the body as it came, and is not repeated."""
    server.script(Answer(body=body, headers={"x-amzn-RequestId": "r-2"}))

    with pytest.raises(MalformedResponseError) as caught:
        await connect().describe_applications()

    error = caught.value
    assert (error.raw, error.http_status, error.request_id) == (body, 200, "r-2")
    assert (error.operation, error.attempts, len(server.requests)) == ("DescribeApplications", 1, 1)
    assert "DescribeApplicationsResult" in str(error)


async def test_an_absent_required_member_is_malformed(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """A record without what makes it one is no record."""
    server.script(ok({"Workspaces": [{"UserName": "ada"}]}))

    with pytest.raises(MalformedResponseError, match=r"Workspaces\.0\.WorkspaceId"):
        await ws.describe_workspaces()


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_nothing_is_right_where_there_is_nothing_to_say(
    server: ScriptedServer, ws: WorkSpacesClient, body: bytes
) -> None:
    """An operation whose result has no members may answer with an empty body."""
    server.script(Answer(body=body))

    result = await ws.delete_tags(resource_id=WORKSPACE, tag_keys=["team"])

    assert result.to_wire() == {}


async def test_a_malformed_message_never_quotes_the_body(
    server: ScriptedServer, ws: WorkSpacesClient
) -> None:
    """The body is on `raw`; the text of the error, which ends up in logs, does not repeat values."""
    secret = "user-name-of-somebody"
    server.script(Answer(body=json.dumps({"NextToken": {"a": secret}}).encode()))

    with pytest.raises(MalformedResponseError) as caught:
        await ws.describe_applications()

    assert secret not in str(caught.value)
    assert secret in caught.value.raw.decode()


async def test_an_error_says_what_the_request_named(server: ScriptedServer, connect: Connect) -> None:
    """The service's own words seldom do, and of a hundred calls at once one wants to know which."""
    server.script(fault("ResourceNotFoundException", "not found"))

    error = await failure(connect(retry=ONCE))

    assert error.ids == {"workspace_id": WORKSPACE}
    assert str(error).startswith(
        "DescribeWorkspaceSnapshots: ResourceNotFoundException: not found (HTTP 400, "
    )
    assert f"workspace_id {WORKSPACE}" in str(error)


async def test_an_error_without_words_says_what_it_means(server: ScriptedServer, connect: Connect) -> None:
    """Four errors of the model have no message; `message` stays what the service said."""
    server.script(fault("OperatingSystemNotCompatibleException", ""))

    error = await failure(connect(retry=ONCE))

    assert error.message == ""
    assert "the application does not run on the operating system of the WorkSpace" in str(error)
