"""The last words of an apply that ends early: what goes on, what is staged, and what was never begun."""

from pathlib import Path

import pytest

from tests.rollout.site import OFFICE, VISIO, manifest, site
from workspaces_apps._reconcile.observed_state import left_as
from workspaces_apps.rollout import (
    Apply,
    Deployed,
    Event,
    Finished,
    Reason,
    Report,
    Staged,
    Started,
    WaveBegan,
)
from workspaces_apps.rollout._journal.lines import from_line


async def stop_at(apply: Apply, moment: type[Event], time: int = 1) -> Finished:
    """Stop an apply at an event of a kind, the first or a later one; how it ended."""
    seen = 0
    async with apply as run:
        async for event in run:
            seen += isinstance(event, moment)
            if isinstance(event, moment) and seen == time:
                run.stop()
    assert run.result is not None
    return run.result


@pytest.mark.parametrize(
    "state, left",
    [
        ("PENDING_INSTALL", Reason.LEFT_DEPLOYING),
        ("UNINSTALLING", Reason.LEFT_DEPLOYING),
        ("PENDING_UNINSTALL_DEPLOYMENT", Reason.LEFT_STAGED),
        ("REMOVED", Reason.NOT_STARTED),
        ("COMPLETED", Reason.NOT_STARTED),
        ("ERROR", Reason.STOPPED),
        ("UNHEARD_OF", Reason.STOPPED),
    ],
)
def test_how_a_stopped_rollout_leaves_a_change_is_told_by_its_state(state: str, left: Reason) -> None:
    """Only where the roll-out was stopped: any other reason says more than how the change was left."""
    assert left_as(state, Reason.STOPPED) is left
    assert left_as(state, Reason.CONNECTED) is Reason.CONNECTED


async def test_a_stop_tells_what_goes_on_from_what_never_began(tmp_path: Path) -> None:
    """Two deploy and three wait for their turn: in the events, in the counts, in the report."""
    path = tmp_path / "journal"
    async with site() as here:
        here.sim.fleet.add_workspaces(5)
        plan = await here.rollout.plan(manifest(max_in_flight=2))
        result = await stop_at(here.rollout.apply(plan, journal=path), Deployed, 2)
        report = Report.from_journal(path)

        assert (result.left_deploying, result.left_staged, result.not_started, result.skipped) == (2, 0, 3, 5)
        assert {one.reason: one.changes for one in report.reasons} == {"left-deploying": 2, "not-started": 3}
        for text in (report.to_text(), report.to_html()):
            assert "Stopped (asked to stop): 2 left deploying, 3 not started" in text


async def test_what_is_left_staged_is_told(tmp_path: Path) -> None:
    """Stopped between Associate and Deploy, the change waits for whoever deploys that WorkSpace next."""
    path = tmp_path / "journal"
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest([OFFICE, VISIO]))
        result = await stop_at(here.rollout.apply(plan, journal=path), Staged)
        (staged, *_) = Report.from_journal(path).reasons

        assert (staged.reason, staged.changes) == (Reason.LEFT_STAGED, result.left_staged)


@pytest.mark.parametrize("moment", [Started, WaveBegan])
async def test_what_an_earlier_run_left_deploying_is_not_called_unbegun(
    moment: type[Event], tmp_path: Path
) -> None:
    """The second run is stopped before the turn of a WorkSpace that the first one had begun: early, or in its wave."""
    path = tmp_path / "journal"
    async with site() as here:
        here.sim.fleet.add_workspaces(2)
        plan = await here.rollout.plan(manifest(max_in_flight=2))
        await stop_at(here.rollout.apply(plan, journal=path), Deployed, 2)
        plan = await here.rollout.plan(manifest(max_in_flight=1), journal=path)
        result = await stop_at(here.rollout.apply(plan, journal=path), moment)

        assert (result.left_deploying, result.not_started) == (2, 0)


def test_an_end_that_an_earlier_release_wrote_is_read() -> None:
    """It told only how many were skipped."""
    line = (
        b'{"at":"2026-03-02T08:00:00Z","run":"r","kind":"finished","ending":"stopped","elapsed":1,"calls":1,'
        b'"throttled":0,"succeeded":1,"failed":0,"skipped":35}'
    )
    event = from_line(line)

    assert isinstance(event, Finished)
    assert (event.skipped, event.left_deploying, event.left_staged, event.not_started) == (35, 0, 0, 0)
