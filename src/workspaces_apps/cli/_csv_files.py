"""CSV on standard output: RFC 4180, one line end, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from workspaces_apps.cli._failures import UsageError

BOM: Final = "\ufeff"
"""The mark by which Excel knows that a file is UTF-8."""


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV with a line of headings.

    Args:
        columns: The headings.
        rows: The cells; None is an empty one, a time is ISO 8601 in UTC.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> str:
    from workspaces_apps.rollout.report._text import csv_cell

    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            return csv_cell(str(value))


def print_csv(text: str, *, bom: bool) -> None:
    """Write CSV to standard output byte by byte: a text stream may turn each line end into another one.

    Args:
        text: The CSV.
        bom: Whether it begins with the mark that Excel wants.
    """
    whole = f"{BOM}{text}" if bom else text
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(whole)
    else:
        binary.write(whole.encode("utf-8", "replace"))
        binary.flush()


def check_bom(*, is_csv: bool, bom: bool) -> None:
    """Refuse the mark where it would break a document.

    Raises:
        UsageError: The output is not CSV.
    """
    if bom and not is_csv:
        raise UsageError("--bom goes with --output csv")
