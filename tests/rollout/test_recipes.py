"""The recipes of docs/recipes.md, each run as it stands against a fleet for which it was written."""

import re
import tomllib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.rollout.site import OFFICE, VISIO, Site, connection_to, site
from workspaces_apps import WorkSpacesClient
from workspaces_apps.rollout import Deployed, Event, Finished, Manifest, Plan, Rollout

DOCUMENT = Path(__file__).parents[2] / "docs" / "recipes.md"
RECIPES = dict(
    re.findall(r"<!-- recipe: (\S+) -->\n```toml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
)
OLD = ("Microsoft Office Professional Plus 2016", "Microsoft Office Professional Plus 2019")
NEW = "Microsoft Office LTSC Professional Plus 2024"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A recipe that was carried out."""

    plan: Plan
    result: Finished
    events: list[Event]

    def order(self) -> list[str]:
        """The WorkSpaces in the order of their deployments."""
        return [event.workspace_id for event in self.events if isinstance(event, Deployed)]


@asynccontextmanager
async def fleet() -> AsyncGenerator[Site, None]:
    """A fleet without WorkSpaces, in two Regions."""
    async with site(other_regions=("eu-west-1",)) as here:
        yield here


async def carried_out(here: Site, name: str, folder: Path) -> Done:
    """Load the recipe from a file, plan and apply it."""
    (folder / "fleet.toml").write_text(RECIPES[name], encoding="utf-8")
    plan = await here.rollout.plan(Manifest.load(folder / "fleet.toml"))
    result, events = await here.carry_out(plan)
    return Done(plan=plan, result=result, events=events)


def names_on(here: Site, workspace_id: str) -> set[str]:
    """Return the names of the applications on a WorkSpace."""
    known = {here.sim.fleet.application(name): name for name in (*OLD, NEW, OFFICE, VISIO)}
    found = here.sim.fleet.associations(workspace_id)
    return {known[one] for one, state in found.items() if str(state) == "COMPLETED"}


def put(here: Site, workspace_id: str, *names: str) -> None:
    """Let a WorkSpace have applications."""
    for name in names:
        here.sim.fleet.set_association(workspace_id, here.sim.fleet.application(name), "COMPLETED")


def test_every_recipe_is_a_manifest_and_has_a_test() -> None:
    """A recipe that nobody runs may be wrong."""
    source = Path(__file__).read_text("utf-8")

    assert len(RECIPES) == 7
    assert all(f'"{name}"' in source for name in RECIPES)
    assert all(tomllib.loads(text)["name"] for text in RECIPES.values())


async def test_old_office_is_replaced_in_one_deployment(tmp_path: Path) -> None:
    """Each WorkSpace is deployed once, whichever version it had."""
    async with fleet() as here:
        ids = here.sim.fleet.add_workspaces(3, operating_system="WINDOWS_11")
        for one, name in zip(ids, (*OLD, OFFICE), strict=True):
            put(here, one, name)
        done = await carried_out(here, "replace", tmp_path)

        assert done.result.ending == "complete"
        assert [names_on(here, one) for one in ids] == [{NEW}] * 3
        assert set(here.deployments().values()) == {1}


async def test_licence_included_office_goes_for_the_users_of_a_list(tmp_path: Path) -> None:
    """Those of the list only; the licences that go are counted, with what they cost."""
    async with fleet() as here:
        ids = here.sim.fleet.add_workspaces(2, operating_system="WINDOWS_11")
        for one, user in zip(ids, ("anna", "bert"), strict=True):
            here.sim.fleet.workspace(one).user_name = user
            put(here, one, OFFICE, VISIO)
        (tmp_path / "users.csv").write_text("UserName,Mail\nAnna,a@example.org\n")
        done = await carried_out(here, "microsoft-365", tmp_path)

        assert (done.result.ending, [names_on(here, one) for one in ids]) == (
            "complete",
            [set(), {OFFICE, VISIO}],
        )
        assert [str(one.monthly_difference) for one in done.plan.licences] == ["-15", "None"]


async def test_the_first_ring_goes_first(tmp_path: Path) -> None:
    """The canary is ring 0, whatever the order of ids is."""
    async with fleet() as here:
        rings = [
            here.sim.fleet.add_workspaces(2, operating_system="WINDOWS_11", tags={"Ring": one})
            for one in "210"
        ]
        here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_11")
        done = await carried_out(here, "ring", tmp_path)

        assert (done.result.ending, len(done.order())) == ("complete", 6)
        assert set(done.order()[:2]) == set(rings[2])


async def test_deployments_begin_at_night_where_the_users_are(tmp_path: Path) -> None:
    """Berlin by its own nights, Boston by its own; both are done in the end."""
    async with fleet() as here:
        (boston,) = here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_11", tags={"Site": "Boston"})
        (other,) = here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_11")
        done = await carried_out(here, "nights", tmp_path)
        at = {event.workspace_id: event.at for event in done.events if isinstance(event, Deployed)}

        # The clock begins at 08:00 UTC on a Monday in January.
        monday = datetime(2026, 1, 5, tzinfo=UTC)
        assert done.result.ending == "complete"
        assert timedelta(hours=20) <= at[other] - monday < timedelta(hours=29)
        assert timedelta(hours=27) <= at[boston] - monday < timedelta(hours=34)


async def test_stopped_desktops_are_deployed_as_they_are(tmp_path: Path) -> None:
    """AutoStop ones only, and no AlwaysOn one."""
    async with fleet() as here:
        stopped = here.sim.fleet.add_workspaces(2, operating_system="WINDOWS_11", state="STOPPED")
        (on,) = here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_11", running_mode="ALWAYS_ON")
        done = await carried_out(here, "autostop", tmp_path)

        assert done.result.ending == "complete"
        assert [names_on(here, one) for one in (*stopped, on)] == [{OFFICE}, {OFFICE}, set()]


async def test_the_golden_workspace_is_brought_into_its_state(tmp_path: Path) -> None:
    """It alone."""
    async with fleet() as here:
        (golden,) = here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_11", tags={"Role": "golden"})
        (other,) = here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_11")
        put(here, golden, VISIO)
        done = await carried_out(here, "golden-image", tmp_path)

        assert done.result.ending == "complete"
        assert [names_on(here, one) for one in (golden, other)] == [{OFFICE}, set()]


async def test_each_target_gets_what_is_for_it(tmp_path: Path) -> None:
    """Office in both Regions, Visio in Ireland."""
    async with fleet() as here:
        ireland = here.sim.fleet_of(here.sim.account_id, "eu-west-1")
        (near,) = here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_11")
        (far,) = ireland.add_workspaces(1, operating_system="WINDOWS_11")
        options = connection_to(here.sim)
        options["region"] = "eu-west-1"
        async with WorkSpacesClient(**options) as client:
            rollout = Rollout({"virginia": here.client, "ireland": client}, clock=here.clock)
            plan = await rollout.plan(Manifest.from_data(tomllib.loads(RECIPES["accounts"])))
            async with rollout.apply(plan) as events:
                result = await events.finished()

        assert result.ending == "complete"
        assert names_on(here, near) == {OFFICE}
        assert len(ireland.associations(far)) == 2
        assert [(one.name, one.region) for one in plan.targets] == [
            ("ireland", "eu-west-1"),
            ("virginia", "us-east-1"),
        ]
