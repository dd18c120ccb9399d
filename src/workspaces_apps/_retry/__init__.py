"""The one retry layer: what may be repeated, how often, and how patiently.

It is pure machinery: clock, sleep and randomness come from the caller, and the network is a function.
"""

from workspaces_apps._retry.attempts import (
    Resolution,
    Resolved,
    RetryBudget,
    report_failure,
    run_attempts,
)
from workspaces_apps._retry.classification import (
    AMBIGUOUS,
    CLOCK_SKEW_CODES,
    EXPIRED_CREDENTIALS_CODES,
    REPEATABLE,
    FailureKind,
    Strategy,
    caused_by_earlier_attempt,
    classify,
    is_out_of_date,
    may_have_arrived,
    outcome_unknown,
    read_retry_after,
    rule_for,
)
from workspaces_apps._retry.policy import RetryBudgetPolicy, RetryPolicy

__all__ = [
    "AMBIGUOUS",
    "CLOCK_SKEW_CODES",
    "EXPIRED_CREDENTIALS_CODES",
    "REPEATABLE",
    "FailureKind",
    "Resolution",
    "Resolved",
    "RetryBudget",
    "RetryBudgetPolicy",
    "RetryPolicy",
    "Strategy",
    "caused_by_earlier_attempt",
    "classify",
    "is_out_of_date",
    "may_have_arrived",
    "outcome_unknown",
    "read_retry_after",
    "report_failure",
    "rule_for",
    "run_attempts",
]
