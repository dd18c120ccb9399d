"""Text from elsewhere made fit to show: one harmless line, a CSV cell, a length of time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

_UNSEEN: Final = re.compile(
    # C0, DEL and C1; soft hyphen; what changes direction or order; invisible characters, tags included; lone
    # surrogates and what is no character. The joiners U+200C and U+200D are letters' business in several scripts.
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]+"
)

_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")


def one_line(text: str, limit: int | None = None) -> str:
    """Return the text in one line, without control characters and without what turns text around or hides it.

    Args:
        text: Any text.
        limit: Characters at most, 1 or more, with an ellipsis where it is cut; None for no limit.
    """
    line = " ".join(_UNSEEN.sub(" ", text).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def csv_cell(text: str) -> str:
    """Return the text as a cell that no spreadsheet takes for a formula."""
    kept = "".join(one if one in "\t\r\n" else _UNSEEN.sub(" ", one) for one in text)
    risky = kept.startswith(_FORMULA) or kept.lstrip().startswith(_FORMULA)
    return f"'{kept}" if risky else kept


def columns_of(text: str) -> int:
    """Return the number of terminal columns that the text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(text))


def fitted(text: str, width: int) -> str:
    """Return the text cut to so many columns, 1 or more, with an ellipsis where it is cut."""
    if columns_of(text) <= width:
        return text
    room, kept = width - 1, ""
    for one, columns in zip(text, _columns(text), strict=True):
        if columns > room:
            break
        room -= columns
        kept += one
    return f"{kept}…"


def _columns(text: str) -> Iterator[int]:
    for one in text:
        if unicodedata.combining(one) or unicodedata.category(one) in {"Mn", "Me", "Cf"}:
            yield 0
        else:
            yield 2 if unicodedata.east_asian_width(one) in "WF" else 1


def in_utc(moment: datetime) -> datetime:
    """Return the moment in UTC; at the ends of the calendar, where that does not exist, its reading as it is."""
    try:
        return moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return moment.replace(tzinfo=UTC)


def clock_time(moment: datetime | None) -> str:
    """Return a moment for people, to the second."""
    return "" if moment is None else f"{moment.replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"


def length(seconds: float | None) -> str:
    """Return a length of time for people: ``42 s``, ``3 min 05 s``, ``2 h 07 min``, ``3 d 04 h``."""
    if seconds is None:
        return ""
    if 0 < seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: ``1 call``, ``1,200 calls``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
