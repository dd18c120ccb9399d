"""The two ways through a scenario, and the one mapping of their words.

A job raises one exception where a roll-out has an event for each change. What a plan calls ``blocked`` is skipped
here: the word is one of plans only.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.reconcile.row import Direction, Result, Row, Way
from tests.reconcile.scene import ABSENT, LABELS, Scene, quick_settings, scene
from workspaces_apps import WaiterError, WorkSpacesError
from workspaces_apps.rollout import Event, Failed, Manifest, Plan, Rollout, Skipped, Succeeded

WAYS: Final[tuple[Way, ...]] = ("job", "rollout")

RAISED: Final[Mapping[str, str]] = {
    # Before our own Deploy nothing was begun: skipped. After it the change was begun, and failed.
    "WorkspaceNotReadyError": "skipped or failed: workspace-state",
    "WorkspaceNotReadyInTimeError": "skipped or failed: workspace-state",
    "WaiterTimeoutError": "skipped or failed: timeout",
    "StagedChangesError": "skipped: foreign-staged",
    "DeploymentFailedError": "failed: in-error",
    "WaiterError": "failed: not-converging",
}
"""By the class of a job's error: what a roll-out says in its place.

A WaiterError with a refusal of the service's as its cause, and any other error: failed, with the service's code, or the
class. Of a WorkSpace that is gone, see `_GONE`.
"""

TOLD: Final[Mapping[str, str]] = {
    "failed: ERROR": "failed: in-error",
    "blocked: retries-exhausted": "failed: in-error",
    "skipped: retries-exhausted": "failed: in-error",
    "skipped: not-converging": "failed: not-converging",
    # StagedChangesError is also for what Force would repeat.
    "skipped: foreign-error": "skipped: foreign-staged",
}
"""What of a roll-out's words has another in the words that both share, beside ``blocked`` (skipped) and the codes of
associations in ERROR."""

_GONE: Final = frozenset(
    {
        "WaiterError",
        "WorkspaceNotReadyError",
        "WorkspaceNotReadyInTimeError",
        "ResourceNotFoundException",
        "not found",
        "vanished",
        "workspace-state",
    }
)
"""Errors and reasons that are one word, ``gone``, where the WorkSpace is: the contract names none, and a job's error
does not say whether that is a failure or is left out."""


async def run(row: Row, way: Way) -> Result:
    """Run a scenario one way."""
    async with scene(
        row.happenings, settings=row.settings or quick_settings(), pacing=row.pacing, jitter=row.jitter
    ) as here:
        for label, state in row.begins.items():
            here.association_is(label, state, failed=row.failed)
        for fault in row.faults:
            here.sim.faults.add(
                fault.kind,
                operation=fault.operation,
                times=fault.times,
                code=fault.code,
                application_id=here.applications[fault.label] if fault.label is not None else None,
                workspace_id=here.workspace_id,
            )
        here.reach("before")
        native, ending, notes = await (_job(here, row) if way == "job" else _rollout(here, row))
        states = here.states()
        if row.check is not None:
            row.check(here, way)
        return Result(
            outcomes={label: _shared(words, here) for label, words in native.items()},
            native=native,
            ends={label: states.get(label, ABSENT) for label in LABELS},
            deploys=here.committed,
            ending=ending,
            notes=notes,
        )


_Native = tuple[dict[str, str], str | None, tuple[str, ...]]


async def _job(here: Scene, row: Row) -> _Native:
    here.reach("between")
    native: dict[str, str] = {}
    notes: list[str] = []
    # A job has one direction; where both are asked for, the removal comes first.
    for direction in ("uninstall", "install"):
        labels = [label for label, asked in row.asks.items() if asked == direction]
        if labels:
            error = await _one_job(here, row, direction, labels)
            native |= {label: _raised(error, label, here) for label in labels}
            notes += getattr(error, "__notes__", ())
    return native, None, tuple(notes)


async def _one_job(
    here: Scene, row: Row, direction: Direction, labels: Sequence[str]
) -> WorkSpacesError | None:
    client = here.client
    do = client.install_applications if direction == "install" else client.uninstall_applications
    try:
        await do(
            here.workspace_id,
            [here.applications[label] for label in labels],
            retry_failed=row.retry,
            include_staged=row.leave,
        )
    except WorkSpacesError as error:
        return error
    return None


def _raised(error: WorkSpacesError | None, label: str, here: Scene) -> str:
    if error is None:
        return "succeeded"
    failed = [str(getattr(one, "application_id", "")) for one in getattr(error, "failed", ())]
    if failed and here.applications[label] not in failed:
        # A deployment of several that failed for some of them.
        return "succeeded"
    cause = error.__cause__
    told = cause if isinstance(error, WaiterError) and isinstance(cause, WorkSpacesError) else error
    return f"{type(error).__name__}: {told.code}" if told.code is not None else type(error).__name__


async def _rollout(here: Scene, row: Row) -> _Native:
    rollout = Rollout(here.client, clock=here.clock)
    plan = await rollout.plan(_manifest(here, row))
    here.reach("between")
    async with rollout.apply(plan, assume_direction=row.retry) as run:
        events = [event async for event in run]
    assert run.result is not None
    words = {label: _told(plan, events, here, label) for label in row.asks}
    return words, run.result.ending, (run.result.message,)


def _manifest(here: Scene, row: Row) -> Manifest:
    def of(direction: Direction) -> list[str]:
        return [here.applications[label] for label, asked in row.asks.items() if asked == direction]

    return Manifest.from_data(
        {
            "name": "scenario",
            "rules": [
                {
                    "select": {"workspace_ids": [here.workspace_id]},
                    "present": of("install"),
                    "absent": of("uninstall"),
                }
            ],
            "policy": {
                "retries": 1 if row.retry else 0,
                "allow_foreign_staged": row.leave,
                "failure_budget": "100%",
                # As long as a job takes by default.
                "deployment_timeout": 3600,
            },
        }
    )


def _told(plan: Plan, events: Sequence[Event], here: Scene, label: str) -> str:
    application = here.applications[label]
    last = ""
    for event in events:
        match event:
            case Succeeded(application_id=one) if one == application:
                last = "succeeded"
            case Failed(final=True, application_id=one) if one in (application, None):
                last = last or f"failed: {event.reason}"
            case Skipped(application_id=one) if one in (application, None):
                last = last or f"skipped: {event.reason}"
            case _:
                pass
    if last:
        return last
    for workspace in plan.workspaces:
        for change in workspace.changes:
            if change.application_id == application:
                return "succeeded" if change.action == "nothing" else f"{change.action}: {change.reason}"
    return "skipped: not found" if here.workspace_id in plan.targets[0].not_found else "nothing said"


def _shared(native: str, here: Scene) -> str:
    """Return the words that both ways share."""
    name, _, code = native.partition(": ")
    if here.gone and (name in _GONE or code in _GONE):
        return "gone"
    if name in ("succeeded", "failed", "skipped", "blocked", "nothing said"):
        if name == "failed" and code.startswith(("DeploymentError.", "ValidationError.")):
            return "failed: in-error"
        return TOLD.get(native, native.replace("blocked: ", "skipped: "))
    if code:
        return f"failed: {code}"
    words = RAISED.get(name, f"failed: {name}")
    return words.replace("skipped or failed", "failed" if here.committed else "skipped")
