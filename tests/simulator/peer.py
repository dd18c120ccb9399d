"""Peers of the simulator: boto3 without retries, and bare HTTP for what no client would send."""

import http.client
import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.peers.boto3_client import Boto3Session, Speaks, new_session
from workspaces_apps.simulator import Simulator

Call: TypeAlias = Callable[..., dict[str, Any]]
"""`call("describe_workspaces", Limit=5)`: one request, no retry, the answer as boto3 gives it."""


@cache
def _session(speaks: Speaks) -> Boto3Session:
    # One for all tests: reading botocore's data again for each would cost more than the tests themselves.
    return new_session(speaks)


def _client(
    sim: Simulator, region: str | None, credentials: Any, parameter_validation: bool, speaks: Speaks
) -> Any:
    return _session(speaks).client(
        "workspaces",
        endpoint_url=sim.url,
        region_name=region or sim.region,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=parameter_validation),
    )


@contextmanager
def peer_of(
    sim: Simulator,
    *,
    region: str | None = None,
    credentials: object = None,
    parameter_validation: bool = True,
    speaks: Speaks = "json",
) -> Generator[Call]:
    """boto3 for one account and Region, closed at the end."""
    client = _client(sim, region, credentials or sim.credentials, parameter_validation, speaks)

    def call(operation: str, **members: object) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(client, operation)(**members)
        return answer

    try:
        yield call
    finally:
        client.close()


def refusal(call: Callable[[], object]) -> dict[str, Any]:
    """The error that the service answers a call with: Code, Message and the exception's other members."""
    with pytest.raises(ClientError) as caught:
        call()
    response: dict[str, Any] = {**caught.value.response}
    members = {key: value for key, value in response.items() if key not in ("Error", "ResponseMetadata")}
    return {**response["Error"], **members, "Status": response["ResponseMetadata"]["HTTPStatusCode"]}


def collect(call: Call, operation: str, member: str, **parameters: object) -> list[Any]:
    """Every item of a listing, page by page."""
    found: list[Any] = []
    token: dict[str, str] = {}
    for _ in range(1000):
        page = call(operation, **parameters, **token)
        found += page[member]
        if "NextToken" not in page:
            return found
        token = {"NextToken": page["NextToken"]}
    raise AssertionError("the listing does not end")


def bare(
    sim: Simulator,
    operation: str | None,
    body: bytes | str,
    *,
    method: str = "POST",
    path: str = "/",
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes, Mapping[str, str]]:
    """One unsigned request: status, body and headers of the answer."""
    where = urlsplit(sim.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    sent = {"Content-Type": "application/x-amz-json-1.1", **(headers or {})}
    if operation is not None:
        sent["X-Amz-Target"] = f"WorkspacesService.{operation}"
    try:
        connection.request(method, path, body.encode() if isinstance(body, str) else body, sent)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def bare_json(sim: Simulator, operation: str, body: bytes | str) -> tuple[int, dict[str, Any]]:
    """One unsigned request: status and JSON of the answer."""
    status, raw, _ = bare(sim, operation, body)
    answer: dict[str, Any] = json.loads(raw)
    return status, answer
