"""`python -m benchmarks.simulator`: the simulator beside moto's server, and with a fleet of 100,000 WorkSpaces.

Every server is a process of its own. The contenders take turns, and are asked by a plain socket that sends the same
signed bytes again and again, so that what is measured is the server: its processor time as Linux counts it, which
others on the machine disturb least.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks.tables import put_section

ROOT: Final = Path(__file__).resolve().parent.parent
REGION: Final = "us-east-1"
PAGE: Final = 25
SIZES: Final = (100, 100_000)
MOTO_SIZES: Final = (PAGE, 1000)
INSTALLED: Final = 4
"""For each WorkSpace that can have them."""
HEADING: Final = "The simulator"

START_BAR: Final = 15.0
FASTER_BAR: Final = 5.0
MEGABYTES_BAR: Final = 300.0
SLOWER_BAR: Final = 1.15
"""Large ÷ small fleet; what lies below is noise."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be asked.

    Attributes:
        address: Where it listens.
        credentials: What its requests are signed with.
        process: Its process id.
    """

    address: tuple[str, int]
    credentials: Credentials
    process: int

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


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has had, in all its threads."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(process: int) -> float:
    """Return the most memory that a process has had resident."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@dataclass(frozen=True, slots=True)
class Start:
    """The cost of a start, until a simulator listened.

    Attributes:
        seconds: Wall time.
        cpu: Processor time.
        megabytes: The peak of its memory.
    """

    seconds: float
    cpu: float
    megabytes: float


@contextmanager
def simulator(workspaces: int) -> Generator[tuple[Server, Start]]:
    """Our simulator, by its command: signatures are checked, nothing is throttled."""
    line = [sys.executable, "-m", "workspaces_apps", "simulate", "--no-throttle",
            "--workspaces", str(workspaces), "--installed", str(INSTALLED)]  # fmt: skip
    began = time.perf_counter()
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            found: dict[str, str] = json.loads(process.stdout.readline())
            start = Start(time.perf_counter() - began, cpu_seconds(process.pid), peak_megabytes(process.pid))
            address = urlsplit(found["url"])
            credentials = Credentials(found["access_key_id"], found["secret_access_key"])
            yield Server((address.hostname or "", address.port or 0), credentials, process.pid), start
        finally:
            process.kill()


@contextmanager
def moto(workspaces: int) -> Generator[tuple[Server, Start]]:
    """moto's server, with a directory and WorkSpaces in it, which only its API can make."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    line = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    began = time.perf_counter()
    with subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment()
    ) as process:
        try:
            server = Server(("127.0.0.1", port), Credentials("AKIAIOSFODNN7EXAMPLE", "testing"), process.pid)
            wait_for(server)
            fill(server, workspaces)
            start = Start(time.perf_counter() - began, cpu_seconds(process.pid), peak_megabytes(process.pid))
            yield server, start
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


def fill(server: Server, workspaces: int) -> None:
    """Make a directory, and so many WorkSpaces in it."""
    import boto3.session

    session: Any = boto3.session.Session(
        aws_access_key_id=server.credentials.access_key,
        aws_secret_access_key=server.credentials.secret_key,
        region_name=REGION,
    )
    ec2, directories, desktops = (
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
    desktops.register_workspace_directory(DirectoryId=directory, SubnetIds=subnets)
    order = {"DirectoryId": directory, "BundleId": "wsb-gk1wpk43z"}
    for begin in range(0, workspaces, PAGE):
        numbers = range(begin, min(begin + PAGE, workspaces))
        desktops.create_workspaces(Workspaces=[{**order, "UserName": f"user.{one}"} for one in numbers])


Asked: TypeAlias = tuple[str, dict[str, object]]
"""An operation, and its members."""


def page_of(server: Server, caller: Caller) -> Asked:
    """The first page of WorkSpaces."""
    assert json.loads(caller.ask(server.request("DescribeWorkspaces")))["Workspaces"]
    return "DescribeWorkspaces", {}


def last_page_of(server: Server, caller: Caller) -> Asked:
    """The last page."""
    members: dict[str, object] = {}
    while True:
        token = json.loads(caller.ask(server.request("DescribeWorkspaces", **members))).get("NextToken")
        if token is None:
            return "DescribeWorkspaces", members
        members = {"NextToken": token}


def associations_of(server: Server, caller: Caller) -> Asked:
    """The applications of a WorkSpace in the first page."""
    first = json.loads(caller.ask(server.request("DescribeWorkspaces")))["Workspaces"][0]
    return "DescribeWorkspaceAssociations", {
        "WorkspaceId": first["WorkspaceId"],
        "AssociatedResourceTypes": ["APPLICATION"],
    }


REQUESTS: Final[dict[str, Callable[[Server, Caller], Asked]]] = {
    "DescribeWorkspaces, first page": page_of,
    "DescribeWorkspaces, last page": last_page_of,
    "DescribeWorkspaceAssociations": associations_of,
}


@dataclass(frozen=True, slots=True)
class Turn:
    """A request at a server, asked again and again.

    Attributes:
        server: Where.
        caller: The connection.
        asked: What is asked.
        found: Microseconds of processor time for each, by round.
    """

    server: Server
    caller: Caller
    asked: Asked
    found: list[float] = field(default_factory=list[float])

    def take(self, seconds: float) -> None:
        """Ask until the server has worked for some seconds."""
        operation, members = self.asked
        # Signed anew: a signature is good for five minutes.
        request = self.server.request(operation, **members)
        self.caller.ask(request)
        began, count, took = cpu_seconds(self.server.process), 0, 0.0
        while took < seconds:
            for _ in range(25):
                self.caller.ask(request)
            count += 25
            took = cpu_seconds(self.server.process) - began
        self.found.append(took / count * 1e6)

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.found)


def verdict(met: bool) -> str:
    """Tell if a bar is met."""
    return "met" if met else "**missed**"


def measure(rounds: int, seconds: float) -> tuple[list[str], bool]:
    """Start every server, ask each in turns, and return the section and whether all bars are met."""
    ours: dict[tuple[str, int], Turn] = {}
    theirs: dict[int, Turn] = {}
    starts: dict[str, Start] = {}
    with ExitStack() as stack:
        for size in SIZES:
            server, starts[f"ours, {size:,}"] = stack.enter_context(simulator(size))
            for name, make in REQUESTS.items():
                caller = Caller(server)
                ours[name, size] = Turn(server, caller, make(server, caller))
        for size in MOTO_SIZES:
            server, starts[f"moto, {size:,}"] = stack.enter_context(moto(size))
            caller = Caller(server)
            theirs[size] = Turn(server, caller, page_of(server, caller))
        turns = [*ours.values(), *theirs.values()]
        for _ in range(rounds):
            for turn in turns:
                turn.take(seconds)
        for turn in turns:
            turn.caller.close()
    more: list[Start] = []
    for _ in range(2):
        with simulator(SIZES[1]) as (_, start):
            more.append(start)
    large = [starts[f"ours, {SIZES[1]:,}"], *more]
    starts[f"ours, {SIZES[1]:,}"] = Start(
        statistics.median(one.seconds for one in large),
        statistics.median(one.cpu for one in large),
        max(one.megabytes for one in large),
    )
    return section(ours, theirs, starts)


def section(
    ours: Mapping[tuple[str, int], Turn], theirs: Mapping[int, Turn], starts: Mapping[str, Start]
) -> tuple[list[str], bool]:
    """Write the tables down, and say whether all bars are met."""
    large = starts[f"ours, {SIZES[1]:,}"]
    quick, small = large.cpu <= START_BAR, large.megabytes < MEGABYTES_BAR
    met = [quick, small]
    lines = [
        "Written by `python -m benchmarks.simulator`. Processor time is that of the server's process; a start waits for",
        "nothing, so on a machine that nobody else uses it takes as long, and the bar is held against it. moto's server has",
        "DescribeWorkspaces and none of the application operations; it checks no signatures, and its WorkSpaces are made",
        f"over its API, {PAGE} in a request.",
        "",
        "| from the command to a server that answers | seconds | of processor time | peak memory | bar |",
        "|---|---:|---:|---:|---|",
    ]
    for name, start in starts.items():
        who, _, size = name.partition(", ")
        bar = "–"
        if start is large:
            bar = f"< {START_BAR:g} s {verdict(quick)}; < {MEGABYTES_BAR:g} MB {verdict(small)}"
        server = "simulator" if who == "ours" else "moto's server"
        lines.append(
            f"| {server}, {size} WorkSpaces | {start.seconds:.1f} | {start.cpu:.1f} | {start.megabytes:.0f} MB | {bar} |"
        )
    lines += [
        "",
        "| processor time of a request | small fleet | large fleet | large ÷ small | bar |",
        "|---|---:|---:|---:|---|",
    ]
    for name in REQUESTS:
        pair = [ours[name, size] for size in SIZES]
        ratio = ratio_of(*pair)
        met.append(ratio <= SLOWER_BAR)
        lines.append(
            f"| {name}: simulator, {SIZES[0]:,} and {SIZES[1]:,} | {pair[0].median:.0f} µs | {pair[1].median:.0f} µs |"
            f" {ratio:.2f} | ≤ {SLOWER_BAR:g} {verdict(ratio <= SLOWER_BAR)} |"
        )
    pair = [theirs[size] for size in MOTO_SIZES]
    lines.append(
        f"| DescribeWorkspaces: moto's server, {MOTO_SIZES[0]:,} and {MOTO_SIZES[1]:,}, all in one answer |"
        f" {pair[0].median:.0f} µs | {pair[1].median:.0f} µs | {ratio_of(*pair):.2f} | – |"
    )
    faster = ratio_of(ours["DescribeWorkspaces, first page", SIZES[0]], pair[0])
    met.append(faster >= FASTER_BAR)
    comparison = (
        f"For a page of {PAGE} WorkSpaces moto's server takes {faster:.1f} × the simulator's processor time"
    )
    lines += ["", f"{comparison} (bar ≥ {FASTER_BAR:g}: {verdict(faster >= FASTER_BAR)})."]
    return lines, all(met)


def ratio_of(small: Turn, large: Turn) -> float:
    """The median of the rounds' own ratios."""
    return statistics.median(many / few for few, many in zip(small.found, large.found, strict=True))


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and fail if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulator", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each contender has its turn")
    parser.add_argument("--seconds", type=float, default=0.5, help="processor time of a turn")
    parser.add_argument("--output", type=Path, help=f"a page whose section {HEADING!r} is written anew")
    options = parser.parse_args(arguments)
    lines, met = measure(options.rounds, options.seconds)
    print("\n".join(lines))
    if options.output is not None:
        put_section(options.output, HEADING, lines)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
