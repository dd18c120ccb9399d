"""A long journal does not stop the event loop."""

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.rollout.site import manifest, site
from workspaces_apps.rollout import Event
from workspaces_apps.rollout import _rollout as rollout
from workspaces_apps.rollout._log import event_log
from workspaces_apps.rollout._log.projections import RunHistory


async def test_the_past_is_gone_through_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both an apply and a plan fold a journal off the event loop's thread."""
    folded: list[tuple[bool, int]] = []

    class Watched(RunHistory):
        def __init__(self, past: Iterable[Event] = ()) -> None:
            events = tuple(past)
            folded.append((threading.current_thread() is threading.main_thread(), len(events)))
            super().__init__(events)

    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest())
        await here.carry_out(plan, tmp_path / "journal")
        monkeypatch.setattr(rollout, "RunHistory", Watched)
        monkeypatch.setattr(event_log, "RunHistory", Watched)
        again = await here.rollout.plan(manifest(), journal=tmp_path / "journal")
        await here.carry_out(again, tmp_path / "journal")

    assert [on_loop for on_loop, length in folded if length] == [False, False]
