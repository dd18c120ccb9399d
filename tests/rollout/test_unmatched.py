"""Values of selectors that match nothing: told one by one, over all targets, and part of every exit code."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.rollout.site import OFFICE, Site, connection_to, site
from workspaces_apps import WorkSpacesClient
from workspaces_apps.rollout import Manifest, Report, Rollout, UnmatchedValue


def wanted(*selects: Mapping[str, object], targets: Sequence[str] | None = None) -> Manifest:
    """A manifest with a rule for each selector."""
    rules: list[dict[str, Any]] = [{"select": dict(one), "present": [OFFICE]} for one in selects]
    names = [{"name": one} for one in targets or ()]
    return Manifest.from_data({"name": "test", "targets": names, "rules": rules})


@asynccontextmanager
async def people() -> AsyncGenerator[tuple[Site, list[str]], None]:
    """Three desktops with users and rings, in two directories."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3, operating_system="WINDOWS_11")
        for one, name, ring in zip(ids, ("anna.alt", "bert.bach", "Carla.Cruz"), "112", strict=True):
            here.sim.fleet.workspace(one).user_name = name
            here.sim.fleet.workspace(one).tags["Ring"] = ring
        yield here, ids


def told(values: Sequence[UnmatchedValue]) -> list[tuple[str, str]]:
    """The conditions and values."""
    return [(one.condition, one.value) for one in values]


@pytest.mark.parametrize(
    "select,missing",
    [
        ({"user_names": ["anna.alt", "bert.bahc", "carla.cruz"]}, [("user_names", "bert.bahc")]),
        ({"workspace_ids": ["ws-00000000"]}, [("workspace_ids", "ws-00000000")]),
        ({"directory_ids": ["d-0000000000"]}, [("directory_ids", "d-0000000000")]),
        ({"bundle_ids": ["wsb-000000000"]}, [("bundle_ids", "wsb-000000000")]),
        ({"tags": {"Rign": "1"}}, [("tag_keys", "Rign")]),
        ({"tags": {"Ring": ["1", "9"]}}, [("tag_values", "Ring = 9")]),
        (
            {"user_names": ["anna.alt"], "none_of": [{"user_names": ["nobody"]}]},
            [("user_names", "nobody")],
        ),
    ],
)
async def test_each_value_that_matches_nothing_is_told(
    select: dict[str, object], missing: list[tuple[str, str]]
) -> None:
    """Values are told by condition, also in `none_of`; plan and status exit with 2, and the apply is incomplete."""
    async with people() as (here, _):
        plan = await here.rollout.plan(wanted(select))
        status = await here.rollout.status(wanted(select))
        result, events = await here.carry_out(plan)
        again = (await here.rollout.plan(wanted(select))).exit_code

        assert told(plan.unmatched) == missing
        assert (status.exit_code, result.ending, again) == (2, "incomplete", 2)
        assert missing[0][1] in result.message
        assert Report.from_events(events).unmatched == plan.not_found


async def test_what_is_meant_to_be_empty_changes_no_ending() -> None:
    """With `allow_empty` it is told all the same."""
    async with people() as (here, _):
        asked = wanted({"user_names": ["anna.alt", "left.us"]})
        plan = await here.rollout.plan(asked, allow_empty=True)
        result, _ = await here.carry_out(plan)
        status = await here.rollout.status(asked, allow_empty=True)

        assert told(plan.unmatched) == [("user_names", "left.us")]
        assert any("left.us" in warning for warning in plan.warnings)
        assert (result.ending, status.exit_code) == ("complete", 0)


@pytest.mark.parametrize(
    "select,near",
    [
        ({"user_names": ["BERT.BAHC"]}, ("bert.bach",)),
        ({"tags": {"ring": "1"}}, ("Ring",)),
        ({"tags": {"Ring": "11"}}, ("1", "2")),
    ],
)
async def test_what_may_be_meant_is_named(select: dict[str, object], near: tuple[str, ...]) -> None:
    """A suggestion names what is spelt alike, or all values of a tag that has few."""
    async with people() as (here, _):
        plan = await here.rollout.plan(wanted(select))

        assert plan.unmatched[0].near == near
        assert f"did you mean {' or '.join(near)}?" in plan.not_found[0]


async def test_a_value_that_matches_alone_is_found_whatever_else_is_asked() -> None:
    """The user and the WorkSpace are in another directory than the one that the rule reads."""
    async with people() as (here, ids):
        (other,) = here.sim.fleet.add_workspaces(1, directory_id=here.sim.fleet.directory_ids[1])
        directory = here.sim.fleet.workspace(other).directory_id
        plan = await here.rollout.plan(
            wanted(
                {"directory_ids": directory, "user_names": "anna.alt", "none_of": [{"workspace_ids": ids[1]}]}
            )
        )

        assert plan.unmatched == ()
        assert any("selects no WorkSpace" in warning for warning in plan.warnings)


async def test_kinds_that_nothing_has_only_warn() -> None:
    """Compute types, operating systems and running modes are the API's words: the fleet may have none today."""
    async with people() as (here, _):
        plan = await here.rollout.plan(wanted({"compute_types": ["GRAPHICS"], "running_modes": ["MANUAL"]}))

        assert told(plan.unmatched) == [("compute_types", "GRAPHICS"), ("running_modes", "MANUAL")]
        assert (plan.exit_code, plan.not_found) == (0, ())


async def test_what_one_target_has_is_not_missing_in_the_other() -> None:
    """Ids of two Regions in one rule: each is looked for in both, and one call of the second reading finds it."""
    async with site(other_regions=["eu-west-1"]) as here:
        (near,) = here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_11")
        (far,) = here.sim.fleet_of(here.sim.account_id, "eu-west-1").add_workspaces(
            1, operating_system="WINDOWS_11"
        )
        elsewhere = connection_to(here.sim)
        elsewhere["region"] = "eu-west-1"
        async with WorkSpacesClient(**elsewhere) as other:
            rollout = Rollout({"near": here.client, "far": other}, clock=here.clock)
            plan = await rollout.plan(
                wanted({"workspace_ids": [near, far, "ws-00000000"]}, targets=["near", "far"])
            )

        assert told(plan.unmatched) == [("workspace_ids", "ws-00000000")]
        assert [target.not_found for target in plan.targets] == [("ws-00000000",)] * 2


async def test_nothing_is_read_twice_where_everything_matches() -> None:
    """The judgement costs no call then."""
    async with people() as (here, ids):
        before = here.sim.requests.count()
        await here.rollout.plan(wanted({"workspace_ids": ids}))

        assert here.sim.requests.count() - before == 1 + 1 + len(ids)
