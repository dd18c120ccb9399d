"""Pages: complete, in order, whatever happens in between; tokens that hold nothing for those who change them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.peer import Call, collect, refusal
from workspaces_apps.simulator import ManualClock, Simulator
from workspaces_apps.simulator._state import OrderedIndex, Pager
from workspaces_apps.simulator._wire import ApiError


@given(
    st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 200)), max_size=300),
    st.integers(0, 300),
)
def test_a_roll_is_an_ordered_map(steps: list[tuple[str, int]], start: int) -> None:
    """After any additions and removals it lists what a plain dict would, from any point."""
    index: OrderedIndex[str] = OrderedIndex()
    expected: dict[int, str] = {}
    number = 0
    for action, which in steps:
        if action == "add":
            number += 1
            index.append(number, f"item {number}")
            expected[number] = f"item {number}"
        else:
            index.remove(which)
            expected.pop(which, None)

    assert list(index.after(start)) == [(key, item) for key, item in expected.items() if key > start]
    assert len(index) == len(expected)
    assert list(index) == list(expected.values())


def test_a_roll_survives_losing_most_of_its_items() -> None:
    """It gives up the places of what is gone, and nothing else changes."""
    index: OrderedIndex[int] = OrderedIndex()
    for number in range(1, 501):
        index.append(number, number)
    for number in range(1, 451):
        index.remove(number)
    index.append(501, 501)

    assert list(index.after(440)) == [(number, number) for number in range(451, 502)]
    assert next(index.after(480)) == (481, 481)
    assert len(index) == 51


@given(st.lists(st.integers(0, 8), max_size=4), st.integers(1, 25))
def test_pages_are_complete_over_several_rolls(sizes: list[int], limit: int) -> None:
    """Every item once, in order; no page but the last is short, and none is empty but the first."""
    indexes: list[OrderedIndex[str]] = []
    for which, size in enumerate(sizes):
        indexes.append(OrderedIndex())
        for key in range(1, size + 1):
            indexes[-1].append(key, f"{which}.{key}")
    pager = Pager(b"secret", 60.0)
    request: dict[str, object] = {}
    pages: list[list[str]] = []
    while True:
        page = pager.page("List", request, indexes, limit, 0.0)  # type: ignore[arg-type]  # a plain JSON object
        pages.append(page.items)
        if page.next_token is None:
            break
        request = {"NextToken": page.next_token}

    listed = [item for items in pages for item in items]
    assert listed == [item for index in indexes for item in index]
    assert all(len(items) == limit for items in pages[:-1])
    assert pages[-1] or len(pages) == 1


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    """Any other text of the alphabet in any place."""
    index: OrderedIndex[str] = OrderedIndex()
    for key in (1, 2):
        index.append(key, "x")
    pager = Pager(b"secret", 60.0)
    token = pager.page("List", {}, [index], 1, 0.0).next_token or ""
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda character: character != token[place]))

    with pytest.raises(ApiError) as caught:
        pager.page("List", {"NextToken": token[:place] + other + token[place + 1 :]}, [index], 1, 0.0)
    assert caught.value.code == "InvalidParameterValuesException"


def test_every_listing_is_complete(sim: Simulator, call: Call) -> None:
    """Page by page, boto3 gets what is there."""
    everything = collect(call, "describe_workspaces", "Workspaces", Limit=4)
    applications = collect(call, "describe_applications", "Applications", MaxResults=5)

    assert [item["WorkspaceId"] for item in everything] == sim.fleet.workspace_ids
    assert [item["ApplicationId"] for item in applications] == sim.fleet.application_ids


def test_a_token_belongs_to_one_listing(call: Call) -> None:
    """Other filters or another operation do not take it; another page size does."""
    token = call("describe_workspaces", Limit=2)["NextToken"]
    directory = call("describe_workspaces", Limit=1)["Workspaces"][0]["DirectoryId"]

    assert refusal(lambda: call("describe_workspaces", NextToken=token, DirectoryId=directory))["Code"] == (
        "InvalidParameterValuesException"
    )
    assert refusal(lambda: call("describe_applications", NextToken=token))["Code"] == (
        "InvalidParameterValuesException"
    )
    assert len(call("describe_workspaces", NextToken=token, Limit=7)["Workspaces"]) == 7


def test_a_token_expires(call: Call, sim: Simulator, clock: ManualClock) -> None:
    """After its lifetime on the simulator's clock."""
    token = call("describe_workspaces", Limit=2)["NextToken"]
    clock.jump(sim.settings.page_token_lifetime + 1)

    assert "expired" in refusal(lambda: call("describe_workspaces", NextToken=token))["Message"]


def test_a_listing_survives_what_goes_and_comes(sim: Simulator, call: Call) -> None:
    """Removing what was listed, and adding, neither repeats nor skips what stays."""
    before = sim.fleet.workspace_ids
    page = call("describe_workspaces", Limit=10)
    store = sim.fleet.store
    for gone in before[5:12]:
        store.drop_workspace(store.workspaces[gone])
    (added,) = sim.fleet.add_workspaces()

    rest = collect(call, "describe_workspaces", "Workspaces")
    after_token = call("describe_workspaces", Limit=25, NextToken=page["NextToken"])["Workspaces"]

    assert len(rest) == 25 - 7 + 1
    assert [item["WorkspaceId"] for item in after_token] == [*before[12:], added]
