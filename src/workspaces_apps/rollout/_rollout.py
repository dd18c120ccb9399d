"""`Rollout`: plan, apply, and see how a fleet stands."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from workspaces_apps._base.clock import Clock, Duration, SystemClock, to_seconds
from workspaces_apps._base.credentials import Credentials, CredentialsProvider
from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.public import public
from workspaces_apps._client.client import WorkSpacesClient, identity_of, telemetry_of
from workspaces_apps._http.config import ClientConfig, ClientIdentity
from workspaces_apps._telemetry.port import Hooks, Telemetry, span
from workspaces_apps.errors import ConfigurationError, WorkSpacesError
from workspaces_apps.rollout._apply import Apply, ApplyOptions
from workspaces_apps.rollout._controller.users import BeforeDeploy
from workspaces_apps.rollout._errors import ManifestError, Mistake, PlanError
from workspaces_apps.rollout._journal.stores import AnyJournal, locate, open_journal, read_events
from workspaces_apps.rollout._licences import Price
from workspaces_apps.rollout._log.events import Event, bounded
from workspaces_apps.rollout._log.projections import RunHistory
from workspaces_apps.rollout._manifest.manifest import DEFAULT_TARGET, Manifest
from workspaces_apps.rollout._manifest.policy import Policy
from workspaces_apps.rollout._manifest.selectors import Inventory, UnmatchedValue, in_words
from workspaces_apps.rollout._plan.plan import Plan, PlannedWorkspace, TargetReading, estimate
from workspaces_apps.rollout._plan.planner import Review, TargetPlan, judge, plan_target
from workspaces_apps.rollout._run_telemetry import CallMetrics
from workspaces_apps.rollout._status import Status, read_bundles
from workspaces_apps.rollout._targets import UNKNOWN, compare, open_targets, twice
from workspaces_apps.rollout._targets import in_words as in_words_of
from workspaces_apps.rollout._undo import Undo, changes_made
from workspaces_apps.rollout.report._report import number_of

_log = field_logger("workspaces_apps.rollout")

_PLAN_SPAN: Final = "workspaces_apps.rollout.plan"


@public("workspaces_apps.rollout")
class Rollout:
    """Rolls applications out over a fleet.

    Args:
        client: The client; or, for a manifest with targets, a client for each of their names. They stay open.
        clock: Where time comes from; None: the clock of the client.
        hooks: Who is told of attempts, retries, throttles and polls; None: the hooks of the client.

    Examples:
        >>> import asyncio
        >>> from workspaces_apps import WorkSpacesClient
        >>> from workspaces_apps.rollout import Manifest, Rollout, Rule, Selector
        >>> async def main(manifest: Manifest) -> None:
        ...     async with WorkSpacesClient() as client:
        ...         rollout = Rollout(client)
        ...         plan = await rollout.plan(manifest, journal="office.journal")
        ...         async with rollout.apply(plan, journal="office.journal") as events:
        ...             async for event in events:
        ...                 pass
        ...         print(events.result.ending)
        >>> visio = "Microsoft Visio LTSC Professional 2021"
        >>> rule = Rule(select=Selector(workspace_ids=workspace_ids[:1]), present=[visio])
        >>> asyncio.run(main(Manifest(name="visio", rules=[rule])))
        complete
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
        # Plans of this object are for its clients: only saved ones can be for others.
        self._made: set[tuple[object, ...]] = set()
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
        """Open a roll-out with a client for each target of a manifest; they close with the block.

        The arguments are those of `open_targets`, and `hooks`.
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

    async def plan(
        self, manifest: Manifest, *, journal: AnyJournal | None = None, allow_empty: bool = False
    ) -> Plan:
        """Say what would happen; only reads.

        Where a target cannot be read, the plan says so in `errors`, and covers the others.

        Args:
            manifest: What is wanted.
            journal: The journal of earlier applies, for the directions and retries that only it knows; it need not
                exist. The path of its file, or a store, which knows it by the manifest's name.
            allow_empty: Whether selectors may name what does not exist, such as users who have left. It is told in any
                case; without this, exit codes and the ending of an apply show it too.

        Raises:
            ManifestError: It names targets or applications that do not exist; it lists all of them.
            JournalError: The journal cannot be read, or is that of another roll-out.
            WorkSpacesError: No target could be read; of several errors the first.
        """
        with span(self._telemetry(), _PLAN_SPAN, {}):
            return await self._planned(manifest, journal, allow_empty=allow_empty)

    async def plan_undo(
        self, journal: str | Path, *, run: str | None = None, policy: Policy | None = None
    ) -> Plan:
        """Say what would take a roll-out back; only reads.

        What it has installed is removed, and what it has removed is installed, where the service still shows it so:
        never what was there before it, or what somebody has changed since. What is left alone is in the plan as
        ``blocked``, with its reason. The plan is called ``undo-NAME``, and is applied like any other, with a journal of
        its own.

            plan = await rollout.plan_undo("office.journal")
            async with rollout.apply(plan, journal="undo-office.journal") as events:
                await events.finished()

        Args:
            journal: The journal of the roll-out; nobody may be writing to it.
            run: The only run to take back: its id, its number from 1, or ``last``; None for all of the journal.
            policy: How carefully it goes back; None for the defaults: a journal does not keep the policy of its runs.

        Raises:
            JournalBusyError: An apply writes to the journal.
            JournalError: There is none, or it cannot be read, or has no such run.
            PlanError: The journal has targets that there is no client for.
            ManifestError: The catalogue does not have an application any more.
            WorkSpacesError: No target could be read; of several errors the first.
        """
        with span(self._telemetry(), _PLAN_SPAN, {}):
            return await self._planned_undo(journal, run, policy if policy is not None else Policy())

    async def _planned_undo(self, journal: str | Path, run: str | None, policy: Policy) -> Plan:
        events = await _events_at_rest(journal)
        runs = tuple(dict.fromkeys(event.run for event in events))
        changes = changes_made(events, runs[number_of(run, runs) - 1] if run is not None else None)
        undo = Undo(changes, policy)
        manifest = undo.manifest()
        if manifest is None:
            now = self._clock.now()
            empty = Plan(
                name=undo.name,
                created=now,
                policy=undo.policy,
                targets=(),
                workspaces=(),
                estimate=estimate((), undo.policy, {}, now),
            )
            return undo.complete(empty)
        strange = self._strange(manifest.target_names)
        if strange:
            raise PlanError(f"there is no client for the journal's target {', '.join(strange)}")
        # WorkSpaces that are gone since are no mistake of anybody's: they are in the plan, as blocked.
        plan = await self._plan(manifest, RunHistory(), allow_empty=True, review=undo.review)
        return undo.complete(plan)

    async def _planned(
        self,
        manifest: Manifest,
        journal: AnyJournal | None,
        *,
        allow_empty: bool,
        bundles: dict[str, Mapping[str, str]] | None = None,
    ) -> Plan:
        if isinstance(manifest, str | Path):
            raise ManifestError(
                [Mistake(key="", rule=f"plan() takes a Manifest: Manifest.load({str(manifest)!r})")]
            )
        past = await locate(journal, manifest.name).past_of(manifest.name) if journal is not None else ()
        history = await asyncio.to_thread(RunHistory, past) if past else RunHistory()
        return await self._plan(manifest, history, allow_empty=allow_empty, bundles=bundles)

    async def _plan(
        self,
        manifest: Manifest,
        history: RunHistory,
        *,
        allow_empty: bool,
        review: Review | None = None,
        bundles: dict[str, Mapping[str, str]] | None = None,
    ) -> Plan:
        names = self._targets_of(manifest)
        identities = await self._identities(names)
        self._refuse_repeated(manifest, identities)
        before = {name: (self._metrics_of(name).calls, self._metrics_of(name).throttled) for name in names}
        answers = await asyncio.gather(
            *(plan_target(manifest, name, self._metrics_of(name), history, review) for name in names),
            return_exceptions=True,
        )
        mistakes: list[Mistake] = []
        errors: list[WorkSpacesError] = []
        readings: list[TargetReading] = []
        workspaces: list[PlannedWorkspace] = []
        warnings: list[str] = []
        inventories: dict[str, Inventory] = {}
        prices: dict[str, Price] = {}
        for name, answer in zip(names, answers, strict=True):
            match answer:
                case TargetPlan():
                    readings.append(answer.reading)
                    workspaces += answer.workspaces
                    warnings += answer.warnings
                    inventories[name] = answer.inventory
                    prices |= answer.prices
                    if bundles is not None:
                        bundles[name] = answer.bundles
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
        values, notes = await judge(
            manifest, inventories, {name: self._metrics_of(name).client for name in inventories}
        )
        warnings += [*in_words(values), *notes]
        if manifest.prices and len(prices) < len(manifest.prices):
            count = len(manifest.prices) - len(prices)
            warnings.append(f"prices: {count} of {len(manifest.prices)} name no application of the catalogue")
        workspaces.sort(key=lambda workspace: workspace.rank)
        learned: dict[str, float] = {}
        for operation, rate in (pair for name in names for pair in self._metrics_of(name).rates.items()):
            learned[operation] = min(rate, learned.get(operation, rate))
        now = self._clock.now()
        made = Plan(
            name=manifest.name,
            created=now,
            policy=manifest.policy,
            targets=tuple(
                self._completed(reading, before[reading.name], manifest, values, identities.get(reading.name))
                for reading in readings
            ),
            workspaces=tuple(workspaces),
            warnings=tuple(warnings),
            estimate=estimate(workspaces, manifest.policy, learned, now),
            unmatched=tuple(values),
            prices=prices,
            allow_empty=allow_empty,
        )
        self._made |= {_origin(made, reading) for reading in made.targets}
        return made

    async def check(self, plan: Plan) -> tuple[str, ...]:
        """Compare the accounts, Regions and endpoints of a saved plan with those of the clients.

        `apply` does it too, as it begins, and logs what is not certain.

        Args:
            plan: The plan.

        Returns:
            Why it is not certain that they are the same, target by target, such as an account that is not known;
            nothing for a plan that this object has made.

        Raises:
            PlanError: A target is another one; it names both.
        """
        readings = {reading.name: reading for reading in plan.targets}
        names = tuple(
            name
            for name in dict.fromkeys(workspace.target for workspace in plan.pending)
            if name not in readings or _origin(plan, readings[name]) not in self._made
        )
        identities = await self._identities(names)
        unsure = (
            compare(readings[name], identities.get(name)) if name in readings else f"{name}: {UNKNOWN}"
            for name in names
        )
        return tuple(why for why in unsure if why is not None)

    async def _identities(self, names: Sequence[str]) -> dict[str, ClientIdentity]:
        """Return whom the clients call; one that cannot be opened is left out, and its first call tells."""

        async def identify(name: str) -> ClientIdentity | None:
            try:
                return await identity_of(self._metrics_of(name).client)
            except WorkSpacesError:
                return None

        found = await asyncio.gather(*(identify(name) for name in names))
        return {name: one for name, one in zip(names, found, strict=True) if one is not None}

    @staticmethod
    def _refuse_repeated(manifest: Manifest, identities: Mapping[str, ClientIdentity]) -> None:
        places = {name: number for number, name in enumerate(manifest.target_names)}
        mistakes = [
            manifest.mistake(
                ("targets", places[name]),
                f"{name} is {in_words_of(identities[name])}, and so is {first}: each may be there once",
            )
            for first, name in twice(identities)
        ]
        if mistakes:
            raise ManifestError(mistakes)

    def _completed(
        self,
        reading: TargetReading,
        before: tuple[int, int],
        manifest: Manifest,
        values: Sequence[UnmatchedValue],
        identity: ClientIdentity | None,
    ) -> TargetReading:
        """Return a reading with all that was sent for it, whose it is, and the ids that nothing has."""
        metrics = self._metrics_of(reading.name)
        rules = {rule.name or f"rules[{number}]" for number, rule in manifest.rules_for(reading.name)}
        ids = {one.value for one in values if one.condition == "workspace_ids" and one.rule in rules}
        return replace(
            reading,
            calls=metrics.calls - before[0],
            throttled=metrics.throttled - before[1],
            not_found=tuple(sorted(ids)) if reading.error is None else (),
            region=identity.region if identity is not None else None,
            account=identity.account if identity is not None else None,
            endpoint=identity.endpoint if identity is not None else None,
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
                service cannot tell: the direction of what ends in ERROR, and how often it was retried.
            dry_run: Write nothing, neither to the service nor to the journal.
            assume_direction: Take the direction that is wanted for the one that failed, where an association is in
                ERROR and nothing else tells.
            before_deploy: Called before each deployment, the policy's `notice` before its planned time; it answers
                `Proceed()`, `Postpone(until)` or `Skip(reason)`. Where it raises, takes too long or answers anything
                else, the WorkSpace is skipped as `hook-failed`. Up to 16 calls go on at the same time.
            hook_timeout: How long a call of it may take.

        Raises:
            PlanError: The plan has targets that there is no client for.
                A plan for another account, Region or endpoint is refused by ``async with``.
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
        return Apply(
            plan,
            metrics,
            self._clock,
            location,
            options,
            check=self._check_and_warn,
            telemetry=self._telemetry(),
        )

    async def _check_and_warn(self, plan: Plan) -> None:
        for unsure in await self.check(plan):
            _log.warning("the plan %s is applied although %s", plan.name, unsure)

    async def status(
        self,
        manifest: Manifest,
        *,
        journal: AnyJournal | None = None,
        allow_empty: bool = False,
        bundles: bool = False,
    ) -> Status:
        """Compare a manifest with the fleet; only reads.

        Args:
            manifest: As for `plan`.
            journal: As for `plan`.
            allow_empty: As for `plan`.
            bundles: Whether to compare also what the bundles of the selected WorkSpaces bring, at a call for each.

        Raises:
            WorkSpacesError: As for `plan`, or the bundles could not be read.
        """
        if not bundles:
            return Status(plan=await self.plan(manifest, journal=journal, allow_empty=allow_empty))
        found: dict[str, Mapping[str, str]] = {}
        with span(self._telemetry(), _PLAN_SPAN, {}):
            plan = await self._planned(manifest, journal, allow_empty=allow_empty, bundles=found)
            drifted = [
                one
                for name, bundle_of in found.items()
                for one in await read_bundles(name, self._metrics_of(name).client, plan, bundle_of)
            ]
        return Status(plan=plan, bundles=tuple(drifted))

    async def watch(
        self,
        manifest: Manifest,
        *,
        journal: AnyJournal | None = None,
        interval: Duration = 60.0,
        allow_empty: bool = False,
    ) -> AsyncGenerator[Status]:
        """Compare again and again, for as long as somebody asks.

        Args:
            manifest: What is wanted.
            journal: As for `plan`.
            interval: Between the end of one reading and the next.
            allow_empty: As for `plan`.

        Raises:
            WorkSpacesError: As for `plan`.
        """
        pause = to_seconds(interval, "interval", positive=True)
        while True:
            yield await self.status(manifest, journal=journal, allow_empty=allow_empty)
            await self._clock.sleep(pause)

    def _telemetry(self) -> Telemetry | None:
        """Return the telemetry of the first of the clients that has any."""
        found = (telemetry_of(metrics.client) for metrics in self._metrics.values())
        return next((one for one in found if one is not None), None)

    def _targets_of(self, manifest: Manifest) -> tuple[str, ...]:
        names = manifest.target_names
        strange = self._strange(names)
        if strange:
            raise ManifestError([Mistake(key="targets", rule=f"there is no client for {', '.join(strange)}")])
        return names

    def _strange(self, names: tuple[str, ...]) -> list[str]:
        """Return the targets that there is no client for."""
        if self._single and len(names) <= 1:
            # One client serves the one target, whatever that is called.
            return []
        return sorted(set(names) - self._metrics.keys())

    def _metrics_of(self, name: str) -> CallMetrics:
        return next(iter(self._metrics.values())) if self._single else self._metrics[name]


async def _events_at_rest(journal: str | Path) -> Sequence[Event]:
    """Return every event of a journal that nobody writes to.

    Raises:
        JournalBusyError: Somebody does.
        JournalError: There is none, or it cannot be read.
    """
    # Before it is opened, which would make one.
    await read_events(journal)
    writer = await open_journal(journal)
    try:
        return writer.past
    finally:
        await writer.close()


def _origin(plan: Plan, reading: TargetReading) -> tuple[object, ...]:
    """Return what tells that a plan, or a part of it, was made by a certain reading."""
    return plan.created, reading.name, reading.region, reading.account, reading.endpoint
