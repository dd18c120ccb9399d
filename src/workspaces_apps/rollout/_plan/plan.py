"""A plan: what would happen to each WorkSpace, as data that can be saved, shown again and compared."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Annotated, ClassVar, Final, Self, TypeAlias
from zlib import crc32

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from workspaces_apps._associations.states import HELD, SETTLED
from workspaces_apps._base.public import Datetime, public
from workspaces_apps._base.system import read_file, replace_file
from workspaces_apps._reconcile.decisions import Reason
from workspaces_apps.rollout._errors import PlanError
from workspaces_apps.rollout._licences import LicenceCount, Price
from workspaces_apps.rollout._log.events import Action, Direction
from workspaces_apps.rollout._manifest.fields import APPLICATION_ID, PLAIN, WORKSPACE_ID
from workspaces_apps.rollout._manifest.policy import Amount, Policy, cut, wave_sizes
from workspaces_apps.rollout._manifest.selectors import UnmatchedValue, in_words
from workspaces_apps.rollout._plan.reading import PAGE

FORMAT: Final = 3
"""The version of saved plans that this release writes; it reads those before it too."""

READABLE: Final = (1, 2, FORMAT)
MAX_PLAN_BYTES: Final = 500_000_000
"""The largest saved plan that is read: of a million WorkSpaces it has some 300 MB."""

EXIT_NOTHING: Final = 0
EXIT_ERROR: Final = 1
EXIT_CHANGES: Final = 2

_NAMED: Final = 10
"""WorkSpaces that a sentence names; it counts the others."""

_STRICT: Final = ConfigDict(extra="forbid")
"""A key of a saved plan that this release does not know is refused: it may be a condition for what is done."""

UNREAD: Final = "UNKNOWN"
"""The state in a plan of an association on a WorkSpace that could not be read, where others could."""

ACTIONABLE: Final = frozenset({"install", "uninstall", "retry"})
"""The actions that an apply carries out."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """One application on one WorkSpace."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    application_id: str
    """The application."""
    action: Action
    """The action that an apply would take."""
    direction: Direction | None
    """The desired direction; None where the manifest contradicts itself."""
    state: str
    """The association's state as the service calls it; ``REMOVED`` where there is none, ``UNKNOWN`` where it
    could not be read."""
    reason: str | None = None
    """For ``blocked``: why; one of `reasons.Reason`."""
    message: str | None = None
    """The reason in words."""


def blocked(change: PlannedChange, reason: Reason, message: str) -> PlannedChange:
    """Return a change that is left alone, with the reason."""
    return replace(change, action="blocked", reason=reason.value, message=message)


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignChange:
    """Something staged that the manifest does not ask for; a deployment would commit it too [doc]."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    application_id: str
    """The application."""
    state: str
    """The association's state."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedWorkspace:
    """One WorkSpace that a rule selects."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    target: str
    """The name of its target."""
    workspace_id: str
    """Its id."""
    user_name: str | None = None
    """Its user."""
    state: str | None = None
    """Its state when the plan was made; one that is on its way is waited for. None in plans of format 1."""
    changes: tuple[PlannedChange, ...]
    """The changes that would be made, one for each application that a rule names for it."""
    foreign: tuple[ForeignChange, ...] = ()
    """Other changes that are staged on it."""
    connected: bool | None = None
    """True if its user is connected; None where that was not asked, or is not known."""
    last_connected: Datetime | None = None
    """The time at which its user was last connected; None where that was not asked, or never."""
    rank: int = 0
    """Its place in the order of the policy; 0 first."""
    hours: int | None = None
    """The index of the entry of the policy's hours that holds for it; None if none does."""

    @property
    def pending(self) -> tuple[PlannedChange, ...]:
        """The changes that an apply would carry out."""
        return tuple(change for change in self.changes if change.action in ACTIONABLE)


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class TargetReading:
    """The reading of one target."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    """The target."""
    workspaces: int = 0
    """The number of WorkSpaces that were read."""
    calls: int = 0
    """The number of requests that took."""
    throttled: int = 0
    """The number of them that the service throttled."""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    """The names of the applications, by id."""
    owners: Mapping[str, str] = field(default_factory=dict[str, str])
    """Their owners, by id: ``AMAZON``, or an account."""
    not_found: tuple[str, ...] = ()
    """The WorkSpaces that rules for this target name by id, and that no target of those rules has."""
    error: str | None = None
    """The reason it could not be read; None if it could. Nothing is planned for such a target."""
    region: str | None = None
    """Its Region; None in plans of earlier releases, and where its client could not be opened."""
    account: str | None = None
    """Its account's id; None where that is not known."""
    endpoint: str | None = None
    """The custom endpoint that was read, such as a simulator's; None for AWS's own."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate of an apply's cost."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    calls: int
    """Requests."""
    seconds: float
    """Seconds it takes, hours of the policy aside."""
    rate: float
    """The calls a second of each operation that this is based on."""
    rate_is_learned: bool
    """True if the service has shown that rate; it is assumed otherwise."""
    deployment_seconds: float
    """Seconds that one deployment was taken to last [assumed]."""
    closed_seconds: float = 0.0
    """Additional seconds, because the policy's hours are waited for, if it begins when the plan was made."""
    rate_of: str | None = None
    """The operation that has shown it, of several the slowest; None where it is assumed."""

    @property
    def rate_in_words(self) -> str:
        """The rate that this is based on, and where it is from."""
        said = f"{self.rate:.1f} calls/s of each operation"
        if self.rate_of is not None:
            return f"{said}, the observed rate limit of {self.rate_of}"
        return f"{said}, as the service has shown" if self.rate_is_learned else f"{said}, which is assumed"


@public("workspaces_apps.rollout")
@dataclass(frozen=True, kw_only=True)
class Plan:
    """The changes that would bring a fleet in sync with its manifest."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    format: int = FORMAT
    """The version of the format: 3."""
    name: Annotated[str, Field(min_length=1), PLAIN]
    """The manifest's name."""
    created: Datetime
    """The time it was made."""
    policy: Policy
    """The limits that an apply will keep."""
    targets: tuple[TargetReading, ...]
    """The readings of the targets."""
    workspaces: tuple[PlannedWorkspace, ...]
    """Every WorkSpace that a rule selects, in the order of their turn."""
    warnings: tuple[str, ...] = ()
    """Possible mistakes, such as a rule that selects nothing."""
    estimate: Estimate
    """The cost of an apply."""
    unmatched: tuple[UnmatchedValue, ...] = ()
    """Values of selectors that match no WorkSpace, over all targets that their rules are for."""
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    """The prices that the manifest gives, by application."""
    allow_empty: bool = False
    """True if that is meant: then they are told, and no exit code or ending is different for them."""

    @cached_property
    def fingerprint(self) -> str:
        """A short digest of what would happen, without when the plan was made and what reading it took."""
        # AutoStop WorkSpaces and users come and go: that changes nothing about what would happen.
        workspaces = _WORKSPACES.dump_json(self.workspaces, exclude={"__all__": {"state", "last_connected"}})
        content = workspaces + self.policy.model_dump_json().encode()
        return hashlib.sha256(content).hexdigest()[:16]

    @property
    def counts(self) -> Mapping[Action, int]:
        """Count the changes by action."""
        return Counter(change.action for workspace in self.workspaces for change in workspace.changes)

    @property
    def licences(self) -> tuple[LicenceCount, ...]:
        """On how many of the selected WorkSpaces each application is, and will be; by name."""
        before: Counter[str] = Counter()
        after: Counter[str] = Counter()
        names: dict[str, str] = {}
        owners: dict[str, str] = {}
        for reading in self.targets:
            names |= reading.names
            owners |= reading.owners
        for workspace in self.workspaces:
            for change in workspace.changes:
                held = change.state in HELD
                before[change.application_id] += held
                if change.action in ACTIONABLE:
                    held = change.direction == "install"
                after[change.application_id] += held
        return tuple(
            LicenceCount(
                application_id=one,
                application=names.get(one),
                owner=owners.get(one),
                before=before[one],
                after=after[one],
                price=self.prices.get(one),
            )
            for one in sorted(before.keys() | after.keys(), key=lambda one: (names.get(one, ""), one))
        )

    @property
    def pending(self) -> tuple[PlannedWorkspace, ...]:
        """The WorkSpaces that an apply would change."""
        return tuple(workspace for workspace in self.workspaces if workspace.pending)

    @property
    def errors(self) -> tuple[str, ...]:
        """The errors of targets that could not be read, and of WorkSpaces in other targets that could not."""
        failed = [f"{target.name}: {target.error}" for target in self.targets if target.error is not None]
        unread: dict[str, list[str]] = {}
        for workspace in self.workspaces:
            if any(change.state == UNREAD for change in workspace.changes):
                unread.setdefault(workspace.target, []).append(workspace.workspace_id)
        failed += [
            f"{target}: not everything about {some(ids)} can be read" for target, ids in unread.items()
        ]
        return tuple(failed)

    @property
    def not_found(self) -> tuple[str, ...]:
        """Messages about what the manifest names and no target has; empty where that is allowed.

        Compute types, operating systems and running modes are not among it: they only warn.
        """
        if self.allow_empty:
            return ()
        if self.format < FORMAT:
            return tuple(
                f"{target.name}: there is no WorkSpace {some(target.not_found)}"
                for target in self.targets
                if target.not_found
            )
        return in_words(one for one in self.unmatched if one.certain)

    @property
    def need_somebody(self) -> tuple[str, ...]:
        """The WorkSpaces that something is wanted on and that are in a state which does not pass, target by target."""
        found: dict[str, list[str]] = {}
        for workspace in self.workspaces:
            if any(change.reason == Reason.WORKSPACE_STATE for change in workspace.changes):
                found.setdefault(workspace.target, []).append(
                    f"{workspace.workspace_id} is {workspace.state}"
                )
        return tuple(f"{target}: {some(ids)}" for target, ids in found.items())

    @property
    def exit_code(self) -> int:
        """0: nothing to do; 2: there are changes, or the manifest names what no target has; 1: something could not be read."""
        if self.errors:
            return EXIT_ERROR
        return EXIT_CHANGES if self.pending or self.not_found else EXIT_NOTHING

    def application_name(self, target: str, application_id: str) -> str | None:
        """Return an application's name in the target's catalogue."""
        return next(
            (reading.names.get(application_id) for reading in self.targets if reading.name == target), None
        )

    def to_json(self) -> str:
        """Return the plan as JSON."""
        return _PLAN.dump_json(self, indent=1, exclude_defaults=False).decode()

    def save(self, path: str | Path) -> None:
        """Write the plan to a file.

        Raises:
            PlanError: It cannot be written.
        """
        try:
            replace_file(path, self.to_json().encode())
        except OSError as error:
            raise PlanError(f"cannot write the plan {path}: {error.strerror}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a plan back.

        Raises:
            PlanError: It is none, or of another format, or contradicts itself.
        """
        try:
            found = _PLAN.validate_json(text)
        except RecursionError:
            raise PlanError("not a saved plan: it is nested too deeply") from None
        except ValidationError as error:
            # A later format may have members that this one does not know: then that is what to say.
            cls._check_format(_format_of(text))
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise PlanError(f"not a saved plan: {place}: {first['msg']}") from None
        cls._check_format(found.format)
        for mistake in _contradictions(found):
            raise PlanError(f"not a saved plan: {mistake}")
        return cls(**{one.name: getattr(found, one.name) for one in fields(cls)})

    @staticmethod
    def _check_format(number: int) -> None:
        if number not in READABLE:
            *earlier, last = map(str, READABLE)
            raise PlanError(
                f"the plan is of format {number}; this release reads {', '.join(earlier)} and {last}"
            )

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a plan from a file.

        Raises:
            PlanError: It cannot be read, or is none.
        """
        try:
            return cls.from_json(read_file(path, MAX_PLAN_BYTES))
        except OSError as error:
            raise PlanError(f"cannot read the plan {path}: {error.strerror}") from error

    def only(self, *targets: str) -> Plan:
        """Return the plan for some of its targets, with their share of the failure budget.

        A share is in proportion to the WorkSpaces that would be changed; the shares of all targets add up to the whole
        plan's budget. Waves and hours hold for each part by itself.

        Args:
            targets: The names of the targets, at least one.

        Raises:
            PlanError: It has no target of such a name.
        """
        known = [reading.name for reading in self.targets]
        strange = [name for name in targets if name not in known]
        if strange or not targets:
            problem = (
                f"the plan has no target {', '.join(strange)}" if strange else "name at least one target"
            )
            raise PlanError(f"{problem}; there are {', '.join(known)}")
        if set(targets) >= set(known):
            return self

        shares = self._budget_shares()
        wanted = frozenset(targets)
        return self._part(
            tuple(reading for reading in self.targets if reading.name in wanted),
            [one for one in self.workspaces if one.target in wanted],
            sum(shares[name] for name in wanted),
        )

    def split(self) -> tuple[Plan, ...]:
        """Return a plan for each target, in their order, to be applied apart, each with a journal of its own.

        for part in plan.split():
            part.save(f"{part.targets[0].name}.plan.json")
        """
        if len(self.targets) == 1:
            return (self,)
        shares = self._budget_shares()
        of: dict[str, list[PlannedWorkspace]] = {reading.name: [] for reading in self.targets}
        for one in self.workspaces:
            of.setdefault(one.target, []).append(one)
        return tuple(
            self._part((reading,), of[reading.name], shares[reading.name]) for reading in self.targets
        )

    def _budget_shares(self) -> Mapping[str, int]:
        """Return the part of the failure budget of each target, by what there is to do."""
        counts = Counter(one.target for one in self.pending)
        budget = self.policy.failure_budget.of(counts.total())
        return _shares(budget, {reading.name: counts[reading.name] for reading in self.targets})

    def _part(
        self, targets: tuple[TargetReading, ...], workspaces: Sequence[PlannedWorkspace], budget: int
    ) -> Plan:
        policy = self.policy.model_copy(update={"failure_budget": Amount(budget)})
        return _with_workspaces(replace(self, policy=policy, targets=targets), workspaces)

    def diff(self, newer: Plan) -> PlanDiff:
        """Return the difference to a plan made later."""
        before, after = _by_key(self), _by_key(newer)
        return PlanDiff(
            added={key: after[key] for key in after.keys() - before.keys()},
            removed={key: before[key] for key in before.keys() - after.keys()},
            changed={
                key: (before[key], after[key])
                for key in before.keys() & after.keys()
                if before[key] != after[key]
            },
        )


def _contradictions(plan: Plan) -> Iterator[str]:
    """Give what no plan is made with, place by place: what is shown of a plan is what an apply must do."""
    targets = {reading.name for reading in plan.targets}
    seen: set[tuple[str, str]] = set()
    for number, workspace in enumerate(plan.workspaces):
        place, key = f"workspaces[{number}]", (workspace.target, workspace.workspace_id)
        if workspace.target not in targets:
            yield f"{place}: the plan has no target {workspace.target}"
        if key in seen:
            yield f"{place}: {workspace.workspace_id} of the target {workspace.target} is there twice"
        seen.add(key)
        if workspace.pending and not re.match(WORKSPACE_ID, workspace.workspace_id):
            yield f"{place}: {workspace.workspace_id} is no id of a WorkSpace, such as ws-00000000"
        applications: set[str] = set()
        for index, change in enumerate(workspace.changes):
            yield from (f"{place}.changes[{index}]: {mistake}" for mistake in _mistakes(change))
            if change.application_id in applications:
                yield f"{place}.changes[{index}]: {change.application_id} is there twice"
            applications.add(change.application_id)


def _mistakes(change: PlannedChange) -> Iterator[str]:
    action, direction = change.action, change.direction
    if action in ("install", "uninstall") and direction != action:
        yield f"an {action} has the direction {action}, not {direction}"
    if action == "retry" and direction is None:
        yield "a retry has a direction, install or uninstall"
    if action in ACTIONABLE and not re.match(APPLICATION_ID, change.application_id):
        yield f"{change.application_id} is no id of an application, such as wsa-00000000"


def slice_of(plan: Plan, number: int, slices: int) -> Plan:
    """Return one of several slices of a plan; whenever it is planned anew, a WorkSpace is in the same one.

    Args:
        plan: The plan.
        number: The number of the slice, from 1.
        slices: How many there are.
    """
    if slices == 1:
        return plan
    part = [one for one in plan.workspaces if crc32(one.workspace_id.encode()) % slices == number - 1]
    return _with_workspaces(plan, part)


def _with_workspaces(plan: Plan, workspaces: Sequence[PlannedWorkspace]) -> Plan:
    """Return a plan of some of its WorkSpaces, estimated anew."""
    rate_of, rate = plan.estimate.rate_of, plan.estimate.rate
    rates = {} if rate_of is None else {rate_of: rate}
    return replace(
        plan, workspaces=tuple(workspaces), estimate=estimate(workspaces, plan.policy, rates, plan.created)
    )


def _read_key(value: object) -> object:
    """Return the key that JSON has as one text, with commas; only the first part may have some of its own."""
    return tuple(value.rsplit(",", 2)) if isinstance(value, str) else value


_ChangeKey: TypeAlias = Annotated[
    tuple[str, str, str], BeforeValidator(_read_key, json_schema_input_type=str)
]


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDiff:
    """The difference between two plans; the keys are target, WorkSpace and application."""

    added: Mapping[_ChangeKey, PlannedChange]
    """Changes that only the newer one has."""
    removed: Mapping[_ChangeKey, PlannedChange]
    """Changes that only the older one has."""
    changed: Mapping[_ChangeKey, tuple[PlannedChange, PlannedChange]]
    """Changes that both have and that differ: the older one's, and the newer one's."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def _format_of(text: str | bytes) -> int:
    """Return the format that a saved plan claims to be of; this release's where it claims none."""
    try:
        return _FORMAT.validate_json(text).get("format", FORMAT)
    except ValidationError:
        return FORMAT


def some(texts: Sequence[str]) -> str:
    """Return the first of some texts, and how many more there are."""
    more = f" and {len(texts) - _NAMED:,} more" if len(texts) > _NAMED else ""
    return f"{', '.join(texts[:_NAMED])}{more}"


def _shares(whole: int, weights: Mapping[str, int]) -> Mapping[str, int]:
    """Return the shares of a number by weight: rounded down, and what is left to those who lost most by that."""
    total = max(1, sum(weights.values()))
    shares = {name: whole * weight // total for name, weight in weights.items()}
    by_loss = sorted(weights, key=lambda name: -(whole * weights[name] % total))
    for name in by_loss[: whole - sum(shares.values()) if any(weights.values()) else 0]:
        shares[name] += 1
    return shares


def _by_key(plan: Plan) -> dict[tuple[str, str, str], PlannedChange]:
    return {
        (workspace.target, workspace.workspace_id, change.application_id): change
        for workspace in plan.workspaces
        for change in workspace.changes
    }


class _Versioned(TypedDict, total=False):
    format: int


_FORMAT: Final[TypeAdapter[_Versioned]] = TypeAdapter(_Versioned)
_PLAN: Final[TypeAdapter[Plan]] = TypeAdapter(Plan)
_WORKSPACES: Final[TypeAdapter[tuple[PlannedWorkspace, ...]]] = TypeAdapter(tuple[PlannedWorkspace, ...])

ASSUMED_RATE: Final = 2.0
"""Calls a second of one operation, while the service has not shown better: fleets settle on 1.3 to 1.5 [field], the
simulator lets 2 through [assumed]."""

DEPLOYMENT_SECONDS: Final = 900.0
"""The length of a deployment; AWS publishes nothing [assumed]."""

_TICK: Final = 30.0
"""Seconds from poll to poll before it is known how long deployments take."""

_HINTS: Final = 7
"""Rounds of hints that a batch of deployments takes once that is known; as measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The approximate speed of an apply.

    Attributes:
        policy: Its ceilings and hours.
        writes: Seconds that the writes of one WorkSpace take.
        deployment: Seconds that a deployment takes.
        needs: Seconds that must be left of the hours when a deployment begins.
    """

    policy: Policy
    writes: float
    deployment: float
    needs: float = 0.0

    def beginning(self, workspaces: int) -> float:
        """Return the seconds until the last of so many WorkSpaces has begun."""
        # Writes of one batch go on while an earlier one deploys.
        batches = ceil(workspaces / self.policy.max_in_flight)
        return max(workspaces * self.writes, self.deployment * (batches - 1))

    def wave_ends(self, now: datetime, wave: Sequence[PlannedWorkspace]) -> datetime:
        """Return the time by which WorkSpaces that begin at `now`, or once their hours allow it, will have ended."""
        policy = self.policy
        if not policy.hours:
            return now + timedelta(seconds=self.beginning(len(wave)) + self.deployment)
        sizes = Counter(one.hours for one in wave)
        begun: list[datetime] = []
        for entry, size in sizes.items():
            # What no entry is for is never begun, and what is outside its hours may be left out.
            if entry is None:
                continue
            entry_hours, needs = policy.hours[entry], self.needs
            if policy.outside_hours == "wait" or entry_hours.is_open(now, needs):
                begun.append(entry_hours.after_open(now, self.beginning(size), needs))
        if not begun:
            return now
        last = max(*begun, now + timedelta(seconds=self.beginning(len(wave))))
        return last + timedelta(seconds=self.deployment)

    def all_end(self, now: datetime, waves: Iterable[Sequence[PlannedWorkspace]]) -> datetime:
        """Return the time by which waves will have ended, of which the first begins at `now`."""
        for number, wave in enumerate(waves):
            if number:
                now += timedelta(seconds=self.policy.pause)
            now = self.wave_ends(now, wave)
        return now


def estimate(
    workspaces: Sequence[PlannedWorkspace], policy: Policy, learned: Mapping[str, float], now: datetime
) -> Estimate:
    """Estimate the cost of applying a plan.

    Args:
        workspaces: What is planned.
        policy: Waves, ceilings and hours.
        learned: The rates that the service has shown, in calls a second, by operation.
        now: When it would begin.
    """
    slowest = min(learned, key=lambda operation: learned[operation], default=None)
    rate = learned[slowest] if slowest is not None else ASSUMED_RATE
    pending = [workspace for workspace in workspaces if workspace.pending]
    staging = sum(change.state in SETTLED for one in pending for change in one.pending)
    writes = max(len(pending), staging) / max(1, len(pending)) / rate
    waves = cut(pending, wave_sizes(len(pending), policy.canary, policy.growth, policy.largest_wave))
    always = policy.model_copy(update={"hours": ()})
    ends = [
        Pace(policy=one, writes=writes, deployment=DEPLOYMENT_SECONDS, needs=policy.needs_of_hours()).all_end(
            now, waves
        )
        for one in (always, policy)
    ]
    seconds = (ends[0] - now).total_seconds()
    reads = len(pending) * (2 if policy.minds_users else 1)
    return Estimate(
        calls=staging + reads + len(pending) + _polls(waves, policy.max_in_flight),
        seconds=seconds,
        rate=rate,
        rate_is_learned=slowest is not None,
        rate_of=slowest,
        deployment_seconds=DEPLOYMENT_SECONDS,
        closed_seconds=max(0.0, (ends[1] - ends[0]).total_seconds()),
    )


def _polls(waves: Sequence[Sequence[PlannedWorkspace]], in_flight: int) -> int:
    """Return the calls that follow deployments which all take as long, the survey at the beginning included.

    Until the first has ended, one call comes every tick. Then each batch of deployments takes a few rounds of hints, 25
    WorkSpaces a call, and confirms its end by listings of the applications or by a read for each WorkSpace.
    """
    sizes = [
        len(wave[start : start + in_flight]) for wave in waves for start in range(0, len(wave), in_flight)
    ]
    applications = len({change.application_id for wave in waves for one in wave for change in one.pending})
    calls = ceil(DEPLOYMENT_SECONDS / _TICK) + 2 * ceil(sum(sizes) / PAGE) if sizes else 0
    rows = 0
    for size in sizes:
        rows += size
        calls += _HINTS * ceil(size / PAGE) + min(size, 2 * applications * ceil(rows / PAGE))
    return calls
