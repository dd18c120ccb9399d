"""The series of attempts: how many, how far apart, and when it stops."""

import asyncio
import logging
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from workspaces_apps._retry import Resolution, Resolved, RetryBudget, RetryPolicy, rule_for, run_attempts
from workspaces_apps._telemetry.port import AttemptRecord, Hooks, RetryRecord, ThrottleRecord
from workspaces_apps.errors import (
    CredentialsError,
    DeadlineExceededError,
    ServiceError,
    ThrottlingException,
    TransportError,
    WorkSpacesError,
)
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._clocks import run_virtual

ASSOCIATE = "AssociateWorkspaceApplication"
DEPLOY = "DeployWorkspaceApplications"
DESCRIBE = "DescribeWorkspaces"


def throttle() -> ServiceError:
    """The service's own words."""
    return ThrottlingException(
        "Rate exceeded", code="ThrottlingException", http_status=400, request_id="throttled-1"
    )


def outage() -> ServiceError:
    """A load balancer's answer, which leaves the outcome open."""
    return ServiceError("no", http_status=503)


def unsent() -> TransportError:
    """A connection that was never made."""
    error = TransportError("refused")
    error.request_sent = False
    return error


def timed_out() -> TransportError:
    """A request that was written and not answered."""
    error = TransportError("read timeout")
    error.request_sent = True
    return error


def fatal(code: str = "AccessDeniedException") -> ServiceError:
    """A refusal."""
    return ServiceError("no", code=code, http_status=400)


@dataclass
class Script:
    """A call whose attempts end as written, on a clock of its own, with a random number that is always ½."""

    outcomes: Sequence[Exception | str]
    operation: str = DESCRIBE
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    budget: RetryBudget | None = None
    deadline: float | None = None
    absorbs: bool = False
    looked: Sequence[Resolved[str] | Resolution] | None = None
    sent: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    looks: list[WorkSpacesError] = field(default_factory=list[WorkSpacesError])
    records: list[AttemptRecord | RetryRecord | ThrottleRecord] = field(
        default_factory=list[AttemptRecord | RetryRecord | ThrottleRecord]
    )
    clock: ManualClock = field(default_factory=ManualClock)

    async def attempt(self, number: int) -> str:
        """Send once."""
        self.sent.append((number, self.clock.monotonic()))
        outcome = self.outcomes[number - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def look(self, error: WorkSpacesError) -> Resolved[str] | Resolution:
        """Ask what became of it."""
        self.looks.append(error)
        assert self.looked is not None
        return self.looked[len(self.looks) - 1]

    def absorbed(self, _: WorkSpacesError) -> bool:
        """Tell if the pacer takes care of it."""
        return self.absorbs

    def response_info(self, _: str) -> tuple[str | None, int | None]:
        """The facts known of an answer."""
        return "answered", 200

    def remaining(self) -> float | None:
        """Until the deadline."""
        return None if self.deadline is None else self.deadline - self.clock.monotonic()

    async def play(self, **changes: Any) -> str:
        """Make the call."""
        hooks = Hooks(
            on_attempt=self.records.append, on_retry=self.records.append, on_throttle=self.records.append
        )
        settings: dict[str, Any] = {
            "operation": self.operation,
            "policy": self.policy,
            "budget": self.budget,
            "clock": self.clock,
            "random": lambda: 0.5,
            "hooks": hooks,
            "repeatable": rule_for(self.operation).repeatable,
            "remaining": self.remaining,
            "absorbed": self.absorbed,
            "look": self.look if self.looked is not None else None,
            "response_info": self.response_info,
            "rate": lambda: 2.5,
        }
        return await run_attempts(self.attempt, **{**settings, **changes})

    def run(self) -> str:
        """Make the call in virtual time."""
        return run_virtual(self.play(), self.clock)

    def fail(self) -> WorkSpacesError:
        """Make the call, which must fail."""
        with pytest.raises(WorkSpacesError) as caught:
            self.run()
        return caught.value


def test_a_first_success_is_one_request() -> None:
    """And no time passes."""
    script = Script(["done"])
    assert script.run() == "done"
    assert script.sent == [(1, 0.0)]


def test_throttles_are_waited_out_by_one_two_four_and_eight_seconds_at_most() -> None:
    """Half of that with a random number of ½."""
    script = Script([throttle(), throttle(), throttle(), throttle(), "done"])
    assert script.run() == "done"
    assert script.sent == [(1, 0.0), (2, 0.5), (3, 1.5), (4, 3.5), (5, 7.5)]


def test_transient_faults_are_waited_out_by_50_milliseconds_doubling() -> None:
    """Half of that with a random number of ½."""
    script = Script([outage(), unsent(), timed_out(), "done"])
    assert script.run() == "done"
    assert [number for number, _ in script.sent] == [1, 2, 3, 4]
    assert [at for _, at in script.sent] == pytest.approx([0.0, 0.025, 0.075, 0.175])


def test_the_last_failure_is_raised_when_the_attempts_are_used_up() -> None:
    """It is the very error of the last attempt, and knows their number."""
    errors = [outage() for _ in range(5)]
    error = Script(errors).fail()
    assert error is errors[4]
    assert (error.attempts, error.operation) == (5, DESCRIBE)


@pytest.mark.parametrize("failure", [throttle, outage, unsent, fatal])
def test_one_attempt_is_exactly_one_request(failure: Any) -> None:
    """Whatever it fails with."""
    script = Script([failure(), "never"], policy=RetryPolicy(max_attempts=1))
    assert script.fail().attempts == 1
    assert len(script.sent) == 1


@pytest.mark.parametrize("error", [fatal(), fatal("ResourceInUseException"), CredentialsError("none")])
def test_what_will_fail_again_is_not_repeated(error: WorkSpacesError) -> None:
    """One request, and the error as it came."""
    script = Script([error, "never"])
    assert script.fail() is error
    assert len(script.sent) == 1


def test_a_fault_of_our_own_passes_untouched() -> None:
    """Neither a first attempt nor a later one makes anything of it."""
    for outcomes in ([KeyError("bug")], [throttle(), KeyError("bug")]):
        with pytest.raises(KeyError):
            Script(outcomes).run()


def test_the_cause_of_an_error_survives() -> None:
    """And no bookkeeping of the retry loop stands in its place."""
    error = outage()
    error.__cause__ = OSError("the socket")
    raised = Script([throttle(), error], policy=RetryPolicy(max_attempts=2)).fail()
    assert isinstance(raised.__cause__, OSError)
    assert Script([throttle(), outage()], policy=RetryPolicy(max_attempts=2)).fail().__suppress_context__


def test_a_server_is_heard() -> None:
    """Between our own wait and five seconds more."""
    wish = throttle()
    wish.retry_after = 3.0
    script = Script([wish, "done"])
    script.run()
    assert script.sent[1] == (2, 3.0)


def test_a_retry_that_would_begin_too_late_fails_at_once() -> None:
    """From the last failure, with what is known of it, and before any time has passed."""
    error = throttle()
    script = Script([error, "never"], deadline=0.5)
    raised = script.fail()
    assert isinstance(raised, DeadlineExceededError)
    assert raised.__cause__ is error
    assert (raised.attempts, raised.request_id, raised.code) == (1, "throttled-1", "ThrottlingException")
    assert raised.request_sent is True
    assert script.clock.monotonic() == 0.0


def test_a_deadline_further_away_is_no_hindrance() -> None:
    """A retry that begins before it is made."""
    assert Script([throttle(), "done"], deadline=0.51).run() == "done"


def test_a_deadline_inside_a_retry_tells_of_the_failure_before() -> None:
    """The turn did not come in time, but the first request had left."""
    first, late = timed_out(), DeadlineExceededError("no turn")
    late.request_sent = False
    raised = Script([first, late]).fail()
    assert raised is late
    assert raised.__cause__ is first
    assert raised.attempts == 2
    assert isinstance(raised, DeadlineExceededError)
    assert raised.request_sent is True


def test_what_has_not_left_may_always_be_repeated() -> None:
    """Even a Create."""
    assert Script([unsent(), throttle(), "done"], operation="CreateWorkspaces").run() == "done"


@pytest.mark.parametrize("failure", [timed_out, outage])
def test_a_create_that_may_have_arrived_is_not_repeated(failure: Any) -> None:
    """The error says that the outcome is unknown, and what to look up."""
    script = Script([failure(), "never"], operation="CreateWorkspaces")
    message = str(script.fail())
    assert "outcome is unknown" in message
    assert "Look up DescribeWorkspaces by DirectoryId and UserName" in message
    assert len(script.sent) == 1


def test_a_create_that_ran_into_the_deadline_says_so_too() -> None:
    """A request cut off on its way may have been carried out as well."""
    late = DeadlineExceededError("cut off")
    late.request_sent = True
    assert "outcome is unknown" in str(Script([late], operation="CreateWorkspaces").fail())


def test_an_associate_whose_repetition_finds_it_there_is_a_success() -> None:
    """Our own attempt explains it; the look gives the result."""
    found = fatal("ResourceAlreadyExistsException")
    script = Script([timed_out(), found, "never"], operation=ASSOCIATE, looked=[Resolved("staged")])
    assert script.run() == "staged"
    assert script.looks == [found]


def test_an_associate_that_finds_it_there_at_first_is_an_error() -> None:
    """Nobody but another can have done it, so nobody looks."""
    script = Script(
        [fatal("ResourceAlreadyExistsException")], operation=ASSOCIATE, looked=[Resolved("staged")]
    )
    assert script.fail().code == "ResourceAlreadyExistsException"
    assert script.looks == []


@pytest.mark.parametrize("before", [throttle, unsent])
def test_an_attempt_that_did_nothing_explains_nothing(before: Any) -> None:
    """A throttled request was not carried out, and one that never left neither."""
    script = Script(
        [before(), fatal("ResourceAlreadyExistsException")], operation=ASSOCIATE, looked=[Resolved("staged")]
    )
    assert script.fail().attempts == 2
    assert script.looks == []


def test_an_explanation_that_the_look_does_not_bear_out_is_none() -> None:
    """A Disassociate may find nothing because the WorkSpace is gone."""
    script = Script(
        [outage(), fatal("ResourceNotFoundException")],
        operation="DisassociateWorkspaceApplication",
        looked=[Resolution.UNKNOWN],
    )
    assert script.fail().code == "ResourceNotFoundException"
    assert len(script.looks) == 1


def test_a_deployment_that_began_is_not_sent_again() -> None:
    """The look after an ambiguous failure gives the result."""
    script = Script([timed_out(), "never"], operation=DEPLOY, looked=[Resolved("began")])
    assert script.run() == "began"
    assert len(script.sent) == 1


def test_a_deployment_that_did_not_begin_is_sent_again() -> None:
    """Once two looks have shown it, each time."""
    script = Script([timed_out(), outage(), "done"], operation=DEPLOY, looked=[Resolution.REPEAT] * 4)
    assert script.run() == "done"
    assert len(script.looks) == 4


def test_one_look_that_has_seen_nothing_is_not_believed() -> None:
    """A read right after a write may still show what was before it. [assumed]"""
    script = Script([timed_out(), "never"], operation=DEPLOY, looked=[Resolution.REPEAT, Resolved("began")])
    assert script.run() == "began"
    assert len(script.sent) == 1


def test_a_look_without_time_to_wait_allows_no_repetition() -> None:
    """A read at once may not show yet what was carried out; only a later one counts."""
    unseen = Script([timed_out(), "never"], operation=DEPLOY, looked=[Resolution.REPEAT], deadline=3.0)
    assert "outcome is unknown" in str(unseen.fail())
    shown = Script([timed_out(), "never"], operation=DEPLOY, looked=[Resolved("began")], deadline=3.0)
    assert shown.run() == "began"


def test_a_deployment_of_which_nothing_is_known_fails() -> None:
    """With the note."""
    script = Script([timed_out(), "never"], operation=DEPLOY, looked=[Resolution.UNKNOWN])
    assert "Look up DescribeWorkspaceAssociations" in str(script.fail())


def test_one_attempt_means_that_nobody_looks_either() -> None:
    """A look is a request, too."""
    policy = RetryPolicy(max_attempts=1)
    script = Script([timed_out()], operation=DEPLOY, policy=policy, looked=[Resolved("began")])
    assert "outcome is unknown" in str(script.fail())
    assert script.looks == []


def test_a_transient_retry_takes_14_tokens_and_its_success_gives_them_back() -> None:
    """The retries before the last stay paid: 14 of 28 come back."""
    budget = RetryBudget()
    Script([outage(), outage(), "done"], budget=budget).run()
    assert budget.tokens == 500 - 14


def test_a_throttled_retry_takes_5_tokens() -> None:
    """And a failure in the end keeps them."""
    budget = RetryBudget()
    Script([throttle(), fatal()], budget=budget).fail()
    assert budget.tokens == 495


def test_a_throttle_that_the_pacer_absorbs_takes_nothing() -> None:
    """The pacer is slower already."""
    budget = RetryBudget()
    Script([throttle(), throttle(), fatal()], budget=budget, absorbs=True).fail()
    assert budget.tokens == 500


def test_an_empty_budget_ends_the_call() -> None:
    """With the failure itself, which says why it was not repeated."""
    budget = RetryBudget()
    budget.acquire(490)
    script = Script([outage(), "never"], budget=budget)
    assert "retry budget" in str(script.fail())
    assert (len(script.sent), budget.tokens) == (1, 10)


def test_what_is_refused_for_another_reason_takes_no_token() -> None:
    """Neither the deadline nor the end of the attempts."""
    budget = RetryBudget()
    Script([outage()], budget=budget, deadline=0.01).fail()
    Script([outage()], budget=budget, policy=RetryPolicy(max_attempts=1)).fail()
    assert budget.tokens == 500


def test_hooks_get_each_attempt_retry_and_throttle_in_order() -> None:
    """As frozen records with the facts."""
    first = throttle()
    script = Script([first, "done"])
    script.run()
    assert script.records == [
        AttemptRecord(
            operation=DESCRIBE,
            attempt=1,
            elapsed=0.0,
            outcome="throttle",
            error=first,
            request_id="throttled-1",
            http_status=400,
        ),
        ThrottleRecord(operation=DESCRIBE, attempt=1, rate=2.5, request_id="throttled-1"),
        RetryRecord(
            operation=DESCRIBE, attempt=1, wait=0.5, cause=first, kind="throttle", request_id="throttled-1"
        ),
        AttemptRecord(
            operation=DESCRIBE,
            attempt=2,
            elapsed=0.0,
            outcome="success",
            request_id="answered",
            http_status=200,
        ),
    ]


def test_a_hook_that_raises_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Its exception is logged, and the call goes on."""

    def broken(_: object) -> None:
        raise ZeroDivisionError

    script = Script([throttle(), "done"])
    hooks = Hooks(on_attempt=broken, on_retry=broken, on_throttle=broken)
    assert run_virtual(script.play(hooks=hooks), script.clock) == "done"
    assert caplog.text.count("a hook raised") == 4


def test_retries_are_logged_with_the_facts(caplog: pytest.LogCaptureFixture) -> None:
    """At INFO: operation, attempt, kind, code, request id, wait."""
    with caplog.at_level(logging.INFO, "workspaces_apps.retry"):
        Script([throttle(), "done"]).run()
    assert caplog.messages[1] == (
        "DescribeWorkspaces: attempt 1 failed (throttle, code ThrottlingException, request id throttled-1),"
        " the next one in 0.500 s"
    )


def test_tenacity_is_imported_only_once_an_attempt_has_failed() -> None:
    """It would cost every start 5 to 14 ms."""
    code = "import sys, workspaces_apps._retry, workspaces_apps._pacing; print('tenacity' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize("seed", range(4))
def test_calls_cancelled_at_any_moment_keep_no_token(seed: int) -> None:
    """Each call fails once and then succeeds, so whether it ends or is cancelled, it owes nothing."""
    clock = ManualClock()
    budget = RetryBudget()
    budget.acquire(100)
    rng = random.Random(seed)

    async def call() -> None:
        async def attempt(number: int) -> str:
            await clock.sleep(rng.uniform(0.001, 0.02))
            if number == 1:
                raise outage()
            return "done"

        await run_attempts(
            attempt,
            operation=DESCRIBE,
            policy=RetryPolicy(),
            budget=budget,
            clock=clock,
            random=rng.random,
            hooks=Hooks(),
            repeatable=True,
            remaining=lambda: None,
            absorbed=lambda _: False,
        )

    async def main() -> None:
        tasks: list[asyncio.Task[None]] = []
        for _ in range(1000):
            tasks.append(asyncio.create_task(call()))
            await clock.sleep(rng.uniform(0.0, 0.01))
            rng.choice(tasks[-8:]).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run_virtual(main(), clock)
    assert budget.tokens == 400


def test_concurrent_calls_do_not_mix_up_their_retries() -> None:
    """A hundred at once, each with its own number of failures, each ends with its own result."""
    clock = ManualClock()
    policy = RetryPolicy()

    async def call(number: int) -> str:
        script = Script([throttle()] * (number % 5) + [f"result {number}"], policy=policy, clock=clock)
        return await script.play()

    async def main() -> list[str]:
        return await asyncio.gather(*(call(number) for number in range(100)))

    assert run_virtual(main(), clock) == [f"result {number}" for number in range(100)]
