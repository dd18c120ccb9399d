"""Docstrings below the attributes of classes, read from the source, and their place in JSON Schemas."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final
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
