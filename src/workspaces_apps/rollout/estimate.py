"""What an apply will cost, about: calls and time, from the plan and the rate that is known."""

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Final

from workspaces_apps.rollout.associations import ABSENT, RESTING
from workspaces_apps.rollout.plan import Estimate, PlannedWorkspace
from workspaces_apps.rollout.policy import Policy
from workspaces_apps.rollout.reading import PAGE
from workspaces_apps.rollout.waves import wave_sizes

ASSUMED_RATE: Final = 2.0
"""Calls a second of one operation, while the service has not shown better: fleets settle on 1.3 to 1.5 [field], the
simulator lets 2 through [assumed]."""

DEPLOYMENT_SECONDS: Final = 900.0
"""How long a deployment lasts; AWS publishes nothing [assumed]."""

_ROUND_SECONDS: Final = 60.0


def estimate(workspaces: Sequence[PlannedWorkspace], policy: Policy, learned: Iterable[float]) -> Estimate:
    """What applying a plan will cost.

    Args:
        workspaces: What is planned.
        policy: Waves and ceilings.
        learned: The rates that the service has shown, in calls a second.
    """
    known = min(learned, default=None)
    rate = known if known is not None else ASSUMED_RATE
    pending = [workspace for workspace in workspaces if workspace.pending]
    staging = sum(
        change.state in RESTING or change.state == ABSENT for one in pending for change in one.pending
    )
    writes = max(len(pending), staging)
    seconds = 0.0
    for number, size in enumerate(
        wave_sizes(len(pending), policy.canary, policy.growth, policy.largest_wave)
    ):
        share = size / len(pending)
        deployments = ceil(size / policy.max_in_flight)
        # Writes of one batch go on while an earlier one deploys.
        seconds += max(writes * share / rate, DEPLOYMENT_SECONDS * (deployments - 1)) + DEPLOYMENT_SECONDS
        seconds += policy.pause if number else 0.0
    pages = ceil(sum(len(one.pending) for one in pending) / PAGE)
    rounds = ceil(seconds / max(_ROUND_SECONDS, 1.25 * pages))
    looks = len(pending) * (2 if policy.skip_connected else 1)
    return Estimate(
        calls=staging + looks + len(pending) + rounds * pages if pending else 0,
        seconds=seconds,
        rate=rate,
        rate_is_learned=known is not None,
        deployment_seconds=DEPLOYMENT_SECONDS,
    )
