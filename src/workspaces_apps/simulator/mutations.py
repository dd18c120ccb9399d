"""Answers made strange on purpose: new enum values, new members, and listings that go wrong."""

from workspaces_apps.simulator.model import ServiceModel
from workspaces_apps.simulator.wire import JsonObject, JsonValue

NEW_VALUE = "SIMULATED_NEW_VALUE"
NEW_MEMBER = "SimulatedNewMember"


def with_unknown_enum(model: ServiceModel, shape: str | None, answer: JsonObject) -> JsonObject:
    """The answer with a value in every enum that the model does not have."""
    changed = _replace_enums(model, shape, answer)
    return changed if isinstance(changed, dict) else answer


def _replace_enums(model: ServiceModel, shape: str | None, value: JsonValue) -> JsonValue:
    if shape is None:
        return value
    if isinstance(value, dict):
        members = model.member_shapes(shape)
        return {name: _replace_enums(model, members.get(name), item) for name, item in value.items()}
    if isinstance(value, list):
        element = model.element_shape(shape)
        return [_replace_enums(model, element, item) for item in value]
    return NEW_VALUE if isinstance(value, str) and model.enum(shape) else value


def with_unknown_field(answer: JsonObject) -> JsonObject:
    """The answer with a new member in every structure."""
    changed = _add_members(answer)
    return changed if isinstance(changed, dict) else answer


def _add_members(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        grown: JsonObject = {name: _add_members(item) for name, item in value.items()}
        grown[NEW_MEMBER] = {"Kind": "new", "Since": 1790000000.25}
        return grown
    if isinstance(value, list):
        return [_add_members(item) for item in value]
    return value


def with_empty_page(answer: JsonObject, token: str) -> JsonObject:
    """The answer without its items, and with a token that leads to where this page began."""
    emptied: JsonObject = {name: [] if isinstance(item, list) else item for name, item in answer.items()}
    emptied["NextToken"] = token
    return emptied
