"""The operations the simulator implements, by family."""

from collections.abc import Mapping
from typing import Final

from workspaces_apps.simulator._operations.applications import APPLICATIONS
from workspaces_apps.simulator._operations.bundles import BUNDLES, IMAGES
from workspaces_apps.simulator._operations.call import Call, Family, Handler
from workspaces_apps.simulator._operations.directories import DIRECTORIES
from workspaces_apps.simulator._operations.modification import MODIFICATION
from workspaces_apps.simulator._operations.stored import ACCOUNTS, ALIASES, BRANDING, IP_GROUPS, POOLS
from workspaces_apps.simulator._operations.tags import TAGS
from workspaces_apps.simulator._operations.workspaces import RECOVERY, WORKSPACES

ACTING: Final[Mapping[str, Family]] = {
    "The eight application operations: the catalogue, associations, and their deployment": APPLICATIONS,
    "WorkSpaces: create, describe, start, stop, reboot, terminate, and their connections": WORKSPACES,
    "Changing a WorkSpace: its properties, its running mode, and maintenance by an administrator": MODIFICATION,
    "Rebuild, restore, migrate, snapshots and standby: what moves a WorkSpace away from what was installed on it": RECOVERY,
    "Directories: registering, describing, and the properties that hang on them": DIRECTORIES,
    "Bundles: what new WorkSpaces are made of": BUNDLES,
    "Images: what bundles are made of, and who else may copy them": IMAGES,
    "Tags on anything that has an id": TAGS,
}
"""Families with a behaviour: preconditions, states, effects on each other."""

STORING: Final[Mapping[str, Family]] = {
    "The account: bring-your-own-licence settings, management ranges, and links between accounts": ACCOUNTS,
    "Connection aliases, and the add-ins of a directory's client application": ALIASES,
    "The look of a directory's client application: stored and described": BRANDING,
    "IP access control groups: stored and described; nothing is filtered by them": IP_GROUPS,
    "WorkSpaces Pools: stored, described, started and stopped; nobody ever has a session": POOLS,
}
"""Families that keep what they are given and describe it, and have little effect on anything else."""

OPERATIONS: Final[Family] = {
    name: handler for family in (*ACTING.values(), *STORING.values()) for name, handler in family.items()
}

__all__ = ["ACTING", "OPERATIONS", "STORING", "Call", "Handler"]
