"""The budget's accounts."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps._retry import FailureKind, RetryBudget, RetryBudgetPolicy


def test_the_default_pays_for_35_transient_retries() -> None:
    """500 tokens, 14 each: the 36th is refused, and takes nothing."""
    budget = RetryBudget()
    granted = [budget.acquire(budget.policy.cost(FailureKind.TRANSIENT)) for _ in range(36)]
    assert granted == [True] * 35 + [False]
    assert budget.tokens == 500 - 35 * 14


def test_the_default_pays_for_a_hundred_throttles() -> None:
    """Five tokens each."""
    budget = RetryBudget()
    granted = [budget.acquire(budget.policy.cost(FailureKind.THROTTLE)) for _ in range(101)]
    assert granted == [True] * 100 + [False]


def test_a_success_gives_back_what_the_last_retry_took_or_else_one() -> None:
    """So a service that recovers earns its retries back."""
    budget = RetryBudget()
    budget.acquire(28)
    budget.succeeded(14)
    assert budget.tokens == 486
    budget.succeeded()
    assert budget.tokens == 487


def test_a_full_budget_stays_full() -> None:
    """Nothing is saved beyond the capacity."""
    budget = RetryBudget(RetryBudgetPolicy(capacity=10))
    budget.succeeded()
    budget.refund(5)
    assert budget.tokens == 10


@given(
    st.lists(st.tuples(st.sampled_from(["acquire", "refund", "success"]), st.integers(0, 30)), max_size=80)
)
def test_the_tokens_stay_between_nothing_and_the_capacity(steps: list[tuple[str, int]]) -> None:
    """And each step changes them by exactly what it says, within those bounds."""
    budget = RetryBudget(RetryBudgetPolicy(capacity=60))
    tokens = 60
    for what, amount in steps:
        if what == "acquire":
            granted = budget.acquire(amount)
            assert granted is (amount <= tokens)
            tokens -= amount if granted else 0
        elif what == "refund":
            budget.refund(amount)
            tokens = min(60, tokens + amount)
        else:
            budget.succeeded(amount)
            tokens = min(60, tokens + (amount or 1))
        assert budget.tokens == tokens


def test_threads_share_it_without_loss() -> None:
    """Eight threads that take and give back leave it full."""
    budget = RetryBudget()

    def work() -> None:
        for _ in range(2000):
            if budget.acquire(14):
                budget.refund(14)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.tokens == 500
