"""Errors as lines and exit codes."""

import asyncio
import gc

import pytest
import typer

from workspaces_apps import (
    ConfigurationError,
    CredentialsError,
    DeadlineExceededError,
    DeploymentFailedError,
    RequestValidationError,
    ServiceError,
    ThrottlingException,
    TransportError,
    WaiterError,
    WaiterTimeoutError,
    WorkSpacesError,
)
from workspaces_apps.cli import main
from workspaces_apps.cli._connection import run as run_loop
from workspaces_apps.cli._console import (
    ExitCode,
    exit_code,
    guarded,
    leaves,
    log_to_stderr,
    tell_warnings,
)
from workspaces_apps.cli._options import Invocation
from workspaces_apps.rollout import JournalBusyError, ManifestError, Mistake, PlanError


def run(error: BaseException, *, debug: bool = False) -> int:
    """Run a command that ends in this error."""

    def command() -> None:
        raise error

    return guarded(command, Invocation(debug=debug))


@pytest.mark.parametrize(
    "error,code",
    [
        (ConfigurationError("no Region"), ExitCode.USAGE),
        (RequestValidationError("no such id"), ExitCode.USAGE),
        (CredentialsError("none found"), ExitCode.CREDENTIALS),
        (WaiterTimeoutError("too long"), ExitCode.TIMEOUT),
        (DeadlineExceededError("too long"), ExitCode.TIMEOUT),
        (ThrottlingException("Rate exceeded"), ExitCode.FAILED),
        (ServiceError("refused"), ExitCode.FAILED),
        (TransportError("reset"), ExitCode.FAILED),
        (ServiceError("no", code="UnrecognizedClientException"), ExitCode.CREDENTIALS),
        (ServiceError("no", code="InvalidSignatureException"), ExitCode.CREDENTIALS),
        (ServiceError("no", code="ExpiredTokenException"), ExitCode.CREDENTIALS),
        (ServiceError("no", code="AccessDeniedException"), ExitCode.FAILED),
        (WaiterError("not deployed"), ExitCode.FAILED),
        (DeploymentFailedError("one in ERROR"), ExitCode.FAILED),
        (WorkSpacesError("anything"), ExitCode.FAILED),
        (ManifestError([Mistake(key="name", rule="is missing")]), ExitCode.USAGE),
        (PlanError("not a saved plan"), ExitCode.USAGE),
        (JournalBusyError("another apply"), ExitCode.FAILED),
        (FileNotFoundError("fleet.toml"), ExitCode.FAILED),
        (ZeroDivisionError("oops"), ExitCode.INTERNAL),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: Exception, code: ExitCode) -> None:
    """Scripts can tell what was never begun, what failed, what timed out, and what is our fault."""
    assert exit_code(error) == code
    assert run(error) == code


def test_an_error_is_one_line_without_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """The service's words stand in one line; their line breaks and terminal commands do not."""
    run(ServiceError("no\n\x1b[31msuch\u202e thing\r\n", operation="DeployWorkspaceApplications"))

    assert capsys.readouterr().err == "workspaces-apps: DeployWorkspaceApplications: no [31msuch thing\n"


def test_every_mistake_of_a_manifest_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them are told at once, each with its place in the file, and harmless."""
    mistakes = [
        Mistake(key="rules[0].select", rule="is missing", file="fleet.toml"),
        Mistake(key="name\x1b[2J", rule="must not be empty", file="fleet.toml", line=3),
    ]

    assert run(ManifestError(mistakes)) == ExitCode.USAGE
    assert capsys.readouterr().err.splitlines() == [
        "workspaces-apps: fleet.toml: rules[0].select: is missing",
        "workspaces-apps: fleet.toml:3: name [2J: must not be empty",
    ]


def test_errors_of_many_tasks_are_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a group of errors the first is told and the others are counted."""
    group = ExceptionGroup("tasks", [ExceptionGroup("more", [TransportError("reset")]), ServiceError("no")])

    assert run(group) == ExitCode.FAILED
    assert [str(error) for error in leaves(group)] == ["reset", "no"]
    assert capsys.readouterr().err == "workspaces-apps: reset (and 1 more)\n"


def test_a_fault_of_ours_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """An error that nobody raised on purpose names its type and how to see where it came from."""
    run(ZeroDivisionError("division by zero"))

    assert capsys.readouterr().err == (
        "workspaces-apps: internal error: ZeroDivisionError: division by zero; --debug shows the traceback\n"
    )


def test_debug_shows_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    """With --debug the traceback stands above the line."""
    run(ServiceError("no"), debug=True)
    shown = capsys.readouterr().err

    assert shown.startswith("Traceback")
    assert shown.endswith("\nworkspaces-apps: no\n")


def test_interruption_is_told_and_has_the_shells_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C, which typer turns into exit code 130, ends in one line."""
    code = guarded(lambda: 130, Invocation())

    assert (code, capsys.readouterr().err) == (130, "workspaces-apps: interrupted\n")


def test_an_abort_is_an_interruption(capsys: pytest.CaptureFixture[str]) -> None:
    """Leaving a question unanswered ends like Ctrl-C."""

    def command() -> None:
        raise typer.Abort

    assert guarded(command, Invocation()) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "workspaces-apps: interrupted\n"


def test_an_end_of_a_file_is_no_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as that of a damaged file of bytecode, which typer takes for a question that was left unanswered."""

    def damaged(*_: object) -> None:
        raise EOFError("marshal data too short")

    monkeypatch.setattr("workspaces_apps.cli._reports.prices_of", damaged)

    assert main(["report", "--prices", "prices.toml"]) == ExitCode.INTERNAL
    shown = capsys.readouterr().err
    assert "internal error: EOFError: marshal data too short; --debug shows the traceback" in shown
    assert "interrupted" not in shown


def test_nothing_returned_is_success() -> None:
    """A command that returns nothing has done what was asked."""
    assert guarded(lambda: None, Invocation()) == ExitCode.DONE


@pytest.mark.parametrize("debug", [False, True])
def test_a_task_that_nobody_waited_for_is_told_in_a_line(
    debug: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as one of a library's at the end of a worker; `--debug` shows where it failed."""

    async def fail() -> None:
        raise ConnectionResetError("the database\nis gone")

    async def work() -> None:
        task = asyncio.create_task(fail())
        task.add_done_callback(lambda _: None)
        del task
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()

    if debug:
        log_to_stderr(debug=True)
    else:
        tell_warnings()
    run_loop(work())

    said = capsys.readouterr().err
    assert ("Traceback" in said) is debug
    if not debug:
        assert said == (
            "workspaces-apps: Task exception was never retrieved: ConnectionResetError: the database is gone\n"
        )
