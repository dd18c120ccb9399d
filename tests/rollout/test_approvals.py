"""Approvals: what waits for them, who may give them, and what a restart makes of them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.rollout.site import OFFICE, VISIO, Site, manifest, site
from workspaces_apps.rollout import (
    ApprovalRequested,
    Approved,
    Deployed,
    Event,
    Finished,
    JournalError,
    Manifest,
    Rejected,
    RolloutError,
    Staged,
    WaveBegan,
    read_journal,
    write_control,
)
from workspaces_apps.rollout._log.projections import digest_of


async def go(
    here: Site,
    asked: Manifest,
    path: Path | None,
    answer: str | None = "approve",
    stop_at: type | None = None,
) -> tuple[Finished, list[Event]]:
    """Apply a manifest, and say that to every wave that waits; stop at an event of that kind."""
    plan = await here.rollout.plan(asked, journal=path)
    events: list[Event] = []
    async with here.rollout.apply(plan, journal=path) as run:
        async for event in run:
            events.append(event)
            if stop_at is not None and isinstance(event, stop_at):
                run.stop()
            elif isinstance(event, ApprovalRequested) and answer == "approve":
                run.approve(event.wave, reason="looks well")
            elif isinstance(event, ApprovalRequested) and answer == "reject":
                run.reject("three users called")
    assert run.result is not None
    return run.result, events


def kinds(events: Sequence[Event]) -> list[str]:
    """The waves and what is said of them, in order."""
    about = (WaveBegan, ApprovalRequested, Approved, Rejected)
    return [f"{event.kind} {event.wave}" for event in events if isinstance(event, about)]


@pytest.mark.parametrize(
    "approval, expected",
    [
        ("none", ["wave 1", "wave 2", "wave 3"]),
        ("canary", ["wave 1", "approval-requested 1", "approved 1", "wave 2", "wave 3"]),
        (
            "every-wave",
            [
                "wave 1",
                "approval-requested 1",
                "approved 1",
                "wave 2",
                "approval-requested 2",
                "approved 2",
                "wave 3",
            ],
        ),
    ],
)
async def test_the_apply_waits_after_such_waves(approval: str, expected: list[str], tmp_path: Path) -> None:
    """After the canary, or after every wave but the last, until somebody approves; and nothing begins before."""
    async with site() as here:
        here.sim.fleet.add_workspaces(6)
        result, events = await go(here, manifest(canary=1, approval=approval), tmp_path / "j")
        waiting = False
        for event in events:
            waiting = isinstance(event, ApprovalRequested) or (waiting and not isinstance(event, Approved))
            assert not (waiting and isinstance(event, Staged | Deployed | WaveBegan))

        assert result.ending == "complete"
        assert kinds(events) == expected
        assert all("@" in event.who for event in events if isinstance(event, Approved))


async def test_a_rejected_wave_ends_the_run_as_drained() -> None:
    """With who and why; and nothing of the next wave was begun."""
    async with site() as here:
        here.sim.fleet.add_workspaces(6)
        result, events = await go(here, manifest(canary=2, approval="canary"), None, "reject")

        assert result.ending == "drained"
        assert "wave 1 was rejected by" in result.message
        assert "three users called" in result.message
        assert result.not_started == 4
        assert len(here.deployments()) == 2
        assert kinds(events) == ["wave 1", "approval-requested 1", "rejected 1"]


async def test_without_an_answer_the_run_drains() -> None:
    """After `approval_timeout`."""
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        asked = manifest(canary=1, approval="canary", approval_timeout="2h")
        result, _ = await go(here, asked, None, None)

        assert result.ending == "drained"
        assert result.message == "nobody approved wave 1 within 2 hours"
        assert 7200 <= result.elapsed < 7200 + 600


async def test_a_wave_that_has_not_ended_cannot_be_approved(tmp_path: Path) -> None:
    """Neither in Python nor beside the journal."""
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        asked = manifest(canary=1, approval="canary")
        plan = await here.rollout.plan(asked)
        async with here.rollout.apply(plan, journal=tmp_path / "j") as run:
            async for event in run:
                if isinstance(event, Staged):
                    with pytest.raises(RolloutError, match="no wave waits"):
                        run.approve()
                    with pytest.raises(JournalError, match="no wave has ended"):
                        await write_control(tmp_path / "j", "approve", wave=1)
                if isinstance(event, ApprovalRequested):
                    with pytest.raises(RolloutError, match="wave 1 waits"):
                        run.approve(2)
                    run.approve(1)
        assert run.result is not None
        assert run.result.ending == "complete"


async def test_another_process_approves(tmp_path: Path) -> None:
    """Beside the journal, by whoever may write there; who it was is on record."""
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        asked = manifest(canary=1, approval="canary", approval_timeout="115d")
        plan = await here.rollout.plan(asked)
        async with here.rollout.apply(plan, journal=tmp_path / "j") as run:
            async for event in run:
                if isinstance(event, ApprovalRequested):
                    await write_control(tmp_path / "j", "approve", who="ann@desk", reason="fine")
        (approved,) = [event for event in read_journal(tmp_path / "j") if isinstance(event, Approved)]

        assert (approved.who, approved.reason, approved.sequence) == ("ann@desk", "fine", 1)


@pytest.mark.parametrize("stop_at", [ApprovalRequested, Approved, WaveBegan])
async def test_a_restart_asks_again_for_what_was_not_approved(
    stop_at: type[ApprovalRequested | Approved | WaveBegan], tmp_path: Path
) -> None:
    """Before anything begins; what was approved is not asked for again, and the next run has no canary then."""
    async with site() as here:
        here.sim.fleet.add_workspaces(7)
        asked = manifest(canary=1, approval="canary")
        await go(here, asked, tmp_path / "j", stop_at=stop_at)
        result, events = await go(here, asked, tmp_path / "j")
        expected = {
            ApprovalRequested: ["approval-requested 1", "approved 1", "wave 1", "wave 2"],
            Approved: ["wave 1", "wave 2"],
            # Stopped in the middle of the canary: the rest is cut anew, canary and all.
            WaveBegan: ["wave 1", "approval-requested 1", "approved 1", "wave 2", "wave 3"],
        }

        assert result.ending == "complete"
        assert kinds(events) == expected[stop_at]


async def test_a_wave_whose_end_was_not_told_has_ended_nevertheless(tmp_path: Path) -> None:
    """Killed between its last result and the request: the results of its WorkSpaces tell, by the digest."""
    async with site() as here:
        here.sim.fleet.add_workspaces(4)
        asked = manifest(canary=1, approval="canary")
        await go(here, asked, tmp_path / "j", stop_at=ApprovalRequested)
        lines = (tmp_path / "j").read_bytes().splitlines(keepends=True)
        told = next(number for number, line in enumerate(lines) if b"approval-requested" in line)
        (tmp_path / "j").write_bytes(b"".join(lines[:told]))
        _, events = await go(here, asked, tmp_path / "j")

        assert kinds(events)[:2] == ["approval-requested 1", "approved 1"]


async def test_an_old_word_is_not_taken_for_a_new_wave(tmp_path: Path) -> None:
    """A rejection that was acted upon does not reject the same WorkSpaces in the next run."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(4)
        here.sim.faults.add("deployment_error", workspace_id=ids[0], times=1)
        asked = manifest(canary=1, approval="canary", retries=0, failure_budget=5)
        plan = await here.rollout.plan(asked)
        async with here.rollout.apply(plan, journal=tmp_path / "j") as run:
            async for event in run:
                if isinstance(event, ApprovalRequested):
                    await write_control(tmp_path / "j", "reject")
        asked = manifest(canary=1, approval="canary", retries=1, failure_budget=5)
        result, events = await go(here, asked, tmp_path / "j")

        assert kinds(events)[:3] == ["wave 1", "approval-requested 1", "approved 1"]
        assert result.ending == "complete"


async def test_waves_record_what_is_in_them(tmp_path: Path) -> None:
    """The digest of targets and WorkSpaces, whatever their order."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3)
        _, events = await go(here, manifest(), tmp_path / "j")
        (wave,) = [event for event in events if isinstance(event, WaveBegan)]

        assert wave.digest == digest_of([("default", one) for one in reversed(ids)])
        assert not wave.approval


async def test_a_complete_rollout_is_over(tmp_path: Path) -> None:
    """A later apply on the journal is another roll-out: it begins with a canary again."""
    async with site() as here:
        here.sim.fleet.add_workspaces(3)
        asked = manifest(canary=1, approval="canary")
        await go(here, asked, tmp_path / "j")
        here.sim.fleet.add_workspaces(3)
        _, events = await go(here, asked, tmp_path / "j")

        assert kinds(events)[:3] == ["wave 1", "approval-requested 1", "approved 1"]


@pytest.mark.parametrize("changed", [False, True])
async def test_an_approval_is_for_what_was_planned_then(changed: bool, tmp_path: Path) -> None:
    """An approved canary carries over to the same applications; one that the manifest adds begins with a canary again."""

    def asked(*applications: str) -> Manifest:
        return manifest(applications, canary=3, approval="canary", retries=0, failure_budget=5)

    async with site() as here:
        here.sim.faults.add("deployment_error", workspace_id=here.sim.fleet.add_workspaces(12)[-1])
        result, _ = await go(here, asked(OFFICE), tmp_path / "j")
        assert result.ending == "incomplete"
        here.sim.fleet.add_workspaces(2)
        _, events = await go(here, asked(OFFICE, VISIO) if changed else asked(OFFICE), tmp_path / "j")

    first = next(event for event in events if isinstance(event, WaveBegan))
    assert (first.approval, "approval-requested 1" in kinds(events)) == (changed, changed)
