"""The words of the field: how docstrings open, and phrases that users read no more."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
HANDWRITTEN = [path for path in SOURCES if "api" not in path.relative_to(ROOT / "src").parts]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

OTHERS = sorted(
    path
    for name in ("tests", "examples", "benchmarks", "codegen", "docsite")
    for path in (ROOT / name).rglob("*.py")
)

QUESTIONS = {"How", "What", "Whether", "Which", "Who", "Why"}
"""No docstring opens with one of them, wherever it stands."""

OPENINGS = QUESTIONS | {"By", "Of", "That", "When", "Where"}
"""A function's docstring opens with a verb, any other with a noun phrase."""

RETIRED = {
    "as wanted": "in sync",
    "as-wanted": "in-sync",
    "a look failed": "poll failed",
    "held to {": "rate-limited to",
    "there is no such key": "unknown key",
    "nothing more is begun": "no new deployments start",
    "no terminal to ask on": "not interactive: pass --yes",
    "say --": "pass --",
    "is no id such as": "is not a valid id",
    "half characters": "unpaired surrogates",
    "honest retry": "one retry layer",
    "typed to the end": "fully typed",
    "setback": "retried",
    "tried again": "retried",
    "begin nothing more": "start no new deployments",
    "what has begun ends": "those in progress finish",
    "if begun now": "if started now",
    "says the plan": "according to the plan",
    "was not begun": "was not started",
    "(not begun": "(not started",
    "first look": "first poll",
    "last look": "last poll",
    "each look": "each poll",
    "look that": "poll that",
    "looks before": "reads before",
}
"""Phrases of earlier releases, each with its successor."""


def openings(path: Path, forbidden: set[str]) -> Iterator[str]:
    """Return the place and the first word of each docstring of a module that opens in a forbidden way."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = (ast.get_docstring(node) or "-").split()[0].strip("`,.")
            if first in forbidden:
                yield f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')} opens with {first}"


def attribute_openings(path: Path) -> Iterator[str]:
    """Return the same for texts below attributes and constants, whose noun phrase no question stands for."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef):
            for above, below in pairwise(node.body):
                text = below.value if isinstance(below, ast.Expr) else None
                if isinstance(above, ast.Assign | ast.AnnAssign) and isinstance(text, ast.Constant):
                    first = str(text.value).split()[0].strip("`,.:")
                    if first in QUESTIONS:
                        yield f"{path.relative_to(ROOT)}:{below.lineno} opens with {first}"


def test_docstrings_open_with_a_verb_or_a_noun_phrase() -> None:
    """None opens with a question word, which tells nothing until the end of the sentence."""
    assert SOURCES
    assert [opening for path in SOURCES for opening in openings(path, OPENINGS)] == []
    assert [opening for path in OTHERS for opening in openings(path, QUESTIONS)] == []
    assert [opening for path in SOURCES for opening in attribute_openings(path)] == []


ASKING = QUESTIONS | {"When", "Where"}
"""Beside these, "When it was made" and "Where the logo is": a time and an address, told as clauses."""


def generated_openings(path: Path) -> Iterator[str]:
    """Return the texts of fields, members of enums and parameters in a generated module that ask something."""
    source = path.read_text(encoding="utf-8")
    below = (
        str(text.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
        for text in (one.value for one in node.body if isinstance(one, ast.Expr))
        if isinstance(text, ast.Constant)
    )
    # Parameters stand in the `Args:` section of a method.
    arguments = re.findall(r"^ {12}\w+: (.+)$", source, flags=re.MULTILINE)
    for text in (*below, *arguments):
        if text.split()[0].strip("`,.:") in ASKING:
            yield f"{path.relative_to(ROOT)}: {text}"


def test_generated_texts_say_what_a_thing_is() -> None:
    """No text of a field, of a member of an enum or of a parameter opens with a question word."""
    generated = sorted((ROOT / "src" / "workspaces_apps" / "api").rglob("*.py"))

    assert len(generated) > 20
    assert [opening for path in generated for opening in generated_openings(path)] == []


def is_public_record(node: ast.ClassDef) -> bool:
    """Tell if a class is one that users import and that has its fields in its body."""
    marked = any(ast.unparse(one).startswith("public(") for one in node.decorator_list)
    return marked and any(
        isinstance(statement, ast.AnnAssign) and "ClassVar" not in ast.unparse(statement.annotation)
        for statement in node.body
    )


def test_attributes_of_public_records_have_their_text_where_editors_show_it() -> None:
    """A docstring stands below each, and none is told of in a section of the class's docstring only."""
    records = [
        node
        for path in HANDWRITTEN
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and is_public_record(node)
    ]

    assert len(records) > 80
    assert [node.name for node in records if "\nAttributes:\n" in (ast.get_docstring(node) or "")] == []


@pytest.mark.parametrize("phrase", RETIRED)
def test_users_read_the_fields_words(phrase: str) -> None:
    """A phrase that was replaced stands in no source and on no page."""
    found = [
        str(path.relative_to(ROOT))
        for path in (*SOURCES, *PAGES)
        if any(
            phrase in line and f"w{phrase}" not in line
            for line in path.read_text(encoding="utf-8").splitlines()
        )
    ]

    assert found == [], f"say {RETIRED[phrase]!r}"
