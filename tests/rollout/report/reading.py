"""Readers of what the report is rendered to, stricter than those who will read it."""

import csv
import io
from html.parser import HTMLParser
from typing import Final

VOID: Final = frozenset({"meta"})

ELEMENTS: Final = (
    "html head meta title style body main header footer section div h1 h2 p dl dt dd ul ol li strong span bdi "
    "table caption thead tbody tr th td details summary svg desc path rect line text"
)

ATTRIBUTES: Final = (
    "lang charset name content http-equiv class role scope id aria-label aria-labelledby aria-hidden data-label title "
    "x y x1 x2 y1 y2 d width height viewbox preserveaspectratio text-anchor"
)


class Element:
    """An element with what is in it.

    Args:
        name: Its name.
        attributes: Its attributes.
    """

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name = name
        self.attributes = attributes
        self.inside: list[Element | str] = []

    def all(self, name: str) -> "list[Element]":
        """Every element of that name, at any depth."""
        found: list[Element] = [self] if self.name == name else []
        for one in self.inside:
            if isinstance(one, Element):
                found += one.all(name)
        return found

    @property
    def text(self) -> str:
        """All text within."""
        return "".join(one if isinstance(one, str) else one.text for one in self.inside)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ELEMENTS.split(), tag
        names = [name for name, _ in attrs]
        assert set(names) <= set(ATTRIBUTES.split()), names
        assert len(names) == len(set(names))
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"a declaration: {data}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")


def read_html(page: str) -> Element:
    """The page's tree; only elements and attributes that a report may have, each closed in its place."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root]
    return reader.root


def read_csv(text: str) -> list[dict[str, str]]:
    """The lines of a CSV text, by column; every one has every column."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    heads = rows[0]
    assert all(len(row) == len(heads) for row in rows)
    return [dict(zip(heads, row, strict=True)) for row in rows[1:]]
