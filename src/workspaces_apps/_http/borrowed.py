"""The private names of aiobotocore, botocore and aiohttp that this package leans on, each with its reason and fallback.

Where one is missing or is not what it was, calls go through aiobotocore's methods, unless its row says otherwise.
`tests/http/test_borrowed.py` fails for every row of the table that no longer fits the installed releases, and for every
private name of theirs that is read elsewhere. Two modules may read what their classes inherit, and its names have rows
here as well: `_base/connections.py`, which lies below this one, and `_http/session.py`.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import MutableMapping
from functools import partial
from operator import attrgetter
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeGuard

import aiohttp
from aiobotocore import client as client_module
from aiobotocore.client import AioBaseClient
from aiobotocore.endpoint import AioEndpoint
from aiobotocore.httpsession import AIOHTTPSession
from botocore.handlers import add_retry_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
    from datetime import datetime

    from aiobotocore.credentials import AioRefreshableCredentials
    from aiobotocore.session import AioSession
    from botocore.credentials import ReadOnlyCredentials

_LONG_WAY: Final = "calls go through aiobotocore's methods"


class Borrowed(NamedTuple):
    """A name that its owner does not promise to keep.

    Attributes:
        owner: The class, as `module:name`; or a module.
        name: The attribute.
        reason: Why it is needed.
        parameters: The first parameters it must take; None where it is no function.
        fallback: What happens without it.
        skipped: Whether the fast path leaves it out, so that it must be noticed when somebody wraps it.
    """

    owner: str
    name: str
    reason: str
    parameters: tuple[str, ...] | None = None
    fallback: str = _LONG_WAY
    skipped: bool = False


def _skipped(owner: str, name: str, *parameters: str) -> Borrowed:
    reason = "Part of what the fast path leaves out: whoever wraps it wants to see every call."
    return Borrowed(owner=owner, name=name, parameters=("self", *parameters), reason=reason, skipped=True)


TABLE: Final = (
    _skipped("aiobotocore.client:AioBaseClient", "_make_api_call", "operation_name", "api_params"),
    _skipped("aiobotocore.client:AioBaseClient", "_make_request", "operation_model", "request_dict"),
    _skipped("aiobotocore.client:AioBaseClient", "_emit_api_params", "api_params"),
    _skipped("aiobotocore.client:AioBaseClient", "_convert_to_request_dict", "api_params"),
    _skipped("aiobotocore.client:AioBaseClient", "_resolve_endpoint_ruleset", "operation_model"),
    _skipped("aiobotocore.endpoint:AioEndpoint", "make_request", "operation_model", "request_dict"),
    _skipped("aiobotocore.endpoint:AioEndpoint", "create_request", "params", "operation_model"),
    _skipped("aiobotocore.endpoint:AioEndpoint", "prepare_request", "request"),
    _skipped("aiobotocore.endpoint:AioEndpoint", "_send_request", "request_dict", "operation_model"),
    _skipped("aiobotocore.endpoint:AioEndpoint", "_get_response", "request", "operation_model", "context"),
    _skipped("aiobotocore.endpoint:AioEndpoint", "_do_get_response", "request", "operation_model"),
    _skipped("aiobotocore.endpoint:AioEndpoint", "_send", "request"),
    _skipped("aiobotocore.httpsession:AIOHTTPSession", "send", "request"),
    _skipped("aiohttp.client:ClientSession", "request", "method", "url"),
    _skipped("aiohttp.client:ClientSession", "_request", "method", "str_or_url"),
    _skipped("aiohttp.client_reqrep:ClientRequest", "send", "conn"),
    _skipped("aiohttp.client_reqrep:ClientResponse", "start", "connection"),
    _skipped("aiohttp.client_reqrep:ClientResponse", "read"),
    Borrowed(
        owner="botocore.client:BaseClient",
        name="_endpoint",
        reason="Holds the HTTP session, whose connections are used.",
    ),
    Borrowed(
        owner="botocore.hooks:EventAliaser",
        name="_emitter",
        reason="The emitter behind the face that knows old names of events.",
    ),
    Borrowed(
        owner="botocore.hooks:HierarchicalEmitter",
        name="_handlers",
        reason="Tells who listens to an event, so that nobody is passed over.",
    ),
    Borrowed(
        owner="botocore.hooks:HierarchicalEmitter",
        name="_lookup_cache",
        reason="A new dictionary after each change of listeners, so that its identity tells that there was none.",
    ),
    Borrowed(
        owner="aiobotocore.httpsession:AIOHTTPSession",
        name="_get_session",
        parameters=("self", "proxy_url"),
        reason="Overridden to refuse redirects; and the fast path wants the aiohttp session in it.",
        fallback="none: a redirect must not be followed",
    ),
    Borrowed(
        owner="aiobotocore.httpsession:AIOHTTPSession",
        name="_build_ssl_contexts",
        parameters=("self", "proxy_url"),
        reason="Overridden so that clients share a trust store.",
        fallback="each client reads the trust store anew",
    ),
    Borrowed(
        owner="aiohttp.client:ClientSession",
        name="_middlewares",
        reason="A middleware must see every request; the session has no public name for them.",
    ),
    Borrowed(
        owner="aiohttp.connector:BaseConnector",
        name="connect",
        parameters=("self", "req", "traces", "timeout"),
        reason="Gives a connection of the pool; its parameters are not documented.",
    ),
    Borrowed(
        owner="aiohttp.client_proto:ResponseHandler",
        name="set_response_params",
        parameters=("self",),
        reason="Prepares aiohttp's parser for one answer.",
    ),
    Borrowed(
        owner="aiohttp.client_proto:ResponseHandler",
        name="start_timeout",
        parameters=("self",),
        reason="Begins the read timeout once the request is written.",
    ),
    Borrowed(
        owner="aiohttp.client_proto:ResponseHandler",
        name="read",
        parameters=("self",),
        reason="The next answer's head, and the stream of its body.",
    ),
    Borrowed(
        owner="aiobotocore.httpsession:AIOHTTPSession",
        name="_create_connector",
        parameters=("self", "proxy_url"),
        reason="Overridden to use the guarded pool.",
        fallback="none: an answer that nobody asked for must not be taken",
    ),
    Borrowed(
        owner="aiohttp.connector:TCPConnector",
        name="_create_connection",
        parameters=("self", "req", "traces", "timeout"),
        reason="Overridden to log a connection that takes long.",
        fallback="it is not logged",
    ),
    Borrowed(
        owner="aiohttp.connector:BaseConnector",
        name="_release",
        parameters=("self", "key", "protocol"),
        reason="Overridden to mark a connection as idle.",
        fallback="none: as for the guarded pool",
    ),
    Borrowed(
        owner="aiohttp.connector:BaseConnector",
        name="_loop",
        reason="The loop that a connection of the guarded pool is made for.",
        fallback="none: as for the guarded pool",
    ),
    Borrowed(
        owner="aiohttp.connector:BaseConnector",
        name="_factory",
        reason="Replaced, so that the pool's connections are guarded.",
        fallback="none: an answer that nobody asked for must not be taken",
    ),
    Borrowed(
        owner="aiohttp.client_proto:ResponseHandler",
        name="_loop",
        reason="Tells the time for an answer that drips.",
        fallback="none: as for the guarded pool",
    ),
    Borrowed(
        owner="aiohttp.client_proto:ResponseHandler",
        name="_payload",
        reason="The body under way, whose reader must be told that it was broken off.",
        fallback="none: as for the guarded pool",
    ),
    Borrowed(
        owner="aiobotocore.httpsession",
        name="_ProxySSLTCPConnector",
        parameters=("args", "proxy_ssl_context", "kwargs"),
        reason="The base of the guarded pool: aiohttp's, with trust of its own for a proxy.",
        fallback="none: as for the guarded pool",
    ),
    *(
        Borrowed(
            owner="aiobotocore.httpsession:AIOHTTPSession",
            name=name,
            reason=f"{reason}, for the guarded pool that is made instead of its own.",
            fallback="none: as for the guarded pool",
        )
        for name, reason in (
            ("_timeout", "How long to connect and to read"),
            ("_verify", "The certificate authorities"),
            ("_cert_file", "The client's certificate"),
            ("_max_pool_connections", "How many connections"),
            ("_connector_args", "The caller's options"),
        )
    ),
    Borrowed(
        owner="aiobotocore.session:AioSession",
        name="_credentials",
        reason="Credentials that somebody gave to the session go before its chain.",
        fallback="the chain is asked",
    ),
    *(
        Borrowed(
            owner="aiobotocore.credentials:AioRefreshableCredentials",
            name=name,
            reason=reason,
            fallback="none",
        )
        for name, reason in (
            (
                "_refresh_using",
                "A refresh that is our task and not a caller's, and that raises what went wrong.",
            ),
            ("_expiry_time", "The moment at which they end, so that they are refreshed before."),
            ("_frozen_credentials", "The keys as they are, without the refresh that reading them may begin."),
        )
    ),
    *(
        Borrowed(
            owner=f"aiobotocore.{owner}", name=name, reason=reason, fallback="it makes clients as it likes"
        )
        for owner, name, reason in (
            ("credentials:AioAssumeRoleProvider", "_client_creator", "Clients of STS are set up as ours is."),
            ("credentials:AioAssumeRoleProvider", "_profile_provider_builder", "Makes members of its own."),
            ("credentials:AioAssumeRoleProvider", "_credential_sourcer", "Has members of its own."),
            ("credentials:AioCanonicalNameCredentialSourcer", "_providers", "Those members."),
            ("credentials:AioProfileProviderBuilder", "_session", "Makes their clients."),
            ("credentials:AioSSOProvider", "_client_creator", "Clients of SSO are set up as ours is."),
            ("credentials:AioSSOProvider", "_token_provider", "Makes a client to refresh the token."),
            ("tokens:AioSSOTokenProvider", "_session", "Makes that client."),
            ("credentials:AioLoginProvider", "_client_creator", "Clients of sign-in are set up as ours is."),
        )
    ),
    *(
        Borrowed(
            owner=f"aiobotocore.{owner}",
            name=name,
            reason=reason,
            fallback="a program that hangs outlives its client",
        )
        for owner, name, reason in (
            ("credentials:AioProcessProvider", "_popen", "Starts programs, which are to end with us."),
            (
                "credentials:AioProfileProviderBuilder",
                "_create_process_provider",
                "Makes another one of those.",
            ),
        )
    ),
    Borrowed(
        owner="aiobotocore.credentials:AioProfileProviderBuilder",
        name="_cache",
        reason="The cache of its members, which may give again what the service has refused.",
        fallback="it may be given again, until it ends",
    ),
    Borrowed(
        owner="aiobotocore.client",
        name="_xray_enabled",
        reason="Set by X-Ray's SDK when it patches aiobotocore: without it a subsegment is somebody else's.",
        fallback="throttles are not flagged",
    ),
)
"""The names; those of attributes are looked for on an object that is made of the class."""

_AUTHORS: Final = frozenset({"aiobotocore", "aiohttp", "botocore"})


class _WatchedMethod(NamedTuple):
    """A method that must stay what it was when the fast path was made."""

    owner: type
    name: str
    expected: object


_SKIPPED: Final[dict[type, tuple[str, ...]]] = {
    owner: tuple(
        row.name for row in TABLE if row.owner == f"{owner.__module__}:{owner.__name__}" and row.skipped
    )
    for owner in (
        AioBaseClient,
        AioEndpoint,
        AIOHTTPSession,
        aiohttp.ClientSession,
        aiohttp.ClientRequest,
        aiohttp.ClientResponse,
    )
}
"""By class: the methods that the fast path skips."""


def is_original(method: object) -> bool:
    """Return whether a method is one that aiobotocore or aiohttp was written with, whatever it says of itself.

    A wrapper may carry the name, the module and even the type of what it wraps; its code lives somewhere else.
    """
    while type(method) is FunctionType:
        home: object = method.__globals__.get("__name__")
        if not isinstance(home, str) or home.partition(".")[0] not in _AUTHORS:
            return False
        inner: object = vars(method).get("__wrapped__")
        if inner is None:
            return True
        # aiobotocore decorates some of its own.
        method = inner
    return False


class Internals(NamedTuple):
    """The methods that the fast path skips, as they were when it was made.

    Attributes:
        original: Whether they were as their authors wrote them.
        methods: Each with its class, and what it was.
        own: The attributes of the client, of its endpoint and of its HTTP session, where wrappers may be too, and the
            names of the methods.
        session: The HTTP session, in whose place the endpoint may be given another one.
    """

    original: bool
    methods: tuple[_WatchedMethod, ...]
    own: tuple[tuple[Mapping[str, object], tuple[str, ...]], ...]
    session: object


def internals_of(client: AioBaseClient) -> Internals:
    """Take down what the methods are now.

    Args:
        client: A client of aiobotocore's, whose class may have been given further bases.

    Raises:
        AttributeError: One of them is missing.
    """
    endpoint, session = _endpoint_of(client), http_session_of(client)
    # The classes in use, whose bases are the ones of the table.
    kinds: dict[type, type] = {
        AioBaseClient: type(client),
        AioEndpoint: type(endpoint),
        AIOHTTPSession: type(session),
    }
    methods = tuple(
        _WatchedMethod(kind, name, getattr(kind, name))
        for owner, names in _SKIPPED.items()
        for kind in (kinds.get(owner, owner),)
        for name in names
    )
    return Internals(
        all(is_original(method.expected) for method in methods),
        methods,
        (
            (vars(client), _SKIPPED[AioBaseClient]),
            (vars(endpoint), _SKIPPED[AioEndpoint]),
            (vars(session), _SKIPPED[AIOHTTPSession]),
        ),
        session,
    )


class _Handlers(Protocol):
    def prefix_search(self, event: str) -> Iterable[object]: ...


class Listeners:
    """The listeners to the events of an aiobotocore client.

    Attributes:
        version: Returns an object that is another one after listeners were added or taken away; keep it to compare.
    """

    def __init__(self, client: AioBaseClient) -> None:
        """Read the client's emitter.

        Raises:
            AttributeError: aiobotocore keeps it elsewhere by now.
        """
        found: Any = client.meta.events
        # The public face translates old names of events, and hides the emitter.
        emitter: Any = getattr(found, "_emitter", found)
        self._handlers: _Handlers = emitter._handlers
        # Asked before every request, and so without a function of ours.
        self.version: Callable[[], object] = partial(getattr, emitter, "_lookup_cache")
        self.version()

    def of(self, event: str) -> Iterable[object]:
        """Return the handlers of an event, those of its wider names included."""
        return self._handlers.prefix_search(event)


def _endpoint_of(client: AioBaseClient) -> AioEndpoint:
    found: AioEndpoint = getattr(client, "_endpoint")  # noqa: B009 - see the table
    return found


def http_session_of(client: AioBaseClient) -> object:
    """Return the HTTP session of an aiobotocore client; None where it is not kept where we know."""
    endpoint: object = getattr(client, "_endpoint", None)
    return getattr(endpoint, "http_session", None)


def leave_out_retry_headers(client: AioBaseClient) -> None:
    """Send no `amz-sdk-invocation-id` and `amz-sdk-request`: they count attempts of a retry layer that is off."""
    client.meta.events.unregister("request-created", add_retry_headers)


watchers_of: Final[Callable[[aiohttp.ClientSession], tuple[Collection[object], ...]]] = attrgetter(
    "trace_configs", "_middlewares"
)
"""Getter of what sees the requests of an aiohttp session: its traces and middlewares."""

SKIPPED_OF_SESSION: Final = _SKIPPED[aiohttp.ClientSession]
"""The methods of an aiohttp session that the fast path skips; one among a session's own attributes is wrapped."""


def is_patched_by_xray() -> bool:
    """Tell if X-Ray's SDK has patched aiobotocore."""
    return bool(getattr(client_module, "_xray_enabled", False))


def given_to(session: AioSession) -> Any:
    """Return the credentials that a session has loaded, or that were given to it; None if there are none."""
    return getattr(session, "_credentials", None)


def end_of(found: AioRefreshableCredentials) -> tuple[datetime | None, ReadOnlyCredentials]:
    """Return the moment at which credentials end, and the keys until then; None and anything before they are loaded."""
    given: Any = found
    return given._expiry_time, given._frozen_credentials


def refresh_of(
    found: AioRefreshableCredentials,
) -> Callable[[], Awaitable[Mapping[str, object]] | Mapping[str, object]]:
    """Return the function that fetches credentials anew."""
    given: Any = found
    refresh: Callable[[], Awaitable[Mapping[str, object]] | Mapping[str, object]] = given._refresh_using
    return refresh


def member_for(
    provider: Any,
    session: object,
    create: Callable[..., object],
    renew: Callable[[MutableMapping[str, object]], MutableMapping[str, object]] | None,
    start: Callable[..., Awaitable[object]],
) -> Any:
    """Return a copy of a member of the chain of credentials that makes its clients, and starts programs, as it is told.

    What is not aiobotocore's is left as it is.

    Args:
        provider: The member.
        session: Makes the clients of its parts.
        create: Makes its own clients.
        renew: Returns the cache that takes the place of its own; None to leave that.
        start: Starts its programs.
    """
    if not type(provider).__module__.startswith(("aiobotocore.", "botocore.")):
        return provider
    parts = _parts_of(provider)
    changed: dict[str, Any] = {}
    if parts.get("_client_creator") is not None:
        changed["_client_creator"] = create
    if _starts_programs(provider):
        changed["_popen"] = start
    for name in ("_profile_provider_builder", "_token_provider"):
        if parts.get(name) is not None:
            changed[name] = _rebound(parts[name], session, renew, start)
    sourcer: Any = parts.get("_credential_sourcer")
    if sourcer is not None:
        inner: Any = copy.copy(sourcer)
        sources: list[Any] = sourcer._providers
        inner._providers = [member_for(one, session, create, renew, start) for one in sources]
        changed["_credential_sourcer"] = inner
    own: object = parts.get("cache")
    if renew is not None and _is_cache(own):
        changed["cache"] = renew(own)
    if not changed:
        return provider
    member: Any = copy.copy(provider)
    for name, part in changed.items():
        setattr(member, name, part)
    return member


def _parts_of(member: object) -> Mapping[str, Any]:
    return vars(member)


def _starts_programs(member: object) -> bool:
    # Somebody may have given it another way to.
    return _parts_of(member).get("_popen") is asyncio.create_subprocess_exec


def _is_cache(value: object) -> TypeGuard[MutableMapping[str, object]]:
    return isinstance(value, MutableMapping)


def _rebound(
    part: Any,
    session: object,
    renew: Callable[[MutableMapping[str, object]], MutableMapping[str, object]] | None,
    start: Callable[..., Awaitable[object]],
) -> Any:
    """Return a part of a member of the chain that makes its clients, or members of its own, by `session`."""
    changed: Any = copy.copy(part)
    if hasattr(changed, "_session"):
        changed._session = session
    cache: object = getattr(changed, "_cache", None)
    # Not that of a token provider: the tokens of SSO are no credentials, and refresh themselves.
    if renew is not None and _is_cache(cache) and hasattr(changed, "providers"):
        changed._cache = renew(cache)
    make: Callable[[str], object] | None = getattr(changed, "_create_process_provider", None)
    if make is not None:

        def make_starting(profile_name: str) -> object:
            made: Any = make(profile_name)
            if _starts_programs(made):
                made._popen = start
            return made

        changed._create_process_provider = make_starting
    return changed
