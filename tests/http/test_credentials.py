"""Credentials that end, are refused, or cannot be refreshed, and a clock that is wrong."""

import asyncio
import hashlib
import json
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiobotocore.session import AioSession
from botocore.credentials import ReadOnlyCredentials, SSOProvider

from tests.http.conftest import CREDENTIALS, Connect, make_config
from tests.http.server import Answer, Recorded, ScriptedServer, fault, ok
from tests.http.test_network import refusing
from tests.http.test_sources import ROLE, assumed
from workspaces_apps import (
    AssumeRole,
    Credentials,
    CredentialsError,
    DeadlineExceededError,
    RefusableCredentialsProvider,
    RetryPolicy,
    ServiceError,
    WorkSpacesClient,
)
from workspaces_apps._http.signing import Loaded, RefreshingSource
from workspaces_apps.simulator import ManualClock

START = datetime(2026, 1, 1, tzinfo=UTC)


class Time:
    """A wall clock and a monotonic one that only a test moves."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        """The wall time."""
        return START + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        """Seconds."""
        return self.passed


class Script:
    """A loader that gives what a test says: how long credentials last, in seconds, or an error."""

    advice: str = "ask the test"
    waits_for: str = ""

    def __init__(self, time: Time, *lifetimes: float | Exception) -> None:
        self.loads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._time = time
        self._lifetimes = list(lifetimes)
        self._end: datetime | None = None

    def until(self, end: datetime) -> None:
        """Give credentials that end then, from now on."""
        self._end = end

    async def load(self, _: ReadOnlyCredentials | None, /) -> Loaded:
        """The next."""
        self.loads += 1
        number = self.loads
        await self.gate.wait()
        if self._end is not None:
            return Loaded(credentials=ReadOnlyCredentials(f"AKIA{number}", "s", None), expires_at=self._end)
        lifetime = self._lifetimes.pop(0)
        if isinstance(lifetime, Exception):
            raise lifetime
        end = self._time.now() + timedelta(seconds=lifetime)
        return Loaded(credentials=ReadOnlyCredentials(f"AKIA{number}", "s", None), expires_at=end)

    async def close(self) -> None:
        """Nothing is open."""


def source_of(*lifetimes: float | Exception) -> tuple[RefreshingSource, Script, Time]:
    """Credentials that last as long as given, one after the other, and the time that they go by."""
    time = Time()
    script = Script(time, *lifetimes)
    return RefreshingSource(script, now=time.now, monotonic=time.monotonic, grace=0.05), script, time


async def test_credentials_in_hand_are_used_until_they_end() -> None:
    """Early refreshes that fail change nothing; only at the end is their failure that of the calls."""
    source, script, time = source_of(3600, *[CredentialsError("no")] * 20)

    assert (await source.current()).access_key == "AKIA1"
    for time.passed in (3301, 3301.5, 3400, 3599):
        assert (await source.current()).access_key == "AKIA1"
    assert 2 <= script.loads <= 4
    time.passed = 3600
    with pytest.raises(CredentialsError, match="no"):
        await source.current()


async def test_an_early_refresh_is_tried_again_later() -> None:
    """After a failure there is a pause, and then the next try brings new credentials."""
    source, script, time = source_of(3600, CredentialsError("no"), 3600)
    await source.current()

    time.passed = 3400
    await source.current()
    await source.current()
    assert script.loads == 2
    time.passed = 3403

    assert (await source.current()).access_key == "AKIA3"


async def test_an_early_refresh_that_hangs_keeps_nobody() -> None:
    """Calls go on with the credentials in hand, and there is one refresh, however many calls."""
    source, script, time = source_of(3600, 3600)
    await source.current()
    script.gate.clear()

    time.passed = 3500
    found = await asyncio.gather(*(source.current() for _ in range(20)))

    assert {one.access_key for one in found} == {"AKIA1"}
    assert script.loads == 2
    await source.close()


async def test_whoever_is_cancelled_does_not_end_the_refresh() -> None:
    """The refresh goes on for the others who wait for it."""
    source, script, _ = source_of(3600)
    script.gate.clear()
    first, second = (asyncio.create_task(source.current()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    script.gate.set()

    assert (await second).access_key == "AKIA1"
    assert script.loads == 1


async def test_credentials_that_have_ended_when_they_come_are_used() -> None:
    """It is rather this machine's clock that is wrong, so they are not got anew for each call."""
    source, script, _ = source_of(*[-60.0] * 9)

    for _ in range(20):
        await source.current()

    assert script.loads <= 3


@pytest.mark.parametrize("every", [0.0, 0.1, 7.0])
async def test_a_source_that_keeps_credentials_until_their_end_is_not_asked_by_each_call(
    every: float,
) -> None:
    """In their last minutes it gives the same again and again: what helpers with a cache and instance roles do."""
    source, script, time = source_of(*[CredentialsError("not asked")] * 99)
    end = START + timedelta(minutes=4)
    script.until(end)

    for _ in range(50):
        await source.current()
        time.passed = min(time.passed + every, 239.0)

    assert script.loads <= (2 if every == 0.0 else 10)
    time.passed = 240.0
    script.until(end + timedelta(hours=1))
    loads = script.loads
    await source.current()
    await source.current()
    assert script.loads == loads + 1


async def test_credentials_that_live_for_minutes_only_are_refreshed_once_a_minute() -> None:
    """Though they are always in their last five minutes."""
    source, script, time = source_of(*[180.0] * 99)

    for second in range(600):
        time.passed = float(second)
        await source.current()

    assert script.loads == 11
    await source.close()


class Cancelled:
    """A provider that waits for something that somebody cancels, once."""

    def __init__(self) -> None:
        self.asked = 0

    async def get_credentials(self) -> Credentials:
        """None, and then good ones."""
        self.asked += 1
        if self.asked == 1:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        return CREDENTIALS


async def test_a_provider_in_which_something_is_cancelled_has_failed(
    server: ScriptedServer, connect: Connect
) -> None:
    """The client was not closed, nor was the caller cancelled; and the next call asks again."""
    ws = connect(credentials=Cancelled())
    server.script(ok())

    with pytest.raises(CredentialsError, match="the credentials provider Cancelled was cancelled"):
        await ws.describe_account()

    await ws.describe_account()


async def test_live_credentials_in_which_something_is_cancelled_have_failed() -> None:
    """Those of a chain that look after themselves are got by the calls, which nobody cancelled."""

    class Live(Script):
        async def load(self, refused: ReadOnlyCredentials | None, /) -> Loaded:
            async def get() -> ReadOnlyCredentials:
                raise asyncio.CancelledError

            return (await super().load(refused))._replace(live=get)

    source = RefreshingSource(Live(Time(), 3600))
    await source.renew(ReadOnlyCredentials("AKIA", "s", None))

    with pytest.raises(CredentialsError, match="the source of the AWS credentials was cancelled"):
        await source.current()


async def test_a_refresh_that_the_client_did_not_cancel_is_no_end_of_the_client() -> None:
    """A framework that cancels every task there is has not closed it."""
    source, script, _ = source_of(3600)
    script.gate.clear()
    waiting = asyncio.create_task(source.current())
    await asyncio.sleep(0)
    (refresh,) = (task for task in asyncio.all_tasks() if task.get_name() == "workspaces-apps credentials")

    refresh.cancel()

    with pytest.raises(CredentialsError, match="the refresh of the AWS credentials was cancelled"):
        await waiting


class Keeping:
    """A provider that gives the same credentials until it is told that they were refused."""

    def __init__(self) -> None:
        self.refused: list[Credentials] = []

    async def get_credentials(self) -> Credentials:
        """Those of the moment."""
        return Credentials(f"AKIA{len(self.refused)}", "secret")

    async def invalidate(self, refused: Credentials) -> None:
        """Give others from now on."""
        self.refused.append(refused)


def only_for(*keys: str) -> Any:
    """Answers to requests that one of the access keys has signed; to others, that they have expired."""

    def answer(request: Recorded) -> Answer:
        authorization = request.headers["authorization"]
        signed = any(f"Credential={key}/" in authorization for key in keys)
        return ok() if signed else fault("ExpiredTokenException")

    return answer


async def test_a_provider_is_told_what_was_refused(server: ScriptedServer, connect: Connect) -> None:
    """It can forget them, and gives others."""
    provider = Keeping()
    assert isinstance(provider, RefusableCredentialsProvider)
    server.respond(only_for("AKIA1"))

    await connect(credentials=provider).describe_account()

    assert [one.access_key_id for one in provider.refused] == ["AKIA0"]


@pytest.fixture
async def sts(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedServer]:
    """A server in the place of STS."""
    async with ScriptedServer() as scripted:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", scripted.url)
        yield scripted


def numbered(prefix: str, operation: str = "AssumeRole") -> Any:
    """Answers of STS, each with another access key."""
    given = iter(range(1, 100))

    def answer(_: Recorded) -> Answer:
        found = assumed(f"{prefix}{next(given)}", timedelta(hours=1))
        return Answer(body=found.body.replace(b"AssumeRole", operation.encode()), headers=found.headers)

    return answer


async def test_a_web_identity_is_renewed(
    server: ScriptedServer, sts: ScriptedServer, aws_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STS is asked again, with the token that is in the file by then."""
    token = aws_environment / "token"
    token.write_text("first")
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    sts.respond(numbered("ASIAWEB", "AssumeRoleWithWebIdentity"))
    server.respond(only_for("ASIAWEB2"))

    async with WorkSpacesClient(region="eu-west-1", endpoint_url=server.url) as ws:
        token.write_text("second")
        await ws.describe_account()

    tokens = [parse_qs(asked.body.decode())["WebIdentityToken"] for asked in sts.requests]
    assert tokens == [["first"], ["second"]]


async def test_a_chain_of_role_profiles_is_renewed(
    server: ScriptedServer, sts: ScriptedServer, aws_environment: Path
) -> None:
    """Each role is assumed again, the one in between included, in the client's Region."""
    (aws_environment / "config").write_text(
        f"[profile fleet]\nrole_arn = {ROLE}\nsource_profile = between\n"
        f"[profile between]\nrole_arn = {ROLE}-between\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base-secret\n"
    )
    sts.respond(numbered("ASIA"))
    server.respond(only_for("ASIA4"))

    async with WorkSpacesClient(region="eu-west-1", profile="fleet", endpoint_url=server.url) as ws:
        await ws.describe_account()

    signed = [
        asked.headers["authorization"].partition("Credential=")[2].split("/")[0] for asked in sts.requests
    ]
    assert signed == ["AKIABASE", "ASIA1", "AKIABASE", "ASIA3"]
    assert all("/eu-west-1/sts/" in asked.headers["authorization"] for asked in sts.requests)


@pytest.fixture
async def sso(aws_environment: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedServer]:
    """A server in the place of SSO, and a profile `fleet` of it; somebody has logged in."""
    cache = aws_environment / "sso"
    cache.mkdir()
    monkeypatch.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(cache))
    (aws_environment / "config").write_text(
        "[profile fleet]\nsso_start_url = https://example.awsapps.com/start\nsso_region = eu-west-1\n"
        "sso_account_id = 123456789012\nsso_role_name = fleet\n"
    )
    name = hashlib.sha1(b"https://example.awsapps.com/start").hexdigest() + ".json"
    (cache / name).write_text(json.dumps({"accessToken": "t", "expiresAt": "2099-01-01T00:00:00Z"}))
    async with ScriptedServer() as scripted:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", scripted.url)
        yield scripted


def role_credentials(key: str) -> Answer:
    """Return the credentials that SSO gives for a role."""
    members = {"accessKeyId": key, "secretAccessKey": "s", "sessionToken": "t", "expiration": 4070908800000}
    return ok({"roleCredentials": members})


async def test_an_sso_role_is_renewed(server: ScriptedServer, sso: ScriptedServer) -> None:
    """SSO is asked again, though what it gave should have lasted."""
    sso.script(role_credentials("ASIASSO1"), role_credentials("ASIASSO2"))
    server.respond(only_for("ASIASSO2"))

    async with WorkSpacesClient(region="eu-west-1", profile="fleet", endpoint_url=server.url) as ws:
        await ws.describe_account()

    assert len(sso.requests) == 2


async def test_an_sso_login_that_has_ended_is_told(server: ScriptedServer, sso: ScriptedServer) -> None:
    """The error says what to run, for this profile."""
    sso.script(role_credentials("ASIASSO1"), fault("UnauthorizedException", status=401))
    server.respond(only_for("nobody"))

    async with WorkSpacesClient(region="eu-west-1", profile="fleet", endpoint_url=server.url) as ws:
        with pytest.raises(CredentialsError, match="run `aws sso login --profile fleet`"):
            await ws.describe_account()


async def test_the_session_assumes_the_role(
    server: ScriptedServer, sts: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that was given is the standard chain, for STS too, whatever the environment says."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    session = AioSession()
    session.set_credentials("AKIASESSION", "secret")
    sts.script(assumed("ASIAROLE", timedelta(hours=1)))
    server.script(ok())

    async with WorkSpacesClient(
        region="eu-west-1", endpoint_url=server.url, session=session, credentials=AssumeRole(ROLE)
    ) as ws:
        await ws.describe_account()

    assert "Credential=AKIASESSION/" in sts.requests[0].headers["authorization"]


@pytest.mark.parametrize("how", ["argument", "profile"])
async def test_sts_is_asked_through_the_proxy(
    server: ScriptedServer, sts: ScriptedServer, aws_environment: Path, how: str
) -> None:
    """The client's configuration holds for STS, whether the role is an argument or a profile's."""
    (aws_environment / "config").write_text(
        f"[profile fleet]\nrole_arn = {ROLE}\nsource_profile = fleet\n"
        f"aws_access_key_id = {CREDENTIALS.access_key_id}\naws_secret_access_key = s\n"
    )
    async with AsyncExitStack() as closing:
        proxy = await closing.enter_async_context(ScriptedServer())
        proxy.script(assumed("ASIAROLE", timedelta(hours=1)), ok())
        role = AssumeRole(ROLE, source=CREDENTIALS) if how == "argument" else None
        ws = WorkSpacesClient(
            region="eu-west-1",
            profile=None if role else "fleet",
            endpoint_url=server.url,
            credentials=role,
            config=make_config(proxy=proxy.url),
        )
        closing.push_async_callback(ws.aclose)
        await ws.describe_account()

    assert (len(proxy.requests), sts.requests, server.requests) == (2, [], [])


@pytest.mark.parametrize("how", ["argument", "profile"])
async def test_a_proxy_that_refuses_the_way_to_sts(
    server: ScriptedServer, aws_environment: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The error of the credentials tells what the proxy said, and without its password."""
    (aws_environment / "config").write_text(
        f"[profile fleet]\nrole_arn = {ROLE}\nsource_profile = fleet\n"
        f"aws_access_key_id = {CREDENTIALS.access_key_id}\naws_secret_access_key = s\n"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "https://127.0.0.1:9")
    refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with AsyncExitStack() as closing:
        proxy, asked = await closing.enter_async_context(refusing(refused))
        role = AssumeRole(ROLE, source=CREDENTIALS) if how == "argument" else None
        ws = WorkSpacesClient(
            region="eu-west-1",
            profile=None if role else "fleet",
            endpoint_url=server.url,
            credentials=role,
            config=make_config(proxy=proxy),
        )
        closing.push_async_callback(ws.aclose)
        with pytest.raises(CredentialsError, match="407 Proxy Authentication Required") as caught:
            await ws.describe_account()

    assert "lovelace" not in "".join(traceback.format_exception(caught.value))
    assert (len(asked), server.requests) == (1, [])


async def test_sts_is_asked_again_after_a_moment(
    server: ScriptedServer, sts: ScriptedServer, connect: Connect
) -> None:
    """A fault of the moment at STS is repeated by the retry layer of the calls, and by no other."""
    sts.script(*[Answer(status=503, body=b"") for _ in range(2)], assumed("ASIAROLE", timedelta(hours=1)))
    server.script(ok())

    await connect(credentials=AssumeRole(ROLE, source=CREDENTIALS)).describe_account()

    assert len(sts.requests) == 3


async def test_the_source_of_a_role_is_renewed(
    server: ScriptedServer, sts: ScriptedServer, connect: Connect
) -> None:
    """The source is asked for others, once, where STS says that its credentials have ended."""
    provider = Keeping()
    expired = b"<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>"
    sts.script(Answer(status=403, body=expired), assumed("ASIAROLE", timedelta(hours=1)))
    server.script(ok())

    await connect(credentials=AssumeRole(ROLE, source=provider)).describe_account()

    assert [one.access_key_id for one in provider.refused] == ["AKIA0"]


class Hanging:
    """A provider that never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def get_credentials(self) -> Credentials:
        """Never."""
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


async def test_opening_is_bounded(server: ScriptedServer) -> None:
    """A provider that hangs does not keep `async with` beyond the timeout, nor `aclose`."""
    clock, provider = ManualClock(), Hanging()
    ws = WorkSpacesClient(
        region="eu-west-1",
        endpoint_url=server.url,
        credentials=provider,
        config=make_config(timeout=3),
        clock=clock,
    )
    opening = asyncio.create_task(ws.__aenter__())
    await provider.asked.wait()

    clock.jump(3.1)
    with pytest.raises(DeadlineExceededError, match="no credentials arrived in time"):
        await opening
    await asyncio.wait_for(ws.aclose(), 60)

    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


def dated(code: str, message: str = "", *, date: str) -> Answer:
    """A refusal with that Date header."""
    refusal = fault(code, message)
    return Answer(status=400, body=refusal.body, headers={**refusal.headers, "Date": date})


@pytest.mark.parametrize(
    "code,message",
    [
        ("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than …"),
        ("InvalidSignatureException", "Signature not yet current: 20260101T000000Z is still later than …"),
        ("RequestExpired", "Request has expired."),
    ],
)
async def test_a_signature_out_of_date_is_made_anew_once(
    server: ScriptedServer, connect: Connect, code: str, message: str
) -> None:
    """Also where the clock is right by now: once, and outside the count."""
    refusal = dated(code, message, date=format_datetime(datetime.now(UTC), usegmt=True))
    server.script(refusal, ok(), refusal, refusal)
    ws = connect(retry=RetryPolicy(max_attempts=1))

    assert (await ws.describe_account()).meta.attempts == 1
    with pytest.raises(ServiceError):
        await ws.describe_account()

    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Sat, 01 Jan 2000 00:00:00 GMT",
    ],
)
async def test_an_impossible_date_corrects_nothing(
    server: ScriptedServer, connect: Connect, date: str
) -> None:
    """Later calls are dated as before: a time more than a day off is nobody's clock."""
    server.script(dated("SignatureDoesNotMatch", date=date), ok())
    ws = connect(retry=RetryPolicy(max_attempts=1))
    with pytest.raises(ServiceError):
        await ws.describe_account()

    await ws.describe_account()

    sent = datetime.strptime(server.requests[-1].headers["x-amz-date"], "%Y%m%dT%H%M%S%z")
    assert abs(sent - datetime.now(UTC)) < timedelta(minutes=1)
