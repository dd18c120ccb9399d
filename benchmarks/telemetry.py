"""`python -m benchmarks.telemetry`: CPU of a call without OpenTelemetry, with dropped spans, and with recorded ones.

There is one process for each way. They take turns, so that what disturbs the machine disturbs all of them, and
answers come from `server.py`; the figures are medians of the rounds, against the way `off`
(`ClientConfig(telemetry=False)`) of the same round. `floor-dropped` and `floor-recorded` are the way `off` with the
SDK called by hand around each call, for no more than the conventions ask for: the least that a call with telemetry can
cost. `absent` is a process in which OpenTelemetry cannot be imported;
its call sites are timed by themselves, because their share is too small to be seen in a call's. `before` is the
same client of an earlier commit, where a folder with its sources is given by `--before`. `--instructions` counts
instructions with Valgrind instead, which does not depend on what else the machine does. Exits with 1 where a goal
is missed.
"""

import argparse
import asyncio
import gc
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.answers import ACCESS_KEY_ID, APPLICATION_ID, REGION, SECRET_ACCESS_KEY, WORKSPACE_ID
from benchmarks.tables import Goal, Row, put_section, table

HEADING: Final = "Telemetry"

WAYS: Final = {
    "off": "`ClientConfig(telemetry=False)`",
    "absent": "no OpenTelemetry",
    "api": "`opentelemetry-api` without an SDK",
    "dropped": "spans dropped by the sampler, metrics counted",
    "recorded": "spans recorded, metrics counted",
    "floor-dropped": "the SDK alone, spans dropped",
    "floor-recorded": "the SDK alone, spans recorded",
}
"""By what stands in the tables."""

GOALS: Final = {"dropped": Goal(most=60, unit=" µs"), "recorded": Goal(most=150, unit=" µs")}
"""The bars for the extra cost of a call with telemetry."""

SHARE: Final = Goal(most=1, unit=" %")
"""The bar for the call sites' share of a call where there is no OpenTelemetry."""

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)
"""The bounds of the floor's histogram, which are those of the package."""

SITES: Final = 20_000
"""The number of runs of the call sites that are timed."""


def provide(way: str) -> None:
    """Set up OpenTelemetry's SDK as an application would, its exporters aside."""
    if way == "absent":
        # A module that is None is one that cannot be imported.
        nothing: Any = None
        sys.modules["opentelemetry"] = nothing
    if way not in ("dropped", "recorded", "floor-dropped", "floor-recorded"):
        return
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_ON if way.endswith("recorded") else ALWAYS_OFF))
    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))


def time_sites() -> float:
    """Return the CPU seconds that the call sites of one call take where there is no telemetry."""
    from workspaces_apps._telemetry.port import CallTrace, load

    load(enabled=True)
    traces: list[CallTrace | None] = [None]
    nothing = nullcontext()
    began = time.process_time()
    for _ in range(SITES):
        call = traces[0]
        if call is not None:
            call.goes_to("https://workspaces.eu-west-1.amazonaws.com", REGION)
        with nothing if call is None else call.queued():
            pass
        with nothing if call is None else call.attempt():
            pass
    full = time.process_time() - began
    began = time.process_time()
    for _ in range(SITES):
        pass
    return (full - (time.process_time() - began)) / SITES


def floor(url: str) -> Callable[[], None]:
    """Return what makes the spans and the measurement of one call with the SDK alone.

    Two spans and one measurement of a histogram, with the attributes that `docs/telemetry.md` lists. A dropped call has no
    span of a request and no context. Counters are not among it: the SDK reads them when metrics are collected.
    """
    from opentelemetry import context, metrics, trace

    port = urlsplit(url).port or 0
    name = "WorkSpaces/AssociateWorkspaceApplication"
    server: dict[str, str | int] = {"server.address": "127.0.0.1", "server.port": port}
    begins: dict[str, str | int] = {"rpc.system.name": "aws-api", "rpc.method": name}
    measured: dict[str, str | int] = {**begins, "cloud.region": REGION, **server}
    answer: dict[str, str | int] = {"aws.request_id": WORKSPACE_ID, "http.response.status_code": 200}
    ends: dict[str, str | int] = {
        "cloud.region": REGION,
        **server,
        "workspaces_apps.attempts": 1,
        **answer,
    }
    request: dict[str, str | int] = {
        "http.request.method": "POST",
        "url.full": f"{url}/",
        **server,
        **answer,
    }
    tracer = trace.get_tracer("floor")
    record = (
        metrics.get_meter("floor")
        .create_histogram("rpc.client.call.duration", "s", explicit_bucket_boundaries_advisory=SECONDS)
        .record
    )

    def call() -> None:
        around = context.get_current()
        span = tracer.start_span(name, around, trace.SpanKind.CLIENT, begins)
        if not span.is_recording():
            record(0.01, measured)
            span.end()
            return
        inside = trace.set_span_in_context(span, around)
        token = context.attach(inside)
        tracer.start_span("POST", inside, trace.SpanKind.CLIENT, request).end()
        context.detach(token)
        record(0.01, measured)
        span.set_attributes(ends)
        span.end()

    return call


async def work(way: str, url: str) -> None:
    """Make as many calls as each line of standard input says, and print the CPU seconds that they took."""
    provide(way)
    from workspaces_apps import ClientConfig, Credentials, WorkSpacesClient

    config = (
        ClientConfig()
        if way == "before"
        else ClientConfig(telemetry=way != "off" and not way.startswith("floor"))
    )
    by_hand = floor(url) if way.startswith("floor") else None
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
                if by_hand is not None:
                    by_hand()
            spent = time.process_time() - began
            imported = sum(name.startswith("opentelemetry.") for name in sys.modules)
            sites = time_sites() if way == "absent" else 0.0
            print(json.dumps({"cpu": spent, "sites": sites, "imported": imported}), flush=True)


class Rounds:
    """Measurements, one figure for each round.

    Attributes:
        cpu: Microseconds of CPU a call, by way.
        sites: Microseconds of the call sites without OpenTelemetry.
        imported: How many modules of OpenTelemetry were imported without it.
    """

    def __init__(self) -> None:
        self.cpu: dict[str, list[float]] = {}
        self.sites: list[float] = []
        self.imported = 0.0

    def more(self, way: str) -> float:
        """Return what a call costs more than without telemetry, in the median of the rounds."""
        return median(cost - off for cost, off in zip(self.cpu[way], self.cpu["off"], strict=True))

    def rows(self) -> list[Row]:
        """Return the table."""
        costs = {
            way: Row(
                what=f"CPU of a call, µs: {WAYS.get(way, way)}", values={"now": median(costs)}, form=".0f"
            )
            for way, costs in self.cpu.items()
        }
        share = median(100 * sites / cost for sites, cost in zip(self.sites, self.cpu["absent"], strict=True))
        return [
            *costs.values(),
            Row(
                what="modules of OpenTelemetry imported without it",
                values={"now": self.imported},
                goal=Goal(most=0),
            ),
            Row(
                what="share of a call without OpenTelemetry, %", values={"now": share}, goal=SHARE, form=".2f"
            ),
            *(
                Row(
                    what=f"more for {WAYS[way]}, µs",
                    values={"now": self.more(way)},
                    goal=GOALS.get(way),
                    form="+.0f",
                )
                for way in ("dropped", "floor-dropped", "recorded", "floor-recorded")
            ),
        ]


def measure(rounds: int, calls: int, before: Path | None) -> Rounds:
    """Measure each way in turns; the first round warms up."""
    ways = [*WAYS, *(["before"] if before is not None else [])]
    found = Rounds()
    server, url = _serve()
    workers = {
        way: _start(
            [sys.executable, "-m", "benchmarks.telemetry", "--work", way, url],
            before if way == "before" else None,
        )
        for way in ways
    }
    try:
        for number in range(rounds + 1):
            for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                answer = _ask(workers[way], calls)
                if not number:
                    continue
                found.cpu.setdefault(way, []).append(answer["cpu"] / calls * 1e6)
                if way == "absent":
                    found.sites.append(answer["sites"] * 1e6)
                    found.imported = answer["imported"]
    finally:
        for process in (*workers.values(), server):
            _end(process)
    found.cpu = {way: found.cpu[way] for way in ways}
    return found


def count_instructions(calls: int, ways: Sequence[str] = tuple(WAYS)) -> list[Row]:
    """Return the instructions of a call, by way: two runs of different length, and their difference."""
    server, url = _serve()
    found: dict[str, float] = {}
    try:
        for way in ways:
            few, many = (_instructions(way, url, number) for number in (20, 20 + calls))
            found[way] = (many - few) / calls / 1000
    finally:
        _end(server)
    return [
        Row(
            what=f"instructions of a call, thousands: {WAYS[way]}",
            values={"now": count},
            form=".1f",
        )
        for way, count in found.items()
    ]


def _instructions(way: str, url: str, calls: int) -> int:
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={os.devnull}"]
    done = subprocess.run(
        [*valgrind, sys.executable, "-m", "benchmarks.telemetry", "--work", way, url, "--no-collection"],
        input=f"{calls}\n",
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1].replace(",", ""))


def _serve() -> tuple[subprocess.Popen[str], str]:
    server = _start([sys.executable, "-m", "benchmarks.server"], None)
    assert server.stdout is not None
    return server, f"http://127.0.0.1:{int(server.stdout.readline())}"


def _start(command: list[str], sources: Path | None) -> subprocess.Popen[str]:
    environment = dict(os.environ)
    if sources is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(sources), str(Path.cwd())])
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _ask(worker: subprocess.Popen[str], calls: int) -> dict[str, float]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{calls}\n")
    worker.stdin.flush()
    answer: dict[str, float] = json.loads(worker.stdout.readline())
    return answer


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


def load() -> str:
    """Say how busy the machine is: caches that others empty make a call up to three times as dear."""
    if sys.platform == "win32":
        return "unknown"
    return f"{os.getloadavg()[0]:.0f} on {os.cpu_count()} processors"


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telemetry", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--calls", type=int, default=200, help="calls of each way a round")
    parser.add_argument("--before", type=Path, help="a folder with the sources of an earlier commit")
    parser.add_argument("--instructions", action="store_true", help="count instructions, with Valgrind")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="what is counted")
    parser.add_argument("--page", type=Path, help=f"the page whose section {HEADING} is written anew")
    parser.add_argument("--no-collection", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--work", nargs=2, metavar=("WAY", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.no_collection:
        # A garbage collection is as many instructions as a hundred calls, and comes at any moment.
        gc.disable()
    if given.work:
        asyncio.run(work(*given.work))
        return 0
    rows = (
        count_instructions(given.calls, given.ways)
        if given.instructions
        else measure(given.rounds, given.calls, given.before).rows()
    )
    lines = table("one call of AssociateWorkspaceApplication", rows)
    print("\n".join(lines))
    if given.page is not None:
        about = (
            f"`python -m benchmarks.telemetry` writes this section. Load of the machine meanwhile: {load()}."
        )
        put_section(given.page, HEADING, [about, "", *lines])
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
