"""`python -m benchmarks.group_commit`: durable intents a second where a sync takes a millisecond and many wait for it.

Every target records one intent after the other and waits until it is on disk, as before a Deploy. The file is real; the
millisecond is slept in the writing thread, since the disks of machines differ.
"""

import argparse
import asyncio
import os
import tempfile
import time

from workspaces_apps.rollout._journal.lines import GroupCommit, WritingThread

LINE = b'{"kind":"intent","workspace_id":"ws-0123456789","application_id":"wsa-0123456789"}\n'


async def measure(targets: int, each: int, sync: float) -> tuple[float, float]:
    """Intents a second of wall time, and seconds of processor time for each."""
    with tempfile.TemporaryFile() as file:

        def write(data: bytes, durable: bool) -> None:
            os.write(file.fileno(), data)
            if durable:
                time.sleep(sync)

        thread = WritingThread(write)
        commit = GroupCommit(thread, lambda cause: RuntimeError(str(cause)), thread.end)

        async def one() -> None:
            for _ in range(each):
                await commit.append(LINE, durable=True)

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(one() for _ in range(targets)))
        took, used = time.perf_counter() - wall, time.process_time() - cpu
        await commit.close()
        return targets * each / took, used / (targets * each)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.group_commit", description=__doc__)
    parser.add_argument("--targets", type=int, default=300, help="how many wait at a time")
    parser.add_argument("--each", type=int, default=50, help="intents of each")
    parser.add_argument("--sync", type=float, default=1.0, help="milliseconds that a sync takes")
    asked = parser.parse_args()
    rate, cpu = asyncio.run(measure(asked.targets, asked.each, asked.sync / 1000))
    print(f"{rate:,.0f} durable intents a second, {cpu * 1e6:.1f} µs of processor time each")


if __name__ == "__main__":
    main()
