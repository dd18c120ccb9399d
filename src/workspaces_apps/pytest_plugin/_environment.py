"""The process's AWS settings during a test: none of the machine's, the simulator's instead."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import pytest

_LOOPBACK = "127.0.0.1,localhost,::1"


@runtime_checkable
class _Boto3(Protocol):
    """The one thing that boto3 keeps for the whole process."""

    DEFAULT_SESSION: object


@contextmanager
def isolated_environment(connection: Mapping[str, str]) -> Generator[None]:
    """Hide every AWS setting of the machine, and name the simulator in their place.

    Args:
        connection: What `Simulator.connection_info` gives.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper().startswith("AWS_"):
                patch.delenv(name)
        # Both files exist for botocore, and are empty.
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, os.devnull)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_ENDPOINT_URL_WORKSPACES", connection["url"])
        patch.setenv("AWS_ACCESS_KEY_ID", connection["access_key_id"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", connection["secret_access_key"])
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            patch.setenv(name, connection["region"])
        for name in ("NO_PROXY", "no_proxy"):
            # A proxy of the machine's cannot reach this machine's loopback.
            patch.setenv(name, ",".join(filter(None, (os.environ.get(name), _LOOPBACK))))
        with _fresh_default_session():
            yield


@contextmanager
def _fresh_default_session() -> Generator[None]:
    """Let boto3's default session, which keeps the first credentials it finds, not outlive the test."""
    boto3 = _boto3()
    before = boto3.DEFAULT_SESSION if boto3 is not None else None
    if boto3 is not None:
        boto3.DEFAULT_SESSION = None
    try:
        yield
    finally:
        # The test may have been the first to import it.
        boto3 = _boto3()
        if boto3 is not None:
            boto3.DEFAULT_SESSION = before


def _boto3() -> _Boto3 | None:
    module: object = sys.modules.get("boto3")
    return module if isinstance(module, _Boto3) else None
