"""The logs of this package and of what it stands on, fit to be read."""

from __future__ import annotations

import logging
from typing import Final

from workspaces_apps._base.log_fields import field_logger
from workspaces_apps._base.text import harmless

WAITING: Final = "workspaces_apps.waiting"
"""The logger of what is waited for."""

BENEATH: Final = ("botocore", "aiobotocore")
"""The loggers of the libraries that call AWS for us."""

_LINE_LIMIT: Final = 4000

_log = field_logger("workspaces_apps.aws")


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
    """Hands warnings of the libraries on as ours, in one line, where nobody else has a handler for them."""

    def emit(self, record: logging.LogRecord) -> None:
        if not _is_heard(record.name):
            _log.log(record.levelno, "%s: %s", record.name, harmless(record.getMessage(), _LINE_LIMIT))


def _is_heard(name: str) -> bool:
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(not isinstance(one, _Relay | logging.NullHandler) for one in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def relay_warnings() -> None:
    """Keep the libraries from printing by themselves, tracebacks and all; may be called again."""
    for name in BENEATH:
        logger = logging.getLogger(name)
        if not any(isinstance(one, _Relay) for one in logger.handlers):
            logger.addHandler(_Relay(logging.WARNING))
