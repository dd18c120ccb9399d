"""The scripted week, with a fleet that is small enough for every day."""

from pathlib import Path

import pytest

from benchmarks.week import live_through, report

pytestmark = [pytest.mark.campaign, pytest.mark.long]


async def test_everything_ends_as_wanted_and_nobody_is_thrown_out(tmp_path: Path) -> None:
    """A canary that fails, an approval, two kills, an expired login, and an undo, over 90 desktops."""
    week, restored = await live_through(90, tmp_path)

    assert [run.ended for run in week.runs] == [run.wanted for run in week.runs]
    assert restored
    assert week.thrown == 0
    assert "thrown out: 0" in "\n".join(report(week, restored=restored))
