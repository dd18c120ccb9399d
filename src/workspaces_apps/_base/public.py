"""Public paths of classes that are defined inside, and the type of their points in time."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar

from workspaces_apps._base.attribute_docs import DEFINED_IN, AttributesInSchema

ClassT = TypeVar("ClassT", bound=type)
_IN_SCHEMA: Final = AttributesInSchema.__get_pydantic_json_schema__.__name__


def public(path: str) -> Callable[[ClassT], ClassT]:
    """Let a class say that it lives where users import it, so that pickles and tracebacks survive a move inside.

    Its annotations are evaluated first, in the module that defines it: `typing.get_type_hints` would look for their names
    in the public module otherwise. A dataclass has its attributes in its JSON Schema; a model is to derive from
    `AttributesInSchema`.

    Args:
        path: The dotted name of the public module.
    """

    def mark(cls: ClassT) -> ClassT:
        known = {**vars(cls), cls.__name__: cls}
        annotations = inspect.get_annotations(
            cls, globals=vars(sys.modules[cls.__module__]), locals=known, eval_str=True
        )
        if annotations:
            cls.__annotations__ = annotations
        # pydantic reads a dataclass by its fields, which have kept the strings.
        for name, field in vars(cls).get("__dataclass_fields__", {}).items():
            field.type = annotations.get(name, field.type)
        if "__dataclass_fields__" in vars(cls) and not hasattr(cls, _IN_SCHEMA):
            setattr(cls, _IN_SCHEMA, vars(AttributesInSchema)[_IN_SCHEMA])
        DEFINED_IN[cls] = cls.__module__
        cls.__module__ = path
        return cls

    return mark


if TYPE_CHECKING:
    Datetime: TypeAlias = datetime
else:
    # In frozen time the name `datetime` stands for a subclass of freezegun's, which pydantic does not know. The
    # annotation keeps freezegun from replacing the alias as well.
    Datetime = Annotated[
        next(base for base in datetime.__mro__ if base.__module__ == "datetime"), "a point in time"
    ]
