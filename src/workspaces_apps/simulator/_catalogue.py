"""The applications a simulated account can see, AWS's own and a few of the account's, and the WorkSpaces they fit.

Names follow the WorkSpaces administration guide [doc]. Ids are made from owner and name, so they are the same in
every simulator. The conditions under which an application can be installed are documented; which exception each raises
is assumed, except that the names fit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from workspaces_apps.simulator._records import Application, ApplicationState, Workspace
from workspaces_apps.simulator._settings import Mark, RefusalCondition, SimulatorSettings
from workspaces_apps.simulator._wire import ApiError, not_supported

_BASE36: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
AMAZON: Final = "AMAZON"
OFFICE: Final = "office"
"""The suite within which one edition and one version must agree: Office, Visio and Project [doc]."""
VISUAL_STUDIO: Final = "visual-studio"

_NEVER: Final = ("VALUE", "GRAPHICS", "GRAPHICSPRO")
COMPUTES: Final = (
    "STANDARD",
    "PERFORMANCE",
    "POWER",
    "POWERPRO",
    "GENERALPURPOSE_4XLARGE",
    "GENERALPURPOSE_8XLARGE",
    "GRAPHICS_G4DN",
    "GRAPHICSPRO_G4DN",
    "GRAPHICS_G6_XLARGE",
    "GRAPHICS_G6_2XLARGE",
    "GRAPHICS_G6_4XLARGE",
)
_MODERN: Final = ("WINDOWS_SERVER_2022", "WINDOWS_10", "WINDOWS_11")


@dataclass(frozen=True, slots=True)
class _Family:
    """Applications that follow one rule.

    Attributes:
        state: AVAILABLE, or UNINSTALL_ONLY.
        systems: Operating systems it can be installed on, or removed from.
        without: Compute types it does not run on, beyond those nothing runs on.
        disk_gib: Space it takes.
    """

    state: ApplicationState
    systems: tuple[str, ...]
    without: tuple[str, ...]
    disk_gib: int


_RULES: Final = {
    # Uninstall only, Office 2016 on Server 2016 too [doc].
    "2016": _Family("UNINSTALL_ONLY", ("WINDOWS_SERVER_2016", *_MODERN), _NEVER, 4),
    "2019": _Family("UNINSTALL_ONLY", _MODERN, _NEVER, 4),
    # Server 2019 and later, not on VALUE, GRAPHICS, GRAPHICSPRO [doc]; the space is assumed.
    "2021": _Family("AVAILABLE", ("WINDOWS_SERVER_2019", *_MODERN), _NEVER, 5),
    # Since January 2026, up to 25 GB [doc]; where it runs is assumed to be where 2021 does, without Server 2019.
    "2024": _Family("AVAILABLE", (*_MODERN, "WINDOWS_SERVER_2025"), _NEVER, 25),
    # Not on Server 2019, not on STANDARD either, needs 18 GB [doc]; that it is disk is assumed.
    "vs2022": _Family("AVAILABLE", _MODERN, (*_NEVER, "STANDARD"), 18),
}

_AMAZON_APPLICATIONS: Final = (
    # name, rule, suite, edition, version
    ("Microsoft Office Professional Plus 2016", "2016", OFFICE, "Professional", "2016"),
    ("Microsoft Office Standard 2016", "2016", OFFICE, "Standard", "2016"),
    ("Microsoft Office Professional Plus 2019", "2019", OFFICE, "Professional", "2019"),
    ("Microsoft Office Standard 2019", "2019", OFFICE, "Standard", "2019"),
    ("Microsoft Office LTSC Professional Plus 2021", "2021", OFFICE, "Professional", "2021"),
    ("Microsoft Office LTSC Standard 2021", "2021", OFFICE, "Standard", "2021"),
    ("Microsoft Visio LTSC Professional 2021", "2021", OFFICE, "Professional", "2021"),
    ("Microsoft Visio LTSC Standard 2021", "2021", OFFICE, "Standard", "2021"),
    ("Microsoft Project Professional 2021", "2021", OFFICE, "Professional", "2021"),
    ("Microsoft Project Standard 2021", "2021", OFFICE, "Standard", "2021"),
    ("Microsoft Office LTSC Professional Plus 2024", "2024", OFFICE, "Professional", "2024"),
    ("Microsoft Office LTSC Standard 2024", "2024", OFFICE, "Standard", "2024"),
    ("Microsoft Visio LTSC Professional 2024", "2024", OFFICE, "Professional", "2024"),
    ("Microsoft Visio LTSC Standard 2024", "2024", OFFICE, "Standard", "2024"),
    ("Microsoft Project Professional 2024", "2024", OFFICE, "Professional", "2024"),
    ("Microsoft Project Standard 2024", "2024", OFFICE, "Standard", "2024"),
    ("Microsoft Visual Studio Professional 2022", "vs2022", VISUAL_STUDIO, "Professional", "2022"),
    ("Microsoft Visual Studio Enterprise 2022", "vs2022", VISUAL_STUDIO, "Enterprise", "2022"),
)

_ACCOUNT_APPLICATIONS: Final[tuple[tuple[str, ApplicationState, str], ...]] = (
    ("Contoso Timesheet 4", "AVAILABLE", "UNLICENSED"),
    ("Contoso VPN Client 9", "AVAILABLE", "LICENSED"),
    ("Contoso Reporting 2", "PENDING", "UNLICENSED"),
    ("Contoso Legacy Forms", "ERROR", "UNLICENSED"),
)


def application_id(owner: str, name: str) -> str:
    """Return the id of an application, always the same for the same owner and name."""
    number = int.from_bytes(hashlib.sha256(f"{owner}:{name}".encode()).digest()[:8], "big")
    digits: list[str] = []
    while len(digits) < 9:
        number, digit = divmod(number, 36)
        digits.append(_BASE36[digit])
    return "wsa-" + "".join(digits)


def catalogue(account_id: str, created: float) -> list[Application]:
    """Return every application an account can see, AWS's first.

    Args:
        account_id: The account.
        created: When the newest of them was published, epoch seconds.
    """
    found: list[Application] = []
    for name, rule, suite, edition, version in _AMAZON_APPLICATIONS:
        family = _RULES[rule]
        found.append(
            Application(
                id=application_id(AMAZON, name),
                name=name,
                description=f"{name}, offered through AWS.",
                owner=AMAZON,
                license_type="LICENSED",
                state=family.state,
                created=created - (2026 - int(version)) * 31_536_000.0,
                sequence=len(found) + 1,
                computes=[compute for compute in COMPUTES if compute not in family.without],
                operating_systems=list(family.systems),
                suite=suite,
                edition=edition,
                version=version,
                disk_gib=family.disk_gib,
            )
        )
    for name, state, license_type in _ACCOUNT_APPLICATIONS:
        found.append(
            Application(
                id=application_id(account_id, name),
                name=name,
                description=f"{name}, packaged by account {account_id}.",
                owner=account_id,
                license_type=license_type,
                state=state,
                created=created,
                sequence=len(found) + 1,
                computes=["VALUE", *COMPUTES],
                operating_systems=["WINDOWS_SERVER_2019", *_MODERN],
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Candidate:
    """An installation that is asked for: what, where, and what else will be there."""

    application: Application
    workspace: Workspace
    others: tuple[Application, ...]


@dataclass(frozen=True, slots=True)
class InstallationRule:
    """One reason to refuse an installation.

    Attributes:
        broken: Whether the rule is broken.
        condition: Its name among the settings.
        code: The exception, unless the settings name another.
        mark: How the condition is known; that this exception says it is always assumed.
        source: What is known, in a sentence.
    """

    broken: Callable[[Candidate], bool]
    condition: RefusalCondition
    code: str
    mark: Mark
    source: str


def conflicts(one: Application, other: Application) -> bool:
    """Tell if two applications of one suite differ in edition or version [doc]."""
    return (
        one.suite == OFFICE
        and other.suite == OFFICE
        and (one.edition != other.edition or one.version != other.version)
    )


RULES: Final[tuple[InstallationRule, ...]] = (
    InstallationRule(
        lambda asked: asked.application.state == "UNINSTALL_ONLY",
        "uninstall only",
        "ApplicationNotSupportedException",
        "doc",
        "An UNINSTALL_ONLY application can be removed and not installed.",
    ),
    InstallationRule(
        lambda asked: not asked.workspace.operating_system.startswith("WINDOWS"),
        "operating system",
        "OperatingSystemNotCompatibleException",
        "doc",
        "Applications are managed on Windows only.",
    ),
    InstallationRule(
        lambda asked: asked.workspace.operating_system not in asked.application.operating_systems,
        "operating system",
        "OperatingSystemNotCompatibleException",
        "doc",
        "Each application names the operating systems it supports.",
    ),
    InstallationRule(
        lambda asked: asked.workspace.compute not in asked.application.computes,
        "compute type",
        "ComputeNotCompatibleException",
        "doc",
        "Each application names the compute types it supports.",
    ),
    InstallationRule(
        lambda asked: any(conflicts(asked.application, other) for other in asked.others),
        "edition or version",
        "IncompatibleApplicationsException",
        "doc",
        "One edition and one version across Office, Visio and Project on a WorkSpace.",
    ),
)


def refused(settings: SimulatorSettings, condition: RefusalCondition, natural: ApiError) -> ApiError:
    """Return the error that says so: the natural one, unless the settings name another for the condition."""
    code = (settings.exceptions or {}).get(condition)
    return natural if code is None else ApiError(code, natural.message or f"Refused: {condition}.")


def check_installation(
    application: Application,
    workspace: Workspace,
    others: Iterable[Application],
    settings: SimulatorSettings,
) -> None:
    """Refuse what cannot be installed.

    Args:
        application: What is wanted.
        workspace: Where.
        others: What is on it, or will be, after everything staged was deployed.
        settings: Whether an account's own applications can be managed.

    Raises:
        ApiError: The exception of the first rule that is broken.
    """
    if application.owner != AMAZON and not settings.account_applications_installable:
        raise ApiError("ApplicationNotSupportedException")
    if application.state in ("PENDING", "ERROR"):
        raise not_supported(f"The application is {application.state}.", "APPLICATION_NOT_AVAILABLE")
    asked = Candidate(application, workspace, tuple(others))
    for rule in RULES:
        if rule.broken(asked):
            raise refused(settings, rule.condition, ApiError(rule.code))


def installable(
    application: Application, workspace: Workspace, others: Iterable[Application], settings: SimulatorSettings
) -> bool:
    """Tell if `check_installation` would let it pass."""
    try:
        check_installation(application, workspace, others, settings)
    except ApiError:
        return False
    return True
