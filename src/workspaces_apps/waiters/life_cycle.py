"""The life of an association as a table: what the waiters wait through, and what the picture in the docs shows."""

from dataclasses import dataclass
from typing import Final

from workspaces_apps.waiters.acceptors import ABSENT, Mark


@dataclass(frozen=True, slots=True)
class Transition:
    """One way from a state to another.

    Attributes:
        before: The state before, or ABSENT.
        trigger: The call that leads there; empty if it comes by itself.
        after: The state after, or ABSENT.
        mark: How this is known.
    """

    before: str
    trigger: str
    after: str
    mark: Mark


TRANSITIONS: Final = (
    Transition(ABSENT, "Associate", "PENDING_INSTALL_DEPLOYMENT", "doc"),
    Transition("PENDING_INSTALL_DEPLOYMENT", "Disassociate", ABSENT, "assumed"),
    Transition("PENDING_INSTALL_DEPLOYMENT", "Deploy", "PENDING_INSTALL", "doc"),
    Transition("PENDING_INSTALL", "", "INSTALLING", "assumed"),
    Transition("INSTALLING", "", "COMPLETED", "assumed"),
    Transition("INSTALLING", "", "ERROR", "assumed"),
    Transition("COMPLETED", "Disassociate", "PENDING_UNINSTALL_DEPLOYMENT", "doc"),
    Transition("PENDING_UNINSTALL_DEPLOYMENT", "Associate", "COMPLETED", "assumed"),
    Transition("PENDING_UNINSTALL_DEPLOYMENT", "Deploy", "PENDING_UNINSTALL", "doc"),
    Transition("PENDING_UNINSTALL", "", "UNINSTALLING", "assumed"),
    Transition("UNINSTALLING", "", "REMOVED", "assumed"),
    Transition("UNINSTALLING", "", "ERROR", "assumed"),
    Transition("ERROR", "Force", "PENDING_INSTALL", "doc"),
    Transition("ERROR", "Force", "PENDING_UNINSTALL", "doc"),
)
"""Every transition; Associate, Disassociate and Deploy stand for the operations, Force for Deploy with Force.

That the opposite call takes a staged change back is documented, where that leads is assumed. Force repeats what
failed [doc], which the record does not show.
"""
