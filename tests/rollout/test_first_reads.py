"""The reads before anything begins: those whose turn comes later are read while the first ones begin."""

from collections.abc import Callable

import pytest

from tests.rollout.site import Site, manifest, site
from workspaces_apps._observe.observer import AssociationObserver
from workspaces_apps.rollout import Apply, Finished, Intent, Skipped, Succeeded
from workspaces_apps.simulator import Throttle

FLEET = 300
CHANGED = 225
"""Those of the fleet that can run the application."""


async def follow(here: Site, begun: Callable[[Apply], object]) -> tuple[Finished, int, int]:
    """Apply to the whole fleet, doing something as soon as the first intent is told; count successes and skips."""
    plan = await here.rollout.plan(manifest(max_in_flight=FLEET))
    assert len(plan.pending) == CHANGED
    here.sim.requests.clear()
    words = {Succeeded: 0, Skipped: 0}
    waits = True
    async with here.rollout.apply(plan) as run:
        async for event in run:
            if waits and isinstance(event, Intent):
                waits = False
                begun(run)
            for kind in words:
                words[kind] += isinstance(event, kind)
        finished = await run.finished()
    return finished, words[Succeeded], words[Skipped]


async def test_nothing_waits_for_what_comes_later() -> None:
    """Under the throttle all states take six seconds and more; the first write leaves sooner, and none before its own."""
    async with site(FLEET, throttle=Throttle.at(2.0, 5)) as here:
        finished, succeeded, _ = await follow(here, lambda _: None)
        requests = list(here.sim.requests)

    assert (finished.ending, succeeded) == ("complete", CHANGED)
    operations = [request.operation for request in requests]
    assert operations.index("AssociateWorkspaceApplication") < CHANGED // 25
    read: set[str] = set()
    for request in requests:
        parameters = request.parameters or {}
        if request.operation == "DescribeWorkspaces":
            ids = parameters["WorkspaceIds"]
            assert isinstance(ids, list)
            read.update(map(str, ids))
        elif request.operation == "AssociateWorkspaceApplication":
            assert parameters["WorkspaceId"] in read
    assert here.deployments() == dict.fromkeys(here.deployments(), 1)


async def test_states_that_cannot_be_read_later_stop_nobody() -> None:
    """Associations are there: whoever begins finds out for itself if its state matters."""
    async with site(FLEET, throttle=Throttle.at(2.0, 5)) as here:
        finished, succeeded, _ = await follow(
            here,
            lambda _: here.sim.faults.add(
                "error", operation="DescribeWorkspaces", code="AccessDeniedException"
            ),
        )

    assert (finished.ending, succeeded) == ("complete", CHANGED)


async def test_whose_state_was_not_read_yet_is_skipped_after_a_drain() -> None:
    """The reads are given up; nobody is waited for who will not begin."""
    async with site(FLEET, throttle=Throttle.at(2.0, 5)) as here:
        finished, succeeded, skipped = await follow(here, lambda run: run.drain())
        reads = here.sim.requests.count(operation="DescribeWorkspaces")

    assert finished.ending == "drained"
    assert succeeded + skipped == CHANGED
    assert skipped > CHANGED - 40
    assert reads < 40


async def test_a_mistake_of_ours_in_these_reads_ends_the_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not leave it waiting for what never comes."""

    async def broken(*_: object, **__: object) -> dict[str, None]:
        raise RuntimeError("a mistake")

    async with site(FLEET) as here:
        monkeypatch.setattr(AssociationObserver, "read_states", broken)
        monkeypatch.setattr(AssociationObserver, "_read_states_if_allowed", broken_not)
        with pytest.raises(RuntimeError, match="a mistake"):
            await follow(here, lambda _: None)


async def broken_not(*_: object) -> None:
    """Read no states, as where that is not allowed."""
