"""Waiters: what the states mean, polls that all waits of a client share, and whole jobs built on them.

The methods are the client's (`WorkSpacesClient.wait_until_deployed` and the others); here are the records they take
and give. They are imported when they are first used: a client that never waits does without them.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workspaces_apps._waiters.deployment import (
        AssociationChange,
        AssociationStatus,
        DeploymentOutcome,
        OnChange,
        WantedState,
    )
    from workspaces_apps._waiters.methods import PollPolicy

__all__ = [
    "AssociationChange",
    "AssociationStatus",
    "DeploymentOutcome",
    "OnChange",
    "PollPolicy",
    "WantedState",
]

if not TYPE_CHECKING:
    import importlib

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = importlib.import_module(f"{__name__}.{'methods' if name == 'PollPolicy' else 'deployment'}")
        found = globals()[name] = getattr(home, name)
        return found
