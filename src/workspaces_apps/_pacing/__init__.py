"""The one pacing layer: no call goes faster than the service lets it, and none longer than it must.

A `Pacing` says how, a `PacingRegistry` keeps one `RateLimiter` per operation, account, Region and endpoint, and a
`RateLimiter` gives out `Permit`s.
"""

from workspaces_apps._pacing.rate_limiter import (
    DEFAULT_REGISTRY,
    AdaptiveRate,
    FixedRate,
    Pacing,
    PacingKey,
    PacingRegistry,
    Permit,
    RateLimiter,
    RateRule,
)

__all__ = [
    "DEFAULT_REGISTRY",
    "AdaptiveRate",
    "FixedRate",
    "Pacing",
    "PacingKey",
    "PacingRegistry",
    "Permit",
    "RateLimiter",
    "RateRule",
]
