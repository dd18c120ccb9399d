"""What is remembered of a journal: directions, tries, and what is unsettled."""

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
from workspaces_apps.rollout.memory import Key, Memory

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
    """What a plan said."""
    return Planned(
        at=NOW, run="r", workspace_id="ws-1", application_id="wsa-1", action=action, direction="install"
    )


def test_a_failed_deployment_has_the_direction_of_its_intent() -> None:
    """Staging alone says nothing; the last deployment does."""
    staging = intent("uninstall").model_copy(update={"operation": "DisassociateWorkspaceApplication"})

    assert Memory([staging]).direction(KEY) is None
    assert Memory([intent("install"), changed("ERROR"), staging]).direction(KEY) == "install"
    assert Memory([intent("install"), intent("uninstall")]).direction(KEY) == "uninstall"
    assert Memory([intent("install")]).direction(Key("other", "ws-1", "wsa-1")) is None


def test_a_deployment_that_was_seen_has_the_direction_it_showed() -> None:
    """Also somebody else's, while it went on."""
    assert Memory([changed("UNINSTALLING"), changed("ERROR")]).direction(KEY) == "uninstall"


def test_what_came_to_rest_is_forgotten() -> None:
    """An ERROR after that is somebody else's, in a direction nobody here knows; tries start anew."""
    for rest in (
        changed("COMPLETED"),
        Succeeded(at=NOW, run="r", workspace_id="ws-1", application_id="wsa-1", direction="install"),
    ):
        memory = Memory([intent("install", retry=True), rest])
        assert memory.direction(KEY) is None
        assert memory.retries(KEY) == 0


def test_every_retry_counts_with_force_or_staged_anew() -> None:
    """Over all runs, whether or not it was sent."""
    past = [intent("install"), intent("install", force=True, retry=True), intent("install", retry=True)]

    assert Memory(past).retries(KEY) == 2
    assert Memory([intent("install", force=True)]).retries(KEY) == 0


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

    assert Memory(once).retries(KEY) == 0
    assert Memory([*once, refused]).retries(KEY) == 0
    assert Memory([*once, intent("install", force=True, retry=True)]).retries(KEY) == 1


def test_what_was_planned_is_unsettled_until_its_good_end() -> None:
    """Through failures and skips, until it succeeded or is gone."""
    skipped = Skipped(
        at=NOW, run="r", workspace_id="ws-1", application_id="wsa-1", reason=Reason.STOPPED.value
    )
    gone = skipped.model_copy(update={"reason": Reason.VANISHED.value})
    done = Succeeded(at=NOW, run="r", workspace_id="ws-1", application_id="wsa-1", direction="install")

    assert Memory([planned("install"), skipped]).unsettled == {KEY: "install"}
    assert Memory([planned("install"), planned("nothing")]).unsettled == {KEY: "install"}
    assert Memory([planned("install"), done]).unsettled == {}
    assert Memory([planned("install"), gone]).unsettled == {}
    assert Memory([planned("nothing"), planned("blocked")]).unsettled == {}
