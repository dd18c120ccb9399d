"""The base of the waiters' methods: the observers, and the checks of what a caller gives."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from workspaces_apps.api.operations import Operations
from workspaces_apps.errors import Problem, RequestValidationError

if TYPE_CHECKING:
    from workspaces_apps._model.models import Request
    from workspaces_apps._observe.audience import PollAudience
    from workspaces_apps._observe.schedule import Schedule
    from workspaces_apps._reconcile.context import TargetContext
    from workspaces_apps._telemetry.port import Telemetry
    from workspaces_apps._waiters.hub import Hub

HOUR: Final = timedelta(hours=1)
HALF_HOUR: Final = timedelta(minutes=30)
MINUTE: Final = timedelta(seconds=60)

_TARGETS: Final = ("installed", "removed")


class Waiting(Operations):
    """A client that can wait."""

    @abstractmethod
    def _hub(self) -> Hub:
        """Return the observers that this client and its views share."""

    @abstractmethod
    def _telemetry(self) -> Telemetry | None:
        """Return what spans and metrics go to; None for nothing."""

    @abstractmethod
    def _audience(self) -> PollAudience | None:
        """Return the audience of the polls that serve this view; None for nobody."""

    @abstractmethod
    def _reconcile_context(self, schedule: Schedule, audience: PollAudience | None) -> TargetContext:
        """Return what the reconcilers of this client share, with reads and writes by this view."""

    @abstractmethod
    def _checked(self, request: object) -> Request:
        """Return the request, if it breaks no rule."""

    def _check_workspace(self, workspace_id: str) -> None:
        from workspaces_apps import api

        self._checked(api.DescribeWorkspaceAssociationsRequest(workspace_id=workspace_id))

    def _check_wanted(self, wanted: object, member: str) -> None:
        from workspaces_apps import api
        from workspaces_apps._model.values import is_mapping

        if not is_mapping(wanted):
            raise invalid(member, "must be a mapping from application ids", type(wanted).__name__)
        if not wanted:
            raise invalid(member, "must name at least one application", "none")
        for application_id, target in wanted.items():
            if target not in _TARGETS:
                raise invalid(member, 'must say "installed" or "removed" for each', type(target).__name__)
            if not isinstance(application_id, str):
                raise invalid(member, "must have application ids for keys", type(application_id).__name__)
            self._checked(
                api.DescribeApplicationAssociationsRequest(
                    application_id=application_id, associated_resource_types=("WORKSPACE",)
                )
            )


def invalid(member: str, rule: str, got: str) -> RequestValidationError:
    """The error for an argument that breaks a rule of ours."""
    problem = Problem(member=member, rule=rule, got=got)
    return RequestValidationError(f"{problem}. Nothing was sent.", problems=[problem])


def unique(ids: Iterable[str], member: str) -> list[str]:
    """The ids, each once, in their order.

    Raises:
        RequestValidationError: They are one string, or not several of anything.
    """
    if isinstance(ids, str):
        raise invalid(member, "must be several ids", "one string")
    try:
        return list(dict.fromkeys(ids))
    except TypeError as error:
        raise invalid(member, "must be several ids", type(ids).__name__) from error
