"""The progress of an apply, as a panel and as lines."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from workspaces_apps._telemetry.port import AttemptRecord, ThrottleRecord
from workspaces_apps.cli._live import CallCounter
from workspaces_apps.cli._progress import LAST, Board, Lines, panel
from workspaces_apps.cli._screens import show_end, show_plan, show_status, waves
from workspaces_apps.rollout import (
    Amount,
    ApprovalRequested,
    Approved,
    Deployed,
    Estimate,
    Event,
    Failed,
    Finished,
    Intent,
    Plan,
    Planned,
    PlannedChange,
    PlannedWorkspace,
    Policy,
    Progress,
    Rejected,
    Skipped,
    Status,
    Succeeded,
    TargetReading,
    UnmatchedValue,
    WaveBegan,
)

BEGAN = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOSTILE = "x\x1b[2J\x9b31m[bold]\u202e\r\n\u200b{evil}"
"""What a terminal would take for commands, or show turned round or not at all."""


class Now:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = BEGAN

    def now(self) -> datetime:
        """The time it was set to."""
        return self.time

    def monotonic(self) -> float:
        """The same in seconds."""
        return (self.time - BEGAN).total_seconds()


@pytest.fixture
def clock() -> Now:
    """A clock at the beginning."""
    return Now()


@pytest.fixture
def board(clock: Now) -> Board:
    """An apply that is to install something on ten WorkSpaces, whose names are as bad as can be."""
    return Board(plan_of(10), clock.now)


def plan_of(workspaces: int) -> Plan:
    """A plan of one installation on each WorkSpace."""
    change = PlannedChange(application_id="wsa-1", action="install", direction="install", state="REMOVED")
    blocked = PlannedChange(
        application_id="wsa-2",
        action="blocked",
        direction="install",
        state="REMOVED",
        reason=HOSTILE,
        message=HOSTILE,
    )
    return Plan(
        name=HOSTILE,
        created=BEGAN,
        policy=Policy(),
        targets=(TargetReading(name="default", names={"wsa-1": HOSTILE}, calls=3),),
        workspaces=tuple(
            PlannedWorkspace(
                target="default", workspace_id=f"ws-{number}", user_name=HOSTILE, changes=(change, blocked)
            )
            for number in range(workspaces)
        ),
        warnings=(HOSTILE,),
        estimate=estimate_of(900.0),
    )


def estimate_of(deployment: float) -> Estimate:
    """The estimate of a plan, with deployments of so many seconds."""
    return Estimate(calls=50, seconds=1000, rate=2.0, rate_is_learned=False, deployment_seconds=deployment)


def make(kind: type[Event], number: int = 0, **members: object) -> Event:
    """An event about a WorkSpace."""
    about_it = {"workspace_id": f"ws-{number}", "application_id": "wsa-1"} | members
    return kind.model_validate({"at": BEGAN, "run": "r", **about_it})


def begin(board: Board, number: int) -> None:
    """A WorkSpace is staged and deployed."""
    board.apply(make(Intent, number, operation="AssociateWorkspaceApplication", direction="install"))
    board.apply(make(Deployed, number, applications=["wsa-1"]))


def show_standing(console: Console, plan: Plan) -> None:
    """The same plan, as a status."""
    show_status(console, Status(plan=plan))


def drawn(board: Board, traffic: CallCounter | None = None, width: int = 120) -> str:
    """The panel as a terminal of this width gets it, without colours."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width, markup=False)
    with console.capture() as captured:
        console.print(panel(board, traffic or CallCounter(lambda: 0.0), width))
    return captured.get()


def ended(board: Board, **numbers: object) -> str:
    """The last lines on the screen of a run that was stopped."""
    zero = {"elapsed": 10.0, "calls": 9, "throttled": 0, "succeeded": 1, "failed": 0, "skipped": 35}
    board.apply(Finished.model_validate({"at": BEGAN, "run": "r", "ending": "stopped", **zero, **numbers}))
    console = Console(file=io.StringIO(), width=200, color_system=None)
    with console.capture() as captured:
        show_end(console, board)
    return captured.get()


def test_the_panel_follows_each_workspace(board: Board) -> None:
    """Waiting, deploying, done, failed, tried again and skipped add up; the end tells the reasons."""
    for number in range(4):
        begin(board, number)
    board.apply(make(Succeeded, 0, direction="install", elapsed=60.0))
    board.apply(make(Failed, 1, reason="Code", final=False))
    board.apply(make(Failed, 2, reason="Code"))
    board.apply(make(Skipped, 5, application_id=None, reason="connected"))

    shown = drawn(board)
    assert "3 of 10 changes, 30%" in shown
    assert "done 1  failed 1  retried 1  skipped 1  deploying 2  waiting 5" in shown
    assert "failed: Code 1\nskipped: connected 1\n" in ended(board)


def test_only_the_last_failures_are_shown(board: Board) -> None:
    """However many there are."""
    for number in range(10):
        board.apply(make(Failed, number, reason="Code"))

    _, _, failures = drawn(board).partition("last failures")
    assert re.findall(r"ws-\d", failures) == [f"ws-{number}" for number in range(10 - LAST, 10)]


def test_the_time_left_comes_from_the_waves_and_from_what_deployments_took(board: Board, clock: Now) -> None:
    """Before the first one has ended, what the plan assumes; then what they took; nothing known when draining."""
    board.apply(WaveBegan(at=BEGAN, run="r", wave=1, waves=1, workspaces=10))
    assert "0s, about 15m left" in drawn(board)

    clock.time += timedelta(seconds=100)
    board.apply(make(Succeeded, 0, direction="install", elapsed=100.0))
    assert "1m40s, about 40s left" in drawn(board)

    board.draining = True
    assert "1m40s, draining" in drawn(board)


def at_night(workspaces: int, **policy: object) -> Plan:
    """The same plan, but deployments begin from 18:00 to 20:00 only; it begins at 9:00 there."""
    hours = {"time_zone": "Europe/Berlin", "start": "18:00", "end": "20:00"}
    plan = plan_of(workspaces)
    return replace(
        plan,
        policy=Policy.model_validate({"hours": [hours], **policy}),
        workspaces=tuple(replace(one, hours=0) for one in plan.workspaces),
    )


def test_waiting_for_hours_is_said_and_counted(clock: Now) -> None:
    """Until when, by the wall clock of the policy, and as part of the time left; gone once they begin."""
    board = Board(at_night(10), clock.now)
    board.apply(WaveBegan(at=BEGAN, run="r", wave=1, waves=1, workspaces=10))
    waiting = drawn(board)
    busy = Board(at_night(10), clock.now)
    busy.apply(WaveBegan(at=BEGAN, run="r", wave=1, waves=1, workspaces=10))
    begin(busy, 0)
    beside_work = drawn(busy)

    clock.time += timedelta(hours=9)
    begin(board, 0)

    assert "waiting for hours until 18:00 Europe/Berlin, about 9h15m left" in waiting
    assert "waiting for hours" not in beside_work
    assert "9h00m00s, about 15m left" in drawn(board)


def test_work_that_does_not_fit_one_night_goes_on_in_the_next(clock: Now) -> None:
    """Two batches of three hours in nights of two: the time left has both nights in it."""
    night = at_night(10, max_in_flight=5, finish_within_hours=False)
    board = Board(replace(night, estimate=estimate_of(10_800.0)), clock.now)
    board.apply(WaveBegan(at=BEGAN, run="r", wave=1, waves=1, workspaces=10))

    # 9 h to the first night, 2 h of it, 22 h to the second, the third hour of beginning, and the last deployment.
    assert "about 37h00m left" in drawn(board)


def test_what_must_end_within_the_hours_begins_earlier(clock: Now) -> None:
    """The last 45 minutes of each night are left to what has begun, in the time left too."""
    night = at_night(10, max_in_flight=5)
    board = Board(replace(night, estimate=estimate_of(10_800.0)), clock.now)
    board.apply(WaveBegan(at=BEGAN, run="r", wave=1, waves=1, workspaces=10))

    # 9 h to the first night, 1.25 h of it and of the second, 22.75 h between them, and half an hour of the third.
    assert "about 60h30m left" in drawn(board)


def test_after_the_hours_of_today_it_is_told_which_day(clock: Now) -> None:
    """And the first line of a wave tells it at once, not after minutes."""
    board = Board(at_night(10), clock.now)
    clock.time += timedelta(hours=12)
    wave = WaveBegan(at=clock.time, run="r", wave=1, waves=1, workspaces=10)
    board.apply(wave)
    said = Lines(board, CallCounter(clock.monotonic)).about(wave) or ""

    assert "wave 1 of 1: 10 WorkSpaces, waiting for hours until Tue 06 Jan 18:00 Europe/Berlin" in said
    assert "waiting for hours" in drawn(board)


def test_what_is_skipped_outside_its_hours_is_not_waited_for(clock: Now) -> None:
    """Nor is anything that no hours are for."""
    skipping = Board(at_night(10, outside_hours="skip"), clock.now)
    skipping.apply(WaveBegan(at=BEGAN, run="r", wave=1, waves=1, workspaces=10))
    hopeless = at_night(10)
    nobody = Board(
        replace(hopeless, workspaces=tuple(replace(one, hours=None) for one in hopeless.workspaces)),
        clock.now,
    )
    nobody.apply(WaveBegan(at=BEGAN, run="r", wave=1, waves=1, workspaces=10))

    assert "  0s, about 10s left" in drawn(skipping)
    assert "  0s, about 10s left" in drawn(nobody)


def test_a_clock_that_is_put_back_is_shown_as_no_time(board: Board, clock: Now) -> None:
    """Not as a negative one."""
    clock.time -= timedelta(hours=2)
    board.apply(WaveBegan(at=BEGAN, run="r", wave=1, waves=1, workspaces=10))
    said = Lines(board, CallCounter(clock.monotonic)).about(
        WaveBegan(at=BEGAN, run="r", wave=1, waves=1, workspaces=1)
    )

    assert said is not None
    assert said.startswith("       0s  wave 1 of 1")
    assert re.search(r" 0s, about \w+ left", drawn(board))


def test_a_plan_tells_how_much_of_its_time_is_waiting() -> None:
    """So that nobody wonders in the morning."""
    console = Console(file=io.StringIO(), width=200, color_system=None)
    plan = replace(plan_of(2), estimate=replace(estimate_of(900.0), closed_seconds=32_400.0))
    with console.capture() as captured:
        show_plan(console, plan)

    assert "takes about 9h17m if started now, 9h00m of it waiting for the policy's hours" in captured.get()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_panel_fits_and_nothing_in_it_steers_the_terminal(board: Board, width: int, clock: Now) -> None:
    """Names, reasons and messages are as bad as can be; each line stays a line."""
    traffic = CallCounter(clock.monotonic)
    board.apply(make(Planned, 0, application=HOSTILE, action="install", direction="install"))
    board.apply(WaveBegan(at=BEGAN, run="r", wave=1, waves=2, workspaces=5))
    board.apply(make(Failed, 1, reason=HOSTILE, message=HOSTILE))

    shown = drawn(board, traffic, width)

    assert set("\x1b\x9b\u202e\u200b\r") & set(shown) == set()
    assert [line for line in shown.splitlines() if len(line) > width] == []
    assert "wave 1 of 2" in shown or width == 40


@pytest.mark.parametrize(
    "workspaces,policy,told",
    [
        (1, Policy(), "In one wave, at most 100 at the same time; aborts after 1 failure."),
        (
            33,
            Policy(canary=Amount(1), pause=600.0),
            (
                "In 6 waves of 1, 2, 4, 8, 16, 2 WorkSpaces, 10m apart, at most 100 at the same time;"
                " aborts after 4 failures."
            ),
        ),
        (
            60,
            Policy(canary=Amount(1), largest_wave=16, max_in_flight=9),
            (
                "In 7 waves of 1, 2, 4, 8, 2 times 16, 13 WorkSpaces, at most 9 at the same time;"
                " aborts after 7 failures."
            ),
        ),
        (
            3000,
            Policy(canary=Amount(1), failure_budget=Amount(0)),
            (
                "In 12 waves of 1, 2, 4, 8, 16, 32, 64, 128, 256, …, 953 WorkSpaces, at most 100 at the same time;"
                " aborts after 1 failure."
            ),
        ),
    ],
)
def test_a_plan_tells_how_it_would_be_cut(workspaces: int, policy: Policy, told: str) -> None:
    """The waves are those that an apply will make; and that sessions end is said before anybody is asked."""
    plan = replace(plan_of(workspaces), policy=policy)
    console = Console(file=io.StringIO(), width=400, color_system=None)
    with console.capture() as captured:
        show_plan(console, plan)

    assert waves(plan) == told
    assert f"{told} Each deployment ends its user's session.\n" in captured.get()


def test_a_narrow_terminal_still_says_what_the_numbers_are() -> None:
    """The names of the applications give way to the heads of the columns."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=40)
    plan = replace(
        plan_of(2), targets=(TargetReading(name="default", names={"wsa-1": "Microsoft " + "x" * 60}),)
    )
    with console.capture() as captured:
        show_plan(console, plan)
    head = next(line for line in captured.get().splitlines() if "install" in line)

    assert head.split()[1:] == ["install", "blocked"]


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_in_a_plan_steers_the_terminal(terminal: bool) -> None:
    """Neither names nor users nor reasons nor warnings."""
    console = Console(
        file=io.StringIO(), force_terminal=terminal, color_system=None, width=80, markup=False, emoji=False
    )

    with console.capture() as captured:
        show_plan(console, plan_of(2), details=True)

    assert set("\x1b\x9b\u202e\u200b\r") & set(captured.get()) == set()
    assert "[bold]" in captured.get()


def test_lines_tell_each_reason_for_skipping_once_and_progress_seldom(board: Board, clock: Now) -> None:
    """Thousands of lines would hide the few that matter."""
    lines = Lines(board, CallCounter(clock.monotonic))
    progress = {
        "calls": 1,
        "throttled": 0,
        "in_flight": 0,
        "waiting": 0,
        "succeeded": 0,
        "failed": 0,
        "skipped": 0,
    }

    def tell(event: Event) -> str | None:
        board.apply(event)
        return lines.about(event)

    assert tell(make(Skipped, 0, reason="connected")) is not None
    assert tell(make(Skipped, 1, reason="connected")) is None
    first, second = (tell(Progress.model_validate({"at": BEGAN, "run": "r", **progress})) for _ in range(2))
    assert first is not None
    assert "2 of 10 changes" in first
    assert second is None
    clock.time += timedelta(minutes=6)
    assert tell(Progress.model_validate({"at": BEGAN, "run": "r", **progress})) is not None


def test_a_service_that_does_not_answer_is_told(board: Board, clock: Now) -> None:
    """Once, and once more when it answers again; nobody can say how long it will take."""
    lines = Lines(board, CallCounter(clock.monotonic))
    numbers = dict.fromkeys(
        ("calls", "throttled", "in_flight", "waiting", "succeeded", "failed", "skipped"), 0
    )

    def tell(silent: float) -> str | None:
        event = Progress.model_validate({"at": BEGAN, "run": "r", "silent_seconds": silent, **numbers})
        board.apply(event)
        return lines.about(event)

    assert tell(59.0) is None
    assert "no answer from the service for 3m" in (tell(180.0) or "")
    assert "no answer from the service for 3m" in drawn(board)
    assert tell(240.0) is None
    assert "no answer" not in (tell(0.0) or "no answer")


@pytest.mark.parametrize(
    "left,told",
    [
        ({}, " 35 skipped in 10s"),
        ({"left_deploying": 2, "not_started": 33}, " 35 skipped (2 left deploying, 33 not started) in 10s"),
        ({"left_staged": 1}, " 35 skipped (1 left staged) in 10s"),
    ],
)
def test_the_end_says_how_what_was_skipped_was_left(left: dict[str, int], told: str, board: Board) -> None:
    """Associations that still deploy at the service are counted apart from those that were never begun."""
    assert told in ended(board, **left)


@pytest.mark.parametrize("show", [show_plan, show_standing])
def test_ids_that_do_not_exist_are_no_all_clear(show: Callable[[Console, Plan], None]) -> None:
    """Neither a plan nor a status says that all is well where the manifest names a WorkSpace that there is not."""
    missing = UnmatchedValue(rule="rules[0]", condition="workspace_ids", value="ws-nowhere00")
    wanted = PlannedChange(application_id="wsa-1", action="nothing", direction="install", state="COMPLETED")
    there = PlannedWorkspace(target="default", workspace_id="ws-1", changes=(wanted,))
    plan = replace(plan_of(0), unmatched=(missing,), workspaces=(there,))
    console = Console(file=io.StringIO(), width=200, color_system=None)
    with console.capture() as captured:
        show(console, plan)

    assert "as far as the fleet was found" in captured.get() or "on what there is" in captured.get()
    assert "There is nothing to do.\n" not in captured.get()
    assert "Everything is in sync." not in captured.get()


def test_traffic_counts_rates_and_throttles(board: Board, clock: Now) -> None:
    """The rate is that of the last minute; the operation held back most is named."""
    traffic = CallCounter(clock.monotonic)
    for _ in range(60):
        clock.time += timedelta(seconds=1)
        record = AttemptRecord(operation="Deploy", attempt=1, elapsed=0.1, outcome="success")
        assert traffic.hooks.on_attempt is not None
        traffic.hooks.on_attempt(record)
    assert traffic.hooks.on_throttle is not None
    for operation, rate in (("Deploy", 1.5), ("Describe", 3.0), ("Other", None)):
        traffic.hooks.on_throttle(ThrottleRecord(operation=operation, attempt=1, rate=rate))

    shown = drawn(board, traffic)
    clock.time += timedelta(minutes=2)

    assert "60 calls, 1.0/s, 0 throttled; rate-limited to 1.5/s: Deploy" in shown
    assert "60 calls, 0.0/s" in drawn(board, traffic)


def test_users_and_approvals_are_told(clock: Now) -> None:
    """It counts who is waited for, names the wave that waits and what to type, and tells who approved it."""
    board = Board(plan_of(10), clock.now)
    board.users, board.journal = lambda: 7, "office.journal"
    lines = Lines(board, CallCounter(lambda: 0.0))
    about: list[Event] = [
        ApprovalRequested(at=BEGAN, run="r", wave=1, digest="d"),
        Approved(at=BEGAN, run="r", wave=1, digest="d", who="ann@desk"),
        Rejected(at=BEGAN, run="r", wave=2, digest="d", who="bob@desk", reason="too slow"),
    ]
    told: list[str] = []
    shown = ""
    for event in about:
        board.apply(event)
        told.append(str(lines.about(event)))
        if isinstance(event, ApprovalRequested):
            shown = drawn(board, width=80)

    assert "for users 7" in shown
    assert "waiting for approval: workspaces-apps approve office.journal" in shown
    assert "wave 1 has ended: waiting for approval" in told[0]
    assert "wave 1 was approved by ann@desk" in told[1]
    assert "wave 2 was rejected by bob@desk: too slow" in told[2]
