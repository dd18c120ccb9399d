"""A service that rolls applications out: plan, apply, follow, drain and report over HTTP.

With an AWS account, found as every AWS tool finds it (AWS_REGION, AWS_PROFILE, …), or with a simulator of its own:

    python examples/rollout_service.py --folder rollouts
    python examples/rollout_service.py --demo

/docs shows the calls. A roll-out is two files of the folder, its plan and its journal, and the service remembers nothing
else: however it ended, to apply the same plan again is to go on. It asks nobody who they are, so it listens on loopback
only; put what does ask in front of it.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from workspaces_apps import (
    ClientStateError,
    DeadlineExceededError,
    MalformedResponseError,
    ServiceError,
    ThrottlingException,
    TransportError,
    WorkSpacesClient,
    WorkSpacesError,
)
from workspaces_apps.rollout import (
    Action,
    Apply,
    Ending,
    Event,
    JournalError,
    JournalReader,
    Manifest,
    ManifestError,
    Mistake,
    Plan,
    PlanError,
    Report,
    Rollout,
    RolloutError,
)
from workspaces_apps.rollout.report import Outcome
from workspaces_apps.simulator import ScaledClock, Simulator

log = logging.getLogger("uvicorn.error")


class NotFoundError(RolloutError):
    """There is no such plan, or no such journal."""


# The HTTP status of an error; the nearest of its classes decides.
STATUSES: Final[Mapping[type, int]] = {
    NotFoundError: 404,
    JournalError: 409,
    PlanError: 409,
    ManifestError: 422,
    ServiceError: 502,
    MalformedResponseError: 502,
    TransportError: 502,
    ThrottlingException: 503,
    ClientStateError: 503,
    DeadlineExceededError: 504,
    WorkSpacesError: 500,
}


class Problem(BaseModel):
    """The body of every answer that tells of an error."""

    error: str
    message: str
    operation: str | None = None
    code: str | None = None
    request_id: str | None = None
    mistakes: tuple[Mistake, ...] = ()


class PlanSummary(BaseModel):
    """The changes that would be made. `plan` names the fleet that was read; apply asks for it."""

    plan: str
    workspaces: int
    counts: Mapping[Action, int]
    calls: int
    seconds: float
    warnings: tuple[str, ...]


class Standing(BaseModel):
    """The progress. `ending` is None while it goes on, and if it was killed."""

    running: bool
    ending: Ending | None
    changes: int
    counts: Mapping[Outcome, int]
    calls: int | None
    throttled: int | None
    applies: int


class Job:
    """An apply that goes on in the background."""

    def __init__(self, apply: Apply) -> None:
        self.apply = apply
        self.news = asyncio.Event()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None

    def tell(self) -> None:
        """Wake those who follow."""
        self.news.set()
        self.news = asyncio.Event()


class Rollouts:
    """The roll-outs of a folder, over one client."""

    def __init__(self, client: WorkSpacesClient, folder: Path) -> None:
        self._rollout = Rollout(client)
        self._folder = folder
        self._closing = False
        self.jobs: dict[str, Job] = {}

    def file(self, name: str, kind: Literal["plan", "journal"]) -> Path:
        """Where its plan or journal is, or will be."""
        return self._folder / f"{name}.{kind}"

    async def plan(self, name: str, manifest: Manifest) -> Plan:
        """Plan, and keep the plan in place of the one before."""
        if manifest.targets:
            rule = "this service is for one account and Region; leave the targets out"
            raise ManifestError([Mistake(key="targets", rule=rule)])
        plan = await self._rollout.plan(manifest, journal=self.file(name, "journal"))
        plan.save(self.file(name, "plan"))
        return plan

    async def start(self, name: str, plan: Plan) -> None:
        """Begin to apply a plan, or resume: its journal knows. Another apply of the journal is a JournalBusyError."""
        if self._closing:
            raise ClientStateError("the service is shutting down; apply again when it is back")
        job = Job(self._rollout.apply(plan, journal=self.file(name, "journal")))
        job.task = asyncio.create_task(self._run(name, job))
        await asyncio.shield(job.opened)

    async def _run(self, name: str, job: Job) -> None:
        try:
            async with job.apply as happening:
                self.jobs[name] = job
                job.opened.set_result(None)
                async for _ in happening:
                    job.tell()
        except WorkSpacesError as error:
            if not job.opened.done():
                job.opened.set_exception(error)
                return
            log.exception("the roll-out %s broke off", name)
        finally:
            if self.jobs.get(name) is job:
                del self.jobs[name]
            job.tell()

    async def follow(self, name: str) -> AsyncIterator[Event]:
        """Its journal from the beginning, and while it is applied what is added."""
        reader = JournalReader(self.file(name, "journal"))
        while True:
            # In hand before the journal is read: what is written meanwhile sets it.
            news = self.jobs[name].news if name in self.jobs else None
            for event in await asyncio.to_thread(reader.read):
                yield event
            if news is None:
                return
            await news.wait()

    async def close(self) -> None:
        """Stop every apply; its journal says so, and deployments that AWS has begun go on there."""
        self._closing = True
        for job in self.jobs.values():
            job.apply.stop()
        tasks = [job.task for job in self.jobs.values() if job.task]
        await asyncio.gather(*tasks, return_exceptions=True)


def rollouts_of(app: FastAPI) -> Rollouts:
    """The roll-outs that the application has opened."""
    found: Rollouts = app.state.rollouts
    return found


def the_rollouts(request: Request) -> Rollouts:
    """The same for a request."""
    return rollouts_of(request.app)


TheRollouts = Annotated[Rollouts, Depends(the_rollouts)]
Name = Annotated[str, InPath(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


def the_plan(rollouts: TheRollouts, name: Name) -> Plan:
    """The plan that was made last."""
    if not (path := rollouts.file(name, "plan")).exists():
        raise NotFoundError(f"there is no plan of {name}")
    return Plan.load(path)


def the_journal(rollouts: TheRollouts, name: Name) -> Path:
    """The journal, which the first apply begins."""
    if not (path := rollouts.file(name, "journal")).exists():
        raise NotFoundError(f"{name} was not applied yet")
    return path


ThePlan = Annotated[Plan, Depends(the_plan)]
TheJournal = Annotated[Path, Depends(the_journal)]
routes = APIRouter(prefix="/rollouts/{name}")


@routes.post("/plan")
async def make_plan(rollouts: TheRollouts, name: Name, manifest: Manifest) -> PlanSummary:
    """Say what a manifest would change; only reads."""
    plan = await rollouts.plan(name, manifest)
    return PlanSummary(
        plan=plan.fingerprint,
        workspaces=len(plan.pending),
        counts=plan.counts,
        calls=plan.estimate.calls,
        seconds=plan.estimate.seconds,
        warnings=plan.warnings,
    )


@routes.get("/plan")
def whole_plan(plan: ThePlan) -> Response:
    """The plan, WorkSpace by WorkSpace."""
    return Response(plan.to_json(), media_type="application/json")


@routes.post("/apply", status_code=202)
async def apply(rollouts: TheRollouts, name: Name, current: ThePlan, plan: str) -> Standing:
    """Apply the plan that was looked at, and no other; after a stop or a restart, go on with it."""
    if current.fingerprint != plan:
        raise PlanError(f"the plan is {current.fingerprint} now; look at it before you apply it")
    await rollouts.start(name, current)
    return await asyncio.to_thread(standing, rollouts, name, rollouts.file(name, "journal"))


@routes.post("/drain", status_code=202)
async def drain(rollouts: TheRollouts, name: Name, journal: TheJournal) -> Standing:
    """Begin no further WorkSpace, and let those that have begun end."""
    if name in rollouts.jobs:
        rollouts.jobs[name].apply.drain()
    return await asyncio.to_thread(standing, rollouts, name, journal)


@routes.post("/stop", status_code=202)
async def stop(rollouts: TheRollouts, name: Name, journal: TheJournal) -> Standing:
    """End at once; deployments that AWS has begun go on there."""
    if name in rollouts.jobs:
        rollouts.jobs[name].apply.stop()
    return await asyncio.to_thread(standing, rollouts, name, journal)


@routes.get("")
def standing(rollouts: TheRollouts, name: Name, journal: TheJournal) -> Standing:
    """The progress over all of its applies."""
    report = Report.from_journal(journal)
    return Standing(
        running=name in rollouts.jobs,
        ending=report.ending,
        changes=report.total,
        counts=report.counts,
        calls=report.calls,
        throttled=report.throttled,
        applies=len(report.runs),
    )


@routes.get("/events", response_class=EventSourceResponse, dependencies=[Depends(the_journal)])
async def events(
    rollouts: TheRollouts, name: Name, last_event_id: Annotated[int, Header(ge=0)] = 0
) -> AsyncIterable[ServerSentEvent]:
    """The journal as it grows, until the apply ends; who connects again gets what was missed."""
    number = 0
    async for event in rollouts.follow(name):
        number += 1
        if number > last_event_id:
            yield ServerSentEvent(data=event, event=event.kind, id=str(number))


@routes.get("/report")
def report(journal: TheJournal) -> Response:
    """The result, as `Report.json_schema` describes."""
    return Response(Report.from_journal(journal).to_json(), media_type="application/json")


@routes.get("/report.html")
def report_page(journal: TheJournal) -> HTMLResponse:
    """The same as a page."""
    return HTMLResponse(Report.from_journal(journal).to_html())


async def tell_error(request: Request, error: WorkSpacesError) -> JSONResponse:
    """Print the error that the library raised."""
    del request
    problem = Problem(
        error=type(error).__name__,
        message=str(error),
        operation=error.operation,
        code=error.code,
        request_id=error.request_id,
        mistakes=error.mistakes if isinstance(error, ManifestError) else (),
    )
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    return JSONResponse(problem.model_dump(exclude_defaults=True), status)


async def tell_mistakes(request: Request, error: RequestValidationError) -> JSONResponse:
    """All that is wrong with a request, as the library tells of a manifest."""
    mistakes = [Mistake(key=".".join(map(str, one["loc"][1:])), rule=one["msg"]) for one in error.errors()]
    return await tell_error(request, ManifestError(mistakes))


@contextlib.asynccontextmanager
async def open_client(folder: Path, demo: float | None) -> AsyncGenerator[WorkSpacesClient]:
    """The client for AWS, or for a simulator whose time runs `demo` times as fast."""
    if demo is None:
        async with WorkSpacesClient() as client:
            yield client
        return
    clock = ScaledClock(demo)
    async with (
        Simulator(workspaces=60, clock=clock, state_file=folder / "simulator.json") as sim,
        WorkSpacesClient(
            region=sim.region, endpoint_url=sim.url, credentials=sim.credentials, clock=clock
        ) as client,
    ):
        yield client


def make_app(folder: Path, demo: float | None = None) -> FastAPI:
    """The application; one client, for as long as it lives."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_client(folder, demo) as client:
            rollouts = Rollouts(client, folder)
            app.state.rollouts = rollouts
            try:
                yield
            finally:
                await rollouts.close()

    app = FastAPI(
        title="Roll-outs",
        lifespan=lifespan,
        exception_handlers={WorkSpacesError: tell_error, RequestValidationError: tell_mistakes},
    )
    app.include_router(routes)
    return app


class Server(uvicorn.Server):
    """Stops the applies before it waits for connections: a stream of events ends with its apply."""

    def __init__(self, app: FastAPI, port: int) -> None:
        super().__init__(uvicorn.Config(app, port=port))
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in order."""
        await rollouts_of(self._app).close()
        await super().shutdown(sockets)


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(description="Serve roll-outs of applications on Amazon WorkSpaces.")
    parser.add_argument("--folder", type=Path, default=Path("rollouts"), help="where plans and journals are")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument(
        "--demo", type=float, nargs="?", const=600.0, metavar="SPEED", help="a simulator instead of AWS"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    # uvicorn raises the signal once more when all is closed, and to be asked to end is no failure.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        Server(make_app(options.folder, options.demo), options.port).run()


if __name__ == "__main__":
    main()
