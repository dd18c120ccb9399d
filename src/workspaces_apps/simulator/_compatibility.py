"""The compatibility of applications and WorkSpaces, with the exception for each refusal.

The conditions are documented; which exception each raises is assumed, except that the names fit.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from workspaces_apps.simulator._catalogue import AMAZON, OFFICE
from workspaces_apps.simulator._records import Application, Workspace
from workspaces_apps.simulator._settings import Condition, Mark, SimulatorSettings
from workspaces_apps.simulator._wire import ApiError, not_supported


@dataclass(frozen=True, slots=True)
class Candidate:
    """An installation that is asked for: what, where, and what else will be there."""

    application: Application
    workspace: Workspace
    others: tuple[Application, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason to refuse an installation.

    Attributes:
        broken: Whether the rule is broken.
        condition: Its name among the settings.
        code: The exception, unless the settings name another.
        mark: How the condition is known; that this exception says it is always assumed.
        source: What is known, in a sentence.
    """

    broken: Callable[[Candidate], bool]
    condition: Condition
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


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        lambda asked: asked.application.state == "UNINSTALL_ONLY",
        "uninstall only",
        "ApplicationNotSupportedException",
        "doc",
        "An UNINSTALL_ONLY application can be removed and not installed.",
    ),
    Rule(
        lambda asked: not asked.workspace.operating_system.startswith("WINDOWS"),
        "operating system",
        "OperatingSystemNotCompatibleException",
        "doc",
        "Applications are managed on Windows only.",
    ),
    Rule(
        lambda asked: asked.workspace.operating_system not in asked.application.operating_systems,
        "operating system",
        "OperatingSystemNotCompatibleException",
        "doc",
        "Each application names the operating systems it supports.",
    ),
    Rule(
        lambda asked: asked.workspace.compute not in asked.application.computes,
        "compute type",
        "ComputeNotCompatibleException",
        "doc",
        "Each application names the compute types it supports.",
    ),
    Rule(
        lambda asked: any(conflicts(asked.application, other) for other in asked.others),
        "edition or version",
        "IncompatibleApplicationsException",
        "doc",
        "One edition and one version across Office, Visio and Project on a WorkSpace.",
    ),
)


def refused(settings: SimulatorSettings, condition: Condition, natural: ApiError) -> ApiError:
    """The error that says so: the natural one, unless the settings name another for the condition."""
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
