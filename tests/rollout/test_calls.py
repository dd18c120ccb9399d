"""Calls of a run, against the simulator's own record: its attempts, and the polls that it shares with others."""

import asyncio
from collections import Counter

from tests.rollout.site import OFFICE, manifest, site
from workspaces_apps import WorkSpacesClient
from workspaces_apps._telemetry.port import AttemptRecord, Hooks
from workspaces_apps.rollout import Rollout


async def test_a_run_alone_counts_every_request_and_shares_none() -> None:
    """As the service has recorded them; its hooks hear of each."""
    async with site() as here:
        here.sim.fleet.add_workspaces(30, operating_system="WINDOWS_11")
        heard: Counter[str] = Counter()
        hooks = Hooks(on_attempt=lambda record: heard.update([record.operation]))
        rollout = Rollout(here.client, clock=here.clock, hooks=hooks)
        plan = await rollout.plan(manifest())
        here.sim.requests.clear()
        heard.clear()
        async with rollout.apply(plan) as events:
            result = await events.finished()
        recorded = Counter(request.operation for request in here.sim.requests)

        assert (result.calls, result.shared_calls) == (recorded.total(), 0)
        assert heard == recorded


async def test_polls_that_others_share_count_in_each_and_are_told() -> None:
    """A run and a wait on one client: together they count more than was sent, by what they shared."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(4, operating_system="WINDOWS_11")
        office = here.sim.fleet.application(OFFICE)
        plan = await here.rollout.plan(manifest(select={"workspace_ids": ids[:2]}))
        own: list[AttemptRecord] = []
        view: WorkSpacesClient = here.client.with_options(hooks=Hooks(on_attempt=own.append))
        for one in ids[2:]:
            await here.client.associate_workspace_application(workspace_id=one, application_id=office)
            await here.client.deploy_workspace_applications(workspace_id=one)
        here.sim.requests.clear()
        waiting = asyncio.ensure_future(view.wait_until_all_deployed(ids[2:]))
        async with here.rollout.apply(plan) as events:
            result = await events.finished()
        during = len(here.sim.requests)
        await waiting

        assert 0 < result.shared_calls <= result.calls <= during
        assert result.calls + len(own) - result.shared_calls <= len(here.sim.requests) + result.shared_calls
