"""The reads before anything begins: those whose turn comes later are read while the first ones begin."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.rollout.site import Site, manifest, site
from workspaces_apps._observe.observer import AssociationObserver
from workspaces_apps.rollout import Apply, Deployed, Finished, Intent, Skipped, Succeeded, WaveBegan
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


def later_reads(here: Site) -> list[int | None]:
    """The status of each read of 25 states."""
    return [
        request.status
        for request in here.sim.requests
        if request.operation == "DescribeWorkspaces"
        and isinstance(ids := (request.parameters or {}).get("WorkspaceIds"), list)
        and len(ids) == 25
    ]


@pytest.mark.parametrize("code", ["AccessDeniedException", "InternalServerException"])
async def test_states_that_cannot_be_read_later_stop_nobody(code: str) -> None:
    """Associations are there: whoever begins finds out for itself if its state matters. A denial is not asked for again."""
    async with site(FLEET, throttle=Throttle.at(2.0, 5)) as here:
        finished, succeeded, _ = await follow(
            here, lambda _: here.sim.faults.add("error", operation="DescribeWorkspaces", code=code, times=8)
        )
        refused = [status for status in later_reads(here) if status == 400]

    assert (finished.ending, succeeded) == ("complete", CHANGED)
    assert refused
    assert len(refused) == 1 or code != "AccessDeniedException"


@pytest.mark.parametrize("when", ["at once", "while something is deployed"])
async def test_no_states_are_read_for_those_that_will_not_begin(when: str) -> None:
    """After a drain they are skipped, and nobody waits for their states."""
    after: list[int] = []
    kind = Intent if when == "at once" else Deployed

    async with site(FLEET, throttle=Throttle.at(2.0, 5)) as here:
        plan = await here.rollout.plan(manifest(max_in_flight=FLEET))
        here.sim.requests.clear()
        skipped = succeeded = 0
        async with here.rollout.apply(plan) as run:
            async for event in run:
                if not after and isinstance(event, kind):
                    run.drain()
                    after.append(len(later_reads(here)))
                skipped += isinstance(event, Skipped)
                succeeded += isinstance(event, Succeeded)
            finished = await run.finished()
        reads = len(later_reads(here))

    assert finished.ending == "drained"
    assert succeeded + skipped == CHANGED
    assert skipped > CHANGED - 40
    # Those that were under way, side by side.
    assert reads - after[0] <= 4
    assert reads < CHANGED // 25


async def test_what_was_made_already_is_told_although_nothing_begins() -> None:
    """Also of those whose states were not read when the drain came: they are read, and nobody else's."""
    async with site(FLEET, throttle=Throttle.at(2.0, 5)) as here:
        old = await here.rollout.plan(manifest(max_in_flight=FLEET))
        assert (await here.carry_out(old))[0].ending == "complete"
        seen = succeeded = 0
        async with here.rollout.apply(old) as run:
            async for event in run:
                if isinstance(event, WaveBegan):
                    run.drain()
                succeeded += isinstance(event, Succeeded)
                seen += isinstance(event, Succeeded | Skipped)
            finished = await run.finished()

    assert finished.ending == "drained"
    assert (seen, succeeded) == (CHANGED, CHANGED)


async def test_a_mistake_of_ours_in_these_reads_ends_the_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not leave it waiting for what never comes."""
    read = AssociationObserver.read_states_if_allowed
    calls = 0

    async def broken(observer: AssociationObserver, *given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise RuntimeError("a mistake")
        return await read(observer, *given)

    async with site(FLEET) as here:
        monkeypatch.setattr(AssociationObserver, "read_states_if_allowed", broken)
        with pytest.raises(RuntimeError, match="a mistake"):
            await follow(here, lambda _: None)
