"""Loggers of the package: structured fields of their records, lines fit to be read, and messages about long waits.

The fields have the same names as the attributes of spans, on every record of this package. The names have dots, so that
they cannot be those of a record's own attributes, nor of what an application's record factory adds, which `logging` would
refuse with a KeyError in the middle of a call.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from workspaces_apps._base.text import harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, MutableMapping


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
"""The fields of records. No argument: a record may be made anywhere below the block."""


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


WAITING: Final = "workspaces_apps.waiting"
"""The logger of what is waited for."""

BENEATH: Final[Mapping[str, str]] = {
    "botocore": "workspaces_apps.aws",
    "aiobotocore": "workspaces_apps.aws",
    "procrastinate": "workspaces_apps.distributed",
    "psycopg": "workspaces_apps.distributed",
}
"""The loggers of the libraries that work for us, and the logger that has their warnings in its own words."""

_LINE_LIMIT: Final = 4000


class HarmlessFormatter(logging.Formatter):
    """A formatter whose lines hold no secrets and nothing that steers a terminal; a traceback keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        return "\n".join(harmless_line(line) for line in super().format(record).split("\n"))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name of the base
        """Write the message of a record, in one line."""
        record.message = harmless(record.message, _LINE_LIMIT)
        return super().formatMessage(record)


def harmless_line(line: str) -> str:
    """Return a line without secrets and control characters, with its indentation."""
    text = line.lstrip(" ")
    return " " * (len(line) - len(text)) + harmless(text, _LINE_LIMIT)


class _Relay(logging.Handler):
    """Hands warnings of the libraries on as ours, in one line, where nobody else has a handler for them.

    Args:
        name: The logger that they are handed to.
    """

    def __init__(self, name: str) -> None:
        super().__init__(logging.WARNING)
        self._log = field_logger(name)

    def emit(self, record: logging.LogRecord) -> None:
        if not _is_heard(record.name):
            self._log.log(record.levelno, "%s: %s", record.name, harmless(record.getMessage(), _LINE_LIMIT))


def _is_heard(name: str) -> bool:
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(not isinstance(one, _Relay | logging.NullHandler) for one in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def relay_warnings() -> None:
    """Keep the libraries from printing by themselves, tracebacks and all; may be called again."""
    for name, ours in BENEATH.items():
        logger = logging.getLogger(name)
        if not any(isinstance(one, _Relay) for one in logger.handlers):
            logger.addHandler(_Relay(ours))


LONG: Final = 2.0
"""Seconds of real time after which it is said."""

_waiting_log = field_logger(WAITING)


@contextmanager
def told_when_long(what: Callable[[], str]) -> Generator[None]:
    """Log, at INFO, what the block waits for if it takes longer than two seconds.

    Args:
        what: Says what it is by then; empty for nothing.
    """
    # Whoever waits has imported it; others only log.
    import asyncio

    def tell() -> None:
        waited_for = what()
        if waited_for:
            _waiting_log.info("still waiting for %s", waited_for)

    handle = asyncio.get_running_loop().call_later(LONG, tell)
    try:
        yield
    finally:
        handle.cancel()
