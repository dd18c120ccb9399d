"""Targets: a client for each account and Region of a manifest, and whether a plan was made for the same ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from workspaces_apps._base.clock import Clock
from workspaces_apps._base.credentials import AssumeRole, Credentials, CredentialsProvider
from workspaces_apps._client.client import WorkSpacesClient
from workspaces_apps._http.config import ClientConfig, ClientIdentity, is_loopback
from workspaces_apps.rollout._errors import PlanError
from workspaces_apps.rollout._manifest.manifest import DEFAULT_TARGET, Manifest, Target
from workspaces_apps.rollout._plan.plan import TargetReading


@asynccontextmanager
async def open_targets(
    manifest: Manifest,
    *,
    region: str | None = None,
    profile: str | None = None,
    endpoint_url: str | None = None,
    credentials: Credentials | CredentialsProvider | None = None,
    config: ClientConfig | None = None,
    clock: Clock | None = None,
) -> AsyncGenerator[Mapping[str, WorkSpacesClient], None]:
    """Open clients for the targets of a manifest, by name; they close with the block.

    A client connects with its first call, so a target that cannot be reached does not keep the others from opening.
    Each has its own credentials, and so its own pacing.

    Args:
        manifest: What names the targets.
        region: The Region of targets that name none.
        profile: The profile of targets that name none.
        endpoint_url: Another endpoint than AWS's, for all of them.
        credentials: Whose calls they are, where a target names neither profile nor role; with a role, who assumes it.
        config: Their settings.
        clock: Where time comes from.

    Raises:
        ConfigurationError: Arguments contradict each other.
    """
    async with AsyncExitStack() as stack:
        clients: dict[str, WorkSpacesClient] = {}
        for target in manifest.targets or (Target(name=DEFAULT_TARGET),):
            clients[target.name] = client_for(
                target,
                region=region,
                profile=profile,
                endpoint_url=endpoint_url,
                credentials=credentials,
                config=config,
                clock=clock,
            )
            stack.push_async_callback(clients[target.name].aclose)
        yield clients


def client_for(
    target: Target,
    *,
    region: str | None = None,
    profile: str | None = None,
    endpoint_url: str | None = None,
    credentials: Credentials | CredentialsProvider | None = None,
    config: ClientConfig | None = None,
    clock: Clock | None = None,
) -> WorkSpacesClient:
    """Return the client of one target; the arguments and errors are those of `open_targets`."""
    own_profile = target.profile or (profile if credentials is None else None)
    provider: Credentials | CredentialsProvider | None = None
    if target.role_arn is not None:
        source = credentials if target.profile is None else None
        provider = AssumeRole(target.role_arn, target.external_id, source)
        own_profile = own_profile if source is None else None
    elif target.profile is None:
        provider = credentials
    return WorkSpacesClient(
        region=target.region or region,
        profile=own_profile,
        endpoint_url=endpoint_url,
        credentials=provider,
        config=config,
        clock=clock,
    )


UNKNOWN: Final = "its account is not known"


def same_endpoint(one: str | None, other: str | None) -> bool:
    """Tell whether two endpoints lead to the same service; simulators on this machine change their port at will."""
    if one is None or other is None:
        return one == other
    first, second = urlsplit(one), urlsplit(other)
    if is_loopback(first.hostname) and is_loopback(second.hostname):
        return True
    return one == other


def compare(reading: TargetReading, found: ClientIdentity | None) -> str | None:
    """Compare the target that a plan was made for with the one that an apply would change.

    Args:
        reading: What the plan says of the target.
        found: What the client says; None where it could not be opened, which the apply will tell.

    Returns:
        Why it is not certain that they are the same; None if it is.

    Raises:
        PlanError: They are not the same.
    """
    if reading.region is None:
        return f"{reading.name}: the plan does not say which account and Region it was made for"
    if found is None:
        return f"{reading.name}: {UNKNOWN}"
    accounts = reading.account, found.account
    if (
        reading.region != found.region
        or not same_endpoint(reading.endpoint, found.endpoint)
        or (None not in accounts and reading.account != found.account)
    ):
        raise PlanError(
            f"{reading.name}: the plan was made for {in_words(reading)}, and would be applied to {in_words(found)}"
        )
    if None in accounts:
        return f"{reading.name}: {UNKNOWN}, so it may be another one than that of the plan"
    return None


def in_words(one: TargetReading | ClientIdentity) -> str:
    """Return account, Region and endpoint for people."""
    account = f"account {one.account}" if one.account is not None else "an unknown account"
    at = f" at {one.endpoint}" if one.endpoint is not None else ""
    return f"{account} in {one.region or 'an unknown Region'}{at}"


def twice(identities: Mapping[str, ClientIdentity]) -> Sequence[tuple[str, str]]:
    """Return the pairs of targets that are the same account and Region: the first, and the one that repeats it.

    Where an account is not known, the same access key means the same account.
    """
    seen: list[tuple[str, ClientIdentity]] = []
    pairs: list[tuple[str, str]] = []
    for name, one in identities.items():
        first = next((earlier for earlier, other in seen if _same(one, other)), None)
        if first is None:
            seen.append((name, one))
        else:
            pairs.append((first, name))
    return pairs


def _same(one: ClientIdentity, other: ClientIdentity) -> bool:
    if (one.region, one.endpoint) != (other.region, other.endpoint):
        return False
    if one.account is not None and other.account is not None:
        return one.account == other.account
    return one.access_key_id == other.access_key_id
