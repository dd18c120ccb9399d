"""Imports in README, docs and examples name public modules, and names in their `__all__`."""

import ast
import importlib
import textwrap
from collections.abc import Iterator

import pytest

from tests.docs.pages import ROOT, blocks

pytestmark = pytest.mark.checkout

FACES = {
    "workspaces_apps",
    "workspaces_apps.api",
    "workspaces_apps.distributed",
    "workspaces_apps.errors",
    "workspaces_apps.rollout",
    "workspaces_apps.rollout.report",
    "workspaces_apps.simulator",
    "workspaces_apps.types",
}
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for place in ("README.md", "CHANGELOG.md", "docs/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(place)
)
EXAMPLES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/**/*.py"))


def private(code: str) -> Iterator[str]:
    """Return what a program imports of the package that no user may."""
    for node in ast.walk(ast.parse(textwrap.dedent(code))):
        if isinstance(node, ast.Import):
            named = {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named = {(node.module or "", alias.name) for alias in node.names}
        else:
            continue
        for module, name in sorted(named):
            if module.partition(".")[0] == "workspaces_apps" and not is_public(module, name):
                yield f"{module} {name}".strip()


def is_public(module: str, name: str) -> bool:
    """Tell whether users may import a module, or with a name this name of it."""
    if not name or f"{module}.{name}" in FACES:
        return (f"{module}.{name}" if name else module) in FACES
    return module in FACES and name in importlib.import_module(module).__all__


def test_the_rule_refuses_what_it_should() -> None:
    """Inner modules, and names that a public module does not list, are found."""
    code = """
        import workspaces_apps._client.client, workspaces_apps.rollout
        from workspaces_apps import WorkSpacesClient, api, importlib
        from workspaces_apps.rollout._plan.plan import Plan
    """

    assert list(private(code)) == [
        "workspaces_apps._client.client",
        "workspaces_apps importlib",
        "workspaces_apps.rollout._plan.plan Plan",
    ]


@pytest.mark.parametrize("page", PAGES)
def test_pages_import_public_names_only(page: str) -> None:
    """Each block of Python on a page imports what the modules' `__all__` list."""
    programs = [one.code for one in blocks(page) if one.language in {"python", "py"}]

    assert [found for code in programs for found in private(code)] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_import_public_names_only(example: str) -> None:
    """Each example imports what the modules' `__all__` list."""
    assert list(private((ROOT / example).read_text("utf-8"))) == []
