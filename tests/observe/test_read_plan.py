"""The arithmetic that picks the cheaper calls."""

import sys
from types import FrameType

from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps._observe.reads import PageCounts, make_plan

APPS = [f"wsa-{number}" for number in range(4)]


def counted(pages: dict[str, int]) -> PageCounts:
    """Listings of known length."""
    counts = PageCounts()
    for application, number in pages.items():
        counts.read(application, number)
    return counts


def test_many_workspaces_and_one_application_are_listed() -> None:
    """A thousand WorkSpaces are forty pages, and not a thousand calls."""
    needs = {f"ws-{number}": ["wsa-0"] for number in range(1000)}

    plan = make_plan(needs, PageCounts())

    assert plan.listings == {"wsa-0"}
    assert plan.singles == ()


def test_few_workspaces_are_asked_one_by_one() -> None:
    """Three calls are fewer than forty pages."""
    needs = {f"ws-{number}": ["wsa-0"] for number in range(3)}

    plan = make_plan(needs, counted({"wsa-0": 40}))

    assert plan.listings == frozenset()
    assert len(plan.singles) == 3


def test_applications_that_always_come_together_are_listed_together() -> None:
    """Neither listing alone would cover a single WorkSpace."""
    needs = {f"ws-{number}": ["wsa-0", "wsa-1"] for number in range(100)}

    assert make_plan(needs, counted({"wsa-0": 10, "wsa-1": 10})).listings == {"wsa-0", "wsa-1"}


def test_a_listing_that_was_not_worth_it_is_tried_for_twice_as_many() -> None:
    """A listing that took longer than expected is remembered as longer."""
    counts = PageCounts()
    counts.gave_up("wsa-0", 30)

    def listed(count: int) -> bool:
        return bool(make_plan({f"ws-{number}": ["wsa-0"] for number in range(count)}, counts).listings)

    assert [listed(59), listed(61)] == [False, True]


@given(
    st.dictionaries(
        st.integers(0, 200).map("ws-{}".format), st.lists(st.sampled_from(APPS), min_size=1), max_size=80
    ),
    st.dictionaries(st.sampled_from(APPS), st.integers(1, 60)),
)
def test_a_plan_shows_everything_and_never_costs_more_than_asking_each(
    needs: dict[str, list[str]], pages: dict[str, int]
) -> None:
    """Whoever is not asked is covered by listings, and these pay."""
    counts = counted(pages)

    plan = make_plan(needs, counts)

    covered = {workspace for workspace, wanted in needs.items() if plan.listings.issuperset(wanted)}
    assert covered | set(plan.singles) == set(needs)
    followers = {app: sum(app in wanted for wanted in needs.values()) for app in plan.listings}
    cost = sum(counts.pages(app, followers[app]) for app in plan.listings) + len(plan.singles)
    assert cost <= len(needs)


def test_thousands_of_different_sets_are_weighed_in_little_time() -> None:
    """Ten thousand WorkSpaces that each want other applications cost some tens of steps each."""
    names = [f"wsa-{number}" for number in range(14)]
    needs = {
        f"ws-{number}": [name for bit, name in enumerate(names) if number * 2654435761 >> bit & 1] or names
        for number in range(10_000)
    }
    steps = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal steps
        steps += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        plan = make_plan(needs, PageCounts())
    finally:
        sys.setprofile(before)

    assert steps <= 10_000 * 30
    assert plan.listings == set(names)
