"""Programs that somebody else wrote, and an apply's questions to them: before a deployment, and after a wave."""

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
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.clock import SystemClock, sleep_or, timeout
from workspaces_apps.cli._console import UsageError, complain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._model.validation import JsonObject
    from workspaces_apps.cli._progress import Board
    from workspaces_apps.rollout import (
        Apply,
        ApprovalRequested,
        BeforeDeploy,
        DeployNotice,
        Event,
        NoticeAnswer,
    )


OUTPUT_LIMIT: Final = 64 * 1024
"""Bytes at most that are kept of what a program prints on each of its streams."""

PROCEED: Final = 0
UNAVAILABLE: Final = 69
"""EX_UNAVAILABLE of sysexits.h: leave it alone."""
TRY_AGAIN: Final = 75
"""EX_TEMPFAIL of sysexits.h: later."""

_LATER: Final = 900.0
"""Seconds until a program that names none is asked again."""

_AT_ONCE: Final = 60.0
"""Seconds until a program is asked again that names less than one."""

_REAL_TIME: Final = SystemClock()
"""The time of programs, whatever the client's clock shows."""

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
        """Return the seconds that it printed, a minute where that is less than one; 15 minutes where it printed nothing.

        Raises:
            ValueError: It printed something else.
        """
        if not self.output.strip():
            return _LATER
        seconds = float(self.first_line)
        if not 0 <= seconds < 10_000_000:
            raise ValueError(f"{self.first_line!r} is no number of seconds")
        return seconds if seconds >= 1 else _AT_ONCE


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
    process = await _start(words)
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
            await sleep_or(_REAL_TIME, _CHECK_SECONDS, ended)
        with suppress(TimeoutError):
            async with timeout(_REAL_TIME, _LAST_WORDS):
                await asyncio.wait(readers)
    except BaseException:
        _kill(process)
        # It ends at once, and is reaped only while there is a loop that hears of it.
        await sleep_or(_REAL_TIME, _LAST_WORDS, ended)
        raise
    finally:
        for reader in readers:
            reader.cancel()
        ended.cancel()
        await asyncio.wait([*readers, ended])
        _close_pipes(process)
    return Ended(code=code, output=_text(output), errors=_text(errors))


async def _start(words: Sequence[str]) -> asyncio.subprocess.Process:
    """Start a program; one that is cancelled meanwhile is killed with all that it has started."""
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # A group of its own: Ctrl-C is for the apply, and the limit for all of the group.
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # Cancelled itself, asyncio would kill the program alone, and wait for whatever that has started.
        with suppress(OSError):
            process = await starting
            _kill(process)
            ended = asyncio.create_task(process.wait())
            await sleep_or(_REAL_TIME, _LAST_WORDS, ended)
            ended.cancel()
            _close_pipes(process)
        raise


def _close_pipes(process: asyncio.subprocess.Process) -> None:
    # asyncio's own, and the one way to let go of a pipe that a child keeps open.
    transport: asyncio.SubprocessTransport | None = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()


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


YES: Final = frozenset({"approve", "a", "yes", "y"})
NO: Final = frozenset({"reject", "r", "no", "n"})


class Approver:
    """Answers for the waves of an apply, within `async with`.

    Args:
        apply: The apply.
        board: How it stands; it has each event before this.
        clock: The time between checks.
        check: The program that decides, and its arguments; None for none.
        check_timeout: Seconds that it may take.
        asks: Whether a line that is typed here decides.
    """

    def __init__(
        self,
        apply: Apply,
        board: Board,
        clock: Clock,
        *,
        check: Sequence[str] | None,
        check_timeout: float,
        asks: bool,
    ) -> None:
        self._apply = apply
        self._board = board
        self._clock = clock
        self._check = check
        self._check_timeout = check_timeout
        self._asks = asks
        self._checking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End a check that goes on."""
        self._stop_listening()
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)

    def hear(self, event: Event) -> None:
        """Take one more event in."""
        from workspaces_apps.rollout import ApprovalRequested, Approved, Rejected

        if isinstance(event, ApprovalRequested):
            if self._check is not None:
                self._checking = asyncio.create_task(self._decide(self._check, event))
            elif self._asks:
                complain(f"wave {event.wave} has ended: type approve or reject, and Enter")
                asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._listen)
        elif isinstance(event, Approved | Rejected):
            self._stop_listening()
            # Somebody else may have decided: what is checked still is of a wave that is over.
            if self._checking is not None:
                self._checking.cancel()

    async def _decide(self, words: Sequence[str], request: ApprovalRequested) -> None:
        while True:
            try:
                async with timeout(self._clock, self._check_timeout):
                    ended = await run_program(words, self._payload(request))
            except TimeoutError:
                self._answer(
                    wave=request.wave,
                    approve=False,
                    reason=f"the wave check took longer than {self._check_timeout:g} s",
                )
                return
            except OSError as error:
                self._answer(
                    wave=request.wave, approve=False, reason=f"the wave check cannot be run: {error.strerror}"
                )
                return
            if ended.code != TRY_AGAIN:
                approves = ended.code == PROCEED
                reason = ended.first_line or ("" if approves else f"the wave check: {ended.failure}")
                self._answer(wave=request.wave, approve=approves, reason=reason)
                return
            try:
                await self._clock.sleep(ended.seconds())
            except ValueError:
                self._answer(
                    wave=request.wave,
                    approve=False,
                    reason=f"the wave check printed {ended.first_line[:60]!r}, not seconds",
                )
                return

    def _payload(self, request: ApprovalRequested) -> JsonObject:
        counts = self._board.summary.counts
        return {
            "name": self._board.plan.name,
            "run": request.run,
            "wave": request.wave,
            "digest": request.digest,
            "workspaces": request.workspaces,
            "succeeded": counts["succeeded"],
            "failed": counts["failed"],
            "skipped": counts["skipped"],
            "retried": self._board.summary.retried.total(),
        }

    def _listen(self) -> None:
        line = os.read(sys.stdin.fileno(), 4096).decode(errors="replace")
        word, _, reason = line.strip().partition(" ")
        if not line:
            self._stop_listening()
        elif word.lower() in YES | NO:
            self._answer(approve=word.lower() in YES, reason=reason)
        elif word:
            complain("type approve or reject, and Enter")

    def _answer(self, *, approve: bool, reason: str, wave: int | None = None) -> None:
        from workspaces_apps.rollout import RolloutError

        # Somebody else may have answered just then.
        with suppress(RolloutError):
            if approve:
                self._apply.approve(wave, reason=reason)
            else:
                self._apply.reject(reason)

    def _stop_listening(self) -> None:
        if self._asks:
            with suppress(ValueError, OSError):
                asyncio.get_running_loop().remove_reader(sys.stdin.fileno())


class ProgramFailed(Exception):
    """The program gave no answer that counts."""


def program_hook(words: Sequence[str], now: Callable[[], datetime]) -> BeforeDeploy:
    """Return the hook that runs a program for each deployment.

    Args:
        words: The program and its arguments.
        now: The clock that postponements count from.
    """
    from workspaces_apps.rollout import Postpone, Proceed, Skip

    async def before_deploy(notice: DeployNotice) -> NoticeAnswer:
        ended = await run_program(words, payload_of(notice))
        match ended.code:
            case code if code == PROCEED:
                return Proceed()
            case code if code == TRY_AGAIN:
                try:
                    return Postpone(now() + timedelta(seconds=ended.seconds()))
                except ValueError:
                    raise ProgramFailed(f"it printed {ended.first_line[:60]!r}, not seconds") from None
            case code if code == UNAVAILABLE:
                return Skip(ended.first_line)
            case _:
                raise ProgramFailed(ended.failure)

    return before_deploy


def payload_of(notice: DeployNotice) -> JsonObject:
    """Return a notice as the program gets it: its attributes, by their names."""
    return {
        "target": notice.target,
        "workspace_id": notice.workspace_id,
        "user_name": notice.user_name,
        "directions": dict(notice.directions),
        "application_names": dict(notice.application_names),
        "planned_at": notice.planned_at.isoformat(),
        "attempt": notice.attempt,
        "run": notice.run,
    }
