"""Output to the terminal: streams, styles, text from elsewhere made harmless; and every error in one line and one exit code."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, TextIO, runtime_checkable

import typer

from workspaces_apps._base.logs import BENEATH, FIELDS, WAITING, HarmlessFormatter, field_logger
from workspaces_apps._base.text import harmless, redacted
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
    from rich.console import Console, RenderableType

    from workspaces_apps.cli._options import Invocation


COMPLAINT_LIMIT: Final = 4000
"""Characters at most of a message on standard error."""

_COUNT: Final = re.compile(r" +[\d,]+ {2,}")
"""The count in front of a sentence, with the spaces around it."""

NARROWEST: Final = 40
"""Columns of the narrowest terminal that lines are broken for."""


@cache
def out() -> Console:
    """Return the standard output, for what was asked for. Colours only on a terminal and without NO_COLOR."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """Return the standard error, for how something goes on while standard output waits for what was asked for."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Output(Console):
        """A console that may go away: work on WorkSpaces is not given up because nobody watches, or a log's disk is full."""

        def on_broken_pipe(self) -> None:
            """Write into the void from now on; otherwise rich would end the process."""
            discard(sys.stderr if stderr else sys.stdout)

        def print(self, *objects: Any, **options: Any) -> None:
            """Print, as rich does."""
            try:
                super().print(*objects, **options)
            except OSError as error:
                _lose(error, stderr=stderr)

    # Neither markup nor emoji codes nor colours found in text: much of it comes from the service.
    return Output(stderr=stderr, markup=False, emoji=False, highlight=False)


def discard(stream: TextIO | None) -> None:
    """Let all that is written to a stream of the process, if it has it, from now on be lost."""
    if stream is None:
        return
    void = os.open(os.devnull, os.O_WRONLY)
    os.dup2(void, stream.fileno())
    os.close(void)


def is_live(console: Console) -> bool:
    """Tell if lines that were written can be written over."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def drawn_again(
    console: Console, draw: Callable[[], RenderableType], per_second: float, *, redirect: bool = True
) -> Generator[None]:
    """Draw something again and again while the block runs, and remove it afterwards; inside an event loop.

    It is made on the event loop, which owns what it shows, and written by a thread of rich's: a terminal that
    takes nothing (after Ctrl-S, say) does not hold up the work.

    Args:
        console: A terminal.
        draw: Makes what is shown.
        per_second: How often.
        redirect: Whether what is printed meanwhile goes above it.
    """
    import asyncio

    from rich.live import Live

    latest = draw()

    async def draw_again() -> None:
        nonlocal latest
        while True:
            await asyncio.sleep(1 / per_second)
            latest = draw()

    drawing = asyncio.create_task(draw_again())
    try:
        with Live(
            get_renderable=lambda: latest,
            console=console,
            refresh_per_second=per_second,
            transient=True,
            redirect_stdout=redirect,
            redirect_stderr=redirect,
        ):
            yield
            latest = draw()
    finally:
        drawing.cancel()


def say(console: Console, text: str, style: str = "") -> None:
    """Print a sentence: on a terminal broken between words, below its own beginning; in a pipe a line stays a line."""
    indent = len(text) - len(text.lstrip(" "))
    # A count in front is a column of its own, and the sentence begins behind it.
    count = _COUNT.match(text)
    hang = count.end() if count is not None else indent + 2
    if console.is_terminal and 0 < indent < console.width // 3:
        text = "\n".join(
            textwrap.wrap(
                text,
                console.width,
                subsequent_indent=" " * hang,
                break_on_hyphens=False,
                drop_whitespace=True,
            )
        )
    console.print(text, style=style or None, soft_wrap=not console.is_terminal)


def print_output(text: str | bytes) -> None:
    """Write what was asked for to standard output, at once: whoever waits for it reads a pipe.

    A reader that leaves, such as ``head``, and a full disk are told of once, and end nothing; with the latter, the command that
    has done everything else exits with 1.

    Args:
        text: All of it, its line ends included; bytes are written as they are.
    """
    # A process may have none.
    if sys.stdout is None:
        return
    try:
        if isinstance(text, str):
            sys.stdout.write(text)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(text)
        sys.stdout.flush()
    except OSError as error:
        _lose(error, stderr=False)


_lost: Final[list[OSError]] = []
"""The error that took the rest of this run's output away, but for a reader that left."""


def _lose(error: OSError, *, stderr: bool) -> None:
    """Go on without a stream that takes nothing any more, and say so where that can be read."""
    discard(sys.stderr if stderr else sys.stdout)
    if stderr:
        return
    if isinstance(error, BrokenPipeError):
        complain("nobody reads the output any more: the rest of it is left out")
    else:
        complain(f"standard output: {error.strerror}; the rest of it is left out")
        _lost.append(error)


def print_json(value: object) -> None:
    """Print one line of JSON on standard output."""
    print_output(f"{json.dumps(value)}\n")


def print_document(value: object) -> None:
    """Print one JSON document on standard output, indented, in ASCII: no terminal takes any of it for a command."""
    print_output(f"{json.dumps(value, indent=1)}\n")


def write_anything() -> None:
    """Let standard output and error take every character: one that they cannot encode is escaped, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def complain(message: str) -> None:
    """Print one line on standard error that names the program; the service's words may be in it, however many.

    A terminal that is narrower breaks it between words, not within an id that somebody wants to copy.
    """
    said = harmless(message if len(message) <= COMPLAINT_LIMIT else f"{message[:COMPLAINT_LIMIT]}…")
    line = f"workspaces-apps: {said}"
    stream = sys.stderr
    # A process may have none.
    if stream is None:
        return
    if stream.isatty():
        width = shutil.get_terminal_size().columns
        line = textwrap.fill(line, max(width, NARROWEST), break_long_words=False, break_on_hyphens=False)
    try:
        print(line, file=stream)
    except OSError:
        discard(stream)


def note(message: str) -> None:
    """Print a line about how something goes on to standard error; where logs are JSON, it is one of them."""
    logger = logging.getLogger("workspaces_apps")
    if any(isinstance(handler.formatter, JsonLines) for handler in logger.handlers):
        field_logger("workspaces_apps.cli").info("%s", message)
    else:
        say(err(), message)


class _Complaints(logging.Handler):
    """Tells warnings of this package as the command tells everything else, and what takes long."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


def tell_warnings() -> None:
    """Tell warnings of this package, and what is waited for, in lines of the command's own."""
    for name, level in (("workspaces_apps", logging.WARNING), (WAITING, logging.INFO)):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.setLevel(level)
            logger.addHandler(_Complaints())
            logger.propagate = False


class LogFormat(StrEnum):
    """The form of log lines."""

    TEXT = "text"
    JSON = "json"


class JsonLines(logging.Formatter):
    """Log records as one JSON object a line: time, level, logger, message, and the fields that have a value.

    What else is on a record is left out, but for the trace and span ids that OpenTelemetry's logging instrumentation
    puts there.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, in ASCII: no terminal takes any of it for a command."""
        found: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": harmless(record.getMessage()),
        }
        names = (*FIELDS.values(), "otelTraceID", "otelSpanID")
        found.update((name, value) for name in names if (value := getattr(record, name, None)) is not None)
        if record.exc_info:
            found["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(found, default=str)


def log_to_stderr(*, debug: bool = False, form: LogFormat = LogFormat.TEXT) -> None:
    """Send this package's logs to standard error: from INFO, or everything. JSON, once asked for, stays."""
    logger = logging.getLogger("workspaces_apps")
    for one in (logger, logging.getLogger(WAITING)):
        one.handlers = [handler for handler in one.handlers if not isinstance(handler, _Complaints)]
    logging.getLogger(WAITING).propagate = True
    logger.setLevel(logging.DEBUG if debug else min(logger.level or logging.INFO, logging.INFO))
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        source = "%(name)s: " if debug else ""
        handler.setFormatter(HarmlessFormatter(f"%(asctime)s %(levelname)s {source}%(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
        if debug:
            for name in BENEATH:
                logging.getLogger(name).setLevel(logging.DEBUG)
                logging.getLogger(name).addHandler(handler)
    if form is LogFormat.JSON:
        for shown in logger.handlers:
            shown.setFormatter(JsonLines())


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
    _lost.clear()
    try:
        code = command()
    except typer.Abort as abort:
        if isinstance(abort.__cause__, EOFError):
            # Typer takes any for a question that was left. A damaged file of Python's bytecode raises one too.
            return _told(abort.__cause__, invocation)
        code = ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place where an error can be told in one line
        if isinstance(error, CommandLineError):
            # Some releases of typer pass on what pydantic says of an enum's value.
            complain(
                f"{error.format_message().replace(': Value error, ', ': ')} (--help shows what there is)"
            )
            # Typer's own code for it is 2, which means "there are changes" here.
            return ExitCode.USAGE
        return _told(error, invocation)
    if code == ExitCode.INTERRUPTED:
        complain("interrupted")
    done = code if isinstance(code, int) else ExitCode.DONE
    return ExitCode.FAILED if done == ExitCode.DONE and _lost else done


def _told(error: Exception, invocation: Invocation) -> int:
    """Show the traceback where it is wanted, say the error in one line, and return its exit code."""
    if invocation.debug:
        traceback.print_exception(error)
    return tell(error)


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
        complain(in_options(note))
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
