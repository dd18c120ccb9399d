"""The operations the simulator implements, one module per family."""

from typing import Final

from workspaces_apps.simulator._operations import (
    accounts,
    aliases,
    applications,
    branding,
    bundles,
    directories,
    images,
    ip_groups,
    modification,
    pools,
    recovery,
    tags,
    workspaces,
)
from workspaces_apps.simulator._operations.call import Call, Family, Handler

OPERATIONS: Final[Family] = {
    name: handler
    for family in (
        accounts,
        aliases,
        applications,
        branding,
        bundles,
        directories,
        images,
        ip_groups,
        modification,
        pools,
        recovery,
        tags,
        workspaces,
    )
    for name, handler in family.OPERATIONS.items()
}

__all__ = ["OPERATIONS", "Call", "Handler"]
