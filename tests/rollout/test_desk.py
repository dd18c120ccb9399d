"""One WorkSpace's desk, shown looks that are late, incomplete or shifted."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.rollout.site import OFFICE, Site, manifest, site
from workspaces_apps.rollout import Deployed, Event, Failed, Intent, Journal
from workspaces_apps.rollout.associations import Seen
from workspaces_apps.rollout.bench import Bench, Care, Place
from workspaces_apps.rollout.desk import Desk
from workspaces_apps.rollout.ledger import Ledger
from workspaces_apps.rollout.reading import read_one
from workspaces_apps.rollout.sight import Sight


class ScriptedSight(Sight):
    """Rounds whose looks are written down; after them, what the service says."""

    def __init__(self, here: Site, workspace_id: str, looks: Sequence[dict[str, Seen]]) -> None:
        super().__init__(here.client, here.clock, [here.sim.fleet.application(OFFICE)])
        self._here = here
        self._workspace_id = workspace_id
        self._looks = list(looks)

    async def next_look(self, workspace_id: str) -> dict[str, Seen] | None:
        """The next of them, ten seconds later."""
        await self._here.clock.sleep(10)
        return self._looks.pop(0) if self._looks else await read_one(self._here.client, workspace_id)


class Notes(Ledger):
    """A ledger that also keeps its events, and insists that intents are durable."""

    def __init__(self, here: Site, past: Sequence[Event]) -> None:
        super().__init__(here.clock, None, {})
        self.kept: list[Event] = []
        for event in past:
            self.memory.note(event)

    def record(self, *events: Event, durable: bool = False) -> None:
        """Keep them."""
        assert durable or not any(isinstance(event, Intent) for event in events)
        super().record(*events, durable=durable)
        self.kept += events


async def work(
    here: Site,
    looks: Sequence[dict[str, Seen]],
    *,
    present: bool = True,
    fresh_look: bool = True,
    past: Sequence[Event] = (),
) -> Notes:
    """Plan the only WorkSpace, and let its desk work."""
    wishes = manifest(present=[OFFICE] if present else [], absent=[] if present else [OFFICE], retries=1)
    plan = await here.rollout.plan(wishes)
    (planned,) = plan.pending
    sight = ScriptedSight(here, planned.workspace_id, looks)
    bench = Bench(
        client=here.client,
        clock=here.clock,
        care=Care(policy=plan.policy, fresh_look=fresh_look),
        sight=sight,
        found={planned.workspace_id: await read_one(here.client, planned.workspace_id)},
        acting=asyncio.Semaphore(1),
        gate=asyncio.Semaphore(1),
    )
    place = Place(bench.acting)
    await place.take()
    notes = Notes(here, past)
    halted: list[str] = []
    desk = Desk(planned=planned, bench=bench, place=place, ledger=notes, halt=halted.append)
    await desk.run()
    assert not halted
    assert not desk.words.open
    return notes


def kinds(notes: Notes) -> list[str]:
    """What happened, the changes of state left out."""
    return [event.kind for event in notes.kept if event.kind not in ("intent", "changed")]


async def test_a_row_that_a_page_lost_is_no_success() -> None:
    """A removal going on, and one round without its row: rows shift while others vanish. Then it fails."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        here.sim.fleet.set_association(one, office, "COMPLETED")
        here.sim.faults.add("deployment_error", workspace_id=one)
        notes = await work(here, [{}], present=False)

        assert kinds(notes)[:3] == ["staged", "deployed", "failed"]
        assert "succeeded" not in kinds(notes)


async def test_a_deployment_that_does_not_show_yet_is_not_sent_again() -> None:
    """Still staged in the look after Deploy was taken: wait, also where no fresh look would tell."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        late = {office: Seen("PENDING_INSTALL_DEPLOYMENT")}
        notes = await work(here, [late, late], fresh_look=False)

        assert kinds(notes) == ["staged", "deployed", "succeeded"]
        assert here.sim.requests.count("DeployWorkspaceApplications") == 1


@pytest.mark.parametrize("known", [True, False])
async def test_an_old_error_after_another_try_is_not_a_new_one(known: bool) -> None:
    """The record in ERROR that was tried again, by Force or staged anew, may still show for a moment."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        here.sim.fleet.set_association(one, office, "ERROR")
        await here.clock.sleep(60)
        looks = [await read_one(here.client, one)] * 2
        failed = Intent(
            at=here.clock.now(),
            run="before",
            workspace_id=one,
            application_id=office,
            operation="DeployWorkspaceApplications",
            direction="install",
        )
        notes = await work(here, looks, past=[failed] if known else [])

        assert kinds(notes) == [*([] if known else ["staged"]), "deployed", "succeeded"]
        assert any(event.force for event in notes.kept if isinstance(event, Deployed)) is known


async def test_a_failure_is_tried_again_and_told() -> None:
    """Failed, not for good; then as wanted."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        here.sim.faults.add("deployment_error", workspace_id=one, times=1)
        notes = await work(here, [])

        assert kinds(notes) == ["staged", "deployed", "failed", "deployed", "succeeded"]


async def test_a_workspace_that_is_busy_is_waited_for() -> None:
    """Somebody else's deployment goes on: nothing is sent until it has ended."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        here.sim.faults.add(
            "error",
            operation="AssociateWorkspaceApplication",
            workspace_id=one,
            code="ResourceInUseException",
            times=3,
        )
        began = here.clock.monotonic()
        notes = await work(here, [])

        assert kinds(notes) == ["staged", "deployed", "succeeded"]
        assert here.clock.monotonic() - began > 90


async def test_events_of_a_desk_fit_a_journal(tmp_path: Path) -> None:
    """What a desk records is what a journal takes."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        notes = await work(here, [])
        plan = await here.rollout.plan(manifest())
        await here.carry_out(plan, tmp_path / "journal")
        with Journal(tmp_path / "journal") as journal:
            journal.append(*notes.kept)
        with Journal(tmp_path / "journal") as journal:
            assert list(journal.past[-len(notes.kept) :]) == notes.kept


async def test_a_refused_retry_does_not_count() -> None:
    """A Force that was throttled began nothing: it is sent again, though one retry is all that is allowed."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        here.sim.faults.add("deployment_error", workspace_id=one, times=1)
        here.sim.faults.add("throttle", operation="DeployWorkspaceApplications", skip=1, times=2)
        notes = await work(here, [])

        assert kinds(notes)[-2:] == ["deployed", "succeeded"]
        assert [event.refused for event in notes.kept if isinstance(event, Failed)] == [False, True, True]
