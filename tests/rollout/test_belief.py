"""What a desk believes of looks that are late, incomplete or shifted."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps.rollout.associations import GONE, IN_FLIGHT, Seen
from workspaces_apps.rollout.belief import GRACE, Belief
from workspaces_apps.simulator import ManualClock

BEFORE = datetime(2026, 1, 5, 8, tzinfo=UTC)
STAGED = Seen("PENDING_INSTALL_DEPLOYMENT", updated=BEFORE)
INSTALLING = Seen("INSTALLING", updated=BEFORE)
INSTALLED = Seen("COMPLETED", updated=BEFORE)
FAILED = Seen("ERROR", "DeploymentError.Odd", updated=BEFORE)

states = st.sampled_from(
    ["COMPLETED", "ERROR", "REMOVED", "PENDING_INSTALL_DEPLOYMENT", *map(str, IN_FLIGHT)]
)
looks = st.dictionaries(st.sampled_from(["in", "out", "other"]), st.builds(Seen, states))


def belief(found: dict[str, Seen], clock: ManualClock | None = None) -> Belief:
    """Of a WorkSpace on which one application is to be installed, and another to be removed."""
    return Belief({"in": "install", "out": "uninstall"}, found, clock or ManualClock())


def test_a_late_look_is_believed_only_after_the_grace() -> None:
    """Still staged after Deploy was taken: that is the look before it, for a minute."""
    clock = ManualClock()
    late = belief({"in": STAGED}, clock)
    late.commit(["in"])
    late.see("in", STAGED)
    during = late.committed
    clock.jump(GRACE + 1)
    late.see("in", STAGED)

    assert during == {"in"}
    assert not late.committed


def test_a_newer_look_is_believed_at_once() -> None:
    """Staged again after the Deploy, by the service's clock."""
    now = belief({"in": STAGED})
    now.commit(["in"])
    now.see("in", Seen(STAGED.state, updated=BEFORE + timedelta(seconds=1)))

    assert not now.committed


@given(looks, looks)
def test_one_round_takes_nothing_away(found: dict[str, Seen], look: dict[str, Seen]) -> None:
    """What the first round leaves out stays as it was; what it shows, it shows."""
    before = belief(found)
    whole = before.whole(look)

    assert whole is not None
    for application in ("in", "out"):
        assert whole.get(application, GONE).state == look.get(application, before.of(application)).state


def test_an_absence_that_lasts_is_a_removal_or_asks_for_a_look() -> None:
    """Rows that shift come back in the next round; of an installation only a look at it alone may say it is gone."""
    removed, lost = belief({"out": INSTALLED}), belief({"in": INSTALLING})

    assert [removed.whole({}), removed.whole({})] == [{"out": INSTALLED}, {}]
    assert [lost.whole({}), lost.whole({})] == [{"in": INSTALLING}, None]


def test_an_error_is_a_failure_only_where_something_went_on() -> None:
    """What was in ERROR before is no news; what was seen going on, or was deployed, is."""
    old, seen, deployed = belief({"in": GONE}), belief({"in": INSTALLING}), belief({"in": STAGED})
    deployed.commit(["in"])
    failed = Seen("ERROR", "DeploymentError.Odd", updated=BEFORE + timedelta(seconds=9))

    assert [one.see("in", failed) for one in (old, seen, deployed)] == [True] * 3
    assert [one.errors for one in (old, seen, deployed)] == [{}, {"in": failed}, {"in": failed}]


@given(looks)
def test_only_what_is_wanted_is_told(look: dict[str, Seen]) -> None:
    """A change of state is told once, and never of an application that is not in the plan."""
    now = belief({})
    told = {application for application, seen in look.items() if now.see(application, seen)}

    assert told == {one for one, seen in look.items() if one != "other" and seen.state != GONE.state}
    assert not any(now.see(application, seen) for application, seen in look.items())


def test_somebody_else_s_deployment_is_noticed() -> None:
    """While something of our own goes on, rounds tell; a foreign one alone, they do not."""
    assert belief({"other": INSTALLING}).only_others_move
    assert not belief({"other": INSTALLING, "in": INSTALLING}).only_others_move
    assert not belief({"other": FAILED}).only_others_move


def test_what_is_staged_anew_is_not_late() -> None:
    """Somebody took the deployment back, and it was staged again: the next look is of that."""
    anew = belief({"in": STAGED})
    anew.commit(["in"])
    anew.restage("in")
    anew.see("in", STAGED)

    assert not anew.committed
    assert anew.elapsed("in") is None
