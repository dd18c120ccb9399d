"""Descriptions of members for JSON Schema, read from the sources of the generated modules when one is asked for."""

import ast
import inspect
import sys
from collections.abc import Mapping
from functools import cache
from typing import Final

_GENERATED: Final = "workspaces_apps.api."


def descriptions_of(cls: type) -> Mapping[str, str]:
    """Return the text below each member of a generated class, and of those that it derives from, by the member's name.

    Whoever ships the package without its sources has none.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith(_GENERATED):
            found |= _by_class(base.__module__).get(base.__name__, {})
    return found


@cache
def _by_class(module: str) -> Mapping[str, Mapping[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:
        return {}
    return {node.name: _members(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _members(node: ast.ClassDef) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for statement, below in zip(node.body, node.body[1:], strict=False):
        match statement, below:
            case (
                ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
            case _:
                pass
    return found
