"""Open enums: a value that this release does not know is a value all the same."""

import copy
import gc
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tests.model.service_model import SHAPES, enums
from workspaces_apps._model import validation
from workspaces_apps._model.validation import OpenEnum
from workspaces_apps.api import (
    AssociationErrorCode,
    AssociationState,
    Compute,
    WorkSpaceApplication,
    WorkSpaceAssociatedResourceType,
)


def strangers() -> int:
    """Count the unknown values that are remembered."""
    gc.collect()
    return len(validation._strangers)  # pyright: ignore[reportPrivateUsage] # what it keeps is the property tested


@pytest.mark.parametrize("enum", enums(), ids=lambda enum: enum.__name__)
def test_members_are_those_of_the_service_model(enum: type[OpenEnum]) -> None:
    """Iteration, `len()` and `__members__` give the values of botocore's model, in its order, and no others."""
    enum("A value from next year")

    assert [member.value for member in enum] == SHAPES[enum.__name__].get("enum")
    assert len(enum) == len(enum.__members__) == len(SHAPES[enum.__name__].get("enum", ()))
    assert all(member.is_known for member in enum)


@given(text=st.text())
def test_any_string_is_a_value(text: str) -> None:
    """A string gives an object that is equal and hash-equal to it, and the same as long as it is in use."""
    value = AssociationState(text)

    assert value == text
    assert hash(value) == hash(text)
    assert text in {value, "another"}
    assert AssociationState(text) is value
    assert AssociationState(value) is value
    assert value.is_known == (text in list(AssociationState))
    assert (str(value), f"{value}", value.value) == (text, text, text)


def test_the_name_of_a_member_is_not_its_value() -> None:
    """Where name and value differ, the name as a value is unknown; so is the name that only checkers see."""
    by_name = AssociationErrorCode("VALIDATION_ERROR_INSUFFICIENT_MEMORY")

    assert not by_name.is_known
    assert by_name != AssociationErrorCode.VALIDATION_ERROR_INSUFFICIENT_MEMORY
    assert not AssociationErrorCode("_OPEN").is_known
    with pytest.raises(AttributeError, match=r"AssociationErrorCode\._OPEN .* `is_known`"):
        getattr(AssociationErrorCode, "_OPEN")  # noqa: B009 - it is there for checkers
    assert not hasattr(AssociationErrorCode, "NEW")


def test_equal_strangers_of_two_enums_are_two() -> None:
    """The cache is per enum: the same text in another enum is another object of that enum."""
    state, compute = AssociationState("NEW"), Compute("NEW")

    assert (type(state), type(compute)) == (AssociationState, Compute)
    assert state == "NEW"
    assert compute == "NEW"


@pytest.mark.parametrize("value", [5, None, b"ERROR", ["ERROR"], 1.0, True])
def test_what_is_no_string_is_no_value(value: object) -> None:
    """Only strings are open; anything else is a ValueError, in pydantic a ValidationError."""
    with pytest.raises(ValueError, match="not a valid AssociationState"):
        AssociationState(value)  # type: ignore[arg-type]  # the mistake that is tested
    with pytest.raises(ValidationError):
        TypeAdapter(AssociationState).validate_python(value)


def test_the_member_of_another_enum_is_refused() -> None:
    """A member of another enum is a string, but in a model it is a mistake."""
    with pytest.raises(ValidationError, match="must be a member of the enum"):
        TypeAdapter(AssociationState).validate_python(Compute.VALUE)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("text", ["COMPLETED", "NEW", ""])
def test_pickling_gives_the_same_object(text: str, protocol: int) -> None:
    """Every pickle protocol gives back the very object, known or not."""
    value = AssociationState(text)

    assert pickle.loads(pickle.dumps(value, protocol)) is value


@pytest.mark.parametrize("text", ["COMPLETED", "NEW"])
def test_copies_are_the_same_object(text: str) -> None:
    """Copying an enum value, shallow or deep, alone or inside something, copies nothing."""
    value = AssociationState(text)

    assert copy.copy(value) is value
    assert copy.deepcopy({"a": [value]})["a"][0] is value


def test_hostile_values_leave_nothing() -> None:
    """Two hundred thousand different unknown values are forgotten as soon as nobody holds them."""
    before = strangers()

    for number in range(200_000):
        AssociationState(f"hostile {number}")

    assert strangers() == before


def test_threads_get_one_object_per_value() -> None:
    """Sixteen threads that meet the same unknown values at the same time agree on the objects."""
    start = Barrier(16)

    def meet(_: int) -> list[AssociationState]:
        start.wait()
        return [AssociationState(f"met {number}") for number in range(500)]

    with ThreadPoolExecutor(16) as pool:
        first, *others = pool.map(meet, range(16))

    assert all(one is other for values in others for one, other in zip(first, values, strict=True))


def test_pydantic_reads_and_writes_the_string() -> None:
    """From JSON and from Python a value becomes the enum; back in JSON it is a plain string, without a warning."""
    adapter = TypeAdapter(list[AssociationState])

    read = adapter.validate_json(b'["ERROR", "NEW"]')

    assert read == adapter.validate_python(["ERROR", "NEW"])
    assert [value.is_known for value in read] == [True, False]
    assert [type(value) for value in adapter.dump_python(read, mode="json")] == [str, str]
    assert json.loads(adapter.dump_json(read)) == ["ERROR", "NEW"]


@pytest.mark.parametrize("enum", [AssociationState, WorkSpaceAssociatedResourceType])
def test_json_schema_is_open(enum: type[OpenEnum]) -> None:
    """The schema says string and gives the known values as examples, for an enum of one value too."""
    schema = TypeAdapter(enum).json_schema()

    assert schema["type"] == "string"
    assert schema["examples"] == [member.value for member in enum]
    assert not {"enum", "const"} & schema.keys()
    assert "examples" in WorkSpaceApplication.model_json_schema()["$defs"]["Compute"]
