"""Signatures: who may ask, and what a wrong one is answered with."""

import dataclasses
import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from tests.simulator.peer import Call, bare, bare_json, peer_of, refusal
from workspaces_apps.simulator import ManualClock, Simulator


def signed_headers(
    sim: Simulator, *, service: str = "workspaces", body: str = "{}", path: str = "/"
) -> dict[str, str]:
    """Headers as botocore signs them."""
    keys = BotoCredentials(sim.credentials.access_key_id, sim.credentials.secret_access_key)
    request = AWSRequest(
        "POST",
        sim.url + path,
        data=body,
        headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "WorkspacesService.DescribeWorkspaces",
        },
    )
    SigV4Auth(keys, service, sim.region).add_auth(request)
    return {str(name): str(value) for name, value in request.headers.items()}


def code_of(sim: Simulator, headers: dict[str, str], body: str = "{}") -> str:
    """The error code of a request with these headers; empty if it succeeds."""
    status, raw, _ = bare(sim, None, body, headers=headers)
    return "" if status == 200 else raw.decode().split('"__type":"')[1].split('"')[0]


def test_botocores_signature_is_accepted(sim: Simulator) -> None:
    """The same bytes boto3 would send."""
    assert code_of(sim, signed_headers(sim)) == ""


def test_a_wrong_secret_is_refused(sim: Simulator) -> None:
    """InvalidSignatureException."""
    wrong = dataclasses.replace(sim.credentials, secret_access_key="x" * 40)
    with peer_of(sim, credentials=wrong) as call:
        assert refusal(lambda: call("describe_workspaces"))["Code"] == "InvalidSignatureException"


def test_an_unknown_key_is_refused(sim: Simulator) -> None:
    """UnrecognizedClientException."""
    unknown = dataclasses.replace(sim.credentials, access_key_id="AKIAAAAAAAAAAAAAAAAA")
    with peer_of(sim, credentials=unknown) as call:
        assert refusal(lambda: call("describe_workspaces"))["Code"] == "UnrecognizedClientException"


def test_a_region_that_is_not_served_is_refused(sim: Simulator) -> None:
    """InvalidSignatureException, and the message says what is wrong."""
    with peer_of(sim, region="ap-south-1") as call:
        error = refusal(lambda: call("describe_workspaces"))

    assert error["Code"] == "InvalidSignatureException"
    assert "valid Region" in error["Message"]


def test_another_services_signature_is_refused(sim: Simulator) -> None:
    """The signing name is part of the scope."""
    assert code_of(sim, signed_headers(sim, service="ec2")) == "InvalidSignatureException"


def test_a_body_that_was_changed_is_refused(sim: Simulator) -> None:
    """The signature covers the body."""
    assert code_of(sim, signed_headers(sim), body='{"Limit":1}') == "InvalidSignatureException"


def test_the_scopes_day_must_be_the_dates(sim: Simulator) -> None:
    """The message says so, whatever the signature is worth."""
    headers = signed_headers(sim)
    day = headers["X-Amz-Date"][:8]
    headers["Authorization"] = headers["Authorization"].replace(f"/{day}/", "/20200101/")

    _, raw, _ = bare(sim, None, "{}", headers=headers)

    assert b"Date in Credential scope" in raw


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_skewed_date_is_refused(sim: Simulator, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """More than five minutes off, in either direction, in real time whatever the simulator's clock says."""
    headers = signed_headers(sim)
    real = time.time() + timedelta(minutes=minutes).total_seconds()
    monkeypatch.setattr(time, "time", lambda: real)

    assert code_of(sim, headers) == "InvalidSignatureException"


def test_simulated_time_does_not_age_a_signature(sim: Simulator, clock: ManualClock, call: Call) -> None:
    """A year on the manual clock, and boto3 is still let in."""
    clock.jump(timedelta(days=365))

    assert call("describe_workspaces")["Workspaces"]


@pytest.mark.parametrize(
    "change,code",
    [
        ({}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Bearer abc"}, "IncompleteSignatureException"),
        ({"Authorization": "AWS4-HMAC-SHA256 Credential=AKIA/x/y"}, "IncompleteSignatureException"),
        ({"Authorization": "AWS4-HMAC-SHA256 " + "A" * 5000}, "IncompleteSignatureException"),
    ],
)
def test_what_is_no_signature_is_refused(sim: Simulator, change: dict[str, str], code: str) -> None:
    """Missing and mangled headers have codes of their own."""
    headers = {"X-Amz-Target": "WorkspacesService.DescribeWorkspaces", **change}

    assert code_of(sim, headers) == code


@pytest.mark.parametrize("date", ["", "yesterday", "20261399T999999Z"])
def test_what_is_no_date_is_refused(sim: Simulator, date: str) -> None:
    """IncompleteSignatureException, or a scope that does not match."""
    headers = {**signed_headers(sim), "X-Amz-Date": date}

    assert code_of(sim, headers) in {"IncompleteSignatureException", "InvalidSignatureException"}


def test_temporary_credentials_end_in_simulated_time(sim: Simulator, clock: ManualClock) -> None:
    """ExpiredTokenException, once their lifetime is over."""
    temporary = sim.temporary_credentials(3600)
    with peer_of(sim, credentials=temporary) as call:
        assert call("describe_workspaces")["Workspaces"]
        clock.jump(3600)
        assert refusal(lambda: call("describe_workspaces"))["Code"] == "ExpiredTokenException"


def test_a_wrong_session_token_is_refused(sim: Simulator) -> None:
    """A token that does not go with the key."""
    temporary = dataclasses.replace(sim.temporary_credentials(3600), session_token="other")
    with peer_of(sim, credentials=temporary) as call:
        assert refusal(lambda: call("describe_workspaces"))["Code"] == "UnrecognizedClientException"


def test_signatures_can_be_switched_off() -> None:
    """Then anybody is the first account."""
    with Simulator.in_thread(verify_signatures=False, throttle=None) as sim:
        status, answer = bare_json(sim, "DescribeWorkspaces", b"{}")

    assert status == 200
    assert len(answer["Workspaces"]) == 25


def test_the_repr_of_credentials_shows_no_secret(sim: Simulator) -> None:
    """Neither the key nor a session token."""
    temporary = sim.temporary_credentials(60)

    assert temporary.secret_access_key not in repr(temporary)
    assert str(temporary.session_token) not in repr(temporary)
    assert temporary.expires_at is not None
    assert temporary.expires_at.astimezone(UTC) > datetime(2026, 1, 1, tzinfo=UTC)
