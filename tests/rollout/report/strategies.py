"""Hypothesis strategies for the events of a journal, in any order and with any text."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, get_args

from hypothesis import strategies as st

from tests.rollout.report.journals import HOSTILE
from workspaces_apps.rollout import Reason
from workspaces_apps.rollout._log import events as ev

TEXTS: Final = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=12), st.text(st.characters(), max_size=6), st.just("a\ud800b")
)

_IDS: Final = st.one_of(st.sampled_from(["ws-1", "ws-2"]), TEXTS)
_APPLICATIONS: Final = st.one_of(st.sampled_from(["wsa-1", "wsa-2"]), TEXTS)
_DIRECTIONS: Final = st.sampled_from(["install", "uninstall"])
_NUMBERS: Final = st.one_of(st.integers(-3, 50), st.integers(0, 10**12))
_SECONDS: Final = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 1e5))
_MOMENTS: Final = st.one_of(
    st.floats(0, 7200).map(lambda seconds: datetime(2026, 3, 2, tzinfo=UTC) + timedelta(seconds=seconds)),
    st.datetimes(
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])
    ),
)
_STATES: Final = st.one_of(
    st.sampled_from(["PENDING_INSTALL_DEPLOYMENT", "INSTALLING", "COMPLETED", "ERROR", "REMOVED"]), TEXTS
)


_DIGESTS: Final = st.one_of(st.sampled_from(["d1", "d2"]), TEXTS)
_REASONS: Final = st.one_of(st.sampled_from(Reason).map(str), TEXTS)


OF_KIND: Final[dict[str, st.SearchStrategy[ev.Event]]] = {}
"""The events of each kind."""


def _of(kind: type[ev.Event], **members: st.SearchStrategy[Any]) -> st.SearchStrategy[ev.Event]:
    base: dict[str, st.SearchStrategy[Any]] = {
        "at": _MOMENTS,
        "run": st.one_of(st.sampled_from(["r1", "r2"]), TEXTS),
        "target": st.one_of(st.sampled_from(["*", "default", "berlin"]), TEXTS),
    }
    events: st.SearchStrategy[ev.Event] = st.fixed_dictionaries({**base, **members}).map(kind.model_validate)
    OF_KIND[kind.model_fields["kind"].default] = events
    return events


def _about(kind: type[ev.Event], **members: st.SearchStrategy[Any]) -> st.SearchStrategy[ev.Event]:
    return _of(kind, workspace_id=_IDS, **members)


_OPERATIONS: Final = get_args(ev.Intent.model_fields["operation"].annotation)
_ANY_APPLICATION: Final = st.none() | _APPLICATIONS

EVENTS: Final[st.SearchStrategy[ev.Event]] = st.one_of(
    _of(ev.Started, name=TEXTS, plan=TEXTS, workspaces=_NUMBERS, changes=_NUMBERS, dry_run=st.booleans()),
    _about(
        ev.Planned,
        application_id=_APPLICATIONS,
        application=st.none() | TEXTS,
        action=st.sampled_from(get_args(ev.Action)),
        state=st.none() | _STATES,
        direction=st.none() | _DIRECTIONS,
        reason=st.none() | TEXTS,
        message=st.none() | TEXTS,
        user_name=st.none() | TEXTS,
        connected=st.none() | st.booleans(),
    ),
    _of(
        ev.WaveBegan,
        wave=_NUMBERS,
        waves=_NUMBERS,
        workspaces=_NUMBERS,
        digest=_DIGESTS,
        approval=st.booleans(),
    ),
    _of(ev.ApprovalRequested, wave=_NUMBERS, digest=_DIGESTS, workspaces=_NUMBERS),
    _of(ev.Approved, wave=_NUMBERS, digest=_DIGESTS, who=TEXTS, reason=TEXTS),
    _of(ev.Rejected, wave=_NUMBERS, digest=_DIGESTS, who=TEXTS, reason=TEXTS),
    _about(ev.Noticed, planned_at=_MOMENTS, attempt=_NUMBERS),
    _about(
        ev.Intent,
        application_id=_APPLICATIONS,
        operation=st.sampled_from(_OPERATIONS),
        direction=_DIRECTIONS,
        force=st.booleans(),
        retry=st.booleans(),
    ),
    _about(
        ev.Withdrawn,
        application_id=_APPLICATIONS,
        operation=st.sampled_from(_OPERATIONS),
        direction=_DIRECTIONS,
        retry=st.booleans(),
        reason=TEXTS,
    ),
    _about(ev.Staged, application_id=_APPLICATIONS, direction=_DIRECTIONS, request_id=st.none() | TEXTS),
    _about(
        ev.Deployed,
        applications=st.lists(_APPLICATIONS, max_size=3).map(tuple),
        force=st.booleans(),
        request_id=st.none() | TEXTS,
    ),
    _about(ev.Changed, application_id=_APPLICATIONS, state=_STATES),
    _about(ev.Succeeded, application_id=_APPLICATIONS, direction=_DIRECTIONS, elapsed=_SECONDS),
    _about(
        ev.Failed,
        application_id=_ANY_APPLICATION,
        direction=st.none() | _DIRECTIONS,
        reason=TEXTS,
        message=TEXTS,
        request_id=st.none() | TEXTS,
        final=st.booleans(),
        refused=st.booleans(),
        elapsed=_SECONDS,
    ),
    _about(ev.Skipped, application_id=_ANY_APPLICATION, reason=_REASONS, message=TEXTS),
    _of(
        ev.Progress,
        calls=_NUMBERS,
        throttled=_NUMBERS,
        in_flight=_NUMBERS,
        waiting=_NUMBERS,
        succeeded=_NUMBERS,
        failed=_NUMBERS,
        skipped=_NUMBERS,
    ),
    _of(
        ev.Finished,
        ending=st.sampled_from(get_args(ev.Ending)),
        elapsed=st.floats(),
        calls=_NUMBERS,
        throttled=_NUMBERS,
        succeeded=_NUMBERS,
        failed=_NUMBERS,
        skipped=_NUMBERS,
        message=TEXTS,
    ),
)

JOURNALS: Final = st.lists(EVENTS, max_size=40)
