"""The cost of telemetry: CPU time of a call without it, with spans that the sampler drops, and recorded.

`python -m benchmarks.telemetry` starts one process for each way. They take turns, so that what disturbs the machine
disturbs all of them, and answers come from `server.py`; the figures are medians of the rounds, against the way
`off` (`ClientConfig(telemetry=False)`) of the same round. `before` is the same client without any call site of
telemetry, where a folder with an earlier commit's sources is given by `--before`.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.answers import ACCESS_KEY_ID, APPLICATION_ID, REGION, SECRET_ACCESS_KEY, WORKSPACE_ID

WAYS: Final = ("off", "no SDK", "dropped", "recorded")
"""Switched off; only `opentelemetry-api` does something; an SDK whose sampler drops spans; one that records them."""


def provide(way: str) -> None:
    """Set up OpenTelemetry's SDK as an application would, its exporters aside."""
    if way not in ("dropped", "recorded"):
        return
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_ON if way == "recorded" else ALWAYS_OFF))
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))


async def work(way: str, url: str) -> None:
    """Make as many calls as each line of standard input says, and print the CPU seconds that they took."""
    from workspaces_apps import ClientConfig, Credentials, WorkSpacesClient

    provide(way)
    config = ClientConfig() if way == "before" else ClientConfig(telemetry=way != "off")
    credentials = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    async with WorkSpacesClient(
        region=REGION, endpoint_url=url, credentials=credentials, config=config
    ) as client:
        while line := await asyncio.to_thread(sys.stdin.readline):
            began = time.process_time()
            for _ in range(int(line)):
                await client.associate_workspace_application(
                    workspace_id=WORKSPACE_ID, application_id=APPLICATION_ID
                )
            print(json.dumps(time.process_time() - began), flush=True)


def measure(rounds: int, calls: int, before: Path | None) -> dict[str, list[float]]:
    """Return the microseconds of CPU a call, by way, one figure for each round."""
    ways = [*WAYS, *(["before"] if before is not None else [])]
    server = _start([sys.executable, "-m", "benchmarks.server"], None)
    assert server.stdout is not None
    url = f"http://127.0.0.1:{int(server.stdout.readline())}"
    workers = {
        way: _start(
            [sys.executable, "-m", "benchmarks.telemetry", "--work", way, url],
            before if way == "before" else None,
        )
        for way in ways
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    try:
        for number in range(rounds + 1):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                cost = _ask(workers[way], calls)
                # The first round warms up.
                if number:
                    found[way].append(cost)
    finally:
        for process in (*workers.values(), server):
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)
    return found


def _start(command: list[str], sources: Path | None) -> subprocess.Popen[str]:
    environment = dict(os.environ)
    if sources is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(sources), str(Path.cwd())])
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _ask(worker: subprocess.Popen[str], calls: int) -> float:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{calls}\n")
    worker.stdin.flush()
    seconds: float = json.loads(worker.stdout.readline())
    return seconds / calls * 1e6


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=200, help="calls of each way a round")
    parser.add_argument("--before", type=Path, help="a folder with the sources of an earlier commit")
    parser.add_argument("--work", nargs=2, metavar=("WAY", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        asyncio.run(work(*given.work))
        return
    found = measure(given.rounds, given.calls, given.before)
    print("| way | CPU of a call | beside off |")
    print("|---|---|---|")
    for way, costs in found.items():
        more = median(cost - off for cost, off in zip(costs, found["off"], strict=True))
        print(f"| {way} | {median(costs):.0f} µs | {more:+.0f} µs |")


if __name__ == "__main__":
    main()
