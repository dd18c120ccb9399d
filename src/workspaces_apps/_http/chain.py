"""The standard AWS chain of credentials: environment, profile, SSO, container, instance.

The private names of aiobotocore's credential providers are used here and nowhere else. What is wanted of them, and
has no public name: clients that are set up as ours is, a refresh that is our task and not a caller's, the moment at
which credentials end, and a chain that does not give again what the service has refused.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeGuard

from aiobotocore.credentials import AioCredentials, AioRefreshableCredentials
from aiobotocore.utils import create_nested_client
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError, LoginError, SSOError, TokenRetrievalError
from botocore.utils import parse_timestamp

from workspaces_apps._base.text import MESSAGE_LIMIT, harmless
from workspaces_apps._http.credential_sources import Loaded
from workspaces_apps._http.nested import ConfiguredSession, Repeater
from workspaces_apps.errors import CredentialsError, ServiceError, TransportError, WorkSpacesError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from aiobotocore.session import AioSession

    from workspaces_apps._http.config import ClientConfig

GENERAL_ADVICE: Final = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws configure` or `aws sso login`,"
    " or pass credentials= or profile="
)


_ASKED: Final[Mapping[str, str]] = {
    "custom-process": "the credential_process of the profile {profile}",
    "assume-role": "STS, to assume the role of the profile {profile}",
    "assume-role-with-web-identity": "STS, to take the web identity",
    "sso": "SSO, for the profile {profile}",
    "login": "the sign-in service, for the profile {profile}",
    "container-role": "the credentials endpoint of the container",
    "iam-role": "the metadata service of the instance",
}
"""By member of the chain: whom it asks."""


class Found(Protocol):
    """Credentials of aiobotocore's.

    Attributes:
        method: Which member of the chain they are of; "explicit" if somebody gave them to the session.
    """

    method: str

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the credentials of this moment."""
        ...


class ChainLoader:
    """Loads credentials of the first member of the chain that has any.

    Args:
        session: Whose chain it is; credentials that were given to it go before every member.
        config: How the clients of STS and SSO are set up.
        region: The Region where STS is asked, unless a profile names another.
        repeater: Repeats what they answer in a moment's trouble.
    """

    def __init__(self, session: AioSession, config: ClientConfig, *, region: str, repeater: Repeater) -> None:
        self._session = session
        self._configured = ConfiguredSession(session, config)
        self._region = region
        self._repeater = repeater
        self._found: Found | None = None
        self._given = False
        self._member = ""

    @property
    def waits_for(self) -> str:
        """The member of the chain that is asked, where it asks somebody else."""
        return _ASKED.get(self._member, "").format(profile=_profile_of(self._session) or "default")

    @property
    def advice(self) -> str:
        """Advice: what to run or set to get credentials."""
        return advice_for(self._session)

    async def load(self, refused: ReadOnlyCredentials | None, /) -> Loaded:
        """Load credentials; after a refusal from the beginning of the chain, and nothing from its caches.

        Raises:
            CredentialsError: There are none, or a member of the chain failed.
        """
        try:
            return await self._repeater.call(partial(self._load, refused))
        except (ServiceError, TransportError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            raise self.failure(cause) from cause
        except WorkSpacesError:
            raise
        except Exception as error:  # whoever is in the chain may raise anything
            raise self.failure(error) from error

    async def _load(self, refused: ReadOnlyCredentials | None) -> Loaded:
        found = self._found
        if found is not None and refused is None and isinstance(found, AioRefreshableCredentials):
            self._member = found.method
            return await _refreshed(found)
        if found is None or (refused is not None and not self._given):
            found = await self._walk(renewed=refused is not None)
        if found is None:
            raise CredentialsError(f"no AWS credentials were found: {self.advice}")
        self._found = found
        if not isinstance(found, AioRefreshableCredentials):
            live = None if type(found) is AioCredentials else found.get_frozen_credentials
            return Loaded(credentials=await found.get_frozen_credentials(), live=live)
        given: Any = found
        if given._expiry_time is None or (refused is not None and self._given):
            return await _refreshed(found)
        return Loaded(credentials=given._frozen_credentials, expires_at=given._expiry_time)

    async def _walk(self, *, renewed: bool) -> Found | None:
        session: Any = self._session
        resolver = session.get_component("credential_provider")
        providers: list[Any] | None = getattr(resolver, "providers", None)
        in_hand: Found | None = getattr(session, "_credentials", None)
        if in_hand is not None and in_hand.method not in {one.METHOD for one in providers or ()}:
            # Somebody gave them to the session: they are nobody else's.
            self._given = True
            return in_hand
        if providers is None:
            # Somebody's own: it sets up its clients itself.
            found: Found | None = await resolver.load_credentials()
            return found
        cache = _Renewed() if renewed else None
        create = partial(_create_client, self._configured, self._region)
        members = [_configured(provider, self._configured, create, cache) for provider in providers]
        for member in members:
            self._member = member.METHOD
            found = await member.load()
            if found is not None:
                return found
        return None

    def failure(self, error: Exception) -> CredentialsError:
        """Return what a member of the chain raised as an error of this package.

        It may be a program or a plugin of the user's, so that only the words of known errors are repeated.
        """
        known = isinstance(error, BotoCoreError | ClientError | OSError | RuntimeError)
        said = harmless(error, MESSAGE_LIMIT) if known else type(error).__name__
        advice = self.advice
        if isinstance(error, SSOError | TokenRetrievalError):
            advice = f"run `aws sso login{_profile_option(self._session)}`"
        elif isinstance(error, LoginError):
            advice = f"run `aws login{_profile_option(self._session)}`"
        return CredentialsError(f"the AWS credentials could not be loaded or refreshed ({said}): {advice}")

    async def close(self) -> None:
        """Do nothing: the chain holds nothing open."""


class _Renewed(MutableMapping[str, object]):
    """A cache of credentials that does not know what was in it before.

    What is put into it goes to the old cache too, which may be shared with other tools.
    """

    def __init__(self, old: MutableMapping[str, object] | None = None) -> None:
        self._old = old
        self._new: dict[str, object] = {}

    def over(self, old: MutableMapping[str, object]) -> _Renewed:
        """Return the same cache, in the place of another one."""
        placed = _Renewed(old)
        # Members of a chain share one, so that a role is assumed once.
        placed._new = self._new
        return placed

    def __getitem__(self, key: str) -> object:
        return self._new[key]

    def __setitem__(self, key: str, value: object) -> None:
        self._new[key] = value
        if self._old is not None:
            self._old[key] = value

    def __delitem__(self, key: str) -> None:
        del self._new[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._new)

    def __len__(self) -> int:
        return len(self._new)


def _configured(
    provider: Any, session: ConfiguredSession, create: Callable[..., Any], renewed: _Renewed | None
) -> Any:
    """Return a member of the chain whose clients are made by `session`, and whose cache is renewed if wanted.

    What is not aiobotocore's is left as it is.
    """
    if not type(provider).__module__.startswith(("aiobotocore.", "botocore.")):
        return provider
    parts = _parts_of(provider)
    changed: dict[str, Any] = {}
    creator = parts.get("_client_creator")
    if creator is not None:
        changed["_client_creator"] = create
    for name in ("_profile_provider_builder", "_token_provider"):
        if parts.get(name) is not None:
            changed[name] = _rebound(parts[name], session, renewed)
    sourcer: Any = parts.get("_credential_sourcer")
    if sourcer is not None:
        inner: Any = copy.copy(sourcer)
        sources: list[Any] = sourcer._providers
        inner._providers = [_configured(one, session, create, renewed) for one in sources]
        changed["_credential_sourcer"] = inner
    own: object = parts.get("cache")
    if renewed is not None and _is_cache(own):
        changed["cache"] = renewed.over(own)
    if not changed:
        return provider
    member: Any = copy.copy(provider)
    for name, part in changed.items():
        setattr(member, name, part)
    return member


def _parts_of(member: object) -> Mapping[str, Any]:
    return vars(member)


def _is_cache(value: object) -> TypeGuard[MutableMapping[str, object]]:
    return isinstance(value, MutableMapping)


def _rebound(part: Any, session: ConfiguredSession, renewed: _Renewed | None) -> Any:
    """Return a part of a member of the chain that makes its clients, or members of its own, by `session`."""
    changed: Any = copy.copy(part)
    if hasattr(changed, "_session"):
        changed._session = session
    cache: object = getattr(changed, "_cache", None)
    # Not that of a token provider: the tokens of SSO are no credentials, and refresh themselves.
    if renewed is not None and _is_cache(cache) and hasattr(changed, "providers"):
        changed._cache = renewed.over(cache)
    return changed


def _create_client(session: ConfiguredSession, region: str, service_name: str, **options: Any) -> Any:
    # SSO and sign-in have Regions of their own, which their callers know.
    settings = {"region_name": region, **options} if service_name == "sts" else options
    untyped: Any = session
    return create_nested_client(untyped, service_name, **settings)


async def _refreshed(found: AioRefreshableCredentials) -> Loaded:
    """Refresh credentials that can; unlike their own refresh, it neither logs nor is part of a caller's task."""
    refresh: Callable[[], Awaitable[Mapping[str, Any]] | Mapping[str, Any]] = getattr(found, "_refresh_using")  # noqa: B009 - private
    answer: Any = refresh()
    members: Mapping[str, Any] = await answer if hasattr(answer, "__await__") else answer
    end = members.get("expiry_time")
    if isinstance(end, str):
        end = parse_timestamp(end)
    credentials = ReadOnlyCredentials(
        members["access_key"], members["secret_key"], members["token"], members.get("account_id")
    )
    if isinstance(end, datetime) and end.tzinfo is None:
        end = end.replace(tzinfo=UTC)
    return Loaded(credentials=credentials, expires_at=end if isinstance(end, datetime) else None)


def advice_for(session: AioSession) -> str:
    """Return what to run or set so that the session has credentials."""
    untyped: Any = session
    try:
        name = untyped.get_config_variable("profile") or "default"
        profiles: Mapping[str, Mapping[str, object]] = untyped.full_config.get("profiles", {})
    except BotoCoreError:
        return GENERAL_ADVICE
    seen: set[str] = set()
    while name in profiles and name not in seen:
        seen.add(name)
        profile = profiles[name]
        option = "" if name == "default" else f" --profile {name}"
        if "sso_session" in profile or "sso_start_url" in profile:
            return f"run `aws sso login{option}`"
        if "login_session" in profile:
            return f"run `aws login{option}`"
        if "credential_process" in profile:
            return f"see why the credential_process of the profile {name} gives none that are valid, or {GENERAL_ADVICE}"
        name = str(profile.get("source_profile", ""))
    return GENERAL_ADVICE


def _profile_of(session: AioSession) -> str | None:
    untyped: Any = session
    name: str | None = untyped.get_config_variable("profile")
    return name


def _profile_option(session: AioSession) -> str:
    name = _profile_of(session)
    return f" --profile {name}" if name else ""
