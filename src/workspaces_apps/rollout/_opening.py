"""The beginning of an apply's record: what is planned, and the last word on what earlier runs left without one."""

from collections.abc import Mapping

from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps.rollout._log.event_log import EventLog
from workspaces_apps.rollout._log.events import EVERYWHERE, Event, Planned, Skipped, Started, Succeeded
from workspaces_apps.rollout._log.projection import Key
from workspaces_apps.rollout._matching import in_words
from workspaces_apps.rollout._plan.plan import Plan, PlannedWorkspace


async def open_run(plan: Plan, log: EventLog, *, dry_run: bool) -> None:
    """Take down that an apply begins, and settle what is left of the runs before it.

    Args:
        plan: What it will do.
        log: Its record.
        dry_run: Whether it will write nothing; then nothing is settled either.

    Raises:
        JournalError: It could not be written.
    """
    # What earlier runs left, without what this plan adds.
    unsettled = log.history.unsettled
    events: list[Event] = [
        log.event(
            Started,
            EVERYWHERE,
            name=plan.name,
            plan=plan.fingerprint,
            workspaces=len(plan.workspaces),
            changes=sum(len(workspace.pending) for workspace in plan.workspaces),
            resumed=log.resumed,
            dry_run=dry_run,
            unmatched=in_words(plan.unmatched),
        )
    ]
    owners = {one.name: one.owners for one in plan.targets}
    for workspace in plan.workspaces:
        events += _planned(plan, log, workspace, owners.get(workspace.target, {}))
    await log.record(*events, durable=True)
    if dry_run:
        return
    readable = {reading.name for reading in plan.targets if reading.error is None}
    changes = {
        Key(workspace.target, workspace.workspace_id, change.application_id): change
        for workspace in plan.workspaces
        for change in workspace.changes
    }
    for key, direction in unsettled.items():
        change = changes.get(key)
        about = {"workspace_id": key.workspace_id, "application_id": key.application_id}
        if change is not None and change.action == "nothing" and change.direction == direction:
            await log.record(log.event(Succeeded, key.target, direction=direction, **about))
        elif change is None and key.target in readable:
            message = "an earlier run planned to change it; now it is not in the plan any more"
            await log.record(
                log.event(Skipped, key.target, reason=Reason.VANISHED.value, message=message, **about)
            )


def _planned(
    plan: Plan, log: EventLog, workspace: PlannedWorkspace, owners: Mapping[str, str]
) -> list[Event]:
    return [
        log.event(
            Planned,
            workspace.target,
            workspace_id=workspace.workspace_id,
            application_id=change.application_id,
            application=plan.application_name(workspace.target, change.application_id),
            owner=owners.get(change.application_id),
            action=change.action,
            state=change.state,
            direction=change.direction,
            reason=change.reason,
            message=change.message,
            user_name=workspace.user_name,
            connected=workspace.connected,
        )
        for change in workspace.changes
    ]
