"""A service that does not answer any more: the progress of an apply says for how long."""

from typing import Literal

import pytest

from tests.rollout.site import manifest, site
from workspaces_apps.rollout import Deployed, Progress
from workspaces_apps.rollout._journal.lines import from_line


@pytest.mark.parametrize("kind", ["reset_before", "unavailable_html"])
async def test_progress_says_for_how_long_nobody_answered(
    kind: Literal["reset_before", "unavailable_html"],
) -> None:
    """From the first attempt without an answer on, and no more once there is one."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest())
        silences: list[float] = []
        broken_at = 0.0
        async with here.rollout.apply(plan) as run:
            async for event in run:
                if isinstance(event, Deployed):
                    broken_at = here.clock.monotonic()
                    here.sim.faults.add(kind)
                elif isinstance(event, Progress):
                    silences.append(event.silent_seconds)
                    if here.clock.monotonic() - broken_at > 200:
                        here.sim.faults.clear()

        assert silences[0] > 0
        assert max(silences) > 100
        assert silences[-1] == 0


async def test_a_refusal_is_an_answer() -> None:
    """Throttled or told no, the client knows that the service is there."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest())
        here.sim.faults.add("error", operation="DescribeWorkspaceAssociations", code="Odd", times=5)
        _, events = await here.carry_out(plan)

        assert {event.silent_seconds for event in events if isinstance(event, Progress)} == {0}


def test_progress_that_an_earlier_release_wrote_is_read() -> None:
    """It did not tell."""
    line = (
        b'{"at":"2026-03-02T08:00:00Z","run":"r","kind":"progress","calls":1,"throttled":0,"in_flight":1,'
        b'"waiting":0,"succeeded":0,"failed":0,"skipped":0}'
    )
    event = from_line(line)

    assert isinstance(event, Progress)
    assert event.silent_seconds == 0
