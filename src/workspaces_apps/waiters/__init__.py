"""Waiters: what the states mean, polls that all waits of a client share, and whole jobs built on them.

The methods are the client's (`WorkSpacesClient.wait_until_deployed` and the others); here are the records they take
and give. Importing this package loads no HTTP stack and no models.
"""

from workspaces_apps.waiters.policy import PollPolicy
from workspaces_apps.waiters.records import (
    AssociationChange,
    AssociationStatus,
    DeploymentOutcome,
    OnChange,
    Target,
)

__all__ = [
    "AssociationChange",
    "AssociationStatus",
    "DeploymentOutcome",
    "OnChange",
    "PollPolicy",
    "Target",
]
