"""The guard of a call: asked before each attempt, on the fast path as on aiobotocore's way."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Final

import pytest

from tests.http.conftest import Connect
from tests.http.server import Answer, Recorded, ScriptedServer, fault, ok
from tests.http.ways import forbid, posts
from workspaces_apps import FailureKind, MalformedResponseError, RetryPolicy, WorkSpacesClient

__all__ = ["posts"]

WORKSPACE: Final = "ws-123456789"
IDS: Final = {"workspace_id": WORKSPACE, "application_id": "wsa-123456789"}
ASSOCIATION: Final = {
    "WorkspaceId": WORKSPACE,
    "AssociatedResourceId": IDS["application_id"],
    "State": "PENDING_INSTALL",
}

WRITES: Final[dict[str, Callable[[WorkSpacesClient], Awaitable[object]]]] = {
    "AssociateWorkspaceApplication": lambda ws: ws.associate_workspace_application(**IDS),
    "DisassociateWorkspaceApplication": lambda ws: ws.disassociate_workspace_application(**IDS),
    "DeployWorkspaceApplications": lambda ws: ws.deploy_workspace_applications(workspace_id=WORKSPACE),
}

LATER: Final = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
SKEWED: Final = fault("RequestTimeTooSkewed")

REFUSALS: Final[dict[str, Answer]] = {
    "a throttle": fault("ThrottlingException"),
    # Sent again within the same attempt, so that a call of a single attempt sends it twice.
    "a skewed clock": Answer(status=400, body=SKEWED.body, headers={**SKEWED.headers, "Date": LATER}),
}

EACH_WRITE = pytest.mark.parametrize("write", WRITES)
EACH_REFUSAL = pytest.mark.parametrize("refusal", REFUSALS)
EACH_WAY = pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "forbidden"])


class Closed(Exception):
    """The guard refuses."""


async def guarded(
    ws: WorkSpacesClient, write: str, guard: Callable[[bool], None], *, allowed: bool
) -> Callable[[], Awaitable[object]]:
    """Return a write that the guard lets through, after one by aiobotocore that nobody guards."""
    if not allowed:
        await forbid(ws)
    await WRITES[write](ws)
    untyped: Any = ws
    view: WorkSpacesClient = untyped._guarded(guard, once=False)
    return lambda: WRITES[write](view)


@EACH_WRITE
@EACH_REFUSAL
@EACH_WAY
async def test_it_is_asked_before_each_request_that_leaves(
    server: ScriptedServer, connect: Connect, posts: list[bytes], write: str, refusal: str, allowed: bool
) -> None:
    """Before each, and on the fast path once more when its connection stands: also where an attempt sends a request again."""
    events: list[str] = []

    def respond(_: Recorded) -> Answer:
        events.append("sent")
        return REFUSALS[refusal] if events.count("sent") == 2 else ok({"Association": ASSOCIATION})

    server.respond(respond)
    call = await guarded(
        connect(retry=RetryPolicy(max_attempts=2)), write, lambda _: events.append("asked"), allowed=allowed
    )

    await call()

    asked = ["asked"] * (2 if allowed else 1)
    assert events == ["sent", *asked, "sent", *asked, "sent"]
    assert server.operations == [write] * 3
    assert len(posts) == (2 if allowed else 0)


@EACH_WRITE
@EACH_REFUSAL
@EACH_WAY
async def test_what_it_refuses_the_second_time_is_not_sent_again(
    server: ScriptedServer, connect: Connect, posts: list[bytes], write: str, refusal: str, allowed: bool
) -> None:
    """The call ends with what the guard raises, although one attempt of it has left."""

    def guard(arrived: bool) -> None:
        assert not arrived
        if len(server.requests) == 2:
            raise Closed

    server.script(ok({"Association": ASSOCIATION}), REFUSALS[refusal])
    call = await guarded(connect(retry=RetryPolicy(max_attempts=2)), write, guard, allowed=allowed)

    with pytest.raises(Closed):
        await call()

    assert server.operations == [write] * 2
    assert len(posts) == (1 if allowed else 0)


@pytest.mark.parametrize(
    "first",
    [fault("InternalServerException", status=500), Answer(body=b"<html>", headers=SKEWED.headers)],
    ids=["5xx", "unreadable"],
)
@pytest.mark.parametrize("write", ["AssociateWorkspaceApplication", "DisassociateWorkspaceApplication"])
@EACH_WAY
async def test_it_is_told_that_an_earlier_attempt_may_have_arrived(
    server: ScriptedServer, connect: Connect, posts: list[bytes], write: str, first: Answer, allowed: bool
) -> None:
    """After an answer with 5xx, or one that cannot be read, and still after a throttle that came later."""
    told: list[bool] = []
    done = ok({"Association": ASSOCIATION})
    server.script(done, first, fault("ThrottlingException"), done)
    retry = RetryPolicy(max_attempts=3, extra_exceptions={MalformedResponseError: FailureKind.TRANSIENT})
    call = await guarded(connect(retry=retry), write, told.append, allowed=allowed)

    await call()

    asked = 2 if allowed else 1
    assert told == [*([False] * asked), *([True] * 2 * asked)]
    assert server.operations == [write] * 4
    assert len(posts) == (3 if allowed else 0)
