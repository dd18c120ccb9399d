"""Public classes: the module that users import them from, and the text of their attributes for editors and schemas."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


DEFINED_IN: Final = WeakKeyDictionary[type, str]()
"""The module with the source of each class that names a public one as its home."""


def attribute_docs(cls: type) -> Mapping[str, str]:
    """Return the text below each attribute that a class has in its own body, by name.

    Whoever ships the package without its sources has none.
    """
    return _by_class(DEFINED_IN.get(cls, cls.__module__)).get(cls.__name__, {})


@cache
def _by_class(module: str) -> Mapping[str, Mapping[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):  # of a module that is gone, has no source, or has no file
        return {}
    return {node.name: _attributes(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _attributes(node: ast.ClassDef) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for statement, below in zip(node.body, node.body[1:], strict=False):
        match statement, below:
            case (
                ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
            case _:
                pass
    return found


def without_examples(doc: str) -> str:
    """Return a class's docstring without the section that ends it: Python, which no reader of a schema wants."""
    return doc.partition("\n\nExamples:\n")[0]


class AttributesInSchema:
    """A class whose description in JSON Schema ends with its attributes."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        docs = attribute_docs(cls)
        inner = handler.resolve_ref_schema(described)
        # A user's subclass may have no docstring, and with -OO nothing has one.
        if "description" in inner:
            inner["description"] = without_examples(inner["description"])
        if docs:
            rows = (f"    {name}: {text.replace(chr(10), chr(10) + ' ' * 8)}" for name, text in docs.items())
            text = f"{inner['description']}\n\n" if "description" in inner else ""
            inner["description"] = text + "\n".join(("Attributes:", *rows))
        return described


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
