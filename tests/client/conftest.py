"""The scripted server of `tests/http`, and clients that call it."""

from tests.http.conftest import connect, no_stubs_of_moto, server, ws

__all__ = ["connect", "no_stubs_of_moto", "server", "ws"]
