"""Active users: who is waited for, for how long, at what cost; and that nobody is thrown out."""

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.rollout.site import OFFICE, VISIO, Site, last_words, manifest, site
from workspaces_apps._model.validation import JsonObject
from workspaces_apps.api.workspaces import ConnectionState, WorkspaceConnectionStatus
from workspaces_apps.errors import WorkSpacesError
from workspaces_apps.rollout import Deployed, Event, ManifestError, Plan, PlanError, Progress, Skipped, Staged
from workspaces_apps.rollout._controller.users import ConnectionWatch
from workspaces_apps.rollout._plan.reading import ConnectionReading
from workspaces_apps.simulator._faults import FaultKind
from workspaces_apps.simulator._operations import workspaces as simulated
from workspaces_apps.simulator._operations.call import Call
from workspaces_apps.simulator._records import Workspace

STATUS = "DescribeWorkspacesConnectionStatus"


def connect(here: Site, workspace_ids: Sequence[str], *, connected: bool = True) -> None:
    """Let users be connected, or leave, now."""
    for one in workspace_ids:
        workspace = here.sim.fleet.workspace(one)
        workspace.connected = connected
        workspace.last_connection = here.clock.timestamp()


def words(here: Site, events: Sequence[Event]) -> dict[str, str]:
    """Return the last word on each WorkSpace's Office."""
    office = here.sim.fleet.application(OFFICE)
    return {one: word for (one, application), word in last_words(events).items() if application == office}


async def test_a_user_is_waited_for_until_idle() -> None:
    """Deployed five minutes after the user has left, and not before; others are not kept waiting."""
    async with site() as here:
        (busy, free) = here.sim.fleet.add_workspaces(2)
        connect(here, [busy])

        async def leave() -> float:
            await here.clock.sleep(3600)
            connect(here, [busy], connected=False)
            return here.clock.timestamp()

        leaving = asyncio.create_task(leave())
        plan = await here.rollout.plan(manifest(when_connected="wait"))
        result, events = await here.carry_out(plan)
        left = await leaving
        deployed = {one.workspace_id: one.at.timestamp() for one in events if isinstance(one, Deployed)}

        assert result.ending == "complete"
        assert 300 <= deployed[busy] - left <= 300 + 120
        assert deployed[free] < left


async def test_who_never_leaves_is_skipped_when_the_time_is_up() -> None:
    """As `connected`, outside the failure budget; the run is incomplete, and nothing is left staged."""
    async with site() as here:
        (busy, free) = here.sim.fleet.add_workspaces(2)
        connect(here, [busy])
        plan = await here.rollout.plan(manifest(when_connected="wait", connected_timeout="2h"))
        result, events = await here.carry_out(plan)

        assert result.ending == "incomplete"
        assert words(here, events) == {busy: "skipped: connected", free: "succeeded"}
        assert 7200 <= result.elapsed <= 7200 + 300
        assert here.sim.fleet.associations(busy) == {}


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("between", ["pause", "closed hours"])
async def test_only_the_time_of_waiting_counts(between: str, leaves: bool) -> None:
    """Half an hour before a pause, or before the hours close; afterwards there is as much left as there was."""
    async with site() as here:
        (busy,) = here.sim.fleet.add_workspaces(1)
        connect(here, [busy])
        gap = timedelta(hours=18)
        # The simulated day begins at 08:00 UTC.
        hours = [{"time_zone": "UTC", "start": "02:30", "end": "08:30"}] if between == "closed hours" else []
        policy = manifest(
            when_connected="wait", connected_timeout="2h", hours=hours, finish_within_hours=False
        )

        async def live() -> None:
            await here.clock.sleep(1800)
            if between == "pause":
                run.pause("maintenance")
            await here.clock.sleep(gap / timedelta(seconds=1))
            run.resume()
            await here.clock.sleep(4800)
            connect(here, [busy], connected=not leaves)

        async with here.rollout.apply(await here.rollout.plan(policy)) as run:
            living = asyncio.create_task(live())
            events = [event async for event in run]
        await living
        assert run.result is not None

        assert words(here, events) == {busy: "succeeded" if leaves else "skipped: connected"}
        if not leaves:
            elapsed = timedelta(seconds=run.result.elapsed)
            assert gap + timedelta(hours=2) <= elapsed <= gap + timedelta(hours=2, minutes=5)


@pytest.mark.parametrize("rule", ["wait", "skip"])
async def test_an_available_desktop_of_unknown_connection_is_not_away(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for again, and skipped as `connection-unknown` when the time is up."""
    async with site() as here:
        (lost, free) = here.sim.fleet.add_workspaces(2)
        tell = simulated._connection  # pyright: ignore[reportPrivateUsage]  # no fault does this

        def forget(call: Call, workspace: Workspace) -> JsonObject:
            answer = tell(call, workspace)
            return answer | {"ConnectionState": "UNKNOWN"} if workspace.id == lost else answer

        monkeypatch.setattr(simulated, "_connection", forget)
        plan = await here.rollout.plan(manifest(when_connected=rule, connected_timeout="1h"))
        _, events = await here.carry_out(plan)

        assert words(here, events) == {lost: "skipped: connection-unknown", free: "succeeded"}
        assert here.deployments() == {free: 1}
        assert here.sim.requests.count(STATUS) > 20


@pytest.mark.parametrize(
    "status, checked, state, presence",
    [
        ("CONNECTED", 0, "AVAILABLE", "connected"),
        ("DISCONNECTED", 599, None, "away"),
        ("DISCONNECTED", 601, "AVAILABLE", "unknown"),
        ("UNKNOWN", 0, "AVAILABLE", "unknown"),
        ("NEW_WORD", 0, "AVAILABLE", "unknown"),
        (None, 0, "AVAILABLE", "unknown"),
        ("UNKNOWN", 0, "STOPPED", "away"),
        ("CONNECTED", 0, "STOPPED", "away"),
        (None, 0, "STOPPED", "away"),
    ],
)
def test_what_may_be_taken_from_a_status(
    status: str | None, checked: int, state: str | None, presence: str
) -> None:
    """STOPPED is away whatever the status says; what is old, unknown or missing is not away."""
    now = datetime(2026, 1, 5, 8, tzinfo=UTC)
    row = None
    if status is not None:
        row = WorkspaceConnectionStatus(
            workspace_id="ws-1",
            connection_state=ConnectionState(status),
            connection_state_check_timestamp=now - timedelta(seconds=checked),
        )

    assert ConnectionReading(at=now, status=row).presence(state) == presence


async def test_stopped_desktops_are_deployed_at_once() -> None:
    """Nobody is at work on them: also where a status still says CONNECTED, nobody waits."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(2)
        connect(here, ids)
        for one in ids:
            here.sim.fleet.set_state(one, "STOPPED")
        plan = await here.rollout.plan(manifest(when_connected="wait"))
        result, _ = await here.carry_out(plan)

        assert result.ending == "complete"
        assert result.elapsed < 300 + 180


async def test_a_user_who_comes_before_deploy_is_not_thrown_out() -> None:
    """The connection is read directly before Deploy, also after the user was idle long enough."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        connect(here, [one], connected=False)
        plan = await here.rollout.plan(manifest(when_connected="wait", connected_timeout="1h"))
        staged = 0
        async with here.rollout.apply(plan) as run:
            async for event in run:
                if isinstance(event, Staged):
                    staged += 1
                    connect(here, [one])
        assert run.result is not None

        assert staged
        assert run.result.skipped == 1
        assert not here.deployments()
        # What was staged for a deployment that does not come is taken back.
        assert here.sim.fleet.associations(one) == {}


async def test_waiting_for_many_costs_a_call_for_25_a_round() -> None:
    """150 connected users for an hour: six calls a round, and no slot is held."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(150)
        connect(here, ids)
        connect(here, here.sim.fleet.add_workspaces(5), connected=False)
        plan = await here.rollout.plan(
            manifest(when_connected="wait", connected_timeout="1h", max_in_flight=3)
        )
        before = here.sim.requests.count(STATUS)
        _, events = await here.carry_out(plan)
        calls = here.sim.requests.count(STATUS) - before
        progress = [event for event in events if isinstance(event, Progress)]

        assert len(here.deployments()) == 5
        # 60 rounds of 6 calls or 7, and a few for those who were away.
        assert calls <= 61 * 6 + 20
        assert max(event.waiting_for_users for event in progress) >= 150
        assert max(event.in_flight for event in progress) <= 3


async def test_waiting_for_a_thousand_costs_forty_calls_a_round_of_a_minute() -> None:
    """By the recorder: full calls of 25, at least a minute apart for each user, and nothing else is asked."""
    async with site() as here:
        connect(here, here.sim.fleet.add_workspaces(1000))
        plan = await here.rollout.plan(manifest(when_connected="wait", connected_timeout="10m"))
        here.sim.requests.clear()
        result, _ = await here.carry_out(plan)
        asked: dict[str, list[datetime]] = {}
        for request in here.sim.requests:
            if request.operation == STATUS:
                ids = (request.parameters or {})["WorkspaceIds"]
                assert isinstance(ids, list)
                for one in ids:
                    asked.setdefault(str(one), []).append(request.at)

        assert (result.ending, result.skipped) == ("incomplete", 1000)
        assert len(asked) == 1000
        rounds = max(map(len, asked.values()))
        assert 10 <= rounds <= 11
        assert here.sim.requests.count(STATUS) <= 40 * rounds
        for times in asked.values():
            assert all(after - before >= timedelta(seconds=59.9) for before, after in pairwise(times))
        begun = min(min(times) for times in asked.values()) + timedelta(seconds=30)
        later = [one.operation for one in here.sim.requests if one.at > begun and one.operation != STATUS]
        assert len(later) <= 40


async def test_a_night_that_ends_with_the_user_at_work_is_told_as_that() -> None:
    """With hours that are not waited for again, the reason is the user."""
    async with site() as here:
        (busy, _) = here.sim.fleet.add_workspaces(2)
        connect(here, [busy])
        hours = [{"time_zone": "UTC", "start": "07:00", "end": "10:00"}]
        plan = await here.rollout.plan(manifest(when_connected="wait", hours=hours, outside_hours="skip"))
        result, events = await here.carry_out(plan)

        assert words(here, events)[busy] == "skipped: connected"
        assert result.elapsed <= 2 * 3600


async def test_the_least_recently_connected_come_first() -> None:
    """Never, long ago, of late; and connected users last."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(4)
        connect(here, ids)
        for number, one in enumerate(ids[:3]):
            here.sim.fleet.workspace(one).connected = False
            here.sim.fleet.workspace(one).last_connection = number * 1000.0 if number else None
        plan = await here.rollout.plan(manifest(order_by="least-recently-connected"))

        assert [one.workspace_id for one in plan.workspaces] == list(ids)
        assert [one.connected for one in plan.workspaces] == [False, False, False, True]
        assert Plan.from_json(plan.to_json()) == plan


async def test_selectors_know_when_a_user_was_last_connected() -> None:
    """Long ago, never; at a call for 25, and before any tags are asked for."""
    async with site() as here:
        (never, old, late) = here.sim.fleet.add_workspaces(3)
        connect(here, [late])
        here.sim.fleet.workspace(never).last_connection = None
        here.sim.fleet.workspace(old).last_connection = here.clock.timestamp() - 15 * 86_400
        asked: dict[str, dict[str, object]] = {
            never: {"never_connected": True},
            old: {"last_connected": {"before": "14d"}},
        }
        for one, select in asked.items():
            plan = await here.rollout.plan(manifest(select=select))
            assert [found.workspace_id for found in plan.workspaces] == [one]
        neither = {"none_of": [{"never_connected": True}, {"last_connected": {"before": "14d"}}]}
        plan = await here.rollout.plan(manifest(select=neither))

        assert [found.workspace_id for found in plan.workspaces] == [late]
        assert here.sim.requests.count(STATUS) == 3
        assert not here.sim.requests.count("DescribeTags")


@pytest.mark.parametrize(
    "old, new",
    [
        ({"skip_connected": True}, {"when_connected": "skip"}),
        ({"skip_connected": False}, {"when_connected": "proceed"}),
        (
            {"order_by_tag": {"key": "Ring", "values": ["1"]}},
            {"order_by": {"key": "Ring", "values": ["1"]}},
        ),
    ],
)
def test_former_keys_are_read_as_their_successors(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Manifests of earlier releases mean what they meant; both keys at once are a mistake."""
    assert manifest(**old).policy == manifest(**new).policy
    with pytest.raises(ManifestError, match="former"):
        manifest(**old, **new)


def test_a_canary_that_needs_approval_must_be_there() -> None:
    """Approval of nothing is a mistake of the manifest."""
    with pytest.raises(ManifestError, match="needs a canary"):
        manifest(approval="canary")


async def test_a_plan_of_an_earlier_release_is_read_whole() -> None:
    """Its `skip_connected` is kept as its successor; a key that nobody knows is refused, wherever it is."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        saved = json.loads((await here.rollout.plan(manifest())).to_json())
        saved["format"] = 2
        saved["policy"] = {"skip_connected": True, "canary": 1}

        assert Plan.from_json(json.dumps(saved)).policy.when_connected == "skip"
        for place in (saved, saved["policy"], saved["workspaces"][0], saved["targets"][0], saved["estimate"]):
            place["from_the_future"] = 1
            with pytest.raises(PlanError, match="from_the_future"):
                Plan.from_json(json.dumps(saved))
            del place["from_the_future"]


@pytest.mark.parametrize("seed", range(3))
async def test_nobody_is_thrown_out(seed: int) -> None:
    """Users come and go at random, some just as something is staged: each Deploy follows a read of DISCONNECTED."""
    async with site(seed=seed) as here:
        ids = here.sim.fleet.add_workspaces(10)
        source = random.Random(seed)

        async def live(one: str) -> None:
            while True:
                await here.clock.sleep(source.uniform(60, 1500))
                if here.sim.fleet.workspace(one).state == "AVAILABLE":
                    connect(here, [one], connected=not here.sim.fleet.workspace(one).connected)

        lives = [asyncio.create_task(live(one)) for one in ids]
        plan = await here.rollout.plan(manifest(when_connected="wait", idle_for=120, connected_timeout="6h"))
        came = 0
        async with here.rollout.apply(plan) as run:
            async for event in run:
                if isinstance(event, Staged) and source.random() < 0.5:
                    came += 1
                    connect(here, [event.workspace_id])
        for task in lives:
            task.cancel()

        assert came
        assert len(here.deployments()) >= 7
        check_reads(here)


def check_reads(here: Site) -> None:
    """Each Deploy left within ten seconds of an answer that said DISCONNECTED, the last one about that user."""
    told: dict[str, tuple[str, datetime]] = {}
    for request in here.sim.requests:
        if request.operation == STATUS:
            rows = (request.answer or {})["WorkspacesConnectionStatus"]
            assert isinstance(rows, list)
            for row in rows:
                assert isinstance(row, dict)
                told[str(row["WorkspaceId"])] = str(row["ConnectionState"]), request.at
        elif request.operation == "DeployWorkspaceApplications":
            state, at = told[str((request.parameters or {})["WorkspaceId"])]
            assert state == "DISCONNECTED"
            assert request.at - at <= timedelta(seconds=10)


async def test_a_killed_wait_is_resumed(tmp_path: Path) -> None:
    """Waiting is written nowhere: another apply finds the user still there, and waits anew."""
    async with site() as here:
        (busy,) = here.sim.fleet.add_workspaces(1)
        connect(here, [busy])
        asked = manifest(when_connected="wait")
        for _ in range(2):
            plan = await here.rollout.plan(asked, journal=tmp_path / "journal")
            async with here.rollout.apply(plan, journal=tmp_path / "journal") as run:
                async for event in run:
                    if isinstance(event, Progress) and event.waiting_for_users:
                        break
        connect(here, [busy], connected=False)
        plan = await here.rollout.plan(asked, journal=tmp_path / "journal")
        result, _ = await here.carry_out(plan, tmp_path / "journal")

        assert result.ending == "complete"
        assert here.deployments() == {busy: 1}


async def test_what_cannot_end_within_the_hours_is_not_begun() -> None:
    """Nothing begins in the last 45 minutes; once deployments have shown how long they take, by that."""
    async with site() as here:
        here.sim.fleet.add_workspaces(2)
        # The simulated day begins at 08:00 UTC.
        hours = [{"time_zone": "UTC", "start": "07:00", "end": "08:30"}]
        for within, delay in ((True, 23 * 3600), (False, 0)):
            plan = await here.rollout.plan(manifest(hours=hours, finish_within_hours=within))
            async with here.rollout.apply(plan) as run:
                begun = [event.at async for event in run if isinstance(event, Staged)]
            assert all((at - plan.created).total_seconds() >= delay for at in begun)
            here.sim.fleet.add_workspaces(1)


async def test_hours_that_are_too_short_are_told() -> None:
    """Half an hour is never long enough for a deployment of 45 minutes: skipped, not waited for."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        hours = [{"time_zone": "UTC", "start": "07:00", "end": "07:30"}]
        plan = await here.rollout.plan(manifest(hours=hours))
        result, events = await here.carry_out(plan)
        (skipped,) = [event for event in events if isinstance(event, Skipped)]

        assert result.elapsed < 60
        assert skipped.reason == "outside-hours"
        assert "long enough for a deployment of 45 minutes" in skipped.message


async def test_a_drain_reaches_those_who_wait() -> None:
    """Nobody waits for users any more, and what was not begun is told as that."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3)
        connect(here, ids)
        plan = await here.rollout.plan(manifest(when_connected="wait"))
        events: list[Event] = []
        async with here.rollout.apply(plan) as run:
            async for event in run:
                events.append(event)
                if isinstance(event, Progress) and event.waiting_for_users:
                    assert run.waiting_for_users == event.waiting_for_users == 3
                    run.drain()
        assert run.result is not None

        assert run.result.ending == "drained"
        assert set(words(here, events).values()) == {"skipped: drained"}
        assert run.result.elapsed < 120


@pytest.mark.parametrize("rule", ["wait", "skip"])
@pytest.mark.parametrize("code", ["InvalidParameterValuesException", "ResourceNotFoundException"])
async def test_one_workspace_whose_connection_cannot_be_read_keeps_no_other_waiting(
    code: str, rule: str
) -> None:
    """Its id spoils the calls for 25: they are made in halves until it is alone, and the plan warns."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(30)
        connect(here, ids, connected=False)
        here.sim.faults.add("error", operation=STATUS, workspace_id=ids[0], code=code)
        plan = await here.rollout.plan(manifest(when_connected=rule))
        calls = here.sim.requests.count(STATUS)
        _, events = await here.carry_out(plan)
        found = words(here, events)

        assert [one.connected for one in plan.pending].count(None) == 1
        assert [ids[0] in warning and code in warning for warning in plan.warnings] == [True]
        # One for each portion, and two for each halving of 25, 12, 6 and 3 or so.
        assert calls <= 2 + 2 * 5
        assert found.pop(ids[0]) == "skipped: connection-unknown"
        assert set(found.values()) == {"succeeded"}


async def test_states_that_cannot_be_read_are_missed_only_where_a_connection_does_not_tell() -> None:
    """Nobody else's answer depends on them."""

    async def unreadable(_: Sequence[str]) -> dict[str, object]:
        raise WorkSpacesError("no states")

    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3)
        connect(here, ids, connected=False)
        here.sim.fleet.set_state(ids[0], "STOPPED")
        watch = ConnectionWatch(here.client, here.clock, unreadable, frozenset())
        seen = await asyncio.gather(*map(watch.read, ids))
        await watch.close()

        assert [one.error is not None for one in seen] == [True, False, False]
        assert [str(one.presence) for one in seen] == ["unknown", "away", "away"]


@pytest.mark.parametrize("fault", ["internal_error", "error"])
async def test_one_workspace_whose_associations_cannot_be_read_stops_no_other(fault: FaultKind) -> None:
    """Its reconciler reads for itself, and gives up by itself."""
    async with site() as here:
        # As many as applications: so each is read by itself.
        ids = here.sim.fleet.add_workspaces(2)
        plan = await here.rollout.plan(
            manifest([OFFICE, VISIO], select={"workspace_ids": ids}, failure_budget=1)
        )
        code = "ValidationException" if fault == "error" else "InternalServerException"
        here.sim.faults.add(fault, operation="DescribeWorkspaceAssociations", workspace_id=ids[0], code=code)
        result, events = await here.carry_out(plan)
        found = words(here, events)

        assert found.pop(ids[0]) == f"failed: {code}"
        assert set(found.values()) == {"succeeded"}
        assert result.ending == "incomplete"
