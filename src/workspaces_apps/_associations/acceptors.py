"""The acceptor tables of the resource waiters: what each state means to each waiter, and how that is known.

A state that no row names, such as one newer than this package, means: keep waiting.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Literal, TypeAlias

from workspaces_apps._associations import Mark

ABSENT: Final = "ABSENT"
"""Stands for a resource that the service does not list."""

GONE: Final = "GONE"
"""Stands for a resource that was seen, and that the service has not listed for a minute since."""


class Verdict(Enum):
    """The meaning of a read to a waiter."""

    WAIT = auto()
    SUCCESS = auto()
    FAILURE = auto()


Waiter: TypeAlias = Literal[
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
    """One row: the meaning of a state to a waiter.

    Attributes:
        waiter: The waiter that it is for.
        state: The state, or ABSENT.
        verdict: Its meaning.
        mark: The source.
        why: The fact, in a sentence.
    """

    waiter: Waiter
    state: str
    verdict: Verdict
    mark: Mark
    why: str


_OK, _NO, _WAIT = Verdict.SUCCESS, Verdict.FAILURE, Verdict.WAIT

_GOING = "What is being terminated does not come back."
_GONE = "A terminated WorkSpace is absent."
_BROKEN = "It failed beyond use."
_GONE_SINCE = "What was there and stays absent has been terminated."
_NOT_YET = "An id just returned by CreateWorkspaces may be absent for a while."
_SAME_AS_BEFORE = "Right after the call nothing may have changed yet."
_KEEPS_STATE = "A change of properties does not show in the state; ModificationStates decides."

ACCEPTORS: Final = (
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
"""Every row; a state without one means: keep waiting."""

_ACCEPTORS: Final = {(row.waiter, row.state): row.verdict for row in ACCEPTORS}


def verdict_on(waiter: Waiter, state: str | None) -> Verdict:
    """Return the meaning of a state to a waiter; None is absence, and so is GONE where the waiter has no row for it."""
    if state is None or (state == GONE and (waiter, GONE) not in _ACCEPTORS):
        state = ABSENT
    return _ACCEPTORS.get((waiter, state), Verdict.WAIT)
