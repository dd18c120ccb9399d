"""Enums that take values they do not know."""

import inspect
import threading
from enum import Enum, EnumType, StrEnum
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from workspaces_apps._base.public import public
from workspaces_apps._model.descriptions import descriptions_of
from workspaces_apps._model.values import TEXT

_strangers: WeakValueDictionary[tuple[type["OpenEnum"], str], "OpenEnum"] = WeakValueDictionary()
# Reentrant: a signal handler or a finalizer that runs while the lock is held may meet a stranger too.
_strangers_lock = threading.RLock()


class OpenEnumType(EnumType):
    """The type of open enums, which tells readers of `_OPEN`, a member for checkers only, what to ask instead."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name):
            """Refuse a name that is not there, `_OPEN` with words of its own."""
            if name == "_OPEN":
                raise AttributeError(
                    f"{cls.__name__}._OPEN is there for type checkers only; ask `is_known` of a value"
                )
            # Python 3.11 finds members by a method of this name; later releases have none.
            inherited = getattr(super(), "__getattr__", None)
            if inherited is None:
                raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
            return inherited(name)


@public("workspaces_apps")
class OpenEnum(StrEnum, metaclass=OpenEnumType):
    """A string enum that takes values it does not know, because the service adds values without notice.

    A value outside the members gives a pseudo-member: equal and hash-equal to its string, the same object for as
    long as it is in use, with `is_known` False. Iteration, `len()` and `__members__` see the known members only.
    """

    @property
    def is_known(self) -> bool:
        """Tell if the value is one of the members of this release."""
        return self._value_ in type(self)._value2member_map_

    @classmethod
    def _missing_(cls, value: object) -> "OpenEnum | None":
        if not isinstance(value, str):
            return None
        text = str(value)
        with _strangers_lock:
            stranger = _strangers.get((cls, text))
            if stranger is None:
                stranger = str.__new__(cls, text)
                stranger._value_ = text
                stranger._name_ = text
                _strangers[cls, text] = stranger
        return stranger

    def __reduce_ex__(self, proto: object) -> tuple[object, ...]:
        return type(self), (self._value_,)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type["OpenEnum"], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        described = core_schema.enum_schema(cls, list(cls.__members__.values()), sub_type="str", strict=False)

        def convert(value: object) -> "OpenEnum":
            if isinstance(value, cls):
                return value
            # pydantic would take bytes, and the members of other enums are strings too.
            if isinstance(value, Enum) or not isinstance(value, str):
                raise PydanticCustomError("enum", "must be a member of the enum or a str")
            return cls(value)

        return core_schema.json_or_python_schema(
            described,
            # Whatever strictness is asked for: a string is how a caller may spell a member.
            core_schema.no_info_plain_validator_function(convert),
            ref=f"{cls.__module__}.{cls.__qualname__}",
            serialization=TEXT,
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # The schema of its values, not of the text that is written for them.
        values: Any = {key: value for key, value in schema.items() if key != "serialization"}
        described = handler.resolve_ref_schema(handler(values))
        known = described.pop("enum", None) or [described.pop("const")]
        texts = descriptions_of(cls)
        rows = [f"- `{value}`: {texts[value.name]}" for value in cls if value.name in texts]
        if rows:
            described["description"] = "\n\n".join((inspect.getdoc(cls) or cls.__name__, "\n".join(rows)))
        return described | {"examples": known}
