"""Repeating calls over real HTTP: what is repeated, what is looked up, what is mended."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.http.clocks import SkippingClock
from tests.http.conftest import CREDENTIALS, Connect
from tests.http.server import Answer, Recorded, ScriptedServer, fault, ok
from workspaces_apps import Credentials, RetryPolicy, ServiceError, ThrottlingException, TransportError
from workspaces_apps._model.models import Result
from workspaces_apps.api import AssociationState, WorkspaceRequest
from workspaces_apps.api.errors import ResourceAlreadyExistsException, ResourceNotFoundException

WORKSPACE = "ws-123456789"
APPLICATION = "wsa-123456789"
UNAVAILABLE = Answer(status=503, body=b"<html>", headers={"Content-Type": "text/html"})
RESET = Answer(manner="reset")


def seen(state: str, application: str = APPLICATION) -> Answer:
    """The answer of DescribeWorkspaceAssociations for one association in that state."""
    return ok(
        {"Associations": [{"WorkspaceId": WORKSPACE, "AssociatedResourceId": application, "State": state}]}
    )


async def test_a_describe_is_repeated(server: ScriptedServer, connect: Connect) -> None:
    """After a 503 the same bytes go out again, and the result knows of both attempts."""
    clock = SkippingClock()
    server.script(UNAVAILABLE, ok())

    result = await connect(clock=clock).describe_applications(owner="AMAZON")

    assert result.meta.attempts == 2
    assert server.requests[0].body == server.requests[1].body
    assert clock.slept == [0.025], "half of the base for transient faults"
    assert result.meta.elapsed == timedelta(seconds=0.025)


async def test_a_second_attempt_is_signed_anew(server: ScriptedServer, connect: Connect) -> None:
    """Each attempt has exactly one signature of its own."""
    server.script(RESET, ok())

    await connect().describe_account()

    assert [request.headers["authorization"].count("Signature=") for request in server.requests] == [1, 1]


async def test_create_workspaces_is_not_repeated(server: ScriptedServer, connect: Connect) -> None:
    """A 503 may hide a WorkSpace that is billed: the error says so, and what to look up."""
    server.script(UNAVAILABLE)
    wanted = WorkspaceRequest(directory_id="d-1234567890", user_name="ada", bundle_id="wsb-123456789")

    with pytest.raises(ServiceError, match="DescribeWorkspaces by DirectoryId and UserName") as caught:
        await connect().create_workspaces(workspaces=[wanted])

    assert (caught.value.attempts, server.operations) == (1, ["CreateWorkspaces"])


async def test_a_throttle_is_repeated_for_every_operation(server: ScriptedServer, connect: Connect) -> None:
    """A refused request was not carried out, so even CreateWorkspaces goes again, as patiently as asked."""
    clock = SkippingClock()
    throttle = fault("ThrottlingException", "Rate exceeded")
    server.script(throttle, throttle, ok())
    wanted = WorkspaceRequest(directory_id="d-1234567890", user_name="ada", bundle_id="wsb-123456789")

    result = await connect(clock=clock).create_workspaces(workspaces=[wanted])

    assert result.meta.attempts == 3
    assert clock.slept[:1] == [0.5], "half of the base for throttles"


async def test_a_throttle_that_does_not_end(server: ScriptedServer, connect: Connect) -> None:
    """After the last attempt the throttle is what the caller sees, with the number of attempts."""
    server.respond(lambda _: fault("ThrottlingException", "Rate exceeded"))

    with pytest.raises(ThrottlingException) as caught:
        await connect(retry=RetryPolicy(max_attempts=3)).describe_account()

    assert (caught.value.attempts, len(server.requests)) == (3, 3)


@pytest.mark.parametrize(
    "answer", [UNAVAILABLE, RESET, fault("ThrottlingException"), fault("InternalServerException", status=500)]
)
async def test_one_attempt_is_one_request(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    """With max_attempts=1 nothing goes out twice, not for a look, and not because botocore is told to retry."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    server.respond(lambda _: answer)
    ws = connect(retry=RetryPolicy(max_attempts=1))

    with pytest.raises((ServiceError, TransportError)):
        await ws.describe_account()
    with pytest.raises((ServiceError, TransportError)):
        await ws.deploy_workspace_applications(workspace_id=WORKSPACE)

    assert server.operations == ["DescribeAccount", "DeployWorkspaceApplications"]


@pytest.mark.parametrize("state", ["PENDING_INSTALL_DEPLOYMENT", "PENDING_INSTALL", "INSTALLING"])
async def test_an_associate_that_had_its_effect_succeeds(
    server: ScriptedServer, connect: Connect, state: str
) -> None:
    """The answer was lost, the repetition is told that it exists already, and a look shows the association."""
    server.script(RESET, fault("ResourceAlreadyExistsException"), seen(state))

    done = await connect().associate_workspace_application(workspace_id=WORKSPACE, application_id=APPLICATION)

    assert done.association is not None
    assert done.association.state == AssociationState(state)
    assert done.meta.attempts == 2
    assert server.operations[2] == "DescribeWorkspaceAssociations"
    assert server.requests[2].json == {"WorkspaceId": WORKSPACE, "AssociatedResourceTypes": ["APPLICATION"]}


@pytest.mark.parametrize(
    "look",
    [
        seen("PENDING_INSTALL", "wsa-another11"),
        seen("COMPLETED"),
        seen("ERROR"),
        seen("REMOVED"),
        seen("PENDING_UNINSTALL_DEPLOYMENT"),
        seen("UNINSTALLING"),
        seen("SOMETHING_NEW"),
        ok({"Associations": []}),
        fault("AccessDeniedException"),
    ],
)
async def test_an_associate_that_a_look_does_not_confirm_fails(
    server: ScriptedServer, connect: Connect, look: Answer
) -> None:
    """Where the look shows no association that this call can have made, the service's refusal stands."""
    server.script(RESET, fault("ResourceAlreadyExistsException"), look)

    with pytest.raises(ResourceAlreadyExistsException) as caught:
        await connect().associate_workspace_application(workspace_id=WORKSPACE, application_id=APPLICATION)

    assert (caught.value.attempts, len(server.requests)) == (2, 3)


async def test_an_associate_refused_at_once_is_not_looked_up(
    server: ScriptedServer, connect: Connect
) -> None:
    """Without an earlier attempt that may have arrived, the refusal is about somebody else's association."""
    server.script(fault("ResourceAlreadyExistsException"))

    with pytest.raises(ResourceAlreadyExistsException):
        await connect().associate_workspace_application(workspace_id=WORKSPACE, application_id=APPLICATION)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "look",
    [ok({"Associations": []}), seen("REMOVED"), seen("PENDING_UNINSTALL_DEPLOYMENT"), seen("UNINSTALLING")],
)
@pytest.mark.parametrize("code", ["ResourceNotFoundException", "ResourceInUseException"])
async def test_a_disassociate_that_had_its_effect_succeeds(
    server: ScriptedServer, connect: Connect, look: Answer, code: str
) -> None:
    """The answer was lost, the repetition is refused, and a look shows that it is gone or going."""
    server.script(RESET, fault(code), look)

    done = await connect().disassociate_workspace_application(
        workspace_id=WORKSPACE, application_id=APPLICATION
    )

    assert isinstance(done, Result)
    assert len(server.requests) == 3


@pytest.mark.parametrize("look", [seen("COMPLETED"), seen("ERROR"), fault("ResourceNotFoundException")])
async def test_a_disassociate_that_a_look_does_not_confirm_fails(
    server: ScriptedServer, connect: Connect, look: Answer
) -> None:
    """Where the application is still there, or the WorkSpace is what was not found, the refusal stands."""
    server.script(RESET, fault("ResourceNotFoundException", ResourceId=APPLICATION), look)

    with pytest.raises(ResourceNotFoundException) as caught:
        await connect().disassociate_workspace_application(workspace_id=WORKSPACE, application_id=APPLICATION)

    assert caught.value.resource_id == APPLICATION


async def test_what_somebody_else_does_to_the_association_is_not_ours(
    server: ScriptedServer, connect: Connect
) -> None:
    """In use, and not on its way out: the refusal stands, and may still be waited out by a policy that does."""
    server.script(RESET, fault("ResourceInUseException"), seen("INSTALLING"), ok({"Association": None}))
    retry = RetryPolicy(retry_in_progress=True)

    done = await connect(retry=retry).disassociate_workspace_application(
        workspace_id=WORKSPACE, application_id=APPLICATION
    )

    assert done.meta.attempts == 3


async def test_an_ambiguous_deploy_that_began_succeeds(server: ScriptedServer, connect: Connect) -> None:
    """Nothing is staged any more and something moves: the lost answer was a success."""
    server.script(UNAVAILABLE, seen("PENDING_INSTALL"))

    done = await connect().deploy_workspace_applications(workspace_id=WORKSPACE)

    assert done.deployment is not None
    assert [found.state for found in done.deployment.associations] == [AssociationState.PENDING_INSTALL]
    assert server.operations == ["DeployWorkspaceApplications", "DescribeWorkspaceAssociations"]


async def test_an_ambiguous_deploy_that_did_not_begin_is_sent_again(
    server: ScriptedServer, connect: Connect
) -> None:
    """Two looks, some seconds apart, agree that everything is still only staged: it was not carried out."""
    server.script(RESET, *[seen("PENDING_INSTALL_DEPLOYMENT")] * 2, ok({"Deployment": {}}))
    clock = SkippingClock()

    done = await connect(clock=clock).deploy_workspace_applications(workspace_id=WORKSPACE)

    assert done.meta.attempts == 2
    assert clock.slept[:2] == [5.0, 5.0]
    assert server.operations[::3] == ["DeployWorkspaceApplications", "DeployWorkspaceApplications"]


async def test_a_stale_look_repeats_no_deploy(server: ScriptedServer, connect: Connect) -> None:
    """The first look still shows the state from before; the second shows what became of it."""
    server.script(UNAVAILABLE, seen("PENDING_INSTALL_DEPLOYMENT"), seen("INSTALLING"))

    await connect().deploy_workspace_applications(workspace_id=WORKSPACE)

    assert server.operations.count("DeployWorkspaceApplications") == 1


MIXED = ok(
    {
        "Associations": [
            {"WorkspaceId": WORKSPACE, "AssociatedResourceId": "wsa-a11111111", "State": "INSTALLING"},
            {
                "WorkspaceId": WORKSPACE,
                "AssociatedResourceId": "wsa-b11111111",
                "State": "PENDING_INSTALL_DEPLOYMENT",
            },
        ]
    }
)


@pytest.mark.parametrize("look", [MIXED, seen("COMPLETED"), ok({"Associations": []}), UNAVAILABLE])
async def test_a_deploy_of_which_nothing_can_be_told_fails(
    server: ScriptedServer, connect: Connect, look: Answer
) -> None:
    """Neither a clear yes nor a clear no: it is not repeated, and the error says that the outcome is unknown."""
    server.script(RESET)
    server.respond(lambda _: look)

    with pytest.raises(TransportError, match="outcome is unknown") as caught:
        await connect().deploy_workspace_applications(workspace_id=WORKSPACE)

    assert caught.value.attempts == 1
    assert server.operations.count("DeployWorkspaceApplications") == 1


class Rotating:
    """A provider that gives other credentials each time it is asked.

    Attributes:
        asked: How often it was.
    """

    def __init__(self, lifetime: timedelta | None = None) -> None:
        self.asked = 0
        self._lifetime = lifetime

    async def get_credentials(self) -> Credentials:
        """The next credentials."""
        self.asked += 1
        await asyncio.sleep(0)
        expires_at = datetime.now(UTC) + self._lifetime if self._lifetime else None
        return Credentials(f"AKIA{self.asked}", "secret", f"token-{self.asked}", expires_at=expires_at)


def honours(token: str) -> Callable[[Recorded], Answer]:
    """Answers to requests with that session token; to others, that they have expired."""
    return lambda request: (
        ok() if request.headers["x-amz-security-token"] == token else fault("ExpiredTokenException")
    )


async def test_an_expired_token_is_renewed_once_outside_the_count(
    server: ScriptedServer, connect: Connect
) -> None:
    """The provider is asked again, and the call succeeds in one attempt, as far as it is counted."""
    provider = Rotating()
    server.respond(honours("token-2"))

    result = await connect(credentials=provider, retry=RetryPolicy(max_attempts=1)).describe_account()

    assert (result.meta.attempts, provider.asked, len(server.requests)) == (1, 2, 2)


async def test_a_token_that_stays_expired_is_an_error(server: ScriptedServer, connect: Connect) -> None:
    """Once is enough: the second refusal is raised."""
    provider = Rotating()
    server.respond(honours("never"))

    with pytest.raises(ServiceError) as caught:
        await connect(credentials=provider).describe_account()

    assert (caught.value.code, provider.asked, len(server.requests)) == ("ExpiredTokenException", 2, 2)


async def test_fixed_credentials_that_have_expired_are_not_tried_again(
    server: ScriptedServer, connect: Connect
) -> None:
    """There are no others to try."""
    server.respond(honours("never"))

    with pytest.raises(ServiceError):
        await connect(credentials=CREDENTIALS).describe_account()

    assert len(server.requests) == 1


async def test_calls_that_expire_together_renew_once(server: ScriptedServer, connect: Connect) -> None:
    """Many calls are refused for the same token: the provider is asked once for all of them."""
    provider = Rotating()
    server.respond(honours("token-2"))
    ws = connect(credentials=provider)

    results = await asyncio.gather(*(ws.describe_account() for _ in range(6)))

    assert {result.meta.attempts for result in results} == {1}
    assert provider.asked == 2


@pytest.mark.parametrize("lifetime,asked", [(timedelta(minutes=4), 2), (timedelta(minutes=10), 1)])
async def test_credentials_are_renewed_before_they_end(
    server: ScriptedServer, connect: Connect, lifetime: timedelta, asked: int
) -> None:
    """Those that end within five minutes are got anew, but not by each call where the provider has none that last longer."""
    provider = Rotating(lifetime)
    server.respond(lambda _: ok())
    ws = connect(credentials=provider)

    await ws.describe_account()
    await ws.describe_account()

    assert provider.asked == asked


def an_hour_ahead(code: str) -> Callable[[Recorded], Answer]:
    """A service whose clock is an hour ahead of ours, and which insists on it."""

    def answer(request: Recorded) -> Answer:
        now = datetime.now(UTC) + timedelta(hours=1)
        sent = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        refused = fault(code)
        date = {"Date": format_datetime(now, usegmt=True)}
        if abs(sent - now) < timedelta(minutes=5):
            return Answer(body=b"{}", headers=date)
        return Answer(status=403, body=refused.body, headers=date)

    return answer


@pytest.mark.parametrize(
    "code", ["RequestTimeTooSkewed", "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure"]
)
async def test_a_skewed_clock_is_corrected_once_outside_the_count(
    server: ScriptedServer, connect: Connect, code: str
) -> None:
    """The second request is dated by the service's clock, and so are all that follow."""
    server.respond(an_hour_ahead(code))
    ws = connect(retry=RetryPolicy(max_attempts=1))

    first = await ws.describe_account()
    second = await ws.describe_account()

    assert (first.meta.attempts, second.meta.attempts, len(server.requests)) == (1, 1, 3)


@pytest.mark.parametrize("expired_first", [True, False])
async def test_a_laptop_that_slept_has_both_put_right(
    server: ScriptedServer, connect: Connect, expired_first: bool
) -> None:
    """Credentials and clock may be out of date in one call: each is put right once, outside the count."""
    expired, skewed = honours("token-2"), an_hour_ahead("RequestTimeTooSkewed")

    def answer(request: Recorded) -> Answer:
        first, second = (expired, skewed) if expired_first else (skewed, expired)
        refused = first(request)
        return refused if refused.status != 200 else second(request)

    server.respond(answer)

    result = await connect(credentials=Rotating(), retry=RetryPolicy(max_attempts=1)).describe_account()

    assert (result.meta.attempts, len(server.requests)) == (1, 3)


async def test_calls_that_are_skewed_together_are_all_corrected(
    server: ScriptedServer, connect: Connect
) -> None:
    """A call that was refused after another had corrected the clock is sent again too."""
    server.respond(an_hour_ahead("RequestTimeTooSkewed"))
    ws = connect(retry=RetryPolicy(max_attempts=1))

    results = await asyncio.gather(*(ws.describe_account() for _ in range(6)))

    assert {result.meta.attempts for result in results} == {1}


async def test_a_wrong_signature_at_the_right_time_is_an_error(
    server: ScriptedServer, connect: Connect
) -> None:
    """Where the clocks agree, the secret key is wrong, and trying again cannot help."""
    date = {"Date": format_datetime(datetime.now(UTC), usegmt=True)}
    server.script(Answer(status=403, body=fault("InvalidSignatureException").body, headers=date))

    with pytest.raises(ServiceError) as caught:
        await connect().describe_account()

    assert (caught.value.code, len(server.requests)) == ("InvalidSignatureException", 1)
