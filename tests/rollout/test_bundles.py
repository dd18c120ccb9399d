"""Bundles that bring other applications than the rules of the WorkSpaces made from them want."""

from collections.abc import Sequence

from tests.rollout.site import OFFICE, VISIO, Site, manifest, site
from workspaces_apps.api.workspaces import Workspace
from workspaces_apps.rollout import BundleDrift, Status
from workspaces_apps.types import RECORDS

READS = ("DescribeBundleAssociations", "DescribeWorkspaceBundles")


async def of_windows(here: Site) -> list[Workspace]:
    """The WorkSpaces that have a bundle which brings Office, and others on Windows 10."""
    return [
        one
        async for one in here.client.describe_workspaces()
        if one.workspace_properties is not None
        and one.workspace_properties.operating_system_name == "WINDOWS_10"
    ]


def bundles_of(workspaces: Sequence[Workspace]) -> dict[str, int]:
    """Count WorkSpaces by bundle."""
    found: dict[str, int] = {}
    for one in workspaces:
        assert one.bundle_id is not None
        found[one.bundle_id] = found.get(one.bundle_id, 0) + 1
    return found


def by_id(status: Status) -> dict[str, BundleDrift]:
    """The bundles that differ."""
    assert status.bundles is not None
    return {one.bundle_id: one for one in status.bundles}


async def test_status_tells_which_bundles_differ_from_the_rules() -> None:
    """Those that lack what is wanted, and those that bring what is not; with names, image and how many it concerns."""
    async with site(40) as here:
        expected = bundles_of(await of_windows(here))
        office, visio = (here.sim.fleet.application(one) for one in (OFFICE, VISIO))
        asked = manifest(present=[VISIO], absent=[OFFICE], select={"operating_systems": ["WINDOWS_10"]})
        here.sim.requests.clear()
        status = await here.rollout.status(asked, bundles=True)
        calls = [here.sim.requests.count(one) for one in READS]
        without = await here.rollout.status(asked)

        found = by_id(status)
        assert {one: drift.workspaces for one, drift in found.items()} == expected
        assert len(found) == 2
        assert all(dict(one.missing) == {visio: VISIO} for one in found.values())
        assert sorted(dict(one.unwanted) == {office: OFFICE} for one in found.values()) == [False, True]
        assert {one.name for one in found.values()} == {
            "Office 2021 with Windows 10",
            "Performance with Windows 10",
        }
        assert all(str(one.image_id).startswith("wsi-") for one in found.values())
        assert calls == [2, 1]
        assert (without.bundles, [here.sim.requests.count(one) for one in READS]) == (None, calls)
        assert BundleDrift in RECORDS


async def test_bundles_that_differ_are_drift() -> None:
    """A fleet that is in sync, of a bundle that is not: exit code 2, because the next rebuilt desktop is not."""
    async with site(40) as here:
        bundles = list(bundles_of(await of_windows(here)))
        asked = manifest(absent=[OFFICE], present=[], select={"bundle_ids": bundles})
        await here.carry_out(await here.rollout.plan(asked))
        plain, status = await here.rollout.status(asked), await here.rollout.status(asked, bundles=True)

        assert (plain.exit_code, plain.drifted) == (0, ())
        assert (status.exit_code, [one.name for one in by_id(status).values()]) == (
            2,
            ["Office 2021 with Windows 10"],
        )


async def test_what_rules_do_not_want_everywhere_is_no_drift_of_the_bundle() -> None:
    """An application for some of its WorkSpaces cannot be brought by the bundle."""
    async with site() as here:
        first, *_ = here.sim.fleet.add_workspaces(3, operating_system="WINDOWS_11")
        some = manifest(present=[OFFICE], select={"workspace_ids": [first]})
        everywhere = manifest(present=[OFFICE])
        both = some.model_copy(update={"rules": (*some.rules, *manifest(present=[VISIO]).rules)})

        (drift,) = by_id(await here.rollout.status(everywhere, bundles=True)).values()
        assert (list(drift.missing.values()), drift.workspaces) == ([OFFICE], 3)
        (drift,) = by_id(await here.rollout.status(both, bundles=True)).values()
        assert list(drift.missing.values()) == [VISIO]
