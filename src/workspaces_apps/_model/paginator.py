"""`Paginated`: one call that is a first page when awaited, and every item of every page when iterated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from workspaces_apps._base.clock import Clock, Duration, SystemClock, timeout, to_seconds
from workspaces_apps._base.logs import rpc_method
from workspaces_apps._base.public import public
from workspaces_apps._telemetry.port import CURRENT_POLL, TraceSpan
from workspaces_apps.errors import ConfigurationError, DeadlineExceededError, PaginationError, WorkSpacesError

if TYPE_CHECKING:
    from workspaces_apps._model.models import PageResult
    from workspaces_apps._telemetry.port import Telemetry

PageT = TypeVar("PageT", bound="PageResult")
ItemT = TypeVar("ItemT")
PageT_co = TypeVar("PageT_co", bound="PageResult", covariant=True)
ItemT_co = TypeVar("ItemT_co", covariant=True)

_NO_SPAN: Final = nullcontext()


class PageSource(Generic[PageT, ItemT]):
    """A source of pages.

    Attributes:
        operation: The API operation.
        fetch: Gets the page that a token stands for; None stands for the first.
        items: The items of a page.
        start: The token that every iteration starts at; None for the first page.
        clock: What a bound on a whole listing is kept with.
        telemetry: Returns what gets a span for each iteration; None for none.
    """

    __slots__ = ("clock", "fetch", "items", "operation", "start", "telemetry")

    def __init__(
        self,
        *,
        operation: str,
        fetch: Callable[[str | None], Coroutine[object, object, PageT]],
        items: Callable[[PageT], Sequence[ItemT]],
        start: str | None = None,
        clock: Clock | None = None,
        telemetry: Callable[[], Telemetry | None] = lambda: None,
    ) -> None:
        self.operation: str = operation
        self.fetch: Callable[[str | None], Coroutine[object, object, PageT]] = fetch
        self.items: Callable[[PageT], Sequence[ItemT]] = items
        self.start: str | None = start
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.telemetry: Callable[[], Telemetry | None] = telemetry


class _Walk(Generic[PageT, ItemT]):
    """One passage over the pages. `token` re-reads the first page that has not been handed over whole."""

    __slots__ = (
        "_deadline",
        "_ended",
        "_fetched",
        "_index",
        "_lock",
        "_page",
        "_seconds",
        "_seen",
        "_source",
        "_span",
        "_telemetry",
        "token",
    )

    def __init__(
        self, source: PageSource[PageT, ItemT], telemetry: Telemetry | None, limit: Duration | None = None
    ) -> None:
        # First: `__del__` looks at it, also after a limit that is refused.
        self._span: TraceSpan | None = None
        self._seconds = None if limit is None else to_seconds(limit, "timeout", positive=True)
        self._deadline: float | None = None
        self._telemetry = telemetry
        self._source = source
        # Tasks may share an iterator: one reads a page, the others wait for it.
        self._lock = asyncio.Lock()
        self._page: Sequence[ItemT] = ()
        self._index = 0
        self._fetched: str | None = None
        self._ended = False
        self._seen: set[str] = {source.start} if source.start is not None else set()
        self.token: str | None = source.start

    async def next_page(self) -> PageT:
        async with self._lock:
            page = await self._fetch()
            self._pass_on()
        return page

    async def next_item(self) -> ItemT:
        if self._index >= len(self._page):
            async with self._lock:
                # Another task may have read it meanwhile.
                while self._index >= len(self._page):
                    page = await self._fetch()
                    self._page, self._index = self._source.items(page), 0
                    if not self._page:
                        self._pass_on()
        item = self._page[self._index]
        self._index += 1
        if self._index == len(self._page):
            self._pass_on()
        return item

    async def _fetch(self) -> PageT:
        if self._ended:
            raise StopAsyncIteration
        # A poll's calls are nobody's children.
        if self._span is None and self._telemetry is not None and CURRENT_POLL.get() is None:
            method = rpc_method(self._source.operation)
            self._span = self._telemetry.begin(f"list {method}", {"rpc.method": method})
        try:
            with _NO_SPAN if self._span is None else self._span.use():
                page = await self._fetch_in_time()
        except BaseException as error:
            # Whoever asks again begins another span.
            self._end(error)
            if isinstance(error, WorkSpacesError):
                error.resume_token = self.token
            raise
        # The last pages of some services say "" instead of nothing. [field]
        following = page.next_token or None
        if following is not None and following in self._seen:
            circle = PaginationError(
                "the service gave a page token that it gave before; going on would repeat pages for ever",
                operation=self._source.operation,
                request_id=page.meta.request_id,
                http_status=page.meta.http_status,
                attempts=page.meta.attempts,
                resume_token=self.token,
            )
            self._end(circle)
            raise circle
        self._fetched = following
        return page

    async def _fetch_in_time(self) -> PageT:
        """Fetch the page, within what is left for the whole listing."""
        source = self._source
        if self._seconds is None:
            return await source.fetch(self.token)
        now = source.clock.monotonic()
        if self._deadline is None:
            # From the first page on: nothing is sent before that.
            self._deadline = now + self._seconds
        scope = timeout(source.clock, self._deadline - now)
        try:
            async with scope:
                return await source.fetch(self.token)
        except TimeoutError as error:
            if isinstance(error, WorkSpacesError) or not scope.expired():
                raise
            raise DeadlineExceededError(
                f"the listing did not end within its timeout of {self._seconds:g} s",
                operation=source.operation,
            ) from None

    def __del__(self) -> None:
        # An iteration that somebody has left early has no other end.
        self._end()

    def _end(self, error: BaseException | None = None) -> None:
        span, self._span = self._span, None
        if span is not None:
            span.end(error)

    def _pass_on(self) -> None:
        self.token = self._fetched
        if self._fetched is None:
            self._ended = True
            self._end()
        else:
            self._seen.add(self._fetched)


def _require_count(value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{name} must be an integer, 0 or more, not {value!r}")


@public("workspaces_apps")
class ItemIterator(AsyncIterator[ItemT_co]):
    """Every item of every page, in order.

    Asking again after an error asks for the same page again.
    """

    __slots__ = ("_walk",)

    def __init__(self, walk: _Walk[Any, ItemT_co]) -> None:
        self._walk = walk

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ItemT_co:
        return await self._walk.next_item()

    @property
    def resume_token(self) -> str | None:
        """The token that re-reads the page in progress; None for the first page, and when all is read."""
        return self._walk.token


@public("workspaces_apps")
class PageIterator(AsyncIterator[PageT_co]):
    """Every page, in order.

    Asking again after an error asks for the same page again.
    """

    __slots__ = ("_walk",)

    def __init__(self, walk: _Walk[PageT_co, Any]) -> None:
        self._walk = walk

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PageT_co:
        return await self._walk.next_page()

    @property
    def resume_token(self) -> str | None:
        """The token of the page that comes next; None for the first page, and when all is read."""
        return self._walk.token


@public("workspaces_apps")
class Paginated(Awaitable[PageT_co], Generic[PageT_co, ItemT_co]):
    """An operation that pages, called but not sent yet.

    Await it for the first page, iterate over it for every item of every page. It holds no progress: each
    iteration starts afresh, where the call's `next_token` said. Retries happen inside a page, so a listing is
    complete or raises; after an error midway, `resume_token` on the error re-reads the page that failed, so
    that items may come twice and never get lost.
    """

    __slots__ = ("_latest", "_source")

    def __init__(self, source: PageSource[Any, Any]) -> None:
        self._source: PageSource[Any, Any] = source
        self._latest: _Walk[Any, Any] | None = None

    def __await__(self) -> Generator[Any, None, PageT_co]:
        return self.first_page().__await__()

    async def first_page(self) -> PageT_co:
        """Return the first page; the same as awaiting, as a coroutine that a task can be made of."""
        # One page is one call, whose own span is enough.
        page: PageT_co = await self._walk(None).next_page()
        return page

    def __aiter__(self) -> ItemIterator[ItemT_co]:
        return ItemIterator(self._walk(self._source.telemetry()))

    def items(self, *, timeout: Duration | None = None) -> ItemIterator[ItemT_co]:
        """Iterate over every item of every page, as `async for` does, within a time for all of them.

        Args:
            timeout: The time from the first request on, with what is done between the pages; None for no limit but
                the client's, which is for each page. Past it the error is a DeadlineExceededError, whose
                `resume_token` re-reads the page that was late.
        """
        return ItemIterator(self._walk(self._source.telemetry(), timeout))

    def pages(self, *, timeout: Duration | None = None) -> PageIterator[PageT_co]:
        """Iterate over every page, in order.

        Args:
            timeout: As for `items`.
        """
        return PageIterator(self._walk(self._source.telemetry(), timeout))

    async def collect(
        self,
        max_items: int | None = None,
        *,
        timeout: Duration | None = None,  # noqa: ASYNC109 - of a whole listing, on the client's clock
    ) -> list[ItemT_co]:
        """Read the items into a list.

        Args:
            max_items: The most items to return, 0 or more; None for all. No page is read beyond those needed.
            timeout: As for `items`.

        Raises:
            ConfigurationError: `max_items` is no integer, or is negative.
            DeadlineExceededError: The listing took longer than `timeout`.
        """
        if max_items is not None:
            _require_count(max_items, "max_items")
        found: list[ItemT_co] = []
        if max_items == 0:
            return found
        async for item in self.items(timeout=timeout):
            found.append(item)
            if len(found) == max_items:
                break
        return found

    @property
    def resume_token(self) -> str | None:
        """The resume token of the iteration begun last; None if there was none yet."""
        return self._latest.token if self._latest is not None else None

    def __repr__(self) -> str:
        return f"<Paginated {self._source.operation}; await it, or iterate with `async for`>"

    def _walk(self, telemetry: Telemetry | None, limit: Duration | None = None) -> _Walk[Any, Any]:
        self._latest = _Walk(self._source, telemetry, limit)
        return self._latest
