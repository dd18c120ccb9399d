"""Frozen records that waiters return."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

from workspaces_apps import api
from workspaces_apps._base.public import Datetime, public
from workspaces_apps.errors import FailedAssociation, WorkSpacesError

Target: TypeAlias = Literal["installed", "removed"]
"""Where an association is meant to end."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationStatus:
    """An association as it was seen last.

    Attributes:
        application_id: The application.
        state: Its state; None if there is no association (any more).
        wanted: Where it is meant to end; None where nothing tells.
        reason: Why it failed, as the service put it.
    """

    application_id: str
    state: api.AssociationState | None
    wanted: Target | None
    reason: api.AssociationStateReason | None = None


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationChange:
    """An association that was seen in another state than before.

    Attributes:
        workspace_id: The WorkSpace.
        application_id: The application.
        before: The state before; None if there was no association.
        after: The state now; None if there is no association any more.
        reason: Why it failed, as the service put it.
        at: When it was seen, by the client's clock; the change itself came earlier.
    """

    workspace_id: str
    application_id: str
    before: api.AssociationState | None
    after: api.AssociationState | None
    reason: api.AssociationStateReason | None
    at: Datetime


OnChange: TypeAlias = Callable[[AssociationChange], Awaitable[object] | object]
"""A function, or a coroutine function, that is called with every change."""


@public("workspaces_apps")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOutcome:
    """The outcome of a deployment on one WorkSpace.

    Attributes:
        workspace_id: The WorkSpace.
        associations: Every association that was followed, as it was seen last.
        changed: One change for each that ended in another state than it was first seen in.
        failed: Those in ERROR.
        elapsed: How long it took.
        polls: How many times it looked.
        done: The applications that the call itself staged or deployed.
        already: The applications that were in sync before the call did anything.
        error: What ended the wait, where several are waited for at once and this one did not end well.
    """

    workspace_id: str
    associations: tuple[AssociationStatus, ...] = ()
    changed: tuple[AssociationChange, ...] = ()
    failed: tuple[FailedAssociation, ...] = ()
    elapsed: timedelta
    polls: int
    done: tuple[str, ...] = ()
    already: tuple[str, ...] = ()
    error: WorkSpacesError | None = None
