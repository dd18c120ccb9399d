"""The life of an association: every row of the table by boto3, and random walks against a small model."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.simulator.conformance import check_recorded, model
from tests.simulator.peer import Call, peer_of, refusal
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings
from workspaces_apps.simulator._records import ABSENT, TABLE, State, Trigger, look_up

pytestmark = pytest.mark.campaign

OFFICE = "office ltsc professional plus 2021"
VISIO = "visio ltsc professional 2021"
PROJECT = "project professional 2021"


@pytest.fixture
def app(sim: Simulator) -> str:
    """An application."""
    return sim.fleet.application(OFFICE)


@pytest.fixture
def ws(sim: Simulator, app: str) -> str:
    """A WorkSpace it fits on."""
    return sim.fleet.compatible(app)[0]


def states(call: Call, workspace_id: str) -> dict[str, str]:
    """The service's state of each application on a WorkSpace."""
    answer = call(
        "describe_workspace_associations", WorkspaceId=workspace_id, AssociatedResourceTypes=["APPLICATION"]
    )
    return {item["AssociatedResourceId"]: item["State"] for item in answer["Associations"]}


def workspace_state(call: Call, workspace_id: str) -> str:
    """The WorkSpace's own state."""
    return str(call("describe_workspaces", WorkspaceIds=[workspace_id])["Workspaces"][0]["State"])


def test_the_table_knows_every_state_of_the_model() -> None:
    """The table and botocore's enum have the same states."""
    known = {row.state for row in TABLE} - {ABSENT} | {row.to for row in TABLE if row.to}

    assert known == set(model()["shapes"]["AssociationState"]["enum"])


@pytest.mark.parametrize("trigger", ["associate", "disassociate", "deploy", "force"])
def test_every_request_has_a_row_for_every_state(trigger: Trigger) -> None:
    """No state leaves an operation without an answer, and no row comes twice."""
    for row in TABLE:
        if row.state != ABSENT:
            assert look_up(trigger, row.state).state == row.state
    keys = [(row.trigger, row.state) for row in TABLE]
    assert len(keys) == len(set(keys))


def test_an_installation_goes_through_its_states(
    sim: Simulator, call: Call, clock: ManualClock, app: str, ws: str
) -> None:
    """Staged, pending, installing, completed; the WorkSpace is UPDATING meanwhile and then what it was."""
    seen: list[tuple[str, str]] = []

    call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)
    seen.append((states(call, ws)[app], workspace_state(call, ws)))
    call("deploy_workspace_applications", WorkspaceId=ws)
    for seconds in (0, 60, 1500):
        clock.jump(seconds)
        seen.append((states(call, ws)[app], workspace_state(call, ws)))

    assert seen == [
        ("PENDING_INSTALL_DEPLOYMENT", "AVAILABLE"),
        ("PENDING_INSTALL", "UPDATING"),
        ("INSTALLING", "UPDATING"),
        ("COMPLETED", "AVAILABLE"),
    ]


def test_a_removal_goes_through_its_states(
    sim: Simulator, call: Call, clock: ManualClock, app: str, ws: str
) -> None:
    """Staged, pending, uninstalling, gone; a STOPPED WorkSpace is STOPPED again afterwards."""
    sim.fleet.set_association(ws, app, "COMPLETED")
    sim.fleet.set_state(ws, "STOPPED")
    seen: list[str | None] = []

    call("disassociate_workspace_application", WorkspaceId=ws, ApplicationId=app)
    seen.append(states(call, ws)[app])
    call("deploy_workspace_applications", WorkspaceId=ws)
    for seconds in (0, 60, 1500):
        clock.jump(seconds)
        seen.append(states(call, ws).get(app))

    assert seen == ["PENDING_UNINSTALL_DEPLOYMENT", "PENDING_UNINSTALL", "UNINSTALLING", None]
    assert workspace_state(call, ws) == "STOPPED"


def test_deploy_commits_everything_that_is_staged(sim: Simulator, call: Call, app: str, ws: str) -> None:
    """Installations and removals go together, whoever staged them; what is installed stays."""
    visio, project = sim.fleet.application(VISIO), sim.fleet.application(PROJECT)
    sim.fleet.set_association(ws, visio, "COMPLETED")
    sim.fleet.set_association(ws, project, "COMPLETED")
    call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)
    call("disassociate_workspace_application", WorkspaceId=ws, ApplicationId=visio)

    deployment = call("deploy_workspace_applications", WorkspaceId=ws)["Deployment"]

    assert {item["AssociatedResourceId"]: item["State"] for item in deployment["Associations"]} == {
        app: "PENDING_INSTALL",
        visio: "PENDING_UNINSTALL",
    }
    assert states(call, ws)[project] == "COMPLETED"


def test_the_opposite_call_reverts_a_staged_installation(call: Call, app: str, ws: str) -> None:
    """Associate, then Disassociate: as if nothing had been."""
    call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)
    call("disassociate_workspace_application", WorkspaceId=ws, ApplicationId=app)

    everywhere = call(
        "describe_application_associations", ApplicationId=app, AssociatedResourceTypes=["WORKSPACE"]
    )
    assert states(call, ws) == {}
    assert ws not in [item["AssociatedResourceId"] for item in everywhere["Associations"]]


def test_the_opposite_call_reverts_a_staged_removal(sim: Simulator, call: Call, app: str, ws: str) -> None:
    """Disassociate, then Associate: installed, as before."""
    sim.fleet.set_association(ws, app, "COMPLETED")
    call("disassociate_workspace_application", WorkspaceId=ws, ApplicationId=app)

    answer = call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)

    assert answer["Association"]["State"] == "COMPLETED"
    assert states(call, ws) == {app: "COMPLETED"}


@pytest.mark.parametrize(
    "operation,state,code",
    [
        ("associate", "PENDING_INSTALL_DEPLOYMENT", "ResourceAlreadyExistsException"),
        ("associate", "COMPLETED", "ResourceAlreadyExistsException"),
        ("associate", "INSTALLING", "ResourceInUseException"),
        ("associate", "UNINSTALLING", "ResourceInUseException"),
        ("disassociate", None, "ResourceNotFoundException"),
        ("disassociate", "REMOVED", "ResourceNotFoundException"),
        ("disassociate", "PENDING_UNINSTALL_DEPLOYMENT", "ResourceInUseException"),
        ("disassociate", "PENDING_INSTALL", "ResourceInUseException"),
    ],
)
def test_what_cannot_be_staged_is_refused(
    sim: Simulator, call: Call, app: str, ws: str, operation: str, state: State | None, code: str
) -> None:
    """The exception for a state is the table's, and the record stays as it is."""
    sim.fleet.set_association(ws, app, state)

    error = refusal(lambda: call(f"{operation}_workspace_application", WorkspaceId=ws, ApplicationId=app))

    assert error["Code"] == code
    assert sim.fleet.associations(ws).get(app) == state


def test_deploy_skips_what_failed_and_force_retries_it(
    sim: Simulator, call: Call, clock: ManualClock, app: str, ws: str
) -> None:
    """Without Force a record in ERROR is left alone; with Force it is tried again in its own direction."""
    sim.fleet.set_association(ws, app, "ERROR", direction="uninstall")

    assert call("deploy_workspace_applications", WorkspaceId=ws)["Deployment"] == {"Associations": []}
    call("deploy_workspace_applications", WorkspaceId=ws, Force=True)
    assert states(call, ws)[app] == "PENDING_UNINSTALL"
    clock.jump(3600)
    assert states(call, ws) == {}


@pytest.mark.parametrize("state", ["COMPLETED", "ERROR", None])
def test_a_deployment_can_be_cut_short(
    sim: Simulator, call: Call, clock: ManualClock, app: str, ws: str, state: State | None
) -> None:
    """The WorkSpace is back once the last association that was in flight is put into another state."""
    visio = sim.fleet.application(VISIO)
    for one in (app, visio):
        call("associate_workspace_application", WorkspaceId=ws, ApplicationId=one)
    call("deploy_workspace_applications", WorkspaceId=ws)
    clock.jump(120)

    sim.fleet.set_association(ws, app, state)
    assert workspace_state(call, ws) == "UPDATING"
    sim.fleet.set_association(ws, visio, state)
    assert workspace_state(call, ws) == "AVAILABLE"

    clock.jump(3600)
    assert set(sim.fleet.associations(ws).values()) == ({state} if state else set())


def test_a_state_that_a_test_has_set_stays(sim: Simulator, call: Call, app: str, ws: str) -> None:
    """An association that no deployment has sent on its way takes the WorkSpace nowhere when it ends."""
    sim.fleet.set_state(ws, "UPDATING")
    sim.fleet.set_association(ws, app, "INSTALLING")

    sim.fleet.set_association(ws, app, "COMPLETED")

    assert workspace_state(call, ws) == "UPDATING"


def test_an_association_needs_an_application(sim: Simulator, call: Call, app: str, ws: str) -> None:
    """One that is not in the catalogue is refused, and nothing is left of it that could trouble the service."""
    for state in ("COMPLETED", None):
        with pytest.raises(ConfigurationError, match="no application 'wsa-unknown1': give its id"):
            sim.fleet.set_association(ws, "wsa-unknown1", state)
    with pytest.raises(ConfigurationError, match="'installed' is no direction; did you mean 'install'"):
        sim.fleet.set_association(ws, app, "ERROR", direction="installed")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="reason is a text, not 5"):
        sim.fleet.set_association(ws, app, "ERROR", reason=5)  # type: ignore[arg-type]

    assert sim.fleet.associations(ws) == {}
    assert ws in sim.fleet.compatible(app)
    call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)


def test_a_failure_shows_its_reason_and_no_direction(
    sim: Simulator, call: Call, clock: ManualClock, app: str, ws: str
) -> None:
    """ERROR with a StateReason, and the WorkSpace is back."""
    sim.faults.add("deployment_error", workspace_id=ws, reason="ValidationError.InsufficientMemory")
    call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)
    call("deploy_workspace_applications", WorkspaceId=ws)
    clock.jump(3600)

    (item,) = call(
        "describe_workspace_associations", WorkspaceId=ws, AssociatedResourceTypes=["APPLICATION"]
    )["Associations"]

    assert item["State"] == "ERROR"
    assert item["StateReason"]["ErrorCode"] == "ValidationError.InsufficientMemory"
    assert workspace_state(call, ws) == "AVAILABLE"


def test_too_little_space_shows_late(sim: Simulator, call: Call, clock: ManualClock) -> None:
    """Two applications that need more than the root volume has left: the last to finish ends in ERROR."""
    (ws,) = sim.fleet.add_workspaces()
    sim.fleet.workspace(ws).root_gib = 80
    wanted = [
        sim.fleet.application(name) for name in ("visual studio professional", "visual studio enterprise")
    ]
    wanted.append(sim.fleet.application("office ltsc standard 2021"))

    for application in wanted:
        call("associate_workspace_application", WorkspaceId=ws, ApplicationId=application)
    call("deploy_workspace_applications", WorkspaceId=ws)
    clock.jump(3600)

    assert sorted(states(call, ws).values()) == ["COMPLETED", "COMPLETED", "ERROR"]


def test_a_deployment_ends_the_users_session(sim: Simulator, call: Call, app: str, ws: str) -> None:
    """A connected user is disconnected, and nobody can connect while the WorkSpace is UPDATING."""
    sim.fleet.workspace(ws).connected = True
    call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)

    call("deploy_workspace_applications", WorkspaceId=ws)

    (status,) = call("describe_workspaces_connection_status", WorkspaceIds=[ws])["WorkspacesConnectionStatus"]
    assert status["ConnectionState"] == "UNKNOWN"
    assert not sim.fleet.workspace(ws).connected


@pytest.mark.parametrize("operation", ["associate_workspace_application", "deploy_workspace_applications"])
@pytest.mark.parametrize(
    "state,code", [("UPDATING", "ResourceInUseException"), ("REBOOTING", "OperationNotSupportedException")]
)
def test_a_busy_workspace_is_left_alone(
    sim: Simulator, call: Call, app: str, ws: str, operation: str, state: str, code: str
) -> None:
    """UPDATING is in use, anything else that is not AVAILABLE or STOPPED is not supported."""
    sim.fleet.set_state(ws, state)
    members = {"WorkspaceId": ws} | ({"ApplicationId": app} if operation.startswith("associate") else {})

    assert refusal(lambda: call(operation, **members))["Code"] == code


@contextmanager
def with_settings(chosen: SimulatorSettings) -> Generator[tuple[Simulator, Call, ManualClock]]:
    """A simulator that assumes something else."""
    clock = ManualClock()
    with Simulator.in_thread(clock=clock, throttle=None, settings=chosen) as sim, peer_of(sim) as call:
        yield sim, call, clock


@pytest.mark.parametrize(
    "error_record,outcome",
    [
        ("restate", "PENDING_UNINSTALL_DEPLOYMENT"),
        ("keep", "ERROR"),
        ("refuse", "ResourceInUseException"),
    ],
)
def test_what_a_failed_record_does_is_a_setting(error_record: str, outcome: str) -> None:
    """Disassociate on ERROR stages, changes nothing, or is refused."""
    settings_ = SimulatorSettings(error_record=error_record)  # type: ignore[arg-type]  # parametrised literal
    with with_settings(settings_) as (sim, call, _):
        app = sim.fleet.application(OFFICE)
        (ws,) = sim.fleet.compatible(app)
        sim.fleet.set_association(ws, app, "ERROR", direction="install")
        if error_record == "refuse":
            refused = refusal(
                lambda: call("disassociate_workspace_application", WorkspaceId=ws, ApplicationId=app)
            )
            assert refused["Code"] == outcome
        else:
            answer = call("disassociate_workspace_application", WorkspaceId=ws, ApplicationId=app)
            assert answer["Association"]["State"] == outcome


def test_whether_removed_rows_linger_is_a_setting() -> None:
    """A REMOVED row that lingers is listed, and can be associated again."""
    with with_settings(SimulatorSettings(removed_rows_linger=True)) as (sim, call, clock):
        app = sim.fleet.application(OFFICE)
        (ws,) = sim.fleet.compatible(app)
        sim.fleet.set_association(ws, app, "COMPLETED")
        call("disassociate_workspace_application", WorkspaceId=ws, ApplicationId=app)
        call("deploy_workspace_applications", WorkspaceId=ws)
        clock.jump(3600)

        assert states(call, ws) == {app: "REMOVED"}
        call("associate_workspace_application", WorkspaceId=ws, ApplicationId=app)
        assert states(call, ws) == {app: "PENDING_INSTALL_DEPLOYMENT"}


def test_deploying_nothing_can_be_an_error() -> None:
    """The setting turns the empty deployment into an exception."""
    with with_settings(SimulatorSettings(deploy_nothing="refuse")) as (sim, call, _):
        ws = sim.fleet.workspace_ids[0]
        assert refusal(lambda: call("deploy_workspace_applications", WorkspaceId=ws))["Code"] == (
            "OperationNotSupportedException"
        )


class Walk(RuleBasedStateMachine):
    """Random requests, and a model in a dozen lines of what the rows must say."""

    apps = st.sampled_from([0, 1, 2])

    @initialize()
    def start(self) -> None:
        """A simulator with one WorkSpace, and nothing on it."""
        self.clock = ManualClock()
        self.stack = ExitStack()
        self.sim = self.stack.enter_context(
            Simulator.in_thread(workspaces=0, clock=self.clock, throttle=None)
        )
        self.call = self.stack.enter_context(peer_of(self.sim))
        (self.ws,) = self.sim.fleet.add_workspaces()
        self.ids = [self.sim.fleet.application(name) for name in (OFFICE, VISIO, PROJECT)]
        self.installed: set[int] = set()
        self.staged: dict[int, str] = {}
        self.failed: dict[int, str] = {}
        self.flying: dict[int, str] = {}
        self.doomed: set[int] = set()

    def attempt(self, operation: str, **members: object) -> str:
        """Make a call; the error's code, or an empty string."""
        try:
            self.call(operation, WorkspaceId=self.ws, **members)
        except Exception as error:  # noqa: BLE001 - whatever boto3 raises has the code
            return str(getattr(error, "response")["Error"]["Code"])  # noqa: B009
        return ""

    @rule(one=apps)
    def associate(self, one: int) -> None:
        """Stage an installation."""
        code = self.attempt("associate_workspace_application", ApplicationId=self.ids[one])
        if self.flying:
            assert code == "ResourceInUseException"
        elif self.staged.get(one) == "uninstall":
            assert code == ""
            del self.staged[one]
        elif one in self.failed or (one not in self.installed and one not in self.staged):
            if self.staged.get(one) == "install":
                assert code == "ResourceAlreadyExistsException"
            else:
                assert code == ""
                self.staged[one] = "install"
        else:
            assert code == "ResourceAlreadyExistsException"

    @rule(one=apps)
    def disassociate(self, one: int) -> None:
        """Stage a removal."""
        code = self.attempt("disassociate_workspace_application", ApplicationId=self.ids[one])
        if self.flying:
            assert code == "ResourceInUseException"
        elif self.staged.get(one) == "install":
            assert code == ""
            del self.staged[one]
        elif self.staged.get(one) == "uninstall":
            assert code == "ResourceInUseException"
        elif one in self.installed or one in self.failed:
            assert code == ""
            self.staged[one] = "uninstall"
        else:
            assert code == "ResourceNotFoundException"

    @rule(force=st.booleans())
    def deploy(self, force: bool) -> None:
        """Carry out what is staged, and with Force what failed."""
        code = self.attempt("deploy_workspace_applications", Force=force)
        if self.flying:
            assert code == "ResourceInUseException"
            return
        assert code == ""
        retried = {one: way for one, way in self.failed.items() if force and one not in self.staged}
        self.flying = {**retried, **self.staged}
        self.installed -= set(self.flying)
        for one in self.flying:
            self.failed.pop(one, None)
        self.staged = {}

    @rule(one=apps)
    def doom(self, one: int) -> None:
        """Let the next change of an application fail."""
        if one not in self.doomed:
            self.doomed.add(one)
            self.sim.faults.add("deployment_error", application_id=self.ids[one], times=1)

    @rule()
    def wait(self) -> None:
        """Let everything come to its end."""
        self.clock.jump(7200)
        for one, way in self.flying.items():
            if one in self.doomed:
                self.doomed.discard(one)
                self.failed[one] = way
            elif way == "install":
                self.installed.add(one)
        self.flying = {}

    @invariant()
    def agree(self) -> None:
        """The service shows what the model expects."""
        expected: dict[str, str] = {}
        for one, name in enumerate(self.ids):
            if one in self.flying:
                expected[name] = f"PENDING_{self.flying[one].upper()}"
            elif one in self.staged:
                expected[name] = f"PENDING_{self.staged[one].upper()}_DEPLOYMENT"
            elif one in self.failed:
                expected[name] = "ERROR"
            elif one in self.installed:
                expected[name] = "COMPLETED"
        assert states(self.call, self.ws) == expected
        assert workspace_state(self.call, self.ws) == ("UPDATING" if self.flying else "AVAILABLE")

    def teardown(self) -> None:
        """Stop the simulator; every answer must conform."""
        if hasattr(self, "stack"):
            self.stack.close()
            check_recorded(self.sim.requests)


Walk.TestCase.settings = settings(max_examples=30, stateful_step_count=25)
TestWalk = Walk.TestCase
