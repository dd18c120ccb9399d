"""Sessions of aiobotocore, set up for the service: its data, handlers, protocol, HTTP session, and the network around it.

botocore's data is loaded without what only costs time: a walk through 400 folders, and dictionaries that keep order.

Calls are made in awsJson 1.1, whatever botocore's model of the service would rather have. Bodies are written and read by
this package, as JSON. A client of aiobotocore's that framed them for another protocol would send them to another path
under another content type, so the model that it goes by is pinned. [seen: botocore from 1.44.4 on lists
`smithy-rpc-v2-cbor` before `json`]

The network settings of the environment and the profile are checked before anything is sent. aiobotocore finds most of it
out with the first request, and tells it as a fault of the network, which is repeated, and after which nobody knows what
became of the request.
"""

from __future__ import annotations

import asyncio
import gzip
import importlib
import os
import ssl
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from aiobotocore.parsers import create_parser
from aiobotocore.session import AioSession
from botocore import handlers
from botocore.exceptions import BotoCoreError
from botocore.loaders import JSONFileLoader, Loader
from botocore.model import ServiceModel
from botocore.serialize import create_serializer
from pydantic import BaseModel
from pydantic_core import from_json

from workspaces_apps import api
from workspaces_apps._base.connections import HttpSession
from workspaces_apps._http.borrowed import http_session_of
from workspaces_apps._http.config import PROXY_RULE, is_http_url, is_tls
from workspaces_apps._telemetry.port import load
from workspaces_apps.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    import aiohttp
    from aiobotocore.client import AioBaseClient

    from workspaces_apps._http.config import ClientConfig


class _PlainFiles(JSONFileLoader):
    """Reads JSON into plain dictionaries, which keep order too, by the quicker parser."""

    def load_file(self, file_path: str) -> object:
        """Return the content of a file named without its ending; None if there is none."""
        for ending, read in ((".json", Path.read_bytes), (".json.gz", _unpack)):
            try:
                return from_json(read(Path(file_path + ending)))
            except FileNotFoundError:
                continue
        return None


def _unpack(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


class QuickLoader(Loader):
    """A loader that does not look into the folder of every service to know that there is one."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore names it
        """Return the services that there is data for; botocore only asks whether one is among them.

        Args:
            type_name: The kind of data. It is not looked for: whoever loads what is not there is told then.
        """
        folders = (Path(path) for path in self.search_paths)
        return sorted({entry.name for folder in folders if folder.is_dir() for entry in os.scandir(folder)})


def make_loader(data_path: str | None) -> Loader:
    """Make a loader that also looks into the folders that AWS_DATA_PATH names."""
    named = [path for path in (data_path or "").split(os.pathsep) if path]
    paths = [str(Path(os.path.expandvars(path)).expanduser()) for path in named]
    return QuickLoader(extra_search_paths=paths, file_loader=_PlainFiles())


shared_loader: Callable[[str | None], Loader] = cache(make_loader)
"""The loader of every session in this process with the same AWS_DATA_PATH."""


SERVICE: Final = "workspaces"

PROFILE_ADVICE: Final = "Check profile=, AWS_PROFILE and ~/.aws/config"

_CALLED: Final = frozenset({"", "*", SERVICE, "signin", "sso", "sso-oidc", "sts"})
"""The services that are called: ours, and those that hand out credentials; and how events name any service."""


def make_session(profile: str | None) -> AioSession:
    """Make a session that shares the data of botocore with the others of the process.

    Raises:
        ConfigurationError: The profile does not exist, or a configuration file cannot be read.
    """
    try:
        session = AioSession(profile=profile, include_builtin_handlers=False)
        _register_handlers(session)
        loader = shared_loader(session.get_config_variable("data_path"))
    except BotoCoreError as error:
        raise ConfigurationError(f"{error}. {PROFILE_ADVICE}") from error
    session.register_component("data_loader", loader)
    return session


def _register_handlers(session: AioSession) -> None:
    """Register botocore's own handlers, but for those of other services: nine in ten, and milliseconds."""
    events: Any = session.get_component("event_emitter")
    entries: list[tuple[Any, ...]] = handlers.BUILTIN_HANDLERS
    for event, handler, *place in entries:
        name, _, rest = event.partition(".")
        if name == "docs" or rest.partition(".")[0] not in _CALLED:
            continue
        if place == [handlers.REGISTER_FIRST]:
            events.register_first(event, handler)
        elif place == [handlers.REGISTER_LAST]:
            events.register_last(event, handler)
        else:
            events.register(event, handler)


_Contexts: TypeAlias = tuple[ssl.SSLContext, ssl.SSLContext | None]
"""The verification of the service, and of the proxy if there is one."""


class _Trust(NamedTuple):
    """The certificate authorities that a context trusts.

    Attributes:
        path: The file, without links; empty for botocore's own.
        changed: When it was last written, in nanoseconds.
        size: How many bytes it has.
    """

    path: str = ""
    changed: int = 0
    size: int = 0


_trust_stores: Final[WeakValueDictionary[_Trust, ssl.SSLContext]] = WeakValueDictionary()
"""Only while a client uses them."""


class DirectSession(HttpSession):
    """aiobotocore's HTTP session, which tells whether a proxy is in the way."""

    def __init__(
        self,
        *,
        proxies: dict[str, str] | None = None,
        verify: bool | str = True,
        client_cert: object = None,
        **options: Any,
    ) -> None:
        super().__init__(proxies=proxies, verify=verify, client_cert=client_cert, **options)
        self._trusted = None if client_cert or not verify else "" if verify is True else verify
        self._by_scheme: Mapping[str, str] = proxies or {}

    @property
    def proxies(self) -> Mapping[str, str]:
        """The proxies in use, by the scheme of what goes through them."""
        return self._by_scheme

    def needs_proxy(self, url: str) -> bool:
        """Return whether what goes there goes through a proxy."""
        return bool(self._by_scheme.get(urlsplit(url).scheme))

    async def pool(self) -> aiohttp.ClientSession:
        """Return the aiohttp session for requests that need no proxy, opened if it is not yet."""
        return (await self._get_session(None)).session

    def _build_ssl_contexts(self, proxy_url: str | None) -> _Contexts:
        """Share the trust store with the other open clients: each would take 15 ms and 0.8 MB of its own."""
        # Looked at before it is read: what replaces it meanwhile is read by the next.
        trust = None if self._trusted is None or proxy_url is not None else _trust_of(self._trusted)
        shared = None if trust is None else _trust_stores.get(trust)
        if shared is not None:
            return shared, None
        built: _Contexts = getattr(super(), "_build_ssl_contexts")(proxy_url)  # noqa: B009 - private
        if trust is not None:
            _trust_stores[trust] = built[0]
        return built


def _trust_of(bundle: str) -> _Trust:
    if not bundle:
        return _Trust()
    path = Path(bundle).resolve()
    found = path.stat()
    return _Trust(str(path), found.st_mtime_ns, found.st_size)


class PlainSession(DirectSession):
    """For an endpoint with plain http: without the trust store, which takes longer to read than a call."""

    def __init__(
        self, *, proxies: dict[str, str] | None = None, verify: bool | str = True, **options: Any
    ) -> None:
        # The way to a proxy may still be TLS.
        needed = is_tls((proxies or {}).get("http", ""))
        super().__init__(proxies=proxies, verify=verify if needed else False, **options)


def proxies_of(client: AioBaseClient) -> Mapping[str, str]:
    """Return the proxies that a client uses, by the scheme of what goes through them."""
    session = http_session_of(client)
    return session.proxies if isinstance(session, DirectSession) else {}


PROTOCOL: Final = "json"

_METADATA: Final = {
    "protocol": PROTOCOL,
    "protocols": [PROTOCOL],
    "jsonVersion": "1.1",
    "targetPrefix": "WorkspacesService",
}
"""The members by which a service model is one of awsJson 1.1."""


class _Pinned:
    """A base of aiobotocore's client class that corrects what the client is made of."""

    def __init__(self, **parts: Any) -> None:
        model: ServiceModel = parts["service_model"]
        if any(model.metadata.get(name) != value for name, value in _METADATA.items()):
            # The loader has it by now. It is shared with other clients, so a copy is changed.
            described = parts["loader"].load_service_model(SERVICE, "service-2", model.api_version)
            metadata = {**described["metadata"], **_METADATA}
            parts["service_model"] = ServiceModel({**described, "metadata": metadata}, SERVICE)
            parts["serializer"] = create_serializer(PROTOCOL, include_validation=False)
            parts["response_parser"] = create_parser(PROTOCOL)
        super().__init__(**parts)


@contextmanager
def pinned_protocol(session: AioSession) -> Generator[None]:
    """Pin the protocol of the clients of the service that the session creates meanwhile."""
    event = f"creating-client-class.{SERVICE}"

    def add_base(*, base_classes: list[type], **_: object) -> None:
        if _Pinned not in base_classes:
            base_classes.insert(0, _Pinned)

    # The stubs take no handler that names what it wants of an event.
    events: Any = session
    events.register(event, add_base)
    try:
        yield
    finally:
        events.unregister(event, add_base)


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
            raise ConfigurationError(f"{name} must be {PROXY_RULE}, not {_shown(proxy)!r}")


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


_DATA = ("endpoints", "partitions", "sdk-default-configuration", "_retry")


def preload(profile: str | None, *, telemetry: bool = True) -> None:
    """Load what clients share; runs without an event loop, so that none has to wait for it.

    Args:
        profile: The profile whose data path counts; None for the environment's.
        telemetry: Whether the client makes spans and metrics, where OpenTelemetry is installed.

    Raises:
        ConfigurationError: The profile does not exist, or a configuration file cannot be read.
    """
    loader = make_session(profile).get_component("data_loader")
    for name in _DATA:
        loader.load_data_with_path(name)
    for kind in ("service-2", "endpoint-rule-set-1"):
        # Said as aiobotocore says it: the loader's cache tells calls apart by how their arguments are given. [seen]
        loader.load_service_model(SERVICE, kind, api_version=None)
    for module in (
        "_retry.attempts",
        "_model.paginator",
        "_model.validation",
        "_http.transport",
        "_http.credentials",
        "_http.recovery",
    ):
        importlib.import_module(f"workspaces_apps.{module}")
    importlib.import_module("tenacity")
    load(enabled=telemetry)
    for name in api.__all__:
        shape: object = getattr(api, name)
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            shape.model_rebuild()
