"""boto3, which is untyped, behind one typed function; in the protocol it prefers, or made to speak CBOR."""

import atexit
import gzip
import json
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import boto3.session
import botocore.loaders
import botocore.session

from tests.cli.process import Endpoint

Speaks: TypeAlias = Literal["json", "cbor"]
CBOR = "smithy-rpc-v2-cbor"

Call: TypeAlias = Callable[..., dict[str, Any]]
"""`call("describe_workspaces", Limit=5)`; the answer is whatever JSON the service gave."""


class Boto3Session(Protocol):
    """The one method of boto3's session that is used."""

    @property
    def client(self) -> Callable[..., Any]:
        """Make a client of a service."""
        ...


def new_session(speaks: Speaks = "json") -> Boto3Session:
    """Return a session of boto3's own, as far as it is typed, whose WorkSpaces clients speak a protocol."""
    # botocore is untyped here and there.
    inner: Any = botocore.session.Session()
    if speaks == "cbor":
        loader: Any = botocore.loaders.Loader(extra_search_paths=[str(cbor_models())])
        inner.register_component("data_loader", loader)
    session: Boto3Session = boto3.session.Session(botocore_session=inner)
    return session


@cache
def cbor_models() -> Path:
    """Make a data path for botocore on which WorkSpaces has no protocol but CBOR; removed when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="workspaces-cbor-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    version = folder / "workspaces" / "2015-04-08"
    version.mkdir(parents=True)
    source = files("botocore") / "data" / "workspaces" / "2015-04-08"
    for entry in source.iterdir():
        raw = entry.read_bytes()
        name = entry.name
        if name.startswith("service-2"):
            document: dict[str, Any] = json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw)
            document["metadata"].update(protocol=CBOR, protocols=[CBOR])
            raw, name = json.dumps(document).encode(), "service-2.json"
        (version / name).write_bytes(raw)
    return folder


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


def boto3_of(endpoint: Endpoint) -> AbstractContextManager[Call]:
    """boto3's client of WorkSpaces at a simulator that is a process of its own."""
    return boto3_client(
        "workspaces",
        url=endpoint.url,
        region=endpoint.region,
        access_key_id=endpoint.access_key_id,
        secret_access_key=endpoint.secret_access_key,
    )
