"""A fresh process with a client in it, and what it had to load, when, and in which thread; prints that as JSON.

Arguments: the simulator's URL, access key id and secret; and `warm` or `cold`.
"""

import asyncio
import gc
import json
import sys
import threading
from collections import Counter
from typing import Final

LOOP_THREAD: Final = threading.get_ident()
HEAVY: Final = frozenset({"aiobotocore", "aiohttp", "botocore", "pydantic", "pydantic_core", "tenacity"})
DATA: Final = ("service-2", "endpoints.json", "partitions", "endpoint-rule-set")


class Watch:
    """Counts what is imported and read, by the thread that does it."""

    def __init__(self) -> None:
        self.on_loop: Counter[str] = Counter()
        self.elsewhere: Counter[str] = Counter()
        self.active = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        """An audit hook."""
        if not self.active or event not in ("import", "open"):
            return
        name = str(arguments[0])
        if event == "import":
            what = name.partition(".")[0]
            if what not in HEAVY and not name.startswith("workspaces_apps."):
                return
        else:
            what = next((one for one in DATA if one in name), "")
            if not what:
                return
        seen = self.on_loop if threading.get_ident() == LOOP_THREAD else self.elsewhere
        seen[what] += 1


def validators() -> int:
    """Count the validators that have been built and are alive."""
    return sum(type(thing).__name__ == "SchemaValidator" for thing in gc.get_objects())


async def main(url: str, key: str, secret: str, kind: str) -> None:
    """Warm up or not, call, and say what that took."""
    watch = Watch()
    sys.addaudithook(watch)
    from workspaces_apps import Credentials, WorkSpacesClient

    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    async with asyncio.timeout(120):
        ticking = asyncio.create_task(tick())
        client = WorkSpacesClient(
            region="us-east-1", endpoint_url=url, credentials=Credentials(key, secret, None, "123456789012")
        )
        watch.active = True
        if kind == "warm":
            await client.warm_up()
        watch.active = False
        turned, modules, built = turns, set(sys.modules), validators()
        page = await client.describe_applications(max_results=5)
        found = {
            "turns": turned,
            "on_loop": watch.on_loop,
            "elsewhere": watch.elsewhere,
            "imported": sorted(set(sys.modules) - modules),
            "built": validators() - built,
            "applications": len(page.applications),
        }
        await client.aclose()
        ticking.cancel()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
