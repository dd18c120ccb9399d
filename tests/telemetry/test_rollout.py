"""A roll-out with faults: its spans and metrics have the numbers of its journal and of the requests on the wire."""

from collections import Counter
from pathlib import Path

from opentelemetry.trace import StatusCode

from tests.rollout.site import manifest, site
from tests.telemetry.recording import Recording, attributes_of, id_of
from workspaces_apps._telemetry.port import METRICS, load
from workspaces_apps.rollout import (
    Event,
    Failed,
    Planned,
    Skipped,
    Started,
    Succeeded,
    WaveBegan,
    read_journal,
)
from workspaces_apps.rollout._log.event_log import EventLog
from workspaces_apps.simulator import ManualClock, Throttle

PREFIX = "workspaces_apps.rollout"


def outcomes(events: list[Event]) -> Counter[str]:
    """Count the last words on changes, by kind."""
    return Counter(
        one.kind
        for one in events
        if isinstance(one, Succeeded | Skipped) or (isinstance(one, Failed) and one.final)
    )


async def test_spans_and_metrics_have_the_numbers_of_the_journal_and_the_wire(
    tmp_path: Path, record: Recording
) -> None:
    """Waves, WorkSpaces, changes, attempts, throttles and polls of 30 WorkSpaces agree, whoever counts them."""
    async with site(throttle=Throttle(), seed=4) as here:
        ids = here.sim.fleet.add_workspaces(30)
        for kind in ("internal_error", "reset_after"):
            here.sim.faults.add(kind, probability=0.1, times=4)
        here.sim.faults.add("deployment_error", workspace_id=ids[3])
        plan = await here.rollout.plan(manifest(canary=2, retries=0, failure_budget=5))
        result, _ = await here.carry_out(plan, tmp_path / "journal")
        requests = list(here.sim.requests)
    events = list(read_journal(tmp_path / "journal"))

    # The tree: plan and apply, waves in the apply, WorkSpaces in waves.
    (planned,), (applied,) = record.named(f"{PREFIX}.plan"), record.named(f"{PREFIX}.apply")
    waves = record.named(f"{PREFIX}.wave")
    workspaces = record.named(f"{PREFIX}.workspace")
    assert [one.parent for one in (planned, applied)] == [None, None]
    assert {one.parent.span_id for one in waves if one.parent is not None} == {id_of(applied)}
    assert len(waves) == sum(isinstance(one, WaveBegan) for one in events)
    in_waves = [one for wave in waves for one in record.children(wave)]
    assert set(map(id_of, in_waves)) == set(map(id_of, workspaces))
    assert len(workspaces) == next(one.workspaces for one in events if isinstance(one, Started))
    assert {attributes_of(one)["workspaces_apps.workspace_id"] for one in workspaces} == set(ids)
    failed = [one for one in workspaces if one.status.status_code is StatusCode.ERROR]
    assert [attributes_of(one)["workspaces_apps.workspace_id"] for one in failed] == [ids[3]]
    assert attributes_of(applied)[f"{PREFIX}.ending"] == result.ending

    # The requests on the wire are the attempts, each below a logical call.
    calls = [one for one in record.spans if one.name.startswith("WorkSpaces/")]
    attempts = [one for one in record.spans if one.name == "POST"]
    assert len(attempts) == len(requests) == record.total("workspaces_apps.client.attempts")
    assert {one.parent.span_id for one in attempts if one.parent is not None} <= set(map(id_of, calls))
    assert len(calls) == record.total("rpc.client.call.duration")
    throttled = sum(one.status == 400 and "Throttling" in str(one.answer) for one in requests)
    assert throttled > 0
    assert throttled == record.total("workspaces_apps.client.throttles")
    assert throttled == sum(event.name == "throttle" for call in calls for event in call.events)

    # Polls are nobody's children, and link to the WorkSpaces that they serve.
    polls = [one for one in calls if one.links]
    assert all(one.parent is None for one in polls)
    linked = {link.context.span_id for one in polls for link in one.links}
    assert linked <= set(map(id_of, workspaces))
    assert len(linked) == len(workspaces)
    assert len(polls) == record.total("workspaces_apps.client.polls")

    # The changes are those of the journal.
    counted = {
        one: record.total(f"{PREFIX}.changes", {"workspaces_apps.outcome": one}) for one in outcomes(events)
    }
    assert counted == outcomes(events)
    assert counted == {"succeeded": result.succeeded, "failed": result.failed}
    assert record.total(f"{PREFIX}.journal.duration") > 0

    # Nothing else is measured, and no attribute is an id.
    allowed = {str(name): set(metric.attributes) for name, metric in METRICS.items()}
    for name, attributes in record.attribute_names().items():
        assert attributes <= allowed[name], name


async def test_a_failure_of_a_workspace_as_a_whole_counts_for_each_of_its_changes(record: Recording) -> None:
    """The metric is the number of changes, as the summary has it, and not that of events."""
    log = EventLog(ManualClock(), None, {}, load(enabled=True))
    for application in ("wsa-1", "wsa-2"):
        await log.record(
            log.event(
                Planned,
                "default",
                workspace_id="ws-1",
                application_id=application,
                action="install",
                direction="install",
            )
        )
    await log.record(log.event(Failed, "default", workspace_id="ws-1", reason="Code"))
    log.telemetry.close()

    assert log.summary.counts["failed"] == 2
    assert record.total(f"{PREFIX}.changes", {"workspaces_apps.outcome": "failed"}) == 2
