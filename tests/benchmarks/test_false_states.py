"""The proxy whose WorkSpace states are wrong."""

import pytest

from benchmarks.false_states import ENDED, HELD, VARIANTS, FalseStates, Seen
from benchmarks.fleet import FIXED, applications_of, client_of, lasting, simulator_of
from workspaces_apps.simulator import ManualClock


@pytest.mark.parametrize(
    "variant, age, state, shown",
    [
        ("as it is", 10, "UPDATING", "UPDATING"),
        ("UPDATING never shown", 10, "UPDATING", "AVAILABLE"),
        ("UPDATING shown 60 s late", 59, "UPDATING", "AVAILABLE"),
        ("UPDATING shown 60 s late", 60, "UPDATING", "UPDATING"),
        ("UPDATING shown 150 s late", 149, "UPDATING", "AVAILABLE"),
        ("UPDATING gone 120 s early", ENDED - 121, "UPDATING", "UPDATING"),
        ("UPDATING gone 120 s early", ENDED - 119, "UPDATING", "AVAILABLE"),
        ("UPDATING gone 60 s late", ENDED + 59, "AVAILABLE", "UPDATING"),
        ("UPDATING gone 60 s late", ENDED + 60, "AVAILABLE", "AVAILABLE"),
        ("a tenth held for an hour by somebody else", ENDED + HELD - 1, "AVAILABLE", "UPDATING"),
        ("a tenth held for an hour by somebody else", ENDED + HELD, "AVAILABLE", "AVAILABLE"),
        ("a third of the ids missing from each answer", 10, "UPDATING", None),
        ("UPDATING shown 150 s late", None, "STOPPED", "STOPPED"),
    ],
)
def test_each_variant_is_wrong_when_it_says(
    variant: str, age: float | None, state: str, shown: str | None
) -> None:
    """States are wrong from and until the moments that the variant's name tells."""
    assert VARIANTS[variant].falsify(Seen(state=state, age=age, tenth=True, chance=0.1)) == shown


async def test_a_client_is_shown_what_the_variant_makes_of_the_states_and_nothing_else() -> None:
    """Over HTTP the states are falsified, Deploys are counted, and the associations pass as they are."""
    clock = ManualClock(autojump=True)
    sim = simulator_of(2, clock, settings=lasting(*FIXED))
    async with sim, FalseStates(sim, clock) as front, client_of(sim, clock, url=front.url) as client:
        (application,) = applications_of(sim, 1)
        one, other = sim.fleet.workspace_ids
        await client.associate_workspace_application(workspace_id=one, application_id=application)
        await client.deploy_workspace_applications(workspace_id=one)
        truth = await client.describe_workspaces(workspace_ids=[one, other]).collect()
        front.falsify = VARIANTS["UPDATING never shown"].falsify
        lies = await client.describe_workspaces(workspace_ids=[one, other]).collect()
        rows = await client.describe_workspace_associations(
            workspace_id=one, associated_resource_types=["APPLICATION"]
        )
    assert [workspace.state for workspace in truth] == ["UPDATING", "AVAILABLE"]
    assert [workspace.state for workspace in lies] == ["AVAILABLE", "AVAILABLE"]
    assert [row.state for row in rows.associations] == ["INSTALLING"]
    assert front.deploys == {one: 1}
