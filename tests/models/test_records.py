"""Records as response models, and hints at run time for every public name."""

import importlib
import inspect
import json
import types as pytypes
import typing
import warnings
from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

import workspaces_apps
from workspaces_apps import (
    AssociationStatus,
    AttemptRecord,
    DeploymentOutcome,
    ResponseMeta,
    ThrottlingException,
    types,
)
from workspaces_apps.api import AssociationState

MODULES = (
    "workspaces_apps",
    "workspaces_apps.api",
    "workspaces_apps.errors",
    "workspaces_apps.types",
    "workspaces_apps.rollout",
    "workspaces_apps.rollout.report",
    "workspaces_apps.simulator",
    "workspaces_apps.distributed",
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
        if isinstance(found, type | pytypes.FunctionType):
            yield name, found
        if isinstance(found, type):
            for member, _ in inspect.getmembers(found):
                own: object = inspect.getattr_static(found, member)
                function = getattr(own, "__func__", None) or getattr(own, "fget", None) or own
                private = member.startswith("_") and member != "__init__"
                if inspect.isfunction(function) and not private and "workspaces_apps" in function.__module__:
                    yield f"{name}.{member}", function


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_its_hints(module: str) -> None:
    """`get_type_hints` and `inspect.signature(eval_str=True)` fail for none of them."""
    failed: dict[str, str] = {}
    names = list(public(module))
    for name, found in names:
        try:
            typing.get_type_hints(found)
            if callable(found) and not inspect.isclass(found):
                inspect.signature(found, eval_str=True)
        except (NameError, TypeError) as error:
            failed[name] = str(error)

    assert len(names) > 5
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


def test_no_setting_is_a_record() -> None:
    """What configures a client is not what it answers."""
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
