"""Programs that somebody else wrote: run without a shell, with JSON on standard input, and bounded in what they may do."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workspaces_apps.cli._failures import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workspaces_apps._model.values import JsonObject

OUTPUT_LIMIT: Final = 64 * 1024
"""Bytes at most that are kept of what a program prints on each of its streams."""

PROCEED: Final = 0
UNAVAILABLE: Final = 69
"""EX_UNAVAILABLE of sysexits.h: leave it alone."""
TRY_AGAIN: Final = 75
"""EX_TEMPFAIL of sysexits.h: later."""

_LATER: Final = 900.0
"""Seconds until a program that names none is asked again."""

_CHECK_SECONDS: Final = 0.1

_LAST_WORDS: Final = 1.0
"""Seconds for the output of a program that has ended: a child of its may keep the stream open for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that has ended by itself.

    Attributes:
        code: Its exit code; negative where a signal ended it.
        output: The beginning of its standard output.
        errors: The beginning of its standard error.
    """

    code: int
    output: str
    errors: str

    @property
    def first_line(self) -> str:
        """The first line of its output."""
        return next(iter(self.output.strip().splitlines()), "")

    @property
    def failure(self) -> str:
        """The failure that it ended with, in words."""
        last = next(iter(self.errors.strip().splitlines()[-1:]), "")
        return f"exit code {self.code}{f': {last}' if last else ''}"

    def seconds(self) -> float:
        """Return the seconds that it printed, more than 0; 15 minutes where it printed nothing.

        Raises:
            ValueError: It printed something else.
        """
        if not self.output.strip():
            return _LATER
        seconds = float(self.first_line)
        if not 0 < seconds < 10_000_000:
            raise ValueError(f"{self.first_line!r} is no number of seconds")
        return seconds


def words_of(command: str, option: str) -> tuple[str, ...]:
    """Return a command as the words that are run.

    Args:
        command: As the command line has it; quoted like for a shell, of which nothing else holds.
        option: The option that it was given to.

    Raises:
        UsageError: It is empty or not quoted well, or there is no such program.
    """
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    if not words:
        raise UsageError(f"{option} needs a command")
    if shutil.which(words[0]) is None:
        raise UsageError(f"{option}: there is no program {words[0]}")
    return words


async def run_program(words: Sequence[str], payload: JsonObject) -> Ended:
    """Run a program to its end; if that is cancelled, kill it with all that it has started.

    Args:
        words: The program and its arguments.
        payload: What it gets on standard input, as one line of JSON.

    Raises:
        OSError: It cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # A group of its own: Ctrl-C is for the apply, and the limit for all of the group.
        start_new_session=True,
    )
    output, errors = bytearray(), bytearray()
    assert process.stdout is not None
    assert process.stderr is not None
    readers = [
        asyncio.create_task(_keep(process.stdout, output)),
        asyncio.create_task(_keep(process.stderr, errors)),
    ]
    ended = asyncio.create_task(process.wait())
    try:
        await _feed(process, json.dumps(payload).encode() + b"\n")
        # `wait` of some Pythons also waits for the pipes, which a child may keep open.
        while (code := process.returncode) is None:
            await asyncio.wait([ended], timeout=_CHECK_SECONDS)
        await asyncio.wait(readers, timeout=_LAST_WORDS)
    except BaseException:
        _kill(process)
        # It ends at once, and is reaped only while there is a loop that hears of it.
        await asyncio.wait([ended], timeout=_LAST_WORDS)
        raise
    finally:
        for reader in readers:
            reader.cancel()
        ended.cancel()
        await asyncio.wait([*readers, ended])
        # asyncio's own, and the one way to let go of a pipe that a child keeps open.
        transport: asyncio.SubprocessTransport | None = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()
    return Ended(code=code, output=_text(output), errors=_text(errors))


async def _feed(process: asyncio.subprocess.Process, content: bytes) -> None:
    assert process.stdin is not None
    # A program need not read what it is told.
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(content)
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()


async def _keep(stream: asyncio.StreamReader, kept: bytearray) -> None:
    while chunk := await stream.read(OUTPUT_LIMIT):
        # What is beyond the limit is dropped: a pipe that nobody empties would stop the program.
        kept += chunk[: OUTPUT_LIMIT - len(kept)]


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def _text(content: bytearray) -> str:
    return content.decode(errors="replace")
