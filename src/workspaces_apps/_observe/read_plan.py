"""Arithmetic of reads: the calls that show the most associations for the fewest requests.

One call of DescribeApplicationAssociations shows 25 associations of one application, one call of
DescribeWorkspaceAssociations shows every association of one WorkSpace. [doc]
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

ROWS: Final = 25
"""Associations on a page of DescribeApplicationAssociations, at most. [doc]"""

_CANDIDATES: Final = 32
"""So many sets of applications, those that most WorkSpaces share, are weighed against each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The listings, and the WorkSpaces to read one by one.

    Attributes:
        listings: Applications whose associations to list.
        singles: WorkSpaces to read one by one: those that the listings do not cover.
    """

    listings: frozenset[str]
    singles: tuple[str, ...]


class PageCounts:
    """Pages that the associations of each application take, as far as is known."""

    def __init__(self) -> None:
        self._pages: dict[str, int] = {}

    def pages(self, application: str, followers: int) -> int:
        """Return the pages that a listing is expected to take.

        Args:
            application: The application.
            followers: How many of its associations are known of, which must be on these pages.
        """
        return max(self._pages.get(application, 1), -(-followers // ROWS))

    def read(self, application: str, pages: int) -> None:
        """Remember that a listing was read to its end and took so many."""
        self._pages[application] = max(1, pages)

    def calls(self, applications: Iterable[str], followers: int) -> int:
        """Return the pages that the listings of several applications are expected to take together."""
        return sum(self.pages(application, followers) for application in applications)

    def gave_up(self, application: str, pages: int) -> None:
        """Remember that a listing was longer than it was worth: it will be tried for twice as many WorkSpaces."""
        self._pages[application] = max(self._pages.get(application, 1), 2 * pages)


def make_plan(needs: Mapping[str, Iterable[str]], counts: PageCounts) -> Plan:
    """Return the cheapest calls that show what is needed, or nearly: listings are taken greedily, the best first.

    A set of applications is a number here, with a bit for each: ten thousand WorkSpaces may want thousands of sets.

    Args:
        needs: By WorkSpace, the applications to look at.
        counts: How long the listings are.
    """
    bits: dict[str, int] = {}
    masks = {
        workspace: sum(bits.setdefault(one, 1 << len(bits)) for one in dict.fromkeys(applications))
        for workspace, applications in needs.items()
    }
    groups = Counter(masks.values())
    cost = {
        bit: counts.pages(application, sum(size for group, size in groups.items() if group & bit))
        for application, bit in bits.items()
    }
    # The last one covers every group; with more of the others the arithmetic would cost more than the calls it saves.
    candidates = [group for group, _ in groups.most_common(_CANDIDATES)] + [(1 << len(bits)) - 1]
    listed = 0
    while True:
        open_groups = [(group, size) for group, size in groups.items() if group & ~listed]
        best, best_gain = listed, 0
        for applications in candidates:
            left = ~(listed | applications)
            covered = sum(size for group, size in open_groups if not group & left)
            gain = covered - sum(pages for bit, pages in cost.items() if bit & applications & ~listed)
            if gain > best_gain:
                best, best_gain = listed | applications, gain
        if best == listed:
            break
        listed = best
    return Plan(
        listings=frozenset(one for one, bit in bits.items() if bit & listed),
        singles=tuple(workspace for workspace, mask in masks.items() if mask & ~listed),
    )
