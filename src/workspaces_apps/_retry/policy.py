"""The policy of retries: how often and how patiently a call is repeated, and what all calls may spend on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from workspaces_apps._base.clock import Duration, to_seconds
from workspaces_apps._base.public import public
from workspaces_apps._retry.classification import FailureKind
from workspaces_apps._retry.classification import classify as classify_by_table
from workspaces_apps.errors import ConfigurationError, WorkSpacesError

RETRY_AFTER_SLACK: Final = 5.0
"""Seconds beyond our own backoff for which a server's wish is honoured."""

_MAX_DOUBLINGS: Final = 64


def _require_count(value: object, name: str, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name} must be an integer, {least} or more, not {value!r}")


def _kind(value: object, name: str) -> FailureKind:
    for kind in FailureKind:
        if value == kind:
            return kind
    raise ConfigurationError(f"{name} must be one of {', '.join(FailureKind)}, not {value!r}")


def _is_code(key: object) -> bool:
    return isinstance(key, str) and bool(key)


def _is_status(key: object) -> bool:
    return isinstance(key, int) and key in range(300, 600)


def _is_error(key: object) -> bool:
    return isinstance(key, type) and issubclass(key, WorkSpacesError)


_KEYS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "extra_kinds": (_is_code, "an error code"),
    "extra_statuses": (_is_status, "an HTTP status, 300 to 599"),
    "extra_exceptions": (_is_error, "a class of WorkSpacesError"),
}
"""By field of `RetryPolicy`: what its keys are."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudgetPolicy:
    """The budget for retries, so that an outage makes a client stop repeating.

    Examples:
        >>> from workspaces_apps import RetryBudgetPolicy, RetryPolicy
        >>> batch = RetryPolicy(max_attempts=8, budget=RetryBudgetPolicy(capacity=2_000))
        >>> alone = RetryPolicy(budget=None)  # no budget: nothing else depends on the service
    """

    capacity: int = 500
    """Tokens of a full budget."""
    transient_cost: int = 14
    """Tokens that a retry after a transient fault takes."""
    throttle_cost: int = 5
    """Tokens that a retry after a throttle takes, where no pacer absorbs the throttle."""
    refund: int = 1
    """Tokens that a success gives back if its call needed no retry."""

    def __post_init__(self) -> None:
        """Refuse negative numbers and a budget that can pay for nothing."""
        for name in ("capacity", "transient_cost", "throttle_cost", "refund"):
            _require_count(getattr(self, name), f"RetryBudgetPolicy.{name}", least=0)

    def cost(self, kind: FailureKind) -> int:
        """Return the tokens for a retry after a failure of that kind."""
        return self.transient_cost if kind is FailureKind.TRANSIENT else self.throttle_cost


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The policy of retries: how often and how patiently a call is repeated.

    Examples:
        >>> from datetime import timedelta
        >>> from workspaces_apps import ClientConfig, RetryPolicy
        >>> patient = ClientConfig(retry=RetryPolicy(max_attempts=10, max_backoff=timedelta(minutes=1)))
        >>> impatient = ClientConfig(retry=RetryPolicy(max_attempts=1))  # no retries
    """

    max_attempts: int = 5
    """Requests at most for one call, 1 or more; 1 means that nothing is repeated."""
    throttle_base: Duration = 1.0
    """The longest wait before the first retry after a throttle."""
    transient_base: Duration = 0.05
    """The longest wait before the first retry after a transient fault."""
    max_backoff: Duration = 20.0
    """The longest wait before any retry, a server's wish aside. Durations are timedeltas or
    seconds."""
    look_delay: Duration = 5.0
    """The wait before each read that decides whether a write whose outcome is open is sent
    again. Nothing says that a read sees what was written just before [assumed], so an immediate read could
    take a deployment that has begun for one that has not."""
    budget: RetryBudgetPolicy | None = RetryBudgetPolicy()
    """The retries that all calls which share a budget may spend; None for no limit."""
    extra_kinds: Mapping[str, FailureKind] = field(default_factory=dict[str, FailureKind])
    """Error codes that this client treats differently from the tables."""
    extra_statuses: Mapping[int, FailureKind] = field(default_factory=dict[int, FailureKind])
    """HTTP statuses that it treats differently, 300 to 599."""
    extra_exceptions: Mapping[type[WorkSpacesError], FailureKind] = field(
        default_factory=dict[type[WorkSpacesError], FailureKind]
    )
    """Classes of `WorkSpacesError` that it treats differently; of several that fit, the
    nearest counts. A code goes before a status, and a status before a class."""
    retry_in_progress: bool = False
    """True to repeat a call while another operation holds the resource. Off: that
    takes minutes, and attempts are used up in seconds."""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigurationError: A field breaks its rule; the message names both.
        """
        _require_count(self.max_attempts, "RetryPolicy.max_attempts", least=1)
        for name in ("throttle_base", "transient_base", "max_backoff", "look_delay"):
            to_seconds(getattr(self, name), f"RetryPolicy.{name}")
        for name, (fits, allowed) in _KEYS.items():
            # A copy: the mapping that came may still be changed by whoever made it.
            own = dict[object, object](getattr(self, name))
            for key, kind in own.items():
                if not fits(key):
                    raise ConfigurationError(f"a key of RetryPolicy.{name} must be {allowed}, not {key!r}")
                own[key] = _kind(kind, f"RetryPolicy.{name}[{key!r}]")
            object.__setattr__(self, name, own)

    def __hash__(self) -> int:
        """Hash every field, the mapping by its items."""
        return hash(
            (
                self.max_attempts,
                self.throttle_base,
                self.transient_base,
                self.max_backoff,
                self.look_delay,
                self.budget,
                frozenset(self.extra_kinds.items()),
                frozenset(self.extra_statuses.items()),
                frozenset(self.extra_exceptions.items()),
                self.retry_in_progress,
            )
        )

    def kind_of(self, error: WorkSpacesError) -> FailureKind:
        """Return the kind of a failure, this policy's own rows counted in."""
        return classify_by_table(error, self.extra_kinds, self.extra_statuses, self.extra_exceptions)

    def repeats(self, kind: FailureKind) -> bool:
        """Tell if failures of that kind are repeated at all."""
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
        """Return the delay before a retry: full jitter, bent towards what the server asked for.

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
