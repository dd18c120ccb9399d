"""List the application catalogue: the first page, every item of every page, and what runs where.

Run it as it is: `python examples/list_catalogue.py`. It brings its own simulator and needs no AWS account.
"""

import asyncio
from collections import Counter

from workspaces_apps import OperatingSystemName, WorkSpacesClient
from workspaces_apps.simulator import Simulator


async def list_catalogue(ws: WorkSpacesClient) -> None:
    """Print what the account can install."""
    # Awaited, a listing is its first page.
    page = await ws.describe_applications(max_results=5)
    print(f"The first page has {len(page.applications)} applications (request {page.meta.request_id}).")

    # Iterated, it is every item of every page; it is complete, or it raises.
    print("\nOffered by AWS for Windows 11:")
    listing = ws.describe_applications(
        owner="AMAZON", operating_system_names=[OperatingSystemName.WINDOWS_11], max_results=5
    )
    async for application in listing:
        # Nearly everything in an answer may be absent: the service promises little.
        print(f"  {application.application_id}  {application.name or '(no name)'}")

    # Collected, it is a list.
    everything = await ws.describe_applications().collect()
    print("\nIn which state they are:")
    for state, count in Counter(application.state for application in everything).most_common():
        print(f"  {count:3}  {state}")


async def main() -> None:
    """Do it against a simulator; with AWS it is `WorkSpacesClient(region="eu-west-1")`, and nothing else."""
    async with (
        Simulator() as sim,
        WorkSpacesClient(region=sim.region, endpoint_url=sim.url, credentials=sim.credentials) as ws,
    ):
        await list_catalogue(ws)


if __name__ == "__main__":
    asyncio.run(main())
