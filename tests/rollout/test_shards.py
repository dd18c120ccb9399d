"""Shards: a manifest and a plan cut by target, and what their parts add up to."""

import pytest

from tests.rollout.site import OFFICE, manifest, site
from workspaces_apps.rollout import Manifest, ManifestError, Plan, PlanError, Rollout
from workspaces_apps.rollout._plan.plan import _shares  # pyright: ignore[reportPrivateUsage]


def of_two(**policy: object) -> Manifest:
    """A manifest of two targets, with a rule for both and one for each."""
    everything = {"select": {"everything": True}, "present": [OFFICE]}
    return Manifest.from_data(
        {
            "name": "test",
            "targets": [{"name": "eu", "region": "eu-west-1"}, {"name": "us", "region": "us-east-1"}],
            "rules": [everything, *({**everything, "targets": [name]} for name in ("eu", "us"))],
            "policy": policy,
        }
    )


async def planned(**policy: object) -> Plan:
    """A plan of 10 WorkSpaces here and 5 there."""
    async with site(10) as here, site(5, seed=8) as there:
        return await Rollout({"eu": here.client, "us": there.client}).plan(of_two(**policy))


def test_a_manifest_for_some_targets_has_their_rules() -> None:
    """And says which targets there are, where one is not among them."""
    part = of_two().only("us")
    assert part.target_names == ("us",)
    assert [rule.targets for rule in part.rules] == [None, ("us",)]
    assert of_two().only("eu", "us") == of_two()
    with pytest.raises(ManifestError, match="there is no target ap; there are eu, us"):
        of_two().only("ap")
    with pytest.raises(ManifestError, match="name at least one"):
        of_two().only()
    assert manifest().only("default") == manifest()


async def test_the_parts_of_a_plan_add_up_to_it() -> None:
    """Its WorkSpaces, and its failure budget, whether a count or a share."""
    for budget in (4, "30%"):
        plan = await planned(failure_budget=budget)
        eu, us = plan.split()
        assert (eu, us) == (plan.only("eu"), plan.only("us"))
        assert eu.workspaces + us.workspaces == plan.workspaces
        assert [part.targets[0].name for part in (eu, us)] == ["eu", "us"]
        parts = [one.policy.failure_budget.of(len(one.pending)) for one in (eu, us)]
        assert sum(parts) == plan.policy.failure_budget.of(len(plan.pending))
        assert Plan.from_json(eu.to_json()) == eu
        assert plan.only("us", "eu") is plan
    with pytest.raises(PlanError, match="no target ap; there are eu, us"):
        plan.only("ap")


def test_a_budget_is_shared_without_rest() -> None:
    """In proportion; nothing to do needs none."""
    assert _shares(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert _shares(1, {"a": 10, "b": 0}) == {"a": 1, "b": 0}
    assert _shares(3, {"a": 0, "b": 0}) == {"a": 0, "b": 0}
