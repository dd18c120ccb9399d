"""Tasks that own a few WorkSpaces, and make calls about them that make sense in the state they are in."""

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tests.chaos.site import SLOW, Site
from workspaces_apps import DeadlineExceededError, Pacing, WorkSpacesError
from workspaces_apps._model.models import Operation, Request, Result
from workspaces_apps._retry import rule_for
from workspaces_apps.api import (
    AssociateWorkspaceApplicationRequest,
    CreateIpGroupRequest,
    CreateTagsRequest,
    CreateWorkspacesRequest,
    DeleteTagsRequest,
    DeployWorkspaceApplicationsRequest,
    DescribeApplicationAssociationsRequest,
    DescribeApplicationsRequest,
    DescribeTagsRequest,
    DescribeWorkspaceAssociationsRequest,
    DescribeWorkspacesRequest,
    DisassociateWorkspaceApplicationRequest,
    StartRequest,
    StartWorkspacesRequest,
    StopRequest,
    StopWorkspacesRequest,
    Tag,
    WorkspaceRequest,
)
from workspaces_apps.simulator import RequestRecord

Test: TypeAlias = Callable[[], bool]

LATE: Final = 0.25
"""Seconds by which a call may exceed its deadline."""

LOOK: Final = "DescribeWorkspaceAssociations"
"""The operation that the client asks what became of a request."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call to make.

    Attributes:
        request: What to ask.
        done: Whether the simulator's state is as it is once the request was carried out.
        undone: Whether it is as it was before.
    """

    request: Operation[Result]
    done: Test = _always
    undone: Test = _always


@dataclass(slots=True)
class Tally:
    """The endings of the calls.

    Attributes:
        outcomes: How often a call succeeded, or failed with which type of error.
        unknown: How many failed with an outcome that they said was unknown.
        looked: How many succeeded because a look found that their request had been carried out.
        latest: By how many seconds the latest of them exceeded its deadline; negative if none did.
        wrong: What was not as it should be.
    """

    outcomes: Counter[str] = field(default_factory=Counter[str])
    unknown: int = 0
    looked: int = 0
    latest: float = -1.0
    wrong: list[str] = field(default_factory=list[str])

    @property
    def calls(self) -> int:
        """The number of calls that ended."""
        return self.outcomes.total()


class OperationInvoker:
    """One task's worth of calls."""

    def __init__(self, site: Site, tally: Tally, number: int, seed: int) -> None:
        """A caller with WorkSpaces of its own.

        Args:
            site: Where.
            tally: What to report to.
            number: Which one; no two have the same.
            seed: What its choices come from.
        """
        self._site = site
        self._tally = tally
        self._number = number
        self._count = 0
        self._random = random.Random(f"{seed}:{number}")
        fleet = site.sim.fleet
        self._workspaces = fleet.add_workspaces(2)
        self._switched = fleet.add_workspaces(1)[0]
        self._application = fleet.application("Office LTSC Professional Plus 2021")
        self._without_pacing = site.client.with_options(pacing=Pacing.off())

    async def run(self, calls: int) -> None:
        """Make that many calls, one after another."""
        for self._count in range(calls):
            chooser = self._random.choices(
                (self._read, self._change, self._tag, self._switch, self._create), (45, 30, 11, 7, 7)
            )[0]
            await self._make(chooser())

    async def _make(self, call: Call) -> None:
        clock, tally = self._site.clock, self._tally
        timeout = self._random.uniform(0.5, 30) if self._random.random() < 0.3 else None
        client = self._random.choice((self._site.client, self._without_pacing)).with_options(timeout=timeout)
        failure: WorkSpacesError | None = None
        began = clock.monotonic()
        try:
            result = await client.execute(call.request)
        except WorkSpacesError as error:
            failure = error
        else:
            tally.outcomes["success"] += 1
            self._check(call, result)
        if timeout is not None:
            tally.latest = max(tally.latest, clock.monotonic() - began - timeout)
        if failure is not None:
            await self._check_failure(call, failure)

    def _check(self, call: Call, result: Result) -> None:
        """Hold the result against what the simulator answered, and its state against the result."""
        request = call.request
        assert isinstance(request, Request)
        operation = request.facts.name
        record = self._record(result.meta.request_id)
        if record is None:
            self._tally.wrong.append(f"{operation}: an answer that was never given")
        elif record.operation != operation:
            self._tally.looked += 1
            if record.operation != LOOK:
                self._tally.wrong.append(f"{operation}: the answer of {record.operation}")
        elif record.parameters != request.to_wire():
            self._tally.wrong.append(f"{operation}: the answer to another request")
        elif type(result).from_wire(json.dumps(record.answer)) != result:
            self._tally.wrong.append(f"{operation}: not what was answered")
        if not call.done():
            self._tally.wrong.append(f"{operation}: succeeded, and was not done")

    async def _check_failure(self, call: Call, error: WorkSpacesError) -> None:
        """Hold what the error says of the outcome against the simulator's state."""
        tally, request = self._tally, call.request
        assert isinstance(request, Request)
        operation = request.facts.name
        tally.outcomes[type(error).__name__] += 1
        if (error.operation, bool(error.attempts)) != (operation, True):
            tally.wrong.append(f"{operation}: {error.operation}, {error.attempts} attempts")
        if isinstance(error, DeadlineExceededError):
            # What was given up may still be carried out; a careful caller waits before it goes on. An answer
            # may be slow twice.
            await self._site.clock.sleep(2 * SLOW + 1)
        unknown = "outcome is unknown" in str(error)
        tally.unknown += unknown
        if rule_for(operation).repeatable:
            if unknown:
                tally.wrong.append(f"{operation}: outcome unknown, of what may be repeated")
        elif unknown:
            if not (call.done() or call.undone()):
                tally.wrong.append(f"{operation}: neither done nor undone")
        elif not call.undone():
            tally.wrong.append(f"{operation}: done, and the error does not say that it may be: {error}")

    def _record(self, request_id: str | None) -> RequestRecord | None:
        records = reversed(tuple(self._site.sim.requests))
        return next((record for record in records if record.request_id == request_id), None)

    def _read(self) -> Call:
        fleet, workspace = self._site.sim.fleet, self._random.choice(self._workspaces)
        reads: tuple[Operation[Result], ...] = (
            DescribeWorkspacesRequest(workspace_ids=self._workspaces),
            DescribeWorkspacesRequest(directory_id=fleet.directory_ids[1], limit=5),
            DescribeWorkspaceAssociationsRequest(workspace_id=workspace),
            DescribeApplicationsRequest(owner="AMAZON", max_results=10),
            DescribeTagsRequest(resource_id=workspace),
            DescribeApplicationAssociationsRequest(
                application_id=self._application, associated_resource_types=["WORKSPACE"], max_results=10
            ),
        )
        return Call(request=self._random.choice(reads))

    def _change(self) -> Call:
        """The next step in the life of an association; a read while there is none to take."""
        workspace, application = self._random.choice(self._workspaces), self._application

        def state() -> str | None:
            return self._site.sim.fleet.associations(workspace).get(application)

        before = state()
        deployable = self._site.sim.fleet.workspace(workspace).state == "AVAILABLE"
        if not deployable:
            return Call(request=DescribeWorkspaceAssociationsRequest(workspace_id=workspace))
        if before is not None and before.endswith("_DEPLOYMENT") and self._random.random() < 0.6:
            return Call(
                request=DeployWorkspaceApplicationsRequest(workspace_id=workspace),
                done=lambda: state() != before,
                undone=lambda: state() == before,
            )
        if before in (None, "PENDING_UNINSTALL_DEPLOYMENT"):
            after: str | None = "PENDING_INSTALL_DEPLOYMENT" if before is None else "COMPLETED"
            request: Operation[Result] = AssociateWorkspaceApplicationRequest(
                workspace_id=workspace, application_id=application
            )
        else:
            after = "PENDING_UNINSTALL_DEPLOYMENT" if before == "COMPLETED" else None
            request = DisassociateWorkspaceApplicationRequest(
                workspace_id=workspace, application_id=application
            )
        return Call(request=request, done=lambda: state() == after)

    def _tag(self) -> Call:
        workspace, value = self._random.choice(self._workspaces), f"{self._number}-{self._count}"

        def tag() -> str | None:
            return self._site.sim.fleet.store.tags_of(workspace).get("Storm")

        if tag() is not None and self._random.random() < 0.3:
            return Call(
                request=DeleteTagsRequest(resource_id=workspace, tag_keys=["Storm"]),
                done=lambda: tag() is None,
            )
        return Call(
            request=CreateTagsRequest(resource_id=workspace, tags=[Tag(key="Storm", value=value)]),
            done=lambda: tag() == value,
        )

    def _switch(self) -> Call:
        """Start or stop the WorkSpace that is there for it; a read while it is on its way."""
        workspace = self._switched

        def state() -> str:
            return self._site.sim.fleet.workspace(workspace).state

        match state():
            case "AVAILABLE":
                return Call(
                    request=StopWorkspacesRequest(
                        stop_workspace_requests=[StopRequest(workspace_id=workspace)]
                    ),
                    done=lambda: state() in ("STOPPING", "STOPPED"),
                    undone=lambda: state() == "AVAILABLE",
                )
            case "STOPPED":
                return Call(
                    request=StartWorkspacesRequest(
                        start_workspace_requests=[StartRequest(workspace_id=workspace)]
                    ),
                    done=lambda: state() in ("STARTING", "AVAILABLE"),
                    undone=lambda: state() == "STOPPED",
                )
            case _:
                return Call(request=DescribeWorkspacesRequest(workspace_ids=[workspace]))

    def _create(self) -> Call:
        """A WorkSpace or an IP group with a name that no other call uses."""
        name = f"storm.{self._number}.{self._count}"
        fleet = self._site.sim.fleet
        directory, bundle = fleet.directory_ids[2], fleet.bundle_ids[0]

        def workspaces() -> int:
            return len(fleet.store.by_user.get(directory, {}).get(name, ()))

        def groups() -> int:
            return sum(group["groupName"] == name for group in fleet.store.collection("ip-groups").values())

        if self._random.random() < 0.5:
            return Call(
                request=CreateIpGroupRequest(group_name=name),
                done=lambda: groups() == 1,
                undone=lambda: groups() == 0,
            )
        entry = WorkspaceRequest(directory_id=directory, user_name=name, bundle_id=bundle)
        return Call(
            request=CreateWorkspacesRequest(workspaces=[entry]),
            done=lambda: workspaces() == 1,
            undone=lambda: workspaces() == 0,
        )
