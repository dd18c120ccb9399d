"""Lines of code: what is left of Python's source without comments, docstrings and blank lines."""

import ast
import io
import tokenize
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

NO_CODE: Final = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)
REPLACED: Final = ("waiters", "rollout", "looks.py")
"""What one observer and one reconciler replace, at the earlier commit."""

REPLACING: Final = (
    "waiters",
    "_waiters",
    "_associations",
    "_observe",
    "_reconcile",
    "rollout",
    "looks.py",
    "recovery.py",
    "_http/_recovery.py",
    "_http/recovery.py",
)
"""What may stand in its place; what is not there counts nothing."""

LEFT_OUT: Final = "rollout/report"


def code_lines(source: str) -> int:
    """Count the lines of a module that hold code.

    A line counts once, whatever stands on it; one of a text over several lines counts, unless that is a docstring.
    """
    documented: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        documented |= _documented(node)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - documented)


def _documented(node: ast.AST) -> set[int]:
    """The lines of every text that is a statement: docstrings, those of attributes included."""
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return set()


def count(package: Path, parts: Iterable[str]) -> dict[str, int]:
    """Lines of code by part of a package; parts that are not there are left out.

    Args:
        package: Its folder.
        parts: Modules and folders below it.
    """
    found: dict[str, int] = {}
    for part in parts:
        path = package / part
        files: Sequence[Path] = [path] if path.is_file() else sorted(path.rglob("*.py"))
        kept = [file for file in files if not file.is_relative_to(package / LEFT_OUT)]
        if kept:
            found[part] = sum(code_lines(file.read_text(encoding="utf-8")) for file in kept)
    return found
