"""`workspaces-apps` as a process, for what only one has (signals, pipes, exit codes), and a web server that it may post to."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMAND = (sys.executable, "-m", "workspaces_apps")
PYTHON_WITHIN_LIMITS = (sys.executable, "-B")
"""For processes whose files may not grow: bytecode that Python writes in one would be cut short, and every later one reads it."""

FULL = Path("/dev/full")
"""A device that takes nothing, where the system has it."""

PATIENCE = 240.0
"""Real seconds after which a process is taken for hung; nothing waits that long when it works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The address that `simulate` prints once it listens."""

    url: str
    access_key_id: str
    secret_access_key: str
    region: str
    control_url: str
    control_token: str

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class Simulation:
    """A running `simulate`."""

    process: "subprocess.Popen[str]"
    endpoint: Endpoint


def child_environment(given: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, with more in it, and UTF-8 at the ends of pipes."""
    return {**os.environ, "PYTHONIOENCODING": "utf-8", **given}


def run_command(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `workspaces-apps` to its end, without a terminal."""
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
        env=child_environment(environment),
    )


@contextlib.contextmanager
def simulating(*options: str) -> Generator[Simulation]:
    """`workspaces-apps simulate` with these options, listening; killed at the end if it still runs."""
    # Buffered as for everybody, so that a line which is not flushed is missed here too.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    process = subprocess.Popen(
        [*COMMAND, "simulate", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    # Reading a line knows no timeout; killed, the process ends it.
    watchdog = threading.Timer(PATIENCE, process.kill)
    with process:
        try:
            assert process.stdout is not None
            watchdog.start()
            line = process.stdout.readline()
            watchdog.cancel()
            assert line, f"simulate ended with {process.wait(PATIENCE)} before it listened"
            described = json.loads(line)
            names = [field.name for field in dataclasses.fields(Endpoint)]
            yield Simulation(process, Endpoint(**{name: described[name] for name in names}))
        finally:
            watchdog.cancel()
            if process.poll() is None:
                process.kill()


@contextlib.contextmanager
def receiving(status: int = 200) -> Generator[tuple[str, list[bytes]]]:
    """A web server that takes whatever is posted to it and answers so: its URL, and the bodies."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Keep a body."""
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", bodies
        server.shutdown()
        thread.join()
