"""A target that loses its credentials: it begins nothing more, polls no more, and the same command goes on later."""

from pathlib import Path

import pytest

from tests.rollout.site import OFFICE, connection_to, last_words, manifest, site
from workspaces_apps import AttemptRecord, Credentials, CredentialsError
from workspaces_apps._telemetry.port import Hooks
from workspaces_apps.errors import CREDENTIALS_CODES
from workspaces_apps.rollout import EXIT_CODES, Manifest, Rollout
from workspaces_apps.simulator import Simulator

pytestmark = pytest.mark.campaign

CODE = "ExpiredTokenException"


def test_what_credentials_may_do_is_no_loss() -> None:
    """AccessDenied is about good credentials; the ending has the exit code of sysexits.h."""
    assert not {code for code in CREDENTIALS_CODES if "AccessDenied" in code}
    assert EXIT_CODES["credentials"] == 77


@pytest.mark.parametrize(
    "operation",
    ["AssociateWorkspaceApplication", "DeployWorkspaceApplications", "DescribeWorkspaceAssociations"],
)
async def test_a_run_ends_without_credentials_and_the_next_goes_on(operation: str, tmp_path: Path) -> None:
    """It is no failure of a WorkSpace, costs no budget, and says how to go on; nothing is deployed twice."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(6)
        plan = await here.rollout.plan(manifest(failure_budget=0, max_in_flight=2))
        here.sim.faults.add("error", operation=operation, code=CODE)
        lost, events = await here.carry_out(plan, tmp_path / "journal")
        asked = len(here.sim.requests)
        here.sim.faults.clear()
        done, _ = await here.carry_out(await here.rollout.plan(manifest()), tmp_path / "journal")

        assert (lost.ending, lost.failed) == ("credentials", 0)
        assert set(last_words(events).values()) <= {
            "skipped: credentials", "skipped: left-deploying", "skipped: left-staged"
        }  # fmt: skip
        assert "run the same command to resume" in lost.message
        assert asked < 40
        assert (done.ending, here.states(OFFICE, ids)) == ("complete", {"COMPLETED": 6})
        assert set(here.deployments().values()) == {1}


class Ending:
    """A provider whose credentials end after so many deployments."""

    def __init__(self, sim: Simulator, after: int) -> None:
        self.begun = 0
        self._sim = sim
        self._after = after

    def count(self, record: AttemptRecord) -> None:
        """Count a deployment, and let the credentials end."""
        self.begun += record.operation == "DeployWorkspaceApplications"
        if self.begun == self._after:
            self._sim.faults.add("error", code=CODE)

    async def get_credentials(self) -> Credentials:
        """Those of the simulator, until they have ended."""
        if self.begun >= self._after:
            raise CredentialsError("the session has ended: run `aws sso login --profile fleet`")
        return self._sim.credentials


async def test_polling_ends_with_the_credentials() -> None:
    """Deployments are left to the service a few calls later, and the message says what to run."""
    async with site() as here:
        here.sim.fleet.add_workspaces(6)
        provider = Ending(here.sim, after=6)
        connection = connection_to(here.sim)
        asked = Manifest.from_data(
            {"name": "x", "rules": [{"select": {"everything": True}, "present": [OFFICE]}]}
        )
        async with Rollout.open(
            asked,
            region=connection["region"],
            endpoint_url=connection["endpoint_url"],
            credentials=provider,
            clock=connection["clock"],
            config=connection["config"],
            hooks=Hooks(on_attempt=provider.count),
        ) as rollout:
            plan = await rollout.plan(asked)
            async with rollout.apply(plan) as run:
                ended = await run.finished()

        assert ended.ending == "credentials"
        assert "aws sso login --profile fleet" in ended.message
        assert ended.left_deploying > 0
        assert len(here.sim.requests) < 60
