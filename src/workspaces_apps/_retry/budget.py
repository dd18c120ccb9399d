"""A shared allowance for retries, so that an outage is not amplified."""

import threading

from workspaces_apps._retry.policy import RetryBudgetPolicy


class RetryBudget:
    """A bucket of tokens that retries take from and successes give back to; safe between threads."""

    __slots__ = ("_lock", "_tokens", "policy")

    def __init__(self, policy: RetryBudgetPolicy | None = None) -> None:
        """A full budget.

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
