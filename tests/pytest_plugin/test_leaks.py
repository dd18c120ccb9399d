"""A test that leaves something behind fails at its end, with a message that names it."""

import pytest

from tests.pytest_plugin.run import INI, plugin_arguments

pytest_plugins = ["pytester"]

LEAKS = """
    import asyncio
    import socket

    import pytest
    from workspaces_apps import WorkSpacesClient

    keep = []

    async def open_client():
        client = WorkSpacesClient()
        keep.append(client)
        await client.describe_workspaces()

    async def test_tidy(workspaces_simulator, workspaces_client):
        workspaces_simulator.faults.add("slow", times=1)
        call = asyncio.create_task(workspaces_client.describe_workspaces().first_page())
        await workspaces_client.describe_tags(resource_id=workspaces_simulator.fleet.workspace_ids[0])
        call.cancel()
        async with WorkSpacesClient() as another:
            await another.describe_workspaces()

    @pytest.mark.workspaces(clock="manual", faults=["slow"])
    async def test_call(workspaces_client, workspaces_clock):
        listing = workspaces_client.describe_workspaces()
        keep.append(asyncio.create_task(listing.first_page(), name="listing"))
        while not workspaces_clock.sleeping:
            await asyncio.sleep(0.001)

    async def test_client(workspaces_simulator):
        await open_client()

    @pytest.mark.workspaces(clock="manual")
    async def test_sleeper(workspaces_clock):
        keep.append(asyncio.create_task(workspaces_clock.sleep(60)))
        await asyncio.sleep(0)

    def open_request(workspaces_simulator, workspaces_clock):
        port = int(workspaces_simulator.url.rpartition(":")[2])
        keep.append(socket.create_connection(("127.0.0.1", port)))
        keep[-1].sendall(
            b"POST / HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 2\\r\\n"
            b"X-Amz-Target: WorkspacesService.DescribeTags\\r\\n\\r\\n{}"
        )
        while not workspaces_clock.sleeping:
            pass

    @pytest.mark.workspaces(clock="manual", faults=["slow"], verify_signatures=False)
    def test_request(workspaces_simulator, workspaces_clock):
        open_request(workspaces_simulator, workspaces_clock)

    @pytest.mark.workspaces(clock="manual", faults=["slow"], verify_signatures=False)
    def test_failing_too(workspaces_simulator, workspaces_clock):
        open_request(workspaces_simulator, workspaces_clock)
        raise RuntimeError("the reason")

    async def test_failing(workspaces_simulator):
        await open_client()
        raise RuntimeError("the reason")
"""
MESSAGES = {
    "test_call": "1 unfinished calls (await or cancel them): listing in Paginated.first_page",
    "test_client": "a client of workspaces_apps that was not closed: use `async with`",
    "test_sleeper": "1 × somebody who still waits for the simulator's clock",
    "test_request": "1 × DescribeTags that was not waited for",
}


def test_each_leak_is_an_error_at_the_end_of_its_test(pytester: pytest.Pytester) -> None:
    """The tests themselves pass, the tidy one wholly; and what failed shows its own reason only."""
    pytester.makeini(INI.replace("error", "default"))
    pytester.makepyfile(LEAKS)

    result = pytester.runpytest_subprocess(*plugin_arguments(), "--asyncio-mode=auto", "--tb=short")

    result.assert_outcomes(passed=5, errors=len(MESSAGES), failed=2)
    for test, message in MESSAGES.items():
        result.stdout.fnmatch_lines(
            [f"*ERROR at teardown of {test} *", f"left over at the end of the test: {message}"]
        )
