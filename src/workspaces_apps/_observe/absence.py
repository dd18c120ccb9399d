"""Proof of absence: a row missing from a multi-page listing is gone only if its former neighbours share a page."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Place: TypeAlias = tuple[int, int]
"""The page of a row, from 1, and how many rows were read before it."""


def surely_absent(before: Sequence[str], found: Mapping[str, Place], pages: int) -> frozenset[str]:
    """Return the rows that are gone for certain, and have not only slipped to a page that was read before.

    A row slips when one before it goes while the listing is read, if the service finds its pages by counting. But a
    page is of one moment: where the neighbours of a row are on the same page and the row is not, it is gone. That
    a listing keeps its order is assumed; without it no listing in pages would be complete. [assumed]

    Args:
        before: The rows of the listing before this one, in its order.
        found: The rows of this listing.
        pages: How many pages it had; the last of them was read.
    """
    sure: set[str] = set()
    gap: list[str] = []
    left: Place = (1, -1)
    for row in before:
        place = found.get(row)
        if place is None:
            gap.append(row)
            continue
        if place[0] == left[0] and place > left:
            sure.update(gap)
        gap.clear()
        left = place
    if left[0] == pages:
        sure.update(gap)
    return frozenset(sure)
