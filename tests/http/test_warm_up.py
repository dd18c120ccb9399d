"""The work of `warm_up`, its place, and the parts that clients share."""

import subprocess
import sys
import threading
from typing import Any

import pytest

from tests.http.conftest import CREDENTIALS, Connect
from tests.http.server import ScriptedServer, ok
from workspaces_apps import WorkSpacesClient
from workspaces_apps._http import session
from workspaces_apps._http.session import DirectSession


async def test_what_blocks_is_done_in_a_thread(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on the event loop's thread; and the client is open when it returns, with nothing sent."""
    threads: list[int] = []
    preload = session.preload

    def watch(profile: str | None, *, telemetry: bool) -> None:
        threads.append(threading.get_ident())
        preload(profile, telemetry=telemetry)

    monkeypatch.setattr(session, "preload", watch)
    ws = connect()

    await ws.warm_up()

    assert (len(threads), threading.get_ident() in threads, server.requests) == (1, False, [])
    server.script(ok())
    await ws.describe_account()


def test_everything_slow_is_loaded_beforehand() -> None:
    """In a fresh process: every model is built, and what a first failure needs is imported."""
    script = """
import sys
from workspaces_apps import api
from workspaces_apps._http import session
from workspaces_apps._model.models import Model
session.preload(None)
shapes = [getattr(api, name) for name in api.__all__]
models = [shape for shape in shapes if isinstance(shape, type) and issubclass(shape, Model)]
assert len(models) > 250, len(models)
assert all(model.__pydantic_complete__ for model in models)
assert {"tenacity", "workspaces_apps._http.transport", "workspaces_apps._http.recovery"} <= sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True)


async def test_clients_share_data_and_trust() -> None:
    """Two clients have one loader and one trust store between them; a third with another file has its own."""
    clients = [
        WorkSpacesClient(region="eu-west-1", credentials=CREDENTIALS),
        WorkSpacesClient(region="us-east-1", credentials=CREDENTIALS),
    ]
    sessions: list[Any] = [
        DirectSession(verify=True),
        DirectSession(verify=True),
        DirectSession(verify=False),
    ]

    loaders: set[int] = set()
    for client in clients:
        async with client:
            transport: Any = getattr(client, "_shared").transport()  # noqa: B009 - nothing public tells
            opened, _ = await transport.connection()
            loaders.add(id(opened._client._loader))
    first, second, other = [session._build_ssl_contexts(None)[0] for session in sessions]

    assert len(loaders) == 1
    assert first is second
    assert other is not first
