"""S3 that refuses, is slow, loses answers and lists in pages; a proxy before moto's server sees every request."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from tests.distributed.places import Bucket
from tests.distributed.proxy import Forward, S3Proxy, lose_answer
from tests.distributed.test_lease import intent
from tests.distributed.test_outages import until
from tests.distributed.test_stores import started
from tests.rollout.site import Site, manifest, site
from workspaces_apps.rollout import (
    Deployed,
    Event,
    Intent,
    JournalError,
    open_journal,
    read_events,
    write_control,
)
from workspaces_apps.rollout._journal.lines import LineReader
from workspaces_apps.rollout._journal.s3 import s3_store
from workspaces_apps.rollout._journal.segments import (
    Lease,
    RealTime,
    SegmentedStore,
    SegmentJournal,
    steady_seconds,
)
from workspaces_apps.rollout._journal.stores import parse_url


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


KEY = "arn:aws:kms:us-east-1:123456789012:key/k"


@pytest.mark.parametrize(
    "options,sse,key",
    [
        ({}, None, None),
        ({"sse": "AES256"}, "AES256", None),
        ({"sse": "aws:kms"}, "aws:kms", None),
        ({"kms_key_id": KEY}, "aws:kms", KEY),
        ({"sse": "aws:kms:dsse", "kms_key_id": KEY}, "aws:kms:dsse", KEY),
    ],
)
async def test_every_object_is_encrypted_as_the_url_says(
    s3_bucket: Bucket, proxy: S3Proxy, options: dict[str, str], sse: str | None, key: str | None
) -> None:
    """Lease, segments and control record; a request that reads asks for nothing."""
    url = s3_bucket.url(f"encrypted-{sse}-{key is not None}", through=proxy.endpoint, **options)
    journal = await open_journal(url)
    await journal.append(started(), durable=True)
    await journal.close()
    await write_control(url, "pause")
    await read_events(url)

    header = "x-amz-server-side-encryption"
    asked = {(one.headers.get(header), one.headers.get(f"{header}-aws-kms-key-id")) for one in proxy.puts("")}
    assert {one.path.rpartition("/")[2] for one in proxy.puts("")} == {
        "lease",
        "control",
        "000000000001",
        "000000000002",
    }
    assert asked == {(sse, key)}
    assert not any(header in one.headers for one in proxy.requests if one.method == "GET")


PAGE = 3
AHEAD = 8


def store_of(url: str, real_time: RealTime = RealTime()) -> SegmentedStore:  # noqa: B008 - frozen
    """The store of a URL, with listings in small pages."""
    parsed = parse_url(url)
    assert parsed is not None
    return s3_store(parsed, real_time=real_time, page=PAGE)


async def write_segments(url: str, count: int) -> list[Event]:
    """Write a journal of so many segments, and return its events."""
    journal = await open_journal(url)
    events = [started(), *(intent(number) for number in range(1, count - 1))]
    for event in events:
        await journal.append(event, durable=True)
    await journal.close()
    return events


@pytest.mark.parametrize("count,listings", [(2, 1), (3, 1), (4, 9), (26, 9), (27, 9), (40, 17)])
async def test_a_long_journal_is_listed_several_pages_at_a_time(
    s3_bucket: Bucket, proxy: S3Proxy, count: int, listings: int
) -> None:
    """The first page alone, and then eight at a time, each from where its numbers begin."""
    url = s3_bucket.url(f"pages{count}", through=proxy.endpoint)
    events = await write_segments(url, count)
    before = len(proxy.listings())
    arrived = asyncio.Condition()

    async def wait_for_others(request: web.Request, forward: Forward) -> web.Response:
        """Let no page of a batch be answered before all of the batch were asked for."""
        if "list-type" in request.query:
            number = len(proxy.listings()) - before
            batch = 1 if number == 1 else 1 + AHEAD * -(-(number - 1) // AHEAD)
            async with arrived, asyncio.timeout(20):
                arrived.notify_all()
                await arrived.wait_for(lambda: len(proxy.listings()) - before >= batch)
        return await forward()

    proxy.interfere = wait_for_others
    found = await store_of(url).read(f"pages{count}")

    assert found == events
    asked = proxy.listings()[before:]
    starts = sorted(int(one.query["start-after"].rpartition("/")[2]) for one in asked)
    assert starts == [number * PAGE for number in range(listings)]
    assert {one.query["max-keys"] for one in asked} == {str(PAGE)}


@pytest.mark.parametrize("most", [0, 1, 2])
async def test_pages_that_are_shorter_than_asked_for_lose_nothing(
    s3_bucket: Bucket, proxy: S3Proxy, most: int
) -> None:
    """S3 may answer fewer keys than it was asked for, or none at first, and says that there are more."""
    name = f"short{most}"
    url = s3_bucket.url(name, through=proxy.endpoint)
    events = await write_segments(url, 29)

    async def shorten(request: web.Request, forward: Forward) -> web.Response:
        query = request.query
        if "list-type" not in query:
            return await forward()
        before = query.get("continuation-token") or query["start-after"]
        since = int(before.rpartition("/")[2]) + 1
        short = min(most or int(query["max-keys"]), int(query["max-keys"]))
        is_first = most == 0 and "start-after" in query
        some = range(since, since if is_first else min(since + short, 30))
        folder = before.rpartition("/")[0]
        keys = [f"{folder}/{number:012}" for number in some]
        contents = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
        more = f"<NextContinuationToken>{[before, *keys][-1]}</NextContinuationToken>"
        truncated = some.stop < 30
        body = f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{contents}{more if truncated else ''}"
        return web.Response(
            body=f"<ListBucketResult>{body}</ListBucketResult>".encode(), content_type="application/xml"
        )

    proxy.interfere = shorten
    assert await store_of(url).read(name) == events
    again = await store_of(url).open(name)
    assert again.past == events
    await again.close()


@pytest.mark.parametrize(
    "gone",
    [[1], [14], [29], [10, 11, 12], [13, 14, 15, 16]],
    ids=str,
)
async def test_a_segment_that_is_missing_is_named(s3_bucket: Bucket, proxy: S3Proxy, gone: list[int]) -> None:
    """Wherever in a page it stood; nothing of such a journal is read, or written behind."""
    name = f"gap{'-'.join(map(str, gone))}"
    url = s3_bucket.url(name, through=proxy.endpoint)
    await write_segments(url, 30)
    before = len(proxy.puts("/segments/"))
    # moto refuses whoever names no key, and checks no signature.
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20300101/us-east-1/s3/aws4_request"}
    async with aiohttp.ClientSession(headers=signed) as session:
        for number in gone:
            path = f"{s3_bucket.endpoint}/journals/rollouts/{name}/segments/{number:012}"
            async with session.delete(path) as answer:
                assert answer.status == 204

    with pytest.raises(JournalError, match=f"{name}/segments/{gone[0]:012} is missing"):
        await store_of(url).read(name)
    with pytest.raises(JournalError, match=f"{name}/segments/{gone[0]:012} is missing"):
        await store_of(url).open(name)
    assert len(proxy.puts("/segments/")) == before


async def test_a_segment_that_is_gone_once_it_was_listed_is_named(s3_bucket: Bucket, proxy: S3Proxy) -> None:
    """The journal is not read without it."""
    url = s3_bucket.url("vanishing", through=proxy.endpoint)
    await write_segments(url, 6)

    async def answer(request: web.Request, forward: Forward) -> web.Response:
        if request.method == "GET" and request.path.endswith(f"{5:012}"):
            body = b"<Error><Code>NoSuchKey</Code></Error>"
            return web.Response(status=404, body=body, content_type="application/xml")
        return await forward()

    proxy.interfere = answer
    with pytest.raises(JournalError, match="segment 5 of s3://journals/rollouts/vanishing/ is missing"):
        await store_of(url).read("vanishing")


@pytest.mark.parametrize("lost", ["segments/000000000002", "segments/000000000003", "lease"])
async def test_a_lost_answer_of_s3_to_ones_own_write_is_recognised(
    s3_bucket: Bucket, proxy: S3Proxy, lost: str
) -> None:
    """The object stands once, nobody else is suspected, and the writer goes on."""
    name = f"lost-{lost.replace('/', '-')}"
    url = s3_bucket.url(name, through=proxy.endpoint)
    quick = RealTime(steady=lambda: steady_seconds() * 10, sleep=lambda seconds: asyncio.sleep(seconds / 10))
    journal = await store_of(url, quick).open(name)
    assert isinstance(journal, SegmentJournal)
    times = len(proxy.puts(lost))

    async def lose_first(request: web.Request, forward: Forward) -> web.Response:
        if lost in request.path and request.method == "PUT" and len(proxy.puts(lost)) == times + 1:
            return await lose_answer(request, forward)
        return await forward()

    proxy.interfere = lose_first
    await journal.append(started(), durable=True)
    await journal.append(intent(1), durable=True)
    await until(lambda: len(proxy.puts("lease")) >= 4)
    await journal.append(intent(2), durable=True)
    assert journal.held
    assert journal.waits_for == ""
    await journal.close()

    assert len(proxy.puts(lost)) >= times + 2
    segments = [one.path for one in proxy.stored if "/segments/" in one.path]
    assert [int(path.rpartition("/")[2]) for path in segments] == [1, 2, 3, 4]
    assert list(await read_events(url)) == [started(), intent(1), intent(2)]


async def test_a_lost_answer_to_the_taking_of_a_lease_is_recognised(
    s3_bucket: Bucket, proxy: S3Proxy
) -> None:
    """Nobody takes one's own lease for another's."""
    url = s3_bucket.url("taking", through=proxy.endpoint)

    async def lose_first(request: web.Request, forward: Forward) -> web.Response:
        lost = request.method == "PUT" and len(proxy.puts("lease")) == 1 and "lease" in request.path
        return await (lose_answer(request, forward) if lost else forward())

    proxy.interfere = lose_first
    journal = await open_journal(url)
    await journal.append(started(), durable=True)
    await journal.close()

    # Taken once, and given back.
    assert [Lease.model_validate_json(one.body).epoch for one in proxy.stored if "lease" in one.path] == [
        1,
        1,
    ]
    assert list(await read_events(url)) == [started()]


@pytest.mark.parametrize("former", [False, True], ids=["made", "taken over"])
async def test_a_lost_answer_to_ones_own_takeover_is_recognised(
    s3_bucket: Bucket, proxy: S3Proxy, former: bool
) -> None:
    """The journal is opened, its takeover stands once, and nobody else is suspected."""
    name = f"takeover{former}"
    url = s3_bucket.url(name, through=proxy.endpoint)
    past = await write_segments(url, 3) if former else []
    takeover = f"segments/{len(past) + 2 if former else 1:012}"

    async def lose_two(request: web.Request, forward: Forward) -> web.Response:
        """Lose the answer to the repetition too, which aiohttp makes by itself where a connection was used before."""
        lost = request.method == "PUT" and takeover in request.path and len(proxy.puts(takeover)) <= 2
        return await (lose_answer(request, forward) if lost else forward())

    proxy.interfere = lose_two
    journal = await open_journal(url)
    assert journal.past == past
    await journal.append(intent(7) if former else started(), durable=True)
    await journal.close()

    assert len(proxy.puts(takeover)) == 3
    assert len([one for one in proxy.stored if takeover in one.path]) == 1
    assert list(await read_events(url)) == [*past, intent(7) if former else started()]
