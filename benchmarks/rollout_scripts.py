"""Scripts on aiobotocore, as people write them by hand, in virtual time, against the simulator.

The simulator answers over HTTP on the scripts' own event loop, each request after `LATENCY` seconds. Nothing runs
out of processor time, as it would in scaled time, so the calls are those that the scripts would make.
"""

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias
from unittest import mock

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from benchmarks.virtual import BotocoreClock
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings, Throttle
from workspaces_apps.simulator._clocks import run_virtual

LATENCY: Final = 0.1
CONNECTIONS: Final = 50
POLL_SECONDS: Final = 30.0
AFTER_THROTTLE_SECONDS: Final = 1.0
RERUN_SECONDS: Final = 300.0
THROTTLING: Final = "ThrottlingException"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The task of a script.

    Attributes:
        client: A botocore client.
        workspace_ids: Where the application is wanted.
        application_id: The application.
        noticed: Filled by the script: when it knew that a WorkSpace was done, by the event loop's clock.
    """

    client: Any
    workspace_ids: Sequence[str]
    application_id: str
    noticed: dict[str, float] = field(default_factory=dict[str, float])

    def notice(self, workspace_id: str) -> None:
        """Write down that a WorkSpace is done."""
        self.noticed.setdefault(workspace_id, asyncio.get_running_loop().time())


Script: TypeAlias = Callable[[Job], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A way to do it by hand.

    Attributes:
        name: What to call it.
        work: Does it.
        retries: botocore's retry mode.
    """

    name: str
    work: Script
    retries: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The cost that was measured.

    Attributes:
        calls: Requests.
        throttled: How many of them were throttled.
        seconds: How long it took, in simulated time.
        delay: Seconds from the end of a deployment until the script knew, median; None where it never knew.
    """

    calls: int
    throttled: int
    seconds: float
    delay: float | None


def as_soon_as(delay: float, deployment: float) -> float:
    """Calls for one WorkSpace of a loop that asks for association and state, and notices after `delay` (median)."""
    return 2 + 2 * (1 + int(deployment / (2 * delay)))


async def state_of(job: Job, workspace_id: str) -> str | None:
    """The state of the application on one WorkSpace."""
    answer = await job.client.describe_workspace_associations(
        WorkspaceId=workspace_id, AssociatedResourceTypes=["APPLICATION"]
    )
    rows = [row for row in answer["Associations"] if row["AssociatedResourceId"] == job.application_id]
    return rows[0]["State"] if rows else None


async def gather(job: Job) -> None:
    """All at once, each with a loop of its own that polls until it is done.

    Half a minute between polls, as published loops over a WorkSpace's state have it, and a second after a throttle;
    it asks for the association and for the WorkSpace, because a deployment is over when both say so. No more calls at once than there are connections: with a thousand tasks in the queue of
    botocore's rate limiter, every one of which wakes for every call, the script is busy with itself.
    """
    slots = asyncio.Semaphore(CONNECTIONS)

    async def patiently(call: Callable[[], Awaitable[Any]]) -> Any:
        # Without this the script dies of its own throttles: botocore's three attempts are soon spent.
        while True:
            try:
                async with slots:
                    return await call()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != THROTTLING:
                    raise
                await asyncio.sleep(AFTER_THROTTLE_SECONDS)

    async def one(workspace_id: str) -> None:
        client = job.client
        await patiently(
            lambda: client.associate_workspace_application(
                WorkspaceId=workspace_id, ApplicationId=job.application_id
            )
        )
        await patiently(lambda: client.deploy_workspace_applications(WorkspaceId=workspace_id))
        while True:
            state = await patiently(lambda: state_of(job, workspace_id))
            answer = await patiently(lambda: client.describe_workspaces(WorkspaceIds=[workspace_id]))
            if state == "COMPLETED" and answer["Workspaces"][0]["State"] in ("AVAILABLE", "STOPPED"):
                job.notice(workspace_id)
                return
            await asyncio.sleep(POLL_SECONDS)

    await asyncio.gather(*map(one, job.workspace_ids))


async def sample_pass(job: Job) -> bool:
    """WorkSpaces by pages, then one after the other: describe, associate, deploy; errors swallowed, no waiting."""
    done = True
    listed: list[str] = []
    async for page in job.client.get_paginator("describe_workspaces").paginate(
        PaginationConfig={"PageSize": 25}
    ):
        listed += [row["WorkspaceId"] for row in page["Workspaces"]]
    for workspace_id in listed:
        try:
            state = await state_of(job, workspace_id)
            if state is None:
                await job.client.associate_workspace_application(
                    WorkspaceId=workspace_id, ApplicationId=job.application_id
                )
            if state in (None, "PENDING_INSTALL_DEPLOYMENT"):
                await job.client.deploy_workspace_applications(WorkspaceId=workspace_id)
        except ClientError:
            state = None
        if state == "COMPLETED":
            job.notice(workspace_id)
        else:
            done = False
    return done


async def sample_once(job: Job) -> None:
    """A pass, whose outcome nobody knows."""
    await sample_pass(job)


async def sample(job: Job) -> None:
    """As the sample does not know when it is done, it is run again every few minutes until nothing is left."""
    # Time is all that it waits for.
    while not await sample_pass(job):  # noqa: ASYNC110
        await asyncio.sleep(RERUN_SECONDS)


GATHER: Final = Contender(
    name="gather and one poll loop per WorkSpace (adaptive)", work=gather, retries="adaptive"
)
SAMPLE: Final = Contender(
    name="the logic of AWS's sample, run again every 5 minutes until done", work=sample, retries="legacy"
)
SAMPLE_ONCE: Final = Contender(
    name="the logic of AWS's sample, run once, outcome unknown", work=sample_once, retries="legacy"
)


def run(
    contender: Contender, workspaces: int, settings: SimulatorSettings, throttle: Throttle | None
) -> Found:
    """Let a script do the work on so many WorkSpaces."""
    clock = ManualClock()

    async def work() -> Found:
        async with Simulator(
            workspaces=0, clock=clock, settings=settings, throttle=throttle, verify_signatures=False
        ) as sim:
            sim.faults.add("slow", delay=LATENCY)
            ids = sim.fleet.add_workspaces(workspaces)
            application = sim.fleet.application("Office LTSC Professional Plus 2021")
            config = AioConfig(
                retries={"mode": contender.retries},
                max_pool_connections=CONNECTIONS,
                connect_timeout=600,
                read_timeout=600,
            )
            keys = sim.credentials
            session: Any = get_session()
            async with session.create_client(
                "workspaces",
                region_name=sim.region,
                endpoint_url=sim.url,
                aws_access_key_id=keys.access_key_id,
                aws_secret_access_key=keys.secret_access_key,
                config=config,
            ) as client:
                job = Job(client=client, workspace_ids=ids, application_id=application)
                began = clock.monotonic()
                await contender.work(job)
                seconds = clock.monotonic() - began
            origin = clock.timestamp() - clock.monotonic()
            delays = [
                noticed - (sim.fleet.workspace(one).associations[application].updated - origin)
                for one, noticed in job.noticed.items()
            ]
            return Found(
                calls=len(sim.requests),
                throttled=sim.requests.count(error=THROTTLING),
                seconds=seconds,
                delay=statistics.median(delays) if delays else None,
            )

    random.seed(0)
    with mock.patch("aiobotocore.retries.bucket.Clock", partial(BotocoreClock, 0.5)):
        return run_virtual(work(), clock)
