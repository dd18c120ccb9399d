"""The cost of planning a large fleet: a process of its own, against a simulator without a throttle; JSON in, JSON out."""

import asyncio
import resource

from benchmarks.fleet import SUITE, answer, given, manifest
from benchmarks.packages import Json, Package
from benchmarks.tables import Goal, Row, number
from workspaces_apps import ClientConfig, Credentials, Pacing, WorkSpacesClient
from workspaces_apps.rollout import Rollout
from workspaces_apps.simulator import Simulator


def measure_plan(packages: list[Package], workspaces: int) -> list[Row]:
    """Three applications on so many WorkSpaces, planned by each package against the working tree's simulator."""
    calls: dict[str, float] = {}
    cpu: dict[str, float] = {}
    memory: dict[str, float] = {}
    with Simulator.in_thread(workspaces=workspaces, associations_per_workspace=2, throttle=None) as sim:
        keys, fleet = sim.credentials, sim.fleet
        associations = sum(len(fleet.associations(one)) for one in fleet)
        allowed = workspaces / 25 + associations / 25 + len(fleet.application_ids)
        asked = {
            "url": sim.url,
            "region": sim.region,
            "key": keys.access_key_id,
            "secret": keys.secret_access_key,
        }
        for package in packages:
            sim.requests.clear()
            found = package.run("rollout_plan", asked)
            if found["planned"] != workspaces:
                raise SystemExit(f"the plan covers {found['planned']} of {workspaces} WorkSpaces")
            calls[package.name] = len(sim.requests) / allowed
            cpu[package.name], memory[package.name] = number(found, "cpu"), number(found, "memory")
    return [
        Row(what="calls ÷ (pages of 25 + applications)", values=calls, goal=Goal(most=1.05), form=".2f"),
        Row(what="processor time of the client, s", values=cpu, goal=Goal(most=5.0), form=".1f"),
        Row(what="memory of the client, MB", values=memory, goal=Goal(most=200.0), form=".0f"),
    ]


async def plan(asked: dict[str, Json]) -> dict[str, Json]:
    """Plan; processor seconds, megabytes, and how many WorkSpaces the plan has."""
    client = WorkSpacesClient(
        region=str(asked["region"]),
        endpoint_url=str(asked["url"]),
        credentials=Credentials(str(asked["key"]), str(asked["secret"])),
        config=ClientConfig(pacing=Pacing.off()),
    )
    async with client:
        made = await Rollout(client).plan(manifest([*SUITE], 100))
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss / 1024,
        "planned": len(made.workspaces),
    }


if __name__ == "__main__":
    answer(asyncio.run(plan(given())))
