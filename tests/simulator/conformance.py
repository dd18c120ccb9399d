"""Checks of an answer against the service model: names, types, enum values, patterns, required members."""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from workspaces_apps.simulator import Recorder


@cache
def model() -> dict[str, Any]:
    """The service model, as plain JSON."""
    kept = files("workspaces_apps.simulator") / "service.json"
    document: dict[str, Any] = json.loads(kept.read_bytes())
    return document


def problems(operation: str, answer: object) -> list[str]:
    """The faults of an answer; none, if it conforms."""
    output = model()["operations"][operation].get("output")
    return list(_check(output["shape"], answer, operation)) if output else []


def _check(name: str, value: Any, path: str) -> list[str]:
    shape = model()["shapes"][name]
    match shape["type"]:
        case "structure":
            return _check_structure(shape, value, path)
        case "list":
            if not isinstance(value, list):
                return [f"{path} is no list"]
            items: list[Any] = [*value]
            return [
                problem
                for index, item in enumerate(items)
                for problem in _check(shape["member"]["shape"], item, f"{path}[{index}]")
            ]
        case "map":
            return [] if isinstance(value, dict) else [f"{path} is no map"]
        case "string":
            return _check_string(shape, value, path)
        case "boolean":
            return [] if isinstance(value, bool) else [f"{path} is no boolean"]
        case _:
            good = isinstance(value, int | float) and not isinstance(value, bool)
            return [] if good else [f"{path} is no number"]


def _check_structure(shape: dict[str, Any], value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path} is no structure"]
    given: dict[str, Any] = {**value}
    members = {member.get("locationName", name): member["shape"] for name, member in shape["members"].items()}
    found = [f"{path} lacks {name}" for name in shape.get("required", ()) if name not in given]
    for name, item in given.items():
        if name not in members:
            found.append(f"{path} has an unknown member {name}")
        else:
            found += _check(members[name], item, f"{path}.{name}")
    return found


def _check_string(shape: dict[str, Any], value: Any, path: str) -> list[str]:
    if not isinstance(value, str):
        return [f"{path} is no string"]
    if "enum" in shape and value not in shape["enum"]:
        return [f"{path} is {value!r}, which the enum does not have"]
    if "pattern" in shape and not re.fullmatch(shape["pattern"], value):
        return [f"{path} is {value!r}, which breaks {shape['pattern']}"]
    return []


def check_recorded(requests: Recorder) -> None:
    """Hold every successful answer against the model."""
    found = [
        problem
        for record in requests
        if record.status == 200 and record.fault is None and record.answer is not None
        if record.operation is not None and record.operation in model()["operations"]
        for problem in problems(record.operation, record.answer)
    ]
    assert found == []
