"""The decision table of one WorkSpace, alone and against a small model of the service."""

from dataclasses import replace
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from workspaces_apps.api.applications import AssociationState
from workspaces_apps.rollout.associations import ABSENT, ERROR, IN_FLIGHT, STAGED
from workspaces_apps.rollout.decisions import (
    TABLE,
    Decision,
    Deploy,
    Finish,
    Refuse,
    Situation,
    Stage,
    Step,
    Wait,
    decide,
    step_for,
)
from workspaces_apps.rollout.events import Direction
from workspaces_apps.rollout.reasons import Reason

APPLICATIONS = ["office", "visio", "project"]
states = st.sampled_from([str(state) for state in AssociationState])
directions: st.SearchStrategy[Direction] = st.sampled_from(get_args(Direction))
situations = st.builds(
    Situation,
    wanted=st.dictionaries(st.sampled_from(APPLICATIONS), directions, min_size=1),
    seen=st.dictionaries(st.sampled_from([*APPLICATIONS, "foreign"]), states),
    known=st.dictionaries(st.sampled_from(APPLICATIONS), directions),
    tries=st.dictionaries(st.sampled_from(APPLICATIONS), st.integers(0, 3)),
    retries=st.integers(0, 3),
    stubborn=st.frozensets(st.sampled_from(APPLICATIONS)),
    committed=st.frozensets(st.sampled_from(APPLICATIONS)),
    allowed=st.frozensets(st.tuples(st.just("foreign"), states)),
    assume_direction=st.booleans(),
)


def test_every_state_has_its_row() -> None:
    """Whatever the service model names, for both directions."""
    assert {state for _, state in TABLE} == {str(state) for state in AssociationState}
    assert len(TABLE) == 2 * len(AssociationState)


@given(directions, st.text())
def test_an_unknown_state_is_waited_for(direction: Direction, state: str) -> None:
    """What this release does not know is not acted on."""
    if (direction, state) not in TABLE:
        assert step_for(direction, state) is Step.WAIT


@settings(max_examples=1000)
@given(situations)
def test_nothing_unplanned_is_ever_deployed(now: Situation) -> None:
    """With anything staged that is neither wanted nor allowed there is no Deploy, and no staging."""
    strange = [
        (application, state)
        for application, state in now.seen.items()
        if application not in now.wanted and state in STAGED
    ]
    if any(pair not in now.allowed for pair in strange):
        assert not isinstance(decide(now), Deploy | Stage)


@settings(max_examples=1000)
@given(situations)
def test_force_is_right_for_everything_in_error(now: Situation) -> None:
    """Every ERROR on the WorkSpace is in the plan, of known or assumed direction, and has tries left."""
    decision = decide(now)
    if isinstance(decision, Deploy) and decision.retried:
        broken = {application for application, state in now.seen.items() if state == ERROR}
        assert broken == decision.retried
        for application in broken:
            assert now.tries.get(application, 0) < now.retries
            known = now.known.get(application)
            assert known == now.wanted[application] or (known is None and now.assume_direction)


@settings(max_examples=1000)
@given(situations)
def test_only_what_is_staged_as_wanted_or_in_error_is_deployed(now: Situation) -> None:
    """Deploy names what it commits, and nothing else is staged in the other direction."""
    decision = decide(now)
    if isinstance(decision, Deploy):
        for application in set(decision.applications) - decision.retried:
            assert STAGED[now.seen[application]] == now.wanted[application]
        for application, direction in now.wanted.items():
            assert STAGED.get(now.seen.get(application, ABSENT), direction) == direction


@settings(max_examples=1000)
@given(situations)
def test_while_something_goes_on_nothing_is_written(now: Situation) -> None:
    """The service would refuse it."""
    if any(state in IN_FLIGHT for state in now.seen.values()):
        assert isinstance(decide(now), Wait | Finish)


@settings(max_examples=1000)
@given(situations)
def test_what_was_just_committed_is_not_committed_again(now: Situation) -> None:
    """A Deploy that was taken need not show yet."""
    decision = decide(now)
    if isinstance(decision, Deploy):
        assert not now.committed & set(decision.applications)


def test_a_deploy_that_does_not_show_yet_is_waited_for() -> None:
    """Staged or in ERROR as before, and just committed."""
    staged = Situation(
        wanted={"office": "install"},
        seen={"office": "PENDING_INSTALL_DEPLOYMENT"},
        known={"office": "install"},
        tries={},
        retries=1,
    )

    for now in (staged, replace(staged, seen={"office": ERROR})):
        assert isinstance(decide(now), Deploy)
        assert decide(replace(now, committed=frozenset({"office"}))) == Wait()


def serve(seen: dict[str, str], decision: Decision, now: Situation, failing: set[str]) -> dict[str, str]:
    """What the service makes of a decision: enough of it to see where decisions lead."""
    after = dict(seen)
    match decision:
        case Stage(applications=applications):
            for application in applications:
                installs = now.wanted[application] == "install"
                match after.get(application, ABSENT), installs:
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
                    installs = STAGED.get(state, now.wanted.get(application)) == "install"
                    after[application] = "INSTALLING" if installs else "UNINSTALLING"
        case Wait():
            for application, state in seen.items():
                if state in IN_FLIGHT:
                    done = "COMPLETED" if IN_FLIGHT[state] == "install" else ABSENT
                    after[application] = ERROR if application in failing else done
                    failing.discard(application)
        case Refuse() | Finish():
            pass
    return after


@given(situations, st.sets(st.sampled_from(APPLICATIONS)))
def test_decisions_lead_to_an_end(start: Situation, failing: set[str]) -> None:
    """From anywhere, by decisions alone, to as wanted, or to a reason, within a dozen steps."""
    now = replace(start, committed=frozenset())
    tries = dict(now.tries)
    for _ in range(30):
        decision = decide(now)
        if isinstance(decision, Finish | Refuse):
            break
        if isinstance(decision, Deploy):
            for application in decision.applications:
                tries[application] = tries.get(application, 0) + (application in decision.retried)
        known = dict(now.known) | (
            {one: now.wanted[one] for one in decision.applications} if isinstance(decision, Deploy) else {}
        )
        if isinstance(decision, Stage):
            tries |= {one: tries.get(one, 0) + 1 for one in decision.restated}
        now = replace(now, seen=serve(dict(now.seen), decision, now, failing), known=known, tries=tries)
    else:
        raise AssertionError(f"no end: {now}")
    if isinstance(decision, Finish):
        for application, direction in now.wanted.items():
            done = step_for(direction, now.seen.get(application, ABSENT)) is Step.DONE
            assert done is not (application in decision.given_up)


def test_reasons_to_give_up() -> None:
    """Exhausted, unknown and opposite are told apart."""
    base = Situation(wanted={"office": "install"}, seen={"office": ERROR}, known={}, tries={}, retries=1)

    assert decide(replace(base, retries=0)) == Finish({"office": Reason.RETRIES_EXHAUSTED})
    assert decide(replace(base, stubborn=frozenset({"office"}))) == Finish(
        {"office": Reason.DIRECTION_UNKNOWN}
    )
    assert decide(replace(base, stubborn=frozenset({"office"}), known={"office": "uninstall"})) == Finish(
        {"office": Reason.DIRECTION_OPPOSITE}
    )
    assert decide(replace(base, known={"office": "install"})) == Deploy(("office",), frozenset({"office"}))
    assert decide(base) == Stage(("office",), frozenset({"office"}))
