"""Records as response models, and hints at run time for every public name."""

import dataclasses
import importlib
import inspect
import json
import subprocess
import sys
import types as pytypes
import typing
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, TypeAdapter

import workspaces_apps
from workspaces_apps import (
    AssociationStatus,
    AttemptRecord,
    DeploymentOutcome,
    ResponseMeta,
    ThrottlingException,
    rollout,
    types,
)
from workspaces_apps.api import AssociationState
from workspaces_apps.rollout import Price

MODULES = (
    "workspaces_apps",
    "workspaces_apps.api",
    "workspaces_apps.errors",
    "workspaces_apps.types",
    "workspaces_apps.rollout",
    "workspaces_apps.rollout.report",
    "workspaces_apps.simulator",
    "workspaces_apps.distributed",
    "workspaces_apps.pytest_plugin",
    "workspaces_apps._waiters",
)


def public(module: str) -> Iterator[tuple[str, object]]:
    """The public names of a module with what they stand for, and the public methods of classes."""
    home = importlib.import_module(module)
    names: list[str] = getattr(home, "__all__", [name for name in vars(home) if not name.startswith("_")])
    for name in names:
        found: object = getattr(home, name)
        if isinstance(found, type) and found.__module__.partition(".")[0] != "workspaces_apps":
            continue
        if (
            isinstance(found, pytypes.FunctionType)
            and "__all__" not in vars(home)
            and found.__module__ != module
        ):
            continue
        # pytest wraps fixtures, with a way back.
        if isinstance(found, type | pytypes.FunctionType) or hasattr(found, "_get_wrapped_function"):
            yield name, found
        if isinstance(found, type):
            for member, _ in inspect.getmembers(found):
                own: object = inspect.getattr_static(found, member)
                function = getattr(own, "__func__", None) or getattr(own, "fget", None) or own
                private = member.startswith("_") and member != "__init__"
                if inspect.isfunction(function) and not private and "workspaces_apps" in function.__module__:
                    yield f"{name}.{member}", function


WITH_ERRORS = ("AttemptRecord", "PollRecord", "RefreshRecord", "RetryRecord", "DeploymentOutcome")
"""Records that may hold an error, which is not read back."""

MADE_OTHERWISE = ("Amount", "LicenceCount", "Plan", "Report", "Status")
"""Records whose values depend on each other; their own tests write and read them."""

RECORDS_READ_BACK = [one for one in types.RECORDS if one.__name__ not in (*WITH_ERRORS, *MADE_OTHERWISE)]


def values_of(kind: object) -> st.SearchStrategy[Any]:
    """Return values of an annotation as JSON can hold them."""
    text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=","), max_size=8)
    times = st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
    simple: dict[object, st.SearchStrategy[Any]] = {
        str: text,
        float: st.floats(0, 1e9),
        timedelta: st.integers(-(10**6), 10**9).map(lambda number: timedelta(milliseconds=number)),
        datetime: times,
        AwareDatetime: times,
        Price: st.builds(
            Price,
            monthly=st.decimals(0, 1_000_000, places=2),
            currency=st.from_regex("[A-Z]{3}", fullmatch=True),
        ),
    }
    if kind in simple:
        return simple[kind]
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return values_of(parts[0])
    if origin in (typing.Union, pytypes.UnionType):
        return st.one_of(*map(values_of, parts))
    if origin is tuple:
        if parts[-1] is Ellipsis:
            return st.lists(values_of(parts[0]), max_size=2).map(tuple)
        return st.tuples(*map(values_of, parts))
    if origin is Mapping or origin is dict:
        return st.dictionaries(values_of(parts[0]), values_of(parts[1]), max_size=2)
    if isinstance(kind, type) and (dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel)):
        hints = typing.get_type_hints(kind)
        names = [name for name in inspect.signature(kind).parameters if not name.startswith("_")]
        return st.builds(kind, **{name: values_of(hints[name]) for name in names})
    return st.from_type(kind)  # type: ignore[arg-type]  # what is left are classes and literals


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_its_hints(module: str) -> None:
    """`get_type_hints` and `inspect.signature(eval_str=True)` fail for none of them."""
    failed: dict[str, str] = {}
    names = list(public(module))
    for name, found in names:
        try:
            typing.get_type_hints(found)
            if callable(found):
                inspect.signature(found, eval_str=True)
        except (NameError, TypeError, ValueError) as error:
            failed[name] = str(error)

    assert len(names) > 3
    assert failed == {}


@pytest.mark.parametrize("record", types.RECORDS, ids=lambda record: record.__qualname__)
def test_a_record_is_usable_as_a_response(record: type) -> None:
    """By TypeAdapter and as a FastAPI response model, with a schema, and without a warning."""
    app = FastAPI()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema = TypeAdapter(record).json_schema(mode="serialization")
        app.add_api_route("/x", lambda: None, response_model=record)
        described = app.openapi()

    assert schema["type"] == "object"
    assert "/x" in described["paths"]


def test_every_kind_of_event_is_a_record() -> None:
    """The union of events names nothing that the list of records lacks."""
    kinds = typing.get_args(rollout.Event)

    assert len(kinds) > 15
    assert set(kinds) <= set(types.RECORDS)


@pytest.mark.parametrize("record", RECORDS_READ_BACK, ids=lambda record: record.__qualname__)
@given(data=st.data())
@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_record_is_read_as_it_was_written(record: type, data: st.DataObject) -> None:
    """Without an error in it, whatever its values are, keys of tuples included."""
    one: object = data.draw(values_of(record))
    adapter: TypeAdapter[object] = TypeAdapter(record)

    assert adapter.validate_json(adapter.dump_json(one)) == one


@pytest.mark.parametrize("module", MODULES[:-2])
def test_every_public_protocol_can_be_checked_at_run_time(module: str) -> None:
    """beartype and typeguard ask `isinstance`, which refuses a protocol that does not allow it."""
    names = [found for _, found in public(module) if getattr(found, "_is_protocol", False)]

    assert [found for found in names if not getattr(found, "_is_runtime_protocol", False)] == []


def test_no_setting_is_a_record() -> None:
    """Settings of a client are not its answers."""
    names = {record.__name__ for record in types.RECORDS}

    assert names >= {"DeploymentOutcome", "AssociationChange", "AssociationStatus", "RequestRecord", "Report"}
    assert not names & {"ClientConfig", "RetryPolicy", "PacingRegistry", "Credentials", "Hooks"}


def test_an_error_in_a_record_is_four_members() -> None:
    """Type, code, message and request id; it is not read back."""
    error = ThrottlingException("Rate exceeded", code="ThrottlingException", request_id="r-1")
    record = AttemptRecord(operation="DescribeTags", attempt=1, elapsed=0.5, outcome="throttle", error=error)
    adapter = TypeAdapter(AttemptRecord)

    assert json.loads(adapter.dump_json(record))["error"] == {
        "type": "ThrottlingException",
        "code": "ThrottlingException",
        "message": "Rate exceeded",
        "request_id": "r-1",
    }
    assert adapter.validate_python(record) is record
    with pytest.raises(ValueError, match="not read back"):
        adapter.validate_json(adapter.dump_json(record))


def test_an_outcome_comes_back_from_its_json() -> None:
    """Without an error in it, a record is read as it was written."""
    outcome = DeploymentOutcome(
        workspace_id="ws-1",
        associations=(
            AssociationStatus(application_id="wsa-1", state=AssociationState("NEW"), wanted="installed"),
        ),
        elapsed=timedelta(seconds=3),
        polls=2,
    )
    adapter = TypeAdapter(DeploymentOutcome)

    assert adapter.validate_json(adapter.dump_json(outcome)) == outcome


def test_headers_of_an_answer_can_be_read_only() -> None:
    """By name in lower case; equal, hashable and the same after a round trip."""
    headers: typing.Any = ResponseMeta(headers={"X-Amzn-RequestId": "r-1"}).headers

    assert dict(headers) == {"x-amzn-requestid": "r-1"}
    with pytest.raises(TypeError):
        headers["x"] = "y"
    meta = ResponseMeta(headers=headers)
    adapter = TypeAdapter(ResponseMeta)
    assert adapter.validate_json(adapter.dump_json(meta)) == meta
    assert hash(meta) == hash(ResponseMeta(headers={"x-amzn-requestid": "r-1"}))


def test_types_lists_what_it_has() -> None:
    """Each name of the namespace exists, and one that does not is an AttributeError."""
    assert all(getattr(types, name) for name in types.__all__)
    assert set(types.__all__) - set(dir(types)) == {"RECORDS"}
    with pytest.raises(AttributeError, match="no_such"):
        getattr(types, "no_such")  # noqa: B009
    assert workspaces_apps.Paginated is types.Paginated


IN_ANOTHER_TIME = """
import datetime

import pydantic
import pydantic.dataclasses

REAL = datetime.datetime


class Fake(REAL):
    pass


pydantic.TypeAdapter(REAL)
datetime.datetime = Fake
from workspaces_apps import Credentials, types
from workspaces_apps.rollout import Plan

for record in (*types.RECORDS, Credentials, Plan):
    pydantic.TypeAdapter(record)
datetime.datetime = REAL
for record in (*types.RECORDS, Credentials, Plan):
    pydantic.TypeAdapter(record)
print("both")
"""


def test_records_that_are_first_imported_in_frozen_time_are_records() -> None:
    """Tools that stop time put a class of their own in the place of `datetime`, which pydantic does not know."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IN_ANOTHER_TIME], capture_output=True, text=True, check=False
    )

    assert done.stdout == "both\n", done.stderr[-2000:]
