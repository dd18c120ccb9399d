"""Figures in prose are those of docs/benchmarks.md, whose tables the benchmarks write; figures.toml says which is which."""

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import pytest

from tests.docs.pages import ROOT

pytestmark = pytest.mark.checkout

NUMBER: Final = r"\d[\d,]*(?:\.\d+)?"
MEASURED: Final = re.compile(r"python -m benchmarks|benchmarks\.md")
Tables = Mapping[str, Mapping[tuple[str, str], Sequence[str]]]
"""Cells by table, and then by row and column; a table goes by the heading above it, and by its own first cell."""

SOURCE: Final[Sequence[Mapping[str, Any]]] = tomllib.loads(
    (ROOT / "tests/docs/figures.toml").read_text("utf-8")
)["paragraph"]
FIGURES: Final = [(one["page"], figure) for one in SOURCE for figure in one["figures"]]
PAGES: Final = ["README.md", *sorted(f"docs/{path.relative_to(ROOT / 'docs').as_posix()}" for path in (ROOT / "docs").rglob("*.md"))]  # fmt: skip


def words(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())


def tables(text: str) -> Tables:
    """Read the tables of a page."""
    found: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    heading, columns = "", list[str]()
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            columns = []
        elif not columns:
            columns = cells_of(line)
        elif not line.startswith("|---"):
            row, *cells = cells_of(line)
            for column, cell in zip(columns[1:], cells, strict=True):
                for table in {heading, columns[0]}:
                    found[table][row, column].append(cell)
    return found


def cells_of(line: str) -> list[str]:
    """Split a line of a table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def number_in(known: Tables, table: str, row: str, column: str, which: int = 1) -> Decimal:
    """Return a number of a cell, which must be there once."""
    (cell,) = known[table][row, column]
    return Decimal(re.findall(NUMBER, cell)[which - 1].replace(",", ""))


def rounded(value: Decimal, written: str) -> str:
    """Return a value with as many digits as a figure in prose has."""
    places = len(written.partition(".")[2])
    return str(value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP))


def said(figure: Mapping[str, Any], prose: str) -> tuple[str, ...]:
    """Return the numbers that a sentence has; it must be there once."""
    pattern = re.escape(figure["says"]).replace(r"\{\}", f"({NUMBER})")
    (match,) = re.finditer(pattern, prose)
    return match.groups()


def differences(figure: Mapping[str, Any], prose: str, known: Tables) -> Iterator[str]:
    """Return what a sentence says otherwise than its cells."""
    for written, cell in zip(said(figure, prose), figure["cells"], strict=True):
        value = rounded(number_in(known, *cell) * Decimal(str(figure.get("times", 1))), written)
        if value != written.replace(",", ""):
            yield f"{written} where {' | '.join(map(str, cell))} has {value}: {figure['says']}"


@pytest.fixture(scope="module")
def known() -> Tables:
    """The tables that the benchmarks have written."""
    return tables((ROOT / "docs/benchmarks.md").read_text("utf-8"))


@pytest.mark.parametrize("page, figure", FIGURES, ids=[f"{page}: {one['says']}" for page, one in FIGURES])
def test_a_figure_in_prose_is_the_one_that_was_measured(
    page: str, figure: Mapping[str, Any], known: Tables
) -> None:
    """A benchmark that is run again, or a figure that is typed, makes this fail until both say the same."""
    assert not list(differences(figure, words((ROOT / page).read_text("utf-8")), known))


def unexplained(page: str, prose: str) -> set[str]:
    """Return the numbers of a paragraph about the benchmarks that figures.toml does not have."""
    parts = [one for one in SOURCE if one["page"] == page]
    for one in parts:
        for figure in one["figures"]:
            prose = re.sub(re.escape(figure["says"]).replace(r"\{\}", NUMBER), "", prose)
    # Not the names in backticks and the targets of links.
    numbers = set(re.findall(rf"(?<![\w.]){NUMBER}", re.sub(r"`[^`]*`|\]\([^)]*\)", "", prose)))
    return numbers - {number for one in parts for number in one["given"]}


@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/benchmarks.md"])
def test_a_paragraph_about_the_benchmarks_has_no_figure_of_its_own(page: str) -> None:
    """Whoever writes a new one says where it was measured."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    paragraphs = [
        words(one) for one in re.split(r"\n\s*\n|\n(?=- )", text) if not one.lstrip().startswith("|")
    ]
    for paragraph in filter(MEASURED.search, paragraphs):
        assert not unexplained(page, paragraph), paragraph


PAGE: Final = "## Speed\n\n| calls | now |\n|---|---:|\n| all | 1,234.5; 21 |\n"


@pytest.mark.parametrize(
    "prose, wrong",
    [("It takes 1,235 calls.", 0), ("It takes 1234.5 calls.", 0), ("It takes 1,236 calls.", 1), ("It takes 1234.6 calls.", 1)],
)  # fmt: skip
def test_a_figure_that_differs_is_found(prose: str, wrong: int) -> None:
    """Rounding is to the digits of the prose."""
    figure = {"says": "takes {} calls", "cells": [["Speed", "all", "now"]]}
    assert len(list(differences(figure, prose, tables(PAGE)))) == wrong


def test_what_is_not_there_is_an_error_and_a_cell_may_hold_several_numbers() -> None:
    """A row that has another name since, or a sentence that is gone, is not passed over."""
    found = tables(PAGE)
    assert number_in(found, "calls", "all", "now", 2) == 21
    with pytest.raises(ValueError, match="unpack"):
        number_in(found, "calls", "none", "now")
    with pytest.raises(ValueError, match="unpack"):
        said({"says": "takes {} calls"}, "It takes some calls.")
