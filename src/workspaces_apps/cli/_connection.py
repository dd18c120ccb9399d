"""From the AWS options of a command to a client, or to a roll-out with a client for each target."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workspaces_apps._base.clock import SystemClock
from workspaces_apps.cli._failures import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._base.credentials import Credentials
    from workspaces_apps._base.hooks import Hooks
    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps._http.config import ClientConfig
    from workspaces_apps.rollout import Manifest, Plan, Rollout

_NOT_IN_A_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Whom a command calls; what is None, AWS's standard resolution finds.

    Attributes:
        profile: `--profile`.
        region: `--region`.
        endpoint_url: `--endpoint-url`.
        allow_insecure_endpoint: `--allow-insecure-endpoint`.
        credentials: Whose calls they are; no option gives them, so that they stand in no shell's history.
        clock: Where time comes from, for the command as for its client.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    allow_insecure_endpoint: bool = False
    credentials: Credentials | None = None
    clock: Clock = field(default_factory=SystemClock)

    def client(self) -> WorkSpacesClient:
        """A client, not open yet."""
        from workspaces_apps._client.client import WorkSpacesClient

        return WorkSpacesClient(
            profile=self.profile,
            region=self.region,
            endpoint_url=self.endpoint_url,
            credentials=self.credentials,
            config=self._config(),
            clock=self.clock,
        )

    def _config(self) -> ClientConfig:
        from workspaces_apps._http.config import ClientConfig

        return ClientConfig(allow_insecure_endpoint=self.allow_insecure_endpoint)

    @asynccontextmanager
    async def rollout(self, manifest: Manifest | None, hooks: Hooks) -> AsyncGenerator[Rollout, None]:
        """A roll-out; its clients close with the block.

        Args:
            manifest: What names the targets; None: the one target that the options are for.
            hooks: Who is told of requests.
        """
        from workspaces_apps.rollout import Rollout

        if manifest is None:
            async with self.client() as client:
                yield Rollout(client, hooks=hooks, clock=self.clock)
        else:
            async with Rollout.open(
                manifest,
                profile=self.profile,
                region=self.region,
                endpoint_url=self.endpoint_url,
                credentials=self.credentials,
                config=self._config(),
                clock=self.clock,
                hooks=hooks,
            ) as rollout:
                yield rollout


def journal_path(given: str | None, name: str) -> str:
    """Return the journal that is meant: the one given, or that of the roll-out's name in this folder."""
    if given is not None:
        return given
    stem = _NOT_IN_A_FILE_NAME.sub("-", name).strip("-.")
    return f"{stem or 'rollout'}.journal"


def load_manifest(path: Path | None) -> Manifest | None:
    """The manifest, if one is given."""
    from workspaces_apps.rollout import Manifest

    return Manifest.load(path) if path is not None else None


def load_plan(path: Path | None) -> Plan | None:
    """The saved plan, if one is given."""
    from workspaces_apps.rollout import Plan, PlanError

    try:
        return Plan.load(path) if path is not None else None
    except PlanError as error:
        if str(path) in error.message:
            raise
        raise PlanError(f"{path}: {error.message}") from error


def check_targets(plan: Plan, manifest: Manifest | None) -> None:
    """Refuse a saved plan of several accounts or Regions without the manifest that says how to reach them.

    Raises:
        UsageError: It is one.
    """
    names = [target.name for target in plan.targets]
    if manifest is None and names != ["default"]:
        raise UsageError(
            f"the plan is for the target {', '.join(names)}: name the manifest too, which says how to reach it"
        )
