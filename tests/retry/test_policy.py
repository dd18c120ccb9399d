"""Backoff in exact numbers, and what a policy may say."""

import copy
import math
import pickle
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps._retry import FailureKind, RetryBudgetPolicy, RetryPolicy
from workspaces_apps.errors import ConfigurationError, CredentialsError, ServiceError

POLICY = RetryPolicy()


@pytest.mark.parametrize(
    "kind, retry, longest",
    [
        (FailureKind.THROTTLE, 1, 1.0),
        (FailureKind.THROTTLE, 2, 2.0),
        (FailureKind.THROTTLE, 5, 16.0),
        (FailureKind.THROTTLE, 6, 20.0),
        (FailureKind.TRANSIENT, 1, 0.05),
        (FailureKind.TRANSIENT, 4, 0.4),
        (FailureKind.TRANSIENT, 9, 12.8),
        (FailureKind.TRANSIENT, 10, 20.0),
        (FailureKind.TRANSIENT, 10**9, 20.0),
        (FailureKind.IN_PROGRESS, 1, 1.0),
    ],
)
def test_backoff_doubles_from_its_base_to_the_cap(kind: FailureKind, retry: int, longest: float) -> None:
    """Full jitter: the random number times the longest wait, down to nothing."""
    waits = [
        POLICY.backoff(kind, retry, retry_after=None, random=iter([number]).__next__)
        for number in (0.0, 0.25, 0.999)
    ]
    assert waits == pytest.approx([0.0, 0.25 * longest, 0.999 * longest])


@pytest.mark.parametrize(
    "wished, wait",
    [(0.0, 0.5), (0.4, 0.5), (0.5, 0.5), (3.0, 3.0), (5.5, 5.5), (60.0, 5.5), (math.inf, 5.5)],
)
def test_a_server_is_heard_from_our_own_wait_up_to_five_seconds_more(wished: float, wait: float) -> None:
    """Never sooner than the jitter says, never so late that it could park a client."""
    assert POLICY.backoff(FailureKind.THROTTLE, 1, retry_after=wished, random=lambda: 0.5) == wait


@given(
    st.sampled_from(FailureKind),
    st.integers(1, 200),
    st.none() | st.floats(0, 1e6),
    st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_never_longer_than_the_cap_and_five_seconds(
    kind: FailureKind, retry: int, wished: float | None, number: float
) -> None:
    """Whatever comes together."""
    assert 0 <= POLICY.backoff(kind, retry, retry_after=wished, random=lambda: number) <= 25.0


def test_durations_may_be_timedeltas() -> None:
    """They mean the same as their seconds."""
    policy = RetryPolicy(throttle_base=timedelta(seconds=2), max_backoff=timedelta(seconds=3))
    assert policy.backoff(FailureKind.THROTTLE, 2, retry_after=None, random=lambda: 1.0) == 3.0


@pytest.mark.parametrize(
    "field, value",
    [
        ("max_attempts", 0),
        ("max_attempts", True),
        ("max_attempts", 2.5),
        ("throttle_base", -1),
        ("transient_base", math.nan),
        ("max_backoff", math.inf),
        ("max_backoff", 10**400),
        ("extra_kinds", {"Odd": "sometimes"}),
        ("extra_kinds", {520: "transient"}),
        ("extra_statuses", {"520": "transient"}),
        ("extra_statuses", {200: "transient"}),
        ("extra_statuses", {520: "sometimes"}),
        ("extra_exceptions", {ValueError: "transient"}),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    """With the rule that it breaks."""
    with pytest.raises(ConfigurationError, match=rf"RetryPolicy\.{field}.* must be"):
        RetryPolicy(**{field: value})  # type: ignore[arg-type]  # what only an unchecked caller can pass


def test_a_wrong_budget_is_named() -> None:
    """With the rule that it breaks."""
    with pytest.raises(ConfigurationError, match=r"RetryBudgetPolicy\.capacity must be"):
        RetryBudgetPolicy(capacity=-1)


def test_a_client_may_treat_a_code_differently() -> None:
    """Its own table goes before ours, and later changes of the mapping it passed do not count."""
    kinds = {"ConflictException": FailureKind.TRANSIENT}
    policy = RetryPolicy(extra_kinds=kinds)
    kinds.clear()
    assert policy.kind_of(ServiceError(code="ConflictException", http_status=400)) is FailureKind.TRANSIENT
    assert POLICY.kind_of(ServiceError(code="ConflictException", http_status=400)) is FailureKind.FATAL


def test_a_client_may_treat_a_status_and_an_exception_differently() -> None:
    """The tables of a policy are three: codes, statuses and classes."""
    policy = RetryPolicy(
        extra_statuses={520: FailureKind.TRANSIENT},
        extra_exceptions={CredentialsError: FailureKind.TRANSIENT},
    )
    failures = [ServiceError(http_status=520), CredentialsError(), ServiceError(http_status=400)]
    assert [policy.kind_of(error) for error in failures] == ["transient", "transient", "fatal"]
    assert policy != RetryPolicy()
    assert hash(policy) != hash(RetryPolicy())


def test_policies_are_values() -> None:
    """Equal, hashable, and the same after a copy or a pickle."""
    policy = RetryPolicy(
        max_attempts=3,
        extra_kinds={"Odd": FailureKind.THROTTLE},
        extra_exceptions={ServiceError: FailureKind.FATAL},
    )
    assert {policy, pickle.loads(pickle.dumps(policy)), copy.deepcopy(policy)} == {policy}


@pytest.mark.parametrize(
    "kind, repeated",
    [
        (FailureKind.THROTTLE, True),
        (FailureKind.TRANSIENT, True),
        (FailureKind.IN_PROGRESS, False),
        (FailureKind.FATAL, False),
    ],
)
def test_by_default_throttles_and_transient_faults_are_repeated(kind: FailureKind, repeated: bool) -> None:
    """Failures that take minutes to pass are for a waiter."""
    assert POLICY.repeats(kind) is repeated


def test_in_progress_can_be_repeated_on_request() -> None:
    """By policy."""
    assert RetryPolicy(retry_in_progress=True).repeats(FailureKind.IN_PROGRESS)
