"""One call as a series of attempts: the first made directly, the rest by tenacity, from a budget that calls share."""

import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar

from workspaces_apps._base.clock import Clock, to_seconds
from workspaces_apps._base.logs import field_logger
from workspaces_apps._retry.classification import (
    FailureKind,
    caused_by_earlier_attempt,
    may_have_arrived,
    outcome_unknown,
    rule_for,
)
from workspaces_apps._retry.policy import RetryBudgetPolicy, RetryPolicy
from workspaces_apps._telemetry.port import AttemptRecord, Hooks, RetryRecord, ThrottleRecord, notify
from workspaces_apps.errors import DeadlineExceededError, ServiceError, TransportError, WorkSpacesError

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from workspaces_apps._telemetry.port import CallTrace

_log = field_logger("workspaces_apps.retry")

T = TypeVar("T")


class RetryBudget:
    """A bucket of tokens that retries take from and successes give back to; safe between threads."""

    __slots__ = ("_lock", "_tokens", "policy")

    def __init__(self, policy: RetryBudgetPolicy | None = None) -> None:
        """Make a full budget.

        Args:
            policy: Capacity and costs; the defaults if None.
        """
        self.policy: RetryBudgetPolicy = policy if policy is not None else RetryBudgetPolicy()
        self._tokens = self.policy.capacity
        self._lock = threading.Lock()

    @property
    def tokens(self) -> int:
        """The tokens that are left."""
        return self._tokens

    def acquire(self, cost: int) -> bool:
        """Take `cost` tokens, all or none.

        Returns:
            Whether they were there.
        """
        with self._lock:
            if cost > self._tokens:
                return False
            self._tokens -= cost
            return True

    def refund(self, amount: int) -> None:
        """Put back what a retry took that was never made, or that succeeded; never beyond the capacity."""
        with self._lock:
            self._tokens = min(self.policy.capacity, self._tokens + amount)

    def succeeded(self, last_cost: int = 0) -> None:
        """Count a success.

        Args:
            last_cost: What the last retry of the call took; 0 if it needed none.
        """
        # A full bucket stays full, and that is the usual case: no lock for it.
        if self._tokens < self.policy.capacity:
            self.refund(last_cost or self.policy.refund)


class Resolved(NamedTuple, Generic[T]):
    """A look showed that an earlier attempt did the work; this is the call's result."""

    result: T


class Resolution(Enum):
    """The outcome of a read that found no result."""

    REPEAT = "repeat"
    """The request was not carried out, so it may be sent again."""
    UNKNOWN = "unknown"
    """It cannot be told; the failure stands."""


ResolveOutcome: TypeAlias = Callable[[WorkSpacesError], Awaitable[Resolved[T] | Resolution]]
"""Asks the service what became of a request that failed with this error."""

ResponseInfo: TypeAlias = Callable[[T], tuple[str | None, int | None]]
"""The request id and the HTTP status of a result."""


_LOOKS = 2
"""Looks that must agree before a request whose outcome is open is sent again."""


def _no_rate() -> float | None:
    return None


async def run_attempts(
    attempt: Callable[[int], Awaitable[T]],
    *,
    operation: str,
    policy: RetryPolicy,
    budget: RetryBudget | None,
    clock: Clock,
    random: Callable[[], float],
    hooks: Hooks,
    repeatable: bool | None = None,
    remaining: Callable[[], float | None],
    absorbed: Callable[[WorkSpacesError], bool],
    look: ResolveOutcome[T] | None = None,
    response_info: ResponseInfo[T] | None = None,
    rate: Callable[[], float | None] = _no_rate,
    trace: "CallTrace | None" = None,
) -> T:
    """Make a call, as often as the policy, the budget, the deadline and safety allow.

    Args:
        attempt: Sends the request once; gets the number of the attempt, from 1.
        operation: The API operation.
        policy: How often and how patiently.
        budget: The allowance shared with other calls; None for no limit.
        clock: What backoffs are waited with.
        random: A number in [0, 1), uniformly, for the jitter.
        hooks: Who is told.
        repeatable: Whether the request may be sent again once it may have arrived; None for what the table says of the
            operation.
        remaining: Seconds until the call's deadline; None if it has none.
        absorbed: Whether the pacer slows down for this throttle, so that the retry costs no budget.
        look: Asks the service what became of a request, where the operation is not repeatable or the error
            is what an earlier attempt of ours would cause; None to raise instead.
        response_info: What the hooks should be told of a result.
        rate: The learned rate in calls a second, for the hooks.
        trace: The logical call that is told before the hooks; None without telemetry.

    Returns:
        The result of the first attempt that succeeds.

    Raises:
        WorkSpacesError: The last failure, with `attempts` set. If the request may have been carried out and
            must not be repeated, a note says so, and what to look up.
        DeadlineExceededError: The next attempt would begin after the deadline; from the last failure.
    """
    watched = hooks.on_attempt is not None or _log.isEnabledFor(logging.DEBUG)
    began = clock.monotonic() if watched else 0.0
    try:
        result = await attempt(1)
    except WorkSpacesError as error:
        first = error
    else:
        if budget is not None:
            budget.succeeded()
        if trace is not None:
            trace.on_attempt(operation, 1, "success", *_info_of(response_info, result))
        if watched:
            _report_success(hooks, operation, 1, clock.monotonic() - began, response_info, result)
        return result
    call = _RetriedCall(
        attempt=attempt,
        operation=operation,
        policy=policy,
        budget=budget,
        clock=clock,
        random=random,
        hooks=hooks,
        repeatable=rule_for(operation).repeatable if repeatable is None else repeatable,
        remaining=remaining,
        absorbed=absorbed,
        look=look,
        response_info=response_info,
        rate=rate,
        trace=trace,
        watched=watched,
        error=first,
    )
    return await call.run(first, clock.monotonic() - began if watched else 0.0)


def _info_of(response_info: ResponseInfo[T] | None, result: T) -> tuple[str | None, int | None]:
    return response_info(result) if response_info is not None else (None, None)


def _report_success(
    hooks: Hooks,
    operation: str,
    number: int,
    elapsed: float,
    response_info: ResponseInfo[T] | None,
    result: T,
) -> None:
    request_id, http_status = _info_of(response_info, result)
    _log.debug(
        "%s: attempt %d succeeded in %.3f s, request id %s", operation, number, elapsed, request_id,
        extra={"operation": operation, "attempt": number, "request_id": request_id},
    )  # fmt: skip
    if hooks.on_attempt is not None:
        record = AttemptRecord(
            operation=operation,
            attempt=number,
            elapsed=elapsed,
            outcome="success",
            request_id=request_id,
            http_status=http_status,
        )
        notify(hooks.on_attempt, record)


def report_failure(
    hooks: Hooks,
    trace: "CallTrace | None",
    operation: str,
    number: int,
    elapsed: float,
    kind: FailureKind,
    error: WorkSpacesError,
) -> None:
    """Log a failed attempt, and tell the logical call and the hook.

    Args:
        hooks: Who is told.
        trace: The logical call; None without telemetry.
        operation: The API operation.
        number: The attempt's number, from 1.
        elapsed: Seconds from its beginning to its end.
        kind: The kind of failure.
        error: The failure.
    """
    _log.debug(
        "%s: attempt %d failed in %.3f s: %s, code %s, HTTP %s, request id %s",
        operation, number, elapsed, kind, error.code, error.http_status, error.request_id,
        extra={"operation": operation, "attempt": number, "request_id": error.request_id},
    )  # fmt: skip
    if trace is not None:
        trace.on_attempt(operation, number, kind.value, error.request_id, error.http_status)
    if hooks.on_attempt is not None:
        record = AttemptRecord(
            operation=operation,
            attempt=number,
            elapsed=elapsed,
            outcome=kind.value,
            error=error,
            request_id=error.request_id,
            http_status=error.http_status,
        )
        notify(hooks.on_attempt, record)


@dataclass(slots=True, kw_only=True, eq=False)
class _RetriedCall(Generic[T]):
    """A call whose first attempt has failed; tenacity asks it whether, when and what to try again.

    Attributes:
        error: The last failure.
        kind: Its kind.
        number: The number of the attempt that failed.
        arrived: Whether that attempt may have been carried out.
        ambiguous: Whether an attempt before the last one may have been carried out.
        sent: Whether any attempt has left this machine; None for unknown.
        held: The tokens that the retry under way has taken.
        entered: Whether tenacity has been told of the first failure.
        settled: The result, if a read has found that an earlier attempt did the work.
        refused: Why there is no further attempt, where the last failure does not say.
    """

    attempt: Callable[[int], Awaitable[T]]
    operation: str
    policy: RetryPolicy
    budget: RetryBudget | None
    clock: Clock
    random: Callable[[], float]
    hooks: Hooks
    repeatable: bool
    remaining: Callable[[], float | None]
    absorbed: Callable[[WorkSpacesError], bool]
    look: ResolveOutcome[T] | None
    response_info: ResponseInfo[T] | None
    rate: Callable[[], float | None]
    trace: "CallTrace | None"
    watched: bool
    error: WorkSpacesError
    kind: FailureKind = FailureKind.FATAL
    number: int = 1
    arrived: bool = False
    ambiguous: bool = False
    sent: bool | None = False
    held: int = 0
    entered: bool = False
    settled: Resolved[T] | None = None
    refused: DeadlineExceededError | None = None

    async def run(self, first: WorkSpacesError, elapsed: float) -> T:
        """Deal with the first failure, and with what follows."""
        self._failed(first, elapsed)
        if not await self._worth_repeating():
            return self._end()
        # Imported only now: the first attempt usually succeeds, and this takes 5 to 14 ms.
        from tenacity import AsyncRetrying

        # One per call: tasks that share one get in each other's way.
        retrying = AsyncRetrying(
            sleep=self.clock.sleep,
            retry=self._retry,
            wait=self._wait,
            stop=self._stop,
            before_sleep=self._before_sleep,
            reraise=True,
        )
        try:
            result: T = await retrying(self._again)
        except WorkSpacesError as error:
            if error is not self.error:
                # The wait ended it: the client was closed.
                error.operation, error.attempts = error.operation or self.operation, self.number
                raise
            return self._end()
        finally:
            # A retry that was cancelled gives back what it took; one that was answered holds nothing.
            if self.budget is not None and self.held:
                self.budget.refund(self.held)
                self.held = 0
        return result

    async def _again(self) -> T:
        if not self.entered:
            # Tenacity counts from the attempt that has failed already.
            self.entered = True
            raise self.error
        self.number += 1
        began = self.clock.monotonic() if self.watched else 0.0
        try:
            result = await self.attempt(self.number)
        except WorkSpacesError as error:
            self.held = 0
            self._failed(error, self.clock.monotonic() - began if self.watched else 0.0)
            raise
        if self.budget is not None:
            self.budget.succeeded(self.held)
            self.held = 0
        if self.trace is not None:
            info = _info_of(self.response_info, result)
            self.trace.on_attempt(self.operation, self.number, "success", *info)
        if self.watched:
            elapsed = self.clock.monotonic() - began
            _report_success(self.hooks, self.operation, self.number, elapsed, self.response_info, result)
        return result

    def _failed(self, error: WorkSpacesError, elapsed: float) -> None:
        """Take a failure down and tell the hooks."""
        kind = self.policy.kind_of(error)
        self.arrived = may_have_arrived(error)
        if isinstance(error, DeadlineExceededError) and self.number > 1:
            if error.__cause__ is None:
                error.__cause__ = self.error
            if error.request_sent is False:
                # That no byte has left is true of this attempt, and not of the call.
                error.request_sent = self.sent
        self.sent = _sent_so_far(self.sent, error)
        self.error, self.kind = error, kind
        error.attempts = self.number
        error.operation = error.operation or self.operation
        report_failure(self.hooks, self.trace, self.operation, self.number, elapsed, kind, error)
        if kind is FailureKind.THROTTLE:
            self._throttled(error)

    def _throttled(self, error: WorkSpacesError) -> None:
        rate = self.rate()
        _log.info(
            "%s: attempt %d was throttled, learned rate %s, request id %s",
            self.operation, self.number, "none" if rate is None else f"{rate:.3g}/s", error.request_id,
            extra={"operation": self.operation, "attempt": self.number, "request_id": error.request_id},
        )  # fmt: skip
        if self.hooks.on_throttle is not None or self.trace is not None:
            record = ThrottleRecord(
                operation=self.operation, attempt=self.number, rate=rate, request_id=error.request_id
            )
            if self.trace is not None:
                self.trace.on_throttle(record)
            notify(self.hooks.on_throttle, record)

    async def _worth_repeating(self) -> bool:
        """Decide on the last failure, asking the service where the outcome is open and a recovery is offered."""
        error = self.error
        wanted = self.policy.repeats(self.kind) and self.number < self.policy.max_attempts
        if self.ambiguous and caused_by_earlier_attempt(self.operation, error):
            await self._looked(error)
            return self.settled is None and wanted
        if not self.arrived:
            return wanted
        if self.repeatable:
            self.ambiguous = True
            return wanted
        verdict = Resolution.UNKNOWN
        # A policy of one attempt means one request, and a read is another.
        if self.policy.max_attempts > 1 and self.policy.repeats(self.kind):
            verdict = await self._looked(error)
        if verdict is Resolution.UNKNOWN and self.settled is None:
            error.message = f"{error.message} [{outcome_unknown(self.operation)}]".lstrip()
        return verdict is Resolution.REPEAT and wanted

    async def _looked(self, error: WorkSpacesError) -> Resolution:
        """Ask the service what became of the request; REPEAT only if two reads agree, some seconds apart."""
        if self.look is None:
            return Resolution.UNKNOWN
        delay = to_seconds(self.policy.look_delay, "RetryPolicy.look_delay")
        verdict = Resolution.UNKNOWN
        for _ in range(_LOOKS):
            left = self.remaining()
            in_time = left is None or delay < left
            if in_time:
                await self.clock.sleep(delay)
            answer = await self.look(error)
            if isinstance(answer, Resolved):
                self.settled = answer
                return Resolution.UNKNOWN
            # One look may still see the state from before the write, and so may one that could not wait.
            verdict = answer if in_time else Resolution.UNKNOWN
            if verdict is not Resolution.REPEAT:
                break
        return verdict

    async def _retry(self, state: "RetryCallState") -> bool:
        # A result, a cancellation, or a fault of this package is not ours to repeat.
        if state.outcome is None or not isinstance(state.outcome.exception(), WorkSpacesError):
            return False
        return state.attempt_number == 1 or await self._worth_repeating()

    def _wait(self, state: "RetryCallState") -> float:
        wished = self.error.retry_after if isinstance(self.error, ServiceError) else None
        return self.policy.backoff(self.kind, state.attempt_number, retry_after=wished, random=self.random)

    def _stop(self, state: "RetryCallState") -> bool:
        # The budget last: what is refused for another reason takes nothing.
        return self._too_late(state) or self._budget_exhausted()

    def _too_late(self, state: "RetryCallState") -> bool:
        left = self.remaining()
        if left is None or state.upcoming_sleep < left:
            return False
        self.refused = DeadlineExceededError(
            f"the next attempt would begin in {state.upcoming_sleep:.3f} s,"
            f" and {max(left, 0.0):.3f} s are left",
            operation=self.operation,
            request_id=self.error.request_id,
            attempts=self.number,
            code=self.error.code,
            http_status=self.error.http_status,
            resource_id=self.error.resource_id,
        )
        self.refused.request_sent = self.sent
        return True

    def _budget_exhausted(self) -> bool:
        if self.budget is None or (self.kind is FailureKind.THROTTLE and self.absorbed(self.error)):
            return False
        cost = self.budget.policy.cost(self.kind)
        if self.budget.acquire(cost):
            self.held = cost
            return False
        self.error.message = (
            f"{self.error.message} [Not repeated: the retry budget that the client's calls share is used up.]"
        ).lstrip()
        return True

    def _before_sleep(self, state: "RetryCallState") -> None:
        error, wait = self.error, state.upcoming_sleep
        _log.info(
            "%s: attempt %d failed (%s, code %s, request id %s), the next one in %.3f s",
            self.operation, self.number, self.kind, error.code, error.request_id, wait,
            extra={"operation": self.operation, "attempt": self.number, "request_id": error.request_id},
        )  # fmt: skip
        if self.hooks.on_retry is not None or self.trace is not None:
            record = RetryRecord(
                operation=self.operation,
                attempt=self.number,
                wait=wait,
                cause=error,
                kind=self.kind.value,
                request_id=error.request_id,
            )
            if self.trace is not None:
                self.trace.on_retry(record)
            notify(self.hooks.on_retry, record)

    def _end(self) -> T:
        """Return the result that a recovery has found, or else raise the failure."""
        if self.settled is not None:
            return self.settled.result
        if self.refused is not None:
            raise self.refused from self.error
        # From its own cause: tenacity's bookkeeping is not part of the story.
        raise self.error from self.error.__cause__


def _sent_so_far(before: bool | None, error: WorkSpacesError) -> bool | None:
    """Tell if any request has left this machine, with one more failure counted in."""
    now = error.request_sent if isinstance(error, TransportError) else True
    if before is True or now is True:
        return True
    return None if before is None or now is None else False
