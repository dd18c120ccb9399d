"""Scheduled events, carried out lazily, in order, at their own moments.

No task waits for anything: before a request is answered, everything that was due by then is caught up on.
"""

from collections.abc import Callable, Mapping
from typing import Final

from workspaces_apps.simulator._faults import Faults
from workspaces_apps.simulator._records import (
    IN_FLIGHT,
    Application,
    Association,
    State,
    Trigger,
    Workspace,
    look_up,
)
from workspaces_apps.simulator._settings import SimulatorSettings
from workspaces_apps.simulator._state import RegionStore, ScheduledEvent

_MESSAGES: Final[Mapping[str, str]] = {
    "ValidationError.InsufficientDiskSpace": "The root volume has not enough free space.",
    "ValidationError.InsufficientMemory": "The WorkSpace has not enough memory.",
    "ValidationError.UnsupportedOperatingSystem": "The operating system is not supported.",
    "DeploymentError.InternalServerError": "The deployment failed on the service's side.",
    "DeploymentError.WorkspaceUnreachable": "The WorkSpace could not be reached.",
    "ValidationError.ApplicationOldVersionExists": "An older version of the application is installed.",
}


class Transitions:
    """Carries out events.

    Args:
        settings: Durations and what REMOVED means.
        faults: Asked whether a deployment fails.
    """

    def __init__(self, settings: SimulatorSettings, faults: Faults) -> None:
        self._settings = settings
        self._faults = faults
        self._handlers: Mapping[str, Callable[[RegionStore, ScheduledEvent], None]] = {
            "association-begins": self._begin,
            "association-ends": self._end,
            "workspace-rests": self._workspace_rests,
            "workspace-shows": self._workspace_shows,
            "running-mode": self._running_mode,
            "modification-goes-on": self._modification_goes_on,
            "modification-ends": self._modification_ends,
            "image-ready": self._image_ready,
            "directory-rests": self._directory_rests,
            "item-rests": self._item_rests,
            "user-comes": self._user_comes,
            "user-leaves": self._user_leaves,
            "auto-stop": self._auto_stop,
        }

    @property
    def kinds(self) -> frozenset[str]:
        """Every kind of event there is."""
        return frozenset(self._handlers)

    def settle(self, store: RegionStore, now: float) -> None:
        """Catch up on everything that was due."""
        scheduled_events = store.scheduled_events
        if not scheduled_events or scheduled_events[0].at > now:
            return
        for event in store.due(now):
            self._handlers[event.kind](store, event)

    def deploy(self, store: RegionStore, workspace: Workspace, plan: list[Association], now: float) -> None:
        """Send a WorkSpace's staged and retried associations on their way."""
        workspace.resting_state = workspace.state
        workspace.state = "UPDATING"
        workspace.epoch += 1
        workspace.connected = False
        for association in plan:
            association.epoch += 1
            association.updated = now
            association.reason_code = association.reason_message = None
            begin = now + self._settings.pending_delay.draw(store.source)
            store.plan(
                begin, "association-begins", workspace.id, association.epoch, association.application_id
            )

    def _begin(self, store: RegionStore, event: ScheduledEvent) -> None:
        association = _association(store, event)
        if association is None:
            return
        self._move(association, "begin", event.at)
        installs = association.direction == "install"
        span = self._settings.install_duration if installs else self._settings.uninstall_duration
        end = event.at + span.draw(store.source)
        store.plan(end, "association-ends", event.target, association.epoch, event.detail)

    def _end(self, store: RegionStore, event: ScheduledEvent) -> None:
        association = _association(store, event)
        if association is None:
            return
        workspace = store.workspaces[event.target]
        failure = self._failure(store, workspace, store.applications[event.detail], association)
        if failure is None:
            self._move(association, "succeed", event.at)
            association.direction = None
            if association.state == "REMOVED" and not self._settings.removed_rows_linger:
                store.drop_association(association)
        else:
            self._move(association, "fail", event.at)
            association.reason_code, association.reason_message = failure, _MESSAGES.get(failure, failure)
        end_deployment(workspace)

    def _failure(
        self, store: RegionStore, workspace: Workspace, application: Application, association: Association
    ) -> str | None:
        fault = self._faults.for_deployment(workspace.id, application.id)
        if fault is not None:
            return fault.reason
        rate = self._settings.failure_rate
        if rate and store.source.random() < rate:
            return "DeploymentError.InternalServerError"
        if association.direction == "install":
            taken = sum(
                store.applications[other.application_id].disk_gib
                for other in workspace.associations.values()
                if other.state == "COMPLETED"
            )
            if self._settings.system_disk_gib + taken + application.disk_gib > workspace.root_gib:
                return "ValidationError.InsufficientDiskSpace"
        return None

    def _move(self, association: Association, trigger: Trigger, now: float) -> None:
        to = look_up(trigger, association.state).to
        association.state = _state(to)
        association.updated = now

    def _workspace_rests(self, store: RegionStore, event: ScheduledEvent) -> None:
        workspace = store.workspaces.get(event.target)
        if workspace is None or workspace.epoch != event.epoch:
            return
        if event.detail == "ABSENT":
            store.drop_workspace(workspace)
            return
        workspace.state = event.detail
        workspace.epoch += 1
        self._plan_auto_stop(store, workspace, event.at)

    def _user_comes(self, store: RegionStore, event: ScheduledEvent) -> None:
        workspace = store.workspaces.get(event.target)
        if workspace is None:
            return
        if workspace.state == "AVAILABLE":
            workspace.connected = True
            workspace.last_connection = event.at
            leaves = event.at + self._settings.session_duration.draw(store.source)
            store.plan(leaves, "user-leaves", workspace.id, 0)
            return
        if workspace.state == "STOPPED" and workspace.running_mode == "AUTO_STOP":
            workspace.epoch += 1
            workspace.state = "STARTING"
            again = event.at + self._settings.start_duration.draw(store.source)
            store.plan(again, "workspace-rests", workspace.id, workspace.epoch, "AVAILABLE")
        else:
            again = event.at + self._settings.absence_duration.draw(store.source)
        store.plan(again, "user-comes", workspace.id, 0)

    def _user_leaves(self, store: RegionStore, event: ScheduledEvent) -> None:
        workspace = store.workspaces.get(event.target)
        if workspace is None:
            return
        if workspace.connected:
            workspace.connected = False
            workspace.last_connection = event.at
        comes = event.at + self._settings.absence_duration.draw(store.source)
        store.plan(comes, "user-comes", workspace.id, 0)
        self._plan_auto_stop(store, workspace, event.at)

    def _plan_auto_stop(self, store: RegionStore, workspace: Workspace, now: float) -> None:
        if (
            self._settings.presence == "seeded"
            and workspace.state == "AVAILABLE"
            and workspace.running_mode == "AUTO_STOP"
        ):
            stops = now + (workspace.auto_stop_minutes or 60) * 60.0
            store.plan(stops, "auto-stop", workspace.id, workspace.epoch)

    def _auto_stop(self, store: RegionStore, event: ScheduledEvent) -> None:
        workspace = store.workspaces.get(event.target)
        # Another state or epoch: it was stopped, deployed to or taken into maintenance meanwhile.
        if workspace is None or workspace.epoch != event.epoch or workspace.running_mode != "AUTO_STOP":
            return
        idle = event.at - (workspace.last_connection or 0.0) >= (workspace.auto_stop_minutes or 60) * 60.0
        if workspace.state == "AVAILABLE" and not workspace.connected and idle:
            workspace.epoch += 1
            workspace.state = "STOPPING"
            stopped = event.at + self._settings.stop_duration.draw(store.source)
            store.plan(stopped, "workspace-rests", workspace.id, workspace.epoch, "STOPPED")

    def _workspace_shows(self, store: RegionStore, event: ScheduledEvent) -> None:
        workspace = store.workspaces.get(event.target)
        if workspace is not None:
            workspace.visible = True

    def _running_mode(self, store: RegionStore, event: ScheduledEvent) -> None:
        workspace = store.workspaces.get(event.target)
        if workspace is None:
            return
        mode, _, minutes = event.detail.partition(":")
        workspace.running_mode = mode
        workspace.auto_stop_minutes = int(minutes) if minutes else None

    def _modification_goes_on(self, store: RegionStore, event: ScheduledEvent) -> None:
        workspace = store.workspaces.get(event.target)
        if workspace is not None and workspace.modifications is not None:
            resource = event.detail.partition(":")[0]
            if resource in workspace.modifications:
                workspace.modifications[resource] = "UPDATE_IN_PROGRESS"

    def _modification_ends(self, store: RegionStore, event: ScheduledEvent) -> None:
        workspace = store.workspaces.get(event.target)
        if workspace is None or workspace.modifications is None:
            return
        resource, _, value = event.detail.partition(":")
        workspace.modifications.pop(resource, None)
        match resource:
            case "ROOT_VOLUME":
                workspace.root_gib = int(value)
            case "USER_VOLUME":
                workspace.user_gib = int(value)
            case "COMPUTE_TYPE":
                workspace.compute = value
            case "PROTOCOL":
                workspace.protocol = value
            case _:
                workspace.extras = {
                    **(workspace.extras or {}),
                    "NestedVirtualizationEnabled": value == "true",
                }
        if not workspace.modifications:
            workspace.modifications = None

    def _image_ready(self, store: RegionStore, event: ScheduledEvent) -> None:
        image = store.images.get(event.target)
        if image is not None and image.epoch == event.epoch:
            image.state = "AVAILABLE"

    def _directory_rests(self, store: RegionStore, event: ScheduledEvent) -> None:
        directory = store.directories.get(event.target)
        if directory is None or directory.epoch != event.epoch:
            return
        if event.detail == "ABSENT":
            store.directories.drop(directory.id)
        else:
            directory.state = event.detail

    def _item_rests(self, store: RegionStore, event: ScheduledEvent) -> None:
        family, _, state = event.detail.partition(":")
        collection = store.collection(family)
        item = collection.get(event.target)
        if item is None:
            return
        if state == "ABSENT":
            collection.drop(event.target)
        else:
            item["State"] = state


def end_deployment(workspace: Workspace) -> None:
    """Give a WorkSpace back the state it was deployed to in, if nothing on it is in flight any more."""
    if any(association.state in IN_FLIGHT for association in workspace.associations.values()):
        return
    before, workspace.resting_state = workspace.resting_state, None
    if workspace.state == "UPDATING" and before is not None:
        workspace.state = before
        workspace.epoch += 1


def _association(store: RegionStore, event: ScheduledEvent) -> Association | None:
    workspace = store.workspaces.get(event.target)
    association = workspace.associations.get(event.detail) if workspace is not None else None
    return association if association is not None and association.epoch == event.epoch else None


def _state(place: str | None) -> State:
    match place:
        case "INSTALLING" | "UNINSTALLING" | "COMPLETED" | "REMOVED" | "ERROR":
            return place
        case _:
            raise ValueError(f"no association comes to {place} by itself")
