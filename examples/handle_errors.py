"""Handle every kind of error: what each means, and what a program can do about it.

Everything that the package raises on purpose is a `WorkSpacesError`. A simulator makes each kind happen here.

Run it as it is: `python examples/handle_errors.py`. It brings its own simulator and needs no AWS account.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

from workspaces_apps import (
    ClientStateError,
    ConfigurationError,
    Credentials,
    CredentialsError,
    DeadlineExceededError,
    DeploymentFailedError,
    MalformedResponseError,
    PaginationError,
    PartialFailureError,
    RequestValidationError,
    ResourceNotFoundException,
    RetryPolicy,
    ServiceError,
    ThrottlingException,
    TransportError,
    WaiterError,
    WaiterTimeoutError,
    WorkSpacesClient,
    WorkSpacesError,
)
from workspaces_apps.api import StartRequest
from workspaces_apps.simulator import ManualClock, Simulator


def advice(error: WorkSpacesError) -> str:
    """Advice for an error. A special kind stands before the general one that it belongs to."""
    match error:
        case RequestValidationError():
            return f"nothing was sent; mend {', '.join(problem.member for problem in error.problems)}"
        case ConfigurationError() | ClientStateError():
            return "a mistake in the program or its settings; trying again cannot help"
        case CredentialsError():
            return "log in again, or mend the provider"
        case ThrottlingException():
            return f"it was repeated already, {error.attempts} requests in all; come back later"
        case ResourceNotFoundException():
            return f"{error.resource_id} is gone, or never was"
        case ServiceError():
            return f"the service refused with HTTP {error.http_status} and code {error.code}"
        case DeadlineExceededError():
            return "it took longer than the caller wanted to wait; it may still happen"
        case TransportError():
            sent = {True: "was sent", False: "was never sent", None: "may have been sent"}
            return f"no answer; the request {sent[error.request_sent]}"
        case MalformedResponseError():
            return f"something else than the service answered, perhaps a proxy: {error.raw[:15]!r}"
        case PaginationError():
            return "the listing is incomplete; what came before the error is still good"
        case PartialFailureError():
            return f"{len(error.failed)} of the batch failed; look at each"
        case DeploymentFailedError():
            reasons = ", ".join(f"{one.application_id}: {one.code}" for one in error.failed)
            return f"tell the user, or try again with force=True ({reasons})"
        case WaiterTimeoutError():
            return f"go on waiting, or look into it; {error.polls} looks so far"
        case WaiterError():
            return "what is waited for cannot happen; read the message"
        case _:
            return "a kind that a newer version of the package brought"


@contextmanager
def handled() -> Generator[None]:
    """Go on after an error, as a program with more work to do would."""
    try:
        yield
    except WorkSpacesError as error:
        print(f"{type(error).__name__}: {error}\n    {advice(error)}")


class LockedVault:
    """A credentials provider that has none."""

    async def get_credentials(self) -> Credentials:
        """Fail, as a vault does that nobody has unlocked."""
        raise PermissionError("the vault is locked")


async def before_anything_is_sent(ws: WorkSpacesClient) -> None:
    """Mistakes that the package finds by itself."""
    with handled():
        WorkSpacesClient(region="eu-west-1", endpoint_url="http://workspaces.example.com")
    with handled():
        async with WorkSpacesClient(region="eu-west-1", credentials=LockedVault()) as locked_out:
            await locked_out.describe_workspaces()
    closed = WorkSpacesClient(region="eu-west-1")
    await closed.aclose()
    with handled():
        await closed.describe_workspaces()
    with handled():
        await ws.deploy_workspace_applications(workspace_id="i-0123456789")


async def one_call(sim: Simulator, ws: WorkSpacesClient) -> None:
    """The possible outcomes of one call."""
    with handled():
        await ws.deploy_workspace_applications(workspace_id="ws-000000000")
    with handled():
        started = await ws.start_workspaces(
            start_workspace_requests=[StartRequest(workspace_id="ws-000000000")]
        )
        started.raise_for_failures()
    sim.faults.add("throttle", times=2)
    with handled():
        await ws.with_options(retry=RetryPolicy(max_attempts=2)).describe_workspaces()
    once = ws.with_options(retry=RetryPolicy(max_attempts=1))
    sim.faults.add("unavailable_html", times=1)
    with handled():
        await once.describe_workspaces()
    sim.faults.add("reset_before", times=1)
    with handled():
        await once.describe_workspaces()
    sim.faults.add("not_json", times=1)
    with handled():
        await once.describe_workspaces()
    sim.faults.add("slow", times=1, delay=60)
    with handled():
        await once.with_options(timeout=timedelta(seconds=20)).describe_workspaces()
    sim.faults.add("repeated_token", skip=1, times=1)
    with handled():
        await once.describe_applications(max_results=5).collect()


async def a_deployment(sim: Simulator, ws: WorkSpacesClient) -> None:
    """The possible outcomes of an installation."""
    application_id = sim.fleet.application("Office LTSC Professional 2021")
    (workspace_id,) = sim.fleet.compatible(application_id)
    sim.faults.add("deployment_error", times=1, reason="ValidationError.InsufficientDiskSpace")
    await ws.associate_workspace_application(workspace_id=workspace_id, application_id=application_id)
    with handled():
        # Still only staged: somebody forgot to deploy.
        await ws.wait_until_deployed(workspace_id)
    await ws.deploy_workspace_applications(workspace_id=workspace_id)
    with handled():
        await ws.wait_until_deployed(workspace_id, timeout=timedelta(minutes=2))
    with handled():
        await ws.wait_until_deployed(workspace_id, wanted={application_id: "installed"})


async def main() -> None:
    """Do it against a simulator whose time jumps to the next thing that happens, for the client too."""
    async with (
        Simulator(clock=ManualClock(autojump=True)) as sim,
        WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=sim.clock
        ) as ws,
    ):
        await before_anything_is_sent(ws)
        await one_call(sim, ws)
        await a_deployment(sim, ws)


if __name__ == "__main__":
    asyncio.run(main())
