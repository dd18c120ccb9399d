"""Stores that the tests of this folder share."""

import itertools
from collections.abc import AsyncGenerator, Iterator

import pytest

from tests.distributed.places import Bucket, Postgresql, bucket, postgresql
from tests.distributed.proxy import S3Proxy, s3_proxy

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Postgresql]:
    """A PostgreSQL for the whole run."""
    with postgresql() as found:
        yield found


@pytest.fixture
def database(server: Postgresql) -> str:
    """The URL of an empty database."""
    return server.make(f"test{next(_NUMBERS)}")


@pytest.fixture(scope="session")
def s3_bucket() -> Iterator[Bucket]:
    """A bucket for the whole run."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        with bucket() as found:
            yield found


@pytest.fixture
def s3_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the credentials of moto's server, which the bucket's fixture sets for its own start only."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
async def proxy(s3_bucket: Bucket, s3_keys: None) -> AsyncGenerator[S3Proxy, None]:
    """A proxy before S3."""
    del s3_keys
    async with s3_proxy(s3_bucket.endpoint) as found:
        yield found


@pytest.fixture(params=["s3", "postgresql"])
def journal_url(request: pytest.FixtureRequest) -> str:
    """The URL of a journal that does not exist yet, in each kind of store."""
    name = f"office{next(_NUMBERS)}"
    if request.param == "s3":
        environment = request.getfixturevalue("monkeypatch")
        found: Bucket = request.getfixturevalue("s3_bucket")
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        return found.url(name)
    database: str = request.getfixturevalue("database")
    return f"{database}?name={name}"
