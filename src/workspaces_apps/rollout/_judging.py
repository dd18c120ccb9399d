"""Judgement over all targets of a manifest: which values of its selectors match nothing anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from workspaces_apps._client.client import WorkSpacesClient
from workspaces_apps.errors import WorkSpacesError
from workspaces_apps.rollout._log.events import bounded
from workspaces_apps.rollout._manifest.manifest import Manifest
from workspaces_apps.rollout._manifest.selectors import (
    Inventory,
    Named,
    Scope,
    UnmatchedValue,
    named_by,
    undecided,
    unmatched,
)
from workspaces_apps.rollout._plan.reading import facts_of, patiently, read_workspaces


async def judge(
    manifest: Manifest, inventories: Mapping[str, Inventory], clients: Mapping[str, WorkSpacesClient]
) -> tuple[list[UnmatchedValue], list[str]]:
    """Return what matches nothing, and warnings about what could not be found out.

    Where rules select by directory, bundle or id, only those WorkSpaces were read. A value that is not among them may
    stand elsewhere, so it is looked for: 25 ids a call, a call for each directory and bundle, and for users all of the
    target, once. Where everything matches, this makes no call.

    Args:
        manifest: What names the values.
        inventories: What was read of each target that could be read; it is added to.
        clients: Their clients.
    """
    named = [
        one
        for number, rule in enumerate(manifest.rules)
        for one in named_by(
            rule.name or f"rules[{number}]", rule.targets or manifest.target_names, rule.select
        )
    ]
    warnings: list[str] = []
    for target, suspects in undecided(named, inventories).items():
        try:
            await _look_for(suspects, inventories[target], clients[target])
        except WorkSpacesError as error:
            # They stay undecided, and what is not known to be missing is not called so.
            warnings.append(
                f"{target}: could not find out whether {suspects[0].value} exists: {bounded(str(error))}"
            )
    return unmatched(named, inventories), warnings


async def _look_for(suspects: Sequence[Named], inventory: Inventory, client: WorkSpacesClient) -> None:
    """Read what is needed to decide about values, and add it to the inventory."""

    def of(condition: str) -> frozenset[str]:
        return frozenset(one.value for one in suspects if one.condition == condition)

    if of("user_names"):
        # There is no filter by user alone; after this, everything is decided.
        for workspace in (await read_workspaces(client, Scope(everything=True))).values():
            inventory.add(workspace)
        inventory.scope = Scope(everything=True)
        return
    ids, directories, bundles = of("workspace_ids"), of("directory_ids"), of("bundle_ids")
    for workspace in (await read_workspaces(client, Scope(workspace_ids=ids))).values():
        inventory.add(workspace)
    # One WorkSpace of each is enough.
    for directory_id in sorted(directories):
        async for one in patiently(client.describe_workspaces(directory_id=directory_id, limit=1)):
            inventory.add(facts_of(one))
            break
    for bundle_id in sorted(bundles):
        async for one in patiently(client.describe_workspaces(bundle_id=bundle_id, limit=1)):
            inventory.add(facts_of(one))
            break
    inventory.scope = replace(
        inventory.scope,
        workspace_ids=inventory.scope.workspace_ids | ids,
        directory_ids=inventory.scope.directory_ids | directories,
        bundle_ids=inventory.scope.bundle_ids | bundles,
    )
