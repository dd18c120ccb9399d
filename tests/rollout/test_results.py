"""The last words of an apply that ends early: what goes on, what is staged, and what was never begun."""

from pathlib import Path

import pytest

from tests.rollout.site import OFFICE, VISIO, manifest, site
from workspaces_apps._associations import Direction
from workspaces_apps._reconcile.observed_state import left_as
from workspaces_apps.rollout import (
    Apply,
    Changed,
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
    """So where it was drained, or its budget is spent; any other reason says more than how the change was left."""
    direction: Direction = "uninstall" if state == "COMPLETED" else "install"
    assert left_as(state, Reason.STOPPED, direction) is left
    for reason in (Reason.DRAINED, Reason.BUDGET_SPENT, Reason.CREDENTIALS):
        assert left_as(state, reason, direction) is (
            left if left in (Reason.LEFT_DEPLOYING, Reason.LEFT_STAGED) else reason
        )
    assert left_as(state, Reason.CONNECTED, direction) is Reason.CONNECTED


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


@pytest.mark.parametrize("resumed", [False, True])
async def test_what_a_drain_leaves_staged_is_told(resumed: bool) -> None:
    """Staged changes that will not be deployed are taken back, unless a pause keeps every write back."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(4)
        plan = await here.rollout.plan(manifest())
        async with here.rollout.apply(plan) as run:
            async for event in run:
                if isinstance(event, Staged):
                    run.pause("help desk closed")
                    break
            await here.clock.sleep(600)
            staged = here.states(OFFICE, ids)["PENDING_INSTALL_DEPLOYMENT"]
            run.drain()
            if resumed:
                run.resume()
            result = await run.finished()

        assert staged
        left = 0 if resumed else staged
        assert (result.ending, result.left_staged, result.not_started) == ("drained", left, 4 - left)
        assert here.states(OFFICE, ids)["PENDING_INSTALL_DEPLOYMENT"] == left


async def test_what_is_installed_beside_what_goes_on_is_not_called_unbegun(tmp_path: Path) -> None:
    """It is left deploying until the WorkSpace is back; a run that ends before its turn then tells that it is made."""
    path = tmp_path / "journal"
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest([OFFICE, VISIO]))
        async with here.rollout.apply(plan, journal=path) as run:
            async for event in run:
                if isinstance(event, Changed) and event.state == "COMPLETED":
                    run.stop()
        assert run.result is not None
        left = run.result.left_deploying, run.result.not_started
        await here.clock.advance(900)
        result = await stop_at(here.rollout.apply(plan, journal=path), WaveBegan)

        assert left == (2, 0)
        assert (result.ending, result.succeeded, result.skipped) == ("stopped", 2, 0)


async def test_what_ended_in_error_before_a_drain_has_failed() -> None:
    """It would be retried if nobody had paused: it is in ERROR, and not one that was never started."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        here.sim.faults.add("deployment_error", times=1)
        plan = await here.rollout.plan(manifest(retries=1))
        async with here.rollout.apply(plan) as run:
            async for event in run:
                if isinstance(event, Changed) and event.state == "INSTALLING":
                    run.pause("help desk closed")
                if isinstance(event, Changed) and event.state == "ERROR":
                    run.drain()
        assert run.result is not None

        assert here.states(OFFICE, [one]) == {"ERROR": 1}
        assert (run.result.failed, run.result.not_started) == (1, 0)


def test_an_end_that_an_earlier_release_wrote_is_read() -> None:
    """It told only how many were skipped."""
    line = (
        b'{"at":"2026-03-02T08:00:00Z","run":"r","kind":"finished","ending":"stopped","elapsed":1,"calls":1,'
        b'"throttled":0,"succeeded":1,"failed":0,"skipped":35}'
    )
    event = from_line(line)

    assert isinstance(event, Finished)
    assert (event.skipped, event.left_deploying, event.left_staged, event.not_started) == (35, 0, 0, 0)
