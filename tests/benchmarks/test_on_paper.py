"""The model of a very large roll-out, with fleets that are small enough for every day."""

from pathlib import Path

import pytest

from benchmarks.on_paper import ABOUT, BREAKS, HEADING, LEASE_SECONDS, RENEWALS, Fleet, Model, rows
from benchmarks.tables import sections


def test_one_target_takes_what_its_rate_and_a_deployment_take() -> None:
    """And calls, segments and renewals are those that can be counted by hand."""
    load = Model(Fleet(targets=1, workers=1, concurrency=1)).run()

    last = 40 + 199 / 2 + 900 + 20
    assert load.wall == pytest.approx(last, abs=4)
    assert load.calls == 200 * 6
    # A Deploy has a segment of its own; of the ends, those of one second share one; takeover, Associates, and the end.
    assert load.segments == pytest.approx(200 + 200 / 3 + 3, abs=3)
    assert load.renewals == pytest.approx(load.wall * RENEWALS / LEASE_SECONDS, abs=3)
    assert load.suspended == 0
    assert load.cores == pytest.approx(load.calls * 0.003 / load.wall)


def test_targets_wait_their_turn() -> None:
    """Three times as many as are held take three times as long."""
    size = {"workers": 2, "concurrency": 5, "workspaces": 20}
    once, thrice = (Model(Fleet(targets=number, **size)).run() for number in (10, 30))

    assert thrice.wall == pytest.approx(3 * once.wall, rel=0.02)
    assert thrice.peaks["renewals"] == pytest.approx(once.peaks["renewals"], rel=0.1)


def test_a_database_at_its_limit_lets_intents_share_segments() -> None:
    """The beginning takes longer, and renewals come late."""
    size = {"targets": 20, "workers": 1, "concurrency": 20, "workspaces": 40}
    idle, full = (Model(Fleet(write=seconds, **size)).run() for seconds in (0.0002, 0.12))

    assert full.segments < 0.7 * idle.segments
    assert full.target > idle.target
    assert (idle.suspended, full.suspended > 0) == (0, True)


def test_a_core_at_its_limit_lets_calls_wait() -> None:
    """Its worker is busy for as long as its targets begin."""
    size = {"targets": 20, "workers": 1, "concurrency": 20, "workspaces": 40}
    idle, full = (Model(Fleet(call=seconds, **size)).run() for seconds in (0.0003, 0.02))

    assert idle.wait_for_core < 0.1
    assert full.wait_for_core > 0.3
    assert full.target > idle.target


@pytest.mark.checkout
def test_the_page_says_what_the_model_says() -> None:
    """Its words, and a line for each row; whoever changes a rule of the model writes the section anew."""
    page = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text("utf-8")
    section = sections(page)[f"## {HEADING}"]
    one = Fleet(targets=1, workers=1, concurrency=1)
    names = [line.split("|")[1] for line in rows({"one": (one, Model(one).run())})]

    assert ABOUT in section
    assert BREAKS.strip() in section
    assert [line.split("|")[1] for line in section.splitlines() if line.startswith("|")] == names
