"""A batch job: roll applications out as a manifest says, and leave a report.

Started again after a crash, it goes on where it ended: the service tells what is done, and the journal what the service
cannot tell.

Run it as it is: `python examples/rollout_batch.py`. It brings its own simulator and needs no AWS account.
"""

import asyncio
import tempfile
from pathlib import Path

from workspaces_apps import WorkSpacesClient
from workspaces_apps.rollout import Failed, Manifest, Rollout, WaveBegan
from workspaces_apps.rollout.report import Report
from workspaces_apps.simulator import ManualClock, Simulator

MANIFEST = Path(__file__).with_name("fleet.toml")


async def roll_out(rollout: Rollout, manifest: Manifest, folder: Path) -> Report:
    """Plan, apply, and report.

    Raises:
        ManifestError: The catalogue has no such application; nothing was changed.
        JournalBusyError: Another process is doing the same.
    """
    journal = folder / "office.journal"
    plan = await rollout.plan(manifest, journal=journal)
    print("plan:", ", ".join(f"{number} {action}" for action, number in sorted(plan.counts.items())))
    for warning in plan.warnings:
        print("warning:", warning)

    async with rollout.apply(plan, journal=journal) as events:
        async for event in events:
            if isinstance(event, WaveBegan):
                print(f"wave {event.wave} of {event.waves}: {event.workspaces} WorkSpaces")
            elif isinstance(event, Failed):
                print(
                    f"{event.workspace_id}: {event.reason}, {'for good' if event.final else 'trying again'}"
                )
    if events.result is not None:
        print(f"{events.result.ending} after {events.result.elapsed / 60:.0f} minutes")

    report = Report.from_journal(journal)
    (folder / "report.html").write_text(report.to_html(), encoding="utf-8")
    return report


async def main() -> None:
    """Do it twice against a simulator whose clock jumps ahead, for the client too: it has its clock."""
    clock = ManualClock(autojump=True)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Simulator(workspaces=60, clock=clock) as sim,
            WorkSpacesClient(
                region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=clock
            ) as client,
        ):
            # One deployment fails, and its second try does not.
            (unlucky,) = sim.fleet.compatible(sim.fleet.application("Office LTSC Professional Plus 2021"))
            sim.faults.add("deployment_error", workspace_id=unlucky, times=1)
            manifest = Manifest.load(MANIFEST)
            rollout = Rollout(client)
            report = await roll_out(rollout, manifest, Path(folder))
            print(f"{report.counts['succeeded']} changes made, {report.counts['failed']} failed\n")

            # Again: there is nothing left to do.
            await roll_out(rollout, manifest, Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
