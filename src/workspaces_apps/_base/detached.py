"""Tasks that work for many callers, and so run in the context of none."""

from __future__ import annotations

import contextvars
import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


def start_detached(work: Callable[[], Awaitable[T]], *, name: str) -> asyncio.Task[T]:
    """Start a task without the context of whoever happens to need it first.

    It sees no context variable of the caller's, and so no span, request id or tenant of it, and no segment of
    X-Ray's. The event loop's task factory is passed by: X-Ray's would hand on the caller's segment, and an eager
    one would run the beginning of the work here and now, maybe under a lock.

    Args:
        work: Called and awaited in the task.
        name: The task's.
    """
    # Whoever starts a task has imported it; others use this module without an event loop.
    import asyncio

    loop = asyncio.get_running_loop()
    return asyncio.Task(_run(work), loop=loop, name=name, context=contextvars.Context())


async def _run(work: Callable[[], Awaitable[T]]) -> T:
    _leave_xray()
    return await work()


def _leave_xray() -> None:
    """Give this task a segment of X-Ray's that is never sent.

    Without one X-Ray logs an error, or raises, at each call of a client of aiobotocore's that it has patched.
    """
    # Where it was not imported nothing is patched. Nothing of it is typed.
    core: Any = sys.modules.get("aws_xray_sdk.core")
    contexts: Any = sys.modules.get("aws_xray_sdk.core.async_context")
    if core is None or contexts is None:
        return
    recorder = core.xray_recorder
    # Its other context is one for the whole thread, and what is put there others would see.
    if isinstance(recorder.context, contexts.AsyncContext):
        from aws_xray_sdk.core.models.dummy_entities import DummySegment

        recorder.set_trace_entity(DummySegment("workspaces-apps"))
