"""Port of the transport: what a client needs of it, without the modules that it is made of.

Type checkers read every module that an annotation names. These names keep them from aiohttp, aiobotocore and botocore where
somebody only uses a client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from workspaces_apps._http.config import CallOptions, ClientIdentity, ConnectionSettings
    from workspaces_apps._model.models import Request, Result

ResultT = TypeVar("ResultT", bound="Result")


class TransportPort(Protocol):
    """The connections that a client and its views share; `Transport` says more of each method."""

    @property
    def is_open(self) -> bool:
        """Tell if there are connections that somebody must close."""
        ...

    async def open(self) -> None:
        """Resolve Region, endpoint and credentials, and make ready to call."""

    async def close(self) -> None:
        """Close every connection; calls under way fail."""

    async def identity(self) -> ClientIdentity:
        """Return the Region, endpoint and account that calls go to."""
        ...

    async def call(self, request: Request, result_type: type[ResultT], options: CallOptions) -> ResultT:
        """Call an operation."""
        ...

    async def poll_delay(self, operation: str, options: CallOptions) -> float:
        """Reserve a poll's turn in the share of the operation's rate that polls may take."""
        ...


def make_transport(settings: ConnectionSettings) -> TransportPort:
    """Return a transport that is not open yet; the first one imports aiobotocore and pydantic."""
    from workspaces_apps._http.transport import Transport

    return Transport(settings)
