"""The acceptor tables: what each observation means to each waiter, and how that is known.

Marks: ``doc`` AWS documentation or the service model; ``field`` reported by people who run fleets; ``assumed``
inferred, no source found. What no row names, such as a state newer than this package, means: keep waiting.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal, TypeAlias

from workspaces_apps.waiters.records import Target

Mark: TypeAlias = Literal["doc", "field", "assumed"]

ABSENT: Final = "ABSENT"
"""Stands for a resource that the service does not list."""

GONE: Final = "GONE"
"""Stands for a resource that was seen, and that the service has not listed for a minute since."""


class Phase(Enum):
    """What the state of an association means to somebody who wants it installed, or removed."""

    IDLE = auto()
    """Nothing is on its way there: not staged, or staged the other way."""
    STAGED = auto()
    """Staged; Deploy is missing, or not visible yet."""
    MOVING = auto()
    """On its way."""
    DONE = auto()
    """There."""
    FAILED = auto()
    """In ERROR."""


@dataclass(frozen=True, slots=True)
class AssociationRow:
    """What a state of an association means.

    Attributes:
        state: The state, or ABSENT.
        installed: What it means to who wants the application installed.
        removed: What it means to who wants it removed.
        unknown: What it means where the direction is not known.
        shows: The direction that the state shows by itself, if any.
        mark: How this is known.
        why: What is known, in a sentence.
    """

    state: str
    installed: Phase
    removed: Phase
    unknown: Phase
    shows: Target | None
    mark: Mark
    why: str

    def phase(self, wanted: Target | None) -> Phase:
        """What the state means to who wants that."""
        if wanted is None:
            return self.unknown
        return self.installed if wanted == "installed" else self.removed


_P = Phase

ASSOCIATIONS: Final = (
    AssociationRow(ABSENT, _P.IDLE, _P.DONE, _P.DONE, None, "assumed",
        "No record and a record in REMOVED mean the same."),
    AssociationRow("PENDING_INSTALL_DEPLOYMENT", _P.STAGED, _P.IDLE, _P.STAGED, "installed", "doc",
        "Associate only stages; Deploy carries out. That this is the state's name for it is assumed."),
    AssociationRow("PENDING_INSTALL", _P.MOVING, _P.MOVING, _P.MOVING, "installed", "assumed",
        "The labels are documented, their order is the natural one."),
    AssociationRow("INSTALLING", _P.MOVING, _P.MOVING, _P.MOVING, "installed", "assumed",
        "The labels are documented, their order is the natural one."),
    AssociationRow("COMPLETED", _P.DONE, _P.IDLE, _P.DONE, None, "assumed",
        "The application is installed; nothing is under way."),
    AssociationRow("PENDING_UNINSTALL_DEPLOYMENT", _P.IDLE, _P.STAGED, _P.STAGED, "removed", "doc",
        "Disassociate only stages; Deploy carries out. That this is the state's name for it is assumed."),
    AssociationRow("PENDING_UNINSTALL", _P.MOVING, _P.MOVING, _P.MOVING, "removed", "assumed",
        "The labels are documented, their order is the natural one."),
    AssociationRow("UNINSTALLING", _P.MOVING, _P.MOVING, _P.MOVING, "removed", "assumed",
        "The labels are documented, their order is the natural one."),
    AssociationRow("REMOVED", _P.IDLE, _P.DONE, _P.DONE, None, "assumed",
        "No record and a record in REMOVED mean the same."),
    AssociationRow("ERROR", _P.FAILED, _P.FAILED, _P.FAILED, None, "doc",
        "A failed installation and a failed removal read the same; only who asked knows which it was."),
)  # fmt: skip
"""What the states of an association mean to `wait_until_deployed`; another state counts as on its way."""

_ASSOCIATIONS: Final = {row.state: row for row in ASSOCIATIONS}

_UNKNOWN: Final = AssociationRow(
    "", _P.MOVING, _P.MOVING, _P.MOVING, None, "assumed", "A state newer than this package: keep waiting."
)


def association_row(state: str | None) -> AssociationRow:
    """What a state of an association means; None is no association."""
    return _ASSOCIATIONS.get(ABSENT if state is None else state, _UNKNOWN)


class Verdict(Enum):
    """What a look means to a waiter."""

    WAIT = auto()
    SUCCESS = auto()
    FAILURE = auto()


Waiter: TypeAlias = Literal[
    "deployed",
    "ready",
    "available",
    "stopped",
    "terminated",
    "modified",
    "modification",
    "image available",
    "directory registered",
    "directory deregistered",
]


@dataclass(frozen=True, slots=True)
class Acceptor:
    """What a state of a resource means to a waiter.

    Attributes:
        waiter: The waiter.
        state: The state, or ABSENT.
        verdict: What it means.
        mark: How this is known.
        why: What is known, in a sentence.
    """

    waiter: Waiter
    state: str
    verdict: Verdict
    mark: Mark
    why: str


_OK, _NO, _WAIT = Verdict.SUCCESS, Verdict.FAILURE, Verdict.WAIT

_BACK = "A deployment leaves the WorkSpace as it found it, AVAILABLE or STOPPED."
_GOING = "What is being terminated does not come back."
_GONE = "A terminated WorkSpace is absent."
_BROKEN = "It failed beyond use."
_GONE_SINCE = "What was there and stays absent has been terminated."
_NOT_YET = "An id just returned by CreateWorkspaces may be absent for a while."
_SAME_AS_BEFORE = "Right after the call nothing may have changed yet."
_KEEPS_STATE = "A change of properties does not show in the state; ModificationStates decides."

ACCEPTORS: Final = (
    Acceptor("deployed", "AVAILABLE", _OK, "doc", _BACK),
    Acceptor("deployed", "STOPPED", _OK, "doc", _BACK),
    Acceptor("deployed", "UPDATING", _WAIT, "doc", "The deployment is under way."),
    Acceptor("deployed", "ERROR", _NO, "assumed", _BROKEN),
    Acceptor("deployed", "TERMINATING", _NO, "assumed", _GOING),
    Acceptor("deployed", "TERMINATED", _NO, "doc", _GOING),
    Acceptor("deployed", ABSENT, _NO, "doc", _GONE),
    Acceptor("ready", "AVAILABLE", _OK, "doc", "Applications can be staged and deployed."),
    Acceptor("ready", "STOPPED", _OK, "doc", "Applications can be staged and deployed."),
    Acceptor("ready", "ERROR", _NO, "assumed", _BROKEN),
    Acceptor("ready", "TERMINATING", _NO, "assumed", _GOING),
    Acceptor("ready", "TERMINATED", _NO, "doc", _GOING),
    Acceptor("ready", ABSENT, _WAIT, "doc", _NOT_YET),
    Acceptor("ready", GONE, _NO, "assumed", _GONE_SINCE),
    Acceptor("available", "AVAILABLE", _OK, "doc", "It runs and can be used."),
    Acceptor("available", "STOPPED", _WAIT, "assumed", _SAME_AS_BEFORE),
    Acceptor("available", "ERROR", _NO, "assumed", _BROKEN),
    Acceptor("available", "TERMINATING", _NO, "assumed", _GOING),
    Acceptor("available", "TERMINATED", _NO, "doc", _GOING),
    Acceptor("available", ABSENT, _WAIT, "doc", _NOT_YET),
    Acceptor("available", GONE, _NO, "assumed", _GONE_SINCE),
    Acceptor("stopped", "STOPPED", _OK, "doc", "It does not run."),
    Acceptor("stopped", "AVAILABLE", _WAIT, "assumed", _SAME_AS_BEFORE),
    Acceptor("stopped", "ERROR", _NO, "assumed", _BROKEN),
    Acceptor("stopped", "TERMINATING", _NO, "assumed", _GOING),
    Acceptor("stopped", "TERMINATED", _NO, "doc", _GOING),
    Acceptor("stopped", ABSENT, _WAIT, "doc", _NOT_YET),
    Acceptor("stopped", GONE, _NO, "assumed", _GONE_SINCE),
    Acceptor("terminated", "TERMINATED", _OK, "doc", "It is gone."),
    Acceptor("terminated", "AVAILABLE", _WAIT, "assumed", _SAME_AS_BEFORE),
    Acceptor("terminated", "TERMINATING", _WAIT, "doc", "The termination is under way."),
    Acceptor("terminated", ABSENT, _OK, "doc", _GONE),
    Acceptor("modified", "AVAILABLE", _WAIT, "field", _KEEPS_STATE),
    Acceptor("modified", "STOPPED", _WAIT, "field", _KEEPS_STATE),
    Acceptor("modified", "ERROR", _NO, "assumed", _BROKEN),
    Acceptor("modified", "TERMINATING", _NO, "assumed", _GOING),
    Acceptor("modified", "TERMINATED", _NO, "doc", _GOING),
    Acceptor("modified", ABSENT, _WAIT, "doc", _NOT_YET),
    Acceptor("modified", GONE, _NO, "assumed", _GONE_SINCE),
    Acceptor("modification", "UPDATE_INITIATED", _WAIT, "doc", "The change is under way."),
    Acceptor("modification", "UPDATE_IN_PROGRESS", _WAIT, "doc", "The change is under way."),
    Acceptor("modification", "UPDATE_FAILED", _NO, "doc", "The change failed."),
    Acceptor("image available", "AVAILABLE", _OK, "doc", "It can be used."),
    Acceptor("image available", "PENDING", _WAIT, "doc", "It is being made."),
    Acceptor("image available", "ERROR", _NO, "doc", "It could not be made."),
    Acceptor("image available", ABSENT, _WAIT, "assumed", "A new image may be absent for a while."),
    Acceptor("image available", GONE, _NO, "assumed", "What was there and stays absent has been deleted."),
    Acceptor("directory registered", "REGISTERED", _OK, "doc", "It can be used."),
    Acceptor("directory registered", "REGISTERING", _WAIT, "doc", "The registration is under way."),
    Acceptor("directory registered", "DEREGISTERED", _WAIT, "assumed", _SAME_AS_BEFORE),
    Acceptor("directory registered", "ERROR", _NO, "doc", "It could not be registered."),
    Acceptor("directory registered", ABSENT, _WAIT, "assumed", _SAME_AS_BEFORE),
    Acceptor("directory deregistered", "DEREGISTERED", _OK, "doc", "It is not registered any more."),
    Acceptor("directory deregistered", "DEREGISTERING", _WAIT, "doc", "The deregistration is under way."),
    Acceptor("directory deregistered", "REGISTERED", _WAIT, "assumed", _SAME_AS_BEFORE),
    Acceptor("directory deregistered", "ERROR", _NO, "doc", "It could not be deregistered."),
    Acceptor("directory deregistered", ABSENT, _OK, "assumed", "What is not listed is not registered."),
)
"""What the states of a resource mean to each waiter; another state means: keep waiting."""

_ACCEPTORS: Final = {(row.waiter, row.state): row.verdict for row in ACCEPTORS}


def verdict_on(waiter: Waiter, state: str | None) -> Verdict:
    """What a state means to a waiter; None is absence. What no row names for GONE is absence too."""
    if state is None or (state == GONE and (waiter, GONE) not in _ACCEPTORS):
        state = ABSENT
    return _ACCEPTORS.get((waiter, state), Verdict.WAIT)
