"""Reading botocore's model of the service, and what identifies it."""

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NotRequired, Required, TypedDict

SERVICE = Path("workspaces", "2015-04-08")


class MemberSource(TypedDict):
    """A member of a structure as botocore writes it."""

    shape: str
    documentation: NotRequired[str]


class ShapeSource(TypedDict, total=False):
    """A shape as botocore writes it; which keys are there depends on its type."""

    type: str
    members: dict[str, MemberSource]
    required: list[str]
    member: MemberSource
    key: MemberSource
    value: MemberSource
    enum: list[str]
    pattern: str
    min: int
    max: int
    exception: bool
    union: bool


class OperationSource(TypedDict, total=False):
    """An operation as botocore writes it."""

    name: Required[str]
    input: Required[MemberSource]
    output: Required[MemberSource]
    errors: list[MemberSource]


class PageSource(TypedDict, total=False):
    """An operation's paging as botocore's paginators file writes it."""

    input_token: str
    output_token: str
    result_key: str
    limit_key: str


class ServiceSource(TypedDict):
    """The service model as botocore writes it."""

    metadata: dict[str, str]
    operations: dict[str, OperationSource]
    shapes: dict[str, ShapeSource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One botocore's description of the service.

    Attributes:
        botocore: The version of botocore it is from.
        digest: SHA-256 of the model, independent of how it was packed.
        service: The service model.
        pages: The paginators, by operation.
    """

    botocore: str
    digest: str
    service: ServiceSource
    pages: dict[str, PageSource]


def installed() -> Source:
    """The description that the installed botocore ships."""
    spec = find_spec("botocore")
    if spec is None or spec.origin is None:
        raise SystemExit("botocore is not installed")
    return read(Path(spec.origin).parent, version("botocore"))


def read(package: Path, botocore: str) -> Source:
    """The description in an unpacked botocore.

    Args:
        package: The folder of the package `botocore`.
        botocore: Its version.
    """
    folder = package / "data" / SERVICE
    service = _load(folder, "service-2.json")
    pages = _load(folder, "paginators-1.json")
    digest = hashlib.sha256(json.dumps([service, pages], sort_keys=True).encode()).hexdigest()
    pagination = json.loads(json.dumps(pages))["pagination"]
    return Source(botocore=botocore, digest=digest, service=json.loads(json.dumps(service)), pages=pagination)


def _load(folder: Path, name: str) -> Mapping[str, object]:
    for path in _candidates(folder, name):
        if path.exists():
            text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            document: Mapping[str, object] = json.loads(text)
            return document
    raise SystemExit(f"{folder / name} is missing: is this a botocore with the WorkSpaces model?")


def _candidates(folder: Path, name: str) -> Iterator[Path]:
    yield folder / name
    yield folder / f"{name}.gz"
