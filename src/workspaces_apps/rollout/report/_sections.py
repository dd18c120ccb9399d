"""The report's words and tables, whatever it is rendered to; cells are text that is not escaped yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from workspaces_apps._reconcile.decisions import NEVER_STARTED, Reason
from workspaces_apps.rollout._log.events import Ending
from workspaces_apps.rollout._log.projections import UNFINISHED, Outcome
from workspaces_apps.rollout.report._model import OUTCOMES, ApplicationCount, Change, Counts, Wave, Workspace
from workspaces_apps.rollout.report._report import Report
from workspaces_apps.rollout.report._text import clock_time, count, length

WORDS: Final[Mapping[Outcome, str]] = {
    "succeeded": "Succeeded",
    "unchanged": "Unchanged",
    "failed": "Failed",
    "skipped": "Skipped",
    "blocked": "Blocked",
    "in-progress": "In progress",
    "waiting": "Waiting",
}

MEANINGS: Final[Mapping[Outcome, str]] = {
    "succeeded": "applied by a run of this roll-out",
    "unchanged": "in sync before",
    "failed": "the service refused it, or its deployment ended in ERROR",
    "skipped": "left alone",
    "blocked": "cannot be applied, according to the plan",
    "in-progress": "started, without a last word",
    "waiting": "planned, and not started",
}

_OF_TARGETS: Final[tuple[Outcome, ...]] = ("succeeded", "failed", "skipped")

STILL: Final[tuple[Outcome, ...]] = ("unchanged", "blocked")
"""The outcomes of what was not to be changed."""

ENDINGS: Final[Mapping[Ending, str]] = {
    "complete": "Complete: all planned changes applied",
    "incomplete": "Incomplete: it went through, and something failed or was left out",
    "drained": "Drained",
    "stopped": "Stopped",
    "budget-spent": "Failure budget spent: too much failed, so nothing more was started",
    "credentials": "Credentials lost: nothing more was started where they were for",
    "dry-run": "Dry run: nothing was written",
}

LEFT_AS: Final[Mapping[str, str]] = {
    Reason.LEFT_DEPLOYING: "left deploying",
    Reason.LEFT_STAGED: "left staged",
    **dict.fromkeys(NEVER_STARTED, "not started"),
}
"""The words for what a roll-out that ended early has skipped for these reasons."""

CALLS: Final = (
    "Changes are those that its plan asked for; calls are those of the apply, without reading for the plan."
)

_NAMED: Final = 3

NO_ENDING: Final = "No end recorded: it goes on, or was killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A table.

    Attributes:
        title: Its heading.
        columns: The headings of its columns.
        rows: Its rows.
        numeric: The columns that hold numbers, and are aligned at their end.
        outcomes: For a table whose rows are about an outcome: that of each row.
        note: What is said below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    outcomes: tuple[Outcome, ...] = ()
    note: str = ""


def unmatched(report: Report) -> Section:
    """Return what the manifest names and nothing has."""
    return Section(
        title="Named in the manifest, and not there",
        columns=("Rule and value",),
        rows=tuple((said,) for said in report.unmatched),
    )


def _monthly(one: ApplicationCount) -> str:
    """Return what licences that came or went cost a month; currencies are never added up."""
    amount = one.monthly_difference
    return f"{amount:+,} {one.price.currency}" if amount is not None and one.price is not None else ""


def licences(report: Report) -> Section:
    """Return on how many WorkSpaces each application was and is, where that has changed."""
    moved = [one for one in report.applications if one.licences_before != one.licences_after]
    priced = any(one.price is not None for one in moved)
    return Section(
        title="Licences",
        columns=("Application", "Owner", "Before", "After", "Difference", *(["A month"] if priced else [])),
        rows=tuple(
            (
                one.application or one.application_id or "",
                one.owner or "",
                f"{one.licences_before:,}",
                f"{one.licences_after:,}",
                f"{one.licences_after - one.licences_before:+,}",
                *([_monthly(one)] if priced else []),
            )
            for one in moved
        ),
        numeric=frozenset({2, 3, 4, 5} if priced else {2, 3, 4}),
    )


def title(report: Report) -> str:
    """Return the report's heading."""
    return f"Roll-out {report.name}".strip() if report.name else "Roll-out"


def headline(report: Report) -> str:
    """Return the ending, as one sentence."""
    if not report.runs:
        return "The journal holds no events yet"
    last = report.runs[-1]
    if last.ending is None:
        return NO_ENDING
    if reservation(report):
        return f"Complete, but {reservation(report)}: all other changes applied"
    said = f"{ENDINGS[last.ending]} ({last.message})" if last.message else ENDINGS[last.ending]
    return ": ".join(part for part in (said, left(report)) if part)


def reservation(report: Report) -> str:
    """Return what is blocked, and why, of a roll-out that is complete; empty if nothing is."""
    if report.ending != "complete" or not report.counts["blocked"]:
        return ""
    why = [one.reason for one in report.reasons if one.outcome == "blocked"]
    named = ", ".join([*why[:_NAMED], *(["…"] if why[_NAMED:] else [])])
    return f"{report.counts['blocked']:,} cannot be ({named})"


def left(report: Report) -> str:
    """Return how a roll-out that ended early leaves what it skipped: ``2 left deploying, 33 not started``."""
    found = Counter[str]()
    for one in report.reasons:
        words = LEFT_AS.get(one.reason)
        if one.outcome == "skipped" and words is not None:
            found[words] += one.changes
    return ", ".join(f"{found[words]:,} {words}" for words in dict.fromkeys(LEFT_AS.values()) if found[words])


def facts(report: Report) -> tuple[str, ...]:
    """Return dates, durations and amounts, each in a few words."""
    found = [
        count(len(report.workspaces), "WorkSpace"),
        count(changes_of(report.counts), "change"),
        *(f"{report.counts[one]:,} {WORDS[one].lower()}" for one in STILL if report.counts[one]),
    ]
    if len(report.runs) > 1:
        found.append(count(len(report.runs), "run"))
    found.append(f"{length(report.seconds)} of work")
    if report.calls is not None:
        whole = " in all" if len(report.runs) > 1 else ""
        found.append(f"{count(report.calls, 'call')}{whole}, {report.throttled or 0:,} throttled")
    return tuple(found)


def changes_of(counts: Counts) -> int:
    """Count the changes: what was to be installed, uninstalled or retried, and nothing else."""
    return sum(number for outcome, number in counts.items() if outcome not in STILL)


def outcomes(report: Report) -> Section:
    """Return the table of outcomes: applications, and WorkSpaces."""
    workspaces = Counter(
        one for workspace in report.workspaces for one in {change.outcome for change in workspace.changes}
    )
    shown: list[Outcome] = [one for one in OUTCOMES if report.counts[one]]
    return Section(
        title="Outcomes",
        columns=("Outcome", "Applications", "WorkSpaces", "Meaning"),
        rows=tuple(
            (WORDS[one], f"{report.counts[one]:,}", f"{workspaces[one]:,}", meaning(report, one))
            for one in shown
        ),
        numeric=frozenset({1, 2}),
        outcomes=tuple(shown),
        note="An application counts once for each WorkSpace, and a WorkSpace once for each outcome on it.",
    )


def meaning(report: Report, outcome: Outcome) -> str:
    """Describe an outcome; of what was skipped also how a roll-out that ended early left it."""
    early = left(report) if outcome == "skipped" else ""
    return f"{MEANINGS[outcome]}: {early}" if early else MEANINGS[outcome]


def reasons(report: Report, limit: int) -> Section:
    """Return the table of reasons for what failed, was skipped or is blocked."""
    shown = report.reasons[:limit]
    return Section(
        title="Reasons",
        columns=("Outcome", "Reason", "Applications", "WorkSpaces", "Retried", "Description"),
        rows=tuple(
            (
                WORDS[one.outcome],
                one.reason,
                f"{one.changes:,}",
                f"{one.workspaces:,}",
                f"{one.retried:,}" if one.retried else "",
                one.example,
            )
            for one in shown
        ),
        numeric=frozenset({2, 3, 4}),
        outcomes=tuple(one.outcome for one in shown),
        note=_more(len(report.reasons) - len(shown), "reason"),
    )


def troubled(report: Report, limit: int) -> Section:
    """Return the table of what another run is needed for; then what is unfinished."""
    order = ("failed", "in-progress", "waiting", "skipped", "blocked")
    found = [change for change in report.changes if change.outcome in order]
    found.sort(key=lambda change: order.index(change.outcome))
    return _changes("Not in sync", report, found, limit)


def slowest(report: Report, limit: int) -> Section:
    """Return the WorkSpaces whose deployments took longest."""
    shown = report.slowest(limit)
    several = has_targets(report)
    return Section(
        title="Slowest WorkSpaces",
        columns=("WorkSpace", "User", "Outcome", "Deployment"),
        rows=tuple(
            (place(one, several=several), one.user_name or "", WORDS[timed(one)], took(one)) for one in shown
        ),
        numeric=frozenset({3}),
        outcomes=tuple([timed(one) for one in shown]),
    )


def targets(report: Report, limit: int) -> Section:
    """Return every target of several, those with most failures first."""
    counts: Mapping[str, Counts] = report.by_target if has_targets(report) else dict[str, Counts]()
    order = sorted(counts, key=lambda name: (-counts[name]["failed"], -counts[name]["skipped"]))
    return Section(
        title="Targets",
        columns=("Target", "Changes", "Succeeded", "Failed", "Skipped", "Unfinished"),
        rows=tuple(
            (
                name,
                f"{changes_of(counts[name]):,}",
                *(f"{counts[name][outcome]:,}" for outcome in _OF_TARGETS),
                f"{sum(counts[name][outcome] for outcome in UNFINISHED):,}",
            )
            for name in order[:limit]
        ),
        numeric=frozenset(range(1, 6)),
        note=_more(len(order) - limit, "target"),
    )


def runs(report: Report, limit: int) -> Section:
    """Show every apply, the last ones if there are many."""
    shown = report.runs[-limit:]
    return Section(
        title="Runs",
        columns=("Run", "Id", "Began", "Took", "Changes", "Calls", "Throttled", "End"),
        rows=tuple(
            (
                f"Run {run.number}",
                run.run,
                clock_time(run.began),
                length(run.seconds),
                f"{run.changes:,}",
                f"{run.calls:,}" if run.calls is not None else "",
                f"{run.throttled:,}" if run.throttled is not None else "",
                run.ending or ("killed" if run.interrupted else "none recorded"),
            )
            for run in shown
        ),
        numeric=frozenset({3, 4, 5, 6}),
        note=" ".join(part for part in (_more(len(report.runs) - len(shown), "earlier run"), CALLS) if part),
    )


def waves(report: Report, limit: int) -> Section:
    """Show every wave, the last ones if there are many."""
    shown = report.waves[-limit:]
    numbers = {run.run: run.number for run in report.runs}
    killed = {run.run for run in report.runs if run.interrupted}

    def name(wave: Wave) -> str:
        words = f"{wave.wave} of {wave.waves}"
        return f"Run {numbers[wave.run]}: {words}" if len(numbers) > 1 else words

    def lasted(wave: Wave) -> str:
        open_end = " until killed" if wave.run in killed else " so far"
        return length(wave.seconds) + ("" if wave.ended is not None else open_end)

    return Section(
        title="Waves",
        columns=("Wave", "WorkSpaces", "Took", "Succeeded", "Failed", "Skipped"),
        rows=tuple(
            (
                name(wave),
                f"{wave.workspaces:,}",
                lasted(wave),
                f"{wave.succeeded:,}",
                f"{wave.failed:,}",
                f"{wave.skipped:,}",
            )
            for wave in shown
        ),
        numeric=frozenset(range(1, 6)),
        note=" ".join(
            part
            for part in (
                _more(len(report.waves) - len(shown), "earlier wave"),
                *(f"{name(wave)} was {wave.decision}." for wave in shown if wave.decision),
            )
            if part
        ),
    )


def place(one: Workspace | Change, *, several: bool) -> str:
    """Return the WorkSpace's id, with its target where there are several."""
    return f"{one.target}: {one.workspace_id}" if several else one.workspace_id


def has_targets(report: Report) -> bool:
    """Tell if the report is about several targets."""
    return len({workspace.target for workspace in report.workspaces}) > 1


def named(change: Change) -> str:
    """Return the application's name; its id where it has none."""
    return change.application or change.application_id or "all applications"


def timed(workspace: Workspace) -> Outcome:
    """Return the outcome of the WorkSpace's slowest deployment."""
    for change in workspace.changes:
        if change.seconds is not None and change.seconds == workspace.seconds:
            return change.outcome
    return "in-progress"


def took(workspace: Workspace) -> str:
    """Return the duration of the WorkSpace's slowest deployment."""
    so_far = " so far" if timed(workspace) == "in-progress" else ""
    return length(workspace.seconds) + so_far


def _changes(title: str, report: Report, changes: Sequence[Change], limit: int) -> Section:
    shown = changes[:limit]
    several = has_targets(report)
    return Section(
        title=title,
        columns=("WorkSpace", "Application", "Outcome", "State", "Why"),
        rows=tuple(
            (
                place(change, several=several),
                named(change),
                WORDS[change.outcome],
                change.state or "",
                why(change),
            )
            for change in shown
        ),
        outcomes=tuple(change.outcome for change in shown),
        note=_more(len(changes) - len(shown), "application"),
    )


def why(change: Change) -> str:
    """Return the reason with its words; for what is unfinished, where it leads."""
    if change.outcome in UNFINISHED:
        tries = f", {count(change.attempts, 'deployment')} announced" if change.attempts else ""
        return f"{change.direction or 'direction unknown'}{tries}"
    return ": ".join(part for part in (change.reason, change.message) if part)


def _more(number: int, noun: str) -> str:
    return f"And {count(number, f'more {noun}')}: the JSON and CSV forms have all." if number > 0 else ""
