"""A simulated WorkSpace, a client of it, and what happens to it at chosen moments of a run."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import pytest

from workspaces_apps import ClientConfig, Credentials, Hooks, Pacing, PacingRegistry, WorkSpacesClient
from workspaces_apps.simulator import ManualClock, RequestRecord, Simulator, SimulatorSettings, Span

Moment: TypeAlias = Literal[
    "before",
    "between",
    "read",
    "staged",
    "looked",
    "throttled",
    "stage failed",
    "deploy failed",
    "deployed",
]
"""A moment of a run, each reached once.

``before``: before a plan is made; ``between``: after the plan, which for a job is its start; ``read``: after the first
answer about associations; ``staged``: when the first Associate or Disassociate has taken effect; ``looked``: after the
next answer about this WorkSpace's associations; ``throttled``, ``deploy failed``: after the first Deploy that was
refused for its rate, or whose outcome is open; ``stage failed``: the same of Associate and Disassociate; ``deployed``:
when the first Deploy has committed something.
"""

LABELS: Final[Mapping[str, str]] = {
    "one": "visio standard 2021",
    "other": "project standard 2021",
    "foreign": "visual studio professional 2022",
    "clashing": "visio professional 2021",
}
"""The applications of every scenario, in words of their names; all but the last go together."""

STAGING: Final = frozenset({"AssociateWorkspaceApplication", "DisassociateWorkspaceApplication"})
DEPLOYING: Final = "DeployWorkspaceApplications"
ABSENT: Final = "absent"
"""The place of an association that does not exist, or is REMOVED: the same [assumed]; or of a WorkSpace."""

_READING: Final = frozenset({"DescribeWorkspaceAssociations", "DescribeApplicationAssociations"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that somebody else does.

    Attributes:
        at: The moment it counts from.
        does: What is done.
        after: Simulated seconds from that moment.
    """

    at: Moment
    does: "Callable[[Scene], object]"
    after: float = 0.0


@dataclass(slots=True, kw_only=True)
class Scene:
    """One WorkSpace and everything around it.

    Attributes:
        sim: The simulator.
        client: The client under test.
        clock: Their time.
        workspace_id: The WorkSpace.
        happenings: What somebody else does.
        applications: The applications' ids by label.
        committed: How many Deploys took effect.
        reached: The moments that have been.
    """

    sim: Simulator
    client: WorkSpacesClient
    clock: ManualClock
    workspace_id: str
    happenings: Sequence[Happening] = ()
    applications: Mapping[str, str] = field(default_factory=dict[str, str])
    committed: int = 0
    reached: set[Moment] = field(default_factory=set[Moment])
    _tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def reach(self, moment: Moment) -> None:
        """Do what is to be done at a moment, the first time that it comes."""
        if moment in self.reached:
            return
        self.reached.add(moment)
        for happening in self.happenings:
            if happening.at == moment:
                if happening.after:
                    self.begin(self._later(happening))
                else:
                    happening.does(self)

    def begin(self, work: Coroutine[object, object, None]) -> None:
        """Do something beside the run."""
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _later(self, happening: Happening) -> None:
        await self.clock.sleep(happening.after)
        happening.does(self)

    async def end(self) -> None:
        """Cancel what has not been done; what failed fails the scenario."""
        for task in self._tasks:
            task.cancel()
        for answer in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(answer, Exception):
                raise answer

    @property
    def exists(self) -> bool:
        """Tell if the WorkSpace is there."""
        return self.workspace_id in self.sim.fleet.workspace_ids

    @property
    def gone(self) -> bool:
        """Tell if the WorkSpace is not there, or will not be."""
        states = ("TERMINATING", "TERMINATED")
        return not self.exists or self.sim.fleet.workspace(self.workspace_id).state in states

    def workspace_is(self, state: str) -> None:
        """Put the WorkSpace into a state, or take it away."""
        if not self.exists:
            return
        if state == ABSENT:
            fleet = self.sim.fleet
            fleet.store.drop_workspace(fleet.workspace(self.workspace_id))
        else:
            self.sim.fleet.set_state(self.workspace_id, state)

    def workspace_comes_back(self, state: str) -> None:
        """Let the deployment that goes on end in a state."""
        self.sim.fleet.workspace(self.workspace_id).resting_state = state

    def association_is(self, label: str, state: str, *, failed: str | None = None) -> None:
        """Put an association into a state, or take it away; in ERROR with the direction that failed."""
        # The simulator's own type of states is closed; one that nobody knows is part of the point.
        place: Callable[..., None] = self.sim.fleet.set_association
        known = None if state == ABSENT else state
        place(self.workspace_id, self.applications[label], known, direction=failed)

    def states(self) -> dict[str, str]:
        """The state of each association that exists, by label."""
        if not self.exists:
            return {}
        labels = {application: label for label, application in self.applications.items()}
        found = self.sim.fleet.associations(self.workspace_id)
        return {labels[one]: str(state) for one, state in found.items() if state != "REMOVED"}

    @contextmanager
    def watched(self) -> Generator[None]:
        """See every request when it has taken effect, before its answer leaves."""
        record: Callable[..., None] = self.sim.requests.add

        def add(**members: object) -> None:
            record(**members)
            latest = self.sim.requests.last()
            if latest is not None:
                self._see(latest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.sim.requests, "add", add)
            yield

    def _see(self, request: RequestRecord) -> None:
        succeeded = request.status in (200, None) and request.fault != "reset_before"
        open_ended = request.status is None or request.status >= 500 or request.fault == "not_json"
        if request.operation in _READING and succeeded:
            if "staged" in self.reached and request.operation == "DescribeWorkspaceAssociations":
                self.reach("looked")
            self.reach("read")
        elif request.operation in STAGING:
            if succeeded:
                self.reach("staged")
            if open_ended:
                self.reach("stage failed")
        elif request.operation == DEPLOYING:
            if succeeded and self._has_just_begun():
                self.committed += 1
                self.reach("deployed")
            if request.error == "ThrottlingException":
                self.reach("throttled")
            if open_ended:
                self.reach("deploy failed")

    def _has_just_begun(self) -> bool:
        if not self.exists:
            return False
        now = self.clock.timestamp()
        return any(
            one.state in ("PENDING_INSTALL", "PENDING_UNINSTALL") and one.updated == now
            for one in self.sim.fleet.workspace(self.workspace_id).associations.values()
        )

    def writes(self) -> list[tuple[str, str | None]]:
        """Every write the service took, in order: the operation, and the application's label."""
        labels = {application: label for label, application in self.applications.items()}
        return [
            (str(one.operation), labels.get(str((one.parameters or {}).get("ApplicationId"))))
            for one in self.sim.requests
            if one.operation in {*STAGING, DEPLOYING} and one.status == 200
        ]


def quick_settings(error_record: Literal["restate", "keep", "refuse"] = "restate") -> SimulatorSettings:
    """Deployments of about a minute."""
    return SimulatorSettings(
        pending_delay=Span(1, 2),
        install_duration=Span(60, 61),
        uninstall_duration=Span(60, 61),
        error_record=error_record,
    )


@asynccontextmanager
async def scene(
    happenings: Sequence[Happening] = (),
    *,
    settings: SimulatorSettings | None = None,
    pacing: Pacing | None = None,
    jitter: float = 0.5,
    hooks: Hooks | None = None,
) -> AsyncGenerator[Scene]:
    """A WorkSpace that is AVAILABLE, without any application.

    Args:
        happenings: What somebody else does.
        settings: The simulator's; deployments of about a minute if None.
        pacing: The client's; adaptive if None.
        jitter: The client's draw for every backoff, 0 to 1.
        hooks: The client's.
    """
    clock = ManualClock(autojump=True)
    async with Simulator(
        workspaces=0, clock=clock, throttle=None, settings=settings or quick_settings(), seed=3
    ) as sim:
        (workspace_id,) = sim.fleet.add_workspaces(1)
        keys = sim.credentials
        async with WorkSpacesClient(
            region=sim.region,
            endpoint_url=sim.url,
            credentials=Credentials(keys.access_key_id, keys.secret_access_key),
            clock=clock,
            config=ClientConfig(
                hooks=hooks or Hooks(),
                pacing=pacing or Pacing.adaptive(),
                pacing_registry=PacingRegistry(),
                random=lambda: jitter,
                # Real seconds, in which nothing happens on a busy machine.
                connect_timeout=60,
            ),
        ) as client:
            made = Scene(
                sim=sim,
                client=client,
                clock=clock,
                workspace_id=workspace_id,
                happenings=happenings,
                applications={label: sim.fleet.application(name) for label, name in LABELS.items()},
            )
            with made.watched():
                try:
                    yield made
                finally:
                    await made.end()
