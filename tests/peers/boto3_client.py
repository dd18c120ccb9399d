"""boto3, which is untyped, behind one typed function."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

import boto3.session

Call: TypeAlias = Callable[..., dict[str, Any]]
"""`call("describe_workspaces", Limit=5)`; the answer is whatever JSON the service gave."""


class Boto3Session(Protocol):
    """The one method of boto3's session that is used."""

    @property
    def client(self) -> Callable[..., Any]:
        """Make a client of a service."""
        ...


def new_session() -> Boto3Session:
    """A session of boto3's own, as far as it is typed."""
    session: Boto3Session = boto3.session.Session()
    return session


@contextmanager
def boto3_client(
    service: str, *, url: str, region: str, access_key_id: str, secret_access_key: str
) -> Generator[Call]:
    """boto3's client of a service at an endpoint, closed at the end."""
    client = new_session().client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
    )

    def call(operation: str, **members: object) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(client, operation)(**members)
        return answer

    try:
        yield call
    finally:
        client.close()
