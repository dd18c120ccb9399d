"""HTML and SVG that is escaped unless it was made here: a text becomes markup only through `element`."""

import html
from typing import Final

from workspaces_apps.rollout.report._render.text import one_line

_VOID: Final = frozenset({"meta", "link", "br"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """An element.

    Args:
        name: Its name, a literal.
        children: What is in it: `Markup` as it is, any other text escaped; None is nothing.
        attributes: Its attributes; an underscore at the end of a name is dropped, one within it is a hyphen. None
            leaves the attribute out. A number is written in as few digits as tell it to two places.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    inside = "".join(
        child if isinstance(child, Markup) else html.escape(child, quote=True)
        for child in children
        if child is not None
    )
    return Markup(f"<{name}{given}>{inside}</{name}>")


def group(*parts: str | None) -> Markup:
    """Several parts after each other."""
    return Markup("".join(part if isinstance(part, Markup) else html.escape(part) for part in parts if part))


def foreign(text: str, limit: int) -> Markup:
    """A text from elsewhere: in one harmless line, cut, escaped, and in a direction of its own."""
    line = one_line(text, limit)
    return element("bdi", line) if line else Markup()


def number(value: float) -> str:
    """A number in as few digits as tell it to two places."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}"


def _value(value: str | float) -> str:
    return html.escape(value, quote=True) if isinstance(value, str) else number(value)
