"""A thousand calls at once, at the pace of a slow service."""

import asyncio

import aiohttp
import pytest

from tests.chaos.site import NOTHING, Site, site
from workspaces_apps import Pacing
from workspaces_apps.simulator import Throttle

pytestmark = pytest.mark.campaign

CALLS = 1000


def watch_the_pool(at: Site) -> list[str]:
    """A list to which aiohttp adds every request that has to wait for one of its connections."""
    queued: list[str] = []
    trace = aiohttp.TraceConfig()

    async def on_queued(*_: object) -> None:
        queued.append("waits in the pool")

    trace.on_connection_queued_start.append(on_queued)
    trace.freeze()
    at.http().trace_configs.append(trace)
    return queued


@pytest.mark.parametrize("pacing", [Pacing.adaptive(), Pacing.fixed(rate=2)], ids=["adaptive", "fixed"])
async def test_a_thousand_calls_at_two_a_second_all_succeed(pacing: Pacing) -> None:
    """Gathered, without a timeout: slow is not late, and nobody waits where no clock sees it."""
    async with site(throttle=Throttle.at(2, burst=5), pacing=pacing) as at:
        await at.client.describe_account()
        queued = watch_the_pool(at)

        results = await asyncio.gather(*(at.client.describe_account() for _ in range(CALLS)))

        assert len(results) == CALLS
        assert at.clock.monotonic() >= (CALLS - 5) / 2
        assert (queued, at.held()) == ([], NOTHING)


async def test_the_client_learns_the_rate_of_the_service() -> None:
    """500 calls from 50 tasks, 10 a second: all succeed, in 1.06 of the ideal time and with 2 % throttled."""
    async with site(throttle=Throttle.at(10, burst=5)) as at:

        async def work() -> None:
            for _ in range(10):
                await at.client.describe_account()

        await asyncio.gather(*(work() for _ in range(50)))

        later = tuple(at.sim.requests)[20:]
        throttled = sum(record.error == "ThrottlingException" for record in later)
        assert throttled <= 0.02 * len(later)
        assert at.clock.monotonic() <= 1.06 * 500 / 10


async def test_no_call_waits_in_the_pool_of_connections() -> None:
    """Unpaced, more calls than connections wait at our own bound, where they can be told to stop."""
    async with site(pacing=Pacing.off(), max_connections=8) as at:
        await at.client.describe_account()
        queued, most = watch_the_pool(at), 0
        calls = asyncio.gather(*(at.client.describe_account() for _ in range(200)))
        while not calls.done():
            most = max(most, at.held().connections)
            await asyncio.sleep(0)

        assert (most, queued, at.held()) == (8, [], NOTHING)
        assert len(await calls) == 200


async def test_the_pool_can_be_seen_to_be_waited_for() -> None:
    """The queue that the tests above look for can be seen: past our own bound, aiohttp queues."""
    async with site(pacing=Pacing.off(), max_connections=2) as at:
        await at.client.describe_account()
        queued, http = watch_the_pool(at), at.http()

        async def post() -> None:
            async with http.post(at.sim.url, data=b"{}"):
                pass

        await asyncio.gather(*(post() for _ in range(3)))

        assert queued == ["waits in the pool"]
