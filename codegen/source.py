"""Reading botocore's model of the service from a wheel, and the copy of it that this repository keeps."""

import gzip
import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, Required, TypedDict

KEPT = Path(__file__).parent.parent / "src" / "workspaces_apps" / "simulator" / "service.json"
"""The copy that is kept: what the generator writes from, and what the simulator answers by."""

LOCK = Path(__file__).parent / "lock.json"

_FOLDER = "botocore/data/workspaces/2015-04-08/"


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

    metadata: dict[str, str | list[str]]
    operations: dict[str, OperationSource]
    shapes: dict[str, ShapeSource]


class Lock(TypedDict):
    """The origin of the copy that is kept.

    Attributes:
        botocore: The version of botocore.
        wheel: SHA-256 of its wheel, as package indexes name it.
        sha256: SHA-256 of the copy.
    """

    botocore: Required[str]
    wheel: Required[str]
    sha256: Required[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One botocore's description of the service.

    Attributes:
        botocore: The version of botocore it is from.
        wheel: SHA-256 of the wheel of that botocore.
        service: The service model.
        pages: The paginators, by operation.
    """

    botocore: str
    wheel: str
    service: ServiceSource
    pages: dict[str, PageSource]

    @property
    def text(self) -> str:
        """The form in which the description is kept: JSON with a line for each operation and shape."""
        kept: list[str] = []
        parts: dict[str, Mapping[str, object]] = {
            "metadata": self.service["metadata"],
            "operations": self.service["operations"],
            "shapes": self.service["shapes"],
            "paginators": self.pages,
        }
        for part, entries in parts.items():
            lines = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
            kept.append(f"{json.dumps(part)}: {{\n" + ",\n".join(lines) + "\n}")
        return "{\n" + ",\n".join(kept) + "\n}\n"

    @property
    def lock(self) -> Lock:
        """The lock that belongs to the description."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return {"botocore": self.botocore, "wheel": self.wheel, "sha256": digest}


def kept(copy: Path = KEPT, lock: Path = LOCK) -> Source:
    """Read the copy that is kept.

    Raises:
        SystemExit: It is not the one that the lock names.
    """
    content = copy.read_bytes()
    named: Lock = json.loads(lock.read_text("utf-8"))
    if hashlib.sha256(content).hexdigest() != named["sha256"]:
        raise SystemExit(
            f"{copy.name} is not what {lock.name} was made for; run `python -m codegen --from WHEEL`"
        )
    document = json.loads(content)
    pages = document.pop("paginators")
    return Source(botocore=named["botocore"], wheel=named["wheel"], service=document, pages=pages)


def from_wheel(wheel: Path) -> Source:
    """Read the description in a wheel of botocore, without its documentation.

    Args:
        wheel: The file, as `pip download --no-deps botocore` leaves it. It is not installed.

    Raises:
        SystemExit: It is no wheel of botocore with the WorkSpaces model.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            service, pages = (_load(archive, name) for name in ("service-2.json", "paginators-1.json"))
            version = next(_versions(archive))
        parts = {
            name: _undocumented(_object(service[name], name)) for name in ("metadata", "operations", "shapes")
        }
        paginators = _object(pages["pagination"], "pagination")
    except (*_UNREADABLE, StopIteration) as error:
        raise SystemExit(
            f"{wheel} cannot be read: is it a wheel of botocore with the WorkSpaces model?"
        ) from error
    return Source(
        botocore=version,
        wheel=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        service=json.loads(json.dumps(parts)),
        pages=json.loads(json.dumps(paginators)),
    )


_UNREADABLE = (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""Errors of files, archives, what is packed in them, and JSON; a RuntimeError is of an archive with a password."""


def _object(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no JSON object")
    entries: dict[str, object] = {**value}
    return entries


def _load(archive: zipfile.ZipFile, name: str) -> Mapping[str, object]:
    packed = f"{_FOLDER}{name}.gz" in archive.namelist()
    text = gzip.decompress(archive.read(f"{_FOLDER}{name}.gz")) if packed else archive.read(_FOLDER + name)
    return _object(json.loads(text), name)


def _versions(archive: zipfile.ZipFile) -> Iterator[str]:
    for name in archive.namelist():
        if name.startswith("botocore-") and name.endswith(".dist-info/METADATA"):
            lines = archive.read(name).decode().splitlines()
            yield from (line.removeprefix("Version: ") for line in lines if line.startswith("Version: "))


def _undocumented(value: object) -> object:
    """Leave out AWS's prose, which is not ours to copy; a member that is called so stays."""
    if isinstance(value, dict):
        entries: dict[str, object] = {**value}
        return {
            name: _undocumented(item)
            for name, item in entries.items()
            if not (name in ("documentation", "documentationUrl") and isinstance(item, str))
        }
    if isinstance(value, list):
        items: list[object] = [*value]
        return [_undocumented(item) for item in items]
    return value
