"""Everything that the API release of 2023-10-05 named is in the generated package: held against a list of names."""

import inspect
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin

import pytest
from pydantic.fields import FieldInfo

from workspaces_apps import WorkSpacesClient, api
from workspaces_apps._model.models import Model, Request
from workspaces_apps._model.validation import OpenEnum

RELEASE = tomllib.loads((Path(__file__).parent / "facts" / "founding_release.toml").read_text("utf-8"))
OPERATIONS: dict[str, str] = {name: entry["method"] for name, entry in RELEASE["operations"].items()}

SCALARS: dict[str, type] = {"string": str, "integer": int, "boolean": bool, "timestamp": datetime}

RELAXED = {
    # Since data replication can be changed alone, the properties may be left out.
    ("ModifyWorkspaceProperties", "WorkspaceProperties"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A member that the release named, by its path of wire names.

    Attributes:
        operation: The operation that takes or gives it.
        side: "request" or "response".
        path: Its wire names from the top, `[]` for an item of a list.
        kind: Its type in the service model.
        required: Whether the release required it.
        values: The enum values known then; empty for what is not an enum.
    """

    operation: str
    side: str
    path: str
    kind: str
    required: bool
    values: frozenset[str]

    @property
    def name(self) -> str:
        """Where a test's name points."""
        return f"{self.operation}-{self.side}-{self.path}"


def _named() -> Iterator[Named]:
    for operation, entry in RELEASE["operations"].items():
        for side in ("request", "response"):
            for path, fact in entry[side].items():
                yield Named(
                    operation=operation,
                    side=side,
                    path=path,
                    kind=fact["type"],
                    required=fact.get("required", False),
                    values=frozenset(fact.get("values", ())),
                )


NAMED = tuple(_named())
PARAMETERS = [named for named in NAMED if named.side == "request" and named.path.isidentifier()]
FIELDS = [named for named in NAMED if named.side == "request" and not named.path.endswith("[]")]
ENUMS = [named for named in NAMED if named.values]


def _request(operation: str) -> type[Request]:
    found: object = getattr(api, f"{operation}Request")
    assert isinstance(found, type)
    assert issubclass(found, Request)
    return found


def _top(named: Named) -> type[Model]:
    if named.side == "request":
        return _request(named.operation)
    found: object = getattr(api, f"{named.operation}Result")
    assert isinstance(found, type)
    assert issubclass(found, Model)
    return found


def _plain(annotation: object) -> object:
    """The annotation without `None` and without pydantic's notes."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin in (Union, UnionType):
        (kind,) = (choice for choice in get_args(annotation) if choice is not NoneType)
        return _plain(kind)
    return annotation


def _item(annotation: object) -> object:
    assert get_origin(annotation) is tuple, f"{annotation} is not a list"
    item, rest = get_args(annotation)
    assert rest is Ellipsis
    return _plain(item)


def _fields(structure: object) -> dict[str, tuple[str, FieldInfo]]:
    """The attribute and field of each member, by its wire name."""
    assert isinstance(structure, type)
    assert issubclass(structure, Model)
    return {
        field.serialization_alias or name: (name, field) for name, field in structure.model_fields.items()
    }


def _attribute(named: Named) -> tuple[str, FieldInfo, object]:
    """The attribute that a path ends at, its field, and the type at the path's very end."""
    structure: object = _top(named)
    attribute = None
    for part in named.path.split("."):
        wire, *lists = part.split("[]")
        name, field = _fields(structure)[wire]
        attribute = (name, field)
        structure = _plain(field.annotation)
        for _ in lists:
            structure = _item(structure)
    assert attribute is not None
    return (*attribute, structure)


def test_the_list_holds_eight_new_and_three_updated_operations() -> None:
    """The list that the other tests go by is whole."""
    changes = [entry["change"] for entry in RELEASE["operations"].values()]

    assert (changes.count("new"), changes.count("updated"), len(changes)) == (8, 3, 11)
    assert (len(NAMED), sum(len(named.values) for named in NAMED)) == (252, 368)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_its_request_and_its_result(operation: str) -> None:
    """An operation's request class names the operation and knows the result class of the same name."""
    request = _request(operation)

    assert request.facts.name == operation
    result_type: object = getattr(request, "result_type", None)
    assert callable(result_type)
    assert result_type() is getattr(api, f"{operation}Result")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_a_method_of_the_client_with_its_parameters(operation: str) -> None:
    """The client's method has boto3's name, and takes every parameter by the name that the model gives it."""
    method: object = getattr(WorkSpacesClient, OPERATIONS[operation])
    assert callable(method)
    wanted = {_attribute(named)[0] for named in PARAMETERS if named.operation == operation}

    assert wanted <= inspect.signature(method).parameters.keys()


@pytest.mark.parametrize("named", NAMED, ids=lambda named: named.name)
def test_every_member_is_there_with_its_type(named: Named) -> None:
    """A member is reached by its wire names, however deep it lies, and has the type that the release gave it."""
    _, _, annotation = _attribute(named)

    if named.kind == "list":
        _item(annotation)
        return
    assert isinstance(annotation, type)
    assert issubclass(annotation, Model if named.kind == "structure" else SCALARS[named.kind])
    assert not (named.kind == "integer" and annotation is bool)


@pytest.mark.parametrize("named", ENUMS, ids=lambda named: named.name)
def test_every_enum_value_is_there(named: Named) -> None:
    """No value that the release listed for a member is missing from that member's enum."""
    _, _, annotation = _attribute(named)

    assert isinstance(annotation, type)
    assert issubclass(annotation, OpenEnum)
    assert named.values <= {member.value for member in annotation}


@pytest.mark.parametrize("named", FIELDS, ids=lambda named: named.name)
def test_a_request_requires_what_the_release_required(named: Named) -> None:
    """Nothing became required that was not, and what was required still is, unless the service relaxed it."""
    name, field, _ = _attribute(named)

    always_sent = named.side == "request" and name in _request(named.operation).always_sent
    relaxed = always_sent or (named.operation, named.path) in RELAXED
    assert field.is_required() == (named.required and not relaxed)
