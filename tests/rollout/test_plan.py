"""Plans: what they say about a fleet, what reading it costs, and what can be done with them."""

import dataclasses
import json
import tomllib
from datetime import timedelta
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from tests.rollout.site import LARGE, OFFICE, OTHER_EDITION, VISIO, manifest, site
from workspaces_apps.errors import ServiceError
from workspaces_apps.rollout import Manifest, ManifestError, Plan, PlanError, Reason
from workspaces_apps.rollout._plan.plan import DEPLOYMENT_SECONDS
from workspaces_apps.simulator import SimulatorSettings, Span, Throttle


@pytest.mark.parametrize(
    "state,present,action,reason",
    [
        (None, True, "install", None),
        ("PENDING_INSTALL_DEPLOYMENT", True, "install", None),
        ("INSTALLING", True, "install", None),
        ("COMPLETED", True, "nothing", None),
        ("PENDING_UNINSTALL_DEPLOYMENT", True, "install", None),
        ("UNINSTALLING", True, "install", None),
        ("REMOVED", True, "install", None),
        ("ERROR", True, "retry", None),
        ("UNHEARD_OF", True, "blocked", Reason.UNKNOWN),
        (None, False, "nothing", None),
        ("PENDING_INSTALL_DEPLOYMENT", False, "uninstall", None),
        ("INSTALLING", False, "uninstall", None),
        ("COMPLETED", False, "uninstall", None),
        ("PENDING_UNINSTALL_DEPLOYMENT", False, "uninstall", None),
        ("UNINSTALLING", False, "uninstall", None),
        ("REMOVED", False, "nothing", None),
        ("ERROR", False, "retry", None),
    ],
)
async def test_each_state_has_its_action(
    state: str | None, present: bool, action: str, reason: str | None
) -> None:
    """One WorkSpace, one application, every state, both wishes."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        if state is not None:
            here.sim.fleet.set_association(one, here.sim.fleet.application(OFFICE), state)  # type: ignore[arg-type]  # one of them is unknown on purpose
        asked = manifest(present=[OFFICE] if present else [], absent=[] if present else [OFFICE])
        (change,) = (await here.rollout.plan(asked)).workspaces[0].changes

        assert (change.action, change.reason) == (action, reason)
        assert change.direction == ("install" if present else "uninstall")


@pytest.mark.parametrize(
    "kind,application,reason",
    [
        ({"operating_system": "UBUNTU_22_04"}, OFFICE, Reason.OPERATING_SYSTEM),
        ({"operating_system": "WINDOWS_SERVER_2019"}, LARGE, Reason.OPERATING_SYSTEM),
        ({"compute": "STANDARD"}, LARGE, Reason.COMPUTE_TYPE),
        ({"compute": "VALUE"}, OFFICE, Reason.COMPUTE_TYPE),
        ({"state": "SUSPENDED"}, OFFICE, Reason.WORKSPACE_STATE),
        ({}, "Microsoft Office Standard 2019", Reason.UNINSTALL_ONLY),
        ({}, "Contoso VPN Client 9", Reason.NOT_OFFERED),
    ],
)
async def test_what_cannot_be_is_blocked_with_its_reason(
    kind: dict[str, str], application: str, reason: Reason
) -> None:
    """By what the WorkSpace and the application are; the simulator would refuse each of these too."""
    async with site() as here:
        here.sim.fleet.add_workspaces(
            1,
            operating_system=kind.get("operating_system", "WINDOWS_SERVER_2022"),
            compute=kind.get("compute", "PERFORMANCE"),
            state=kind.get("state", "AVAILABLE"),
        )
        plan = await here.rollout.plan(manifest([application]))
        (change,) = plan.workspaces[0].changes

        assert (change.action, change.reason) == ("blocked", reason)
        assert change.message
        assert plan.exit_code == 0


async def test_conflicts_are_blocked_unless_the_other_goes() -> None:
    """One edition across Office and Visio; with the other on its way out there is no clash."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        here.sim.fleet.set_association(one, here.sim.fleet.application(OTHER_EDITION), "COMPLETED")
        clash = await here.rollout.plan(manifest())
        fine = await here.rollout.plan(manifest(absent=[OTHER_EDITION]))

        blocked = clash.workspaces[0].changes[0]
        assert blocked.reason == Reason.CONFLICT
        assert (blocked.message or "").endswith(
            f'; it would be beside {OTHER_EDITION}; absent = ["{OTHER_EDITION}"] would remove it in the same deployment'
        )
        assert fine.counts == {"install": 1, "uninstall": 1}


async def test_what_a_plan_says_against_a_conflict_works_although_two_are_called_alike() -> None:
    """The advice is a line of the manifest, which names an application by its id where its name would mean several."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        other = here.sim.fleet.application(OTHER_EDITION)
        here.sim.fleet.set_association(one, other, "COMPLETED")
        store = here.sim.fleet.store
        known = store.applications[other]
        alike = dataclasses.replace(known, id="wsa-77777777a", sequence=known.sequence + 10_000)
        store.applications.add(alike.id, alike.sequence, alike)
        clash = await here.rollout.plan(manifest())
        message = clash.workspaces[0].changes[0].message or ""
        advice = message.rpartition("; ")[2].partition(" would ")[0]
        fine = await here.rollout.plan(manifest(absent=tomllib.loads(advice)["absent"]))

        assert advice == f'absent = ["{other}"]'
        assert fine.counts == {"install": 1, "uninstall": 1}


async def test_foreign_staged_changes_block_unless_allowed() -> None:
    """The plan shows them; only the policy lets them through."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        large = here.sim.fleet.application(LARGE)
        here.sim.fleet.set_association(one, large, "PENDING_INSTALL_DEPLOYMENT")
        refused = await here.rollout.plan(manifest())
        allowed = await here.rollout.plan(manifest(allow_foreign_staged=True))

        assert refused.workspaces[0].changes[0].reason == Reason.FOREIGN_STAGED
        assert allowed.counts == {"install": 1}
        for plan in (refused, allowed):
            assert [foreign.application_id for foreign in plan.workspaces[0].foreign] == [large]


async def test_rules_that_contradict_each_other_block() -> None:
    """Present by one rule and absent by another: nothing is done there, and the rest goes on."""
    async with site() as here:
        (one, other) = here.sim.fleet.add_workspaces(2)
        asked = Manifest.from_data(
            {
                "name": "x",
                "rules": [
                    {"select": {"everything": True}, "present": [OFFICE, VISIO]},
                    {"select": {"workspace_ids": one}, "absent": [OFFICE]},
                ],
            }
        )
        plan = await here.rollout.plan(asked)
        found = {
            (workspace.workspace_id, change.application_id): change.reason or change.action
            for workspace in plan.workspaces
            for change in workspace.changes
        }
        office, visio = here.sim.fleet.application(OFFICE), here.sim.fleet.application(VISIO)

        assert found == {
            (one, office): Reason.CONTRADICTION,
            (one, visio): "install",
            (other, office): "install",
            (other, visio): "install",
        }


async def test_a_contradiction_names_its_rules() -> None:
    """By name, or by number where they have none."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        select = {"everything": True}
        asked = Manifest.from_data(
            {
                "name": "x",
                "rules": [
                    {"select": select, "present": [OFFICE]},
                    {"select": select, "present": [OFFICE]},
                    {"select": select, "absent": [OFFICE], "name": "licences"},
                    {"select": select, "present": [OFFICE]},
                ],
            }
        )
        plan = await here.rollout.plan(asked)
    (change,) = plan.workspaces[0].changes

    assert change.reason == "contradiction"
    assert change.message == "rules[0] and licences: one wants it present, the other absent"


async def test_thousands_of_rules_are_planned_in_seconds() -> None:
    """Each for a WorkSpace of its own that does not exist: a few are named, the others counted, and no time is lost."""
    rules = [{"select": {"workspace_ids": f"ws-{number:09}"}, "present": [OFFICE]} for number in range(5000)]
    async with site() as here:
        began = process_time()
        plan = await here.rollout.plan(Manifest.from_data({"name": "x", "rules": rules}))
        spent = process_time() - began

    assert spent < 20
    assert len(plan.warnings) == 12
    assert "4990 more rules select no WorkSpace" in plan.warnings[10]


async def test_hours_are_part_of_what_a_plan_expects() -> None:
    """The work as such, and beside it the time in which the policy allows none."""
    async with site() as here:
        here.sim.fleet.add_workspaces(4)
        now = here.clock.now()
        later = {"time_zone": "UTC", "start": f"{now + timedelta(hours=3):%H:%M}", "end": f"{now:%H:%M}"}
        plain = await here.rollout.plan(manifest())
        waits = await here.rollout.plan(manifest(hours=[later]))
        skips = await here.rollout.plan(manifest(hours=[later], outside_hours="skip"))

    assert plain.estimate.closed_seconds == skips.estimate.closed_seconds == 0
    assert waits.estimate.seconds == plain.estimate.seconds
    assert 3 * 3600 - 60 <= waits.estimate.closed_seconds <= 3 * 3600


async def test_unresolved_applications_are_all_named_with_candidates() -> None:
    """Ambiguous and unknown ones, before anything is planned."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        asked = manifest(["Office 2021", {"name": "Ofice LTSC Standard 2021"}, "wsa-00000000"], [OFFICE])
        with pytest.raises(ManifestError) as caught:
            await here.rollout.plan(asked)
        mistakes = {mistake.key: mistake.rule for mistake in caught.value.mistakes}

        assert mistakes.keys() == {"rules[0].present[0]", "rules[0].present[1]", "rules[0].present[2]"}
        assert "may mean any of" in mistakes["rules[0].present[0]"]
        assert OFFICE in mistakes["rules[0].present[0]"]
        assert "Microsoft Office LTSC Standard 2021" in mistakes["rules[0].present[1]"]


async def test_what_turns_out_to_be_wrong_is_told_with_its_place_in_the_file(tmp_path: Path) -> None:
    """Of a manifest from a file: the file, and the line where the format tells."""
    path = tmp_path / "fleet.json"
    rule = {"select": {"everything": True}, "present": ["No such thing"], "absent": []}
    path.write_text(json.dumps({"name": "test", "rules": [rule]}))
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        with pytest.raises(ManifestError) as caught:
            await here.rollout.plan(Manifest.load(path))

    assert [mistake.file for mistake in caught.value.mistakes] == [str(path)]
    assert Manifest.load(path) == Manifest.from_data({"name": "test", "rules": [rule]})


async def test_one_application_by_two_names_is_a_contradiction() -> None:
    """Present by its name and absent by its id."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        asked = manifest([OFFICE], [here.sim.fleet.application(OFFICE)])

        with pytest.raises(ManifestError, match="present and absent"):
            await here.rollout.plan(asked)


async def test_suspicious_manifests_get_warnings() -> None:
    """A rule that selects nothing, ids that do not exist, an empty fleet."""
    async with site() as here:
        empty = await here.rollout.plan(manifest())
        here.sim.fleet.add_workspaces(1)
        nobody = await here.rollout.plan(manifest(select={"user_names": "nobody"}))
        missing = await here.rollout.plan(manifest(select={"workspace_ids": ["ws-00000000"]}))

        assert any("there are no WorkSpaces" in warning for warning in empty.warnings)
        assert any("rules[0] selects no WorkSpace" in warning for warning in nobody.warnings)
        assert any("there is no WorkSpace ws-00000000" in warning for warning in missing.warnings)
        assert any('no WorkSpace of the user "nobody"' in warning for warning in nobody.warnings)
        assert (empty.exit_code, nobody.exit_code, missing.exit_code) == (0, 2, 2)


async def test_a_removal_whose_replacement_is_blocked_is_warned_of() -> None:
    """Visio goes, and Office cannot come: the user would be left with neither."""
    async with site() as here:
        here.sim.fleet.add_workspaces(2)
        (losing,) = here.sim.fleet.add_workspaces(1, operating_system="WINDOWS_SERVER_2019")
        for one in here.sim.fleet.workspace_ids:
            here.sim.fleet.set_association(one, here.sim.fleet.application(VISIO), "COMPLETED")
        plan = await here.rollout.plan(manifest([LARGE], [VISIO]))
        kept = await here.rollout.plan(manifest([LARGE]))

    actions = {one.workspace_id: sorted(change.action for change in one.changes) for one in plan.workspaces}
    assert actions.pop(losing) == ["blocked", "uninstall"]
    assert list(actions.values()) == [["install", "uninstall"]] * 2
    assert plan.warnings == (
        f"default: something is removed where what should be installed is blocked, on {losing}",
    )
    assert kept.warnings == ()


async def test_a_workspace_that_does_not_exist_is_no_success() -> None:
    """A typo in a night job: the plan, the status and the apply tell, whatever else there was to do."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        typo = manifest(select={"workspace_ids": ["ws-00000000"]})
        both = manifest(select={"workspace_ids": ["ws-00000000", one]})
        nothing, some = await here.rollout.plan(typo), await here.rollout.plan(both)
        status = await here.rollout.status(typo)
        results = [(await here.carry_out(plan))[0] for plan in (nothing, some)]
        again = Plan.from_json(nothing.to_json())

        assert nothing.targets[0].not_found == again.targets[0].not_found == ("ws-00000000",)
        assert (nothing.exit_code, again.exit_code, some.exit_code, status.exit_code) == (2, 2, 2, 2)
        for result in results:
            assert result.ending == "incomplete"
            assert result.message == "rules[0]: there is no WorkSpace ws-00000000"
        assert here.states(OFFICE, [one]) == {"COMPLETED": 1}


async def test_a_plan_of_an_earlier_release_is_read() -> None:
    """It does not tell which WorkSpaces do not exist."""
    async with site() as here:
        plan = await here.rollout.plan(manifest())
        data = json.loads(plan.to_json())
        for target in data["targets"]:
            del target["not_found"]

        assert Plan.from_json(json.dumps(data)) == plan


async def test_reading_costs_pages_not_workspaces() -> None:
    """A call for 25 WorkSpaces, and for each application of the catalogue what its pages take."""
    async with site(100, associations_per_workspace=2) as here:
        plan = await here.rollout.plan(manifest())
        applications = len(here.sim.fleet.application_ids)
        associations = sum(len(here.sim.fleet.associations(one)) for one in here.sim.fleet)
        counts = {name: here.sim.requests.count(name) for name in ("DescribeWorkspaces", "DescribeTags")}

        assert len(plan.workspaces) == 100
        assert plan.targets[0].calls == len(here.sim.requests)
        assert counts == {"DescribeWorkspaces": 4, "DescribeTags": 0}
        assert len(here.sim.requests) <= 4 + associations / 25 + applications + 1
        assert here.sim.requests.count("DescribeWorkspaceAssociations") == 0


async def test_a_few_workspaces_by_id_are_read_one_by_one() -> None:
    """That is cheaper than paging through the catalogue's associations."""
    async with site(100) as here:
        ids = here.sim.fleet.workspace_ids[:3]
        plan = await here.rollout.plan(manifest(select={"workspace_ids": ids}))

        assert len(plan.workspaces) == 3
        assert here.sim.requests.count("DescribeWorkspaceAssociations") == 3
        assert here.sim.requests.count("DescribeApplicationAssociations") == 0


async def test_a_workspace_whose_associations_cannot_be_read_is_blocked_alone() -> None:
    """The others are planned; the plan names it as an error, and where none can be read, it is none."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3)
        wanted = manifest(select={"workspace_ids": ids})
        here.sim.faults.add("internal_error", operation="DescribeWorkspaceAssociations", workspace_id=ids[1])
        plan = await here.rollout.plan(wanted)
        status = await here.rollout.status(wanted)
        changes = {one.workspace_id: one.changes[0] for one in plan.workspaces}

        assert [changes[one].action for one in ids] == ["install", "blocked", "install"]
        assert (changes[ids[1]].reason, changes[ids[1]].state) == (Reason.UNKNOWN, "UNKNOWN")
        assert "InternalServerException" in str(changes[ids[1]].message)
        assert (plan.errors, plan.exit_code) == (
            (f"default: not everything about {ids[1]} can be read",),
            1,
        )
        assert status.exit_code == 1
        here.sim.faults.add("internal_error", operation="DescribeWorkspaceAssociations")
        with pytest.raises(ServiceError):
            await here.rollout.plan(wanted)


@pytest.mark.parametrize(
    "select,policy,operation",
    [
        ({"tags": {"ring": "pilot"}}, {}, "DescribeTags"),
        ({"everything": True}, {"order_by": {"key": "ring", "values": ["pilot"]}}, "DescribeTags"),
        ({"never_connected": True}, {}, "DescribeWorkspacesConnectionStatus"),
    ],
)
async def test_a_workspace_of_which_it_cannot_be_told_if_a_rule_is_for_it_is_blocked(
    select: dict[str, object], policy: dict[str, Any], operation: str
) -> None:
    """Neither planned nor forgotten: the rule may be for it."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3, tags={"ring": "pilot"})
        for one in ids:
            here.sim.fleet.workspace(one).last_connection = None
        here.sim.faults.add("error", operation=operation, workspace_id=ids[1], code="ValidationException")
        plan = await here.rollout.plan(manifest(select=select, **policy))
        changes = {one.workspace_id: one.changes[0] for one in plan.workspaces}

        assert [changes[one].action for one in ids] == ["install", "blocked", "install"]
        assert (changes[ids[1]].reason, plan.exit_code) == (Reason.UNKNOWN, 1)
        assert "ValidationException" in str(changes[ids[1]].message)


async def test_tags_are_asked_for_only_where_they_decide() -> None:
    """Tags that other conditions make superfluous cost no call."""
    async with site() as here:
        fits = here.sim.fleet.add_workspaces(2, tags={"Ring": "pilot"})
        here.sim.fleet.add_workspaces(1, tags={"Ring": "broad"})
        here.sim.fleet.add_workspaces(5, tags={"Ring": "pilot"}, operating_system="UBUNTU_22_04")
        select = {"tags": {"Ring": "pilot"}, "operating_systems": ["WINDOWS_SERVER_2022"]}
        plan = await here.rollout.plan(manifest(select=select))

        assert {workspace.workspace_id for workspace in plan.workspaces} == set(fits)
        assert here.sim.requests.count("DescribeTags") == 3


async def test_the_order_of_a_tag_is_the_order_of_the_plan() -> None:
    """Pilots first; whoever has no such tag last."""
    async with site() as here:
        last = here.sim.fleet.add_workspaces(1)
        second = here.sim.fleet.add_workspaces(1, tags={"Ring": "early"})
        first = here.sim.fleet.add_workspaces(1, tags={"Ring": "pilot"})
        order = {"key": "Ring", "values": ["pilot", "early"]}
        plan = await here.rollout.plan(manifest(order_by_tag=order))

        assert [workspace.workspace_id for workspace in plan.workspaces] == [*first, *second, *last]


async def test_connected_users_are_shown() -> None:
    """A call for 25 WorkSpaces that would change, and only when asked."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3)
        for one in ids:
            here.sim.fleet.workspace(one).connected = one == ids[1]
        plan = await here.rollout.plan(manifest(show_connected=True))

        assert [workspace.connected for workspace in plan.workspaces] == [False, True, False]
        assert here.sim.requests.count("DescribeWorkspacesConnectionStatus") == 1


async def test_plans_are_saved_shown_again_and_compared(tmp_path: Path) -> None:
    """Nothing is lost in a file; a newer plan tells what is different."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(3)
        office = here.sim.fleet.application(OFFICE)
        plan = await here.rollout.plan(manifest(canary="10%"))
        plan.save(tmp_path / "plan.json")
        here.sim.fleet.set_association(ids[0], office, "COMPLETED")
        here.sim.fleet.add_workspaces(1)
        newer = await here.rollout.plan(manifest(canary="10%"))
        difference = plan.diff(newer)

        assert Plan.load(tmp_path / "plan.json") == plan
        assert Plan.load(tmp_path / "plan.json").fingerprint == plan.fingerprint != newer.fingerprint
        assert (plan.exit_code, len(difference.added), len(difference.removed)) == (2, 1, 0)
        assert difference.changed.keys() == {("default", ids[0], office)}
        assert not plan.diff(plan)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1}', "null"])
def test_what_is_no_plan_is_refused(text: str, tmp_path: Path) -> None:
    """One line, without a traceback of the parser's."""
    with pytest.raises(PlanError, match="not a saved plan"):
        Plan.from_json(text)
    with pytest.raises(PlanError, match="cannot read"):
        Plan.load(tmp_path)


@pytest.mark.parametrize(
    "path, value, message",
    [
        (("name",), "", "name: String should have at least 1 character"),
        (("name",), "a\nb", r"name: holds the control character U\+000A"),
        (("workspaces", 0, "target"), "eu", r"workspaces\[0\]: the plan has no target eu"),
        (("workspaces", 0, "workspace_id"), "hello", r"workspaces\[0\]: hello is no id of a WorkSpace, such as ws-"),
        (("workspaces", 1), 0, r"workspaces\[1\]: ws-\w+ of the target default is there twice"),
        (("workspaces", 0, "changes", 0, "direction"), "uninstall", r"changes\[0\]: an install has the direction install, not uninstall"),
        (("workspaces", 0, "changes", 0, "direction"), None, r"changes\[0\]: an install has the direction install, not None"),
        (("workspaces", 0, "changes", 0, "application_id"), "hello", r"changes\[0\]: hello is no id of an application, such as wsa-"),
        (("workspaces", 0, "changes", 1), 0, r"workspaces\[0\]\.changes\[1\]: wsa-\w+ is there twice"),
    ],
)  # fmt: skip
async def test_a_plan_that_was_edited_into_a_contradiction_is_refused(
    path: tuple[str | int, ...], value: object, message: str
) -> None:
    """An apply does as the plan shows: the place that is wrong is named, before anything is sent."""
    async with site(2) as here:
        data = json.loads((await here.rollout.plan(manifest())).to_json())
        Plan.from_json(json.dumps(data))
        *way, last = path
        place = data
        for step in way:
            place = place[step]
        if isinstance(last, int):
            # A copy of another entry.
            place.insert(last, place[value])
        else:
            place[last] = value
        before = len(here.sim.requests)

        with pytest.raises(PlanError, match=f"not a saved plan: .*{message}"):
            Plan.from_json(json.dumps(data))
        assert len(here.sim.requests) == before


async def test_a_plan_of_another_format_is_refused() -> None:
    """The message says which format this release reads."""
    async with site() as here:
        plan = await here.rollout.plan(manifest())
        with pytest.raises(PlanError, match="format 4; this release reads 1, 2 and 3"):
            Plan.from_json(dataclasses.replace(plan, format=4).to_json())


async def test_a_plan_for_another_target_is_refused() -> None:
    """There must be a client for each target with changes."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        plan = await here.rollout.plan(manifest())
        moved = dataclasses.replace(
            plan,
            workspaces=tuple(
                dataclasses.replace(one, target=name) for one in plan.workspaces for name in ("mars", "venus")
            ),
        )
        with pytest.raises(PlanError, match="mars, venus"):
            here.rollout.apply(moved)


async def test_an_answer_that_cannot_be_read_is_asked_for_again() -> None:
    """A reading of many pages does not end with the first answer that is none."""
    async with site(60) as here:
        here.sim.faults.add("not_json", operation="DescribeWorkspaces", times=2)
        here.sim.faults.add("truncated", operation="DescribeApplicationAssociations", times=2)
        plan = await here.rollout.plan(manifest())

        assert len(plan.workspaces) == 60


async def test_a_missing_permission_is_the_plan_s_error() -> None:
    """With one target there is nothing to plan: the service's own error is raised."""
    async with site(1) as here:
        here.sim.faults.add("error", operation="DescribeWorkspaces", code="AccessDeniedException")

        with pytest.raises(ServiceError, match="AccessDeniedException"):
            await here.rollout.plan(manifest())


async def test_the_estimate_is_about_right() -> None:
    """Calls within a fifth and time within a fifth of what the apply then takes."""
    async with site(throttle=Throttle()) as here:
        here.sim.fleet.add_workspaces(60)
        plan = await here.rollout.plan(manifest())
        settings = here.sim.settings
        assert settings.install_duration.high < plan.estimate.deployment_seconds
        result, _ = await here.carry_out(plan)

        # The simulated deployments are shorter than the ones that were assumed.
        assert plan.estimate.rate_is_learned
        assert plan.estimate.rate_of == "DescribeApplicationAssociations"
        assert "DescribeApplicationAssociations" in plan.estimate.rate_in_words
        assert 0.8 * result.calls <= plan.estimate.calls
        assert plan.estimate.seconds >= result.elapsed


@pytest.mark.parametrize(
    "workspaces, policy",
    [
        (33, {}),
        (33, {"canary": "5%"}),
        (200, {"canary": "5%", "max_in_flight": 50}),
        (400, {"max_in_flight": 40}),
    ],
)
async def test_the_calls_are_estimated_within_a_sixth(workspaces: int, policy: dict[str, Any]) -> None:
    """Where deployments take as long as is assumed, whatever the waves and the ceiling are."""
    deployment = Span(DEPLOYMENT_SECONDS, DEPLOYMENT_SECONDS)
    settings = SimulatorSettings(pending_delay=Span(0, 0), install_duration=deployment)
    async with site(throttle=Throttle(), settings=settings) as here:
        here.sim.fleet.add_workspaces(workspaces)
        plan = await here.rollout.plan(manifest(**policy))
        result, _ = await here.carry_out(plan)

        assert plan.estimate.calls == pytest.approx(result.calls, rel=1 / 6)


async def test_an_assumed_rate_is_called_so() -> None:
    """Nothing was throttled while the plan was made."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        estimate = (await here.rollout.plan(manifest())).estimate

        assert (estimate.rate_is_learned, estimate.rate_of) == (False, None)
        assert estimate.rate_in_words == "2.0 calls/s of each operation, which is assumed"


async def test_status_tells_how_far_a_fleet_is_from_its_manifest() -> None:
    """As wanted, missing, unwanted, staged, in progress and failed, with an exit code."""
    async with site() as here:
        ids = here.sim.fleet.add_workspaces(5)
        office, visio = here.sim.fleet.application(OFFICE), here.sim.fleet.application(VISIO)
        here.sim.fleet.set_association(ids[0], office, "COMPLETED")
        here.sim.fleet.set_association(ids[1], office, "ERROR")
        here.sim.fleet.set_association(ids[2], office, "INSTALLING")
        here.sim.fleet.set_association(ids[3], office, "PENDING_INSTALL_DEPLOYMENT")
        here.sim.fleet.set_association(ids[0], visio, "COMPLETED")
        status = await here.rollout.status(manifest(absent=[VISIO]))

        assert status.counts == {
            "in-sync": 5,
            "unwanted": 1,
            "error": 1,
            "in-progress": 1,
            "staged": 1,
            "missing": 1,
        }
        assert status.exit_code == 2
        assert len(status.drifted) == 5


async def test_watching_sees_drift_come_and_go() -> None:
    """A reading each interval, until nobody asks any more."""
    async with site() as here:
        (one,) = here.sim.fleet.add_workspaces(1)
        office = here.sim.fleet.application(OFFICE)
        codes: list[int] = []
        began = here.clock.monotonic()
        watching = here.rollout.watch(manifest(), interval=30)
        async for status in watching:
            codes.append(status.exit_code)
            here.sim.fleet.set_association(one, office, "COMPLETED" if len(codes) == 1 else None)
            if len(codes) == 3:
                break

        assert codes == [2, 0, 2]
        assert here.clock.monotonic() - began >= 60


async def test_only_the_directories_and_bundles_that_are_selected_are_read() -> None:
    """One filter a call, which is all that DescribeWorkspaces takes; nothing is counted twice."""
    async with site(100) as here:
        fleet = here.sim.fleet
        directory, bundle = fleet.directory_ids[2], fleet.bundle_ids[0]
        select = {"any_of": [{"directory_ids": directory}, {"bundle_ids": [bundle]}]}
        plan = await here.rollout.plan(manifest(select=select))
        wanted = {
            one
            for one in fleet
            if fleet.workspace(one).directory_id == directory or fleet.workspace(one).bundle_id == bundle
        }

        assert {workspace.workspace_id for workspace in plan.workspaces} == wanted
        assert plan.targets[0].workspaces == len(wanted) < 100


async def test_the_hours_of_a_workspace_are_those_that_fit_it_first() -> None:
    """By tags as well; the plan keeps which entry it is."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1, tags={"Site": "Tokyo"})
        here.sim.fleet.add_workspaces(1)
        night = {"start": "22:00", "end": "06:00"}
        hours = [
            {"time_zone": "Asia/Tokyo", **night, "select": {"tags": {"Site": "Tokyo"}}},
            {"time_zone": "UTC", **night},
        ]
        plan = await here.rollout.plan(manifest(hours=hours))

        assert [workspace.hours for workspace in plan.workspaces] == [0, 1]


async def test_a_status_of_what_cannot_be_read_is_an_error() -> None:
    """Exit code 1 goes before 2: nobody knows whether it is in sync."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1)
        status = await here.rollout.status(manifest())
        reading = dataclasses.replace(status.plan.targets[0], error="unreachable")
        unknown = dataclasses.replace(status, plan=dataclasses.replace(status.plan, targets=(reading,)))

        assert (status.exit_code, unknown.exit_code) == (2, 1)
