"""The effect of `warm_up` on the event loop, and the cost of each further client; run in a process of its own."""

import asyncio
import gc
import json
import sys
import time
from contextlib import AsyncExitStack

from benchmarks.answers import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from benchmarks.worker import resident
from workspaces_apps import Credentials, WorkSpacesClient

FURTHER = 20


def client_of(url: str) -> WorkSpacesClient:
    """A client of the server at `url`, not open yet."""
    return WorkSpacesClient(
        region=REGION, endpoint_url=url, credentials=Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    )


async def stall(work: asyncio.Task[None]) -> float:
    """The longest time that the loop did not tick, in seconds, until `work` is done."""
    longest, last = 0.0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    work.result()
    return longest


async def main(url: str, *, freeze: bool) -> None:
    """Warm up, call, open further clients, and print the figures as JSON.

    Args:
        url: The server.
        freeze: Have Python's collector leave alone, from then on, what there is after `warm_up`.
    """
    async with AsyncExitStack() as stack:
        first = client_of(url)
        stack.push_async_callback(first.aclose)
        began = time.perf_counter()
        warming = await stall(asyncio.create_task(first.warm_up()))
        took = time.perf_counter() - began
        if freeze:
            gc.freeze()

        async def call(client: WorkSpacesClient) -> None:
            await client.describe_workspaces()

        first_call = await stall(asyncio.create_task(call(first)))
        before, opening = resident(), 0.0
        for _ in range(FURTHER):
            further = await stack.enter_async_context(client_of(url))
            opening = max(opening, await stall(asyncio.create_task(call(further))))
        grown = (resident() - before) / FURTHER
    print(
        json.dumps(
            {
                "took": took,
                "stall": warming,
                "first_call_stall": first_call,
                "further_stall": opening,
                "further_megabytes": grown,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], freeze="freeze" in sys.argv[2:]))
