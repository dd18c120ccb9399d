"""`apply` as any scheduler runs it again: plan and apply with one journal, as a process on a scaled clock.

python -m tests.distributed.applying SETTINGS.json JOURNAL
"""

import asyncio
import json
import sys
from pathlib import Path

from benchmarks.distributed_worker import WorkerSettings
from workspaces_apps import ClientConfig, Credentials, WorkSpacesClient
from workspaces_apps._pacing import PacingRegistry
from workspaces_apps.rollout import EXIT_CODES, JournalError, Rollout


async def roll_out(settings: WorkerSettings, journal: str) -> int:
    """Roll out over the one target, and return the exit code."""
    from tests.rollout.site import manifest

    clock = settings.clock()
    ((endpoint, key, secret),) = settings.targets.values()
    async with WorkSpacesClient(
        region="us-east-1",
        endpoint_url=endpoint,
        credentials=Credentials(key, secret),
        clock=clock,
        config=ClientConfig(pacing_registry=PacingRegistry()),
    ) as client:
        rollout = Rollout(client)
        plan = await rollout.plan(manifest(), journal=journal)
        try:
            async with rollout.apply(plan, journal=journal) as events:
                return EXIT_CODES[(await events.finished()).ending]
        except JournalError as error:
            sys.stderr.write(f"{error}\n")
            return 1


if __name__ == "__main__":
    told = WorkerSettings(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    sys.exit(asyncio.run(roll_out(told, sys.argv[2])))
