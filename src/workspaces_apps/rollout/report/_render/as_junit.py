"""The report as JUnit XML, one test case for each change, for a CI server that should turn red.

What failed is a failure; what has no last word is an error; what was skipped or is blocked is skipped.
"""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from workspaces_apps.rollout._log.projections import UNFINISHED
from workspaces_apps.rollout.report._model import Change, Workspace
from workspaces_apps.rollout.report._render.text import one_line
from workspaces_apps.rollout.report._report import Report

_WITHOUT_WORD = "no last word: it goes on, or the roll-out was killed"


def suites(report: Report) -> str:
    """The report as JUnit XML; one suite for each target."""
    root = Element("testsuites", name=one_line(report.name) or "roll-out")
    _count(root, report.changes, report)
    for target in dict.fromkeys(workspace.target for workspace in report.workspaces):
        mine = [workspace for workspace in report.workspaces if workspace.target == target]
        suite = SubElement(root, "testsuite", name=one_line(target))
        _count(suite, [change for workspace in mine for change in workspace.changes], report)
        for workspace in mine:
            for change in workspace.changes:
                _case(suite, workspace, change, dry=_is_dry(report))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _is_dry(report: Report) -> bool:
    return bool(report.runs) and report.runs[-1].dry_run


def _count(element: Element, changes: "tuple[Change, ...] | list[Change]", report: Report) -> None:
    failed = sum(change.outcome == "failed" for change in changes)
    open_ = sum(change.outcome in UNFINISHED for change in changes)
    left = sum(change.outcome in ("skipped", "blocked") for change in changes)
    errors, skipped = (0, left + open_) if _is_dry(report) else (open_, left)
    element.set("tests", str(len(changes)))
    element.set("failures", str(failed))
    element.set("errors", str(errors))
    element.set("skipped", str(skipped))
    element.set("time", f"{sum(change.seconds or 0.0 for change in changes):.3f}")
    if report.began is not None:
        element.set("timestamp", report.began.replace(tzinfo=None).isoformat(timespec="seconds"))


def _case(suite: Element, workspace: Workspace, change: Change, *, dry: bool) -> None:
    name = one_line(change.application_id or "")
    if change.application:
        name = f"{one_line(change.application)} ({name})"
    case = SubElement(
        suite,
        "testcase",
        classname=f"{one_line(workspace.target)}.{one_line(workspace.workspace_id)}",
        name=name or "all applications",
        time=f"{change.seconds or 0.0:.3f}",
    )
    reason, message = one_line(change.reason or ""), one_line(change.message or "")
    words = ": ".join(part for part in (reason, message) if part)
    if change.outcome == "failed":
        failure = SubElement(case, "failure", type=reason, message=words)
        failure.text = "\n".join(_details(change))
    elif change.outcome in UNFINISHED and not dry:
        SubElement(case, "error", type=change.outcome, message=_WITHOUT_WORD)
    elif change.outcome in UNFINISHED:
        SubElement(case, "skipped", message="dry run")
    elif change.outcome in ("skipped", "blocked"):
        SubElement(case, "skipped", message=f"{change.outcome}: {words}")


def _details(change: Change) -> list[str]:
    facts = {
        "message": change.message,
        "direction": change.direction,
        "state": change.state,
        "request id": change.request_id,
        "deployments": str(change.attempts),
    }
    return [f"{name}: {one_line(value)}" for name, value in facts.items() if value]
