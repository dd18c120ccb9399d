"""`python -m benchmarks.simulator`: the simulator beside moto's server, and with a fleet of 100,000 WorkSpaces.

Every server is a process of its own. The contenders take turns, and are asked by a plain socket that sends the same
signed bytes again and again, so that what is measured is the server.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ROOT: Final = Path(__file__).resolve().parent.parent
REGION: Final = "us-east-1"
PAGE: Final = 25
LARGE: Final = 100_000
ASSOCIATIONS: Final = 300_000
INSTALLED: Final = 5
"""For each WorkSpace that can have them: three on average."""

FASTER_BAR: Final = 5.0
SECONDS_BAR: Final = 5.0
MEGABYTES_BAR: Final = 300.0
SLOWER_BAR: Final = 1.1
"""Large ÷ small fleet; what lies below is noise."""

SEED: Final = f"""
import json, resource, time
from workspaces_apps.simulator import Simulator
began = time.perf_counter()
simulator = Simulator(workspaces={LARGE}, associations_per_workspace={INSTALLED})
took = time.perf_counter() - began
count = sum(len(one.associations) for one in simulator.fleet.store.workspaces.values())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({{"seconds": took, "associations": count, "megabytes": peak}}))
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be asked.

    Attributes:
        address: Where it listens.
        credentials: What its requests are signed with.
    """

    address: tuple[str, int]
    credentials: Credentials

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://{self.address[0]}:{self.address[1]}"

    def request(self, operation: str, **members: object) -> bytes:
        """A signed request, ready to be sent as often as its date is good."""
        body = json.dumps(members).encode()
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"WorkspacesService.{operation}",
        }
        request = AWSRequest("POST", f"{self.url}/", data=body, headers=headers)
        SigV4Auth(self.credentials, "workspaces", REGION).add_auth(request)
        sent = {"Host": urlsplit(self.url).netloc, **dict(request.headers), "Content-Length": str(len(body))}
        lines = [f"{name}: {value}\r\n" for name, value in sent.items()]
        return "".join(["POST / HTTP/1.1\r\n", *lines, "\r\n"]).encode() + body


class Caller:
    """One connection to a server, opened anew whenever the server closes it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> bytes:
        """Send a request and read the answer's body.

        Raises:
            RuntimeError: The answer is not a success.
        """
        if self._socket is None:
            self._socket = socket.create_connection(self._server.address)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        head, body = self._read_head(self._socket)
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(262_144)
        if b"connection: close" in head or head.startswith(b"http/1.0"):
            self.close()
        if b" 200 " not in head[:16]:
            raise RuntimeError(body.decode(errors="replace"))
        return body

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read_head(self, connection: socket.socket) -> tuple[bytes, bytes]:
        received = b""
        while b"\r\n\r\n" not in received:
            part = connection.recv(262_144)
            if not part:
                raise RuntimeError("the server has hung up")
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        return head.lower() + b"\r\n", body


def environment() -> dict[str, str]:
    """This one, with the sources to be found."""
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}


@contextmanager
def simulator(workspaces: int, installed: int = 0) -> Generator[Server]:
    """Our simulator: signatures are checked, nothing is throttled."""
    line = [sys.executable, "-m", "benchmarks.simulator", "--serve", str(workspaces), str(installed)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, env=environment(), cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            found: dict[str, str] = json.loads(process.stdout.readline())
            address = urlsplit(found["url"])
            credentials = Credentials(found["access_key_id"], found["secret_access_key"])
            yield Server((address.hostname or "", address.port or 0), credentials)
        finally:
            process.kill()


def serve(workspaces: int, installed: int) -> None:
    """Be the simulator's process, until killed."""
    from workspaces_apps.simulator import Simulator

    options: Any = {"workspaces": workspaces, "associations_per_workspace": installed, "throttle": None}
    with Simulator.in_thread(**options) as running:
        print(json.dumps(running.connection_info()), flush=True)
        time.sleep(3600)


@contextmanager
def moto() -> Generator[Server]:
    """moto's server, with a directory and a page of WorkSpaces."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    line = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    ) as process:
        try:
            server = Server(("127.0.0.1", port), Credentials("AKIAIOSFODNN7EXAMPLE", "testing"))
            wait_for(server)
            fill(server)
            yield server
        finally:
            process.kill()


def wait_for(server: Server) -> None:
    """Until it listens."""
    for _ in range(600):
        try:
            socket.create_connection(server.address).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("moto's server did not start")


def fill(server: Server) -> None:
    """Make a directory, and a page of WorkSpaces in it."""
    import boto3.session

    session: Any = boto3.session.Session(
        aws_access_key_id=server.credentials.access_key,
        aws_secret_access_key=server.credentials.secret_key,
        region_name=REGION,
    )
    ec2, directories, workspaces = (
        session.client(service, endpoint_url=server.url) for service in ("ec2", "ds", "workspaces")
    )
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{REGION}{zone}"
        )["Subnet"]["SubnetId"]
        for number, zone in enumerate("ab")
    ]  # fmt: skip
    directory = directories.create_directory(
        Name="corp.example.com",
        Password="Password-1",
        Size="Small",
        VpcSettings={"VpcId": vpc, "SubnetIds": subnets},
    )["DirectoryId"]
    workspaces.register_workspace_directory(DirectoryId=directory, SubnetIds=subnets)
    order = {"DirectoryId": directory, "BundleId": "wsb-gk1wpk43z"}
    workspaces.create_workspaces(
        Workspaces=[{**order, "UserName": f"user.{number}"} for number in range(PAGE)]
    )


def per_second(caller: Caller, request: bytes, seconds: float) -> float:
    """How many requests are answered in a second."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        caller.ask(request)
        count += 1
    return count / (time.perf_counter() - began)


def microseconds(caller: Caller, requests: Sequence[bytes]) -> float:
    """How long an answer takes, in the middle."""
    took: list[float] = []
    for request in requests:
        began = time.perf_counter()
        caller.ask(request)
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e6


def verdict(met: bool) -> str:
    """Whether a bar is met."""
    return "met" if met else "MISSED"


def compare_with_moto(rounds: int, seconds: float) -> bool:
    """DescribeWorkspaces, a page of 25, from both, in turns."""
    ours: list[float] = []
    theirs: list[float] = []
    with ExitStack() as stack:
        servers = (stack.enter_context(simulator(PAGE)), stack.enter_context(moto()))
        turns = [
            (Caller(server), server.request("DescribeWorkspaces"), found)
            for server, found in zip(servers, (ours, theirs), strict=True)
        ]
        for caller, request, _ in turns:
            answer = json.loads(caller.ask(request))
            assert len(answer["Workspaces"]) == PAGE
        for _ in range(rounds):
            for caller, request, found in turns:
                found.append(per_second(caller, request, seconds))
        for caller, _, _ in turns:
            caller.close()
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    print("DescribeWorkspaces, 25 WorkSpaces to a page, one connection")
    print(f"  simulator (signatures checked)  {statistics.median(ours):7.0f} requests/s")
    print(f"  moto's server (not checked)     {statistics.median(theirs):7.0f} requests/s")
    print(
        f"  ratio {ratio:.1f} ({min(ratios):.1f} to {max(ratios):.1f}), bar ≥ {FASTER_BAR:g}: {verdict(ratio >= FASTER_BAR)}"
    )
    return ratio >= FASTER_BAR


def measure_seeding(rounds: int) -> bool:
    """The large fleet, in a process of its own each time."""
    runs: list[dict[str, float]] = []
    for _ in range(rounds):
        line = [sys.executable, "-c", SEED]
        runs.append(
            json.loads(subprocess.run(line, check=True, capture_output=True, env=environment()).stdout)
        )
    seconds = statistics.median(run["seconds"] for run in runs)
    megabytes = max(run["megabytes"] for run in runs)
    associations = runs[0]["associations"]
    quick, small = seconds <= SECONDS_BAR, megabytes < MEGABYTES_BAR
    print(f"Seeding {LARGE:,} WorkSpaces with {associations:,.0f} associations")
    print(f"  {seconds:.1f} s, bar ≤ {SECONDS_BAR:g} s: {verdict(quick)}")
    print(f"  {megabytes:.0f} MB for the whole process, bar < {MEGABYTES_BAR:g} MB: {verdict(small)}")
    return quick and small and associations >= ASSOCIATIONS


def compare_fleets(rounds: int, calls: int) -> bool:
    """DescribeWorkspaceAssociations with a small fleet and with the large one, in turns."""
    found: tuple[list[float], list[float]] = ([], [])
    sizes = (100, LARGE)
    with ExitStack() as stack:
        servers = [stack.enter_context(simulator(size, INSTALLED)) for size in sizes]
        callers = [Caller(server) for server in servers]
        turns = [
            [
                server.request(
                    "DescribeWorkspaceAssociations",
                    WorkspaceId=workspace_id,
                    AssociatedResourceTypes=["APPLICATION"],
                )
                for workspace_id in some_workspaces(server, caller)
            ]
            for server, caller in zip(servers, callers, strict=True)
        ]
        for _ in range(rounds):
            for caller, requests, medians in zip(callers, turns, found, strict=True):
                medians.append(microseconds(caller, requests * (calls // len(requests))))
        for caller in callers:
            caller.close()
    small, large = (statistics.median(medians) for medians in found)
    ratio = statistics.median(many / few for few, many in zip(*found, strict=True))
    print("DescribeWorkspaceAssociations, one connection")
    for size, median in zip(sizes, (small, large), strict=True):
        print(f"  {size:7,} WorkSpaces  {median:6.0f} µs")
    print(f"  ratio {ratio:.2f}, bar ≤ {SLOWER_BAR:g}: {verdict(ratio <= SLOWER_BAR)}")
    return ratio <= SLOWER_BAR


def some_workspaces(server: Server, caller: Caller) -> list[str]:
    """WorkSpaces of the first page, which is the same in both fleets."""
    page = json.loads(caller.ask(server.request("DescribeWorkspaces")))
    return [workspace["WorkspaceId"] for workspace in page["Workspaces"]]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and fail if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulator", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each contender has its turn")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long a turn is")
    parser.add_argument("--serve", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve(*options.serve)
        return 0
    met = [
        compare_with_moto(options.rounds, options.seconds),
        measure_seeding(3),
        compare_fleets(options.rounds, 1000),
    ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
