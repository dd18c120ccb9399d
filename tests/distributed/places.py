"""Real stores for tests: a PostgreSQL of their own, and S3 from moto's server."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import pytest


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _program(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs; Debian keeps them out of the PATH."""
    found = [shutil.which(name), *map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))]
    return next((one for one in found if one is not None), None)


def _as_server() -> dict[str, object]:
    """Return how to start a program that refuses to be run as root."""
    if os.geteuid() != 0:
        return {}
    for user in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            pwd.getpwnam(user)
            return {"user": user}
    return {}


@dataclass(slots=True)
class Postgresql:
    """A PostgreSQL server of a test's own.

    Attributes:
        folder: Its data, and its Unix socket.
        port: Its port.
    """

    folder: Path
    port: int
    _process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        server = _program("postgres")
        assert server is not None
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "max_connections": 60,
            "shared_buffers": "16MB",
        }
        settings = [f"--{key}={value}" for key, value in options.items()]
        self._process = subprocess.Popen(
            [server, "-D", str(self.folder), *settings],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **_as_server(),  # type: ignore[call-overload]  # the keywords differ by user
        )
        ready = _program("pg_isready") or "pg_isready"
        for _ in range(600):
            probe = subprocess.run(
                [ready, "-q", "-h", "127.0.0.1", "-p", str(self.port)], capture_output=True, check=False
            )
            if probe.returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError("PostgreSQL does not start")

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(60)
            self._process = None

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://tester:hunter2@127.0.0.1:{self.port}/{database}"

    def give(self, folder: Path) -> None:
        """Let the server own a folder."""
        user = _as_server()
        if user:
            shutil.chown(folder, str(user["user"]))

    def make(self, database: str) -> str:
        """Make a database, and return its URL."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
        return self.url(database)


@contextlib.contextmanager
def postgresql() -> Generator[Postgresql]:
    """Start a PostgreSQL, or skip the test with the reason."""
    pytest.importorskip("psycopg_pool", reason="the extra distributed is not installed")
    initdb = _program("initdb")
    if initdb is None or _program("postgres") is None:
        pytest.skip("there is no PostgreSQL on this machine")
    # Not in pytest's folder, which nobody else may enter: the server may have to be another user.
    with tempfile.TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as folder:
        data = Path(folder)
        user = _as_server()
        server = Postgresql(data, free_port())
        server.give(data)
        subprocess.run(
            [initdb, "-D", folder, "-U", "tester", "--auth=trust", "-N", "-E", "UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            cwd="/",
            **user,  # type: ignore[call-overload]  # the keywords differ by user
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of moto's server.

    Attributes:
        endpoint: The server.
        name: The bucket.
    """

    endpoint: str
    name: str

    def url(self, journal: str, *, through: str | None = None, **options: str) -> str:
        """Return the URL of a journal, through a proxy where its endpoint is given."""
        more = "".join(f"&{name}={value}" for name, value in options.items())
        endpoint = through or self.endpoint
        return f"s3://{self.name}/rollouts/{journal}?endpoint_url={endpoint}&region=us-east-1{more}"


@contextlib.contextmanager
def bucket() -> Generator[Bucket]:
    """Start moto's server, and make a bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        making = urllib.request.Request(f"{endpoint}/journals", method="PUT")
        urllib.request.urlopen(making).close()
        yield Bucket(endpoint, "journals")
    finally:
        server.stop()
