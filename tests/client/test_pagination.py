"""`Paginated`: a first page when awaited, everything when iterated, and nothing ever lost."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import pytest
from botocore import xform_name
from hypothesis import given
from hypothesis import strategies as st

from tests.http.conftest import Connect
from tests.http.server import Answer, Recorded, ScriptedServer, fault, ok
from workspaces_apps import (
    ConfigurationError,
    PaginationError,
    RetryPolicy,
    ServiceError,
    WorkSpacesClient,
    api,
)
from workspaces_apps._model.models import PageResult, Request
from workspaces_apps._model.paginator import PageSource, Paginated

ONCE: Final = RetryPolicy(max_attempts=1)
APPLICATION: Final = "wsa-123456789"


class Paged(NamedTuple):
    """An operation that pages.

    Attributes:
        arguments: What it must be called with.
        items: The wire name of its items.
        item: The members without which an item is none.
    """

    arguments: Mapping[str, object]
    items: str
    item: Mapping[str, object]


POOL: Final = {
    "PoolId": "wspool-123456789",
    "PoolArn": "arn:aws:workspaces:eu-west-1:123456789012:workspacespool/wspool-123456789",
    "CapacityStatus": {
        "AvailableUserSessions": 1,
        "DesiredUserSessions": 1,
        "ActualUserSessions": 1,
        "ActiveUserSessions": 1,
    },
    "PoolName": "pool",
    "State": "RUNNING",
    "CreatedAt": 1700000000,
    "BundleId": "wsb-123456789",
    "DirectoryId": "wsd-123456789",
    "RunningMode": "AUTO_STOP",
}

PAGED: Final[Mapping[str, Paged]] = {
    "DescribeAccountModifications": Paged({}, "AccountModifications", {}),
    "DescribeApplicationAssociations": Paged(
        {"application_id": APPLICATION, "associated_resource_types": ["WORKSPACE"]},
        "Associations",
        {"ApplicationId": APPLICATION, "AssociatedResourceId": "ws-123456789", "State": "COMPLETED"},
    ),
    "DescribeApplications": Paged({}, "Applications", {"ApplicationId": APPLICATION}),
    "DescribeConnectClientAddIns": Paged({"resource_id": "d-1234567890"}, "AddIns", {}),
    "DescribeConnectionAliasPermissions": Paged(
        {"alias_id": "wsca-123456789"},
        "ConnectionAliasPermissions",
        {"SharedAccountId": "123456789012", "AllowAssociation": True},
    ),
    "DescribeConnectionAliases": Paged({}, "ConnectionAliases", {}),
    "DescribeIpGroups": Paged({}, "Result", {}),
    "DescribeWorkspaceBundles": Paged({}, "Bundles", {"BundleId": "wsb-123456789"}),
    "DescribeWorkspaceDirectories": Paged({}, "Directories", {"DirectoryId": "d-1234567890"}),
    "DescribeWorkspaceImagePermissions": Paged({"image_id": "wsi-123456789"}, "ImagePermissions", {}),
    "DescribeWorkspaceImages": Paged({}, "Images", {"ImageId": "wsi-123456789"}),
    "DescribeWorkspaces": Paged({}, "Workspaces", {"WorkspaceId": "ws-123456789", "State": "AVAILABLE"}),
    "DescribeWorkspacesConnectionStatus": Paged(
        {}, "WorkspacesConnectionStatus", {"WorkspaceId": "ws-123456789"}
    ),
    "DescribeWorkspacesPoolSessions": Paged(
        {"pool_id": "wspool-123456789"},
        "Sessions",
        {"SessionId": "s-1", "PoolId": "wspool-123456789", "UserId": "ada"},
    ),
    "DescribeWorkspacesPools": Paged({}, "WorkspacesPools", POOL),
    "ListAccountLinks": Paged({}, "AccountLinks", {}),
    "ListAvailableManagementCidrRanges": Paged(
        {"management_cidr_range_constraint": "10.0.0.0/8"}, "ManagementCidrRanges", {}
    ),
}


def test_the_table_holds_every_operation_that_pages() -> None:
    """Every operation that pages in the service model is in the table above, and no other."""
    kinds: list[object] = [getattr(api, name) for name in api.__all__]
    found = {
        kind.facts.name
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, Request) and kind is not Request and kind.facts.page
    }

    assert found == set(PAGED)
    assert len(found) == 17


def item(operation: str, number: int) -> object:
    """The item of that number, which is a string where the operation's items are strings."""
    if operation == "ListAvailableManagementCidrRanges":
        return f"10.{number}.0.0/16"
    # A member of a newer model than ours carries the number.
    return {**PAGED[operation].item, "Number": number}


def number_of(found: object) -> object:
    """The number of an item that was read."""
    if isinstance(found, str):
        return int(found.split(".")[1])
    extra: Mapping[str, object] | None = getattr(found, "model_extra", None)
    return (extra or {}).get("Number")


def page(operation: str, *numbers: int, token: str | None = None) -> Answer:
    """A page with the items of these numbers, and the token of the next one."""
    members: dict[str, object] = {PAGED[operation].items: [item(operation, number) for number in numbers]}
    return ok(members | ({"NextToken": token} if token is not None else {}))


def listing(ws: WorkSpacesClient, operation: str = "DescribeApplications") -> Paginated[Any, Any]:
    """The operation, called."""
    call: Callable[..., Paginated[Any, Any]] = getattr(ws, xform_name(operation))
    return call(**PAGED[operation].arguments)


def tokens(server: ScriptedServer) -> list[object]:
    """The token of every request."""
    return [request.json.get("NextToken") for request in server.requests]


async def numbers_of(items: AsyncIterator[object]) -> list[object]:
    """The numbers of all that is left."""
    return [number_of(found) async for found in items]


@pytest.mark.parametrize("operation", PAGED)
async def test_every_operation_pages(server: ScriptedServer, ws: WorkSpacesClient, operation: str) -> None:
    """Iterating gives every item of every page, an empty page included; only the token changes between requests."""
    server.script(page(operation, 1, 2, token="a"), page(operation, token="b"), page(operation, 3))

    found = [number_of(each) async for each in listing(ws, operation)]

    assert found == [1, 2, 3]
    assert server.operations == [operation] * 3
    assert tokens(server) == [None, "a", "b"]
    without = [
        {key: value for key, value in request.json.items() if key != "NextToken"}
        for request in server.requests
    ]
    assert without[0] == without[1] == without[2]


@pytest.mark.parametrize("operation", PAGED)
async def test_awaiting_gives_the_first_page(
    server: ScriptedServer, ws: WorkSpacesClient, operation: str
) -> None:
    """One request, one page, with its token and its meta."""
    server.script(page(operation, 1, 2, token="a"), page(operation, 1, token=None))
    call = listing(ws, operation)

    first = await call
    again = await call.first_page()

    assert isinstance(first, PageResult)
    assert (first.next_token, first.meta.attempts) == ("a", 1)
    assert again.next_token is None
    assert tokens(server) == [None, None]


async def test_pages_come_whole(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """`pages()` gives each page, empty ones too, and then stays at its end."""
    server.script(*(page("DescribeApplications", *numbers, token=token) for numbers, token in PAGES))
    pages = listing(ws).pages()

    sizes = [len(each.applications) async for each in pages]

    assert sizes == [2, 0, 1]
    assert pages.resume_token is None
    with pytest.raises(StopAsyncIteration):
        await anext(pages)
    assert len(server.requests) == 3


PAGES: Final[list[tuple[tuple[int, ...], str | None]]] = [((1, 2), "a"), ((), "b"), ((3,), None)]


def serve(server: ScriptedServer, pages: list[tuple[tuple[int, ...], str | None]] = PAGES) -> None:
    """Answer with these pages by their tokens, as often as they are asked for."""
    by_token = dict(zip([None, *(token for _, token in pages)], pages, strict=False))

    def answer(request: Recorded) -> Answer:
        token = request.json.get("NextToken")
        assert token is None or isinstance(token, str)
        numbers, following = by_token[token]
        return page("DescribeApplications", *numbers, token=following)

    server.respond(answer)


async def test_each_iteration_starts_afresh(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """Iterating twice gives everything twice, awaiting twice gives two first pages, also at the same time."""
    serve(server)
    call = listing(ws)

    assert [number_of(each) async for each in call] == [1, 2, 3]
    assert [number_of(each) async for each in call] == [1, 2, 3]
    first, second = await asyncio.gather(call, call)
    assert first == second
    assert [*await asyncio.gather(numbers_of(aiter(call)), numbers_of(aiter(call)))] == [[1, 2, 3]] * 2
    assert (await asyncio.wait_for(call, 60)).next_token == "a"


async def test_tasks_may_share_an_iterator(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """Each item, and each page, goes to one of them, and no page is read twice."""
    serve(server)
    items, pages = aiter(listing(ws)), listing(ws).pages()

    found = await asyncio.gather(*(anext(items, None) for _ in range(5)))
    whole = await asyncio.gather(*(anext(pages, None) for _ in range(5)))

    assert sorted(str(number_of(one)) for one in found if one is not None) == ["1", "2", "3"]
    assert sorted(str(one.next_token) for one in whole if one is not None) == ["None", "a", "b"]
    assert sorted(map(str, tokens(server))) == ["None", "None", "a", "a", "b", "b"]


async def test_who_shares_an_iterator_goes_on_after_the_others_failure(
    server: ScriptedServer, connect: Connect
) -> None:
    """The error reaches one of them, and the next reads the page again."""
    serve(server)
    server.script(fault("AccessDeniedException"))
    items = aiter(listing(connect(retry=ONCE)))

    refused, *found = await asyncio.gather(*(anext(items) for _ in range(3)), return_exceptions=True)

    assert isinstance(refused, ServiceError)
    assert [number_of(one) for one in found] == [1, 2]


@pytest.mark.parametrize(
    "most,found,requests",
    [(None, [1, 2, 3], 3), (0, [], 0), (1, [1], 1), (2, [1, 2], 1), (3, [1, 2, 3], 3), (9, [1, 2, 3], 3)],
)
async def test_collect_reads_no_more_pages_than_it_needs(
    server: ScriptedServer, ws: WorkSpacesClient, most: int | None, found: list[int], requests: int
) -> None:
    """At most that many items, and no request for more."""
    serve(server)

    assert [number_of(each) for each in await listing(ws).collect(most)] == found
    assert len(server.requests) == requests


@pytest.mark.parametrize("wrong", [-1, 2.5, 3.0, "3", True])
async def test_collect_refuses_what_is_no_number_of_items(
    server: ScriptedServer, ws: WorkSpacesClient, wrong: Any
) -> None:
    """A limit that could not be kept is named; nothing was sent."""
    with pytest.raises(ValueError, match=f"max_items must be an integer, 0 or more, not {wrong!r}"):
        await listing(ws).collect(wrong)

    assert server.requests == []


async def test_a_bad_limit_is_refused_and_leaves_nothing_behind(ws: WorkSpacesClient) -> None:
    """Nothing is raised later, when the iteration that never was is thrown away."""
    with pytest.raises(ConfigurationError, match="timeout"):
        ws.describe_workspaces().items(timeout=-1)
    gc.collect()


async def test_nothing_is_sent_before_it_is_asked_for(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """The call alone, an iterator alone, and the repr send nothing."""
    call = listing(ws)

    aiter(call)
    call.pages()

    assert "DescribeApplications" in repr(call)
    assert (call.resume_token, server.requests) == (None, [])


async def test_a_listing_may_start_anywhere(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """With `next_token`, every iteration starts there."""
    serve(server)
    call = ws.describe_applications(next_token="b")

    assert [number_of(each) async for each in call] == [3]
    assert (await call).next_token is None
    assert tokens(server) == ["b", "b"]


@pytest.mark.parametrize(
    "pages", [[((1,), "a"), ((2,), "a")], [((1,), "a"), ((), "b"), ((2,), "a")], [((), "a"), ((), "a")]]
)
async def test_a_repeated_token_is_an_error(
    server: ScriptedServer, ws: WorkSpacesClient, pages: list[tuple[tuple[int, ...], str | None]]
) -> None:
    """The service goes round in circles: that is said instead of going with it."""
    server.script(*(page("DescribeApplications", *numbers, token=token) for numbers, token in pages))

    with pytest.raises(PaginationError) as caught:
        await listing(ws).collect()

    error = caught.value
    assert len(server.requests) == len(pages)
    assert (error.operation, error.http_status, error.resume_token) == (
        "DescribeApplications",
        200,
        tokens(server)[-1],
    )


async def test_the_token_that_a_listing_began_with_may_not_come_back(
    server: ScriptedServer, ws: WorkSpacesClient
) -> None:
    """A circle through the beginning is one too."""
    server.script(page("DescribeApplications", 1, token="a"))

    with pytest.raises(PaginationError):
        await ws.describe_applications(next_token="a").collect()


async def test_an_error_midway_can_be_resumed(server: ScriptedServer, connect: Connect) -> None:
    """The error has the token of the page that failed; asking the iterator again asks for that page again."""
    serve(server, [((1, 2), "a"), ((3,), "b"), ((4,), None)])
    ws = connect(retry=ONCE)
    items = aiter(listing(ws))
    head = [number_of(await anext(items)) for _ in range(2)]
    server.script(fault("AccessDeniedException"))

    with pytest.raises(ServiceError) as caught:
        await anext(items)

    assert head == [1, 2]
    assert (caught.value.resume_token, items.resume_token) == ("a", "a")
    assert await numbers_of(items) == [3, 4]
    resumed = ws.describe_applications(next_token=caught.value.resume_token)
    assert [number_of(each) async for each in resumed] == [3, 4]


async def test_an_error_on_the_first_page_has_no_token(server: ScriptedServer, connect: Connect) -> None:
    """Everything is still to come: the same call from its beginning."""
    serve(server)
    server.script(fault("AccessDeniedException"))
    items = aiter(listing(connect(retry=ONCE)))

    with pytest.raises(ServiceError) as caught:
        await anext(items)

    assert caught.value.resume_token is None
    assert await numbers_of(items) == [1, 2, 3]


async def test_retries_happen_inside_a_page(server: ScriptedServer, connect: Connect) -> None:
    """A page that fails for a moment is asked for again, and the listing does not notice."""
    serve(server)
    server.script(page("DescribeApplications", 1, 2, token="a"), Answer(status=503), Answer(manner="reset"))

    assert [number_of(each) for each in await listing(connect()).collect()] == [1, 2, 3]
    assert tokens(server) == [None, "a", "a", "a", "b"]


async def test_a_cancelled_page_is_asked_for_again(server: ScriptedServer, ws: WorkSpacesClient) -> None:
    """Cancelling one `anext` loses nothing of what follows."""
    serve(server)
    server.script(page("DescribeApplications", 1, 2, token="a"), Answer(after=asyncio.Event()))
    items = aiter(listing(ws))
    head = [number_of(await anext(items)) for _ in range(2)]

    third = asyncio.ensure_future(anext(items))
    await server.arrived(2)
    third.cancel()
    with pytest.raises(asyncio.CancelledError):
        await third

    assert head + await numbers_of(items) == [1, 2, 3]


@pytest.mark.parametrize("taken,token", [(0, None), (1, None), (2, "a"), (3, "c")])
async def test_leaving_early_loses_nothing(
    server: ScriptedServer, ws: WorkSpacesClient, taken: int, token: str | None
) -> None:
    """After a break, `resume_token` re-reads the page in progress: items may come twice, and never vanish."""
    pages: list[tuple[tuple[int, ...], str | None]] = [((1, 2), "a"), ((), "b"), ((3,), "c"), ((4,), None)]
    serve(server, pages)
    call = listing(ws)
    before: list[object] = []

    if taken:
        async for each in call:
            before.append(number_of(each))
            if len(before) == taken:
                break

    assert call.resume_token == token
    after = [number_of(each) async for each in ws.describe_applications(next_token=token)]
    assert set(before) | set(after) == {1, 2, 3, 4}


class Failure(ServiceError):
    """The failure of a page."""


class Listing:
    """Pages in memory, some of which fail a few times before they come."""

    def __init__(self, pages: list[tuple[int, int]]) -> None:
        self._pages: dict[str | None, PageResult] = {}
        self._failures: dict[str | None, int] = {}
        self.items: list[int] = []
        self._by_page: dict[int, list[int]] = {}
        for index, (size, failures) in enumerate(pages):
            token = f"t{index}" if index else None
            following = f"t{index + 1}" if index + 1 < len(pages) else None
            result = PageResult(next_token=following)
            numbers = list(range(len(self.items), len(self.items) + size))
            self.items += numbers
            self._pages[token] = result
            self._by_page[id(result)] = numbers
            self._failures[token] = failures

    async def fetch(self, token: str | None) -> PageResult:
        """The page, or its failure."""
        if self._failures[token]:
            self._failures[token] -= 1
            raise Failure(f"page {token}")
        return self._pages[token]

    def numbers(self, result: PageResult) -> list[int]:
        """The items of a page."""
        return self._by_page[id(result)]

    def paginated(self, start: str | None = None) -> Paginated[PageResult, int]:
        """The listing from that token on."""
        return Paginated(PageSource(operation="List", fetch=self.fetch, items=self.numbers, start=start))


some_pages = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=8)


async def insist(ask: Callable[[], Awaitable[int]]) -> int:
    """Ask until it does not fail."""
    while True:
        try:
            return await ask()
        except Failure:
            continue


@given(some_pages)
def test_asking_again_gives_every_item_once(pages: list[tuple[int, int]]) -> None:
    """Whatever the sizes and failures: one iterator, asked again after each error, gives all items in order."""

    async def run() -> None:
        source = Listing(pages)
        items = aiter(source.paginated())
        found: list[int] = []
        while True:
            try:
                found.append(await insist(lambda: anext(items)))
            except StopAsyncIteration:
                break
        assert found == source.items

    asyncio.run(run())


@given(some_pages, st.lists(st.integers(0, 6), max_size=30))
def test_starting_anew_at_the_resume_token_loses_nothing(
    pages: list[tuple[int, int]], stops: list[int]
) -> None:
    """Whatever the sizes, failures and breaks: going on from `resume_token` each time, every item is seen."""

    async def run() -> None:
        source = Listing(pages)
        seen: set[int] = set()
        token: str | None = None
        left = iter(stops)
        while True:
            call = source.paginated(token)
            budget = next(left, None)
            try:
                async for number in call:
                    seen.add(number)
                    budget = None if budget is None else budget - 1
                    if budget is not None and budget <= 0:
                        break
                else:
                    break
                token = call.resume_token
                if token is None and seen >= set(source.items):
                    break
            except Failure as error:
                token = error.resume_token
        assert seen == set(source.items)

    asyncio.run(run())
