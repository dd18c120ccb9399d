"""The ending of a command: every error in one line and as one exit code, in the words of the command line."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

import typer

from workspaces_apps.cli._console import complain
from workspaces_apps.errors import (
    CREDENTIALS_CODES,
    ConfigurationError,
    CredentialsError,
    DeadlineExceededError,
    RequestValidationError,
    ServiceError,
    WaiterTimeoutError,
    WorkSpacesError,
)

if TYPE_CHECKING:
    from workspaces_apps.cli._options import Invocation


OPTIONS: Final[tuple[tuple[str, str], ...]] = (
    ("set ClientConfig(allow_insecure_endpoint=True)", "pass --allow-insecure-endpoint"),
    ("endpoint_url ", "the endpoint URL "),
    ('pass region="eu-west-1"', "pass --region eu-west-1"),
    ("pass credentials= or profile=", "pass --profile NAME"),
    ("Check profile=,", "Check --profile,"),
    ("allow_remote=True opens", "--allow-remote opens"),
    (
        '; if the service has relaxed this rule since, ClientConfig(request_checks="structure") leaves it to the service',
        "",
    ),
)
"""Words of the library, and the words for people in their place; all that fit."""


def in_options(message: str) -> str:
    """Reword a message of the library for somebody who has options and no arguments."""
    for said, instead in OPTIONS:
        message = message.replace(said, instead)
    return message


class ExitCode(IntEnum):
    """The exit codes of the command.

    0 to 5, and 77, say what came of a roll-out, in the words of `workspaces_apps.rollout.EXIT_CODES`; from 64 on they are those
    of BSD's sysexits.h.
    """

    DONE = 0
    """Everything that was asked has happened; for `plan` and `status`: there is nothing to do."""
    FAILED = 1
    """It has not, or not all of it: the service refused, did not answer, or a deployment failed."""
    CHANGES = 2
    """`plan`: there is something to do. `status`: something is out of sync. `apply`: something is not applied yet."""
    BUDGET_SPENT = 3
    """`apply`: too many WorkSpaces failed, so no new deployments were started."""
    DRAINED = 4
    """`apply`: asked once to end; what had begun has ended."""
    STOPPED = 5
    """`apply`: asked twice to end; `install`, `uninstall`: asked to end. Deployments may go on at the service."""
    USAGE = 64
    """The command line, the configuration, the manifest or the saved plan is wrong, or the extra is missing."""
    INTERNAL = 70
    """A fault in this program."""
    TIMEOUT = 75
    """The time that was given ran out; what was begun may still happen."""
    CREDENTIALS = 77
    """There are no credentials, or they are no longer valid."""
    INTERRUPTED = 130
    """Ctrl-C."""


FAILURE_CODES: Final[tuple[tuple[type[Exception], ExitCode], ...]] = (
    (ConfigurationError, ExitCode.USAGE),
    (RequestValidationError, ExitCode.USAGE),
    (CredentialsError, ExitCode.CREDENTIALS),
    (WaiterTimeoutError, ExitCode.TIMEOUT),
    (DeadlineExceededError, ExitCode.TIMEOUT),
    (WorkSpacesError, ExitCode.FAILED),
    (OSError, ExitCode.FAILED),
)
"""The exit code of an error: that of the first row that fits. Anything else is a fault in this program."""


class UsageError(ConfigurationError):
    """Options that do not go together; what typer cannot see."""


@runtime_checkable
class CommandLineError(Protocol):
    """The shape of typer's error about a command line; the name of its class has changed between releases."""

    exit_code: int

    def format_message(self) -> str:
        """Return the message, as one sentence."""
        ...


def guarded(command: Callable[[], object], invocation: Invocation) -> int:
    """Run a command; whatever it raises becomes a line on stderr and an exit code.

    Args:
        command: Returns an exit code, or None for 0.
        invocation: Says whether the traceback is wanted; looked at only once the command has ended.
    """
    try:
        code = command()
    except typer.Abort:
        code = ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place where an error can be told in one line
        if isinstance(error, CommandLineError):
            # Some releases of typer pass on what pydantic says of an enum's value.
            complain(
                f"{error.format_message().replace(': Value error, ', ': ')} (--help shows what there is)"
            )
            # Typer's own code for it is 2, which means "there are changes" here.
            return ExitCode.USAGE
        if invocation.debug:
            traceback.print_exception(error)
        return tell(error)
    if code == ExitCode.INTERRUPTED:
        complain("interrupted")
    return code if isinstance(code, int) else ExitCode.DONE


def tell(error: Exception) -> int:
    """Say in one line what went wrong, and return its exit code."""
    first, *others = leaves(error)
    code = exit_code(first)
    more = f" (and {len(others)} more)" if others else ""
    mistakes: tuple[object, ...] = getattr(first, "mistakes", ())
    if mistakes:
        # A manifest's: each has its own place in the file.
        for mistake in mistakes:
            complain(str(mistake))
    elif code == ExitCode.INTERNAL:
        complain(f"internal error: {type(first).__name__}: {first}{more}; --debug shows the traceback")
    else:
        complain(in_options(f"{first}{more}"))
    for note in notes(first):
        complain(note)
    return code


def notes(error: BaseException | None) -> list[str]:
    """Return what was added to an error on its way, such as what it has left behind."""
    return list(getattr(error, "__notes__", ()))


def exit_code(error: BaseException) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, WorkSpacesError) and isinstance(error, ValueError):
        # What was given is wrong, a manifest or a saved plan among it, whose classes are not imported for this.
        return ExitCode.USAGE
    if isinstance(error, ServiceError) and error.code in CREDENTIALS_CODES:
        return ExitCode.CREDENTIALS
    return next((code for kind, code in FAILURE_CODES if isinstance(error, kind)), ExitCode.INTERNAL)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors in a group of errors, or the error itself."""
    # By attribute: narrowed by `isinstance`, a group's contents are of unknown type to checkers.
    parts: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    for part in parts:
        yield from leaves(part)
    if not parts:
        yield error
