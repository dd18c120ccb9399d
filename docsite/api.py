"""The reference of the Python API: one page for each part, made of every public name by mkdocstrings.

Names are grouped by the table `PAGES`; a public name that no page names is put on the page of its module, so that none is
ever missing.
"""

import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from workspaces_apps import WorkSpacesClient, errors
from workspaces_apps import api as service
from workspaces_apps.api import operations

PACKAGE: Final = "workspaces_apps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the reference.

    Attributes:
        title: Its heading.
        about: The sentences below the heading.
        module: The public module that its names are imported from.
        names: The names that it begins with, in reading order.
        rest: Where the module's names go that no page names.
    """

    title: str
    about: str
    module: str = PACKAGE
    names: tuple[str, ...] = ()
    rest: bool = False


PAGES: Final[dict[str, Page]] = {
    "client": Page(
        title="Client",
        about="The client's own methods and its waiters. Each of the API's operations is a method too: they are with"
        " their shapes under *Operations and shapes*.",
        names=("WorkSpacesClient", "Paginated", "ItemIterator", "PageIterator"),
    ),
    "configuration": Page(
        title="Configuration",
        about="Settings of a client: credentials, retries, pacing, polls, hooks and the clock.",
        names=(
            "ClientConfig",
            "Credentials",
            "CredentialsProvider",
            "AssumeRole",
            "RetryPolicy",
            "RetryBudgetPolicy",
            "FailureKind",
            "Pacing",
            "PacingRegistry",
            "PollPolicy",
            "Hooks",
            "AttemptRecord",
            "RetryRecord",
            "ThrottleRecord",
            "Clock",
            "SystemClock",
            "Duration",
        ),
        rest=True,
    ),
    "results": Page(
        title="Results",
        about="Base classes of requests and results, and the records of waits.",
        names=(
            "Model",
            "Request",
            "Result",
            "ResponseMeta",
            "OpenEnum",
            "DeploymentOutcome",
            "AssociationChange",
            "AssociationStatus",
        ),
    ),
    "rollout": Page(
        title="Roll-outs",
        about="Names of `workspaces_apps.rollout`, its events aside.",
        module="workspaces_apps.rollout",
        names=(
            "Rollout",
            "Manifest",
            "Rule",
            "Selector",
            "Policy",
            "Hours",
            "Plan",
            "Apply",
            "ApplyOptions",
            "Status",
        ),
        rest=True,
    ),
    "report": Page(
        title="Reports",
        about="Names of `workspaces_apps.rollout.report`.",
        module="workspaces_apps.rollout.report",
        names=("Report",),
        rest=True,
    ),
    "distributed": Page(
        title="Several machines",
        about="Names of `workspaces_apps.distributed`.",
        module="workspaces_apps.distributed",
        rest=True,
    ),
    "simulator": Page(
        title="Simulator",
        about="Names of `workspaces_apps.simulator`. The control endpoint is described by"
        " [an OpenAPI document](../simulator-control.json).",
        module="workspaces_apps.simulator",
        names=("Simulator", "Fleet", "Faults", "Recorder"),
        rest=True,
    ),
    "types": Page(
        title="Types",
        about="Names that annotations need, from `workspaces_apps.types`.",
        module="workspaces_apps.types",
        rest=True,
    ),
}

FIXTURES: Final = ("workspaces_simulator", "workspaces_client", "workspaces_clock")
FOREIGN: Final = {"RenderableType"}
"""Names of `workspaces_apps.types` that belong to other packages."""


def public_names(module: str) -> list[str]:
    """Return what a public module exports, without generated shapes, errors and its version."""
    found: list[str] = list(importlib.import_module(module).__all__)
    shapes = set(service.__all__) if module == PACKAGE else set[str]()
    return [
        name
        for name in found
        if name not in shapes | FOREIGN and not name.startswith("_") and not is_error(module, name)
    ]


def is_error(module: str, name: str) -> bool:
    """Tell whether a name of a module is an error of `workspaces_apps.errors`, which has a page of its own."""
    return module == PACKAGE and hasattr(errors, name)


def event_names() -> list[str]:
    """Return the events of a roll-out, in the order in which a run writes them."""
    from typing import get_args

    from workspaces_apps.rollout import Event

    return [kind.__name__ for kind in get_args(Event)]


def names_of(page: Page) -> list[str]:
    """Return the names of a page: those of the table, then the rest of the module where it belongs here."""
    elsewhere = {
        name
        for other in PAGES.values()
        if other is not page and other.module == page.module
        for name in other.names
    }
    if page.module == "workspaces_apps.rollout":
        elsewhere.update((*event_names(), "Report"))
    if page.module == "workspaces_apps.types":
        elsewhere.update(public_names(PACKAGE))
    exported = public_names(page.module)
    rest = (name for name in exported if name not in elsewhere | set(page.names)) if page.rest else ()
    return [*(name for name in page.names if name in exported), *rest]


def documented() -> Iterator[tuple[str, str]]:
    """Give each public name that is written by hand, with the module that it is documented as a member of."""
    for page in PAGES.values():
        for name in names_of(page):
            yield name, page.module
    for name in event_names():
        yield name, "workspaces_apps.rollout"
    for name, value in vars(errors).items():
        if isinstance(value, type) and value.__module__ == "workspaces_apps.errors":
            yield name, "workspaces_apps.errors"


def identifiers() -> dict[str, str]:
    """Return the dotted name by the short one, for names that mean one thing in the whole package."""
    found = list(documented())
    counted = Counter(name for name, _ in found)
    counted.update(service.__all__)
    unique = {name: f"{module}.{name}" for name, module in found if counted[name] == 1}
    shapes = {name: f"{PACKAGE}.api.{name}" for name in service.__all__ if counted[name] == 1}
    client = {name: f"{PACKAGE}.WorkSpacesClient.{name}" for name in own_methods()}
    return shapes | client | unique


def own_methods() -> list[str]:
    """Return the client's public members that are no operation, its own first, then those of the waiters."""
    generated = {name for cls in operations.Operations.__mro__ for name in vars(cls)}
    found = [
        name
        for cls in WorkSpacesClient.__mro__
        if not issubclass(operations.Operations, cls)
        for name in vars(cls)
        if not name.startswith("_") and name not in generated
    ]
    return list(dict.fromkeys(found))


def directive(identifier: str, **options: object) -> str:
    """Return the block by which mkdocstrings writes the reference of a name."""
    lines = [f"::: {identifier}"]
    if options:
        lines.append("    options:")
        lines += [f"      {key}: {str(value).lower()}" for key, value in options.items() if value is not None]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """Return the pages of the Python API by their path."""
    found: dict[str, str] = {}
    for key, page in PAGES.items():
        blocks = [f"# {page.title}\n\n{page.about}\n"]
        for name in names_of(page):
            identifier = f"{page.module}.{name}"
            if name == "WorkSpacesClient":
                members = ", ".join(own_methods())
                blocks.append(directive(identifier, inherited_members=True) + f"      members: [{members}]\n")
            else:
                blocks.append(directive(identifier))
        found[f"reference/{key}.md"] = "\n".join(blocks)
    found["reference/pytest-plugin.md"] = "\n".join(
        (
            (
                "# pytest plugin\n\nFixtures that pytest finds by itself where this package is installed."
                " [Testing your code](../testing.md) has recipes.\n"
            ),
            *(directive(f"workspaces_apps.pytest_plugin.{name}") for name in FIXTURES),
        )
    )
    return found
