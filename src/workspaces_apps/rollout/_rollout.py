"""`Rollout`: plan, apply, and see how a fleet stands."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from workspaces_apps._base.clock import Clock, Duration, SystemClock, to_seconds
from workspaces_apps._base.credentials import Credentials, CredentialsProvider
from workspaces_apps._base.hooks import Hooks
from workspaces_apps._base.public import public
from workspaces_apps._client.client import WorkSpacesClient
from workspaces_apps._http.config import ClientConfig
from workspaces_apps.errors import ConfigurationError, WorkSpacesError
from workspaces_apps.rollout._apply import Apply, ApplyOptions
from workspaces_apps.rollout._controller.metrics import CallMetrics
from workspaces_apps.rollout._errors import ManifestError, Mistake, PlanError
from workspaces_apps.rollout._journal.stores import AnyJournal, locate
from workspaces_apps.rollout._log.events import bounded
from workspaces_apps.rollout._log.history import RunHistory
from workspaces_apps.rollout._manifest.manifest import DEFAULT_TARGET, Manifest
from workspaces_apps.rollout._manifest.targets import open_targets
from workspaces_apps.rollout._notice import BeforeDeploy
from workspaces_apps.rollout._plan.estimate import estimate
from workspaces_apps.rollout._plan.plan import Plan, PlannedWorkspace, TargetReading
from workspaces_apps.rollout._plan.planner import TargetPlan, plan_target
from workspaces_apps.rollout._status import Status


@public("workspaces_apps.rollout")
class Rollout:
    """Rolls applications out over a fleet.

        async with WorkSpacesClient() as client:
            rollout = Rollout(client)
            plan = await rollout.plan(Manifest.load("office.toml"), journal="office.journal")
            async with rollout.apply(plan, journal="office.journal") as events:
                async for event in events:
                    ...

    Args:
        client: The client; or, for a manifest with targets, a client for each of their names. They stay open.
        clock: Where time comes from; None: the clock of the client.
        hooks: Who is told of attempts, retries and throttles; None: the hooks of the client.
    """

    def __init__(
        self,
        client: WorkSpacesClient | Mapping[str, WorkSpacesClient],
        *,
        clock: Clock | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        clients = client if isinstance(client, Mapping) else {DEFAULT_TARGET: client}
        if not clients:
            raise ConfigurationError("a roll-out needs a client")
        self._single = not isinstance(client, Mapping)
        self._metrics = {name: CallMetrics(one, hooks or one.hooks) for name, one in clients.items()}
        self._clock = clock if clock is not None else next(iter(clients.values())).clock

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        manifest: Manifest,
        *,
        region: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        credentials: Credentials | CredentialsProvider | None = None,
        config: ClientConfig | None = None,
        clock: Clock | None = None,
        hooks: Hooks = Hooks(),  # noqa: B008 - frozen
    ) -> AsyncGenerator[Self, None]:
        """A roll-out with a client for each target of a manifest; they close with the block.

        The arguments are those of `targets.open_targets`, and `hooks`.
        """
        async with open_targets(
            manifest,
            region=region,
            profile=profile,
            endpoint_url=endpoint_url,
            credentials=credentials,
            config=config,
            clock=clock,
        ) as clients:
            yield cls(clients, clock=clock if clock is not None else SystemClock(), hooks=hooks)

    async def plan(self, manifest: Manifest, *, journal: AnyJournal | None = None) -> Plan:
        """Say what would happen; only reads.

        Where a target cannot be read, the plan says so in `errors`, and covers the others.

        Args:
            manifest: What is wanted.
            journal: The journal of earlier applies, for the directions and retries that only it knows; it need not
                exist. The path of its file, or a store, which knows it by the manifest's name.

        Raises:
            ManifestError: It names targets or applications that do not exist; it lists all of them.
            JournalError: The journal cannot be read, or is that of another roll-out.
            WorkSpacesError: No target could be read; of several errors the first.
        """
        if isinstance(manifest, str | Path):
            raise ManifestError(
                [Mistake(key="", rule=f"plan() takes a Manifest: Manifest.load({str(manifest)!r})")]
            )
        names = self._targets_of(manifest)
        past = await locate(journal, manifest.name).past_of(manifest.name) if journal is not None else ()
        history = RunHistory(past)
        answers = await asyncio.gather(
            *(self._plan_target(manifest, name, history) for name in names), return_exceptions=True
        )
        mistakes: list[Mistake] = []
        errors: list[WorkSpacesError] = []
        readings: list[TargetReading] = []
        workspaces: list[PlannedWorkspace] = []
        warnings: list[str] = []
        for name, answer in zip(names, answers, strict=True):
            match answer:
                case TargetPlan():
                    readings.append(answer.reading)
                    workspaces += answer.workspaces
                    warnings += answer.warnings
                case ManifestError(mistakes=found):
                    mistakes += found
                case WorkSpacesError():
                    errors.append(answer)
                    readings.append(TargetReading(name=name, error=bounded(str(answer))))
                case BaseException():
                    raise answer
        if mistakes:
            raise ManifestError(mistakes)
        if len(errors) == len(names):
            raise errors[0]
        workspaces.sort(key=lambda workspace: workspace.rank)
        learned: dict[str, float] = {}
        for operation, rate in (pair for name in names for pair in self._metrics_of(name).rates.items()):
            learned[operation] = min(rate, learned.get(operation, rate))
        now = self._clock.now()
        return Plan(
            name=manifest.name,
            created=now,
            policy=manifest.policy,
            targets=tuple(readings),
            workspaces=tuple(workspaces),
            warnings=tuple(warnings),
            estimate=estimate(workspaces, manifest.policy, learned, now),
        )

    def apply(
        self,
        plan: Plan,
        *,
        journal: AnyJournal | None = None,
        dry_run: bool = False,
        assume_direction: bool = False,
        before_deploy: BeforeDeploy | None = None,
        hook_timeout: Duration = 60.0,
    ) -> Apply:
        """Carry a plan out, within ``async with … as events``.

        A second apply on the same journal resumes: what is done already is found done, what goes on is followed.

        Args:
            plan: What to do; a fresh one, or one that was saved.
            journal: The path of the journal's file, or a store, which knows it by the plan's name. It is opened by
                ``async with``, which raises JournalBusyError where another apply writes to it, and JournalError where it
                cannot be read or written, or is that of another roll-out. None: none is kept, and with it what the
                service cannot tell: the direction of what ends in ERROR, and how often it was tried again.
            dry_run: Write nothing, neither to the service nor to the journal.
            assume_direction: Take the direction that is wanted for the one that failed, where an association is in
                ERROR and nothing else tells.
            before_deploy: Called before each deployment, the policy's `notice` before its planned time; it answers
                `Proceed()`, `Postpone(until)` or `Skip(reason)`. Where it raises, takes too long or answers anything
                else, the WorkSpace is skipped as `hook-failed`. Up to 16 calls go on at the same time.
            hook_timeout: How long a call of it may take.

        Raises:
            PlanError: The plan has targets that there is no client for.
            JournalError: The journal is a URL of a kind that this release does not know.
        """
        wanted = dict.fromkeys(workspace.target for workspace in plan.pending)
        strange = self._strange(tuple(wanted))
        if strange:
            raise PlanError(f"there is no client for the plan's target {', '.join(strange)}")
        metrics = {name: self._metrics_of(name) for name in wanted}
        location = locate(journal, plan.name) if journal is not None and not dry_run else None
        options = ApplyOptions(
            dry_run=dry_run,
            assume_direction=assume_direction,
            before_deploy=before_deploy,
            hook_timeout=to_seconds(hook_timeout, "hook_timeout", positive=True),
        )
        return Apply(plan, metrics, self._clock, location, options)

    async def status(self, manifest: Manifest, *, journal: AnyJournal | None = None) -> Status:
        """Compare a manifest with the fleet; only reads. The arguments and errors are those of `plan`."""
        return Status(plan=await self.plan(manifest, journal=journal))

    async def watch(
        self, manifest: Manifest, *, journal: AnyJournal | None = None, interval: Duration = 60.0
    ) -> AsyncIterator[Status]:
        """Compare again and again, for as long as somebody asks.

        Args:
            manifest: What is wanted.
            journal: As for `plan`.
            interval: Between the end of one reading and the next.

        Raises:
            WorkSpacesError: As for `plan`.
        """
        pause = to_seconds(interval, "interval", positive=True)
        while True:
            yield await self.status(manifest, journal=journal)
            await self._clock.sleep(pause)

    def _targets_of(self, manifest: Manifest) -> tuple[str, ...]:
        names = manifest.target_names
        strange = self._strange(names)
        if strange:
            raise ManifestError([Mistake(key="targets", rule=f"there is no client for {', '.join(strange)}")])
        return names

    def _strange(self, names: tuple[str, ...]) -> list[str]:
        """The targets that there is no client for."""
        if self._single and len(names) <= 1:
            # One client serves the one target, whatever that is called.
            return []
        return sorted(set(names) - self._metrics.keys())

    def _metrics_of(self, name: str) -> CallMetrics:
        return next(iter(self._metrics.values())) if self._single else self._metrics[name]

    async def _plan_target(self, manifest: Manifest, name: str, history: RunHistory) -> TargetPlan:
        return await plan_target(manifest, name, self._metrics_of(name), history)
