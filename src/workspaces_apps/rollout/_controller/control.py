"""The control record beside a journal: how another process pauses, resumes, drains or stops a running apply.

An apply holds the lock of its journal, so what others want of it stands beside it: a line of JSON for each command, in
a record that is replaced as a whole. Nobody compares the clocks of two machines: commands are ordered by number, and
which of them count is decided by the runs that they name.

- *drain* and *stop* are for the run that was going on when they were given, and for no other.
- *pause* holds, for that run and every later one on the same journal, until *resume*: a restart does not lift it.
- *approve* and *reject* are for a wave of the same content, by its digest, in whatever run of the journal.

A journal that was begun anew knows none of the runs that an old record names, and so takes nothing from it.
"""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ValidationError

from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.public import AttributesInSchema, public
from workspaces_apps.rollout._errors import JournalError, RolloutError
from workspaces_apps.rollout._journal.files import FileJournalStore
from workspaces_apps.rollout._journal.stores import AnyJournal, JournalLocation, locate
from workspaces_apps.rollout._log.events import ApprovalRequested, Event, Finished, Text
from workspaces_apps.rollout._log.projections import RunHistory

ControlCommand: TypeAlias = Literal["pause", "resume", "approve", "reject", "drain", "stop"]
"""The word that is said to a running apply."""

POLL_SECONDS: Final = 5.0
"""Seconds of real time, at most, from one reading of the control record to the next."""

log = field_logger("workspaces_apps.rollout")


@public("workspaces_apps.rollout")
class ControlRecord(AttributesInSchema, BaseModel, frozen=True):
    """One command to an apply."""

    sequence: int
    """Its number among the commands of the journal; what was given later has a higher one."""
    command: ControlCommand
    """``pause``, ``resume``, ``approve``, ``reject``, ``drain`` or ``stop``."""
    run: str | None = None
    """The run that was the journal's last when it was given; None where there was none."""
    wave: int | None = None
    """The wave that is approved or rejected, from 1; None for other commands."""
    digest: str | None = None
    """The digest of that wave's content."""
    who: Text = ""
    """User and host that gave it."""
    reason: Text = ""
    """The reason, in words."""
    at: AwareDatetime
    """The time, by the clock of that host; for people."""

    def __str__(self) -> str:
        because = f": {self.reason}" if self.reason else ""
        return f"{self.command}, by {self.who}, {self.at:%Y-%m-%d %H:%M:%S %Z}{because}"


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class ControlState:
    """The commands that hold for one run."""

    pause: ControlRecord | None = None
    """The pause that holds; None while nothing is paused."""
    requests: tuple[ControlRecord, ...] = ()
    """Drain and stop requests that no earlier poll has told of, in order."""
    decisions: Mapping[tuple[int, str], ControlRecord] = field(
        default_factory=dict[tuple[int, str], ControlRecord]
    )
    """The last approval or rejection of each wave, by its number and digest."""

    @property
    def paused(self) -> bool:
        """Tell if nothing new may be started."""
        return self.pause is not None

    @property
    def why(self) -> str:
        """The pause that is in force: who, when and why; empty while nothing is paused."""
        return str(self.pause) if self.pause is not None else ""


@public("workspaces_apps.rollout")
class ControlReader:
    """A reader of the control record, for one run. What cannot be read is logged and ignored.

    Args:
        location: The journal.
        run: The run that it is read for.
        earlier: The runs of the journal before it.
    """

    def __init__(self, location: JournalLocation, *, run: str, earlier: Iterable[str] = ()) -> None:
        self._location = location
        self._run = run
        self._runs = frozenset({run, *earlier})
        self._content: bytes | None = None
        self._problem: str | None = None
        self._told = 0
        self._reads = self._last_read = 0
        self._state = ControlState()

    async def poll(self) -> ControlState:
        """Return which commands hold now; never fails. Of two that overlap, what the one that began later reads counts."""
        self._reads += 1
        number = self._reads
        try:
            content = await self._location.store.read_control(self._location.name)
        except JournalError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.warning("%s; what was said before holds on", error)
            content, number = self._content, 0
        if number > self._last_read and content != self._content:
            self._content = content
            self._state = self._fold(_records(content, self._location.name))
        self._last_read = max(self._last_read, number)
        state, self._state = (
            self._state,
            ControlState(pause=self._state.pause, decisions=self._state.decisions),
        )
        return state

    def _fold(self, records: Iterable[ControlRecord]) -> ControlState:
        pause: ControlRecord | None = None
        requests: list[ControlRecord] = []
        decisions: dict[tuple[int, str], ControlRecord] = {}
        for record in sorted(records, key=lambda one: one.sequence):
            if record.command in ("drain", "stop"):
                if record.run == self._run and record.sequence > self._told:
                    self._told = record.sequence
                    requests.append(record)
            elif record.run is not None and record.run not in self._runs:
                continue
            elif record.command in ("pause", "resume"):
                pause = record if record.command == "pause" else None
            elif record.wave is not None and record.digest is not None:
                decisions[record.wave, record.digest] = record
        return ControlState(pause=pause, requests=tuple(requests), decisions=decisions)


async def write_control(
    journal: AnyJournal,
    command: ControlCommand,
    *,
    wave: int | None = None,
    digest: str | None = None,
    reason: str = "",
    who: str | None = None,
    rollout: str = "",
) -> ControlRecord:
    """Say something to the apply that writes to a journal, from whatever process; it hears it within five seconds.

        await write_control("office.journal", "pause", reason="the help desk is closed")

    Args:
        journal: Its journal.
        command: What is wanted. A pause may also be given while no apply runs: the next one starts nothing new.
        wave: For approve and reject: the wave that is meant, from 1; None for the one that waits for approval.
        digest: The digest of its content; None for that of the wave that waits.
        reason: Why, in words.
        who: Who gives it; None: this user on this host.
        rollout: The roll-out's name, where the journal is a store.

    Raises:
        ValueError: A wave is given with a command that has none.
        JournalError: No run of the journal goes on that could be drained or stopped; no wave, or another one, has ended
            and waits for approval; or the journal cannot be read, or the record not be written.
    """
    decides = command in ("approve", "reject")
    if not decides and (wave is not None or digest is not None):
        raise ValueError(f"{command} takes no wave")
    location = locate(journal, rollout)
    events = await location.store.read(location.name)
    last = events[-1] if events else None
    run = last.run if last is not None else None
    if command in ("drain", "stop") and (last is None or isinstance(last, Finished)):
        raise JournalError(f"there is nothing to {command}: no run of the journal {location.name} goes on")
    # A process that was killed has said no last word, and left its lock.
    if (
        command in ("drain", "stop")
        and isinstance(location.store, FileJournalStore)
        and not await location.store.is_open(location.name)
    ):
        raise JournalError(
            f"there is nothing to {command}: no apply writes to the journal {location.name}; its last one was broken off"
        )
    if decides:
        wave, digest = _ended_wave(events or (), command, wave, digest)
    written: list[ControlRecord] = []

    def added(content: bytes | None) -> bytes:
        records = _records(content, location.name)
        record = ControlRecord(
            sequence=max((one.sequence for one in records), default=0) + 1,
            command=command,
            run=run,
            wave=wave,
            digest=digest,
            who=who if who is not None else whoever(),
            reason=reason,
            at=datetime.now(UTC),
        )
        written.append(record)
        return "".join(f"{one.model_dump_json(exclude_none=True)}\n" for one in [*records, record]).encode()

    await location.store.update_control(location.name, added)
    return written[-1]


class NothingToDecideError(JournalError):
    """No wave waits for approval, or another one than is meant."""


def _ended_wave(
    events: Sequence[Event], command: ControlCommand, wave: int | None, digest: str | None
) -> tuple[int, str]:
    """Return the wave that waits for approval, with its digest, if it is the one that is meant."""
    ended = RunHistory(events).approvals.unapproved
    if ended is None:
        raise NothingToDecideError(f"there is nothing to {command}: no wave has ended and waits for approval")
    if wave not in (None, ended.wave) or digest not in (None, ended.digest):
        raise NothingToDecideError(
            f"there is nothing to {command} but wave {ended.wave}: no other one waits for approval"
        )
    return ended.wave, ended.digest


def _records(content: bytes | None, journal: str) -> list[ControlRecord]:
    records: list[ControlRecord] = []
    for number, line in enumerate((content or b"").splitlines(), start=1):
        try:
            records.append(ControlRecord.model_validate_json(line))
        except ValidationError as error:
            log.warning(
                "the control record of %s, line %d, is left out: %s",
                journal,
                number,
                error.errors()[0]["msg"],
            )
    return records


def whoever() -> str:
    """Return the user and the host of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that nobody has.
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDecision:
    """The word on a wave.

    Attributes:
        approve: Whether what comes after it may begin.
        who: Who gave it.
        reason: Why, in words.
        sequence: Its number in the control record; None where it was given to this process.
    """

    approve: bool
    who: str
    reason: str = ""
    sequence: int | None = None


class ApprovalGate:
    """Takes the word on the wave that waits for it, from this process or from the control record.

    Attributes:
        decided: Set once there is a decision on the wave that waits.
        look: Reads the control record once more; None where there is none.
    """

    def __init__(self) -> None:
        self.look: Callable[[], Awaitable[None]] | None = None
        self.decided: asyncio.Event = asyncio.Event()
        self._waiting: ApprovalRequested | None = None
        self._decision: ApprovalDecision | None = None
        self._consumed = 0
        self._records: Mapping[tuple[int, str], ControlRecord] = {}

    @property
    def wave(self) -> int | None:
        """The number of the wave that waits; None while none does."""
        return self._waiting.wave if self._waiting is not None else None

    def open(self, request: ApprovalRequested, consumed: int) -> None:
        """Begin to wait for the word on a wave.

        Args:
            request: The wave.
            consumed: The number of the last command that was acted upon; earlier ones are for other waves.
        """
        self._waiting, self._decision, self._consumed = request, None, consumed
        self.decided.clear()
        self._match()

    def close(self) -> ApprovalDecision | None:
        """End the wait, and return the decision; None if there was none."""
        self._waiting = None
        return self._decision

    def decide(self, decision: ApprovalDecision, wave: int | None = None) -> None:
        """Take the word on the wave that waits; the first one counts.

        Args:
            decision: The word.
            wave: The number of the wave that it is meant for; None for whichever waits.

        Raises:
            RolloutError: No wave waits, or another one.
        """
        waiting = self._waiting
        if waiting is None:
            raise RolloutError("no wave waits for approval: one that has not ended cannot be approved")
        if wave not in (None, waiting.wave):
            raise RolloutError(f"wave {waiting.wave} waits for approval, not wave {wave}")
        if self._decision is None:
            self._decision = decision
            self.decided.set()

    def take(self, records: Mapping[tuple[int, str], ControlRecord]) -> None:
        """Take in what the control record says, by wave and digest."""
        self._records = records
        self._match()

    def _match(self) -> None:
        waiting = self._waiting
        record = self._records.get((waiting.wave, waiting.digest)) if waiting is not None else None
        if record is not None and record.sequence > self._consumed:
            self.decide(
                ApprovalDecision(
                    approve=record.command == "approve",
                    who=record.who,
                    reason=record.reason,
                    sequence=record.sequence,
                )
            )
