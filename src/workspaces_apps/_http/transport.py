"""One call: a request model in, a result model out, with pacing, retries and a deadline around each call."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

from workspaces_apps._base.clock import start_detached, timeout, to_seconds
from workspaces_apps._base.credentials import AssumeRole, Credentials, StaticProvider
from workspaces_apps._http.config import ClientIdentity, custom_endpoint
from workspaces_apps._http.connection import Connection, HttpCall, open_connection, resolve_region
from workspaces_apps._http.session import make_session
from workspaces_apps._http.signing import ProviderLoader, RefreshingSource
from workspaces_apps._model.models import Request, ResponseMeta, Result
from workspaces_apps._model.validation import body_of
from workspaces_apps._pacing import PacingKey
from workspaces_apps._retry import (
    CLOCK_SKEW_CODES,
    EXPIRED_CREDENTIALS_CODES,
    FailureKind,
    Resolution,
    Resolved,
    RetryBudget,
    RetryBudgetPolicy,
    is_out_of_date,
    may_have_arrived,
    outcome_unknown,
    report_failure,
    rule_for,
    run_attempts,
)
from workspaces_apps._telemetry.port import load, notify
from workspaces_apps.errors import (
    ClientStateError,
    DeadlineExceededError,
    ServiceError,
    ThrottlingException,
    TransportError,
    WorkSpacesError,
    lost_credentials,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from aiobotocore.session import AioSession

    from workspaces_apps._base.clock import Clock, Timeout
    from workspaces_apps._base.credentials import CredentialsProvider
    from workspaces_apps._http.config import CallOptions, ConnectionSettings
    from workspaces_apps._http.signing import CredentialsSource
    from workspaces_apps._pacing import Permit, RateLimiter
    from workspaces_apps._telemetry.port import Attributes, CallTrace, MetricName, RefreshRecord

ResultT = TypeVar("ResultT", bound=Result)
AnswerT = TypeVar("AnswerT", bound=Result)


_NOTHING: Final = nullcontext()

_REMEDIES: Final = (EXPIRED_CREDENTIALS_CODES, CLOCK_SKEW_CODES)
"""By the codes that ask for it: what is put right at most once an attempt, and then sent again."""


@dataclass(slots=True, eq=False)
class _Call(Generic[ResultT]):
    """One call: what is asked for, and how far it has come, which the error of its deadline tells.

    Attributes:
        transport: Whose connections it uses.
        request: What is sent.
        result_type: What its answer is.
        options: Retry, pacing, hooks and guard of this call.
        deadline: When it must have ended, in seconds of the clock's `monotonic`; None for never.
        attempts: How many were begun.
        attempt_began: When the one under way was; None between them.
        request_sent: Whether any request has left this machine; None for unknown.
        last: What the last attempt failed with.
        arrived: Whether an attempt before the one that the guard was asked for last may have arrived.
        open: Whether a request may have been carried out, and nothing has shown yet what became of it.
        trace: Is told of the call's steps; None without telemetry.
    """

    transport: Transport
    request: Request
    result_type: type[ResultT]
    options: CallOptions
    trace: CallTrace | None = None
    deadline: float | None = None
    attempts: int = field(default=0, init=False)
    attempt_began: float | None = field(default=None, init=False)
    request_sent: bool | None = field(default=False, init=False)
    last: WorkSpacesError | None = field(default=None, init=False)
    arrived: bool = field(default=False, init=False)
    open: bool = field(default=False, init=False)
    _began: float = field(default=0.0, init=False)
    _body: bytes = field(default=b"", init=False)
    _connection: Connection = field(init=False)
    _pacer: RateLimiter = field(init=False)

    async def run(self) -> ResultT:
        """Make it, attempt after attempt."""
        transport, request, options = self.transport, self.request, self.options
        settings, operation = transport.settings, request.facts.name
        clock = settings.clock
        self._began = clock.monotonic()
        self._connection, account = await transport.connection()
        if self.trace is not None:
            self.trace.goes_to(self._connection.endpoint, self._connection.region)
        key = PacingKey(self._connection.endpoint, self._connection.region, account, operation)
        self._pacer = settings.config.pacing_registry.pacer(key, options.pacing, clock)
        self._body = body_of(request)
        try:
            return await run_attempts(
                self.attempt,
                operation=operation,
                policy=options.retry,
                budget=transport.budget(options.retry.budget),
                clock=transport.waking_clock,
                random=settings.config.random,
                hooks=options.hooks,
                trace=self.trace,
                remaining=self._remaining,
                absorbed=self._absorbed,
                look=self._look,
                response_info=_facts_of,
                rate=self._rate,
            )
        except WorkSpacesError as error:
            error.ids = _ids_of(request)
            raise

    async def attempt(self, number: int) -> ResultT:
        """Make one attempt; once more each if only credentials or the clock were out of date.

        Args:
            number: Its number, from 1.
        """
        clock = self.transport.settings.clock
        self.attempts, self.attempt_began = number, clock.monotonic()
        http_call = HttpCall(operation=self.request.facts.name, body=self._body, result_type=self.result_type)
        remedies: tuple[frozenset[str], ...] = _REMEDIES
        while True:
            try:
                result = await self._send(http_call)
            except ServiceError as error:
                others = tuple(codes for codes in remedies if error.code not in codes)
                if others != remedies and await self._recovered(http_call, error):
                    remedies = others
                    continue
                if lost_credentials(error):
                    advice = self._connection.signer.advice
                    error.add_note(
                        f"The service rejected the AWS credentials{f': {advice}' if advice else ''}"
                    )
                self.last, self.attempt_began = error, None
                raise
            except WorkSpacesError as error:
                self.last, self.attempt_began = error, None
                raise
            break
        meta = ResponseMeta(
            request_id=http_call.request_id,
            http_status=http_call.http_status or 200,
            headers=http_call.headers,
            attempts=number,
            elapsed=timedelta(seconds=clock.monotonic() - self._began),
        )
        return result.with_meta(meta)

    async def _recovered(self, http_call: HttpCall[ResultT], error: ServiceError) -> bool:
        try:
            return await _recovered(self._connection, http_call, error)
        except WorkSpacesError as failure:
            self.last, self.attempt_began = failure, None
            raise

    async def _send(self, http_call: HttpCall[ResultT]) -> ResultT:
        """Wait for a turn and a connection, and send one request."""
        transport, options = self.transport, self.options
        permit = await self._admitted()
        try:
            try:
                transport.check_state()
                guard = None
                if options.guard is not None:
                    # After the permit, and so after what may take minutes.
                    self.arrived |= self.open
                    guard = partial(_ask, partial(options.guard, self.arrived), permit)
                    guard()
                self.request_sent, self.open = None, True
                with _NOTHING if self.trace is None else self.trace.attempt():
                    result = await self._connection.send(http_call, guard)
            finally:
                transport.slots.release()
        except ServiceError as error:
            self.open = may_have_arrived(error)
            if isinstance(error, ThrottlingException) or options.retry.kind_of(error) is FailureKind.THROTTLE:
                permit.throttled()
            elif error.http_status is not None and error.http_status < 500:
                # A refusal for another reason shows that the rate was not objected to.
                permit.succeeded()
            raise
        except TransportError as error:
            self.open = may_have_arrived(error)
            if transport.closed:
                message = "the client was closed while the call was under way"
                raise ClientStateError(
                    self.told_what_is_open(message), operation=http_call.operation
                ) from error
            raise
        else:
            permit.succeeded()
            return result
        finally:
            permit.close()

    async def _admitted(self) -> Permit:
        """Wait for a turn and for one of the transport's slots, which the caller has to release both.

        Turns that come while there is no slot are given back: kept, they would all be used at once later.
        """
        transport, pacer = self.transport, self._pacer
        if pacer not in transport.queues:
            permit = pacer.try_acquire() or await self._turn()
            if pacer not in transport.queues and not transport.slots.locked():
                await transport.slots.acquire()
                return permit
            permit.unused()
        if self.deadline is not None:
            pacer.refuse_late(self.deadline, transport.queued(pacer))
        # One call at a time, so that the slots are shared by the operations whatever the number of their calls.
        async with transport.first_of(pacer):
            permit = pacer.try_acquire() or await self._turn()
            try:
                await transport.slots.acquire()
            except BaseException:
                permit.unused()
                raise
            pacer.renew(permit)
            return permit

    async def _turn(self) -> Permit:
        transport = self.transport
        with _NOTHING if self.trace is None else self.trace.queued():
            async with transport.waiting():
                return await self._pacer.acquire(clock=transport.settings.clock, deadline=self.deadline)

    async def _look(self, _: WorkSpacesError) -> Resolved[ResultT] | Resolution:
        """Ask the service what became of the request."""
        from workspaces_apps._http.recovery import resolve_outcome

        async def ask(question: Request, answer: type[AnswerT], /) -> AnswerT:
            # A read needs no leave.
            options = self.options._replace(guard=None)
            return await _Call(
                self.transport, question, answer, options, trace=self.trace, deadline=self.deadline
            ).run()

        found = await resolve_outcome(self.request, self.result_type, ask)
        if isinstance(found, Resolved):
            # Of the look's answer, but of the call that it settles.
            elapsed = timedelta(seconds=self.transport.settings.clock.monotonic() - self._began)
            meta = replace(found.result.meta, attempts=self.attempts, elapsed=elapsed)
            return Resolved(found.result.with_meta(meta))
        if found is Resolution.REPEAT:
            self.open = False
        return found

    def _remaining(self) -> float | None:
        return None if self.deadline is None else self.deadline - self.transport.settings.clock.monotonic()

    def _absorbed(self, _: WorkSpacesError) -> bool:
        return self._pacer.adapts_to_throttling

    def _rate(self) -> float | None:
        return self._pacer.rate

    def told_what_is_open(self, message: str) -> str:
        """Return the message of a call that was broken off, with what to look up where its outcome is unknown."""
        operation = self.request.facts.name
        if not self.open or rule_for(operation).repeatable:
            return message
        return f"{message} [{outcome_unknown(operation)}]"


def _facts_of(result: Result) -> tuple[str | None, int | None]:
    return result.meta.request_id, result.meta.http_status


class Transport:
    """The connections that a client and its views share; belongs to the event loop that opened it.

    Attributes:
        settings: Whom the client calls, and how.
        slots: As many as there may be connections.
        queues: What calls of one pacer queue for while there is no slot, where there are such calls, and their number.
        waking_clock: The client's clock, whose sleepers wake when the client is closed.
        closed: Whether it is.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        self.settings = settings
        self._loop = asyncio.get_running_loop()
        self.slots = asyncio.Semaphore(settings.config.max_connections)
        self.queues: dict[RateLimiter, tuple[asyncio.Lock, int]] = {}
        self._budgets: dict[RetryBudgetPolicy, RetryBudget] = {}
        self._opening: asyncio.Task[tuple[Connection, str]] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._waits: set[Timeout] = set()
        self.waking_clock = _WakingClock(settings.clock, self)
        self.closed = False
        self._session: AioSession | None = None
        self._account: str | None = None
        self._telemetry = load(enabled=settings.config.telemetry)
        if self._telemetry is not None:
            self._telemetry.watch(self)
            self._telemetry.watch(settings.config.pacing_registry)

    @property
    def is_open(self) -> bool:
        """Tell if there are connections that somebody must close."""
        opening = self._opening
        if self.closed or opening is None or not opening.done() or opening.cancelled():
            return False
        return opening.exception() is None

    async def open(self) -> None:
        """Resolve Region, endpoint and credentials, and make ready to call.

        Raises:
            DeadlineExceededError: That took longer than the `timeout` of the configuration.
        """
        limit = self.settings.config.timeout
        if limit is None:
            await self.connection()
            return
        seconds = to_seconds(limit, "timeout", positive=True)
        scope = timeout(self.settings.clock, seconds)
        try:
            async with scope:
                await self.connection()
        except TimeoutError as error:
            if isinstance(error, WorkSpacesError) or not scope.expired():
                raise
            late = DeadlineExceededError(
                f"the client could not be opened within its timeout of {seconds:g} s: no credentials arrived in time"
            )
            late.request_sent = False
            raise late from None

    async def identity(self) -> ClientIdentity:
        """Return whose fleet the calls read and change; STS is asked once, where the credentials do not say it.

        Raises:
            WorkSpacesError: As for a call: the client cannot be opened.
        """
        connection, _ = await self.connection()
        credentials = await connection.signer.credentials()
        endpoint = custom_endpoint(connection.endpoint)
        if self._account is None and self._session is not None:
            from workspaces_apps._http.credentials import STS_RETRY, ConfiguredSession, Repeater, account_of

            settings = self.settings
            repeater = Repeater(policy=STS_RETRY, clock=settings.clock, random=settings.config.random)
            self._account = await account_of(
                credentials,
                ConfiguredSession(self._session, settings.config),
                repeater,
                region=connection.region,
                endpoint=endpoint,
            )
        return ClientIdentity(
            region=connection.region,
            account=self._account,
            endpoint=endpoint,
            access_key_id=credentials.access_key or "",
        )

    async def close(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """Close every connection; calls under way fail. It goes on to its end where the caller is cancelled.

        Args:
            before: Closes first what makes calls of its own.
        """
        if asyncio.get_running_loop() is not self._loop:
            raise ClientStateError("the client was opened on another event loop; close it there")
        if self._closing is None or self._closing.cancelled():
            self._closing = start_detached(partial(self._close, before), name="workspaces-apps closing")
        await asyncio.shield(self._closing)

    async def _close(self, before: Callable[[], Awaitable[None]] | None) -> None:
        if before is not None:
            await before()
        self.closed = True
        while self._waits:
            self._waits.pop().reschedule(0)
        opening = self._opening
        if opening is not None:
            opening.cancel()
            await asyncio.wait([opening])
            if not opening.cancelled() and opening.exception() is None:
                await opening.result()[0].close()
            self._opening = None

    async def call(self, request: Request, result_type: type[ResultT], options: CallOptions) -> ResultT:
        """Call an operation.

        Args:
            request: What to send; checked already.
            result_type: What its answer is.
            options: Retry, pacing, timeout and hooks of this call.
        """
        call = _Call(self, request, result_type, options)
        if self._telemetry is None:
            return await self._bounded(call)
        with self._telemetry.call(request.facts.name) as call.trace:
            return await self._bounded(call)

    async def _bounded(self, call: _Call[ResultT]) -> ResultT:
        options = call.options
        if options.timeout is None:
            return await call.run()
        clock = self.settings.clock
        seconds = to_seconds(options.timeout, "timeout", positive=True)
        scope = timeout(clock, seconds)
        try:
            async with scope:
                call.deadline = clock.monotonic() + seconds
                return await call.run()
        except TimeoutError as error:
            if isinstance(error, WorkSpacesError) or not scope.expired():
                raise
            operation = call.request.facts.name
            message = f"the call did not end within its timeout of {seconds:g} s"
            late = DeadlineExceededError(
                call.told_what_is_open(message), operation=operation, attempts=call.attempts or None
            )
            late.request_sent = call.request_sent
            if call.attempt_began is not None:
                elapsed = clock.monotonic() - call.attempt_began
                report_failure(
                    options.hooks,
                    call.trace,
                    operation,
                    call.attempts,
                    elapsed,
                    options.retry.kind_of(late),
                    late,
                )
            raise late from call.last

    @asynccontextmanager
    async def waiting(self) -> AsyncGenerator[None]:
        """Let a wait end when the client is closed.

        Raises:
            ClientStateError: It was.
        """
        self.check_state()
        scope = timeout(self.settings.clock, None)
        try:
            async with scope:
                self._waits.add(scope)
                try:
                    yield
                finally:
                    self._waits.discard(scope)
        except TimeoutError as error:
            if isinstance(error, WorkSpacesError) or not scope.expired():
                raise
            raise ClientStateError("the client was closed while the call waited for its turn") from None

    def queued(self, pacer: RateLimiter) -> int:
        """Return the number of a pacer's calls that queue for a slot."""
        return self.queues[pacer][1] if pacer in self.queues else 0

    @asynccontextmanager
    async def first_of(self, pacer: RateLimiter) -> AsyncGenerator[None]:
        """Queue for a slot, with the other calls of a pacer; entered by one at a time, in the order they came."""
        lock, count = self.queues.get(pacer, (asyncio.Lock(), 0))
        self.queues[pacer] = lock, count + 1
        try:
            async with lock:
                yield
        finally:
            _, count = self.queues.pop(pacer)
            if count > 1:
                self.queues[pacer] = lock, count - 1

    async def poll_delay(self, operation: str, options: CallOptions) -> float:
        """Reserve a poll's turn in the share of the operation's rate that polls may take; see `RateLimiter.poll_delay`."""
        connection, account = await self.connection()
        key = PacingKey(connection.endpoint, connection.region, account, operation)
        return self.settings.config.pacing_registry.pacer(
            key, options.pacing, self.settings.clock
        ).poll_delay()

    def _refreshed(self, record: RefreshRecord) -> None:
        """Tell that credentials were loaded or refreshed, or could not be."""
        if self._telemetry is not None:
            outcome = "success" if record.error is None else "failure"
            self._telemetry.measure(
                "workspaces_apps.client.credentials.refreshes", 1, {"workspaces_apps.outcome": outcome}
            )
        notify(self.settings.config.hooks.on_refresh, record)

    def gauges(self) -> Iterator[tuple[MetricName, float, Attributes]]:
        """Return the present values that metrics show of the client: what is left of its retry budgets."""
        for budget in list(self._budgets.values()):
            yield "workspaces_apps.client.retry_budget", budget.tokens, {}

    def budget(self, policy: RetryBudgetPolicy | None) -> RetryBudget | None:
        """Return the allowance that calls with the policy share; None where they need none."""
        if policy is None:
            return None
        if policy not in self._budgets:
            self._budgets[policy] = RetryBudget(policy)
        return self._budgets[policy]

    def check_state(self) -> None:
        """Refuse a call on a client that is closed, or on another event loop than its own.

        Raises:
            ClientStateError: It is one of the two.
        """
        if self.closed:
            raise ClientStateError("the client is closed; make a new one")
        if asyncio.get_running_loop() is not self._loop:
            raise ClientStateError(
                "the client was opened on another event loop; a client belongs to the loop that first used it"
            )

    async def connection(self) -> tuple[Connection, str]:
        """Return the open connection and whose calls it makes, opened by the first who asks."""
        self.check_state()
        if self._opening is None:
            # It serves all who call meanwhile.
            self._opening = start_detached(self._open, name="workspaces-apps opening")
        opening = self._opening
        if opening.done() and not opening.cancelled() and opening.exception() is None:
            return opening.result()
        try:
            # Shielded: the first caller may be cancelled, and the others still want it.
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if opening.cancelled() and self.closed and not (task and task.cancelling()):
                raise ClientStateError("the client was closed while it was being opened") from None
            raise

    async def _open(self) -> tuple[Connection, str]:
        try:
            return await self._connect()
        except BaseException:
            # The next call tries again.
            self._opening = None
            raise

    async def _connect(self) -> tuple[Connection, str]:
        settings = self.settings
        session = (
            make_session(settings.profile)
            if settings.session is None
            else cast("AioSession", settings.session)
        )
        self._session = session
        region = settings.region or resolve_region(session)
        connection = await open_connection(
            session,
            _source(settings, session, region, self._refreshed),
            settings.config,
            region=region,
            endpoint_url=settings.endpoint_url,
        )
        try:
            return connection, await connection.signer.account()
        except BaseException:
            await connection.close()
            raise


class _WakingClock:
    """The client's clock, whose sleepers wake when the client is closed."""

    def __init__(self, clock: Clock, transport: Transport) -> None:
        self._clock = clock
        self._transport = transport
        self.now = clock.now
        self.monotonic = clock.monotonic

    async def sleep(self, seconds: float, /) -> None:
        """Sleep on the client's clock.

        Raises:
            ClientStateError: The client was closed meanwhile.
        """
        async with self._transport.waiting():
            await self._clock.sleep(seconds)


def _ask(guard: Callable[[], None], permit: Permit) -> None:
    """Ask the guard; what it refuses gives its turn back."""
    try:
        guard()
    except BaseException:
        permit.unused()
        raise


async def _recovered(connection: Connection, http_call: HttpCall[ResultT], error: ServiceError) -> bool:
    """Tell if the request is worth sending again, since its refusal had to do with credentials or the date."""
    if http_call.signed_with is None:
        return False
    signer = connection.signer
    dated = http_call.date is not None and error.code in CLOCK_SKEW_CODES
    corrected = (
        dated and http_call.date is not None and signer.set_time(http_call.date, http_call.signed_with)
    )
    if error.code in EXPIRED_CREDENTIALS_CODES:
        return await signer.renew(http_call.signed_with)
    # A suspended machine may have signed long before it sent: a new signature helps where the clock is right. [field]
    return corrected or is_out_of_date(error)


def _source(
    settings: ConnectionSettings, session: AioSession, region: str, refreshed: Callable[[RefreshRecord], None]
) -> CredentialsSource:
    """Return where the credentials of a client come from, each with the client's own configuration."""
    config = settings.config
    if isinstance(settings.credentials, Credentials):
        return RefreshingSource(ProviderLoader(StaticProvider(settings.credentials)), refreshed=refreshed)
    # Imported only now: whoever gives credentials needs nobody who gets them.
    from workspaces_apps._http.credentials import ChainLoader, ConfiguredSession, Repeater, RoleLoader

    repeater = Repeater(policy=config.retry, clock=settings.clock, random=config.random)

    def chain(profile: str | None) -> RefreshingSource:
        own = session if profile in (None, settings.profile) else make_session(profile)
        return RefreshingSource(
            ChainLoader(own, config, region=region, repeater=repeater), refreshed=refreshed
        )

    def source_of(credentials: Credentials | CredentialsProvider | None) -> RefreshingSource:
        if credentials is None:
            return chain(None)
        if isinstance(credentials, Credentials):
            return RefreshingSource(ProviderLoader(StaticProvider(credentials)), refreshed=refreshed)
        if not isinstance(credentials, AssumeRole):
            return RefreshingSource(ProviderLoader(credentials), refreshed=refreshed)
        role = credentials.for_client(region=region, profile=None)
        source = chain(role.profile) if role.source is None else source_of(role.source)
        loader = RoleLoader(role, source, ConfiguredSession(session, config), repeater)
        return RefreshingSource(loader, refreshed=refreshed)

    return source_of(settings.credentials)


def _ids_of(request: Request) -> dict[str, str]:
    """Return the ids that a request names, for the error of its call."""
    named = {name: getattr(request, name) for name in type(request).model_fields if name.endswith("_id")}
    return {name: value for name, value in named.items() if isinstance(value, str)}
