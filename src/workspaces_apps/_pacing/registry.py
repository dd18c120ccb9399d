"""Pacers by what they pace, so that every client in a process that calls the same thing shares one."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias
from weakref import WeakSet

from workspaces_apps._base.clock import Clock, SystemClock
from workspaces_apps._base.log_fields import rpc_method
from workspaces_apps._base.public import public
from workspaces_apps._pacing.policy import Pacing
from workspaces_apps._pacing.rate_limiter import RateLimiter
from workspaces_apps._telemetry.metrics import MetricName
from workspaces_apps._telemetry.port import Attributes


class PacingKey(NamedTuple):
    """The calls that the service counts together [assumed]: one operation, one account, one Region.

    Attributes:
        endpoint: The URL that is called.
        region: The Region.
        account: The account id; the access key id where that is not known.
        operation: The API operation.
    """

    endpoint: str
    region: str
    account: str
    operation: str


_Key: TypeAlias = tuple[PacingKey, Pacing, int]


_registries: Final[WeakSet["PacingRegistry"]] = WeakSet()
"""All that there are."""


@public("workspaces_apps")
class PacingRegistry:
    """Pacers by key and policy; safe between threads.

    It is bounded: past `limit`, those that were not asked for the longest and are idle are dropped, and with
    them what they have learned.
    """

    def __init__(self, limit: int = 4096) -> None:
        """An empty registry.

        Args:
            limit: How many pacers it holds before it drops idle ones.
        """
        self._limit = limit
        self.forget()
        _registries.add(self)

    def forget(self) -> None:
        """Begin anew, with nothing learned; calls under way keep the pacers that they have."""
        self._pacers: OrderedDict[_Key, tuple[RateLimiter, Clock]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._pacers)

    def pacer(self, key: PacingKey, pacing: Pacing, clock: Clock) -> RateLimiter:
        """The pacer for what `key` names, made if there is none.

        Clients share one if they agree on key and policy, and on the clock: system clocks are all the same,
        any other is one of its own.

        Args:
            key: What is paced.
            pacing: How.
            clock: Where time comes from.
        """
        # Beside the pacer the clock itself is kept, so that its id is not given to another one.
        full_key = (key, pacing, 0 if type(clock) is SystemClock else id(clock))
        with self._lock:
            found = self._pacers.get(full_key)
            if found is not None:
                self._pacers.move_to_end(full_key)
                return found[0]
            pacer = RateLimiter(pacing, clock)
            self._pacers[full_key] = (pacer, clock)
            if len(self._pacers) > self._limit:
                self._drop_idle()
            return pacer

    def gauges(self) -> Iterator[tuple[MetricName, float, Attributes]]:
        """Return the present values that metrics show of the rate limiters: rates and requests in flight."""
        with self._lock:
            limiters = [(key, limiter) for (key, _, _), (limiter, _) in self._pacers.items()]
        for key, limiter in limiters:
            where = {"rpc.method": rpc_method(key.operation), "cloud.region": key.region}
            yield "workspaces_apps.client.in_flight", limiter.in_flight, where
            if limiter.rate is not None:
                yield "workspaces_apps.client.rate", limiter.rate, where

    def _drop_idle(self) -> None:
        surplus = len(self._pacers) - self._limit
        newest = next(reversed(self._pacers))
        idle = (key for key, (pacer, _) in self._pacers.items() if pacer.idle and key != newest)
        for key in [key for key, _ in zip(idle, range(surplus), strict=False)]:
            del self._pacers[key]


def _forget_all() -> None:
    for registry in list(_registries):
        registry.forget()


if hasattr(os, "register_at_fork"):
    # The calls under way are the parent's: in the child nobody would give back their slots and their locks.
    os.register_at_fork(after_in_child=_forget_all)


DEFAULT_REGISTRY: Final = PacingRegistry()
"""The one that every client of this process uses if it is given no other."""
