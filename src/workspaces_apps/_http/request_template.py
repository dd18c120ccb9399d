"""The part of a request that aiobotocore works out for every call anew and that is always the same: endpoint and frame.

The endpoint rules of the service ask for the Region, FIPS, dual stack and the endpoint that was set, all of which a
client has once and for all [seen]; and what differs between two requests of an operation is written by us. So the
first call of an operation tells all there is to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import OperationModel

RESOLVE: Final = "_resolve_endpoint_ruleset"
FRAME: Final = "_convert_to_request_dict"

_TOLD: Final = frozenset({"api_params", "operation_model", "endpoint_url", "context", "headers"})
"""What aiobotocore says of a request to have it framed; where it says something else, nothing is remembered."""


@dataclass(frozen=True, slots=True)
class _Route:
    """An operation's answer from the endpoint rules, and its request without the body."""

    resolved: object
    frame: dict[str, Any]


class Routes:
    """Stands in for two methods of a client of aiobotocore's, which have no public names.

    Tests hold what is taken for granted of them; where one is missing, the client stays as it is.
    """

    def __init__(self, client: Any, is_open: Callable[[str, str], bool]) -> None:
        """Stand in from now on.

        Args:
            client: The client.
            is_open: Whether nobody wants a say in the calls of an operation to a URL.
        """
        self._is_open = is_open
        self._known: dict[str, _Route] = {}
        self._resolve = getattr(client, RESOLVE, None)
        self._frame = getattr(client, FRAME, None)
        if self._resolve is not None and self._frame is not None:
            setattr(client, RESOLVE, self.resolve)
            setattr(client, FRAME, self.frame)

    async def resolve(self, operation_model: OperationModel, *rest: Any, **options: Any) -> Any:
        """Resolve the endpoint of a request, its headers and its properties."""
        known = self._known.get(operation_model.name)
        if known is not None:
            return known.resolved
        assert self._resolve is not None
        return await self._resolve(operation_model, *rest, **options)

    async def frame(self, **told: Any) -> dict[str, Any]:
        """The request as a dictionary, all but its body."""
        operation: str = told["operation_model"].name
        known = self._known.get(operation)
        if known is not None:
            frame = known.frame
            return {**frame, "headers": {**frame["headers"]}, "context": told["context"]}
        assert self._frame is not None
        found: dict[str, Any] = await self._frame(**told)
        if told.keys() == _TOLD and self._is_open(operation, found["url"]):
            properties: dict[str, object] = {}
            resolved = (told["endpoint_url"], told["headers"], properties)
            frame = {**found, "headers": dict(found["headers"]), "context": None}
            self._known[operation] = _Route(resolved, frame)
        return found
