"""How often and how patiently a call is repeated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from workspaces_apps.clock import Duration, to_seconds
from workspaces_apps.errors import ConfigurationError, WorkSpacesError
from workspaces_apps.retry.classification import FailureKind
from workspaces_apps.retry.classification import classify as classify_by_table

RETRY_AFTER_SLACK: Final = 5.0
"""How many seconds beyond our own backoff a server's wish is honoured."""

_MAX_DOUBLINGS: Final = 64


def _require_count(value: object, name: str, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name} must be an integer, {least} or more, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudgetPolicy:
    """What a client may spend on retries before an outage makes it stop repeating.

    Attributes:
        capacity: Tokens of a full budget.
        transient_cost: Tokens that a retry after a transient fault takes.
        throttle_cost: Tokens that a retry after a throttle takes, where no pacer absorbs the throttle.
        refund: Tokens that a success gives back if its call needed no retry.
    """

    capacity: int = 500
    transient_cost: int = 14
    throttle_cost: int = 5
    refund: int = 1

    def __post_init__(self) -> None:
        """Refuse negative numbers and a budget that can pay for nothing."""
        for name in ("capacity", "transient_cost", "throttle_cost", "refund"):
            _require_count(getattr(self, name), f"RetryBudgetPolicy.{name}", least=0)

    def cost(self, kind: FailureKind) -> int:
        """Tokens for a retry after a failure of that kind."""
        return self.transient_cost if kind is FailureKind.TRANSIENT else self.throttle_cost


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently a call is repeated.

    Attributes:
        max_attempts: Requests at most for one call, 1 or more; 1 means that nothing is repeated.
        throttle_base: The longest wait before the first retry after a throttle.
        transient_base: The longest wait before the first retry after a transient fault.
        max_backoff: The longest wait before any retry, a server's wish aside. Durations are timedeltas or
            seconds.
        budget: What all calls that share a budget may spend on retries; None for no limit.
        extra_kinds: Error codes that this client treats differently from the tables.
        retry_in_progress: Whether a call is repeated while another operation holds the resource. Off: that
            takes minutes, and attempts are used up in seconds.
    """

    max_attempts: int = 5
    throttle_base: Duration = 1.0
    transient_base: Duration = 0.05
    max_backoff: Duration = 20.0
    budget: RetryBudgetPolicy | None = RetryBudgetPolicy()
    extra_kinds: Mapping[str, FailureKind] = field(default_factory=dict[str, FailureKind])
    retry_in_progress: bool = False

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigurationError: A field breaks its rule; the message names both.
        """
        _require_count(self.max_attempts, "RetryPolicy.max_attempts", least=1)
        for name in ("throttle_base", "transient_base", "max_backoff"):
            to_seconds(getattr(self, name), f"RetryPolicy.{name}")
        kinds: dict[str, FailureKind] = {}
        for code, kind in self.extra_kinds.items():
            try:
                kinds[code] = FailureKind(kind)
            except ValueError:
                allowed = ", ".join(FailureKind)
                raise ConfigurationError(
                    f"RetryPolicy.extra_kinds[{code!r}] must be one of {allowed}, not {kind!r}"
                ) from None
        # A copy: the mapping that came may still be changed by whoever made it.
        object.__setattr__(self, "extra_kinds", kinds)

    def __hash__(self) -> int:
        """By every field, the mapping by its items."""
        return hash(
            (
                self.max_attempts,
                self.throttle_base,
                self.transient_base,
                self.max_backoff,
                self.budget,
                frozenset(self.extra_kinds.items()),
                self.retry_in_progress,
            )
        )

    def kind_of(self, error: WorkSpacesError) -> FailureKind:
        """The kind of a failure, `extra_kinds` counted in."""
        return classify_by_table(error, self.extra_kinds)

    def repeats(self, kind: FailureKind) -> bool:
        """Whether failures of that kind are repeated at all."""
        if kind is FailureKind.IN_PROGRESS:
            return self.retry_in_progress
        return kind is not FailureKind.FATAL

    def backoff(
        self,
        kind: FailureKind,
        retry_number: int,
        *,
        retry_after: float | None,
        random: Callable[[], float],
    ) -> float:
        """How long to wait before a retry: full jitter, bent towards what the server asked for.

        Args:
            kind: The kind of failure.
            retry_number: 1 for the first retry.
            retry_after: Seconds the server asked to wait, if it did; honoured between our own wait and
                5 seconds more.
            random: A number in [0, 1), uniformly.

        Returns:
            Seconds.
        """
        base = to_seconds(
            self.transient_base if kind is FailureKind.TRANSIENT else self.throttle_base, "base"
        )
        doublings = min(retry_number - 1, _MAX_DOUBLINGS)
        ceiling = min(base * 2.0**doublings, to_seconds(self.max_backoff, "max_backoff"))
        wait = random() * ceiling
        if retry_after is None:
            return wait
        return min(max(retry_after, wait), wait + RETRY_AFTER_SLACK)
