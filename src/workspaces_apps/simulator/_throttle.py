"""Token buckets per account, Region and operation; a bucket's time is the simulator's."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from workspaces_apps._base.public import public
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._model import check_operations
from workspaces_apps.simulator._wire import ApiError


@public("workspaces_apps.simulator")
@dataclass(frozen=True, slots=True)
class Rate:
    """The rate at which a bucket fills, in requests per second, and its capacity."""

    per_second: float
    burst: float

    def __post_init__(self) -> None:
        if not 0 <= self.per_second < float("inf") or not 1 <= self.burst < float("inf"):
            raise ConfigurationError(
                f"a rate needs 0 or more per second and a burst of 1 or more, not {self.per_second} and {self.burst}"
            )


@public("workspaces_apps.simulator")
@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """The rates a simulator enforces. AWS publishes none: 2 per second with a burst of 5 is assumed.

    Attributes:
        default: For every operation without a rate of its own; None: unlimited.
        operations: Rates by operation; None: that operation is unlimited.

    Raises:
        ConfigurationError: There is no such operation.
    """

    default: Rate | None = Rate(2.0, 5.0)
    operations: Mapping[str, Rate | None] = field(default_factory=dict[str, "Rate | None"])

    def __post_init__(self) -> None:
        if self.operations:
            check_operations(self.operations)

    @classmethod
    def off(cls) -> "Throttle":
        """No limits."""
        return cls(default=None)

    @classmethod
    def at(cls, per_second: float, burst: float = 5.0) -> "Throttle":
        """One rate for every operation."""
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
    """The answer to a request too many: a code that is not in the model [field][seen]."""
    return ApiError("ThrottlingException", "Rate exceeded")
