"""Answers made strange on purpose: new enum values, new members, texts of odd characters, listings that go wrong."""

from collections.abc import Callable

from workspaces_apps.simulator._model import ServiceModel
from workspaces_apps.simulator._wire import JsonObject, JsonValue

NEW_VALUE = "SIMULATED_NEW_VALUE"
NEW_MEMBER = "SimulatedNewMember"
CONTROL_CHARACTERS = "\r\n\x1b[31m\x00"
# Of the same length as a surrogate in either protocol, so that it can be exchanged in the finished body.
_STAND_IN = "\ue000"
_EXCHANGES = ((b"\\ue000", b"\\ud800"), (b"\xee\x80\x80", b"\xed\xa0\x80"))


def with_unknown_enum(model: ServiceModel, shape: str | None, answer: JsonObject) -> JsonObject:
    """The answer with a value in every enum that the model does not have."""
    return _with_texts(model, shape, answer, lambda text, name: NEW_VALUE if model.enum(name) else text)


def with_control_characters(model: ServiceModel, shape: str | None, answer: JsonObject) -> JsonObject:
    """Return the answer with a line break, an escape sequence and NUL at the end of every free text."""
    return _with_texts(
        model, shape, answer, lambda text, name: text + CONTROL_CHARACTERS if model.is_free(name) else text
    )


def with_surrogate_places(model: ServiceModel, shape: str | None, answer: JsonObject) -> JsonObject:
    """Return the answer with a place at the end of every free text for `with_unpaired_surrogate` to fill."""
    return _with_texts(
        model, shape, answer, lambda text, name: text + _STAND_IN if model.is_free(name) else text
    )


def with_unpaired_surrogate(body: bytes) -> bytes:
    """Return the body with unpaired surrogates in their places: legal escapes in JSON, broken UTF-8 in CBOR."""
    for stand_in, surrogate in _EXCHANGES:
        body = body.replace(stand_in, surrogate)
    return body


def _with_texts(
    model: ServiceModel, shape: str | None, answer: JsonObject, change: Callable[[str, str], str]
) -> JsonObject:
    changed = _change_texts(model, shape, answer, change)
    return changed if isinstance(changed, dict) else answer


def _change_texts(
    model: ServiceModel, shape: str | None, value: JsonValue, change: Callable[[str, str], str]
) -> JsonValue:
    if shape is None:
        return value
    if isinstance(value, dict):
        members = model.member_shapes(shape)
        return {
            name: item if name == "NextToken" else _change_texts(model, members.get(name), item, change)
            for name, item in value.items()
        }
    if isinstance(value, list):
        element = model.element_shape(shape)
        return [_change_texts(model, element, item, change) for item in value]
    return change(value, shape) if isinstance(value, str) else value


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
