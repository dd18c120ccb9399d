"""The observed state of a WorkSpace, from reads that are late, incomplete or shifted."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps._associations.states import CONFIRM_AFTER, GONE_AFTER, GONE_READS, IN_FLIGHT, Readiness
from workspaces_apps._observe.reads import AssociationRecord, Snapshot
from workspaces_apps._reconcile.observed_state import ObservedState
from workspaces_apps._reconcile.writes import GRACE
from workspaces_apps.api import AssociationState, WorkspaceState
from workspaces_apps.simulator import ManualClock

BEFORE = datetime(2026, 1, 5, 8, tzinfo=UTC)


def record(state: str, at: datetime | None = BEFORE) -> AssociationRecord:
    """An association as a listing shows it."""
    return AssociationRecord(AssociationState(state), updated=at)


STAGED = record("PENDING_INSTALL_DEPLOYMENT")
INSTALLING = record("INSTALLING")
INSTALLED = record("COMPLETED")

records = st.builds(
    record,
    st.sampled_from(["COMPLETED", "ERROR", "PENDING_INSTALL_DEPLOYMENT", *map(str, IN_FLIGHT)]),
    st.none(),
)
reads = st.dictionaries(st.sampled_from(["in", "out", "other"]), records)


def snapshot(
    associations: Mapping[str, AssociationRecord] | None = None,
    *,
    at: float = 0.0,
    complete: bool = False,
    absent: frozenset[str] = frozenset(),
    unconfirmed: frozenset[str] = frozenset(),
    state: str | None = None,
    state_at: float | None = None,
) -> Snapshot:
    """A snapshot of the WorkSpace."""
    return Snapshot(
        workspace_id="ws-1",
        at=at,
        associations=associations or {},
        complete=complete,
        absent=absent,
        unconfirmed=unconfirmed,
        workspace_state=WorkspaceState(state) if state is not None else None,
        state_at=state_at,
    )


def observed(
    found: Mapping[str, AssociationRecord] | None = None, clock: ManualClock | None = None
) -> ObservedState:
    """The state of a WorkSpace of which two applications count."""
    state = ObservedState(("in", "out"), clock or ManualClock())
    state.update(snapshot(found or {}, complete=True))
    return state


def test_a_late_read_is_believed_only_after_the_grace() -> None:
    """Still staged after Deploy was taken: that is the state before it, for a minute."""
    clock = ManualClock()
    late = observed({"in": STAGED}, clock)
    late.mark_deployed(["in"])
    late.update(snapshot({"in": STAGED}))
    during = late.committed
    clock.jump(GRACE + 1)
    late.update(snapshot({"in": STAGED}))

    assert during == {"in"}
    assert not late.committed


def test_a_newer_read_is_believed_at_once() -> None:
    """Staged again after the Deploy, by the service's clock."""
    now = observed({"in": STAGED})
    now.mark_deployed(["in"])
    now.update(snapshot({"in": record("PENDING_INSTALL_DEPLOYMENT", BEFORE + timedelta(seconds=1))}))

    assert not now.committed


def test_what_is_staged_anew_is_not_late() -> None:
    """Somebody took the deployment back, and it was staged again: the next read is of that."""
    anew = observed({"in": STAGED})
    anew.mark_deployed(["in"])
    anew.mark_staged("in")
    anew.update(snapshot({"in": STAGED}))

    assert not anew.committed
    assert anew.elapsed("in") is None


@given(reads, reads, st.frozensets(st.sampled_from(["in", "out", "other"])))
def test_only_a_proven_absence_takes_anything_away(
    found: dict[str, AssociationRecord],
    shown: dict[str, AssociationRecord],
    absent: frozenset[str],
) -> None:
    """An association that a listing leaves out stays as it was, unless it is proven absent; one that it shows is shown."""
    now = observed(found)
    absent -= shown.keys()
    now.update(snapshot(shown, absent=absent, unconfirmed=frozenset({"in", "out"}) - shown.keys() - absent))

    for application in ("in", "out", "other"):
        kept = None if application in absent else found.get(application)
        assert now.records.get(application) == shown.get(application, kept)


@given(reads, reads)
def test_a_complete_read_shows_everything(
    found: dict[str, AssociationRecord], shown: dict[str, AssociationRecord]
) -> None:
    """An association that it does not show is absent, foreign applications too."""
    now = observed(found)
    now.update(snapshot(shown, complete=True))

    assert now.records == shown


def test_an_error_is_a_failure_only_where_something_was_in_flight() -> None:
    """An ERROR of before is no news; one of an association that was in flight, or was deployed, is."""
    old, seen, deployed = observed(), observed({"in": INSTALLING}), observed({"in": STAGED})
    deployed.mark_deployed(["in"])
    failed = record("ERROR", BEFORE + timedelta(seconds=9))

    changes = [one.update(snapshot({"in": failed})) for one in (old, seen, deployed)]

    assert [len(one) for one in changes] == [1, 1, 1]
    assert [one.errors for one in (old, seen, deployed)] == [{}, {"in": failed}, {"in": failed}]


@given(reads)
def test_only_what_counts_is_told_and_once(shown: dict[str, AssociationRecord]) -> None:
    """A change of state is told once, and never of an application that does not count."""
    now = observed()

    told = {change.application_id for change in now.update(snapshot(shown))}

    assert told == shown.keys() - {"other"}
    assert not now.update(snapshot(shown))


def test_the_direction_of_what_was_in_flight_is_remembered_until_it_settles() -> None:
    """The record in ERROR does not tell it; a Deploy of our own is newer than what was seen before it."""
    now = observed({"in": INSTALLING, "out": record("UNINSTALLING")})
    now.update(snapshot({"in": record("ERROR"), "out": record("ERROR")}))
    failed = dict(now.headed)
    now.mark_deployed(["in"])
    now.update(snapshot({"out": INSTALLED}))

    assert failed == {"in": "install", "out": "uninstall"}
    assert now.headed == {}


def test_a_deployment_s_end_needs_a_state_from_after_it() -> None:
    """UPDATING may show late, so an AVAILABLE from before the end says nothing, if UPDATING was never seen."""
    now = observed({"in": INSTALLING})
    now.update(snapshot(state="AVAILABLE", state_at=10.0, at=10.0))
    now.update(snapshot({"in": INSTALLED}, at=20.0))
    before = now.readiness
    now.update(snapshot(state="AVAILABLE", state_at=25.0, at=25.0))

    assert before is None
    assert now.readiness is Readiness.READY


def test_a_workspace_that_was_updating_and_is_back_is_ready() -> None:
    """Then the hint that it is back, and the read that follows it, are enough."""
    now = observed({"in": INSTALLING})
    now.update(snapshot(state="UPDATING", state_at=5.0, at=5.0))
    now.update(snapshot(state="AVAILABLE", state_at=10.0, at=10.0))
    now.update(snapshot({"in": INSTALLED}, at=20.0))

    assert now.readiness is Readiness.READY


def test_after_deploy_the_state_is_unknown_and_older_reads_of_it_do_not_count() -> None:
    """A read that began before Deploy was taken shows the WorkSpace as it was before."""
    clock = ManualClock()
    now = observed({"in": STAGED}, clock)
    now.update(snapshot(state="AVAILABLE", state_at=clock.monotonic(), at=0.0))
    ready = now.readiness
    clock.jump(5)
    now.mark_deployed(["in"])
    now.update(snapshot(state="AVAILABLE", state_at=clock.monotonic() - 1, at=0.0))

    assert ready is Readiness.READY
    assert now.readiness is None


@pytest.mark.parametrize(
    "state, confirmed",
    [
        ("SUSPENDED", Readiness.NEEDS_SOMEBODY),
        ("ADMIN_MAINTENANCE", Readiness.NEEDS_SOMEBODY),
    ],
)
def test_what_needs_somebody_counts_after_two_reads_a_minute_apart(state: str, confirmed: Readiness) -> None:
    """A WorkSpace may be unhealthy for a moment."""
    now = observed()
    now.update(snapshot(state=state, state_at=0.0))
    once = now.readiness
    now.update(snapshot(state=state, state_at=CONFIRM_AFTER - 1))
    soon = now.readiness
    now.update(snapshot(state=state, state_at=CONFIRM_AFTER))
    twice = now.readiness
    now.update(snapshot(state="AVAILABLE", state_at=CONFIRM_AFTER + 1))
    now.update(snapshot(state=state, state_at=CONFIRM_AFTER + 2))

    assert (once, soon, twice) == (Readiness.ON_ITS_WAY, Readiness.ON_ITS_WAY, confirmed)
    assert now.readiness is Readiness.ON_ITS_WAY


def test_what_is_being_terminated_is_gone_at_once() -> None:
    """A termination cannot be undone."""
    now = observed()
    now.update(snapshot(state="TERMINATING", state_at=0.0))

    assert now.readiness is Readiness.GONE


def test_a_workspace_that_is_not_listed_is_gone_once_its_associations_are_read_too() -> None:
    """Answers without it count only together with a read of its associations that shows none."""
    now = observed()
    for number in range(GONE_READS):
        now.update(snapshot(state=None, state_at=1.0 + number * GONE_AFTER / (GONE_READS - 1)))
    before = now.readiness, now.is_absence_unproven
    now.update(snapshot({}, at=1.0 + GONE_AFTER, complete=True))

    assert before == (Readiness.ON_ITS_WAY, True)
    assert (now.readiness, now.is_absence_unproven) == (Readiness.GONE, False)


def test_a_few_answers_without_a_workspace_prove_nothing() -> None:
    """Eleven in a row may leave it out, each of which was delivered twice, and so may twelve within a moment."""
    slow, quick = observed(), observed()
    for number in range(GONE_READS - 1):
        for _ in range(2):
            slow.update(snapshot(state=None, state_at=1.0 + number * GONE_AFTER))
    for number in range(GONE_READS):
        quick.update(snapshot(state=None, state_at=1.0 + number))
    for one in (slow, quick):
        one.update(snapshot({}, at=10 * GONE_AFTER, complete=True))

    assert (slow.readiness, quick.readiness) == (Readiness.ON_ITS_WAY, Readiness.ON_ITS_WAY)


def test_a_workspace_whose_associations_are_shown_was_only_left_out_of_an_answer() -> None:
    """Its state must be read again, and answers from before that say nothing any more."""
    now = observed({"in": INSTALLED})
    now.update(snapshot(state=None, state_at=1.0))
    now.update(snapshot({"in": INSTALLED}, at=2.0, complete=True))
    shown = now.readiness
    now.update(snapshot(state=None, state_at=1.0, at=3.0))
    stale = now.readiness
    now.update(snapshot(state=None, state_at=1.0 + GONE_AFTER, at=1.0 + GONE_AFTER))

    assert (shown, stale) == (None, None)
    assert now.readiness is Readiness.ON_ITS_WAY


def test_two_reads_that_mean_different_things_confirm_nothing() -> None:
    """In ERROR once and missing from an answer a minute later: neither was read twice."""
    now = observed()
    now.update(snapshot(state="ERROR", state_at=0.0))
    now.update(snapshot(state=None, state_at=CONFIRM_AFTER))

    assert now.readiness is Readiness.ON_ITS_WAY


def test_a_deployment_that_was_never_seen_in_flight_ends_with_a_state_from_after_it() -> None:
    """So quick that no read showed it: AVAILABLE from between Deploy and its end says nothing."""
    clock = ManualClock()
    now = observed({"in": STAGED}, clock)
    now.mark_deployed(["in"])
    now.update(snapshot(state="AVAILABLE", state_at=1.0, at=1.0))
    now.update(snapshot({"in": record("COMPLETED", BEFORE + timedelta(seconds=9))}, at=20.0))
    before = now.readiness
    now.update(snapshot(state="AVAILABLE", state_at=20.0, at=20.0))

    assert before is None
    assert now.readiness is Readiness.READY
