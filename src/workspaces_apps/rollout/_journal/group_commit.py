"""Group commit: all who wait for a write share the next one, in the order in which they came.

One thread writes, and never more than one group at a time. Whoever comes while it is at work waits for the next group,
so that a thousand intents cost a handful of fsyncs. Nothing here is a task: a loop that cancels its tasks at the end
cannot tear a group apart.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial


@dataclass(slots=True, eq=False)
class _Entry:
    """The bytes of one append, and who waits for them."""

    data: bytes
    durable: bool
    waiter: asyncio.Future[None]


class GroupCommit:
    """Writes of many, joined to groups.

    Args:
        write: Writes bytes, and syncs them if the second argument says so; called in a thread, one call at a time.
        refusal: Makes the error that everybody hears once a write has failed, or (None) after `close`.
        release: Lets go of the file, once, after the last write.
    """

    def __init__(
        self,
        write: Callable[[bytes, bool], None],
        refusal: Callable[[BaseException | None], Exception],
        release: Callable[[], None],
    ) -> None:
        self._write = write
        self._refusal = refusal
        self._release = release
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="workspaces-apps-journal")
        self._queue: list[_Entry] = []
        self._writing: list[_Entry] = []
        self._closing = False
        self._failure: BaseException | None = None
        self._released: asyncio.Event = asyncio.Event()

    async def append(self, data: bytes, *, durable: bool) -> None:
        """Write bytes behind all that were given before; with `durable`, they are on disk when this returns.

        Cancelled, it leaves all of them or none: what the thread has taken is written, the rest is not.

        Raises:
            Exception: What `refusal` makes, after a write that failed, or after `close`.
        """
        if self._closing:
            raise self._refusal(self._failure) from self._failure
        entry = _Entry(data, durable, asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        if not self._writing:
            self._begin()
        try:
            await entry.waiter
        except asyncio.CancelledError:
            if entry in self._queue:
                self._queue.remove(entry)
            raise

    async def close(self) -> None:
        """Write what is waited for, and let go of the file; may be called again.

        Cancelled, it still lets go of the file once the last group is written.
        """
        self._closing = True
        if not self._writing:
            self._let_go()
        await self._released.wait()

    def _begin(self) -> None:
        self._writing, self._queue = self._queue, []
        data = b"".join(entry.data for entry in self._writing)
        durable = any(entry.durable for entry in self._writing)
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._thread, partial(self._write, data, durable)).add_done_callback(self._ended)

    def _ended(self, written: asyncio.Future[None]) -> None:
        error = written.exception()
        group, self._writing = self._writing, []
        if error is None:
            for entry in group:
                if not entry.waiter.done():
                    entry.waiter.set_result(None)
        else:
            # Half a line may be out: a further line behind it would make the file unreadable.
            self._failure, self._closing = error, True
            group, self._queue = group + self._queue, []
            for entry in group:
                if not entry.waiter.done():
                    refusal = self._refusal(self._failure)
                    refusal.__cause__ = self._failure
                    entry.waiter.set_exception(refusal)
        if self._queue:
            self._begin()
        elif self._closing:
            self._let_go()

    def _let_go(self) -> None:
        if not self._released.is_set():
            self._released.set()
            self._thread.shutdown(wait=False)
            self._release()
