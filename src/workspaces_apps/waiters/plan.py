"""Which calls show the most associations for the fewest requests: arithmetic, nothing else.

One call of DescribeApplicationAssociations shows 25 associations of one application, one call of
DescribeWorkspaceAssociations shows every association of one WorkSpace. [doc]
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

ROWS: Final = 25
"""Associations on a page of DescribeApplicationAssociations, at most. [doc]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to list and whom to ask one by one.

    Attributes:
        listings: Applications whose associations to list.
        singles: WorkSpaces to ask one by one: those that the listings do not cover.
    """

    listings: frozenset[str]
    singles: tuple[str, ...]


class PageCounts:
    """How many pages the associations of an application take, as far as is known."""

    def __init__(self) -> None:
        self._pages: dict[str, int] = {}

    def pages(self, application: str, followers: int) -> int:
        """Pages that a listing is expected to take.

        Args:
            application: The application.
            followers: How many of its associations are known of, which must be on these pages.
        """
        return max(self._pages.get(application, 1), -(-followers // ROWS))

    def read(self, application: str, pages: int) -> None:
        """A listing was read to its end and took so many."""
        self._pages[application] = max(1, pages)

    def gave_up(self, application: str, pages: int) -> None:
        """A listing was longer than it was worth: it will be tried for twice as many WorkSpaces."""
        self._pages[application] = max(self._pages.get(application, 1), 2 * pages)


def make_plan(needs: Mapping[str, Iterable[str]], counts: PageCounts) -> Plan:
    """The cheapest calls that show what is needed, or nearly: listings are taken greedily, the best first.

    Args:
        needs: By WorkSpace, the applications to look at.
        counts: How long the listings are.
    """
    groups = Counter(frozenset(applications) for applications in needs.values())
    followers: Counter[str] = Counter()
    for applications, size in groups.items():
        for application in applications:
            followers[application] += size
    listed: frozenset[str] = frozenset()
    while True:
        best, best_gain = listed, 0
        for applications in groups:
            candidate = listed | applications
            covered = sum(
                size for group, size in groups.items() if group <= candidate and not group <= listed
            )
            cost = sum(counts.pages(one, followers[one]) for one in candidate - listed)
            if covered - cost > best_gain:
                best, best_gain = candidate, covered - cost
        if best == listed:
            break
        listed = best
    return Plan(
        listings=listed,
        singles=tuple(
            workspace for workspace, applications in needs.items() if not listed.issuperset(applications)
        ),
    )
