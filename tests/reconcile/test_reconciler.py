"""One reconciler, against a simulated WorkSpace: what it sends, what it tells, and when."""

import asyncio
from collections.abc import Callable
from typing import Literal

import pytest

from tests.http.conftest import no_stubs_of_moto
from tests.http.ways import forbid, posts
from tests.reconcile.notes import bench
from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps._reconcile.reconciler import DeadlinePassed
from workspaces_apps._reconcile.writes import Refusal
from workspaces_apps.simulator import FaultKind

__all__ = ["no_stubs_of_moto", "posts"]

DEPLOY = "DeployWorkspaceApplications"
ASSOCIATE = "AssociateWorkspaceApplication"


class Gate:
    """Conditions that somebody opens and closes."""

    def __init__(
        self,
        *,
        deploy: bool = True,
        stage: bool = True,
        lasting: Refusal | None = None,
        count: Callable[[], int] = lambda: 0,
    ) -> None:
        self.deploy = deploy
        self.stage = stage
        self.lasting = lasting
        self.count = count
        self.asked: list[tuple[bool, int]] = []
        self._stop = asyncio.Event()

    def holds(self, *, deploy: bool) -> bool:
        """Tell if a write may leave; keep for which kind of write it was asked, and what `count` was then."""
        self.asked.append((deploy, self.count()))
        return self.deploy if deploy else self.stage

    async def until_they_hold(self, *, deploy: bool) -> Refusal | None:
        """Open at once, or refuse."""
        if self.lasting is None:
            self.deploy = self.deploy or deploy
            self.stage = self.stage or not deploy
        return self.lasting

    @property
    def stops(self) -> tuple[asyncio.Event]:
        """The signal that comes when `stop` is called."""
        return (self._stop,)

    def stop(self) -> None:
        """Start nothing more."""
        self._stop.set()

    def stopped(self) -> Refusal | None:
        """Refuse once `stop` was called."""
        return Refusal(Reason.DRAINED, "no more") if self._stop.is_set() else None

    def is_admitted(self) -> bool:
        """Tell that nobody is asked."""
        return True

    def is_recent(self, longest_age: float) -> bool:  # noqa: ARG002 - asked for nothing
        """Tell that no user matters."""
        return True

    async def refusal(self, *, deploy: bool) -> Refusal | None:  # noqa: ARG002 - asked for nothing
        """Forbid nothing."""
        return None

    def deployed(self) -> None:
        """Do nothing."""


async def test_each_write_is_announced_and_its_answer_told() -> None:
    """Intent, write, answer, in this order; and one result."""
    async with bench() as here:
        result = await here.reconciler({here.here.application: "install"}).run()

        assert [kind for kind, *_ in here.notes.kept] == [
            "intent",
            "staged",
            "intent",
            "deployed",
            "succeeded",
        ]
        assert [one.outcome for one in result.changes.values()] == ["succeeded"]


async def test_a_failure_is_retried_and_told() -> None:
    """Failed, not for good; then succeeded."""
    async with bench() as here:
        here.here.sim.faults.add("deployment_error", workspace_id=here.workspace_id, times=1)

        await here.reconciler({here.here.application: "install"}).run()

        assert here.notes.kinds == ["staged", "deployed", "failed", "deployed", "succeeded"]


@pytest.mark.parametrize("known", [True, False])
async def test_an_old_error_is_retried_by_force_only_where_its_direction_is_known(known: bool) -> None:
    """Else it is staged anew, which states the direction."""
    async with bench() as here:
        application = here.here.application
        here.here.sim.fleet.set_association(here.workspace_id, application, "ERROR")
        if known:
            here.notes.directions[application] = "install"

        await here.reconciler({application: "install"}).run()

        assert here.notes.kinds == [*([] if known else ["staged"]), "deployed", "succeeded"]
        (deployed,) = (one for one in here.notes.kept if one[0] == "deployed")
        assert deployed[2] is known


async def test_a_workspace_that_is_busy_is_waited_for() -> None:
    """Somebody else's deployment goes on: nothing is sent until it has ended."""
    async with bench() as here:
        here.here.sim.faults.add("error", operation=ASSOCIATE, code="ResourceInUseException", times=3)

        await here.reconciler({here.here.application: "install"}).run()

        assert here.notes.kinds == ["staged", "deployed", "succeeded"]
        assert here.here.count(ASSOCIATE) == 4


async def test_a_write_that_was_not_begun_is_withdrawn_and_counts_as_no_retry() -> None:
    """A Force that was throttled began nothing: it is sent again, though one retry is all that is allowed."""
    async with bench() as here:
        here.here.sim.faults.add("deployment_error", workspace_id=here.workspace_id, times=1)
        here.here.sim.faults.add("throttle", operation=DEPLOY, skip=1, times=2)

        await here.reconciler({here.here.application: "install"}).run()

        assert here.notes.kinds[-2:] == ["deployed", "succeeded"]
        withdrawn = [one for one in here.notes.kept if one[0] == "withdrawn"]
        assert withdrawn == [("withdrawn", DEPLOY, "ThrottlingException")] * 2
        assert here.notes.tries == {here.here.application: 1}


@pytest.mark.parametrize("closed", ["deploy", "stage"])
async def test_what_the_guard_refuses_is_not_sent_and_withdrawn(closed: str) -> None:
    """The reconciler waits for the conditions, reads and decides anew; then it goes on."""
    async with bench() as here:
        gate = Gate(deploy=closed != "deploy", stage=closed != "stage")

        await here.reconciler({here.here.application: "install"}, conditions=gate).run()

        assert here.notes.kinds == ["staged", "deployed", "succeeded"]
        assert [one[2] for one in here.notes.kept if one[0] == "withdrawn"] == ["guard"]
        assert (here.here.count(ASSOCIATE), here.here.count(DEPLOY)) == (1, 1)
        assert len(gate.asked) == 3


@pytest.mark.parametrize("fault", ["reset_after", "throttle"])
async def test_what_an_attempt_may_have_staged_before_the_guard_closed_is_taken_back(
    fault: FaultKind,
) -> None:
    """Its intent stands, and a read tells that it is staged; of an attempt that was refused nothing is left."""
    async with bench() as here:
        application = here.here.application
        here.here.sim.faults.add(fault, operation=ASSOCIATE, times=1)

        class Drained(Gate):
            """Conditions that end between two attempts of Associate."""

            def holds(self, *, deploy: bool) -> bool:
                return super().holds(deploy=deploy) and (here.here.count(ASSOCIATE) == 0 or self.refused)

            refused = False

            async def until_they_hold(self, *, deploy: bool) -> Refusal | None:
                self.refused = True
                return await super().until_they_hold(deploy=deploy)

        gate = Drained(lasting=Refusal(Reason.DRAINED, "no more"))
        result = await here.reconciler({application: "install"}, conditions=gate).run()

        arrived = fault == "reset_after"
        assert here.here.sim.fleet.associations(here.workspace_id) == {}
        assert (result.taken_back, result.left_staged) == ((application,) if arrived else (), ())
        withdrawn = [one for one in here.notes.kept if one[0] == "withdrawn"]
        assert withdrawn == ([] if arrived else [("withdrawn", ASSOCIATE, "guard")])
        assert here.here.count(ASSOCIATE) == 1


@pytest.mark.parametrize("fault", ["reset_after", "throttle"])
@pytest.mark.parametrize("operation", [ASSOCIATE, DEPLOY])
async def test_the_first_write_is_not_repeated_once_nothing_more_starts(
    operation: str, fault: FaultKind
) -> None:
    """Behind a throttle nothing has begun, and an attempt that may have arrived is taken back; what has begun goes on."""
    async with bench() as here:
        here.here.sim.faults.add(fault, operation=operation, times=1)

        class Stopping(Gate):
            """Conditions under which nothing more starts after the first attempt of the operation."""

            def stopped(self) -> Refusal | None:
                if here.here.count(operation):
                    self.stop()
                return super().stopped()

        result = await here.reconciler({here.here.application: "install"}, conditions=Stopping()).run()

        begun = operation == DEPLOY
        assert here.here.count(DEPLOY) >= begun
        assert [one.outcome for one in result.changes.values()] == ["succeeded" if begun else "skipped"]
        states = here.here.sim.fleet.associations(here.workspace_id)
        assert states == ({here.here.application: "COMPLETED"} if begun else {})


@pytest.mark.parametrize("operation", [ASSOCIATE, DEPLOY])
@pytest.mark.parametrize("allowed", [True, False], ids=["fast path", "aiobotocore's way"])
async def test_the_guard_is_asked_before_every_attempt(
    operation: str, allowed: bool, posts: list[bytes]
) -> None:
    """A write that is repeated after a throttle asks again before it leaves, whichever way it goes."""
    async with bench() as here:
        if not allowed:
            await forbid(here.here.ws)
        # The first call of each operation is aiobotocore's in any case.
        await here.reconciler({here.here.another: "install"}).run()
        before = here.here.count(operation)
        here.here.sim.faults.add("throttle", operation=operation, times=1)
        gate = Gate(count=lambda: here.here.count(operation) - before)

        await here.reconciler({here.here.application: "install"}, conditions=gate).run()

        assert here.here.count(operation) - before == 2
        # On the fast path once more, when the connection stands.
        times = 2 if allowed else 1
        assert [sent for deploy, sent in gate.asked if deploy is (operation == DEPLOY)] == [0] * times + [
            1
        ] * times
        assert sum(operation.encode() in post for post in posts) == (2 if allowed else 0)


async def test_conditions_that_will_not_hold_leave_nothing_staged() -> None:
    """Outside the hours for good: what was staged is taken back, since any deployment would commit it."""
    async with bench() as here:
        gate = Gate(deploy=False, lasting=Refusal(Reason.OUTSIDE_HOURS, "closed"))

        result = await here.reconciler({here.here.application: "install"}, conditions=gate).run()

        assert [one.reason for one in result.changes.values()] == ["outside-hours"]
        assert result.taken_back == (here.here.application,)
        assert here.here.sim.fleet.associations(here.workspace_id) == {}
        assert here.here.count(DEPLOY) == 0


async def test_what_a_pause_keeps_from_being_taken_back_is_told_as_staged() -> None:
    """Drained while paused after Associate: a pause keeps every write back."""
    async with bench() as here:
        application = here.here.application

        class Paused(Gate):
            """Conditions that end once the change is staged."""

            def holds(self, *, deploy: bool) -> bool:
                return super().holds(deploy=deploy) and here.here.count(ASSOCIATE) == 0

        gate = Paused(lasting=Refusal(Reason.DRAINED, "no more"))
        result = await here.reconciler({application: "install"}, conditions=gate).run()

        assert {one.reason for one in result.changes.values()} == {"left-staged"}
        assert (result.taken_back, result.left_staged) == ((), (application,))
        assert here.here.sim.fleet.associations(here.workspace_id)


async def test_a_deploy_whose_read_has_grown_old_is_not_sent() -> None:
    """The queue of the limiter lies between the read and the Deploy: it reads again, and sees what was staged since."""
    async with bench() as here:
        world, sim = here.here, here.here.sim

        async def stage_another() -> None:
            while not world.count(ASSOCIATE):
                await sim.clock.sleep(1)
            sim.fleet.set_association(here.workspace_id, world.another, "PENDING_INSTALL_DEPLOYMENT")

        sim.faults.add("slow", operation="DescribeWorkspaceAssociations", delay=11, times=2)
        meddling = asyncio.create_task(stage_another())
        result = await here.reconciler({world.application: "install"}).run()
        await meddling

        assert world.count(DEPLOY) == 0
        assert result.foreign == {world.another: "PENDING_INSTALL_DEPLOYMENT"}
        assert sim.fleet.associations(here.workspace_id) == {world.another: "PENDING_INSTALL_DEPLOYMENT"}


async def test_a_workspace_on_its_way_is_waited_for_without_a_permit() -> None:
    """One that starts becomes ready by itself; meanwhile others may begin."""
    async with bench() as here:
        here.here.sim.fleet.set_state(here.workspace_id, "STARTING")
        parked: list[bool] = []
        reconciler = here.reconciler({here.here.application: "install"}, park=parked.append)

        async def start() -> None:
            await here.here.sim.clock.sleep(90)
            here.here.sim.fleet.set_state(here.workspace_id, "AVAILABLE")

        starting = asyncio.create_task(start())
        await reconciler.run()
        await starting

        assert here.notes.kinds == ["staged", "deployed", "succeeded"]
        assert (parked[0], parked[-1]) == (True, False)


async def test_a_workspace_that_does_not_become_ready_is_left_alone() -> None:
    """After `ready_timeout`, with a reason of its own."""
    async with bench() as here:
        here.here.sim.fleet.set_state(here.workspace_id, "REBOOTING")
        began = here.here.sim.clock.monotonic()

        result = await here.reconciler({here.here.application: "install"}, ready_timeout=600).run()

        assert [one.reason for one in result.changes.values()] == ["workspace-state"]
        assert here.here.sim.clock.monotonic() - began == pytest.approx(600, abs=60)
        assert here.here.count(ASSOCIATE) == 0


async def test_a_workspace_that_breaks_under_our_deployment_is_a_failure() -> None:
    """The association is COMPLETED, and the WorkSpace in ERROR: nobody calls that a success."""
    async with bench() as here:

        async def breaks() -> None:
            while not here.here.count(DEPLOY):
                await here.here.sim.clock.sleep(1)
            await here.here.sim.clock.sleep(30)
            here.here.sim.fleet.set_state(here.workspace_id, "ERROR")

        breaking = asyncio.create_task(breaks())
        result = await here.reconciler({here.here.application: "install"}).run()
        await breaking

        assert [(one.outcome, one.reason) for one in result.changes.values()] == [
            ("failed", "workspace-state")
        ]


async def test_an_answer_is_told_though_the_run_is_stopped() -> None:
    """A cancellation between the answer and its record would lose that something was deployed."""
    async with bench() as here:
        here.here.sim.faults.add("slow", operation=DEPLOY, delay=5)
        running = asyncio.create_task(here.reconciler({here.here.application: "install"}).run())
        while not any(one[:2] == ("intent", DEPLOY) for one in here.notes.kept):
            await here.here.sim.clock.sleep(0.5)
        await here.here.sim.clock.sleep(1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert running.cancelled()
        assert here.notes.kinds[-1] == "deployed"


async def test_a_deadline_ends_it_after_one_last_read() -> None:
    """Neither sooner nor later."""
    async with bench() as here:
        clock = here.here.sim.clock

        with pytest.raises(DeadlinePassed):
            await here.reconciler({here.here.application: "install"}, deadline=clock.monotonic() + 100).run()

        assert clock.monotonic() == pytest.approx(100)


async def test_a_target_that_refuses_everything_is_stopped() -> None:
    """Missing permissions are the same for every WorkSpace."""
    async with bench() as here:
        here.here.sim.faults.add("error", operation=ASSOCIATE, code="AccessDeniedException")

        result = await here.reconciler({here.here.application: "install"}).run()

        assert len(here.stopped) == 1
        assert [one.reason for one in result.changes.values()] == ["AccessDeniedException"]


@pytest.mark.parametrize("lost, sent", [("reset_after", 1), ("reset_before", 2), ("internal_error", 2)])
async def test_a_deploy_of_unknown_outcome_is_read_before_it_is_repeated(
    lost: Literal["reset_after", "reset_before", "internal_error"], sent: int
) -> None:
    """One deployment, whatever the client heard: a read tells, some seconds later, since reads may lag behind."""
    async with bench() as here:
        here.here.sim.faults.add(lost, operation=DEPLOY, times=1)

        await here.reconciler({here.here.application: "install"}).run()

        assert here.notes.kinds[-1] == "succeeded"
        assert here.here.count(DEPLOY) == sent


async def test_an_intent_stands_whose_call_was_broken_off_by_closing_the_client() -> None:
    """The service may have got it: the next run must know the direction of what it finds in ERROR."""
    async with bench() as here:
        application, arrived = here.here.application, asyncio.Event()
        here.here.sim.faults.add("slow_after", operation=DEPLOY, times=1)

        async def close() -> None:
            while [kind for kind, *_ in here.notes.kept].count("intent") < 2:
                await here.here.sim.clock.sleep(1)
            await here.here.sim.clock.sleep(5)
            arrived.set()
            await here.here.ws.aclose()

        closing = asyncio.create_task(close())
        result = await here.reconciler({application: "install"}).run()
        await closing

        assert arrived.is_set()
        assert [one.outcome for one in result.changes.values()] == ["failed"]
        assert [kind for kind, *_ in here.notes.kept if kind in ("intent", "withdrawn")] == [
            "intent",
            "intent",
        ]
