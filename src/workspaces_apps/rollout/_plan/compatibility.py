"""The compatibility of applications and WorkSpaces, as a table, so that a plan can refuse before the service does.

The catalogue's own lists of operating systems and compute types come first; the rows below them are what AWS's
documentation says beyond that. What no row forbids is tried, and the service has the last word.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps.api.applications import WorkSpaceApplication, WorkSpaceApplicationState
from workspaces_apps.api.shared import Compute, OperatingSystemName
from workspaces_apps.rollout._manifest.selectors import WorkspaceFacts

Mark: TypeAlias = Literal["doc", "assumed"]
_FAMILY: Final = re.compile(r"\b(office|visio|project|visual studio)\b")
_EDITION: Final = re.compile(r"\b(professional|standard|enterprise)\b")
_VERSION: Final = re.compile(r"\b(20\d\d)\b")
_OFFICE_FAMILIES: Final = frozenset({"office", "visio", "project"})
_MODERN: Final = frozenset(
    {
        OperatingSystemName.WINDOWS_SERVER_2022,
        OperatingSystemName.WINDOWS_10,
        OperatingSystemName.WINDOWS_11,
    }
)
_SMALL: Final = frozenset({Compute.VALUE, Compute.GRAPHICS, Compute.GRAPHICSPRO})

WINDOWS_GIB: Final = 30
"""The least that Windows takes of the root volume [assumed]; low, so that only the hopeless is blocked."""

_GIB: Final = {("visual studio", "2022"): 18, ("office suite", "2024"): 25}
"""Space that a family and version takes [doc]; of others nothing is known."""


@dataclass(frozen=True, slots=True)
class Traits:
    """The traits that an application's name tells, where AWS offers it.

    Attributes:
        family: ``office suite`` (Office, Visio, Project), ``visual studio``, or None.
        edition: ``professional``, ``standard``, ``enterprise``, or None.
        version: The year, or None.
    """

    family: str | None
    edition: str | None
    version: str | None

    @property
    def gib(self) -> int:
        """Space it is known to take; 0 where nothing is known."""
        return _GIB.get((self.family or "", self.version or ""), 0)


def traits_of(application: WorkSpaceApplication) -> Traits:
    """Return what the name tells; nothing for applications that are not AWS's."""
    name = (application.name or "").lower() if application.owner == "AMAZON" else ""
    family = _FAMILY.search(name)
    if family is None:
        return Traits(None, None, None)
    edition, version = _EDITION.search(name), _VERSION.search(name)
    return Traits(
        "office suite" if family[1] in _OFFICE_FAMILIES else family[1],
        edition[1] if edition is not None else None,
        version[1] if version is not None else None,
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """An installation that is wanted: what, where, and what else will be there."""

    application: WorkSpaceApplication
    workspace: WorkspaceFacts
    others: Sequence[WorkSpaceApplication]

    @property
    def traits(self) -> Traits:
        """The traits of the application."""
        return traits_of(self.application)


@dataclass(frozen=True, slots=True)
class CompatibilityRow:
    """One thing that rules an installation out.

    Attributes:
        broken: Whether it does.
        reason: Why, for programs.
        mark: How it is known: ``doc`` by AWS's documentation, or ``assumed``.
        source: What is known, in a sentence for people.
        others: What else on the WorkSpace it is because of.
    """

    broken: Callable[[Candidate], bool]
    reason: Reason
    mark: Mark
    source: str
    others: Callable[[Candidate], Sequence[WorkSpaceApplication]] = lambda _: ()


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A reason that rules an installation out.

    Attributes:
        reason: Why, for programs.
        message: Why, for people; what else on the WorkSpace it is because of is named.
        others: The ids of what else on the WorkSpace it is because of.
    """

    reason: Reason
    message: str
    others: tuple[str, ...] = ()


def _conflicting(wanted: Candidate) -> list[WorkSpaceApplication]:
    own = wanted.traits
    if own.family != "office suite":
        return []
    return [
        one
        for one in wanted.others
        if (other := traits_of(one)).family == "office suite"
        and (_differ(own.edition, other.edition) or _differ(own.version, other.version))
    ]


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _too_large(wanted: Candidate) -> bool:
    root = wanted.workspace.root_volume_gib
    own = wanted.traits.gib
    taken = sum(traits_of(other).gib for other in wanted.others)
    return root is not None and own > 0 and WINDOWS_GIB + taken + own > root


TABLE: Final[tuple[CompatibilityRow, ...]] = (
    CompatibilityRow(
        lambda wanted: wanted.application.state == WorkSpaceApplicationState.UNINSTALL_ONLY,
        Reason.UNINSTALL_ONLY,
        "doc",
        "the application can be removed and no longer be installed",
    ),
    CompatibilityRow(
        lambda wanted: (
            wanted.application.state in (WorkSpaceApplicationState.PENDING, WorkSpaceApplicationState.ERROR)
        ),
        Reason.APPLICATION_STATE,
        "doc",
        "the catalogue says that the application is not available",
    ),
    CompatibilityRow(
        lambda wanted: wanted.application.owner not in (None, "AMAZON"),
        Reason.NOT_OFFERED,
        "doc",
        "only applications that AWS offers can be managed",
    ),
    CompatibilityRow(
        lambda wanted: wanted.workspace.operating_system in (None, OperatingSystemName.UNKNOWN),
        Reason.UNKNOWN,
        "assumed",
        "the service does not tell the WorkSpace's operating system",
    ),
    CompatibilityRow(
        lambda wanted: not (wanted.workspace.operating_system or "").startswith("WINDOWS"),
        Reason.OPERATING_SYSTEM,
        "doc",
        "applications are managed on Windows only",
    ),
    CompatibilityRow(
        lambda wanted: (
            bool(wanted.application.supported_operating_system_names)
            and wanted.workspace.operating_system not in wanted.application.supported_operating_system_names
        ),
        Reason.OPERATING_SYSTEM,
        "doc",
        "the application does not support the operating system",
    ),
    CompatibilityRow(
        lambda wanted: (
            wanted.workspace.operating_system == OperatingSystemName.WINDOWS_SERVER_2016
            and wanted.traits.family is not None
        ),
        Reason.OPERATING_SYSTEM,
        "doc",
        "on Windows Server 2016 Office 2016 can be removed, and nothing installed",
    ),
    CompatibilityRow(
        lambda wanted: (
            wanted.workspace.operating_system == OperatingSystemName.WINDOWS_SERVER_2019
            and wanted.traits.family == "visual studio"
        ),
        Reason.OPERATING_SYSTEM,
        "doc",
        "Visual Studio 2022 cannot be installed on Windows Server 2019",
    ),
    CompatibilityRow(
        lambda wanted: (
            wanted.workspace.operating_system in _MODERN
            and wanted.traits.family == "office suite"
            and wanted.traits.version in ("2016", "2019")
        ),
        Reason.UNINSTALL_ONLY,
        "doc",
        "the 2016 and 2019 versions can only be removed from this operating system",
    ),
    CompatibilityRow(
        lambda wanted: (
            wanted.workspace.compute_type is None and bool(wanted.application.supported_compute_type_names)
        ),
        Reason.UNKNOWN,
        "assumed",
        "the service does not tell the WorkSpace's compute type",
    ),
    CompatibilityRow(
        lambda wanted: (
            bool(wanted.application.supported_compute_type_names)
            and wanted.workspace.compute_type not in wanted.application.supported_compute_type_names
        ),
        Reason.COMPUTE_TYPE,
        "doc",
        "the application does not support the compute type",
    ),
    CompatibilityRow(
        lambda wanted: wanted.traits.version == "2021" and wanted.workspace.compute_type in _SMALL,
        Reason.COMPUTE_TYPE,
        "doc",
        "the 2021 versions are not for VALUE, GRAPHICS and GRAPHICSPRO",
    ),
    CompatibilityRow(
        lambda wanted: (
            wanted.traits.family == "visual studio"
            and wanted.workspace.compute_type in (_SMALL | {Compute.STANDARD})
        ),
        Reason.COMPUTE_TYPE,
        "doc",
        "Visual Studio 2022 is not for STANDARD, VALUE, GRAPHICS and GRAPHICSPRO",
    ),
    CompatibilityRow(
        lambda wanted: bool(_conflicting(wanted)),
        Reason.CONFLICT,
        "doc",
        "Office, Visio and Project on a WorkSpace must be of one edition and one version",
        _conflicting,
    ),
    CompatibilityRow(
        _too_large,
        Reason.DISK,
        "doc",
        "the root volume is too small for it",
    ),
)
"""The reasons to say no, the first that fits first."""


def obstacle(
    application: WorkSpaceApplication, workspace: WorkspaceFacts, others: Sequence[WorkSpaceApplication]
) -> Obstacle | None:
    """Return what rules an installation out, if anything is known to.

    Args:
        application: What is wanted.
        workspace: Where.
        others: What else will be there once everything that is wanted and staged is done.
    """
    wanted = Candidate(application, workspace, others)
    row = next((row for row in TABLE if row.broken(wanted)), None)
    if row is None:
        return None
    beside = row.others(wanted)
    names = sorted(other.name or other.application_id for other in beside)
    named = f"; it would be beside {', '.join(names)}" if names else ""
    return Obstacle(row.reason, f"{row.source}{named}", tuple(other.application_id for other in beside))
