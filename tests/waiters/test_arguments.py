"""Options of waits and jobs that are of the wrong kind: checkers find them, and at run time they are refused in words."""

from typing import Any, Final

import pytest

from tests.waiters.world import world
from workspaces_apps import ConfigurationError, RequestValidationError, WorkspaceProperties
from workspaces_apps.api import RunningMode

_OPTIONS: Final = {
    "wait_until_deployed": ("poll", "on_change"),
    "wait_until_all_deployed": ("poll", "on_change", "fail_fast"),
    "watch_deployment": ("poll",),
    "install_applications": ("poll", "on_change", "include_staged", "retry_failed"),
    "uninstall_applications": ("poll", "on_change", "include_staged", "retry_failed"),
    "wait_until_available": ("poll",),
    "wait_until_modified": ("poll",),
    "wait_until_directory_registered": ("poll",),
    "wait_until_image_available": ("poll",),
}
_AT_ONCE: Final = ("wait_until_all_deployed", "watch_deployment")


@pytest.mark.parametrize(
    "method, option", [(method, option) for method, options in _OPTIONS.items() for option in options]
)
@pytest.mark.parametrize("value", [5, "x", {}])
async def test_an_option_of_the_wrong_kind_is_refused(method: str, option: str, value: object) -> None:
    """The error names it, before anything is sent, and where nothing need be awaited, from the call itself."""
    async with world() as (here, [workspace_id]):
        first: object = {
            "wait_until_all_deployed": [workspace_id],
            "wait_until_directory_registered": here.sim.fleet.directory_ids[0],
            "wait_until_image_available": here.sim.fleet.image_ids[0],
        }.get(method, workspace_id)
        more = [[here.application]] if method.endswith("install_applications") else []
        call: Any = getattr(here.ws, method)

        async def use() -> None:
            made = call(first, *more, **{option: value})
            if method not in _AT_ONCE:
                await made

        with pytest.raises(ConfigurationError, match=f"{option} must be .*, not {type(value).__name__}"):
            await use()

        assert list(here.sim.requests) == []


@pytest.mark.parametrize("properties", [{"running_mode": "ALWAYS_ON"}, 5])
async def test_properties_of_the_wrong_kind_are_refused(properties: Any) -> None:
    """They are no WorkspaceProperties, which the error says before anything is sent."""
    async with world() as (here, [workspace_id]):
        with pytest.raises(RequestValidationError, match="properties: must be a WorkspaceProperties"):
            await here.ws.wait_until_modified(workspace_id, properties=properties)

        assert list(here.sim.requests) == []


@pytest.mark.parametrize("properties", [None, WorkspaceProperties()])
async def test_no_properties_are_not_read_back_at_once(properties: WorkspaceProperties | None) -> None:
    """A WorkspaceProperties without any tells as little as None: an entry may take the grace to show."""
    async with world() as (here, [workspace_id]):
        await here.ws.wait_until_modified(workspace_id, properties=properties, start_grace=45)

        assert 45 <= here.sim.clock.monotonic() <= 75


async def test_properties_that_are_there_are_read_back_at_once() -> None:
    """No grace is needed for what shows."""
    async with world() as (here, [workspace_id]):
        wanted = WorkspaceProperties(
            running_mode=RunningMode(here.sim.fleet.workspace(workspace_id).running_mode)
        )

        await here.ws.wait_until_modified(workspace_id, properties=wanted)

        assert here.sim.clock.monotonic() == 0
