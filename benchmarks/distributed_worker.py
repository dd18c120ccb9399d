"""A worker as a process of its own, on a scaled clock: started, killed and paused by the benchmark and by tests.

python -m benchmarks.distributed_worker SETTINGS.json
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from workspaces_apps import ClientConfig, Credentials, WorkSpacesClient
from workspaces_apps._base.system import rare
from workspaces_apps._pacing import PacingRegistry
from workspaces_apps.distributed import Worker
from workspaces_apps.rollout import Target
from workspaces_apps.simulator import ScaledClock


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The settings of such a worker.

    Attributes:
        database: The database.
        factor: How many times as fast as time the clock runs.
        since: When the simulators' clock was made, in epoch seconds.
        concurrency: Targets at most.
        targets: By name: the endpoint, the access-key id and the secret.
        skew: Seconds by which the machine's wall clock is ahead, where a test has moved it.
    """

    database: str
    factor: float
    since: float
    concurrency: int
    targets: Mapping[str, tuple[str, str, str]]
    skew: float = 0.0

    def clock(self) -> ScaledClock:
        """Return a clock that shows what the simulators' clock shows, but for the skew."""
        clock = ScaledClock(self.factor)
        # Signatures are good for minutes, so that the clocks of service and client must agree.
        clock.catch_up(self.since + (time.time() - self.skew - self.since) * self.factor + self.skew)
        return clock

    def write(self, path: Path) -> Path:
        """Write them for a process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path


async def work(settings: WorkerSettings) -> None:
    """Work until SIGTERM."""
    clock = settings.clock()
    # The simulator's recorder tells the workers apart by it.
    config = ClientConfig(pacing_registry=PacingRegistry(), user_agent_extra=f"worker/{os.getpid()}")

    def client(target: Target) -> WorkSpacesClient:
        endpoint, key, secret = settings.targets[target.name]
        return WorkSpacesClient(
            region=target.region,
            endpoint_url=endpoint,
            credentials=Credentials(key, secret),
            clock=clock,
            config=config,
        )

    worker = Worker(settings.database, concurrency=settings.concurrency, clients=client)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.drain)
    await worker.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(message)s")
    # As `workspaces-apps worker` does: the stops of the collector would be longer than a lease.
    with rare():
        asyncio.run(work(WorkerSettings(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
