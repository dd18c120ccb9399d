"""The fixtures of the plugin, in coroutine tests and in ordinary ones."""

import pytest

from tests.pytest_plugin.run import INI, is_installed, plugin_arguments

pytest_plugins = ["pytester"]

COROUTINES = """
    import pytest

    @pytest.mark.asyncio
    async def test_both(workspaces_simulator, workspaces_client, workspaces_clock):
        sim, ws = workspaces_simulator, workspaces_client
        office = sim.fleet.application("office 2021 professional")
        (desktop,) = sim.fleet.compatible(office)
        await ws.associate_workspace_application(workspace_id=desktop, application_id=office)
        await ws.deploy_workspace_applications(workspace_id=desktop)
        await workspaces_clock.advance(hours=1)
        assert sim.fleet.associations(desktop) == {office: "COMPLETED"}
        assert sim.requests.count() == 2

    @pytest.mark.asyncio(loop_scope="module")
    async def test_on_a_wider_loop(workspaces_client):
        assert (await workspaces_client.describe_workspaces()).workspaces

    @pytest.fixture
    def desktops(workspaces_simulator):
        return workspaces_simulator.fleet.workspace_ids

    @pytest.mark.asyncio
    async def test_through_a_fixture(desktops, workspaces_client):
        found = [one.workspace_id async for one in workspaces_client.describe_workspaces()]
        assert sorted(found) == sorted(desktops)
"""
BLOCKING = """
    import asyncio, os
    import boto3
    import pytest

    boto3.setup_default_session(aws_access_key_id="mine", aws_secret_access_key="mine", region_name="eu-west-3")
    mine = boto3.DEFAULT_SESSION

    def test_boto3_finds_the_simulator_by_itself(workspaces_simulator):
        found = boto3.client("workspaces").describe_workspaces()["Workspaces"]
        assert [one["WorkspaceId"] for one in found] == workspaces_simulator.fleet.workspace_ids

    @pytest.mark.workspaces(seed=7, workspaces=3)
    def test_another_seed_means_other_credentials(workspaces_simulator):
        # The default session would remember those of the test before.
        assert len(boto3.client("workspaces").describe_workspaces()["Workspaces"]) == 3

    @pytest.mark.asyncio
    @pytest.mark.workspaces(thread=True)
    async def test_a_blocking_call_does_not_block_the_simulator(workspaces_simulator):
        assert boto3.client("workspaces").describe_workspaces()["Workspaces"]

    def test_afterwards_all_is_as_before():
        assert boto3.DEFAULT_SESSION is mine
        assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
        assert "AWS_ENDPOINT_URL_WORKSPACES" not in os.environ
"""
ISOLATED = """
    import os
    import botocore.session

    def test_the_machine_is_hidden(workspaces_simulator):
        session = botocore.session.Session()
        assert session.available_profiles == []
        assert session.get_credentials().access_key == workspaces_simulator.credentials.access_key_id
        assert session.get_config_variable("region") == workspaces_simulator.region
        assert os.environ["AWS_EC2_METADATA_DISABLED"] == "true"
        assert "AWS_PROFILE" not in os.environ
"""
PACING = """
    import pytest

    seen = []

    @pytest.mark.parametrize("number", [1, 2])
    async def test_one_registry_each(number, workspaces_client):
        from workspaces_apps._pacing import DEFAULT_REGISTRY
        await workspaces_client.describe_workspaces()
        seen.append(workspaces_client)
        assert len(DEFAULT_REGISTRY) == 0
"""
MARKED_AS_A_WHOLE = """
    import unittest

    import boto3
    import pytest
    from botocore.config import Config

    pytestmark = pytest.mark.asyncio(loop_scope="module")

    def listed():
        patience = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 1})
        return boto3.client("workspaces", config=patience).describe_workspaces()["Workspaces"]

    @pytest.mark.filterwarnings("ignore:The test .* is marked with:pytest.PytestWarning")
    def test_that_blocks(workspaces_simulator):
        assert len(listed()) == 25

    class Blocking(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def simulator(self, workspaces_simulator):
            self.fleet = workspaces_simulator.fleet

        def test_method(self):
            assert len(listed()) == len(self.fleet)

    async def test_coroutine(workspaces_simulator, workspaces_client):
        found = await workspaces_client.describe_workspaces().collect()
        assert len(found) == len(workspaces_simulator.fleet)
"""
ANYIO = """
    import asyncio

    import pytest
    from workspaces_apps import WorkSpacesClient

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    async def test_simulator(workspaces_simulator):
        async with WorkSpacesClient() as ws:
            assert len(await ws.describe_workspaces().collect()) == 25

    class TestClient:
        async def test_wait(self, workspaces_simulator, workspaces_client):
            fleet = workspaces_simulator.fleet
            office = fleet.application("office 2021 professional")
            (desktop,) = fleet.compatible(office)
            await workspaces_client.install_applications(desktop, [office])
            assert fleet.associations(desktop) == {office: "COMPLETED"}
"""


@pytest.fixture(autouse=True)
def ini(pytester: pytest.Pytester) -> None:
    """Warnings are errors."""
    pytester.makeini(INI)


def test_coroutine_tests_get_simulator_and_client(pytester: pytest.Pytester) -> None:
    """On every loop a test may run on, where coroutine tests must be marked."""
    pytester.makepyfile(COROUTINES)

    result = pytester.runpytest_subprocess(*plugin_arguments(), "--asyncio-mode=strict")

    result.assert_outcomes(passed=3)


def test_they_get_them_where_pytest_asyncio_takes_every_coroutine(pytester: pytest.Pytester) -> None:
    """And a rate learned in one test reaches neither another test nor the registry of the process."""
    pytester.makepyfile(test_coroutines=COROUTINES, test_pacing=PACING)

    result = pytester.runpytest_subprocess(*plugin_arguments(), "--asyncio-mode=auto")

    result.assert_outcomes(passed=5)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_an_ordinary_test_may_stand_in_a_marked_module(pytester: pytest.Pytester, mode: str) -> None:
    """The simulator is in a thread unless pytest-asyncio runs the test, whatever the marks are."""
    pytester.makepyfile(MARKED_AS_A_WHOLE)

    result = pytester.runpytest_subprocess(*plugin_arguments(), f"--asyncio-mode={mode}")

    result.assert_outcomes(passed=3)


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_they_get_them_beside_anyio(pytester: pytest.Pytester, mode: str) -> None:
    """In auto mode anyio runs the asynchronous fixtures and pytest-asyncio the tests, on two loops."""
    pytest.importorskip("anyio")
    pytester.makepyfile(ANYIO)

    result = pytester.runpytest_subprocess(*plugin_arguments(), f"--asyncio-mode={mode}", timeout=60)

    result.assert_outcomes(passed=2)


def test_boto3_users_need_nothing_but_the_simulator(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blocking client finds endpoint, credentials and Region in the environment, for that test only.

    Neither the environment's nor the configuration files' settings reach a test.
    """
    config = pytester.makefile(".ini", aws="[profile mine]\nregion = ap-south-1\n")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    pytester.makepyfile(test_blocking=BLOCKING, test_isolated=ISOLATED)

    # boto3 leaves its connections to the garbage collector.
    result = pytester.runpytest_subprocess(*plugin_arguments(), "-W", "ignore::ResourceWarning")

    result.assert_outcomes(passed=5)


def test_without_pytest_asyncio_only_the_client_is_missing(pytester: pytest.Pytester) -> None:
    """The simulator works; who asks for the client is told what to install."""
    pytester.makepyfile(
        """
        def test_simulator(workspaces_simulator):
            assert len(workspaces_simulator.fleet) == 25

        def test_client(workspaces_client):
            pass
        """
    )

    pytester.makeini("[pytest]\nfilterwarnings = error")

    result = pytester.runpytest_subprocess(*plugin_arguments(), "-p", "no:asyncio")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*workspaces_client needs the plugin pytest-asyncio 1.0 or newer*"])


def test_an_old_pytest_asyncio_is_as_good_as_none(pytester: pytest.Pytester) -> None:
    """A version that cannot choose a fixture's loop breaks nothing for who does not ask for the client."""
    pytester.makeconftest("import pytest_asyncio\n\npytest_asyncio.__version__ = '0.21.2'")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.asyncio
        async def test_simulator(workspaces_simulator):
            assert len(workspaces_simulator.fleet) == 25

        @pytest.mark.asyncio
        async def test_client(workspaces_client):
            pass
        """
    )

    result = pytester.runpytest_subprocess(*plugin_arguments())

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*workspaces_client needs the plugin pytest-asyncio 1.0 or newer*"])


def test_a_test_that_asks_for_nothing_pays_nothing(pytester: pytest.Pytester) -> None:
    """With the plugin active, no HTTP stack, botocore or pydantic is imported."""
    pytester.makepyfile(
        """
        import sys

        def test_nothing(request):
            assert "workspaces_apps.pytest_plugin" in sys.modules
            heavy = {"aiobotocore", "aiohttp", "botocore", "pydantic", "tenacity"}
            assert heavy & set(sys.modules) == set()
            assert "workspaces_apps.simulator" not in sys.modules
        """
    )

    result = pytester.runpytest_subprocess(*plugin_arguments())

    result.assert_outcomes(passed=1)


@pytest.mark.skipif(not is_installed(), reason="the package is not installed, only importable")
def test_pytest_finds_the_plugin_by_its_entry_point(pytester: pytest.Pytester) -> None:
    """Installing the package is all it takes."""
    result = pytester.runpytest_subprocess("--fixtures", "--strict-markers")

    result.stdout.fnmatch_lines_random(["workspaces_simulator -- *", "workspaces_client -- *"])
