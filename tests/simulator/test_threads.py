"""A simulator in a thread of its own, and a test in another that looks and changes meanwhile."""

import http.client
import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from workspaces_apps.simulator import ManualClock, Simulator


@pytest.fixture(autouse=True)
def eager_switching() -> Iterator[None]:
    """Threads that take turns after every few steps, so that what can happen in between does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A simulator that lets everybody in."""
    with Simulator.in_thread(
        clock=ManualClock(), throttle=None, verify_signatures=False, workspaces=40
    ) as running:
        yield running


def ask(connection: http.client.HTTPConnection, operation: str, **members: object) -> Any:
    """One request, and its answer whatever it is."""
    headers = {"X-Amz-Target": f"WorkspacesService.{operation}"}
    connection.request("POST", "/", json.dumps(members), headers)
    return json.loads(connection.getresponse().read())


def busy(
    sim: Simulator, request: Callable[[http.client.HTTPConnection], object], look: Callable[[], object]
) -> None:
    """Ask in one thread for as long as this one looks.

    Raises:
        BaseException: Whatever failed in either.
    """
    stop = threading.Event()
    failed: list[BaseException] = []

    def main() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", int(sim.url.rsplit(":", 1)[1]), timeout=60)
        try:
            while not stop.is_set():
                request(connection)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that looks
            failed.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=main)
    thread.start()
    try:
        look()
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


def test_workspaces_can_be_added_while_others_are_made(sim: Simulator) -> None:
    """From both sides at once: each has its own id, and each listing has them in their order."""
    bundle, directory = sim.fleet.bundle_ids[0], sim.fleet.directory_ids[0]
    made: list[str] = []

    def request(connection: http.client.HTTPConnection) -> None:
        order = {"DirectoryId": directory, "BundleId": bundle, "UserName": f"user.{len(made)}"}
        answer = ask(connection, "CreateWorkspaces", Workspaces=[order])
        made.append(answer["PendingRequests"][0]["WorkspaceId"])

    added: list[str] = []

    def look() -> None:
        for _ in range(400):
            added.extend(sim.fleet.add_workspaces(2))
            assert set(added) <= set(sim.fleet.workspace_ids)

    busy(sim, request, look)

    store = sim.fleet.store
    everything = [one.sequence for one in store.all_workspaces]
    assert everything == sorted(set(everything))
    assert len(everything) == len(store.workspaces) == 40 + len(added) + len(set(made))


def test_the_record_can_be_cleared_while_requests_come(sim: Simulator) -> None:
    """Counts, records and their numbers agree however often somebody forgets them."""

    def request(connection: http.client.HTTPConnection) -> None:
        ask(connection, "DescribeTags", ResourceId="none")

    def look() -> None:
        for _ in range(4000):
            sim.requests.clear()
            records = list(sim.requests)
            assert [one.number for one in records] == list(range(1, len(records) + 1))

    busy(sim, request, look)

    assert len(sim.requests) == sim.requests.count("DescribeTags") == len(list(sim.requests))
