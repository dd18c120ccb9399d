"""The public path of a class that is defined inside."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import TypeVar

ClassT = TypeVar("ClassT", bound=type)


def public(path: str) -> Callable[[ClassT], ClassT]:
    """Let a class say that it lives where users import it, so that pickles and tracebacks survive a move inside.

    Its annotations are evaluated first, in the module that defines it: `typing.get_type_hints` would look for their names
    in the public module otherwise.

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
        cls.__module__ = path
        return cls

    return mark
