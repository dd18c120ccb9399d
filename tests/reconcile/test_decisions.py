"""The decision table of one WorkSpace, alone and against a small model of the service."""

from dataclasses import replace
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from workspaces_apps._associations import Direction
from workspaces_apps._associations.states import (
    ERROR,
    IN_FLIGHT,
    STAGED,
    NextAction,
    Readiness,
    next_action,
)
from workspaces_apps._reconcile.decisions import (
    AwaitReady,
    Decision,
    Deploy,
    Finish,
    Reason,
    ReconcileInput,
    Refuse,
    Stage,
    Wait,
    decide,
)
from workspaces_apps.api.applications import AssociationState

APPLICATIONS = ["office", "visio", "project"]
states = st.sampled_from([str(state) for state in AssociationState])
directions: st.SearchStrategy[Direction] = st.sampled_from(get_args(Direction))
inputs = st.builds(
    ReconcileInput,
    desired=st.dictionaries(st.sampled_from(APPLICATIONS), directions, min_size=1),
    states=st.dictionaries(st.sampled_from([*APPLICATIONS, "foreign"]), states),
    readiness=st.none() | st.sampled_from(Readiness),
    known=st.dictionaries(st.sampled_from(APPLICATIONS), directions),
    tries=st.dictionaries(st.sampled_from(APPLICATIONS), st.integers(0, 3)),
    retries=st.integers(0, 3),
    cannot_restage=st.frozensets(st.sampled_from(APPLICATIONS)),
    committed=st.frozensets(st.sampled_from(APPLICATIONS)),
    allowed=st.frozensets(st.tuples(st.just("foreign"), states)),
    assume_direction=st.booleans(),
)


@settings(max_examples=200)
@given(inputs)
def test_nothing_unplanned_is_ever_deployed(now: ReconcileInput) -> None:
    """With anything staged that is neither desired nor allowed there is no Deploy, and only reverts are staged."""
    assert now.allowed is not None
    strange = [
        (application, state)
        for application, state in now.states.items()
        if application not in now.desired and state in STAGED
    ]
    if any(pair not in now.allowed for pair in strange):
        decision = decide(now)
        assert not isinstance(decision, Deploy)
        if isinstance(decision, Stage):
            assert all(now.states.get(one) in STAGED for one in decision.applications)


@settings(max_examples=200)
@given(inputs)
def test_force_is_right_for_everything_in_error(now: ReconcileInput) -> None:
    """Every ERROR on the WorkSpace is in the plan, of known or assumed direction, and has tries left."""
    decision = decide(now)
    if isinstance(decision, Deploy) and decision.retried:
        broken = {application for application, state in now.states.items() if state == ERROR}
        assert broken == decision.retried
        for application in broken:
            assert now.tries.get(application, 0) < now.retries
            known = now.known.get(application)
            assert known == now.desired[application] or (known is None and now.assume_direction)


@settings(max_examples=200)
@given(inputs)
def test_only_what_is_staged_in_sync_or_in_error_is_deployed(now: ReconcileInput) -> None:
    """Deploy names what it commits, and nothing else is staged in the other direction."""
    decision = decide(now)
    if isinstance(decision, Deploy):
        for application in set(decision.applications) - decision.retried:
            assert STAGED[now.states[application]] == now.desired[application]
        for application, direction in now.desired.items():
            assert STAGED.get(now.states.get(application, ""), direction) == direction


@settings(max_examples=200)
@given(inputs)
def test_while_something_goes_on_nothing_is_written(now: ReconcileInput) -> None:
    """The service would refuse it."""
    if any(state in IN_FLIGHT for state in now.states.values()):
        assert not isinstance(decide(now), Stage | Deploy)


@settings(max_examples=200)
@given(inputs)
def test_only_a_workspace_that_is_ready_is_written_to_or_done(now: ReconcileInput) -> None:
    """Whatever the associations say: on its way is waited for, and what needs somebody or is gone is left alone."""
    decision = decide(now)
    match now.readiness:
        case Readiness.READY:
            assert not isinstance(decision, AwaitReady)
        case Readiness.NEEDS_SOMEBODY | Readiness.GONE:
            assert isinstance(decision, Wait | Refuse)
        case _:
            assert isinstance(decision, Wait | AwaitReady)


@settings(max_examples=200)
@given(inputs)
def test_what_was_just_committed_is_not_committed_again(now: ReconcileInput) -> None:
    """A Deploy that was taken need not show yet."""
    decision = decide(now)
    if isinstance(decision, Deploy):
        assert not now.committed & set(decision.applications)


def test_a_deploy_that_does_not_show_yet_is_waited_for() -> None:
    """Staged or in ERROR as before, and just committed."""
    staged = ReconcileInput(
        desired={"office": "install"},
        states={"office": "PENDING_INSTALL_DEPLOYMENT"},
        readiness=Readiness.READY,
        known={"office": "install"},
        tries={},
        retries=1,
    )

    for now in (staged, replace(staged, states={"office": ERROR})):
        assert isinstance(decide(now), Deploy)
        assert decide(replace(now, committed=frozenset({"office"}))) == Wait()


def serve(seen: dict[str, str], decision: Decision, now: ReconcileInput, failing: set[str]) -> dict[str, str]:
    """The service's effect of a decision: enough of it to see where decisions lead."""
    after = dict(seen)
    match decision:
        case Stage(applications=applications):
            for application in applications:
                installs = now.desired[application] == "install"
                match after.get(application), installs:
                    case "PENDING_UNINSTALL_DEPLOYMENT", True:
                        after[application] = "COMPLETED"
                    case "PENDING_INSTALL_DEPLOYMENT", False:
                        after.pop(application)
                    case _:
                        staged = "PENDING_INSTALL_DEPLOYMENT" if installs else "PENDING_UNINSTALL_DEPLOYMENT"
                        after[application] = staged
        case Deploy():
            for application, state in seen.items():
                if state in STAGED or (state == ERROR and decision.retried):
                    installs = STAGED.get(state, now.desired.get(application)) == "install"
                    after[application] = "INSTALLING" if installs else "UNINSTALLING"
        case Wait():
            for application, state in seen.items():
                if state in IN_FLIGHT:
                    done = "COMPLETED" if IN_FLIGHT[state] == "install" else "REMOVED"
                    after[application] = ERROR if application in failing else done
                    failing.discard(application)
        case AwaitReady() | Refuse() | Finish():
            pass
    return after


@given(inputs, st.sets(st.sampled_from(APPLICATIONS)))
def test_decisions_lead_to_an_end(start: ReconcileInput, failing: set[str]) -> None:
    """From anywhere, by decisions alone, to what is desired, or to a reason, within a few dozen steps."""
    now = replace(start, committed=frozenset(), readiness=Readiness.READY)
    tries = dict(now.tries)
    for _ in range(30):
        decision = decide(now)
        if isinstance(decision, Finish | Refuse):
            break
        if isinstance(decision, Deploy):
            for application in decision.applications:
                tries[application] = tries.get(application, 0) + (application in decision.retried)
        known = dict(now.known) | (
            {one: now.desired[one] for one in decision.applications} if isinstance(decision, Deploy) else {}
        )
        if isinstance(decision, Stage):
            tries |= {one: tries.get(one, 0) + 1 for one in decision.restaged}
        now = replace(now, states=serve(dict(now.states), decision, now, failing), known=known, tries=tries)
    else:
        raise AssertionError(f"no end: {now}")
    if isinstance(decision, Finish):
        for application, direction in now.desired.items():
            done = next_action(now.states.get(application), direction) is NextAction.NOTHING
            assert done is not (application in decision.given_up)


def test_reasons_to_give_up() -> None:
    """Exhausted, unknown and opposite are told apart."""
    base = ReconcileInput(
        desired={"office": "install"},
        states={"office": ERROR},
        readiness=Readiness.READY,
        known={},
        tries={},
        retries=1,
    )

    assert decide(replace(base, retries=0)) == Finish({"office": Reason.RETRIES_EXHAUSTED})
    assert decide(replace(base, cannot_restage=frozenset({"office"}))) == Finish(
        {"office": Reason.DIRECTION_UNKNOWN}
    )
    assert decide(
        replace(base, cannot_restage=frozenset({"office"}), known={"office": "uninstall"})
    ) == Finish({"office": Reason.DIRECTION_OPPOSITE})
    assert decide(replace(base, known={"office": "install"})) == Deploy(("office",), frozenset({"office"}))
    assert decide(base) == Stage(("office",), frozenset({"office"}))


def test_somebody_else_s_deployment_is_waited_for_as_such() -> None:
    """Polls of what is desired here do not tell when it ends; if all is done here, only the WorkSpace's state matters."""
    base = ReconcileInput(
        desired={"office": "install"},
        states={"other": "INSTALLING"},
        readiness=Readiness.ON_ITS_WAY,
        known={},
        tries={},
        retries=0,
    )

    assert decide(base) == Wait(for_others=True)
    assert decide(replace(base, states={"other": "INSTALLING", "office": "COMPLETED"})) == AwaitReady()


def test_removals_are_staged_before_installations() -> None:
    """Applications that go make room for others, which might conflict with them."""
    now = ReconcileInput(
        desired={"a": "install", "b": "uninstall"},
        states={"b": "COMPLETED"},
        readiness=Readiness.READY,
        known={},
        tries={},
        retries=0,
    )

    assert decide(now) == Stage(("b", "a"))


def test_a_staged_change_is_taken_back_whatever_else_is_staged() -> None:
    """A revert needs no Deploy, so it commits nothing of somebody else's."""
    now = ReconcileInput(
        desired={"a": "uninstall"},
        states={"a": "PENDING_INSTALL_DEPLOYMENT", "b": "PENDING_INSTALL_DEPLOYMENT"},
        readiness=Readiness.READY,
        known={},
        tries={},
        retries=0,
    )

    assert decide(now) == Stage(("a",))
