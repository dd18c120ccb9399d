"""Models that users derive from ours: what they declare and write stays theirs."""

from collections import deque
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, PlainSerializer, TypeAdapter, WrapSerializer, field_serializer

from workspaces_apps import Model, RequestValidationError
from workspaces_apps.api import DescribeWorkspacesResult, Tag, Workspace, WorkspaceState

MASKED = "***"


class Owner(BaseModel):
    """A model of somebody else's."""

    phones: list[str] = []


class Labelled(Workspace, frozen=True):
    """A WorkSpace with members of each kind that holds several values."""

    labels: list[str] = Field(default_factory=list[str])
    groups: set[str] = Field(default_factory=set[str])
    zones: frozenset[str] | None = None
    last: deque[str] = Field(default_factory=deque[str])
    tags: list[Tag] = Field(default_factory=list[Tag])
    pair: tuple[int, str] = (0, "")
    owner: Owner | None = None


SENT = {
    "WorkspaceId": "ws-1",
    "State": "AVAILABLE",
    "Labels": ["a"],
    "Groups": ["b"],
    "Zones": ["c"],
    "Last": ["d"],
    "Tags": [{"Key": "e"}],
    "Pair": [1, "f"],
    "Owner": {"phones": ["g"]},
}
HELD: dict[str, object] = {
    "labels": ["a"],
    "groups": {"b"},
    "zones": frozenset("c"),
    "last": deque("d"),
    "tags": [Tag(key="e")],
    "pair": (1, "f"),
}


def test_members_of_several_values_are_what_the_subclass_says() -> None:
    """Lists, sets, frozen sets and deques are read from the wire and from JSON, and go out as lists."""
    found = Labelled.from_wire(SENT)

    assert {name: getattr(found, name) for name in HELD} == HELD
    assert found.owner == Owner(phones=["g"])
    assert found.to_wire() == SENT
    assert Labelled.model_validate_json(found.model_dump_json()) == found
    assert TypeAdapter(list[Labelled]).validate_python([found.to_wire()]) == [found]


@pytest.mark.parametrize("kind", [list, tuple, deque])
def test_a_constructor_takes_any_sequence_for_them(kind: Any) -> None:
    """And any set; the attribute holds what it declares."""
    given: dict[str, Any] = {name: kind(value) for name, value in HELD.items()}

    found = Labelled(workspace_id="ws-1", state=WorkspaceState.AVAILABLE, owner=Owner(phones=["g"]), **given)

    assert {name: getattr(found, name) for name in HELD} == HELD
    assert found == Labelled.from_wire(SENT)


def test_what_no_set_can_hold_is_refused_by_name() -> None:
    """As anything else that is wrong."""
    wrong: Any = [["a"]]
    with pytest.raises(RequestValidationError, match="groups: Input should be a valid set, got a list of 1"):
        Labelled(workspace_id="ws-1", state=WorkspaceState.AVAILABLE, groups=wrong)


def test_null_counts_as_absent_for_lists_of_a_subclass_too() -> None:
    """`to_wire` gives it back."""
    sent = {"WorkspaceId": "ws-1", "State": "AVAILABLE", "Labels": None, "Groups": None}

    found = Labelled.from_wire(sent)

    assert (found.labels, found.groups) == ([], set())
    assert found.to_wire() == sent


class Masked(Workspace, frozen=True):
    """A WorkSpace that hides things."""

    note: Annotated[str, PlainSerializer(lambda _: MASKED)]
    wrapped: Annotated[str, WrapSerializer(lambda _, __: MASKED)]
    anything: Annotated[Any, PlainSerializer(lambda _: MASKED)]
    several: Annotated[tuple[str, ...], PlainSerializer(lambda _: MASKED)]
    plain: str

    @field_serializer("workspace_id", "user_name")
    def hide(self, _: object) -> str:
        """Write no name."""
        return MASKED


def test_a_serializer_of_the_subclass_holds() -> None:
    """For required and optional text and for anything, whichever way the model is written."""
    sent = {"Note": "a", "Wrapped": "b", "Anything": "c", "Plain": "d", "WorkspaceId": "e", "UserName": "f"}
    found = Masked.from_wire(sent | {"State": "AVAILABLE", "Several": ["g"]})
    masked = dict.fromkeys((*sent, "Several"), MASKED) | {"Plain": "d"}

    assert found.to_wire() == masked | {"State": "AVAILABLE"}
    assert found.model_dump(by_alias=True, include=ATTRIBUTES) == masked
    assert TypeAdapter(Masked).dump_python(found, mode="json", by_alias=True, include=ATTRIBUTES) == masked


ATTRIBUTES = {"note", "wrapped", "anything", "plain", "several", "workspace_id", "user_name"}


class Shortened(DescribeWorkspacesResult, frozen=True):
    """A page that writes its first WorkSpace only."""

    @field_serializer("workspaces")
    def shorten(self, workspaces: tuple[Workspace, ...]) -> list[Workspace]:
        """Leave the others out."""
        return list(workspaces[:1])


def test_a_serializer_may_leave_items_out() -> None:
    """Nulls of items, of which nobody knows any more where they belong, are then left out."""
    item = {"WorkspaceId": "ws-1", "State": "AVAILABLE"}

    found = Shortened.from_wire({"Workspaces": [item, item | {"ModificationStates": None}]})

    assert found.to_wire() == {"Workspaces": [item]}


def test_a_model_of_ones_own_may_hold_lists() -> None:
    """It derives from `Model` itself."""

    class Names(Model, frozen=True):
        """Names."""

        names: list[str]

    assert Names(names=["a"]) == Names.from_wire({"Names": ["a"]})
