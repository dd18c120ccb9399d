"""Where Region, endpoint and credentials come from, and that no secret goes anywhere else."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qs

import pytest
from aiobotocore.session import AioSession
from botocore.exceptions import ClientError

from tests.http.conftest import CREDENTIALS, Connect, make_config
from tests.http.server import Answer, Recorded, ScriptedServer, fault, ok
from tests.http.ways import PATIENCE
from workspaces_apps import (
    AssumeRole,
    ClientConfig,
    ClientStateError,
    Credentials,
    CredentialsError,
    MalformedResponseError,
    RetryPolicy,
    ServiceError,
    WorkSpacesClient,
)
from workspaces_apps.api.errors import ResourceNotFoundException

ROLE: Final = "arn:aws:iam::123456789012:role/roll-out"


@pytest.mark.parametrize("name", ["AWS_DEFAULT_REGION", "AWS_REGION"])
async def test_everything_from_the_environment(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Region, endpoint and credentials come from where every AWS tool takes them."""
    monkeypatch.setenv(name, "ap-south-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_WORKSPACES", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "env-token")
    server.script(ok())

    async with WorkSpacesClient() as ws:
        await ws.describe_account()

    headers = server.requests[0].headers
    assert "Credential=AKIAENV/" in headers["authorization"]
    assert "/ap-south-1/workspaces/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "env-token"


@pytest.mark.parametrize("how", ["argument", "environment"])
async def test_everything_from_a_profile(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, aws_environment: Path, how: str
) -> None:
    """A profile of the files gives Region, endpoint and credentials."""
    (aws_environment / "config").write_text(
        f"[profile fleet]\nregion = sa-east-1\nservices = here\n[services here]\nworkspaces =\n  endpoint_url = {server.url}\n"
    )
    (aws_environment / "credentials").write_text(
        "[fleet]\naws_access_key_id = AKIAFILE\naws_secret_access_key = file-secret\n"
    )
    if how == "environment":
        monkeypatch.setenv("AWS_PROFILE", "fleet")
    server.script(ok())

    async with WorkSpacesClient(profile="fleet" if how == "argument" else None) as ws:
        await ws.describe_account()

    authorization = server.requests[0].headers["authorization"]
    assert "Credential=AKIAFILE/" in authorization
    assert "/sa-east-1/" in authorization
    assert "x-amz-security-token" not in server.requests[0].headers


async def test_arguments_go_before_the_environment(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's arguments count, whatever the environment says."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_WORKSPACES", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    server.script(ok())

    await connect().describe_account()

    assert f"Credential={CREDENTIALS.access_key_id}/" in server.requests[0].headers["authorization"]
    assert "/eu-west-1/" in server.requests[0].headers["authorization"]


def only_for(key: str) -> Any:
    """Answers to requests that this access key has signed; to others, that they have expired."""

    def answer(request: Recorded) -> Answer:
        return ok() if f"Credential={key}/" in request.headers["authorization"] else fault("ExpiredToken")

    return answer


async def test_an_expired_chain_is_gone_through_again(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has put new credentials where the old ones were: they are used at once."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOLD")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "old")
    server.respond(only_for("AKIANEW"))

    async with connect(credentials=None, retry=RetryPolicy(max_attempts=1)) as ws:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANEW")
        result = await ws.describe_account()

    assert (result.meta.attempts, len(server.requests)) == (1, 2)


async def test_a_session_with_credentials_of_its_own_is_nobody_else(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When they expire, the client does not go on as whoever the environment names."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    session = AioSession()
    session.set_credentials("AKIAGIVEN", "secret")
    server.respond(only_for("AKIASOMEBODYELSE"))

    async with WorkSpacesClient(
        region="eu-west-1", endpoint_url=server.url, session=session, config=make_config()
    ) as ws:
        with pytest.raises(ServiceError) as caught:
            await ws.describe_account()

    assert caught.value.code == "ExpiredToken"
    assert all("Credential=AKIAGIVEN/" in request.headers["authorization"] for request in server.requests)


def assumed(key: str, lifetime: timedelta) -> Answer:
    """The answer of STS to AssumeRole."""
    end = (datetime.now(UTC) + lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
        <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>sts-secret</SecretAccessKey>
        <SessionToken>sts-token</SessionToken><Expiration>{end}</Expiration></Credentials>
        </AssumeRoleResult></AssumeRoleResponse>"""
    return Answer(body=body.encode(), headers={"Content-Type": "text/xml"})


async def test_a_role_is_assumed_and_used(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STS is asked once, as the source, with the external id; what it gives signs the calls."""
    async with ScriptedServer() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.script(assumed("ASIAROLE", timedelta(hours=1)))
        server.script(ok(), ok())
        ws = connect(credentials=AssumeRole(ROLE, "the-external-id", source=CREDENTIALS))

        await ws.describe_account()
        await ws.describe_account()

    asked = parse_qs(sts.requests[0].body.decode())
    assert asked["RoleArn"] + asked["ExternalId"] == [ROLE, "the-external-id"]
    assert f"Credential={CREDENTIALS.access_key_id}/" in sts.requests[0].headers["authorization"]
    assert len(sts.requests) == 1
    for request in server.requests:
        assert "Credential=ASIAROLE/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "sts-token"


async def test_a_role_is_assumed_again_before_it_ends(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials with less than five minutes to go are not used for another call."""
    async with ScriptedServer() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.script(assumed("ASIAFIRST", timedelta(minutes=4)), assumed("ASIASECOND", timedelta(hours=1)))
        server.script(ok(), ok())
        ws = connect(credentials=AssumeRole(ROLE, source=CREDENTIALS))

        await ws.describe_account()
        await ws.describe_account()

    assert len(sts.requests) == 2
    assert all("ASIASECOND" in request.headers["authorization"] for request in server.requests)


async def test_a_role_is_assumed_from_the_chain(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a source, the environment's credentials and Region are those that assume the role."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    async with ScriptedServer() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.script(assumed("ASIAROLE", timedelta(hours=1)))
        server.script(ok())

        async with WorkSpacesClient(endpoint_url=server.url, credentials=AssumeRole(ROLE)) as ws:
            await ws.describe_account()

    assert "Credential=AKIAENV/" in sts.requests[0].headers["authorization"]
    assert "/ap-south-1/sts/" in sts.requests[0].headers["authorization"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=403, body=b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
        Answer(body=b"<AssumeRoleResponse/>", headers={"Content-Type": "text/xml"}),
        Answer(body=b"not xml"),
    ],
)
async def test_a_role_that_cannot_be_assumed(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    """Whatever STS says instead, it is a CredentialsError, and nothing was sent to the service."""
    async with ScriptedServer() as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        sts.respond(lambda _: answer)

        with pytest.raises(CredentialsError) as caught:
            await connect(credentials=AssumeRole(ROLE, source=CREDENTIALS)).describe_account()

    assert CREDENTIALS.secret_access_key not in str(caught.value)
    assert server.requests == []


def saying(**members: object) -> str:
    """A program that says credentials with these members."""
    usual = {"Version": 1, "AccessKeyId": "AKIAPROGRAM", "SecretAccessKey": "program-secret"}
    return f"echo '{json.dumps(usual | members)}'"


@pytest.mark.parametrize(
    "program",
    [
        "echo not-json",
        "echo []",
        "echo {}",
        "false",
        "/no/such/program",
        saying(AccessKeyId=None),
        saying(AccessKeyId=""),
        saying(AccessKeyId=5),
        saying(AccessKeyId=["AKIAPROGRAM"]),
        saying(SecretAccessKey=None),
        saying(SecretAccessKey=""),
        saying(SecretAccessKey=5),
        saying(SessionToken=5),
        saying(Expiration="tomorrow"),
        saying(Expiration=4070908800),
    ],
)
async def test_a_program_that_gives_no_credentials(
    server: ScriptedServer, aws_environment: Path, program: str
) -> None:
    """Whatever the profile's `credential_process` says instead, it is a CredentialsError."""
    (aws_environment / "config").write_text(f"[profile fleet]\ncredential_process = {program}\n")

    async with AsyncExitStack() as closing:
        ws = WorkSpacesClient(region="eu-west-1", profile="fleet", endpoint_url=server.url)
        closing.push_async_callback(ws.aclose)
        for _ in range(2):
            with pytest.raises(CredentialsError, match="aws configure") as caught:
                await ws.describe_account()
            assert "program-secret" not in str(caught.value)

    assert server.requests == []


@pytest.mark.parametrize("end", ["2099-01-01T00:00:00", "2099-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00"])
@pytest.mark.parametrize("how", ["program", "environment"])
async def test_the_end_of_credentials_may_have_no_zone(
    server: ScriptedServer, aws_environment: Path, monkeypatch: pytest.MonkeyPatch, how: str, end: str
) -> None:
    """It is taken as UTC; credentials that are about to end are got once and used."""
    server.respond(lambda _: ok())
    if how == "program":
        program = saying(SessionToken="token", Expiration=end)
        (aws_environment / "config").write_text(f"[default]\ncredential_process = {program}\n")
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAPROGRAM")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "program-secret")
        monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", end)

    async with WorkSpacesClient(region="eu-west-1", endpoint_url=server.url) as ws:
        await ws.describe_account()
        await ws.describe_account()

    assert ["Credential=AKIAPROGRAM/" in one.headers["authorization"] for one in server.requests] == [
        True
    ] * 2


async def test_an_account_that_is_a_number_is_its_digits(
    server: ScriptedServer, aws_environment: Path
) -> None:
    """A program may say it without quotes."""
    program = saying(AccountId=123456789012)
    (aws_environment / "config").write_text(f"[default]\ncredential_process = {program}\n")

    async with WorkSpacesClient(region="eu-west-1", endpoint_url=server.url) as ws:
        transport: Any = getattr(ws, "_shared").transport()  # noqa: B009 - nothing public tells
        _, account = await transport.connection()
        identity = await transport.identity()

    assert (account, identity.account) == ("123456789012",) * 2


@pytest.mark.parametrize(
    "profile",
    [
        "credential_process = {program}",
        f"role_arn = {ROLE}\nsource_profile = base\n[profile base]\ncredential_process = {{program}}",
    ],
    ids=["own", "of the source of a role"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="a FIFO tells when the program runs")
async def test_a_program_ends_with_its_client(
    server: ScriptedServer, aws_environment: Path, tmp_path: Path, profile: str
) -> None:
    """A program that hangs is killed when the client is closed; it does not stay for as long as it likes."""
    started, held = tmp_path / "started", tmp_path / "held"
    for fifo in (started, held):
        os.mkfifo(fifo)
    # Another program has its output too, and is not waited for; it ends with its own input.
    program = f"sh -c 'cat {held} & echo $$ > {started}; exec sleep 1000'"
    (aws_environment / "config").write_text(f"[profile fleet]\n{profile.format(program=program)}\n")
    ws = WorkSpacesClient(region="eu-west-1", profile="fleet", endpoint_url=server.url)
    call = asyncio.create_task(ws.describe_account())
    pid = int(await asyncio.to_thread(started.read_text))

    try:
        async with asyncio.timeout(PATIENCE):
            await ws.aclose()
        with pytest.raises(ClientStateError):
            await call
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    finally:
        await asyncio.to_thread(held.write_bytes, b"")


async def test_a_profile_whose_role_cannot_be_assumed(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, aws_environment: Path
) -> None:
    """The refusal of STS is a CredentialsError, and no answer of the service."""
    (aws_environment / "config").write_text(
        f"[profile fleet]\nrole_arn = {ROLE}\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base-secret\n"
    )
    refusal = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    async with AsyncExitStack() as closing:
        sts = await closing.enter_async_context(ScriptedServer())
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        sts.respond(lambda _: Answer(status=403, body=refusal))
        ws = WorkSpacesClient(region="eu-west-1", profile="fleet", endpoint_url=server.url)
        closing.push_async_callback(ws.aclose)

        with pytest.raises(CredentialsError, match="AccessDenied"):
            await ws.describe_account()

    assert server.requests == []


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
async def test_a_line_break_in_the_environment(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A value that no header can carry is an error of its own, and not a broken connection; it is not shown."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    monkeypatch.setenv(name, "read-from-a-file\n")

    with pytest.raises(CredentialsError, match="line break") as caught:
        await connect(credentials=None).describe_account()

    assert "read-from-a-file" not in str(caught.value)
    assert server.requests == []


def stubbed(answer: object) -> AioSession:
    """A session on which somebody answers in the network's place, as botocore's Stubber does."""
    session = AioSession()
    session.set_credentials("AKIAEXAMPLE", "secret")

    class Response:
        status_code = 200

    def respond(**_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return Response(), answer

    session.get_component("event_emitter").register("before-call.workspaces", respond)
    return session


def client_of(session: AioSession, **settings: Any) -> WorkSpacesClient:
    """A client on that session, of AWS's own endpoint."""
    return WorkSpacesClient(region="eu-west-1", session=session, config=ClientConfig(**settings))


async def test_what_a_stub_answers_is_a_result() -> None:
    """Parsed members, such as botocore gives them, are validated, with their metadata and in UTC."""
    metadata = {"RequestId": "stub-1", "HTTPStatusCode": 200}
    local = datetime(2026, 1, 1, 12, tzinfo=UTC).astimezone()
    ids = {"WorkspaceId": "ws-123456789", "AssociatedResourceId": "wsa-123456789"}
    association = {**ids, "State": "COMPLETED", "Created": local}
    session = stubbed({"Associations": [association], "ResponseMetadata": metadata})

    async with client_of(session) as ws:
        found = await ws.describe_workspace_associations(
            workspace_id="ws-123456789", associated_resource_types=["APPLICATION"]
        )

    moment = found.associations[0].created
    assert moment is not None
    assert (moment, moment.utcoffset()) == (local, timedelta(0))
    assert (found.meta.request_id, found.meta.http_status) == ("stub-1", 200)


async def test_what_a_stub_answers_must_be_right() -> None:
    """A stub that answers nonsense is told so, with an error of this package."""
    async with client_of(stubbed({"Associations": "many"})) as ws:
        with pytest.raises(MalformedResponseError, match="Associations"):
            await ws.describe_workspace_associations(
                workspace_id="ws-123456789", associated_resource_types=["APPLICATION"]
            )


async def test_an_error_that_a_stub_raises_is_of_its_class() -> None:
    """A ClientError becomes what the service's answer would have become."""
    details = {
        "Error": {"Code": "ResourceNotFoundException", "Message": "gone"},
        "ResponseMetadata": {"HTTPStatusCode": 400, "RequestId": "stub-2"},
    }
    raised = ClientError(cast("Any", details), "DescribeAccount")

    async with client_of(stubbed(raised)) as ws:
        with pytest.raises(ResourceNotFoundException) as caught:
            await ws.describe_account()

    error = caught.value
    assert (error.message, error.http_status, error.request_id) == ("gone", 400, "stub-2")


class Sent:
    """An answer to a request that was about to be sent."""

    status_code = 200
    headers: Mapping[str, str] = {}

    @property
    async def content(self) -> bytes:
        """Its body."""
        return b"{}"


@pytest.mark.parametrize(
    "settings,host",
    [
        ({}, "workspaces.us-east-1.amazonaws.com"),
        ({"use_fips": True}, "workspaces-fips.us-east-1.amazonaws.com"),
        ({"use_dualstack": True}, "workspaces.us-east-1.api.aws"),
        ({"use_fips": True, "use_dualstack": True}, "workspaces-fips.us-east-1.api.aws"),
    ],
)
async def test_the_endpoint_follows_the_rules_of_aws(settings: dict[str, bool], host: str) -> None:
    """FIPS and dual-stack lead to AWS's endpoints for them."""
    seen: list[str] = []
    session = AioSession()

    def answer(request: Any, **_: object) -> Sent:
        seen.append(request.url)
        return Sent()

    session.get_component("event_emitter").register("before-send.workspaces", answer)
    client = WorkSpacesClient(
        region="us-east-1",
        session=session,
        credentials=CREDENTIALS,
        config=ClientConfig(**cast("Any", settings)),
    )

    async with client as ws:
        await ws.describe_account()

    assert seen == [f"https://{host}/"]


async def test_no_secret_is_shown_or_logged(
    server: ScriptedServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the secret key nor the session token is in a log of this package, a repr or an error."""
    caplog.set_level(logging.DEBUG, logger="workspaces_apps")
    caplog.set_level(logging.DEBUG)
    server.script(Answer(status=503), fault("AccessDeniedException", "no"))
    ws = connect()

    with pytest.raises(ServiceError) as caught:
        await ws.describe_account()

    ours = [record.getMessage() for record in caplog.records if record.name.startswith("workspaces_apps")]
    role = AssumeRole(ROLE, "the-external-id", source=CREDENTIALS)
    shown = [repr(CREDENTIALS), str(CREDENTIALS), repr(role), repr(ws), repr(caught.value), str(caught.value)]
    assert len(ours) >= 2
    for secret in ("the-secret-key", "the-session-token", "the-external-id"):
        assert [text for text in ours + shown if secret in text] == []


async def test_the_secret_key_is_in_no_log_at_all(
    server: ScriptedServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even at DEBUG, and not in those of the libraries underneath."""
    caplog.set_level(logging.DEBUG, logger="workspaces_apps")
    caplog.set_level(logging.DEBUG)
    server.script(ok())

    await connect().describe_account()

    assert caplog.records
    assert "the-secret-key" not in caplog.text


def test_a_proxy_with_a_password_is_not_shown() -> None:
    """The repr of the settings leaves the proxy's URL out."""
    assert "lovelace" not in repr(ClientConfig(proxy="http://ada:lovelace@proxy.example"))


def test_credentials_are_shown_by_their_id() -> None:
    """The access key id is no secret, and helps to see whose they are."""
    assert "AKIAEXAMPLE" in repr(Credentials("AKIAEXAMPLE", "secret"))
