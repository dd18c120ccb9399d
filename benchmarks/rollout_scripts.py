"""What people do by hand: scripts on aiobotocore, in scaled time, against the simulator with its default throttle.

Their waits are the event loop's and botocore's own, so both are made to run as fast as the simulator's clock.
"""

import asyncio
import contextlib
import selectors
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from unittest import mock

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from workspaces_apps.simulator import ScaledClock, Simulator, SimulatorSettings

FACTOR: Final = 60.0
POLL_SECONDS: Final = 10.0
RERUN_SECONDS: Final = 300.0

Script: TypeAlias = Callable[[Any, Sequence[str], str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A way to do it by hand.

    Attributes:
        name: What to call it.
        work: Takes a botocore client, the WorkSpaces and the application.
        retries: botocore's retry mode.
        times: How many times our calls it must make at least; None where it is only shown.
    """

    name: str
    work: Script
    retries: str
    times: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What it cost: requests, those of them that were throttled, and simulated seconds."""

    calls: int
    throttled: int
    seconds: float


async def state_of(client: Any, workspace_id: str, application: str) -> str | None:
    """The state of the application on one WorkSpace."""
    answer = await client.describe_workspace_associations(
        WorkspaceId=workspace_id, AssociatedResourceTypes=["APPLICATION"]
    )
    rows = [row for row in answer["Associations"] if row["AssociatedResourceId"] == application]
    return rows[0]["State"] if rows else None


async def gather(client: Any, workspace_ids: Sequence[str], application: str) -> None:
    """All at once, each with a loop of its own that polls until it is done."""

    async def patiently(call: Callable[[], Awaitable[Any]]) -> Any:
        # Without this the script dies of its own throttles: botocore's budget for retries is soon spent.
        while True:
            try:
                return await call()
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "ThrottlingException":
                    raise
                await asyncio.sleep(POLL_SECONDS)

    async def one(workspace_id: str) -> None:
        await patiently(
            lambda: client.associate_workspace_application(
                WorkspaceId=workspace_id, ApplicationId=application
            )
        )
        await patiently(lambda: client.deploy_workspace_applications(WorkspaceId=workspace_id))
        # Polling is what such scripts do.
        while await patiently(lambda: state_of(client, workspace_id, application)) != "COMPLETED":  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)

    await asyncio.gather(*map(one, workspace_ids))


async def sample(client: Any, workspace_ids: Sequence[str], application: str) -> None:
    """Desktop by desktop: describe, describe, associate, deploy; errors swallowed, nothing waited for.

    Such a script does not know when it is done, so it is run again every few minutes until nothing is left.
    """
    while True:
        done = True
        for workspace_id in workspace_ids:
            with contextlib.suppress(ClientError):
                await client.describe_workspaces(WorkspaceIds=[workspace_id])
                state = await state_of(client, workspace_id, application)
                done = done and state == "COMPLETED"
                if state is None:
                    await client.associate_workspace_application(
                        WorkspaceId=workspace_id, ApplicationId=application
                    )
                    await client.deploy_workspace_applications(WorkspaceId=workspace_id)
                continue
            done = False
        if done:
            return
        await asyncio.sleep(RERUN_SECONDS)


SCRIPTS: Final = (
    Contender(
        name="gather and one poll loop per WorkSpace (adaptive)",
        work=gather,
        retries="adaptive",
        times=6.0,
    ),
    Contender(name="a loop that never waits, run again every 5 minutes", work=sample, retries="standard"),
)


class _ScaledSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / FACTOR if timeout else timeout)


class _ScaledLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds are shorter."""

    def __init__(self) -> None:
        super().__init__(_ScaledSelector())

    def time(self) -> float:
        return super().time() * FACTOR


def run(contender: Contender, workspaces: int, settings: SimulatorSettings) -> Found:
    """Let a script do the work on so many WorkSpaces."""
    clock = ScaledClock(FACTOR)
    with Simulator.in_thread(workspaces=0, clock=clock, settings=settings) as sim:
        ids = sim.fleet.add_workspaces(workspaces)
        application = sim.fleet.application("Office LTSC Professional Plus 2021")

        async def work() -> None:
            config = AioConfig(
                retries={"mode": contender.retries},
                max_pool_connections=50,
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
                await contender.work(client, ids, application)

        origin = time.time()
        began = clock.monotonic()

        def current_time(_: object) -> float:
            return origin + (time.time() - origin) * FACTOR

        scaled = mock.patch("botocore.retries.bucket.Clock.current_time", current_time)
        with scaled, asyncio.Runner(loop_factory=_ScaledLoop) as runner:
            runner.run(work())
        return Found(
            calls=len(sim.requests),
            throttled=sim.requests.count(error="ThrottlingException"),
            seconds=clock.monotonic() - began,
        )
