"""The reference of the service: operations and shapes, one page for each family, made from the generated modules."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from docsite.api import directive
from docsite.tables import cell
from workspaces_apps import api
from workspaces_apps.api import operations

FOLDER: Final = Path(api.__file__).parent
NO_FAMILY: Final = {"__init__", "errors", "founding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One class of a generated module.

    Attributes:
        name: Its name.
        about: The first paragraph of its docstring.
        is_enum: Its members are values.
        members: Name, type (of a structure) and description of each member.
    """

    name: str
    about: str
    is_enum: bool
    members: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])


def shape(node: ast.ClassDef) -> Shape:
    """Read one class of a generated module."""
    about = (ast.get_docstring(node) or "").partition("\n\n")[0]
    is_enum = any(isinstance(base, ast.Name) and base.id == "OpenEnum" for base in node.bases)
    found = Shape(name=node.name, about=about, is_enum=is_enum)
    for statement, below in zip(node.body, [*node.body[1:], None], strict=True):
        text = ""
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            text = str(below.value.value)
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if not is_enum:
                kind = ast.unparse(annotation)
                if not kind.startswith("ClassVar"):
                    found.members.append((name, kind, text))
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(value))) if is_enum:
                found.members.append((name, value, text))
            case _:
                pass
    return found


@cache
def families() -> dict[str, list[Shape]]:
    """Return the shapes of each generated module, by the module's name."""
    found: dict[str, list[Shape]] = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem not in NO_FAMILY:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found[path.stem] = [shape(node) for node in tree.body if isinstance(node, ast.ClassDef)]
    return found


@cache
def homes() -> dict[str, str]:
    """Return the family of each shape by its name."""
    return {one.name: family for family, shapes in families().items() for one in shapes}


def linked(kind: str, family: str) -> str:
    """Return a type with a link to each shape in it, as a cell of a table shows it."""

    def link(match: re.Match[str]) -> str:
        name = match[0]
        if name not in homes():
            return name
        page = "" if homes()[name] == family else f"{homes()[name]}.md"
        return f"[{name}]({page}#workspaces_apps.api.{name})"

    plain = kind.replace('"', "").replace("[", "\\[").replace("]", "\\]").replace("|", "\\|")
    return re.sub(r"\w+", link, plain)


def section(one: Shape, family: str) -> Iterator[str]:
    """Give the lines of one shape's section."""
    yield f"### {one.name} {{ #workspaces_apps.api.{one.name} }}\n"
    yield f"{one.about}\n"
    if not one.members:
        return
    if one.is_enum:
        yield "| value | meaning |\n| --- | --- |"
        for name, value, text in one.members:
            wire = "" if name == value else f" (`{value}`)"
            yield f"| `{name}`{wire} | {cell(text)} |"
    else:
        yield "| member | type | meaning |\n| --- | --- | --- |"
        for name, kind, text in one.members:
            yield f"| `{name}` | {linked(kind, family)} | {cell(text)} |"
    yield ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The operations of a generated module."""

    cls: type
    methods: list[str]


@cache
def operation_families() -> dict[str, Family]:
    """Return the class and the methods of each family by its name."""
    found: dict[str, Family] = {}
    for cls in operations.Operations.__mro__:
        module = cls.__module__.rpartition(".")[2]
        if cls.__module__.startswith("workspaces_apps.api.operations."):
            methods = [name for name in vars(cls) if not name.startswith("_")]
            found[module] = Family(cls=cls, methods=methods)
    return found


def heading(family: str) -> str:
    """Return the name of a family as a heading."""
    return (inspect.getdoc(__import__(f"workspaces_apps.api.{family}", fromlist=["_"])) or family).partition(
        ":"
    )[0]


def pages() -> dict[str, str]:
    """Return the page of each family, and their index, by path."""
    found: dict[str, str] = {}
    rows: list[str] = []
    for family, shapes in families().items():
        lines = [f"# {heading(family)}\n"]
        if family in operation_families():
            known = operation_families()[family]
            lines.append("## Operations\n")
            for name in known.methods:
                identifier = f"{known.cls.__module__}.{known.cls.__qualname__}.{name}"
                lines.append(directive(identifier, heading_level=3))
                first = (getattr(known.cls, name).__doc__ or "").partition("\n")[0]
                rows.append(f"| [`{name}`]({family}.md#{identifier}) | {heading(family)} | {cell(first)} |")
        lines.append("## Shapes\n")
        for one in shapes:
            lines.extend(section(one, family))
        found[f"reference/api/{family}.md"] = "\n".join(lines) + "\n"
    found["reference/api/index.md"] = (
        "# All operations\n\nMethods of `WorkSpacesClient`, one for each operation of the API 2015-04-08. Each takes"
        " keyword arguments only; what pages gives a `Paginated`.\n\n| method | family | meaning |\n| --- | --- | --- |\n"
        + "\n".join(sorted(rows))
        + "\n"
    )
    return found
