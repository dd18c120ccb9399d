"""Waits, jobs and listings as spans, and the polls that waits share."""

import asyncio
from datetime import timedelta

import pytest
from opentelemetry.trace import StatusCode

from tests.telemetry.recording import Recording, attributes_of, id_of
from tests.waiters.world import world
from workspaces_apps import Hooks, PollRecord, RefreshRecord, WaiterTimeoutError

WAIT = "workspaces_apps.wait_until_deployed"


async def test_shared_polls_link_to_the_waits_they_serve(record: Recording) -> None:
    """They are nobody's children; each wait is a span of its own, linked to by the polls that showed its end."""
    heard: list[PollRecord] = []
    async with world(3) as (here, ids):
        for one in ids:
            await here.ws.associate_workspace_application(workspace_id=one, application_id=here.application)
            await here.ws.deploy_workspace_applications(workspace_id=one)
        view = here.ws.with_options(hooks=Hooks(on_poll=heard.append))
        await asyncio.gather(*(view.wait_until_deployed(one) for one in ids))

    waits = record.named(WAIT)
    assert [attributes_of(one)["workspaces_apps.workspace_id"] for one in waits] == ids
    polls = [one for one in record.spans if one.links]
    assert all(one.parent is None and one.name.startswith("WorkSpaces/") for one in polls)
    assert {link.context.span_id for one in polls for link in one.links} == set(map(id_of, waits))
    assert max(len(one.links) for one in polls) == 3
    assert record.total("workspaces_apps.client.polls") == len(polls)
    assert [f"WorkSpaces/{one.operation}" for one in heard] == [one.name for one in polls]
    assert record.total("workspaces_apps.client.poll.resources.sum") == sum(one.resources for one in heard)


async def test_a_job_has_its_calls_below_it(record: Recording) -> None:
    """`install_applications` is one span, under the caller's, over what it read and wrote."""
    async with world() as (here, (one,)):
        await here.ws.install_applications(one, [here.application])

    (job,) = record.named("workspaces_apps.install_applications")
    names = [child.name for child in record.children(job)]
    assert "WorkSpaces/AssociateWorkspaceApplication" in names
    assert "WorkSpaces/DeployWorkspaceApplications" in names
    assert job.status.status_code is StatusCode.UNSET


async def test_a_wait_that_times_out_is_an_error(record: Recording) -> None:
    """Its span ends with it, and says so; so does that of a wait for a resource."""
    async with world() as (here, (one,)):
        with pytest.raises(WaiterTimeoutError):
            await here.ws.wait_until_stopped(one, timeout=timedelta(minutes=1))

    (wait,) = record.named("workspaces_apps.wait_until_stopped")
    assert wait.status.status_code is StatusCode.ERROR
    assert attributes_of(wait)["error.type"] == "WaiterTimeoutError"


async def test_a_listing_is_a_span_over_its_pages(record: Recording) -> None:
    """Also one that is left early; a single page that is awaited is only a call."""
    async with world(30) as (here, _):
        await here.ws.describe_workspaces().collect()
        async for _one in here.ws.describe_workspaces():
            break
        await here.ws.describe_workspaces()

    whole, broken = record.named("list WorkSpaces/DescribeWorkspaces")
    assert [len(record.children(one)) for one in (whole, broken)] == [2, 1]
    assert len([one for one in record.spans if one.parent is None]) == 3


async def test_hooks_hear_of_refreshed_credentials(record: Recording) -> None:
    """Once for each time that credentials were loaded; a metric counts the same."""
    heard: list[RefreshRecord] = []
    async with world(hooks=Hooks(on_refresh=heard.append)) as (here, _):
        await here.ws.describe_account()

    assert [one.error for one in heard] == [None]
    assert record.total("workspaces_apps.client.credentials.refreshes") == 1
