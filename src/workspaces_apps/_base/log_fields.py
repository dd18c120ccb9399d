"""Structured fields of log records: the same names as the attributes of spans, on every record of this package.

The names have dots, so that they cannot be those of a record's own attributes, nor of what an application's record
factory adds, which `logging` would refuse with a KeyError in the middle of a call.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, MutableMapping

FieldName: TypeAlias = Literal[
    "operation", "request_id", "attempt", "workspace_id", "application_id", "target", "run", "wave"
]
"""A field, as it is passed to `fields` and `log_scope`."""

FIELDS: Final[Mapping[FieldName, str]] = {
    "operation": "rpc.method",
    "request_id": "aws.request_id",
    "attempt": "workspaces_apps.attempt",
    "workspace_id": "workspaces_apps.workspace_id",
    "application_id": "workspaces_apps.application_id",
    "target": "workspaces_apps.target",
    "run": "workspaces_apps.run",
    "wave": "workspaces_apps.wave",
}
"""By field, its name on log records and spans. Stable: a record has all of them, None where one does not apply."""

_NONE: Final[Mapping[str, str | int | None]] = dict.fromkeys(FIELDS.values())

_scope: Final[ContextVar[Mapping[str, str | int | None]]] = ContextVar(
    "workspaces_apps_log_scope", default=_NONE
)


def rpc_method(operation: object) -> str:
    """Return the full name of an operation, by the conventions for RPC."""
    return f"WorkSpaces/{operation}"


def fields(**known: str | int | None) -> dict[str, str | int | None]:
    """Return the `extra` of a log record: the fields of the scope, and those that are known here.

    Args:
        **known: By `FieldName`; None leaves what the scope says.
    """
    found = dict(_scope.get())
    for name, value in known.items():
        if value is not None:
            found[FIELDS[name]] = rpc_method(value) if name == "operation" else value  # type: ignore[index]  # a FieldName
    return found


class FieldLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry all fields: those of the scope, and what is passed as `extra` by `FieldName`."""

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """Put the fields into `extra`."""
        known: dict[str, str | int | None] = kwargs.get("extra") or {}
        kwargs["extra"] = fields(**known)
        return msg, kwargs


def field_logger(name: str) -> FieldLogger:
    """Return the logger of an area of the package, such as `workspaces_apps.retry`."""
    return FieldLogger(logging.getLogger(name), {})


def scope_attributes() -> dict[str, str | int]:
    """Return the fields of the scope that have a value, as attributes of a span."""
    return {name: value for name, value in _scope.get().items() if value is not None}


@contextmanager
def log_scope(**known: str | int | None) -> Generator[None]:
    """Give all records that are made in a block some fields, such as the WorkSpace that it works on."""
    token = _scope.set(fields(**known))
    try:
        yield
    finally:
        _scope.reset(token)
