"""S3 that refuses, is slow, loses answers and lists in pages; a proxy before moto's server sees every request."""

import asyncio

import pytest
from aiohttp import web

from tests.distributed.places import Bucket
from tests.distributed.proxy import Forward, S3Proxy
from tests.distributed.test_lease import intent
from tests.distributed.test_outages import until
from tests.distributed.test_stores import started
from tests.rollout.site import Site, manifest, site
from workspaces_apps.rollout import Deployed, Intent, open_journal, read_events
from workspaces_apps.rollout._journal.lines import LineReader


def mark_requests(here: Site, proxy: S3Proxy) -> None:
    """Mark each segment with the number of the last request that the service had dealt with."""
    proxy.mark = lambda: len(here.sim.requests)


def check_on_record(here: Site, proxy: S3Proxy) -> None:
    """See that each write reached the service after S3 had stored its intent."""
    reader = LineReader("the segments")
    first: dict[tuple[str, str], int] = {}
    for stored in proxy.stored:
        if "/segments/" in stored.path:
            for event in reader.read(stored.body.partition(b"\n")[2]):
                if isinstance(event, Intent):
                    first.setdefault((event.operation, event.workspace_id), stored.mark)
    operations = {operation for operation, _ in first}
    writes = [request for request in here.sim.requests if request.operation in operations]
    assert operations == {"AssociateWorkspaceApplication", "DeployWorkspaceApplications"}
    for request in writes:
        workspace = str((request.parameters or {})["WorkspaceId"])
        assert first[str(request.operation), workspace] < request.number


def writes(here: Site) -> int:
    """Count the requests that change something."""
    return sum(
        request.operation in ("AssociateWorkspaceApplication", "DeployWorkspaceApplications")
        for request in here.sim.requests
    )


async def test_an_apply_goes_on_through_refusals_and_slowness_of_s3(
    s3_bucket: Bucket, proxy: S3Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing begins that S3 has not stored; display and log say what is waited for."""
    url = s3_bucket.url("outage", through=proxy.endpoint)
    async with site(6) as here:
        mark_requests(here, proxy)
        plan = await here.rollout.plan(manifest(max_in_flight=2))
        async with here.rollout.apply(plan, journal=url) as events:
            async for event in events:
                if isinstance(event, Deployed):
                    break
            proxy.interfere = proxy.refuse
            await until(lambda: "waiting for the journal s3://journals" in events.paused)
            assert events.paused.endswith("rollouts/outage: S3 answers SlowDown")
            begun, refused = writes(here), proxy.refused
            await until(lambda: proxy.refused > refused + 3)
            assert writes(here) == begun
            proxy.interfere = proxy.hold
            await until(lambda: proxy.held >= 10)
            proxy.interfere = None
            async for _ in events:
                pass
        assert events.result is not None
        assert (events.result.ending, events.paused) == ("complete", "")
        assert set(here.deployments().values()) == {1}
        check_on_record(here, proxy)
    assert "waiting for the journal s3://journals/rollouts/outage: S3 answers SlowDown" in caplog.text
    assert {one.workspace_id for one in await read_events(url) if isinstance(one, Deployed)} == set(
        here.deployments()
    )


async def test_s3_that_asks_to_slow_down_is_asked_again(s3_bucket: Bucket, proxy: S3Proxy) -> None:
    """A 503 says nothing about the outcome; the segment stands once."""
    url = s3_bucket.url("slow", through=proxy.endpoint)

    async def refuse_some(request: web.Request, forward: Forward) -> web.Response:
        refused = len(proxy.puts("")) in (3, 4)
        return await (proxy.refuse(request, forward) if refused else forward())

    proxy.interfere = refuse_some
    journal = await open_journal(url)
    await journal.append(started(), intent(1), durable=True)
    await journal.close()

    assert proxy.refused == 2
    assert list(await read_events(s3_bucket.url("slow"))) == [started(), intent(1)]


@pytest.mark.long
async def test_an_apply_says_that_s3_does_not_answer(s3_bucket: Bucket, proxy: S3Proxy) -> None:
    """Requests that S3 still holds when the client has given up may have their effect afterwards, and do no harm."""
    url = s3_bucket.url("silent", through=proxy.endpoint)
    open_again = asyncio.Event()

    async def hold(_request: web.Request, forward: Forward) -> web.Response:
        await open_again.wait()
        return await forward()

    async with site(6) as here:
        mark_requests(here, proxy)
        plan = await here.rollout.plan(manifest(max_in_flight=2))
        async with here.rollout.apply(plan, journal=url) as events:
            async for event in events:
                if isinstance(event, Deployed):
                    break
            proxy.interfere = hold
            try:
                # A write whose intent had been stored may leave yet; `check_on_record` judges it.
                await until(lambda: "S3 does not answer (ReadTimeoutError)" in events.paused)
                begun, asked = writes(here), len(proxy.requests)
                await until(lambda: len(proxy.requests) > asked)
                assert writes(here) == begun
            finally:
                proxy.interfere = None
                open_again.set()
            async for _ in events:
                pass
        assert events.result is not None
        assert events.result.ending == "complete"
        assert set(here.deployments().values()) == {1}
        check_on_record(here, proxy)
