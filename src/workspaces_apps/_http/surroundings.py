"""Checks of the network settings in the environment and the profile, before anything is sent.

aiobotocore finds most of it out with the first request, and tells it as a fault of the network, which is repeated, and
after which nobody knows what became of the request.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workspaces_apps._http.config import is_http_url
from workspaces_apps.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiobotocore.session import AioSession

    from workspaces_apps._http.config import ClientConfig

_ENDPOINT: Final = ("AWS_ENDPOINT_URL_WORKSPACES", "AWS_ENDPOINT_URL")


async def check_ca_bundle(session: AioSession, config: ClientConfig) -> None:
    """Refuse certificate authorities that cannot be loaded.

    Raises:
        ConfigurationError: They cannot; it names where they were set, and the path.
    """
    untyped: Any = session
    if config.ca_bundle is not None:
        name, path = "ClientConfig.ca_bundle", str(config.ca_bundle)
    else:
        path = untyped.get_config_variable("ca_bundle")
        name = next(
            (one for one in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE") if os.environ.get(one) == path),
            "ca_bundle in the profile",
        )
    if not path:
        return
    try:
        # It reads a file.
        await asyncio.to_thread(_load, Path(path))
    except (OSError, ssl.SSLError) as error:
        said = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise ConfigurationError(
            f"{name} must be a PEM file of certificate authorities; {path} cannot be used: {said}"
        ) from error


def _load(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise OSError("it is no file")
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)


def check_proxies(proxies: Mapping[str, str], config: ClientConfig) -> None:
    """Refuse a proxy that no request can go through.

    Args:
        proxies: Those in use, by the scheme of what goes through them.
        config: Says whether they come from the environment.

    Raises:
        ConfigurationError: There is one; it names where it was set, and the value without a password.
    """
    for scheme, proxy in proxies.items():
        if scheme not in ("http", "https") or not proxy:
            continue
        # As botocore reads it.
        if not is_http_url(proxy if "://" in proxy else f"http://{proxy.removeprefix('//')}"):
            name = "ClientConfig.proxy" if config.proxy is not None else _variable(_names_of(scheme), proxy)
            raise ConfigurationError(
                f"{name} must be the URL of an HTTP proxy, such as http://proxy.example:3128, not {_shown(proxy)!r}"
            )


def _names_of(scheme: str) -> tuple[str, ...]:
    return (f"{scheme}_proxy", f"{scheme}_proxy".upper())


def _variable(names: Iterable[str], value: str) -> str:
    names = tuple(names)
    return next((name for name in names if os.environ.get(name) == value), names[-1])


def _shown(url: str) -> str:
    before, at, after = url.rpartition("@")
    return f"{before.partition('://')[0]}://...@{after}" if at else after


def endpoint_source(given: str | None) -> str:
    """Return where the endpoint comes from, for an error about it.

    Args:
        given: What the caller said.
    """
    if given is not None:
        return ""
    return next((f"{name}={_shown(os.environ[name])}: " for name in _ENDPOINT if os.environ.get(name)), "")
