"""A batch job whose SSO session ends midway: it stops with exit code 77, and goes on after the next login.

What deploys at that moment goes on at the service. The journal and the service tell the next run what is done, so that
nothing is deployed twice.

Run it as it is: `python examples/rollout_sso.py`. It brings its own simulator and needs no AWS account.
"""

import asyncio
import logging
import tempfile
from pathlib import Path

from workspaces_apps import Credentials, CredentialsError, WorkSpacesClient
from workspaces_apps.rollout import EXIT_CODES, Manifest, Rollout, Succeeded
from workspaces_apps.simulator import ManualClock, Simulator

MANIFEST = Path(__file__).with_name("fleet.toml")


class SsoSession:
    """A stand-in for SSO: it hands out credentials for as long as somebody is logged in.

    With a profile of your own none of this is needed: `WorkSpacesClient(profile="fleet")`.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._logged_in = False

    def log_in(self) -> None:
        """Do what `aws sso login` does."""
        self._logged_in = True

    def end(self) -> None:
        """End the session, and with it the credentials that came of it."""
        self._logged_in = False
        self._simulator.faults.add("error", code="ExpiredTokenException", message="The token has expired")

    async def get_credentials(self) -> Credentials:
        """Return credentials; a client asks again when the service says that they have ended."""
        if not self._logged_in:
            raise CredentialsError("the SSO session has ended: run `aws sso login --profile fleet`")
        self._simulator.faults.clear()
        return self._simulator.temporary_credentials(36 * 3600)


async def run(sim: Simulator, session: SsoSession, journal: Path, end_after: int | None = None) -> int:
    """Do the job once, as a process of its own would; return its exit code."""
    done = 0
    async with WorkSpacesClient(
        region=sim.region, endpoint_url=sim.url, credentials=session, clock=sim.clock
    ) as client:
        rollout = Rollout(client)
        plan = await rollout.plan(Manifest.load(MANIFEST), journal=journal)
        async with rollout.apply(plan, journal=journal) as events:
            async for event in events:
                done += isinstance(event, Succeeded)
                if done == end_after:
                    print(f"after {done} changes the SSO session ends")
                    session.end()
                    end_after = None
    result = events.result
    assert result is not None
    print(f"{result.ending}: {result.succeeded} changes made, {result.left_deploying} left deploying")
    if result.message:
        print(result.message)
    return EXIT_CODES[result.ending]


async def main() -> None:
    """Lose the session, log in again, and start the same job once more."""
    logging.getLogger("workspaces_apps").addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "office.journal"
        async with Simulator(workspaces=60, clock=ManualClock(autojump=True)) as sim:
            session = SsoSession(sim)
            session.log_in()
            print(f"exit code {await run(sim, session, journal, end_after=5)}\n")

            session.log_in()
            print(f"exit code {await run(sim, session, journal)}")


if __name__ == "__main__":
    asyncio.run(main())
