"""The records of a call, and the arithmetic of its waits, through the whole client and to the last digit."""

import logging
from dataclasses import dataclass, field

import pytest

from tests.chaos.site import Site, site
from workspaces_apps import (
    DeadlineExceededError,
    Hooks,
    Pacing,
    RetryPolicy,
    ServiceError,
    ThrottlingException,
    WorkSpacesError,
)
from workspaces_apps._retry import FailureKind, RetryBudgetPolicy
from workspaces_apps._telemetry.port import AttemptRecord, RetryRecord, ThrottleRecord
from workspaces_apps.simulator import FaultKind

OPERATION = "DescribeAccount"


@dataclass(slots=True)
class Told:
    """The records that the hooks were given, in order."""

    attempts: list[AttemptRecord] = field(default_factory=list[AttemptRecord])
    retries: list[RetryRecord] = field(default_factory=list[RetryRecord])
    throttles: list[ThrottleRecord] = field(default_factory=list[ThrottleRecord])

    def hooks(self) -> Hooks:
        """Hooks that write it down."""
        return Hooks(
            on_attempt=self.attempts.append,
            on_retry=self.retries.append,
            on_throttle=self.throttles.append,
        )

    @property
    def waits(self) -> list[float]:
        """The waits before the retries."""
        return [record.wait for record in self.retries]


def half() -> float:
    """Jitter that is always the middle."""
    return 0.5


def script(at: Site, *kinds: FaultKind) -> None:
    """Have the next requests go wrong, one after the other."""
    for number, kind in enumerate(kinds):
        # Every rule sees every request.
        at.sim.faults.add(kind, times=1, skip=number)


async def failure(at: Site) -> WorkSpacesError:
    """The error that a call fails with."""
    with pytest.raises(WorkSpacesError) as caught:
        await at.client.describe_account()
    return caught.value


async def test_hooks_are_told_every_fact_of_a_call() -> None:
    """Throttle, 503, reset, success: each attempt, each wait and the learned rate, with the ids of the answers."""
    told = Told()
    async with site(hooks=told.hooks(), jitter=half) as at:
        await at.client.describe_workspaces()
        told.attempts.clear()
        script(at, "throttle", "unavailable", "reset_before")

        result = await at.client.describe_account()

        ids = [record.request_id for record in at.sim.requests.select(OPERATION)]
    # The throttle sets 2 calls a second, so the second attempt goes at 0.5 s, the others 0.5 s after each other.
    attempts = [
        (one.operation, one.attempt, one.outcome, one.http_status, one.request_id) for one in told.attempts
    ]
    assert attempts == [
        (OPERATION, 1, "throttle", 400, ids[0]),
        (OPERATION, 2, "transient", 503, ids[1]),
        (OPERATION, 3, "transient", None, None),
        (OPERATION, 4, "success", 200, ids[3]),
    ]
    assert [one.elapsed for one in told.attempts] == pytest.approx([0.0, 0.0, 0.45, 0.4])
    assert [type(one.error).__name__ for one in told.attempts] == [
        "ThrottlingException", "ServiceError", "TransportError", "NoneType",
    ]  # fmt: skip
    retries = [(one.operation, one.attempt, one.kind, one.request_id) for one in told.retries]
    assert retries == [
        (OPERATION, 1, "throttle", ids[0]),
        (OPERATION, 2, "transient", ids[1]),
        (OPERATION, 3, "transient", None),
    ]
    # Half of 1 s; half of 50 ms doubled once, and twice.
    assert told.waits == pytest.approx([0.5, 0.05, 0.1])
    assert [one.cause for one in told.retries] == [one.error for one in told.attempts[:3]]
    assert told.throttles == [ThrottleRecord(operation=OPERATION, attempt=1, rate=2.0, request_id=ids[0])]
    assert (result.meta.attempts, result.meta.request_id) == (4, ids[3])
    assert result.meta.elapsed.total_seconds() == pytest.approx(1.5)


async def test_logs_tell_the_same_and_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, every line of a call with failures is known; at INFO, those of its retries."""
    caplog.set_level(logging.DEBUG, logger="workspaces_apps")
    async with site(jitter=half) as at:
        script(at, "throttle", "unavailable")
        caplog.clear()

        await at.client.describe_account()

        ids = [record.request_id for record in at.sim.requests.select(OPERATION)]
        secret, key = at.sim.credentials.secret_access_key, at.sim.credentials.access_key_id
    lines = [
        (record.levelname, record.getMessage().removeprefix(f"{OPERATION}: "))
        for record in caplog.records
        if record.name.startswith("workspaces_apps") and "simulator" not in record.name
    ]
    throttled, unavailable = "code ThrottlingException", "code ServiceUnavailableException"
    assert lines == [
        ("DEBUG", f"attempt 1 failed in 0.000 s: throttle, {throttled}, HTTP 400, request id {ids[0]}"),
        ("INFO", f"attempt 1 was throttled, learned rate 2/s, request id {ids[0]}"),
        ("INFO", f"attempt 1 failed (throttle, {throttled}, request id {ids[0]}), the next one in 0.500 s"),
        ("DEBUG", f"attempt 2 failed in 0.000 s: transient, {unavailable}, HTTP 503, request id {ids[1]}"),
        (
            "INFO",
            f"attempt 2 failed (transient, {unavailable}, request id {ids[1]}), the next one in 0.050 s",
        ),
        ("DEBUG", f"attempt 3 succeeded in 0.450 s, request id {ids[2]}"),
    ]
    assert not any(hidden in line for _, line in lines for hidden in (secret, key, "Signature", "AWS4"))


@pytest.mark.parametrize(
    "kind, waits",
    [
        ("throttle", [0.5, 1.0, 2.0, 4.0]),
        ("unavailable", [0.025, 0.05, 0.1, 0.2]),
        ("reset_after", [0.025, 0.05, 0.1, 0.2]),
    ],
)
async def test_waits_double_and_end(kind: FaultKind, waits: list[float]) -> None:
    """Five requests, four waits of half their bound, on the client's own clock; then the failure."""
    told = Told()
    async with site(pacing=Pacing.off(), hooks=told.hooks(), jitter=half) as at:
        at.sim.faults.add(kind, operation=OPERATION)

        error = await failure(at)

        assert (error.attempts, at.sim.requests.count(OPERATION)) == (5, 5)
        assert told.waits == pytest.approx(waits)
        assert at.clock.monotonic() == pytest.approx(sum(waits))


async def test_one_attempt_means_one_request() -> None:
    """With `max_attempts=1` nothing is repeated and nothing is waited for."""
    async with site(retry=RetryPolicy(max_attempts=1)) as at:
        at.sim.faults.add("unavailable")

        error = await failure(at)

        assert (error.attempts, len(at.sim.requests), at.clock.monotonic()) == (1, 1, 0.0)


async def test_the_budget_is_what_all_calls_share() -> None:
    """Of 30 tokens two retries take 14 each, and the third is refused; a success without a retry gives back 1."""
    retry = RetryPolicy(budget=RetryBudgetPolicy(capacity=30))
    async with site(pacing=Pacing.off(), retry=retry, jitter=half) as at:
        outage = at.sim.faults.add("unavailable")
        error = await failure(at)
        assert (error.attempts, at.budget(retry).tokens) == (3, 2)
        assert "budget" in str(error)
        outage.remove()

        await at.client.describe_account()
        assert at.budget(retry).tokens == 3

        at.sim.faults.add("throttle", times=1)
        assert (await failure(at)).attempts == 1
        for _ in range(2):
            await at.client.describe_account()
        # Now the 5 tokens are there, and the success gives them back.
        at.sim.faults.add("throttle", times=1)
        assert (await at.client.describe_account()).meta.attempts == 2
        assert at.budget(retry).tokens == 5


async def test_a_throttle_that_the_pacer_absorbs_takes_no_token() -> None:
    """With adaptive pacing a client without tokens repeats what was throttled, and nothing else."""
    retry = RetryPolicy(budget=RetryBudgetPolicy(capacity=0))
    async with site(retry=retry, jitter=half) as at:
        at.sim.faults.add("throttle", times=3)
        assert (await at.client.describe_account()).meta.attempts == 4

        at.sim.faults.add("unavailable", times=1)
        assert (await failure(at)).attempts == 1


async def test_a_code_that_a_client_calls_a_throttle_is_one_to_the_pacer_too() -> None:
    """A code in `extra_kinds` counts as a throttle for the learned rate, not only for the retry."""
    retry = RetryPolicy(extra_kinds={"BusyException": FailureKind.THROTTLE})
    told = Told()
    async with site(retry=retry, hooks=told.hooks(), jitter=half) as at:
        at.sim.faults.add("error", code="BusyException", times=1)

        await at.client.describe_account()

        assert at.pacer(OPERATION, Pacing.adaptive()).rate == 2.0 + 0.7
    assert [record.rate for record in told.throttles] == [2.0]


async def test_a_deadline_says_when_the_outcome_is_unknown() -> None:
    """A creation that is given up while it may be under way says so; a read, and what was refused, do not."""
    async with site(jitter=half) as at:
        client = at.client.with_options(timeout=3)
        at.sim.faults.add("slow", delay=10)
        with pytest.raises(DeadlineExceededError, match=r"outcome is unknown.*DescribeIpGroups"):
            await client.create_ip_group(group_name="storm")
        with pytest.raises(DeadlineExceededError) as read:
            await client.describe_account()
        assert "unknown" not in str(read.value)

        at.sim.faults.clear()
        at.sim.faults.add("throttle")
        with pytest.raises(DeadlineExceededError) as refused:
            await client.create_ip_group(group_name="breeze")
        assert "unknown" not in str(refused.value)
        assert isinstance(refused.value.__cause__, ThrottlingException)


async def test_a_refused_creation_that_gets_no_second_turn_is_not_in_doubt() -> None:
    """The first attempt was throttled, the turn of the second is too far away: nothing was done, and that is said."""
    async with site(pacing=Pacing.fixed(rate=0.1), jitter=half) as at:
        at.sim.faults.add("throttle", times=1)

        with pytest.raises(DeadlineExceededError, match="its turn") as caught:
            await at.client.with_options(timeout=5).create_ip_group(group_name="storm")

        assert "unknown" not in str(caught.value)
        assert (caught.value.attempts, at.clock.monotonic()) == (2, 0.5)
        assert isinstance(caught.value.__cause__, ThrottlingException)


async def test_a_creation_is_not_repeated_once_it_may_have_arrived() -> None:
    """One request, and an error that says what to look up: after a 503 as after a reset."""
    async with site(jitter=half) as at:
        kinds: tuple[FaultKind, ...] = ("unavailable", "reset_before", "reset_after")
        for kind in kinds:
            at.sim.requests.clear()
            at.sim.faults.add(kind, times=1)
            with pytest.raises(WorkSpacesError, match="outcome is unknown") as caught:
                await at.client.create_ip_group(group_name=f"group-{kind}".replace("_", "-"))
            assert (caught.value.attempts, len(at.sim.requests)) == (1, 1)


async def test_a_service_error_of_the_kind_that_is_not_repeated() -> None:
    """A refusal is told at once, and costs no time."""
    async with site() as at:
        at.sim.faults.add("error", code="AccessDeniedException", times=1)
        error = await failure(at)
        assert isinstance(error, ServiceError)
        assert (error.attempts, at.clock.monotonic()) == (1, 0.0)
