"""The one pacing layer: no call goes faster than the service lets it, and none longer than it must.

A `Pacing` says how, a `PacingRegistry` keeps one `Pacer` per operation, account, Region and endpoint, and a
`Pacer` gives out `Permit`s.
"""

from workspaces_apps._pacing.adaptive import AdaptiveRate, Tuning
from workspaces_apps._pacing.permit import Outcome, Permit
from workspaces_apps._pacing.policy import Pacing
from workspaces_apps._pacing.rate import FixedRate, RateRule
from workspaces_apps._pacing.rate_limiter import Pacer
from workspaces_apps._pacing.registry import DEFAULT_REGISTRY, PacingKey, PacingRegistry

__all__ = [
    "DEFAULT_REGISTRY",
    "AdaptiveRate",
    "FixedRate",
    "Outcome",
    "Pacer",
    "Pacing",
    "PacingKey",
    "PacingRegistry",
    "Permit",
    "RateRule",
    "Tuning",
]
