"""What to do next about one WorkSpace, from what is wanted and what is seen: a table, and the rules around it.

Nothing here remembers or calls anything. Whoever asks has looked at the service, and looks again after each step;
so it does not matter how a WorkSpace came to be as it is, by this run, by one that was killed, or by somebody's hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, TypeAlias

from workspaces_apps.api.applications import AssociationState
from workspaces_apps.rollout.associations import ABSENT, ERROR, IN_FLIGHT, RESTING, STAGED
from workspaces_apps.rollout.events import Direction
from workspaces_apps.rollout.reasons import Reason


class Step(Enum):
    """What one application needs."""

    DONE = auto()
    """It is as wanted."""
    STAGE = auto()
    """Associate or Disassociate, whichever is wanted; where the opposite is staged, that takes it back [doc]."""
    COMMIT = auto()
    """It is staged as wanted: Deploy."""
    WAIT = auto()
    """A deployment goes on, in whichever direction."""
    MEND = auto()
    """It is in ERROR."""


TABLE: Final[Mapping[tuple[Direction, str], Step]] = {
    ("install", ABSENT): Step.STAGE,
    ("install", AssociationState.PENDING_INSTALL_DEPLOYMENT): Step.COMMIT,
    ("install", AssociationState.PENDING_INSTALL): Step.WAIT,
    ("install", AssociationState.INSTALLING): Step.WAIT,
    ("install", AssociationState.COMPLETED): Step.DONE,
    ("install", AssociationState.PENDING_UNINSTALL_DEPLOYMENT): Step.STAGE,
    ("install", AssociationState.PENDING_UNINSTALL): Step.WAIT,
    ("install", AssociationState.UNINSTALLING): Step.WAIT,
    ("install", AssociationState.ERROR): Step.MEND,
    ("uninstall", ABSENT): Step.DONE,
    ("uninstall", AssociationState.PENDING_INSTALL_DEPLOYMENT): Step.STAGE,
    ("uninstall", AssociationState.PENDING_INSTALL): Step.WAIT,
    ("uninstall", AssociationState.INSTALLING): Step.WAIT,
    ("uninstall", AssociationState.COMPLETED): Step.STAGE,
    ("uninstall", AssociationState.PENDING_UNINSTALL_DEPLOYMENT): Step.COMMIT,
    ("uninstall", AssociationState.PENDING_UNINSTALL): Step.WAIT,
    ("uninstall", AssociationState.UNINSTALLING): Step.WAIT,
    ("uninstall", AssociationState.ERROR): Step.MEND,
}
"""By what is wanted and what is seen. A state that is not here is unknown, and waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One WorkSpace.

    Attributes:
        wanted: For each application of the plan that is to be changed: where to.
        seen: The state of each association; what is not here is absent.
        known: For applications in ERROR: the direction that failed, where it is known.
        tries: How often each was tried again, over all runs.
        retries: How often each may be.
        stubborn: Applications in ERROR whose direction the service would not take anew.
        committed: Applications that a Deploy was just taken for, and that may not show it yet.
        allowed: What may be staged by others: pairs of application and state.
        assume_direction: Take the direction that is wanted for the one that failed, where it is not known.
    """

    wanted: Mapping[str, Direction]
    seen: Mapping[str, str]
    known: Mapping[str, Direction | None]
    tries: Mapping[str, int]
    retries: int
    stubborn: frozenset[str] = frozenset()
    committed: frozenset[str] = frozenset()
    allowed: frozenset[tuple[str, str]] = frozenset()
    assume_direction: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Something goes on: look again later."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Associate or Disassociate these, in this order; those of `restated` are in ERROR."""

    applications: tuple[str, ...]
    restated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Deploy:
    """Commit what is staged; with `retried`, try again these with Force."""

    applications: tuple[str, ...]
    retried: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Leave the WorkSpace alone."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do; `given_up` are in ERROR and stay there, each with the reason."""

    given_up: Mapping[str, Reason]


Decision: TypeAlias = Wait | Stage | Deploy | Refuse | Finish


def step_for(wanted: Direction, state: str) -> Step:
    """What an application needs that is in `state`."""
    return TABLE.get((wanted, state), Step.WAIT)


def decide(now: Situation) -> Decision:
    """The next step for a WorkSpace."""
    steps = {application: _step(now, application, direction) for application, direction in now.wanted.items()}
    if all(step is Step.DONE for step in steps.values()):
        return Finish({})
    if Step.WAIT in steps.values() or any(state in IN_FLIGHT for state in now.seen.values()):
        return Wait()
    force, restate, given_up = _mend(now, [one for one, step in steps.items() if step is Step.MEND])
    stage = [application for application, step in steps.items() if step is Step.STAGE]
    commit = tuple(application for application, step in steps.items() if step is Step.COMMIT)
    if stage or restate or commit or force:
        strangers = _strangers(now)
        if strangers:
            return Refuse(Reason.FOREIGN_STAGED, f"staged by somebody else: {', '.join(strangers)}")
    if stage or restate:
        # Removals first: what they make room for may clash with what is still there.
        order = sorted([*stage, *restate], key=lambda one: (now.wanted[one] == "install", one))
        return Stage(tuple(order), frozenset(restate))
    if commit or force:
        return Deploy((*commit, *force), frozenset(force))
    return Finish(given_up)


def _step(now: Situation, application: str, direction: Direction) -> Step:
    step = step_for(direction, now.seen.get(application, ABSENT))
    if application in now.committed and step in (Step.COMMIT, Step.MEND):
        return Step.WAIT
    return step


def _mend(now: Situation, broken: list[str]) -> tuple[list[str], list[str], dict[str, Reason]]:
    """Which of those in ERROR to try again with Force, which to stage anew, and which to give up."""
    force: list[str] = []
    restate: list[str] = []
    given_up: dict[str, Reason] = {}
    for application in broken:
        known = now.known.get(application)
        if now.tries.get(application, 0) >= now.retries:
            given_up[application] = Reason.RETRIES_EXHAUSTED
        elif known == now.wanted[application]:
            force.append(application)
        elif application not in now.stubborn:
            restate.append(application)
        elif known is not None:
            given_up[application] = Reason.DIRECTION_OPPOSITE
        elif now.assume_direction:
            force.append(application)
        else:
            given_up[application] = Reason.DIRECTION_UNKNOWN
    foreign = any(state == ERROR and one not in now.wanted for one, state in now.seen.items())
    if force and (foreign or restate or given_up):
        # Force tries again whatever is in ERROR on the WorkSpace [doc], so it must be right for all of it.
        reason = Reason.FOREIGN_ERROR if foreign else next(iter(given_up.values()), Reason.FOREIGN_ERROR)
        for application in force:
            if application not in now.stubborn:
                restate.append(application)
            elif not restate:
                given_up[application] = reason
        force = []
    return force, restate, given_up


def _strangers(now: Situation) -> list[str]:
    """What is staged, or in no state that is known, and not in the plan: Deploy would commit it too [doc]."""
    return sorted(
        application
        for application, state in now.seen.items()
        if application not in now.wanted
        and state != ERROR
        and state not in RESTING
        and (application, state) not in now.allowed
        and (state in STAGED or state not in IN_FLIGHT)
    )
