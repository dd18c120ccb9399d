"""JSON Schema of manifest files, with the descriptions that the models' docstrings have."""

import inspect
import re
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from workspaces_apps._model.values import JsonObject

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+): (.*)$")


def described(model: type[BaseModel], others: Mapping[str, type[BaseModel]]) -> JsonObject:
    """Return the JSON Schema of a model, each property with its description.

    Args:
        model: The model.
        others: The models within it, by the name that they have in the schema.
    """
    schema: JsonObject = model.model_json_schema(mode="validation")
    _describe(schema, model)
    definitions = schema.get("$defs")
    if isinstance(definitions, dict):
        for name, definition in definitions.items():
            if name in others and isinstance(definition, dict):
                _describe(definition, others[name])
    return {"$schema": DIALECT, **schema}


def _describe(schema: JsonObject, model: type[BaseModel]) -> None:
    summary, attributes = _read(inspect.getdoc(model) or "")
    schema["description"] = summary
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    for name, one in properties.items():
        if isinstance(one, dict) and name in attributes:
            one["description"] = attributes[name]
            # A title that only repeats the key says nothing in an editor.
            one.pop("title", None)


def _read(docstring: str) -> tuple[str, dict[str, str]]:
    """Return the first paragraph of a docstring, and its attributes."""
    head, _, tail = docstring.partition("\nAttributes:\n")
    attributes: dict[str, str] = {}
    name = ""
    for line in tail.splitlines():
        found = _ATTRIBUTE.match(line)
        if found is not None:
            name = found[1]
            attributes[name] = found[2]
        elif name and line.startswith(" " * 8):
            attributes[name] += f" {line.strip()}"
        elif line.strip():
            break
    return " ".join(head.split()), attributes
