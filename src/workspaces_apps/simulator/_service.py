"""One request in, one reply out: protocol, signature, faults, throttle, validation, handler, in that order."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Final, Literal, TypeAlias

from workspaces_apps._base.public import public
from workspaces_apps.simulator import _authentication as identity
from workspaces_apps.simulator._arguments import check_kind, check_number
from workspaces_apps.simulator._authentication import CredentialStore, Identity, RequestHeaders
from workspaces_apps.simulator._clocks import Activity, SimulatorClock
from workspaces_apps.simulator._faults import (
    Fault,
    FaultKind,
    Faults,
    with_control_characters,
    with_empty_page,
    with_surrogate_places,
    with_unknown_enum,
    with_unknown_field,
    with_unpaired_surrogate,
)
from workspaces_apps.simulator._model import ServiceModel, check_operations, service_model
from workspaces_apps.simulator._operations import OPERATIONS, Call
from workspaces_apps.simulator._operations import tags as tagging
from workspaces_apps.simulator._operations.call import Family
from workspaces_apps.simulator._protocols import AWS_JSON, Codec, Form, error_body, form_of, operation_of
from workspaces_apps.simulator._recorder import Recorder
from workspaces_apps.simulator._settings import SimulatorSettings
from workspaces_apps.simulator._state import Accounts, RegionStore
from workspaces_apps.simulator._transitions import Transitions
from workspaces_apps.simulator._wire import (
    CONTENT_TYPE,
    ApiError,
    JsonObject,
    Parameters,
    parse,
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
    headers: RequestHeaders
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        status: The HTTP status.
        body: The body.
        content_type: Its type.
        request_id: For the header; None leaves it out.
        cut: The connection breaks: before any byte, or in the middle of the body.
        headers: Further headers.
    """

    status: int
    body: bytes
    content_type: str = CONTENT_TYPE
    request_id: str | None = None
    cut: Cut | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class _Served:
    """A service that is answered for, as far as it is."""

    model: ServiceModel
    codec: Codec
    operations: Family
    is_whole: bool


_NEIGHBOURS: Final[Mapping[str, Family]] = {tagging.SERVICE: tagging.TAGGING}
"""Parts of other services, by botocore's name; over awsJson only."""


class _Trace:
    """The facts known of a request so far, for its record."""

    __slots__ = ("account_id", "error", "fault", "form", "operation", "region")

    def __init__(self, form: Form) -> None:
        self.form: Form = form
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
        accounts: Accounts,
        settings: SimulatorSettings,
        clock: SimulatorClock,
        activity: Activity,
        keys: CredentialStore,
        faults: Faults,
        throttler: Throttler,
        recorder: Recorder,
        home: Identity,
        verify_signatures: bool,
        seed: int,
    ) -> None:
        self._accounts = accounts
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
        self._served: dict[str, _Served] = {
            model.target_prefix: _Served(model, Codec(model), OPERATIONS, is_whole=True)
        }
        for name, operations in _NEIGHBOURS.items():
            neighbour = service_model(name)
            self._served[neighbour.target_prefix] = _Served(
                neighbour, Codec(neighbour), operations, is_whole=False
            )

    def settled_store(self, account_id: str, region: str) -> RegionStore:
        """Return a store with everything carried out that was due."""
        with self._accounts.lock:
            now = self._clock.timestamp()
            store = self._accounts.store(account_id, region, now)
            self._transitions.settle(store, now)
            return store

    async def answer(self, incoming: Incoming) -> Reply:
        """Deal with one request, and record it."""
        trace = _Trace(form_of(incoming.headers))
        began = self._clock.timestamp()
        request_id = self._request_id()
        if identity.is_asked(incoming.method, incoming.path, incoming.headers):
            reply = self._identify_caller(incoming, trace, request_id)
        else:
            try:
                reply = await self._answer(incoming, trace, request_id)
            except ApiError as error:
                reply = self._refuse(error, trace, request_id)
        self.record(incoming, reply, began, request_id, trace)
        return reply

    def refuse(self, incoming: Incoming, error: ApiError) -> Reply:
        """Turn away a request that could not even be read."""
        trace = _Trace(form_of(incoming.headers))
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
            protocol=trace.form.name,
            request=incoming.body,
            answer=b"" if reply.cut == "reset" else reply.body,
        )

    async def _answer(self, incoming: Incoming, trace: _Trace, request_id: str) -> Reply:
        prefix, name = operation_of(incoming.method, incoming.path, incoming.headers)
        served = self._served.get(prefix)
        handler = served.operations.get(name) if served is not None else None
        if served is None or handler is None or not (served.is_whole or trace.form is AWS_JSON):
            raise unknown_operation()
        trace.operation = name
        caller = self._identify(served.model.signing_name, incoming)
        trace.account_id, trace.region = caller.account_id, caller.region
        faults: list[Fault] = []
        if len(self._faults):
            faults = self._faults.for_request(name, _peek(served, trace.form, name, incoming.body))
        early = await self._before(faults, trace, request_id)
        if early is not None:
            return early
        self._throttler.admit(caller.account_id, caller.region, name, self._clock.monotonic())
        request = served.model.validate(name, served.codec.read(trace.form, name, incoming.body))
        with self._accounts.lock:
            # Read here: another thread may have moved the clock, and the store with it, while this one waited.
            now = self._clock.timestamp()
            store = self._accounts.store(caller.account_id, caller.region, now)
            self._transitions.settle(store, now)
            call = Call(name, now, store, self._accounts, self._settings, self._faults, self._transitions)
            answer = handler(call, Parameters(request))
        if not faults:
            return self._reply(trace.form, served.codec.write(trace.form, name, answer), request_id)
        if isinstance(answer, bytes):
            answer = parse(answer)
        return await self._after(faults, served, trace.form, call, request, answer, request_id)

    def _reply(
        self, form: Form, body: bytes, request_id: str | None, *, status: int = 200, cut: Cut | None = None
    ) -> Reply:
        return Reply(status, body, form.content_type, request_id, cut, form.headers)

    def _identify_caller(self, incoming: Incoming, trace: _Trace, request_id: str) -> Reply:
        try:
            trace.operation = identity.action_of(incoming.body)
            caller = self._identify(identity.SIGNING_NAME, incoming)
        except ApiError as error:
            trace.error = error.code
            body = identity.refusal(error, request_id)
            return Reply(error.status, body, identity.CONTENT_TYPE, request_id)
        trace.account_id, trace.region = caller.account_id, caller.region
        body = identity.answer(caller, caller.access_key_id, request_id)
        return Reply(200, body, identity.CONTENT_TYPE, request_id)

    def _identify(self, signing_name: str, incoming: Incoming) -> Identity:
        if not self._verify:
            return self._keys.guess(incoming.headers, self._home.account_id, self._home.region)
        return self._keys.verify(
            signing_name,
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
        served: _Served,
        form: Form,
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
            return self._reply(form, b"", request_id, cut="reset")
        if "not_json" in kinds:
            return Reply(200, _PAGE.format(title="It works!").encode(), "text/html", request_id)
        answer = self._mutate(kinds, served.model, call, request, answer)
        body = served.codec.write(form, call.operation, answer)
        if "unpaired_surrogate" in kinds:
            body = with_unpaired_surrogate(body)
        return self._reply(
            form,
            body,
            None if "no_request_id" in kinds else request_id,
            cut="truncated" if "truncated" in kinds else None,
        )

    def _mutate(
        self,
        kinds: set[FaultKind],
        model: ServiceModel,
        call: Call,
        request: JsonObject,
        answer: JsonObject,
    ) -> JsonObject:
        token = request.get("NextToken")
        output = model.operations[call.operation].output_shape
        if "repeated_token" in kinds and isinstance(token, str):
            answer = {**answer, "NextToken": token}
        if "empty_page" in kinds and "NextToken" in model.member_shapes(output or ""):
            answer = with_empty_page(answer, call.store.pager.renew(call.operation, request, call.now))
        if "unknown_enum" in kinds:
            answer = with_unknown_enum(model, output, answer)
        if "unknown_field" in kinds:
            answer = with_unknown_field(answer)
        if "control_characters" in kinds:
            answer = with_control_characters(model, output, answer)
        if "unpaired_surrogate" in kinds:
            answer = with_surrogate_places(model, output, answer)
        return answer

    async def _pause(self, seconds: float) -> None:
        # Somebody who waits for simulated time must not keep a manual clock from moving.
        self._activity.end()
        try:
            await self._clock.sleep(seconds)
        finally:
            self._activity.begin()

    def _refuse(self, error: ApiError, trace: _Trace, request_id: str) -> Reply:
        trace.error = error.code
        return self._reply(trace.form, error_body(trace.form, error), request_id, status=error.status)

    def _request_id(self) -> str:
        digits = f"{self._source.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _peek(served: _Served, form: Form, operation: str, body: bytes) -> JsonObject:
    try:
        return served.codec.read(form, operation, body)
    except ApiError:
        return {}


@public("workspaces_apps.simulator")
@dataclass(frozen=True, slots=True)
class Rate:
    """The rate at which a bucket fills, in requests per second, and its capacity.

    Examples:
        >>> from workspaces_apps.simulator import Rate, Throttle
        >>> throttle = Throttle(operations={"DescribeWorkspaces": Rate(per_second=10, burst=20)})
    """

    per_second: float
    burst: float

    def __post_init__(self) -> None:
        check_number("per_second", self.per_second)
        check_number("burst", self.burst, least=1)


@public("workspaces_apps.simulator")
@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """The rates a simulator enforces. AWS publishes none: 2 per second with a burst of 5 is assumed.

    Raises:
        ConfigurationError: There is no such operation, or something else than a `Rate` is given as one.

    Examples:
        >>> from workspaces_apps.simulator import Simulator, Throttle
        >>> strict = Simulator(throttle=Throttle.at(0.5, burst=1))
        >>> unlimited = Simulator(throttle=Throttle.off())
    """

    default: Rate | None = Rate(2.0, 5.0)
    """For every operation without a rate of its own; None: unlimited."""
    operations: Mapping[str, Rate | None] = field(default_factory=dict[str, "Rate | None"])
    """Rates by operation; None: that operation is unlimited."""

    def __post_init__(self) -> None:
        check_kind("operations", self.operations, Mapping, "a mapping from operations to rates")
        if self.operations:
            check_operations(self.operations)
        for name, rate in {"default": self.default, **self.operations}.items():
            check_kind(name, rate, (Rate, NoneType), "a Rate, such as Rate(per_second=2, burst=5), or None")

    @classmethod
    def off(cls) -> Throttle:
        """Return a throttle without limits."""
        return cls(default=None)

    @classmethod
    def at(cls, per_second: float, burst: float = 5.0) -> Throttle:
        """Return a throttle with one rate for every operation."""
        return cls(default=Rate(per_second, burst))

    def rate(self, operation: str) -> Rate | None:
        """Return the rate that holds for an operation."""
        return self.operations.get(operation, self.default)


class _Bucket:
    __slots__ = ("at", "tokens")

    def __init__(self, tokens: float, at: float) -> None:
        self.tokens = tokens
        self.at = at


class Throttler:
    """The buckets behind a `Throttle`."""

    def __init__(self, throttle: Throttle) -> None:
        self.throttle = throttle
        self._buckets: dict[tuple[str, str, str], _Bucket] = {}

    def admit(self, account_id: str, region: str, operation: str, now: float) -> None:
        """Take one request from its bucket.

        Args:
            account_id: Whose bucket.
            region: The bucket's Region.
            operation: The bucket's operation.
            now: Simulated seconds.

        Raises:
            ApiError: ThrottlingException, "Rate exceeded": the bucket is empty.
        """
        rate = self.throttle.rate(operation)
        if rate is None:
            return
        key = (account_id, region, operation)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(rate.burst, now)
        bucket.tokens = min(rate.burst, bucket.tokens + max(0.0, now - bucket.at) * rate.per_second)
        bucket.at = now
        if bucket.tokens < 1:
            raise throttled()
        bucket.tokens -= 1


def throttled() -> ApiError:
    """Return the answer to a request too many: a code that is not in the model [field][seen]."""
    return ApiError("ThrottlingException", "Rate exceeded")
