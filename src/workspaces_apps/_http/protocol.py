"""The protocol that calls are made in: awsJson 1.1, whatever botocore's model of the service would rather have.

Bodies are written and read by this package, as JSON. A client of aiobotocore's that framed them for another protocol
would send them to another path under another content type, so the model that it goes by is pinned. [seen: botocore from
1.44.4 on lists `smithy-rpc-v2-cbor` before `json`]
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from aiobotocore.parsers import create_parser
from botocore.model import ServiceModel
from botocore.serialize import create_serializer

from workspaces_apps._http.session import SERVICE

if TYPE_CHECKING:
    from collections.abc import Generator

    from aiobotocore.session import AioSession

PROTOCOL: Final = "json"

_METADATA: Final = {
    "protocol": PROTOCOL,
    "protocols": [PROTOCOL],
    "jsonVersion": "1.1",
    "targetPrefix": "WorkspacesService",
}
"""What makes a service model one of awsJson 1.1."""


class _Pinned:
    """A base of aiobotocore's client class that corrects what the client is made of."""

    def __init__(self, **parts: Any) -> None:
        model: ServiceModel = parts["service_model"]
        if any(model.metadata.get(name) != value for name, value in _METADATA.items()):
            # The loader has it by now. It is shared with other clients, so a copy is changed.
            described = parts["loader"].load_service_model(SERVICE, "service-2", model.api_version)
            metadata = {**described["metadata"], **_METADATA}
            parts["service_model"] = ServiceModel({**described, "metadata": metadata}, SERVICE)
            parts["serializer"] = create_serializer(PROTOCOL, include_validation=False)
            parts["response_parser"] = create_parser(PROTOCOL)
        super().__init__(**parts)


@contextmanager
def pinned_protocol(session: AioSession) -> Generator[None]:
    """Pin the protocol of the clients of the service that the session creates meanwhile."""
    event = f"creating-client-class.{SERVICE}"

    def add_base(*, base_classes: list[type], **_: object) -> None:
        if _Pinned not in base_classes:
            base_classes.insert(0, _Pinned)

    # The stubs take no handler that names what it wants of an event.
    events: Any = session
    events.register(event, add_base)
    try:
        yield
    finally:
        events.unregister(event, add_base)
