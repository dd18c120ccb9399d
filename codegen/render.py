"""From the intermediate form to the text of the generated modules."""

import ast
import json
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruff import find_ruff_bin

from codegen.ir import Api, Family, Member, Operation, Structure

HERE = Path(__file__).parent
WIDTH = 110
FOUNDING = frozenset(
    {
        "AssociateWorkspaceApplication",
        "CreateWorkspaces",
        "DeployWorkspaceApplications",
        "DescribeApplicationAssociations",
        "DescribeApplications",
        "DescribeBundleAssociations",
        "DescribeImageAssociations",
        "DescribeWorkspaceAssociations",
        "DescribeWorkspaces",
        "DisassociateWorkspaceApplication",
        "ModifyWorkspaceProperties",
    }
)
"""The operations of the release of 2023-10-05, which their names are offered at the top for."""

SORTING = ("--config", 'lint.isort.known-first-party = ["workspaces_apps"]')
"""Else ruff would look which modules are there, and sort imports otherwise where one is yet to be written."""

TITLES = {
    "shared": "Shapes that several families need",
    "ip_groups": "IP access control groups",
    "aliases": "Connection aliases",
    "clients": "Client add-ins, branding and properties",
    "accounts": "Account settings and account links",
}


def render(api: Api) -> dict[str, str]:
    """Return the generated modules, by their path below `workspaces_apps/api`, formatted."""
    environment = _environment()
    modules: dict[str, str] = {}

    def write(path: str, template: str, **context: object) -> None:
        modules[path] = environment.get_template(template).render(api=api, **context)

    families = [family for family in api.families if family.operations]
    requests = {
        structure.name: structure
        for family in api.families
        for structure in family.structures
        if structure.operation is not None
    }
    shared = _names(api.families[0]) if api.families else []
    for family in api.families:
        used = {name for structure in family.structures for name in _used_names(structure)}
        imports = sorted(used & set(shared)) if family.name != "shared" else []
        write(f"{family.name}.py", "family.py.jinja", family=family, title=_title(family), imports=imports)
    for family in families:
        write(
            f"operations/{family.name}.py",
            "methods.py.jinja",
            title=_title(family),
            class_name=_class_name(family),
            methods=[(operation, requests[operation.request]) for operation in family.operations],
        )
    names = sorted(operation.name for family in families for operation in family.operations)
    write("operations/__init__.py", "operations.py.jinja", families=families, operations=names)
    write("errors.py", "errors.py.jinja")
    listed = [(family.name, _names(family)) for family in api.families]
    listed.append(("errors", sorted([error.name for error in api.errors] + ["ThrottlingException"])))
    write(
        "__init__.py",
        "init.py.jinja",
        modules=sorted(listed),
        names=sorted(name for _, names in listed for name in names),
    )
    write("founding.py", "founding.py.jinja", names=_founding_names(api))
    return {path: _format(text, path) for path, text in modules.items()}


def _founding_names(api: Api) -> list[str]:
    """Return the founding operations' shapes, what they contain, and the errors they may end in."""
    structures = {structure.name: structure for family in api.families for structure in family.structures}
    enums = {enum.name for family in api.families for enum in family.enums}
    operations = [
        operation for family in api.families for operation in family.operations if operation.name in FOUNDING
    ]
    names = {"ThrottlingException", *(error.name for error in api.errors)}
    waiting = [name for operation in operations for name in (operation.request, operation.result)]
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting.extend(structures[name].uses if name in structures else ())
    names |= {f"{name}Like" for name in names & enums}
    taken = sorted(names & _names_at_the_top())
    if taken:
        raise SystemExit(
            f"workspaces_apps has other things that are called {', '.join(taken)}; let codegen/ir.py give the shapes "
            "other names"
        )
    return sorted(names)


def _names_at_the_top() -> set[str]:
    """Return the names that the package has beside the founding ones."""
    # Not by an import, which needs what is yet to be generated.
    tree = ast.parse((HERE.parent / "src" / "workspaces_apps" / "__init__.py").read_text("utf-8"))
    lists = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
    ]
    return {name for found in lists for name in ast.literal_eval(found)}


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the output is Python, not HTML
    )
    filters: dict[str, Callable[..., str]] = {
        "annotation": _annotation,
        "class_name": _class_name,
        "default": _default,
        "docstring": _docstring,
        "errors": _errors,
        "filled": _filled,
        "literal": _literal,
        "parameter": _parameter,
        "quoted": _quoted,
        "returns": _returns,
        "taken": _taken,
    }
    # jinja infers the type of its filters from those that it brings.
    environment.filters.update(filters)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return environment


def _title(family: Family) -> str:
    return TITLES.get(family.name, family.name.replace("_", " ").capitalize())


def _class_name(family: Family) -> str:
    return "".join(part.capitalize() for part in family.name.split("_")) + "Operations"


def _names(family: Family) -> list[str]:
    names = [enum.name for enum in family.enums]
    names += [f"{enum.name}Like" for enum in family.enums]
    names += [structure.name for structure in family.structures]
    return sorted(names)


def _used_names(structure: Structure) -> Iterator[str]:
    for member in structure.members:
        yield from re.findall(r"\w+", f"{member.annotation} {member.parameter}")


def _annotation(member: Member) -> str:
    return member.annotation if member.required or member.several else f"{member.annotation} | None"


def _default(member: Member) -> str:
    if member.model_default:
        return f" = {member.model_default}"
    value = "()" if member.several else "None"
    if member.alias:
        aliases = f'validation_alias="{member.wire}", serialization_alias="{member.wire}"'
        return f" = Field({aliases})" if member.required else f" = Field(default={value}, {aliases})"
    return "" if member.required else f" = {value}"


def _taken(member: Member) -> str:
    """Return the constructor's parameter: None stands for what is left out."""
    return member.parameter if member.required and not member.default else f"{member.parameter} | None = None"


def _parameter(member: Member) -> str:
    annotation = re.sub(r"\b([A-Z]\w*)\b", _qualified, member.parameter)
    if member.default:
        return f"{annotation} = {member.default}"
    return annotation if member.required else f"{annotation} | None = None"


_HEAVY = ("Blob", "Timestamp")
"""Types of ours that methods name through a module that imports them when they are looked at."""


def _qualified(match: re.Match[str]) -> str:
    name = match.group(1)
    return name if name in ("Many", "Mapping") else f"types.{name}" if name in _HEAVY else f"api.{name}"


def _returns(operation: Operation) -> str:
    if operation.items:
        item = f"api.{operation.item_type}" if operation.item_is_generated else operation.item_type
        return f"types.Paginated[api.{operation.result}, {item}]"
    return f"api.{operation.result}"


def _errors(operation: Operation) -> str:
    if not operation.errors:
        return "The service refused; the model names no error of this operation."
    text = f"The service refused: {', '.join(operation.errors)}."
    return "\n                ".join(textwrap.wrap(text, WIDTH - 16 - len("ServiceError: ")))


def _quoted(name: str) -> str:
    return f'"{name}"' if name else "None"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _filled(text: str, indent: int) -> str:
    margin = " " * indent
    return textwrap.fill(text, WIDTH, initial_indent=margin, subsequent_indent=margin, break_long_words=False)


def _docstring(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    escaped = f'{escaped[:-1]}\\"' if escaped.endswith('"') else escaped
    return "\n".join(textwrap.wrap(escaped, WIDTH - 20, break_long_words=False, break_on_hyphens=False))


def _format(text: str, path: str) -> str:
    for command in (
        ["check", "--quiet", "--fix-only", "--unsafe-fixes", "--select", "F401,I001,UP037", *SORTING],
        ["format", "--quiet"],
    ):
        finished = subprocess.run(
            [
                find_ruff_bin(),
                *command,
                "--line-length",
                str(WIDTH),
                "--stdin-filename",
                f"src/workspaces_apps/api/{path}",
                "-",
            ],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            encoding="utf-8",
        )
        if finished.returncode != 0:
            raise SystemExit(f"ruff does not take the generated {path}:\n{finished.stderr}")
        text = finished.stdout
    return text
