"""The lowest that asyncio allows: one connection, a protocol of its own that knows only such answers, our models.

No pool, no TLS, no timeouts, no chunks, no retries: what is left is the event loop, a signature and the validation.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Sized
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

from botocore.credentials import ReadOnlyCredentials

from benchmarks.answers import ACCESS_KEY_ID, APPLICATION_ID, PAGE, REGION, SECRET_ACCESS_KEY, WORKSPACE_ID
from benchmarks.contenders import Calls
from workspaces_apps import api
from workspaces_apps._http.fast_path import RequestTemplate
from workspaces_apps._http.signing import SigV4


class _Protocol(asyncio.Protocol):
    """One request at a time, one answer with a Content-Length."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[bytes] | None = None
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length and self._waiter is not None:
            self._waiter.set_result(body)
            self._buffer = b""

    async def ask(self, request: bytes) -> bytes:
        """Send a request and return the body of its answer."""
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Calls]:
    """An open client of the server at `url`."""
    where = urlsplit(url)
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(_Protocol, where.hostname or "", where.port or 80)
    signer, credentials = (
        SigV4("workspaces", REGION),
        ReadOnlyCredentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None),
    )
    templates: dict[str, RequestTemplate] = {}

    async def call(operation: str, members: dict[str, object]) -> bytes:
        template = templates.get(operation)
        if template is None:
            headers = {
                "X-Amz-Target": f"WorkspacesService.{operation}",
                "Content-Type": "application/x-amz-json-1.1",
            }
            templates[operation] = template = RequestTemplate(url, headers)
        body = json.dumps(members).encode()
        signature = signer.sign(template.signing, credentials, datetime.now(UTC), body)
        return await protocol.ask(template.render(signature, body))

    async def associations() -> Sized:
        members: dict[str, object] = {
            "ApplicationId": APPLICATION_ID,
            "AssociatedResourceTypes": ["WORKSPACE"],
            "MaxResults": PAGE,
        }
        found = await call("DescribeApplicationAssociations", members)
        return api.DescribeApplicationAssociationsResult.from_wire(found).associations

    async def workspaces() -> Sized:
        return api.DescribeWorkspacesResult.from_wire(
            await call("DescribeWorkspaces", {"Limit": PAGE})
        ).workspaces

    async def associate() -> str:
        members: dict[str, object] = {"WorkspaceId": WORKSPACE_ID, "ApplicationId": APPLICATION_ID}
        found = await call("AssociateWorkspaceApplication", members)
        answer = api.AssociateWorkspaceApplicationResult.from_wire(found)
        assert answer.association is not None
        return answer.association.state or ""

    try:
        yield Calls(associations=associations, workspaces=workspaces, associate=associate)
    finally:
        transport.close()
