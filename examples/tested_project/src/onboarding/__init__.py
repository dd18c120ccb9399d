"""Give every desktop of a department an application."""

import asyncio
from dataclasses import dataclass, field

from workspaces_apps import DeploymentFailedError, ServiceError, WorkSpacesClient


@dataclass
class Report:
    """The results, by WorkSpace id.

    Attributes:
        equipped: Has the application now.
        had_it: Had it before.
        refused: Cannot have it; with the service's error code.
        failed: The installation ended in an error; with its reason.
    """

    equipped: list[str] = field(default_factory=list[str])
    had_it: list[str] = field(default_factory=list[str])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    failed: dict[str, str] = field(default_factory=dict[str, str])


async def desktops_of(ws: WorkSpacesClient, department: str) -> list[str]:
    """The WorkSpaces whose tag Department has that value."""
    ids = [workspace.workspace_id async for workspace in ws.describe_workspaces()]
    tags = await asyncio.gather(*(ws.describe_tags(resource_id=one) for one in ids))
    return [
        one
        for one, found in zip(ids, tags, strict=True)
        if any(tag.key == "Department" and tag.value == department for tag in found.tag_list)
    ]


async def onboard(ws: WorkSpacesClient, department: str, application_id: str) -> Report:
    """Install an application on every desktop of a department; run it again to go on after a crash."""
    report = Report()
    desktops = await desktops_of(ws, department)
    await asyncio.gather(*(_equip(ws, desktop, application_id, report) for desktop in desktops))
    return report


async def _equip(ws: WorkSpacesClient, desktop: str, application_id: str, report: Report) -> None:
    try:
        outcome = await ws.install_applications(desktop, [application_id])
    except DeploymentFailedError as error:
        report.failed[desktop] = str(error)
    except ServiceError as error:
        report.refused[desktop] = error.code or "unknown"
    else:
        (report.had_it if application_id in outcome.already else report.equipped).append(desktop)
