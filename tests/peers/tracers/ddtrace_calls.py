"""Calls under ddtrace, by plain aiobotocore or by this package: prints the spans that ddtrace would send, as JSON.

Run as `python ddtrace_calls.py SITE_PACKAGES CALLER URL REGION KEY SECRET`; ddtrace is in SITE_PACKAGES, which come last.
CALLER is `plain` or `ours`, `forbidden` for this package where a listener keeps calls from the fast path, or `midway` for
this package where ddtrace comes only after two calls. The requests on the fast path are counted, before ddtrace comes and
from then on.
"""

import asyncio
import importlib
import json
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from aiobotocore.session import AioSession, get_session
from botocore.exceptions import ClientError

from workspaces_apps import Credentials, ServiceError, WorkSpacesClient
from workspaces_apps._http.fast_path import PooledPost, RawAnswer

SITE_PACKAGES, CALLER, URL, REGION, KEY, SECRET = sys.argv[1:]


ANSWERED = 3
"""Calls of one operation; aiobotocore makes the first of them in any case."""


async def plain(begin: Callable[[], None]) -> None:
    """Make calls that are answered, and one that is refused."""
    session: Any = get_session()
    options = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    async with session.create_client("workspaces", REGION, endpoint_url=URL, **options) as client:
        begin()
        for _ in range(ANSWERED):
            await client.describe_workspaces()
        try:
            await client.deploy_workspace_applications(WorkspaceId="ws-000000000")
        except ClientError:
            return
    raise AssertionError("it was not refused")


async def ours(begin: Callable[[], None], *, first: bool = True, listened: bool = False) -> None:
    """Make the same calls, where ddtrace does not come first after two more."""
    session: Any = AioSession()
    if listened:
        session.register("needs-retry", ignore)
    if first:
        begin()
    async with WorkSpacesClient(
        region=REGION, endpoint_url=URL, credentials=Credentials(KEY, SECRET), session=session
    ) as client:
        if not first:
            await client.describe_workspaces()
            await client.describe_workspaces()
            begin()
        for _ in range(ANSWERED):
            await client.describe_workspaces()
        try:
            await client.deploy_workspace_applications(workspace_id="ws-000000000")
        except ServiceError:
            return
    raise AssertionError("it was not refused")


def ignore(**_: object) -> None:
    """Listen, and do nothing."""


CALLERS: dict[str, Callable[[Callable[[], None]], Coroutine[None, None, None]]] = {
    "plain": plain,
    "ours": ours,
    "forbidden": partial(ours, listened=True),
    "midway": partial(ours, first=False),
}


class Keep:
    """A processor of traces that keeps their spans."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def process_trace(self, trace: list[Any]) -> None:
        """Take a finished trace, and pass nothing on to an agent."""
        self.spans += trace


def main() -> None:
    """Make the calls and print their spans."""
    sys.path.append(SITE_PACKAGES)
    ddtrace: Any = importlib.import_module("ddtrace")
    tracing: Any = importlib.import_module("ddtrace.trace")
    kept = type("Kept", (Keep, tracing.TraceFilter), {})()
    tracing.tracer.configure(trace_processors=[kept])
    short = [0]
    post = PooledPost.post

    async def count(self: PooledPost, data: bytes, guard: Callable[[], None] | None = None) -> RawAnswer:
        short[-1] += 1
        return await post(self, data, guard)

    def begin() -> None:
        ddtrace.patch(aiobotocore=True)
        short.append(0)

    PooledPost.post = count  # type: ignore[method-assign]  # to count, in a process of its own
    with tracing.tracer.trace("parent") as parent:
        asyncio.run(CALLERS[CALLER](begin))
    found = [
        {
            "name": one.name,
            "resource": one.resource,
            "service": one.service,
            "type": one.span_type,
            "error": one.error,
            "below": "parent" if one.parent_id == parent.span_id else one.parent_id,
            "tags": {**one.get_tags(), **one.get_metrics()},
        }
        for one in kept.spans
        if one is not parent
    ]
    print(json.dumps({"version": ddtrace.__version__, "spans": found, "short": short}))  # noqa: T201 - what it is for


main()
