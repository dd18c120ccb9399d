"""Stores that do not answer: nothing begins that is not on record, the display says what is waited for, and it goes on."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from tests.distributed.memory import Content, MemoryStorage
from tests.distributed.places import Bucket
from tests.distributed.test_lease import intent
from tests.distributed.test_stores import started
from tests.rollout.site import manifest, site
from workspaces_apps.rollout import Deployed, JournalError, open_journal, read_events
from workspaces_apps.rollout._journal.lease import RealTime, StoreUnavailableError
from workspaces_apps.rollout._journal.segments import SegmentedStore, SegmentStorage


class Failing(MemoryStorage):
    """A store that answers, or does not, as the test says."""

    away = False

    async def put(self, number: int, body: bytes, *, epoch: int) -> bool:
        """Write a segment, unless the store is away."""
        if self.away:
            raise StoreUnavailableError("S3 answers SlowDown")
        return await super().put(number, body, epoch=epoch)


def store_of(storage: MemoryStorage, lease: float = 15.0, real_time: RealTime = RealTime()) -> SegmentedStore:  # noqa: B008 - frozen
    """A store with one connection."""

    @asynccontextmanager
    async def connect(_name: str) -> AsyncGenerator[SegmentStorage, None]:
        yield storage

    return SegmentedStore(connect, where="memory://", lease=lease, real_time=real_time)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never is")


async def test_an_apply_waits_for_its_store_and_goes_on() -> None:
    """No Deploy leaves meanwhile; `paused` says what is waited for."""
    storage = Failing(Content())
    async with site(6) as here:
        plan = await here.rollout.plan(manifest())
        async with here.rollout.apply(plan, journal=store_of(storage)) as events:
            storage.away = True
            await until(lambda: "waiting for the journal memory:/test: S3 answers SlowDown" in events.paused)
            await asyncio.sleep(0.2)
            assert not here.deployments()
            storage.away = False
            told = [event async for event in events]
        assert events.result is not None
        assert events.result.ending == "complete"
        assert events.paused == ""
        assert any(isinstance(event, Deployed) for event in told)
        assert set(here.deployments().values()) == {1}


async def test_an_apply_whose_journal_is_taken_over_begins_nothing_more() -> None:
    """It ends with the reason, at once, although it has nothing to write just then."""
    content, hours = Content(), 3600.0
    passed = 0.0

    async def never(_seconds: float) -> None:
        await asyncio.sleep(hours)

    first = store_of(MemoryStorage(content), real_time=RealTime(steady=lambda: passed, sleep=never))
    async with site(4) as here:
        plan = await here.rollout.plan(manifest())

        async def carry_out() -> None:
            nonlocal passed
            async with here.rollout.apply(plan, journal=first) as events:
                passed = 14.0
                assert content.lease is not None
                # As another would, once this one has not renewed it for its length.
                content.lease = content.lease[0].model_copy(update={"epoch": 9, "owner": "x"}), 99
                content.segments[max(content.segments) + 1] = b"taken"
                async for _ in events:
                    pass

        with pytest.raises(JournalError, match="taken over by another apply"):
            await carry_out()
        assert not here.deployments()


@asynccontextmanager
async def trouble(
    bucket: Bucket, answer: Callable[[int], Awaitable[web.Response | None]]
) -> AsyncGenerator[str, None]:
    """Put something between client and S3 that answers writes in its place, by their number, or lets them through."""
    writes = 0
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def pass_on(request: web.Request) -> web.Response:
            nonlocal writes
            if request.method == "PUT":
                writes += 1
                own = await answer(writes)
                if own is not None:
                    return own
            body = await request.read()
            headers = {name: value for name, value in request.headers.items() if name != "Host"}
            url = f"{bucket.endpoint}{request.path_qs}"
            async with session.request(request.method, url, data=body, headers=headers) as got:
                kept = {
                    name: value
                    for name, value in got.headers.items()
                    if name.lower() in ("etag", "content-type")
                }
                return web.Response(status=got.status, body=await got.read(), headers=kept)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", pass_on)
        runner = web.AppRunner(app)
        await runner.setup()
        listening = web.TCPSite(runner, "127.0.0.1", 0)
        await listening.start()
        try:
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()


async def test_s3_that_asks_to_slow_down_is_asked_again(
    s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 503 says nothing about the outcome; the segment stands once."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")

    async def answer(number: int) -> web.Response | None:
        if number in (3, 4):
            return web.Response(
                status=503, body=b"<Error><Code>SlowDown</Code></Error>", content_type="application/xml"
            )
        return None

    async with trouble(s3_bucket, answer) as endpoint:
        url = s3_bucket.url("slow").replace(s3_bucket.endpoint, endpoint)
        journal = await open_journal(url)
        await journal.append(started(), intent(1), durable=True)
        await journal.close()

    assert list(await read_events(s3_bucket.url("slow"))) == [started(), intent(1)]
