"""The facts remembered of a journal: directions, tries, and what is unsettled."""

from datetime import UTC, datetime
from typing import Literal

from workspaces_apps.rollout import (
    Changed,
    Direction,
    Event,
    Failed,
    Intent,
    Planned,
    Reason,
    Skipped,
    Succeeded,
)
from workspaces_apps.rollout._log.projections import Key, RunHistory

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
KEY = Key("default", "ws-1", "wsa-1")


def intent(direction: Direction, *, force: bool = False, retry: bool = False) -> Intent:
    """A deployment that was announced."""
    return Intent(
        at=NOW,
        run="r",
        workspace_id="ws-1",
        application_id="wsa-1",
        operation="DeployWorkspaceApplications",
        direction=direction,
        force=force,
        retry=retry,
    )


def changed(state: str) -> Changed:
    """A state that was seen."""
    return Changed(at=NOW, run="r", workspace_id="ws-1", application_id="wsa-1", state=state)


def planned(action: Literal["install", "nothing", "blocked"]) -> Planned:
    """The plan's words."""
    return Planned(
        at=NOW, run="r", workspace_id="ws-1", application_id="wsa-1", action=action, direction="install"
    )


def test_a_failed_deployment_has_the_direction_of_its_intent() -> None:
    """Staging alone says nothing; the last deployment does."""
    staging = intent("uninstall").model_copy(update={"operation": "DisassociateWorkspaceApplication"})

    assert RunHistory([staging]).failed_direction(KEY) is None
    assert RunHistory([intent("install"), changed("ERROR"), staging]).failed_direction(KEY) == "install"
    assert RunHistory([intent("install"), intent("uninstall")]).failed_direction(KEY) == "uninstall"
    assert RunHistory([intent("install")]).failed_direction(Key("other", "ws-1", "wsa-1")) is None


def test_a_deployment_that_was_seen_has_the_direction_it_showed() -> None:
    """Also somebody else's, while it went on."""
    assert RunHistory([changed("UNINSTALLING"), changed("ERROR")]).failed_direction(KEY) == "uninstall"


def test_what_came_to_rest_is_forgotten() -> None:
    """An ERROR after that is somebody else's, in a direction nobody here knows; tries start anew."""
    for rest in (
        changed("COMPLETED"),
        Succeeded(at=NOW, run="r", workspace_id="ws-1", application_id="wsa-1", direction="install"),
    ):
        history = RunHistory([intent("install", retry=True), rest])
        assert history.failed_direction(KEY) is None
        assert history.retries(KEY) == 0


def test_every_retry_counts_with_force_or_staged_anew() -> None:
    """Over all runs, whether or not it was sent."""
    past = [intent("install"), intent("install", force=True, retry=True), intent("install", retry=True)]

    assert RunHistory(past).retries(KEY) == 2
    assert RunHistory([intent("install", force=True)]).retries(KEY) == 0


def test_a_retry_that_was_refused_does_not_count() -> None:
    """The service began nothing; refused twice is not less than never."""
    refused = Failed(
        at=NOW,
        run="r",
        workspace_id="ws-1",
        application_id="wsa-1",
        reason="ThrottlingException",
        final=False,
        refused=True,
    )
    once: list[Event] = [intent("install", force=True, retry=True), refused]

    assert RunHistory(once).retries(KEY) == 0
    assert RunHistory([*once, refused]).retries(KEY) == 0
    assert RunHistory([*once, intent("install", force=True, retry=True)]).retries(KEY) == 1


def test_what_was_planned_is_unsettled_until_its_good_end() -> None:
    """Through failures and skips, until it succeeded or is gone."""
    skipped = Skipped(
        at=NOW, run="r", workspace_id="ws-1", application_id="wsa-1", reason=Reason.STOPPED.value
    )
    gone = skipped.model_copy(update={"reason": Reason.VANISHED.value})
    done = Succeeded(at=NOW, run="r", workspace_id="ws-1", application_id="wsa-1", direction="install")

    assert RunHistory([planned("install"), skipped]).unsettled == {KEY: "install"}
    assert RunHistory([planned("install"), planned("nothing")]).unsettled == {KEY: "install"}
    assert RunHistory([planned("install"), done]).unsettled == {}
    assert RunHistory([planned("install"), gone]).unsettled == {}
    assert RunHistory([planned("nothing"), planned("blocked")]).unsettled == {}
