"""Reading what a parser made of a file: lists, single values where a list is meant, tables, text and durations."""

import re
from collections.abc import Mapping, Sequence, Set
from datetime import timedelta
from typing import Annotated, Final, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypeIs

_DURATION: Final = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?\Z")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


def is_list(value: object) -> TypeIs[list[object]]:
    """Tell if it is a list, of whatever."""
    return isinstance(value, list)


def is_table(value: object) -> TypeIs[Mapping[object, object]]:
    """Tell if it is a mapping, of whatever to whatever."""
    return isinstance(value, Mapping)


def is_collection(value: object) -> TypeIs[Sequence[object] | Set[object]]:
    """Tell if it is a sequence or a set that is no text."""
    return isinstance(value, Sequence | Set) and not isinstance(value, str | bytes | bytearray)


def listed(value: object) -> object:
    """A list, or any other sequence or set, as the tuple that frozen models hold."""
    return tuple(value) if is_collection(value) else value


def several(value: object) -> object:
    """One string where a list of them is meant."""
    return (value,) if isinstance(value, str) else listed(value)


def is_row(value: object) -> TypeIs[list[object] | tuple[object, ...]]:
    """Tell if it is a list or a tuple, of whatever."""
    return isinstance(value, list | tuple)


def flaw_of(text: str) -> str | None:
    """Return the reason for which a text cannot be part of a manifest; None if it can.

    Half of a surrogate pair is no character: neither a journal nor a request can hold it. A control character could
    be held, but nothing in the service is named with one: a name or id that has one would fit nothing, in silence.
    """
    if half := _SURROGATE.search(text):
        return f"holds half a character (U+{ord(half[0]):04X}), which no file can hold"
    if control := _CONTROL.search(text):
        return f"holds the control character U+{ord(control[0]):04X}, which no name or id can have"
    return None


def without_flaws(text: str) -> str:
    """The text with a question mark for each character that cannot be part of a manifest."""
    return _CONTROL.sub("?", _SURROGATE.sub("?", text))


def _check_plain(value: object) -> object:
    flaw = flaw_of(value) if isinstance(value, str) else None
    if flaw is not None:
        raise PydanticCustomError("text", "{flaw}", {"flaw": flaw})
    return value


PLAIN: Final = BeforeValidator(_check_plain)
"""Makes a field of text refuse what cannot be part of a manifest."""


def _read_seconds(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        found = _DURATION.match(value)
        if found is None or not value:
            raise PydanticCustomError(
                "duration", "a duration is a number of seconds, or written like 1h30m or 90s"
            )
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return float(days * 86_400 + hours * 3600 + minutes * 60 + seconds)
    return value


Seconds: TypeAlias = Annotated[
    float,
    BeforeValidator(_read_seconds, json_schema_input_type=float | str),
    Field(ge=0, le=10_000_000, allow_inf_nan=False),
]
"""A duration in seconds, as a timedelta, or written like ``14d``, ``1h30m`` or ``90s``."""

SecondsLike: TypeAlias = timedelta | float | str
"""The same as a constructor takes it."""
