"""A roll-out in a process that may write no file beyond a size, as on a full disk; prints what it ended with, as JSON."""

import asyncio
import json
import resource
import sys
from pathlib import Path

from tests.rollout.site import manifest, site
from workspaces_apps import WorkSpacesError
from workspaces_apps.cli import main as command
from workspaces_apps.rollout import read_journal
from workspaces_apps.simulator import Simulator


def allow(size: int) -> None:
    """Let no file of this process grow beyond so many bytes; Python ignores the signal that would come with it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


async def run(folder: Path) -> dict[str, object]:
    """Write a journal, a plan, a report and a state file, each as far as it goes, and go on with more room."""
    found: dict[str, object] = {}
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    async with site() as here:
        here.sim.fleet.add_workspaces(20)
        plan = await here.rollout.plan(manifest())
        allow(4096)
        try:
            await here.carry_out(plan, folder / "x.journal")
        except WorkSpacesError as error:
            found["journal"] = str(error)
        try:
            plan.save(folder / "x.plan")
        except WorkSpacesError as error:
            found["plan"] = str(error)
        try:
            async with Simulator(workspaces=50, state_file=folder / "x.state"):
                pass
        except WorkSpacesError as error:
            found["state"] = str(error)
        allow(unlimited)
        found["kept"] = len(read_journal(folder / "x.journal"))
        done, _ = await here.carry_out(await here.rollout.plan(manifest()), folder / "x.journal")
        found["ending"] = done.ending
        found["deployments"] = sorted(here.deployments().values())
    return found


def main(folder: Path) -> None:
    """Print what was found, and how the command ends that writes a report."""
    (folder / "x.html").write_bytes(b"old")
    found = asyncio.run(run(folder))
    allow(4096)
    found["report"] = command(["report", str(folder / "x.journal"), "--to", str(folder / "x.html")])
    found["copy"] = command(["journal", "copy", str(folder / "x.journal"), str(folder / "y.journal")])
    found["left"] = (folder / "x.html").read_bytes().decode()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
