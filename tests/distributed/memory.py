"""A store in memory whose every call ends when the test says so, with its effect or without, answered or not."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from workspaces_apps.rollout._journal.segments import Lease, StoreUnavailableError

T = TypeVar("T")


@dataclass(slots=True)
class Content:
    """The store's content, shared by all who are connected.

    Attributes:
        lease: The lease and the number of its version.
        segments: The segments, by number.
        control: The control record and the number of its version.
    """

    lease: tuple[Lease, int] | None = None
    segments: dict[int, bytes] = field(default_factory=dict[int, bytes])
    control: tuple[bytes, int] | None = None


class MemoryStorage:
    """One writer's connection; a `SegmentStorage`.

    Args:
        content: What the store holds.
        gated: Let every call wait until `end_first`.
    """

    def __init__(self, content: Content, *, gated: bool = False) -> None:
        self.content = content
        self.gated = gated
        self.pending: list[tuple[Callable[[], object], asyncio.Future[object]]] = []

    def end_first(self, *, acted: bool = True, answered: bool = True) -> None:
        """End the call that waits longest."""
        act, future = self.pending.pop(0)
        result = act() if acted else None
        if future.done():
            return
        if acted and answered:
            future.set_result(result)
        else:
            future.set_exception(StoreUnavailableError("no answer"))

    async def read_lease(self) -> tuple[Lease, str] | None:
        """Return the lease."""

        def act() -> tuple[Lease, str] | None:
            found = self.content.lease
            return (found[0], str(found[1])) if found is not None else None

        return await self._call(act)

    async def write_lease(self, lease: Lease, *, instead_of: str | None) -> str | None:
        """Write the lease in the place of a version."""

        def act() -> str | None:
            found = self.content.lease
            if (str(found[1]) if found is not None else None) != instead_of:
                return None
            version = found[1] + 1 if found is not None else 1
            self.content.lease = lease, version
            return str(version)

        return await self._call(act)

    async def put(self, number: int, body: bytes, *, epoch: int) -> bool:  # noqa: ARG002 - as in S3
        """Write a segment where there is none."""

        def act() -> bool:
            if number in self.content.segments:
                return False
            self.content.segments[number] = body
            return True

        return await self._call(act)

    async def get(self, number: int) -> bytes | None:
        """Return a segment."""
        return await self._call(lambda: self.content.segments.get(number))

    async def read(self, first: int) -> Sequence[bytes]:
        """Return the segments from a number on."""
        return await self._call(
            lambda: [body for number, body in sorted(self.content.segments.items()) if number >= first]
        )

    async def read_control(self) -> tuple[bytes, str] | None:
        """Return the control record."""

        def act() -> tuple[bytes, str] | None:
            found = self.content.control
            return (found[0], str(found[1])) if found is not None else None

        return await self._call(act)

    async def write_control(self, content: bytes, *, instead_of: str | None) -> bool:
        """Write the control record in the place of a version."""

        def act() -> bool:
            found = self.content.control
            if (str(found[1]) if found is not None else None) != instead_of:
                return False
            self.content.control = content, (found[1] + 1 if found is not None else 1)
            return True

        return await self._call(act)

    async def _call(self, act: Callable[[], T]) -> T:
        if not self.gated:
            return act()
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.pending.append((act, future))
        return await future  # type: ignore[return-value]  # the result of the same call
