"""One request in, one reply out: target, signature, faults, throttle, validation, handler, in that order."""

import random
import threading
from dataclasses import dataclass
from typing import Literal, TypeAlias

from workspaces_apps.simulator.clocks import Activity, SimulatorClock
from workspaces_apps.simulator.faults import Fault, FaultKind, Faults
from workspaces_apps.simulator.model import ServiceModel
from workspaces_apps.simulator.mutations import with_empty_page, with_unknown_enum, with_unknown_field
from workspaces_apps.simulator.operations import OPERATIONS, Call, Handler
from workspaces_apps.simulator.recorder import Recorder
from workspaces_apps.simulator.settings import SimulatorSettings
from workspaces_apps.simulator.sigv4 import Headers, Identity, KeyRing
from workspaces_apps.simulator.state import RegionStore, World
from workspaces_apps.simulator.throttle import Throttler, throttled
from workspaces_apps.simulator.transitions import Transitions
from workspaces_apps.simulator.wire import (
    CONTENT_TYPE,
    ApiError,
    JsonObject,
    Parameters,
    decode_object,
    encode,
    unknown_operation,
)

Cut: TypeAlias = Literal["reset", "truncated"]
_PAGE = "<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came from the socket."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back.

    Attributes:
        status: The HTTP status.
        body: The body.
        content_type: Its type.
        request_id: For the header; None leaves it out.
        cut: The connection breaks: before any byte, or in the middle of the body.
    """

    status: int
    body: bytes
    content_type: str = CONTENT_TYPE
    request_id: str | None = None
    cut: Cut | None = None


class _Trace:
    """What is known of a request so far, for the record."""

    __slots__ = ("account_id", "error", "fault", "operation", "region")

    def __init__(self) -> None:
        self.operation: str | None = None
        self.account_id: str | None = None
        self.region: str | None = None
        self.error: str | None = None
        self.fault: str | None = None


class Service:
    """Answers requests, whatever carries them."""

    def __init__(
        self,
        *,
        model: ServiceModel,
        world: World,
        settings: SimulatorSettings,
        clock: SimulatorClock,
        activity: Activity,
        keys: KeyRing,
        faults: Faults,
        throttler: Throttler,
        recorder: Recorder,
        home: Identity,
        verify_signatures: bool,
        seed: int,
    ) -> None:
        self._model = model
        self._world = world
        self._settings = settings
        self._clock = clock
        self._activity = activity
        self._keys = keys
        self._faults = faults
        self._throttler = throttler
        self._recorder = recorder
        self._home = home
        self._verify = verify_signatures
        self._transitions = Transitions(settings, faults)
        self._source = random.Random(f"requests:{seed}")
        # A test looks into the fleet from its own thread while the simulator answers in another.
        self._lock = threading.RLock()
        self._targets: dict[str, tuple[str, Handler]] = {
            f"{model.target_prefix}.{name}": (name, handler) for name, handler in OPERATIONS.items()
        }

    def settled_store(self, account_id: str, region: str) -> RegionStore:
        """A store with everything carried out that was due."""
        with self._lock:
            now = self._clock.timestamp()
            store = self._world.store(account_id, region, now)
            self._transitions.settle(store, now)
            return store

    async def answer(self, incoming: Incoming) -> Reply:
        """Deal with one request, and record it."""
        trace = _Trace()
        began = self._clock.timestamp()
        request_id = self._request_id()
        try:
            reply = await self._answer(incoming, trace, request_id)
        except ApiError as error:
            reply = self._refuse(error, trace, request_id)
        self.record(incoming, reply, began, request_id, trace)
        return reply

    def refuse(self, incoming: Incoming, error: ApiError) -> Reply:
        """Turn away a request that could not even be read."""
        trace = _Trace()
        request_id = self._request_id()
        reply = self._refuse(error, trace, request_id)
        self.record(incoming, reply, self._clock.timestamp(), request_id, trace)
        return reply

    def record(self, incoming: Incoming, reply: Reply, began: float, request_id: str, trace: _Trace) -> None:
        """Write a request down."""
        headers = incoming.headers
        self._recorder.add(
            operation=trace.operation,
            at=began,
            account_id=trace.account_id,
            region=trace.region,
            status=None if reply.cut == "reset" else reply.status,
            error=trace.error,
            request_id=request_id,
            attempt=headers.get("amz-sdk-request"),
            invocation=headers.get("amz-sdk-invocation-id"),
            user_agent=headers.get("User-Agent"),
            fault=trace.fault,
            request=incoming.body,
            answer=b"" if reply.cut == "reset" else reply.body,
        )

    async def _answer(self, incoming: Incoming, trace: _Trace, request_id: str) -> Reply:
        found = self._targets.get(incoming.headers.get("X-Amz-Target") or "")
        if incoming.method != "POST" or incoming.path != "/" or found is None:
            raise unknown_operation()
        name, handler = found
        trace.operation = name
        identity = self._identify(incoming)
        trace.account_id, trace.region = identity.account_id, identity.region
        faults = self._faults.for_request(name, _peek(incoming.body)) if len(self._faults) else []
        early = await self._before(faults, trace, request_id)
        if early is not None:
            return early
        now = self._clock.timestamp()
        self._throttler.admit(identity.account_id, identity.region, name, now)
        request = self._model.validate(name, decode_object(incoming.body))
        with self._lock:
            store = self._world.store(identity.account_id, identity.region, now)
            self._transitions.settle(store, now)
            call = Call(name, now, store, self._world, self._settings, self._faults, self._transitions)
            answer = handler(call, Parameters(request))
        if not faults:
            body = answer if isinstance(answer, bytes) else encode(answer)
            return Reply(200, body, request_id=request_id)
        if isinstance(answer, bytes):
            answer = decode_object(answer)
        return await self._after(faults, call, request, answer, request_id)

    def _identify(self, incoming: Incoming) -> Identity:
        if not self._verify:
            return self._keys.guess(incoming.headers, self._home.account_id, self._home.region)
        return self._keys.verify(
            incoming.method,
            incoming.path,
            incoming.query,
            incoming.headers,
            incoming.body,
            self._clock.timestamp(),
        )

    async def _before(self, faults: list[Fault], trace: _Trace, request_id: str) -> Reply | None:
        for fault in faults:
            trace.fault = fault.kind
            match fault.kind:
                case "slow":
                    await self._pause(fault.delay)
                case "throttle":
                    raise throttled()
                case "error":
                    raise ApiError(fault.code, fault.message)
                case "internal_error":
                    raise ApiError("InternalServerException", fault.message, status=500)
                case "unavailable":
                    raise ApiError("ServiceUnavailableException", fault.message, status=503)
                case "unavailable_html":
                    page = _PAGE.format(title="503 Service Temporarily Unavailable")
                    return Reply(503, page.encode(), "text/html")
                case "reset_before":
                    return Reply(503, b"", request_id=request_id, cut="reset")
                case _:
                    pass
        return None

    async def _after(
        self,
        faults: list[Fault],
        call: Call,
        request: JsonObject,
        answer: JsonObject,
        request_id: str,
    ) -> Reply:
        kinds: set[FaultKind] = {fault.kind for fault in faults}
        for fault in faults:
            if fault.kind == "slow_after":
                await self._pause(fault.delay)
        if "reset_after" in kinds:
            return Reply(200, b"", request_id=request_id, cut="reset")
        if "not_json" in kinds:
            return Reply(200, _PAGE.format(title="It works!").encode(), "text/html", request_id)
        answer = self._mutate(kinds, call, request, answer)
        return Reply(
            200,
            encode(answer),
            request_id=None if "no_request_id" in kinds else request_id,
            cut="truncated" if "truncated" in kinds else None,
        )

    def _mutate(
        self, kinds: set[FaultKind], call: Call, request: JsonObject, answer: JsonObject
    ) -> JsonObject:
        token = request.get("NextToken")
        if "repeated_token" in kinds and isinstance(token, str):
            answer = {**answer, "NextToken": token}
        if "empty_page" in kinds and "NextToken" in self._members(call.operation):
            answer = with_empty_page(answer, call.store.pager.renew(call.operation, request, call.now))
        if "unknown_enum" in kinds:
            answer = with_unknown_enum(self._model, self._output(call.operation), answer)
        if "unknown_field" in kinds:
            answer = with_unknown_field(answer)
        return answer

    def _output(self, operation: str) -> str | None:
        return self._model.operations[operation].output_shape

    def _members(self, operation: str) -> dict[str, str]:
        return self._model.member_shapes(self._output(operation) or "")

    async def _pause(self, seconds: float) -> None:
        # Somebody who waits for simulated time must not keep a manual clock from moving.
        self._activity.end()
        try:
            await self._clock.sleep(seconds)
        finally:
            self._activity.begin()

    def _refuse(self, error: ApiError, trace: _Trace, request_id: str) -> Reply:
        trace.error = error.code
        return Reply(error.status, encode(error.body()), request_id=request_id)

    def _request_id(self) -> str:
        digits = f"{self._source.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _peek(body: bytes) -> JsonObject:
    try:
        return decode_object(body)
    except ApiError:
        return {}
