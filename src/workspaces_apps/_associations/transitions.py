"""The life of an association as a table of transitions, from which the picture in the docs is drawn."""

from dataclasses import dataclass
from typing import Final

from workspaces_apps._associations import Mark


@dataclass(frozen=True, slots=True)
class Transition:
    """One transition from a state to another.

    Attributes:
        before: The state before; None for no association.
        trigger: The call that leads there; empty if it comes by itself.
        after: The state after; None for no association.
        mark: The source.
    """

    before: str | None
    trigger: str
    after: str | None
    mark: Mark


TRANSITIONS: Final = (
    Transition(None, "Associate", "PENDING_INSTALL_DEPLOYMENT", "doc"),
    Transition("PENDING_INSTALL_DEPLOYMENT", "Disassociate", None, "assumed"),
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
