"""Two calls under ddtrace, by plain aiobotocore or by this package: prints the spans that ddtrace would send, as JSON.

Run as `python ddtrace_calls.py SITE_PACKAGES plain|ours URL REGION KEY SECRET`; ddtrace is in SITE_PACKAGES, which come last.
"""

import asyncio
import importlib
import json
import sys
from typing import Any

from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from workspaces_apps import Credentials, ServiceError, WorkSpacesClient

SITE_PACKAGES, CALLER, URL, REGION, KEY, SECRET = sys.argv[1:]


async def plain() -> None:
    """One call that is answered, and one that is refused."""
    session: Any = get_session()
    options = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
    async with session.create_client("workspaces", REGION, endpoint_url=URL, **options) as client:
        await client.describe_workspaces()
        try:
            await client.deploy_workspace_applications(WorkspaceId="ws-000000000")
        except ClientError:
            return
    raise AssertionError("it was not refused")


async def ours() -> None:
    """The same."""
    async with WorkSpacesClient(
        region=REGION, endpoint_url=URL, credentials=Credentials(KEY, SECRET)
    ) as client:
        await client.describe_workspaces()
        try:
            await client.deploy_workspace_applications(workspace_id="ws-000000000")
        except ServiceError:
            return
    raise AssertionError("it was not refused")


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
    ddtrace.patch(aiobotocore=True)
    kept = type("Kept", (Keep, tracing.TraceFilter), {})()
    tracing.tracer.configure(trace_processors=[kept])
    with tracing.tracer.trace("parent") as parent:
        asyncio.run({"plain": plain, "ours": ours}[CALLER]())
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
    print(json.dumps({"version": ddtrace.__version__, "spans": found}))  # noqa: T201 - what it is for


main()
