"""Removes the traces of commands that ran in this process."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The handlers and the level of the package's logger, which a command sets for good."""
    logger = logging.getLogger("workspaces_apps")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
