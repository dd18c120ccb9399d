"""Where an apply writes what happens: the journal, the queue of its events, the memory, and the counts."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from workspaces_apps.clock import Clock
from workspaces_apps.rollout.counting import Tally
from workspaces_apps.rollout.events import Ending, Event, Failed, Finished, Progress, Skipped, Succeeded
from workspaces_apps.rollout.journal import Journal
from workspaces_apps.rollout.memory import Memory
from workspaces_apps.rollout.reasons import NEVER_BEGUN, Reason

EVERYWHERE: Final = "*"
"""The target of events that belong to the roll-out as a whole."""


class Ledger:
    """The record of one apply.

    Args:
        clock: The time of events.
        journal: Where to write; None: nowhere.
        tallies: Whose requests are counted.

    Attributes:
        memory: What must not be forgotten, the journal's past included.
        events: The events for whoever follows the apply; None ends them.
        counts: How many last words of each kind there were.
        reasons: For what reasons changes were left alone.
        resumed: Whether the journal held an earlier run.
    """

    def __init__(self, clock: Clock, journal: Journal | None, tallies: Mapping[str, Tally]) -> None:
        past = journal.past if journal is not None else ()
        self.memory: Memory = Memory(past)
        self.events: asyncio.Queue[Event | None] = asyncio.Queue()
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.resumed: bool = bool(past)
        self._clock = clock
        self._journal = journal
        self._tallies = tallies
        self._before = {name: (tally.calls, tally.throttled) for name, tally in tallies.items()}
        self._began = clock.monotonic()
        self._run = secrets.token_hex(6)

    def event(self, kind: Callable[..., Event], target: str, **members: object) -> Event:
        """An event of this moment."""
        return kind(at=self._clock.now(), run=self._run, target=target, **members)

    def record(self, *events: Event, durable: bool = False) -> None:
        """Take events down, in the journal first; with `durable`, they are on disk when this returns.

        Raises:
            JournalError: They could not be written.
        """
        if self._journal is not None:
            self._journal.append(*events, durable=durable)
        for event in events:
            self.memory.note(event)
            match event:
                case Succeeded():
                    self.counts[event.kind] += 1
                case Skipped():
                    self.counts[event.kind] += 1
                    self.reasons[event.reason] += 1
                case Failed(final=True):
                    self.counts[event.kind] += 1
                case _:
                    pass
            self.events.put_nowait(event)

    def report_progress(self, *, in_flight: int, waiting: int) -> None:
        """Take down how far it is."""
        silent = max((tally.silent_seconds for tally in self._tallies.values()), default=0.0)
        told = {"in_flight": in_flight, "waiting": waiting, "silent_seconds": round(silent, 1)}
        self.record(self.event(Progress, EVERYWHERE, **told, **self._numbers()))

    def finish(self, ending: Ending, message: str) -> Finished:
        """Take down how it ended."""
        finished = Finished.model_validate(
            {
                "at": self._clock.now(),
                "run": self._run,
                "target": EVERYWHERE,
                "ending": ending,
                "elapsed": self._clock.monotonic() - self._began,
                "message": message,
                "left_deploying": self.reasons[Reason.LEFT_DEPLOYING],
                "left_staged": self.reasons[Reason.LEFT_STAGED],
                "not_begun": sum(self.reasons[reason] for reason in NEVER_BEGUN),
                **self._numbers(),
            }
        )
        self.record(finished, durable=True)
        return finished

    def _numbers(self) -> dict[str, int]:
        return {
            "calls": sum(tally.calls - self._before[name][0] for name, tally in self._tallies.items()),
            "throttled": sum(
                tally.throttled - self._before[name][1] for name, tally in self._tallies.items()
            ),
            **{kind: self.counts[kind] for kind in ("succeeded", "failed", "skipped")},
        }
