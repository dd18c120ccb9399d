"""Tables of measured figures beside their goals, and where a page keeps them."""

import argparse
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.packages import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bar that a figure is to reach.

    Attributes:
        most: It is not to exceed this.
        unit: What it counts, for the table.
    """

    most: float
    unit: str = ""

    def verdict(self, value: float) -> str:
        """The bound, and whether it is met."""
        return f"≤ {self.most:g}{self.unit} {'met' if value <= self.most else '**missed**'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
        what: What was measured.
        values: By package: the figure.
        goal: What the working tree's is to reach; None where it is only shown.
        form: How a figure is written.
    """

    what: str
    values: Mapping[str, float]
    goal: Goal | None = None
    form: str = ".3g"

    @property
    def missed(self) -> bool:
        """Tell if the working tree misses the goal; what was not measured misses none."""
        value = self.values.get("now")
        return self.goal is not None and value is not None and value > self.goal.most


def table(title: str, rows: Sequence[Row]) -> list[str]:
    """The rows in Markdown, a column for each package that any of them has."""
    names = [name for name in ("today", "now") if any(name in row.values for row in rows)]
    lines = [
        f"| {title} | {' | '.join(names)} | goal |",
        f"|---|{'---:|' * len(names)}---|",
    ]
    for row in rows:
        cells = [format(row.values[name], row.form) if name in row.values else "–" for name in names]
        goal = "–"
        if row.goal is not None:
            goal = row.goal.verdict(row.values["now"]) if "now" in row.values else f"≤ {row.goal.most:g}"
        lines.append(f"| {row.what} | {' | '.join(cells)} | {goal} |")
    return [*lines, ""]


@dataclass(slots=True)
class Found:
    """The content of a part of the page.

    Attributes:
        lines: In Markdown.
        missed: How many goals the working tree misses.
    """

    lines: list[str]
    missed: int = 0

    @classmethod
    def of(cls, title: str, rows: Sequence[Row]) -> "Found":
        """A table."""
        return cls(table(title, rows), sum(row.missed for row in rows))


def rows_named(rows: Container[str]) -> Callable[[str], list[str]]:
    """Read the command line's list of rows, with commas.

    Args:
        rows: What there is to choose from.
    """

    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in rows]:
            raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}")
        return names

    return read


def number(figures: Mapping[str, Json], name: str) -> float:
    """A figure that a script answered with.

    Raises:
        TypeError: It is no number.
    """
    value = figures[name]
    if not isinstance(value, int | float):
        raise TypeError(f"{name} is {value!r}, not a number")
    return float(value)


def put_page(page: Path, text: str, *, kept: Sequence[str]) -> None:
    """Write a page anew, and leave sections as they are that other commands write.

    Args:
        page: A Markdown file.
        text: What it is to hold besides.
        kept: The headings of those sections, of the second level and without its marks.
    """
    parts = sections(text)
    present = sections(page.read_text(encoding="utf-8")) if page.exists() else {}
    parts |= {f"## {heading}": present[f"## {heading}"] for heading in kept if f"## {heading}" in present}
    _write(page, parts)


def put_section(page: Path, heading: str, lines: Sequence[str]) -> None:
    """Write a section of a page anew, or append it; the other sections stay as they are.

    Args:
        page: A Markdown file.
        heading: The section's, of the second level and without its marks.
        lines: What stands below it.
    """
    parts = sections(page.read_text(encoding="utf-8") if page.exists() else "")
    parts[f"## {heading}"] = "\n".join(["", *lines]).rstrip("\n") + "\n"
    _write(page, parts)


def _write(page: Path, parts: Mapping[str, str]) -> None:
    text = "\n".join(f"{first}\n{rest}" if first else rest for first, rest in parts.items())
    page.write_text(text, encoding="utf-8")


def sections(text: str) -> dict[str, str]:
    """The parts of a page by the heading of the second level above them; the first has none."""
    parts: dict[str, list[str]] = {"": []}
    current = parts[""]
    for line in text.splitlines():
        if line.startswith("## "):
            current = parts[line] = []
        else:
            current.append(line)
    return {heading: "\n".join(body).rstrip("\n") + "\n" for heading, body in parts.items()}
