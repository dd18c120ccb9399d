"""Output to the terminal: streams, styles, and text from elsewhere made harmless."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Final, TextIO

from workspaces_apps._base.logs import BENEATH, FIELDS, WAITING, HarmlessFormatter, field_logger
from workspaces_apps._base.text import harmless, redacted

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

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
        """A console whose reader may leave: work on WorkSpaces is not given up because nobody watches."""

        def on_broken_pipe(self) -> None:
            """Write into the void from now on."""
            discard(sys.stderr if stderr else sys.stdout)

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

    A reader that leaves, such as ``head``, is told of once, and ends nothing.

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
    except BrokenPipeError:
        discard(sys.stdout)
        complain("nobody reads the output any more: the rest of it is left out")


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
    except BrokenPipeError:
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
