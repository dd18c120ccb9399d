"""Runs on the queue: submitted, carried out by workers, taken over, told what to do, and reported on as one."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from typing import Any, get_args

import pytest

from tests.rollout.site import OFFICE, Site, manifest, site
from workspaces_apps import ConfigurationError, WorkSpacesClient
from workspaces_apps.rollout import (
    EXIT_CODES,
    ApprovalRequested,
    ControlCommand,
    ControlRecord,
    Ending,
    Event,
    Failed,
    JournalError,
    Manifest,
    Planned,
    Report,
    Started,
    Succeeded,
    open_journal,
    read_events,
)

pytest.importorskip("procrastinate", reason="the extra distributed is not installed")

import psycopg

from tests.distributed.test_stores import NOW, started
from workspaces_apps.distributed import (
    RunInfo,
    RunStatus,
    TargetStatus,
    Worker,
    command,
    runs,
    status,
    submit,
)
from workspaces_apps.distributed._engine import Sightings
from workspaces_apps.rollout._journal.stores import locate


def two_targets(**policy: object) -> Manifest:
    """A manifest of two targets."""
    return Manifest.from_data(
        {
            "name": "office",
            "targets": [
                {"name": "eu", "region": "eu-west-1", "role_arn": "arn:aws:iam::123456789012:role/r"},
                {"name": "us", "region": "us-east-1", "profile": "us"},
            ],
            "rules": [{"select": {"everything": True}, "present": [OFFICE]}],
            "policy": policy,
        }
    )


@asynccontextmanager
async def working(database: str, clients: dict[str, WorkSpacesClient]) -> AsyncGenerator[Worker, None]:
    """A worker in this process."""
    worker = Worker(database, clients=clients)
    running = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.drain()
        await running


async def ended(database: str, run: str) -> RunStatus:
    """Wait until a run is over."""
    for _ in range(1200):
        found = await status(database, run)
        if found.is_over:
            return found
        await asyncio.sleep(0.2)
    raise AssertionError(await status(database, run))


@asynccontextmanager
async def two_sites() -> AsyncGenerator[tuple[Site, Site], None]:
    """Two fleets, in simulated time."""
    async with site(6) as here, site(4, seed=8) as there:
        yield here, there


async def test_a_run_is_carried_out_and_reported_as_one(database: str) -> None:
    """Every target by whatever worker is there."""
    async with two_sites() as (here, there):
        run = await submit(two_targets(), database=database)
        assert (await runs(database))[0].state == "waiting"
        async with working(database, {"eu": here.client, "us": there.client}):
            found = await ended(database, run)
        report = await Report.load(database, run=run)

        assert (found.info.state, found.ending, found.exit_code) == ("done", "complete", 0)
        assert [one.target for one in found.targets] == ["eu", "us"]
        assert (
            report.total == report.counts["succeeded"] + report.counts["blocked"] + report.counts["unchanged"]
        )
        assert len(report.runs) == 2
        assert set(here.deployments().values()) | set(there.deployments().values()) == {1}
    with pytest.raises(JournalError, match="there is no run 'nothing'"):
        await Report.load(database, run="nothing")
    with pytest.raises(JournalError, match="there is no run 'nothing'"):
        await status(database, "nothing")


async def test_a_target_is_carried_out_in_slices_one_after_the_other(database: str) -> None:
    """Two workers are there, and yet only one slice of the target calls at a time; each WorkSpace is in one slice."""
    async with two_sites() as (here, there):
        clients = {"eu": here.client, "us": there.client}
        run = await submit(two_targets(), database=database, slices={"eu": 3})
        async with working(database, clients), working(database, clients):
            found = await ended(database, run)
        report = await Report.load(database, run=run)

        assert [one.target for one in found.targets] == ["eu.1of3", "eu.2of3", "eu.3of3", "us"]
        assert (found.ending, report.ending) == ("complete", "complete")
        assert set(here.deployments().values()) == {1}
        assert (await here.rollout.plan(manifest())).pending == ()
        spans = [
            await read_events(f"{database}?name={run}/{one.target}")
            for one in found.targets
            if one.target != "us"
        ]
    changed = [{one.workspace_id for one in events if isinstance(one, Succeeded)} for events in spans]
    assert sum(map(len, changed)) == len(set[str]().union(*changed))
    for before, after in pairwise(spans):
        assert before[-1].at <= after[0].at


async def test_slices_of_two_runs_wait_for_each_other(database: str) -> None:
    """Also where the other manifest has another name for the account: its rate is one."""
    account = {"region": "eu-west-1", "role_arn": "arn:aws:iam::123456789012:role/other"}
    rule = {"select": {"everything": True}, "absent": [OFFICE]}
    emea = Manifest.from_data({"name": "back", "targets": [{"name": "emea", **account}], "rules": [rule]})
    async with two_sites() as (here, there):
        clients = {"eu": here.client, "us": there.client, "emea": here.client}
        first = await submit(two_targets(), database=database, slices={"eu": 2})
        second = await submit(emea, database=database, slices={"emea": 2})
        async with working(database, clients), working(database, clients):
            assert (await ended(database, first)).ending == "complete"
            assert (await ended(database, second)).ending == "complete"
        names = [f"{first}/eu.1of2", f"{first}/eu.2of2", f"{second}/emea.1of2", f"{second}/emea.2of2"]
        spans = [await read_events(f"{database}?name={name}") for name in names]
    for before, after in pairwise(spans):
        assert before[-1].at <= after[0].at
    assert sum(isinstance(one, Succeeded) for events in spans[2:] for one in events) == 6


async def test_only_slices_of_one_target_share_a_lock(database: str) -> None:
    """Account and Region tell two targets apart where the role says them, name, profile and Region otherwise."""
    targets = [
        {"name": "a", "region": "eu-west-1", "role_arn": "arn:aws:iam::123456789012:role/r"},
        {"name": "b", "region": "us-east-1", "role_arn": "arn:aws:iam::123456789012:role/r"},
        {"name": "c", "region": "eu-west-1", "role_arn": "arn:aws:iam::210987654321:role/r"},
        {"name": "d", "region": "eu-west-1", "profile": "p"},
        {"name": "e", "region": "eu-west-1"},
        {"name": "whole", "region": "us-east-1"},
    ]
    rule = {"select": {"everything": True}, "present": [OFFICE]}
    many = Manifest.from_data({"name": "many", "targets": targets, "rules": [rule]})
    slices = dict.fromkeys("abcde", 2)
    for _ in range(2):
        await submit(many, database=database, slices=slices)
    async with await psycopg.AsyncConnection.connect(database) as connection:
        rows = await (
            await connection.execute("SELECT args->>'target', lock FROM procrastinate_jobs")
        ).fetchall()

    locks = [{lock for target, lock in rows if target.startswith(name)} for name in (*slices, "whole")]
    assert [len(one) for one in locks] == [1, 1, 1, 1, 1, 2]
    assert len(set[str]().union(*locks)) == 7
    one_target = manifest()
    await submit(one_target, database=database, slices={one_target.target_names[0]: 2})


@pytest.mark.parametrize(
    "slices,problem",
    [
        ({"de": 2}, "slices of de: the manifest has no such target; there are eu, us"),
        ({"eu": 0}, "a target has at least one slice, not 0 as eu"),
    ],
)
async def test_slices_that_cannot_be_are_refused(database: str, slices: dict[str, int], problem: str) -> None:
    """Nothing is queued."""
    with pytest.raises(ConfigurationError, match=problem):
        await submit(two_targets(), database=database, slices=slices)
    assert await runs(database) == ()


async def test_one_budget_holds_for_all_targets(database: str) -> None:
    """Failures here keep others from being started there."""
    async with two_sites() as (here, there):
        for one in (here, there):
            one.sim.faults.add(
                "error", operation="AssociateWorkspaceApplication", code="InvalidParameterValuesException"
            )
        run = await submit(two_targets(failure_budget=2, canary=1, growth=1), database=database)
        async with working(database, {"eu": here.client, "us": there.client}):
            found = await ended(database, run)
        report = await Report.load(database, run=run)

    assert found.ending == "budget-spent"
    assert found.info.spent is not None
    assert "the budget is 2" in found.info.spent
    # What had begun elsewhere may still fail; a wave is of one.
    assert 3 <= report.workspace_counts["failed"] <= 4


async def test_a_run_is_paused_and_drained_from_elsewhere(database: str) -> None:
    """A command given before a worker comes holds too; a drained run is not resumed."""
    async with two_sites() as (here, there):
        run = await submit(two_targets(), database=database)
        await command(database, run, "pause", reason="the help desk is closed", who="ann@desk")
        async with working(database, {"eu": here.client, "us": there.client}):
            found = await status(database, run)
            for _ in range(1200):
                if all(one.planned is not None for one in found.targets):
                    break
                await asyncio.sleep(0.1)
                found = await status(database, run)
            assert "ann@desk: the help desk is closed" in found.info.command_by
            await command(database, run, "drain")
            found = await ended(database, run)
        assert found.ending == "drained"
        assert not here.deployments()
        assert not there.deployments()
        with pytest.raises(JournalError, match="cannot resume any more: drain, by"):
            await command(database, run, "resume")
    with pytest.raises(ValueError, match="pause takes no wave"):
        await command(database, run, "pause", wave=1)
    word: Any = "begin"
    with pytest.raises(ValueError, match="unknown command 'begin': there are pause, resume"):
        await command(database, run, word)


@pytest.mark.parametrize("word", ["pause", "resume", "drain", "stop"])
async def test_a_run_that_is_over_takes_no_command(word: ControlCommand, database: str) -> None:
    """Nobody would hear it, and it would stand in the list of runs."""
    run = await submit(two_targets(), database=database)
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE workspaces_apps.run_target SET state = 'done' WHERE target = 'eu'")
        connection.execute("UPDATE workspaces_apps.run_target SET state = 'failed' WHERE target = 'us'")

    with pytest.raises(JournalError, match=f"there is nothing to {word}: every target of the run {run} has"):
        await command(database, run, word)

    (found,) = await runs(database)
    assert (found.command, found.command_by) == ("run", "")


async def test_waves_of_all_targets_are_approved_at_once(database: str) -> None:
    """Those that wait, each in the control record of its journal; where none does, that is said."""
    run = await submit(two_targets(approval="canary", canary=1), database=database)
    urls = [f"{database}?name={run}/{target}" for target in ("eu", "us")]
    with pytest.raises(JournalError, match=f"nothing to approve: no wave of the run {run} waits"):
        await command(database, run, "approve")
    for url in urls:
        journal = await open_journal(url)
        await journal.append(started(), wave_ended(), durable=True)
        await journal.close()

    with pytest.raises(JournalError, match="nothing to reject: no wave 2 of the run"):
        await command(database, run, "reject", wave=2)
    await command(database, run, "approve", reason="looks fine", who="ann@desk")

    for url in urls:
        location = locate(url)
        content = await location.store.read_control(location.name)
        assert content is not None
        record = ControlRecord.model_validate_json(content)
        assert (record.command, record.wave, record.digest) == ("approve", 1, "d1")
        assert (record.who, record.reason) == ("ann@desk", "looks fine")
    with pytest.raises(JournalError, match="there is no run"):
        await command(database, "none", "approve")


def wave_ended() -> Event:
    """A canary that waits for approval."""
    return ApprovalRequested(at=NOW, run="r1", wave=1, digest="d1", workspaces=1)


@contextmanager
def no_delays(database: str) -> Generator[Callable[[], Awaitable[None]]]:
    """Let jobs that are to be tried again be due, each time that this is called."""
    with psycopg.connect(database, autocommit=True) as connection:

        async def hasten() -> None:
            # In a thread: a row that the worker holds is freed on this loop.
            await asyncio.to_thread(
                connection.execute,
                "UPDATE procrastinate_jobs SET scheduled_at = '2000-01-01' WHERE status = 'todo'",
            )
            await asyncio.sleep(0.05)

        yield hasten


async def test_handing_a_target_over_uses_up_no_try(database: str) -> None:
    """After three restarts of the workers, one read that fails is tried again like any other."""
    async with two_sites() as (here, there):
        clients = {"eu": here.client, "us": there.client}
        run = await submit(two_targets(), database=database)
        await command(database, run, "pause")
        for _ in range(3):
            async with working(database, clients):
                await until(database, run, lambda one: one.state == "running" and one.planned is not None)
            assert {one.message for one in (await status(database, run)).targets} == {"handed over"}
        await command(database, run, "resume")
        async with working(database, {}):
            await until(database, run, lambda one: "has no client for the target" in one.message)
        assert {one.state for one in (await status(database, run)).targets} == {"waiting"}
        with no_delays(database) as hasten:
            await hasten()
            async with working(database, clients):
                assert (await ended(database, run)).ending == "complete"


async def until(database: str, run: str, condition: Callable[[TargetStatus], bool]) -> None:
    """Wait until something is true of all targets of a run."""
    for _ in range(1200):
        if all(map(condition, (await status(database, run)).targets)):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(await status(database, run))


async def test_a_target_that_cannot_be_read_fails_after_four_tries(database: str) -> None:
    """Neither earlier nor later, and nothing of it is left in the queue."""
    async with two_sites() as (here, _):
        run = await submit(two_targets(), database=database)
        tries = "SELECT tries FROM workspaces_apps.run_target WHERE run = %s AND target = 'us'"
        with no_delays(database) as hasten, psycopg.connect(database, autocommit=True) as connection:
            async with working(database, {"eu": here.client}):
                found = await status(database, run)
                while not found.is_over:
                    await hasten()
                    found = await status(database, run)
            left = connection.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
            last = connection.execute(tries, (run,)).fetchone()
    assert [(one.target, one.state) for one in found.targets] == [("eu", "done"), ("us", "failed")]
    assert (found.exit_code, last, left) == (1, (4,), (0,))


async def test_a_target_that_no_rule_is_for_is_done(database: str) -> None:
    """As for apply, to which such a manifest says nothing about it; nobody connects to it."""
    idle = two_targets()
    (rule,) = idle.rules
    idle = idle.model_copy(update={"rules": (rule.model_copy(update={"targets": ("eu",)}),)})
    async with two_sites() as (here, _):
        run = await submit(idle, database=database, slices={"us": 2})
        async with working(database, {"eu": here.client}):
            found = await ended(database, run)
        report = await Report.load(database, run=run)

    assert (found.ending, found.exit_code, report.ending) == ("complete", 0, "complete")
    assert [(one.target, one.planned, one.message) for one in found.targets[1:]] == [
        ("us.1of2", 0, "no rule is for it"),
        ("us.2of2", 0, "no rule is for it"),
    ]


async def test_a_mistake_of_the_manifest_is_not_tried_again(database: str) -> None:
    """An application that does not exist will not exist in 15 seconds either."""
    wrong = two_targets().model_dump(mode="json")
    wrong["rules"][0]["present"] = [{"name": "Nothing of the kind"}]
    async with two_sites() as (here, there):
        run = await submit(Manifest.model_validate(wrong), database=database)
        async with working(database, {"eu": here.client, "us": there.client}):
            found = await ended(database, run)
        with psycopg.connect(database) as connection:
            tries = connection.execute("SELECT tries FROM workspaces_apps.run_target").fetchall()

    assert ([one.state for one in found.targets], tries) == (["failed", "failed"], [(1,), (1,)])
    assert all("Nothing of the kind" in one.message for one in found.targets)


async def test_a_target_that_gets_on_may_fail_as_often_again(database: str) -> None:
    """A try that failed weeks ago is none of today."""
    async with two_sites() as (here, there):
        run = await submit(two_targets(), database=database)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("UPDATE workspaces_apps.run_target SET tries = 3")
            async with working(database, {"eu": here.client, "us": there.client}):
                assert (await ended(database, run)).ending == "complete"
            assert connection.execute("SELECT tries FROM workspaces_apps.run_target").fetchall() == [
                (0,),
                (0,),
            ]


def test_a_target_whose_lease_is_renewed_stays_with_its_worker() -> None:
    """Heartbeats alone do not tell: who is short of CPU misses them first."""
    sightings = Sightings()
    assert sightings.unchanged({"run/eu": (1, 7), "run/us": (1, 3)}, 100.0) == set()
    assert sightings.unchanged({"run/eu": (1, 8), "run/us": (1, 3)}, 102.0) == set()
    assert sightings.unchanged({"run/eu": (1, 8), "run/us": (1, 3)}, 104.0) == {"run/us"}
    assert sightings.unchanged({}, 106.0) == set()
    assert sightings.unchanged({"run/us": (1, 3)}, 108.0) == set()


def test_a_report_of_many_targets_stays_readable() -> None:
    """A table of targets, those with most failures first; the page folds what is long."""

    def events(target: str) -> list[Event]:
        about = {
            "at": NOW,
            "run": target,
            "target": target,
            "workspace_id": "ws-1",
            "application_id": "wsa-1",
        }
        ended = {"direction": "install", "elapsed": 1.0}
        return [
            Started(at=NOW, run=target, name="office", plan="p", workspaces=1, changes=1),
            Planned.model_validate({**about, "action": "install", "direction": "install"}),
            Failed.model_validate(
                {**about, "reason": "AccessDenied", "message": "no", "final": True, **ended}
            )
            if target == "t150"
            else Succeeded.model_validate({**about, **ended}),
        ]

    report = Report.from_events([event for number in range(300) for event in events(f"t{number:03}")])
    page = report.to_html()

    assert len(report.by_target) == 300
    assert report.by_target["t150"]["failed"] == 1
    assert page.index("Targets</h2>") < page.index(">t150<") < page.index(">t000<")
    assert len(page) < 1_000_000
    assert "And 280 more targets" in report.to_text()


@pytest.mark.parametrize("ending", get_args(Ending))
def test_a_run_ends_as_its_gravest_target(ending: Ending) -> None:
    """Every ending counts, so that a run with a target that lost its credentials is no success."""
    endings: tuple[Ending, ...] = ("complete", ending)
    run = RunStatus(
        info=RunInfo(
            run="1",
            name="office",
            submitted_at=NOW,
            command="run",
            command_by="",
            spent=None,
            counts={"waiting": 0, "running": 0, "done": 2, "failed": 0},
        ),
        targets=tuple(
            TargetStatus(
                target=str(number),
                state="done",
                worker="w",
                planned=1,
                ending=one,
                message="",
                changed_at=NOW,
            )
            for number, one in enumerate(endings)
        ),
    )

    assert (run.ending, run.exit_code) == (ending, EXIT_CODES[ending])
