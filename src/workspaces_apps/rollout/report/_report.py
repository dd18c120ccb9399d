"""`Report`: what came of a roll-out, read from its journal; and the forms it can be given."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import merge
from itertools import chain
from pathlib import Path
from typing import Final

from workspaces_apps import types
from workspaces_apps._base.public import Datetime, public
from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._journal.files import JournalReader
from workspaces_apps.rollout._journal.stores import read_events
from workspaces_apps.rollout._licences import Price
from workspaces_apps.rollout._log.events import Ending, Event
from workspaces_apps.rollout._log.projections import UNFINISHED, Outcome
from workspaces_apps.rollout.report._model import (
    ApplicationCount,
    Change,
    Counts,
    ProgressPoint,
    ReasonCount,
    Run,
    TrafficPoint,
    Wave,
    Workspace,
)
from workspaces_apps.rollout.report._text import one_line

_NAMED: Final = 10
"""Runs that an error names; it counts the others."""

_DIGITS: Final = 9


@public("workspaces_apps.rollout")
@dataclass(frozen=True, kw_only=True)
class Report:
    """A report of a roll-out, over all runs of its journal, or of one of them.

    The same journal gives the same report: no clock is read. Of a journal that still grows it says how things stood
    at the last whole line.
    """

    name: str
    """The manifest's name; of journals of several roll-outs, all of them."""
    began: Datetime | None
    """The first event; None where there is none."""
    ended: Datetime | None
    """The last event so far."""
    seconds: float
    """Time spent in runs; the time between two runs is left out."""
    ending: Ending | None
    """The ending of the last run; None while it goes on, or if it was killed."""
    total: int
    """The number of changes: one for each application on each WorkSpace that the journal names."""
    counts: Counts
    """The number of changes, by outcome; they add up to `total`."""
    workspace_counts: Counts
    """The number of WorkSpaces, by outcome; they add up to the WorkSpaces."""
    calls: int | None
    """Requests sent in all runs, as far as they told; None if none did. What reading for the plan took is
    not among them."""
    throttled: int | None
    """The number of them that the service throttled."""
    runs: tuple[Run, ...]
    """Every apply, in order."""
    waves: tuple[Wave, ...]
    """Every wave, in order."""
    reasons: tuple[ReasonCount, ...]
    """The reasons for which changes failed, were skipped or are blocked, the most frequent first."""
    applications: tuple[ApplicationCount, ...]
    """The applications, each with its counts."""
    workspaces: tuple[Workspace, ...]
    """The WorkSpaces, in the order of the plan."""
    progress: tuple[ProgressPoint, ...]
    """The counts by outcome at moments evenly spread over `seconds`."""
    traffic: tuple[TrafficPoint, ...]
    """The number of requests that had been sent at the moments when a run told."""
    unmatched: tuple[str, ...] = ()
    """Values that the manifest of the last run names and no target has, in words."""

    @classmethod
    def from_journal(cls, path: str | Path, *, run: str | None = None) -> "Report":
        """Read a journal, also while an apply writes to it; a torn last line is left out.

        Args:
            path: The file.
            run: The only run to report on: its id, its number from 1, or ``last``; None for all of them.

        Raises:
            JournalError: The file cannot be read or is no journal, or has no such run; or the string is a URL.
        """
        return cls.from_events(JournalReader(path).stream(), run=run)

    @classmethod
    def from_events(cls, events: Iterable[Event], *, run: str | None = None) -> "Report":
        """Make a report of events, in the order in which they happened.

        Args:
            events: Such as those of an `Apply`.
            run: As for `from_journal`.

        Raises:
            JournalError: There is no such run.
        """
        from workspaces_apps.rollout.report._builder import ReportBuilder

        first = 1
        if run is not None:
            events = tuple(events)
            runs = tuple(dict.fromkeys(event.run for event in events))
            first = number_of(run, runs)
            events = (event for event in events if event.run == runs[first - 1])
        builder = ReportBuilder(first)
        for event in events:
            builder.apply(event)
        return builder.report()

    def priced(self, prices: Mapping[str, Price]) -> "Report":
        """Return the same with what licences cost: a journal knows no prices.

            report = Report.from_journal("office.journal").priced(plan.prices)

        Args:
            prices: By application, its id or its whole name in any case; what the report does not have is left out.
        """
        known = {name.casefold(): price for name, price in prices.items()}
        applications = tuple(
            replace(
                one,
                price=known.get((one.application_id or "").casefold())
                or known.get((one.application or "").casefold()),
            )
            for one in self.applications
        )
        return replace(self, applications=applications)

    @classmethod
    async def load(cls, *journals: str | Path, run: str | None = None) -> "Report":
        """Read one journal, or several of applies that may have gone on side by side, as one report.

        Where there are several, `seconds` is the time in which any of the runs went on, and `ending` the gravest of
        the ends of the journals' last runs; None while one of them goes on.

            report = await Report.load("eu.journal", "s3://my-bucket/rollouts/us")
            report = await Report.load("postgresql://rollouts@db/rollouts", run="0123456789ab")

        Args:
            journals: The paths of their files, or their URLs; with `run`, the one database it was submitted to.
            run: The id of a submitted run, as `distributed.submit` returned it; all of its targets are reported on.

        Raises:
            JournalError: One cannot be read or is no journal, or is a URL of a kind that this release does not know; or
                there is no such run.
            ValueError: There is no journal, or with `run` more than the database.
        """
        if not journals or (run is not None and len(journals) != 1):
            raise ValueError("load() takes at least one journal; with run=, the URL of one database")
        parts: Sequence[Sequence[Event]]
        if run is not None:
            from workspaces_apps.rollout._journal.postgresql import read_run

            parts = await read_run(str(journals[0]), run)
        else:
            parts = await asyncio.gather(*map(read_events, journals))
        return cls._merged(parts)

    @classmethod
    def _merged(cls, parts: "Sequence[Sequence[Event]]") -> "Report":
        from workspaces_apps.rollout.report._builder import ReportBuilder
        from workspaces_apps.rollout.report._model import UnitedTime
        from workspaces_apps.rollout.report._text import in_utc

        if len(parts) == 1:
            return cls.from_events(parts[0])
        spans: dict[str, tuple[datetime, datetime]] = {}
        for event in chain.from_iterable(parts):
            at = in_utc(event.at)
            began, ended = spans.get(event.run, (at, at))
            spans[event.run] = min(began, at), max(ended, at)
        latest = {events[-1].run for events in parts if events}
        builder = ReportBuilder(time=UnitedTime(spans.values()), latest=latest)
        # Each journal keeps its order, also where its clock was set back.
        for event in merge(*parts, key=lambda event: event.at):
            builder.apply(event)
        return builder.report()

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every change, WorkSpace by WorkSpace."""
        return tuple(change for workspace in self.workspaces for change in workspace.changes)

    @property
    def by_target(self) -> Mapping[str, Counts]:
        """The counts of changes of each outcome for each target, in the order of the plans."""
        from workspaces_apps.rollout.report._model import frozen

        found: dict[str, Counter[Outcome]] = {}
        for change in self.changes:
            found.setdefault(change.target, Counter[Outcome]())[change.outcome] += 1
        return {target: frozen(counts) for target, counts in found.items()}

    @property
    def unfinished(self) -> tuple[Change, ...]:
        """The changes without a last word: begun or not."""
        return tuple(change for change in self.changes if change.outcome in UNFINISHED)

    @property
    def failures(self) -> tuple[ReasonCount, ...]:
        """The reasons of what failed, those that another try overcame included."""
        return tuple(reason for reason in self.reasons if reason.outcome == "failed")

    def slowest(self, limit: int = 10) -> tuple[Workspace, ...]:
        """Return the WorkSpaces whose deployments took longest, the slowest first."""
        timed = [workspace for workspace in self.workspaces if workspace.seconds is not None]
        return tuple(sorted(timed, key=lambda workspace: -(workspace.seconds or 0.0))[:limit])

    def to_text(self, *, width: int | None = None) -> str:
        """Return the report as plain lines.

        Args:
            width: Columns that a line may take, 40 or more; None for no limit, as a file or a pipe has none.
        """
        from workspaces_apps.rollout.report._forms import as_text

        return as_text(self, width)

    def to_rich(self) -> "types.RenderableType":
        """Return the report for a rich console; needs the package rich, which comes with the extra ``cli``."""
        from workspaces_apps.rollout.report._forms import as_rich

        return as_rich(self)

    def to_json(self) -> str:
        """Return the report as one JSON document, as `json_schema` describes it."""
        from workspaces_apps.rollout.report._forms import as_json

        return as_json(self)

    @staticmethod
    def json_schema() -> dict[str, object]:
        """Return the JSON Schema of what `to_json` gives."""
        from workspaces_apps.rollout.report._forms import json_schema

        return json_schema()

    def to_csv(self) -> str:
        """Return the report as CSV, one line for each change; formulas are neutralised with an apostrophe."""
        from workspaces_apps.rollout.report._forms import as_csv

        return as_csv(self)

    def to_junit(self) -> str:
        """Return the report as JUnit XML, one test case for each change."""
        from workspaces_apps.rollout.report._forms import as_junit

        return as_junit(self)

    def to_html(self) -> str:
        """Return the report as one page that needs nothing else: no script, no network, no other file."""
        from workspaces_apps.rollout.report._page import page

        return page(self)


def number_of(run: str, runs: Sequence[str]) -> int:
    """Return the number, from 1, of the run that is meant.

    Args:
        run: Its id, its number from 1, or ``last``.
        runs: The ids of the journal's runs, in order.

    Raises:
        JournalError: There is no such run.
    """
    if run == "last" and runs:
        return len(runs)
    if run in runs:
        return runs.index(run) + 1
    if run.isdecimal() and run.isascii() and len(run) < _DIGITS and 1 <= int(run) <= len(runs):
        return int(run)
    names = [f"{number} ({one_line(one, 40)})" for number, one in enumerate(runs, start=1)][-_NAMED:]
    earlier = f"{len(runs) - len(names):,} earlier ones, " if len(runs) > len(names) else ""
    known = f"it has {earlier}{', '.join(names)}" if runs else "it holds no events yet"
    raise JournalError(f"the journal has no run {one_line(run, 40)}: {known}")
