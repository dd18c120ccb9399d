"""The next step for one WorkSpace, as a pure function of what is desired and what was read.

Nothing here remembers or calls anything. Whoever asks has read the service, and reads again after each step, so it does
not matter how a WorkSpace came to be as it is: by this run, by one that was killed, or by somebody's hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from workspaces_apps._associations import Direction
from workspaces_apps._associations.states import ERROR, IN_FLIGHT, SETTLED, STAGED, NextAction, next_action
from workspaces_apps._associations.workspaces import Readiness
from workspaces_apps._reconcile.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileInput:
    """Everything that the next step depends on.

    Attributes:
        desired: The direction of each application that is to be changed.
        states: The state of each association; what is not here is absent.
        readiness: The meaning of the WorkSpace's state; None where it must be read first.
        known: For applications in ERROR: the direction that failed, where it is known.
        tries: How often each was retried, over all runs.
        retries: How often each may be.
        cannot_restage: Applications in ERROR whose direction the service would not take anew.
        committed: Applications that a Deploy was just taken for, and that may not show it yet.
        allowed: What others may have staged: pairs of application and state; None for anything.
        allow_foreign_errors: Let Force retry also what others have in ERROR.
        assume_direction: Take the direction that is desired for the one that failed, where it is not known.
    """

    desired: Mapping[str, Direction]
    states: Mapping[str, str]
    readiness: Readiness | None
    known: Mapping[str, Direction | None]
    tries: Mapping[str, int]
    retries: int
    cannot_restage: frozenset[str] = frozenset()
    committed: frozenset[str] = frozenset()
    allowed: frozenset[tuple[str, str]] | None = frozenset()
    allow_foreign_errors: bool = False
    assume_direction: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait: a deployment is in flight.

    Attributes:
        for_others: Whether only what is not desired here is in flight.
    """

    for_others: bool = False


@dataclass(frozen=True, slots=True)
class AwaitReady:
    """Wait until the WorkSpace is ready, or read its state if nobody has."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Associate or Disassociate, in this order.

    Attributes:
        applications: What to stage.
        restaged: Those of them that are in ERROR.
    """

    applications: tuple[str, ...]
    restaged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Deploy:
    """Deploy.

    Attributes:
        applications: What it commits or retries.
        retried: Those of them that it retries with Force.
    """

    applications: tuple[str, ...]
    retried: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refuse:
    """Leave the WorkSpace alone.

    Attributes:
        reason: The reason.
        message: The reason in words.
        foreign: What somebody else has staged, with its state.
    """

    reason: Reason
    message: str
    foreign: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finish:
    """End: nothing is left to do.

    Attributes:
        given_up: The applications in ERROR that stay there, each with the reason.
    """

    given_up: Mapping[str, Reason]


Decision: TypeAlias = Wait | AwaitReady | Stage | Deploy | Refuse | Finish

_PENDING: Final = frozenset({NextAction.DEPLOY, NextAction.RETRY})


def decide(now: ReconcileInput) -> Decision:
    """Return the next step."""
    actions = {application: _action(now, application) for application in now.desired}
    if NextAction.WAIT in actions.values():
        return Wait()
    done = all(action is NextAction.NOTHING for action in actions.values())
    if not done and any(state in IN_FLIGHT for state in now.states.values()):
        return Wait(for_others=True)
    if now.readiness is not Readiness.READY:
        # Done is only what is done on a WorkSpace that is back; and only a ready one takes changes [doc].
        return _unless_ready(now.readiness)
    if done:
        return Finish({})
    failed = [application for application, action in actions.items() if action is NextAction.RETRY]
    force, restage, given_up = _retry(now, failed)
    stage = [application for application, action in actions.items() if action is NextAction.STAGE]
    deploy = tuple(application for application, action in actions.items() if action is NextAction.DEPLOY)
    foreign = foreign_staged(now)
    # Taking a staged change back needs no Deploy, and so commits nothing of somebody else's.
    only_reverts = not (restage or deploy or force) and all(now.states.get(one) in STAGED for one in stage)
    if foreign and (stage or restage or deploy or force) and not only_reverts:
        listed = ", ".join(f"{one} ({state})" for one, state in foreign.items())
        return Refuse(Reason.FOREIGN_STAGED, f"staged by somebody else: {listed}", foreign)
    if stage or restage:
        # Removals first: what they make room for may conflict with what is still there.
        order = sorted([*stage, *restage], key=lambda one: now.desired[one] == "install")
        return Stage(tuple(order), frozenset(restage))
    if deploy or force:
        return Deploy((*deploy, *force), frozenset(force))
    return Finish(given_up)


def _unless_ready(readiness: Readiness | None) -> AwaitReady | Refuse:
    if readiness is Readiness.GONE:
        return Refuse(Reason.VANISHED, "the WorkSpace does not exist any more", {})
    if readiness is Readiness.NEEDS_SOMEBODY:
        return Refuse(Reason.WORKSPACE_STATE, "the WorkSpace needs manual attention", {})
    return AwaitReady()


def _action(now: ReconcileInput, application: str) -> NextAction:
    action = next_action(now.states.get(application), now.desired[application])
    if application in now.committed and action in _PENDING:
        return NextAction.WAIT
    return action


def _retry(now: ReconcileInput, failed: list[str]) -> tuple[list[str], list[str], dict[str, Reason]]:
    """Sort what is in ERROR: retried with Force, staged anew, given up."""
    force: list[str] = []
    restage: list[str] = []
    given_up: dict[str, Reason] = {}
    for application in failed:
        known = now.known.get(application)
        if now.tries.get(application, 0) >= now.retries:
            given_up[application] = Reason.RETRIES_EXHAUSTED
        elif known == now.desired[application]:
            force.append(application)
        elif application not in now.cannot_restage:
            restage.append(application)
        elif known is not None:
            given_up[application] = Reason.DIRECTION_OPPOSITE
        elif now.assume_direction:
            force.append(application)
        else:
            given_up[application] = Reason.DIRECTION_UNKNOWN
    foreign = not now.allow_foreign_errors and any(
        state == ERROR and one not in now.desired for one, state in now.states.items()
    )
    if force and (foreign or restage or given_up):
        # Force retries whatever is in ERROR on the WorkSpace [doc], so it must be right for all of it.
        reason = Reason.FOREIGN_ERROR if foreign else next(iter(given_up.values()), Reason.FOREIGN_ERROR)
        for application in force:
            if application not in now.cannot_restage:
                restage.append(application)
            elif not restage:
                given_up[application] = reason
        force = []
    return force, restage, given_up


def foreign_staged(now: ReconcileInput) -> dict[str, str]:
    """Return what others have staged, or in a state that is unknown: Deploy would commit it too [doc]."""
    if now.allowed is None:
        return {}
    return {
        application: state
        for application, state in sorted(now.states.items())
        if application not in now.desired
        and state != ERROR
        and state not in SETTLED
        and (application, state) not in now.allowed
        and (state in STAGED or state not in IN_FLIGHT)
    }
