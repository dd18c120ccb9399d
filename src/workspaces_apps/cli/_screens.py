"""Plans, statuses and ends of applies, as text for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.text import harmless
from workspaces_apps.cli._console import say
from workspaces_apps.cli._live import about, count, short_duration, short_name
from workspaces_apps.cli._progress import failure_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from workspaces_apps.cli._progress import Board
    from workspaces_apps.rollout import Finished, Plan, PlanDiff, PlannedChange, PlannedWorkspace, Status

ACTIONS: Final = {
    "install": "green",
    "uninstall": "magenta",
    "retry": "yellow",
    "blocked": "red",
    "nothing": "dim",
}
"""The outcomes of a plan, each with its colour; the columns of its table."""

DRIFTS: Final = {
    "in-sync": "green",
    "missing": "yellow",
    "unwanted": "magenta",
    "staged": "cyan",
    "in-progress": "cyan",
    "error": "bold red",
    "undecided": "red",
}
"""The states of an application, each with its colour."""

PARTS: Final = 10
"""Sizes of waves that are told at most."""

SHOWN: Final = 20
"""WorkSpaces that are named where not all are asked for."""

NOTHING_SELECTED: Final = "No WorkSpace is selected, so there is nothing to do."

ENDINGS: Final = {
    "complete": ("All planned changes applied.", "bold green"),
    "incomplete": ("Not all planned changes are applied yet.", "bold yellow"),
    "drained": (
        "Ended early, as asked; what had started has ended. Run the same command to resume.",
        "bold yellow",
    ),
    "stopped": (
        "Stopped, as asked; deployments may go on at the service. Run the same command to resume.",
        "bold red",
    ),
    "budget-spent": ("Too much failed, so no new deployments were started.", "bold red"),
    "credentials": ("Credentials were lost, so no new deployments were started with them.", "bold red"),
    "dry-run": ("Nothing was changed: it was a dry run.", "bold"),
}
"""The sentence and the style of each ending."""


def show_plan(console: Console, plan: Plan, *, details: bool = False) -> None:
    """Show a plan: counts for each application, what is blocked and why, cost; with details each change."""
    say(console, f"{harmless(plan.name)}: {_where(plan)}", "bold")
    _show_targets(console, plan)
    if plan.workspaces:
        console.print()
        console.print(_counted(plan, ACTIONS, lambda change: change.action))
    _show_licences(console, plan)
    _show_reasons(console, plan)
    _show_care(console, plan)
    if details:
        _show_workspaces(console, plan, plan.workspaces, None)
    console.print()
    _show_verdict(console, plan)


def show_status(console: Console, status: Status, limit: int | None = SHOWN) -> None:
    """Show a fleet's status, and at most so many of the WorkSpaces that are out of sync."""
    from workspaces_apps.rollout._status import drift_of

    plan = status.plan
    say(console, f"{harmless(plan.name)}: {_where(plan)}", "bold")
    if plan.workspaces:
        console.print()
        console.print(_counted(plan, DRIFTS, drift_of))
    _show_licences(console, plan)
    drifted = status.drifted
    _show_workspaces(console, plan, drifted, limit, standings=True)
    _show_bundles(console, status)
    for warning in plan.warnings:
        say(console, f"Warning: {harmless(warning)}", "yellow")
    console.print()
    if plan.errors:
        _show_errors(console, plan)
    elif not plan.workspaces:
        say(console, NOTHING_SELECTED, "bold yellow")
    elif drifted:
        of_all = f"{len(drifted):,} of {count(len(plan.workspaces), 'WorkSpace')}"
        say(console, f"{of_all} {'is' if len(drifted) == 1 else 'are'} out of sync.", "bold yellow")
    elif plan.not_found:
        say(console, "In sync, as far as the fleet was found.", "bold yellow")
    else:
        say(console, "Everything is in sync.", "bold green")


def drifts(status: Status) -> dict[str, str]:
    """Describe the drift of each WorkSpace, by its id."""
    from workspaces_apps.rollout._status import drift_of

    plan = status.plan
    return {
        workspace.workspace_id: ", ".join(
            f"{drift_of(change)}: "
            + short_name(
                plan.application_name(workspace.target, change.application_id) or change.application_id
            )
            for change in workspace.changes
            if drift_of(change) != "in-sync"
        )
        for workspace in status.drifted
    }


def show_diff(console: Console, plan: Plan, diff: PlanDiff, older: Plan) -> None:
    """Show what is different in a plan since an older one was made, with the names that either knows."""
    if not diff:
        say(console, "Nothing is different from the older plan.", "bold")
        return
    say(console, "Since the older plan:", "bold")
    users = {
        (one.target, one.workspace_id): f" {harmless(one.user_name)}"
        for one in (*older.workspaces, *plan.workspaces)
        if one.user_name
    }
    for sign, style, found in (("+", "green", diff.added), ("-", "red", diff.removed)):
        known = older if sign == "-" else plan
        for (target, workspace_id, _), change in sorted(found.items()):
            where = f"{harmless(workspace_id)}{users.get((target, workspace_id), '')}"
            say(console, f"  {sign} {where}  {_change(known, target, change)}", style)
    for (target, workspace_id, _), (before, after) in sorted(diff.changed.items()):
        where = f"{harmless(workspace_id)}{users.get((target, workspace_id), '')}"
        was = f"{before.action}{f' ({harmless(before.reason)})' if before.reason else ''}"
        say(console, f"  ~ {where}  {_change(plan, target, after)}, was {was}", "yellow")


def show_end(console: Console, board: Board) -> None:
    """Show the ending of an apply."""
    result = board.result
    if result is None:
        return
    sentence, style = ENDINGS[result.ending]
    if not board.total and result.ending == "complete":
        sentence, style = "There was nothing to do.", "bold green"
    if board.plan.errors and result.ending == "complete":
        sentence, style = "All planned changes applied, but not everything could be read.", "bold yellow"
    say(console, sentence, style)
    _show_errors(console, board.plan)
    if result.message and result.ending in ("budget-spent", "credentials", "incomplete"):
        say(console, harmless(result.message))
    took = short_duration(timedelta(seconds=result.elapsed))
    say(
        console,
        f"{result.succeeded:,} succeeded, {result.failed:,} failed, {result.skipped:,} skipped{_left(result)} in {took};"
        f" {result.calls:,} calls, {result.throttled:,} throttled",
    )
    for outcome in ("failed", "skipped", "blocked"):
        reasons = board.why(outcome)
        if reasons:
            told = ", ".join(f"{reason} {number:,}" for reason, number in reasons.items())
            say(console, f"{outcome}: {told}")
    if board.summary.counts["failed"]:
        say(console, "last failures", "dim")
        for one in board.failures:
            if one.final:
                why = f"{one.reason}: {one.message}" if one.message else one.reason
                console.print(failure_line(console.width, one.workspace_id, one.application, why))


def _left(result: Finished) -> str:
    """Describe how an apply that ended early left what it skipped."""
    parts = (
        ("left deploying", result.left_deploying),
        ("left staged", result.left_staged),
        ("not started", result.not_started),
    )
    told = ", ".join(f"{number:,} {word}" for word, number in parts if number)
    return f" ({told})" if told else ""


def _show_targets(console: Console, plan: Plan) -> None:
    """Say whose fleet it is, before anybody is asked whether it may be changed."""
    from workspaces_apps.rollout._targets import in_words

    for target in plan.targets:
        if target.region is not None:
            name = f"{harmless(target.name)}: " if len(plan.targets) > 1 else ""
            said = in_words(target)
            say(console, f"{name}{harmless(said[0].upper() + said[1:])}", "dim")


def _where(plan: Plan) -> str:
    wanted = count(len(plan.workspaces), "WorkSpace")
    if len(plan.targets) < 2:
        return wanted
    return f"{wanted} in {', '.join(harmless(target.name) for target in plan.targets)}"


def _counted(plan: Plan, kinds: Mapping[str, str], kind_of: Callable[[PlannedChange], str]) -> Table:
    """Return a row for each application, a column for each kind there is."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    found: Counter[tuple[str, str]] = Counter()
    for workspace in plan.workspaces:
        for change in workspace.changes:
            name = plan.application_name(workspace.target, change.application_id) or change.application_id
            found[short_name(name), kind_of(change)] += 1
    shown = [kind for kind in kinds if any(key[1] == kind for key in found)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    # On a narrow terminal the names give way, not the words that say what the numbers are.
    table.add_column("Application", overflow="fold")
    for kind in shown:
        table.add_column(kind, justify="right", no_wrap=True)
    for name in sorted({name for name, _ in found}):
        cells = [
            Text(f"{found[name, kind]:,}", kinds[kind] if found[name, kind] else "dim") for kind in shown
        ]
        table.add_row(name, *cells)
    return table


def _show_bundles(console: Console, status: Status) -> None:
    """Say which bundles bring other applications than rules want, where that was asked."""
    if status.bundles is None:
        return
    console.print()
    if not status.bundles:
        say(console, "Bundles bring what the rules want.", "bold")
        return
    say(console, "Bundles that bring other applications than the rules want", "bold yellow")
    for one in status.bundles:
        name = f"{harmless(one.name)} ({one.bundle_id})" if one.name is not None else one.bundle_id
        image = f", image {harmless(one.image_id)}" if one.image_id is not None else ""
        say(console, f"  {name}{image}: {count(one.workspaces, 'WorkSpace')} made from it")
        for word, applications in (("missing", one.missing), ("unwanted", one.unwanted)):
            for application_id, application in applications.items():
                say(console, f"    {word}: {short_name(application or application_id)}")


def _show_licences(console: Console, plan: Plan) -> None:
    """Say where licences come or go, for each application and owner, and what that costs where prices are known."""
    from workspaces_apps.rollout._licences import monthly_differences

    moved = [one for one in plan.licences if one.difference or (one.price is not None and one.before)]
    if not moved:
        return
    console.print()
    say(console, "Licences, before and after", "bold")
    for one in moved:
        name = short_name(one.application or one.application_id)
        owner = f" ({harmless(one.owner)})" if one.owner is not None else ""
        amount = one.monthly_difference
        cost = (
            f"; {amount:+,} {one.price.currency} a month"
            if amount is not None and one.price is not None
            else ""
        )
        say(console, f"  {name}{owner}: {one.before:,}, {one.after:,} ({one.difference:+,}){cost}")
    for currency, amount in monthly_differences(moved).items():
        say(console, f"  all with a price: {amount:+,} {currency} a month")


def _show_reasons(console: Console, plan: Plan) -> None:
    reasons: Counter[str] = Counter()
    examples: dict[str, tuple[str, str]] = {}
    for workspace, change in _changes(plan.workspaces):
        if change.action == "blocked":
            reason = harmless(change.reason)
            reasons[reason] += 1
            examples.setdefault(reason, (workspace.workspace_id, harmless(change.message or "")))
    if reasons:
        console.print()
        say(console, "Blocked", "bold red")
    for reason, number in reasons.most_common():
        workspace_id, message = examples[reason]
        say(console, f"  {number:>6,}  {reason}: such as {harmless(workspace_id)}: {message}")


def _show_care(console: Console, plan: Plan) -> None:
    foreign = [workspace for workspace in plan.workspaces if workspace.foreign]
    connected = sum(bool(workspace.connected) for workspace in plan.pending)
    notes: list[str] = []
    if foreign:
        named = ", ".join(harmless(one.workspace_id) for one in foreign[:3]) + (", …" if foreign[3:] else "")
        rule = "they will be deployed too" if plan.policy.allow_foreign_staged else "so they are left alone"
        notes.append(
            f"Somebody else has staged changes on {count(len(foreign), 'WorkSpace')} ({named}); {rule}."
        )
    if connected:
        notes.append(
            f"{count(connected, 'user')} connected now; {_WHEN_CONNECTED[plan.policy.when_connected]}."
        )
    notes += [f"Warning: {harmless(warning)}" for warning in plan.warnings]
    if notes:
        console.print()
    for note in notes:
        say(console, note, "yellow")


_APPROVAL: Final = {"canary": "after the first wave", "every-wave": "after every wave but the last"}

_WHEN_CONNECTED: Final = {
    "proceed": "a deployment ends the session",
    "skip": "they are skipped while they are",
    "wait": "they are waited for",
}


def _show_verdict(console: Console, plan: Plan) -> None:
    calls = sum(target.calls for target in plan.targets)
    throttled = sum(target.throttled for target in plan.targets)
    told = f", {throttled:,} of them throttled" if throttled else ""
    pending = plan.pending
    if pending:
        changes = sum(len(workspace.pending) for workspace in pending)
        say(console, f"{count(changes, 'change')} on {count(len(pending), 'WorkSpace')} to make.", "bold")
        say(console, f"{waves(plan)} Each deployment ends its user's session.")
        closed = timedelta(seconds=plan.estimate.closed_seconds)
        took = about(timedelta(seconds=plan.estimate.seconds) + closed)
        waits = f" if started now, {about(closed)} of it waiting for the policy's hours" if closed else ""
        say(
            console,
            f"An apply makes about {plan.estimate.calls:,} calls and takes about {took}{waits}, at"
            f" {plan.estimate.rate_in_words}.",
        )
    elif not plan.workspaces and not plan.errors:
        say(console, NOTHING_SELECTED, "bold yellow")
    elif plan.not_found:
        say(console, "There is nothing to do on what there is.", "bold yellow")
    elif not plan.errors:
        say(console, "There is nothing to do.", "bold green")
    say(console, f"Read with {count(calls, 'call')}{told}, {plan.created:%Y-%m-%d %H:%M:%S} UTC.", "dim")
    _show_errors(console, plan)


def waves(plan: Plan) -> str:
    """Describe the waves of an apply, and after how many failures it aborts."""
    from workspaces_apps.rollout._manifest.policy import wave_sizes

    policy, total = plan.policy, len(plan.pending)
    sizes = wave_sizes(total, policy.canary, policy.growth, policy.largest_wave)
    alike = [(size, len(list(run))) for size, run in groupby(sizes)]
    told = [f"{size:,}" if times == 1 else f"{times} times {size:,}" for size, times in alike]
    if len(told) > PARTS:
        told[PARTS - 1 : -1] = ["…"]
    pause = f", {about(timedelta(seconds=policy.pause))} apart" if policy.pause else ""
    cut = f"In {len(sizes)} waves of {', '.join(told)} WorkSpaces{pause}" if len(sizes) > 1 else "In one wave"
    budget = policy.failure_budget.of(total)
    approved = f" It waits for approval {_APPROVAL[policy.approval]}." if policy.approval in _APPROVAL else ""
    return (
        f"{cut}, at most {policy.max_in_flight:,} at the same time; aborts after"
        f" {count(budget + 1, 'failure')}.{approved}"
    )


def _show_errors(console: Console, plan: Plan) -> None:
    for error in plan.errors:
        say(console, f"Could not be read: {harmless(error)}", "bold red")


def _show_workspaces(
    console: Console,
    plan: Plan,
    workspaces: Sequence[PlannedWorkspace],
    limit: int | None,
    *,
    standings: bool = False,
) -> None:
    from workspaces_apps.rollout._status import drift_of

    if workspaces:
        console.print()
    for workspace in workspaces[:limit]:
        user = f"  {harmless(workspace.user_name)}" if workspace.user_name else ""
        on = "  connected" if workspace.connected else ""
        target = f"{harmless(workspace.target)}/" if len(plan.targets) > 1 else ""
        say(console, f"{target}{harmless(workspace.workspace_id)}{user}{on}", "bold")
        for change in workspace.changes:
            standing = drift_of(change)
            if standings and standing == "in-sync":
                continue
            style = DRIFTS[standing] if standings else ACTIONS[change.action]
            said = f"{standing}: " if standings else ""
            say(console, f"  {said}{_change(plan, workspace.target, change)}", style)
        for foreign in workspace.foreign:
            say(
                console,
                f"  staged by somebody else: {harmless(foreign.application_id)} {harmless(foreign.state)}",
                "yellow",
            )
    if limit is not None and len(workspaces) > limit:
        say(console, f"and {len(workspaces) - limit:,} more; status --all names them", "dim")


def _change(plan: Plan, target: str, change: PlannedChange) -> str:
    names = (plan.application_name(one.name, change.application_id) for one in plan.targets)
    name = plan.application_name(target, change.application_id) or next(filter(None, names), None)
    action = {"retry": f"retry {change.direction}", "nothing": "nothing to do"}.get(
        change.action, change.action
    )
    said = f"{action}  {short_name(name or change.application_id)}"
    if change.action == "blocked":
        said += f"  ({harmless(change.reason)}: {harmless(change.message or '')})"
    return said


def _changes(workspaces: Sequence[PlannedWorkspace]) -> Iterator[tuple[PlannedWorkspace, PlannedChange]]:
    for workspace in workspaces:
        for change in workspace.changes:
            yield workspace, change
