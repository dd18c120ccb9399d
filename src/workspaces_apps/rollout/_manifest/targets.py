"""A client for each account and Region of a manifest."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from workspaces_apps._base.clock import Clock
from workspaces_apps._base.credentials import AssumeRole, Credentials, CredentialsProvider
from workspaces_apps._client.client import WorkSpacesClient
from workspaces_apps._http.config import ClientConfig
from workspaces_apps.rollout._manifest.manifest import DEFAULT_TARGET, Manifest, Target


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
    """Clients for the targets of a manifest, by name; they close with the block.

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
