"""Roll-outs over a service whose WorkSpace states are wrong: what they conclude costs nobody a second Deploy."""

from pathlib import Path

import pytest

from benchmarks.false_states import VARIANTS, FalseStates
from benchmarks.fleet import FIXED, applications_of, client_of, lasting, manifest, simulator_of
from workspaces_apps.rollout import Failed, Rollout, Skipped, Succeeded
from workspaces_apps.simulator import ManualClock, Throttle

WORKSPACES, IN_FLIGHT = 30, 12


@pytest.mark.checkout
@pytest.mark.parametrize("variant", VARIANTS)
async def test_each_workspace_is_deployed_exactly_once(variant: str, tmp_path: Path) -> None:
    """Whatever the states show, every WorkSpace gets one Deploy, and all that is let go of in time succeeds."""
    clock = ManualClock(autojump=True)
    sim = simulator_of(WORKSPACES, clock, settings=lasting(*FIXED), throttle=Throttle.at(2, 5))
    async with sim, FalseStates(sim, clock) as front:
        VARIANTS[variant].before(sim)
        async with client_of(sim, clock, url=front.url) as client:
            rollout = Rollout(client, clock=clock)
            plan = await rollout.plan(manifest(applications_of(sim, 1), IN_FLIGHT))
            front.falsify = VARIANTS[variant].falsify
            VARIANTS[variant].after(sim)
            succeeded: set[str] = set()
            given_up: dict[str, str] = {}
            async with rollout.apply(plan, journal=tmp_path / "journal") as run:
                async for event in run:
                    if isinstance(event, Succeeded):
                        succeeded.add(event.workspace_id)
                    elif isinstance(event, Failed | Skipped):
                        given_up[event.workspace_id] = event.reason
                await run.finished()

    ids = set(sim.fleet.workspace_ids)
    held = {one for one in ids if "held" in variant and sum(one.encode()) % 10 == 0}
    assert front.deploys == dict.fromkeys(ids, 1)
    # Half an hour after its deployment a WorkSpace that somebody else holds needs that somebody.
    assert given_up == dict.fromkeys(held, "workspace-state")
    assert succeeded == ids - held
