"""Every request the simulator got, for tests to ask about."""

import collections
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from workspaces_apps._base.public import Datetime, public
from workspaces_apps.simulator._model import check_operations
from workspaces_apps.simulator._protocols import ProtocolName, decode, to_json
from workspaces_apps.simulator._wire import ApiError, JsonObject, JsonValue

_RECORDS = 200_000
_BODY_BYTES = 32 * 1024 * 1024


class Bodies:
    """The newest bodies, within a budget of bytes."""

    def __init__(self, budget: int = _BODY_BYTES) -> None:
        self._budget = budget
        self._size = 0
        self._kept: collections.OrderedDict[int, tuple[bytes, bytes]] = collections.OrderedDict()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Records of requests can be response models; bodies stay here.
        return core_schema.is_instance_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        return {}

    def keep(self, number: int, request: bytes, answer: bytes) -> None:
        """Keep both bodies of a request, and let go of the oldest."""
        self._kept[number] = (request, answer)
        self._size += len(request) + len(answer)
        while self._size > self._budget:
            _, (old_request, old_answer) = self._kept.popitem(last=False)
            self._size -= len(old_request) + len(old_answer)

    def get(self, number: int, which: int) -> bytes | None:
        """Return one of a request's bodies: 0 its own, 1 the answer's."""
        kept = self._kept.get(number)
        return None if kept is None else kept[which]


@public("workspaces_apps.simulator")
@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request and its answer."""

    number: int
    """1 for the first request."""
    operation: str | None
    """The API operation, or None if the target named none."""
    at: Datetime
    """Simulated time when it came."""
    account_id: str | None
    """The account that asked; None if that was never established."""
    region: str | None
    """For which Region."""
    status: int | None
    """The answer's HTTP status; None if the connection was cut instead."""
    error: str | None
    """The answer's error code."""
    request_id: str
    """The answer's request id."""
    attempt: str | None
    """The `amz-sdk-request` header, such as ``attempt=2; max=5``."""
    invocation: str | None
    """The `amz-sdk-invocation-id` header."""
    user_agent: str | None
    """The `User-Agent` header."""
    fault: str | None
    """The kind of the fault that was put into this request."""
    protocol: ProtocolName
    """``json`` or ``cbor``."""
    _bodies: Annotated[Bodies, Field(exclude=True)] = field(default_factory=Bodies, repr=False, compare=False)

    @property
    def parameters(self) -> JsonObject | None:
        """The request as JSON has it; None if it was no object, or is too long ago."""
        return _parse(self._bodies.get(self.number, 0), self.protocol)

    @property
    def answer(self) -> JsonObject | None:
        """The answer as JSON has it; None if it was no object, or is too long ago."""
        return _parse(self._bodies.get(self.number, 1), self.protocol)


@public("workspaces_apps.simulator")
class Recorder:
    """The requests, oldest first. Counts are exact; of very long runs only the newest records are kept."""

    def __init__(self) -> None:
        self._records: collections.deque[RequestRecord] = collections.deque(maxlen=_RECORDS)
        self._counts: collections.Counter[str] = collections.Counter()
        self._bodies = Bodies()
        self._number = 0
        # The service may run in another thread than whoever asks, and record meanwhile.
        self._lock = threading.Lock()

    def add(
        self,
        *,
        operation: str | None,
        at: float,
        account_id: str | None,
        region: str | None,
        status: int | None,
        error: str | None,
        request_id: str,
        attempt: str | None,
        invocation: str | None,
        user_agent: str | None,
        fault: str | None,
        protocol: ProtocolName,
        request: bytes,
        answer: bytes,
    ) -> None:
        """Record a request that was dealt with."""
        with self._lock:
            self._number += 1
            self._bodies.keep(self._number, request, answer)
            self._counts[operation or ""] += 1
            self._records.append(
                RequestRecord(
                    number=self._number,
                    operation=operation,
                    at=datetime.fromtimestamp(at, UTC),
                    account_id=account_id,
                    region=region,
                    status=status,
                    error=error,
                    request_id=request_id,
                    attempt=attempt,
                    invocation=invocation,
                    user_agent=user_agent,
                    fault=fault,
                    protocol=protocol,
                    _bodies=self._bodies,
                )
            )

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(self._copy())

    def _copy(self) -> tuple[RequestRecord, ...]:
        with self._lock:
            return tuple(self._records)

    @property
    def counts(self) -> dict[str, int]:
        """The number of requests by operation; of those that named none under the empty text."""
        with self._lock:
            return dict(self._counts)

    def count(
        self, operation: str | None = None, *, error: str | None = None, succeeded: bool | None = None
    ) -> int:
        """Count the requests.

        Args:
            operation: Only of this operation.
            error: Only those answered with this code.
            succeeded: Only those that were answered with success (True) or were not (False).

        Raises:
            ConfigurationError: There is no such operation.
        """
        if error is None and succeeded is None:
            if operation is None:
                return self._number
            check_operations([operation])
            return self._counts[operation]
        return len(self.select(operation, error=error, succeeded=succeeded))

    def select(
        self, operation: str | None = None, *, error: str | None = None, succeeded: bool | None = None
    ) -> tuple[RequestRecord, ...]:
        """Return the requests that fit, oldest first; the arguments are those of `count`, as is what is raised."""
        if operation is not None:
            check_operations([operation])
        return tuple(
            record
            for record in self
            if (operation is None or record.operation == operation)
            and (error is None or record.error == error)
            and (succeeded is None or (record.status == 200) == succeeded)
        )

    def last(self, operation: str | None = None) -> RequestRecord | None:
        """Return the newest request, of an operation if one is named.

        Raises:
            ConfigurationError: There is no such operation.
        """
        if operation is not None:
            check_operations([operation])
        for record in reversed(self._copy()):
            if operation is None or record.operation == operation:
                return record
        return None

    def clear(self) -> None:
        """Forget everything, counts included."""
        with self._lock:
            self._records.clear()
            self._counts.clear()
            self._bodies = Bodies()
            self._number = 0


def _parse(body: bytes | None, protocol: ProtocolName) -> JsonObject | None:
    if not body:
        return None
    try:
        value: JsonValue = to_json(decode(body)) if protocol == "cbor" else json.loads(body)
    except (ValueError, RecursionError, ApiError):
        return None
    return value if isinstance(value, dict) else None
