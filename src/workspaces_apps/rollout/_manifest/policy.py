"""Policy of a roll-out: waves, ceilings, budgets, retries, users, approval and hours."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self, TypeAlias, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from workspaces_apps._base.public import public
from workspaces_apps._model.operations import Many
from workspaces_apps._model.validation import is_mapping
from workspaces_apps.rollout._errors import ManifestError, Mistake
from workspaces_apps.rollout._manifest.fields import PLAIN, Part, Seconds, SecondsLike, listed
from workspaces_apps.rollout._manifest.selectors import Selector

T = TypeVar("T")


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True)
class Amount:
    """A number of things, or a share of them.

    Examples:
        >>> from workspaces_apps.rollout import Amount, Policy
        >>> Amount(5, percent=True).of(1_200)
        60
        >>> Policy(canary="5%", failure_budget=3).canary
        Amount(number=5.0, percent=True)
    """

    number: float
    """The count, 0 or more; or the percentage, 0 to 100."""
    percent: bool = False
    """True for a percentage."""

    def __post_init__(self) -> None:
        """Refuse what is no amount.

        Raises:
            ManifestError: It is negative, more than 100 %, or no whole number.
        """
        if self.percent and not 0 <= self.number <= 100:
            raise _mistake("a percentage is from 0% to 100%")
        if not self.percent and not (0 <= self.number < math.inf and self.number == int(self.number)):
            raise _mistake("a count is a whole number, 0 or more")

    @classmethod
    def parse(cls, value: object) -> Amount:
        """Read ``25`` or ``"5%"``.

        Raises:
            ManifestError: It is neither.
        """
        if isinstance(value, Amount):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(value)
        if isinstance(value, str) and value.endswith("%"):
            digits = value[:-1].strip()
            if digits.isascii() and digits.replace(".", "", 1).isdigit() and len(digits) <= 8:
                return cls(float(digits), percent=True)
        raise _mistake('an amount is a count such as 10, or a share such as "5%"')

    def of(self, total: int) -> int:
        """Return the number that it is of `total`, a share rounded down."""
        return int(total * self.number // 100) if self.percent else int(self.number)

    def __str__(self) -> str:
        if not self.percent:
            return str(int(self.number))
        # As `parse` takes it: without an exponent, and in eight characters.
        return f"{f'{self.number:.6f}'.rstrip('0')[:8].rstrip('.')}%"


def _mistake(rule: str) -> ManifestError:
    return ManifestError([Mistake(key="", rule=rule)])


def wave_sizes(
    total: int, canary: Amount | None, growth: float, largest: int | None = None
) -> tuple[int, ...]:
    """Return the sizes of the waves, which add up to `total`.

    Args:
        total: How many there are, 0 or more.
        canary: The size of the first wave, at least 1; None for a single wave.
        growth: How many times as large as the one before each wave is, 1 or more; it grows by one at least
            unless it is exactly 1.
        largest: The largest size of a wave, 1 or more; None for no limit.
    """
    limit = largest if largest is not None else max(total, 1)
    size = min(limit, total if canary is None else max(1, canary.of(total)))
    sizes: list[int] = []
    left = total
    while left > 0:
        sizes.append(min(size, left))
        left -= sizes[-1]
        size = min(limit, grown(size, growth))
    return tuple(sizes)


def grown(size: int, growth: float) -> int:
    """Return the size of the wave after one of `size`, at a growth of 1 or more."""
    return size if growth == 1 else max(size + 1, int(size * growth))


def cut(items: Sequence[T], sizes: Sequence[int]) -> list[Sequence[T]]:
    """Return the items in pieces of these sizes, in order."""
    pieces: list[Sequence[T]] = []
    start = 0
    for size in sizes:
        pieces.append(items[start : start + size])
        start += size
    return pieces


Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?\Z")
_SEARCH_DAYS: Final = 9
_MOST_OPENINGS: Final = 366
_CHANGE: Final = timedelta(microseconds=1)


def _read_time(value: object) -> object:
    if isinstance(value, str):
        found = _TIME.match(value)
        if found is None:
            raise PydanticCustomError("time", "a time of day is written like 22:30")
        return time(int(found[1]), int(found[2]), int(found[3] or 0))
    return value


def _check_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PydanticCustomError(
            "time_zone",
            "{value} is no time zone that this machine knows; they are written like Europe/Berlin",
            {"value": repr(value)},
        ) from None
    return value


TimeOfDay: TypeAlias = Annotated[time, BeforeValidator(_read_time, json_schema_input_type=str)]


@public("workspaces_apps.rollout")
class Hours(Part, frozen=True):
    """Hours in which deployments may begin. From `start` up to `end`, by the wall clock of the time zone.

    A time of day that a change of the clock leaves out has come when the clock is changed.

    Examples:
        >>> from workspaces_apps.rollout import Hours, Policy
        >>> nights = Hours(time_zone="Europe/Berlin", start="20:00", end="05:00", days=["mon", "tue", "wed", "thu"])
        >>> policy = Policy(hours=[nights])
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    time_zone: Annotated[str, AfterValidator(_check_zone)]
    """An IANA name, such as ``Europe/Berlin``."""
    start: TimeOfDay
    """The time of day at which they begin."""
    end: TimeOfDay
    """The time of day at which they end; at or before `start`: on the next day."""
    days: Annotated[tuple[Day, ...], BeforeValidator(listed), Field(min_length=1)] = DAYS
    """The days on which they begin."""
    select: Selector | None = None
    """The WorkSpaces they hold for; all if left out. The first entry that fits a WorkSpace holds."""

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            time_zone: str,
            start: time | str,
            end: time | str,
            days: Many[Day] = DAYS,
            select: Selector | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _without_zones(self) -> Self:
        if self.start.tzinfo is not None or self.end.tzinfo is not None:
            raise PydanticCustomError(
                "time", "start and end are wall times of time_zone, without a zone of their own"
            )
        return self

    def is_open(self, now: datetime, needs: float = 0.0) -> bool:
        """Tell if deployments may begin at `now`.

        Args:
            now: A time with a zone.
            needs: Seconds that must be left until the hours close; 0 or more.
        """
        return any(begin <= now < end for begin, end in self._spans(now, needs))

    def next_opening(self, now: datetime, needs: float = 0.0) -> datetime | None:
        """Return `now` where deployments may begin now, else when they may next, in UTC.

        None where no hours of the next days are as long as `needs`; the arguments are those of `is_open`.
        """
        if self.is_open(now, needs):
            return now
        return min((begin for begin, _ in self._spans(now, needs) if begin > now), default=None)

    def closing(self, now: datetime, needs: float = 0.0) -> datetime:
        """Return when the last deployment of the hours that `now` is in may begin, in UTC; `now` itself outside."""
        return max(
            (end for begin, end in self._spans(now, needs) if begin <= now < end),
            default=now.astimezone(UTC),
        )

    def after_open(self, now: datetime, seconds: float, needs: float = 0.0) -> datetime:
        """Return when deployments could begin for so long, counted from `now`; within a year or so, else some time before.

        Args:
            now: A time with a zone.
            seconds: For how long, 0 or more.
            needs: As for `is_open`.
        """
        at, left = self.next_opening(now, needs), timedelta(seconds=seconds)
        for _ in range(_MOST_OPENINGS):
            if at is None:
                return now
            closes = self.closing(at, needs)
            if left <= closes - at:
                break
            left -= closes - at
            at = self.next_opening(closes, needs)
        return now if at is None else at + min(left, self.closing(at, needs) - at)

    def _spans(self, now: datetime, needs: float) -> Sequence[tuple[datetime, datetime]]:
        zone = ZoneInfo(self.time_zone)
        today = now.astimezone(zone).date()
        spans: list[tuple[datetime, datetime]] = []
        for ahead in range(-1, _SEARCH_DAYS):
            day = today + timedelta(days=ahead)
            if DAYS[day.weekday()] not in self.days:
                continue
            last = day if self.end > self.start else day + timedelta(days=1)
            # In UTC: two times of one zone are compared by the wall clock, which goes back once a year.
            begin, end = _moment(day, self.start, zone), _moment(last, self.end, zone)
            if spans and begin <= spans[-1][1]:
                # One day's hours go over into the next day's: between them nothing closes.
                begin, end = spans[-1][0], max(end, spans.pop()[1])
            # Hours within the one that a change of the clock leaves out are none.
            if begin < end:
                spans.append((begin, end))
        short = timedelta(seconds=needs)
        return [(begin, end - short) for begin, end in spans if end - short > begin]


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return the first moment, in UTC, at which the wall clock of a zone shows a time of a day, or has gone past it.

    A time that a change of the clock leaves out is passed when the clock is changed.
    """
    wall = datetime.combine(day, at, zone)
    after = wall.astimezone(UTC)
    if after.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return after
    # By the offset before the change it is a moment after it, and the other way round.
    before = wall.replace(fold=1).astimezone(UTC)
    offset = before.astimezone(zone).utcoffset()
    while after - before > _CHANGE:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _read_amount(value: object) -> Amount:
    try:
        return Amount.parse(value)
    except ManifestError as error:
        raise PydanticCustomError("amount", "{rule}", {"rule": error.mistakes[0].rule}) from None


def _write_amount(value: Amount) -> int | str:
    """Return an amount as it is written in a manifest."""
    return str(value) if value.percent else int(value.number)


AmountField: TypeAlias = Annotated[
    Amount,
    PlainValidator(_read_amount),
    PlainSerializer(_write_amount),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}]}
    ),
]


@public("workspaces_apps.rollout")
class OrderByTag(Part, frozen=True):
    """In which order WorkSpaces get their turn: by the value of a tag.

    Examples:
        >>> from workspaces_apps.rollout import OrderByTag, Policy
        >>> by_ring = OrderByTag(key="ring", values=["pilot", "early", "rest"])
        >>> by_ring.rank({"ring": "early"})
        1
        >>> policy = Policy(order_by=by_ring)
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    key: Annotated[str, Field(min_length=1, max_length=127), PLAIN]
    """The tag's key."""
    values: Annotated[tuple[Annotated[str, PLAIN], ...], BeforeValidator(listed), Field(min_length=1)]
    """Its values, first come first; WorkSpaces with another value, or without the tag, come last."""

    if TYPE_CHECKING:

        def __init__(self, *, key: str, values: Many[str]) -> None: ...

    def rank(self, tags: dict[str, str]) -> int:
        """Return the place of a WorkSpace with these tags."""
        value = tags.get(self.key)
        return self.values.index(value) if value in self.values else len(self.values)


WhenConnected: TypeAlias = Literal["proceed", "skip", "wait"]
"""The rule for a WorkSpace whose user is connected: a deployment ends the session [doc]."""

Approval: TypeAlias = Literal["none", "canary", "every-wave"]
"""The waves after which somebody must approve before the next one begins."""


def _wrong_key(key: str, rule: str) -> ValidationError:
    mistake = PydanticCustomError("policy", "{rule}", {"rule": rule})
    return ValidationError.from_exception_data(
        "Policy", [InitErrorDetails(type=mistake, loc=(key,), input=None)]
    )


def _with_successors(data: object) -> object:
    """Read the keys of manifests and plans of earlier releases as their successors."""
    if not is_mapping(data):
        return data
    found = dict(data)
    if "skip_connected" in found:
        if "when_connected" in found:
            raise _wrong_key("skip_connected", "is the former when_connected: leave it out")
        skips = found.pop("skip_connected")
        if not isinstance(skips, bool):
            raise _wrong_key("skip_connected", "is a boolean; it is the former when_connected")
        found["when_connected"] = "skip" if skips else "proceed"
    if "order_by_tag" in found:
        if "order_by" in found:
            raise _wrong_key("order_by_tag", "is the former order_by: leave it out")
        found["order_by"] = found.pop("order_by_tag")
    return found


@public("workspaces_apps.rollout")
class Policy(Part, frozen=True):
    """The care of a roll-out. Durations are seconds, a timedelta, or written like ``1h30m``.

    Examples:
        >>> from datetime import timedelta
        >>> from workspaces_apps.rollout import Policy
        >>> policy = Policy(canary=5, max_in_flight=50, failure_budget="2%", pause=timedelta(minutes=30))
        >>> policy.pause
        1800.0
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    canary: AmountField | None = None
    """The size of the first wave, a count or a share such as ``"5%"``; None: everything in one wave.
    The next wave begins when all of a wave has ended."""
    growth: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = 2.0
    """The factor by which each wave is larger than the one before, 1 or more."""
    largest_wave: Annotated[int, Field(ge=1)] | None = None
    """The largest size of a wave; None for no limit."""
    pause: Seconds = 0.0
    """Seconds to wait between waves."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 100
    """WorkSpaces at most that are being changed at the same time, in all targets together."""
    failure_budget: AmountField = Amount(10, percent=True)
    """The number of WorkSpaces that may fail, a count or a share of those in the plan; one more, and
    nothing new is begun, while what runs may end."""
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    """The number of times that a change which ended in ERROR is retried, over all runs on one journal, 0 to 10."""
    when_connected: WhenConnected = "proceed"
    """The rule for WorkSpaces whose user is connected; a deployment ends the session [doc].
    ``proceed``: deploy; ``skip``: leave them alone; ``wait``: deploy once the user has been away for
    `idle_for`. With ``skip`` and ``wait`` the connection is read directly before each Deploy."""
    idle_for: Seconds = 300.0
    """Seconds for which a user must have been away, with ``wait``. They count from the first DISCONNECTED that was
    read, or from the last connection that the service knows of where that is later. STOPPED is away at once."""
    connected_timeout: Seconds = 28_800.0
    """Seconds at most to wait for a user, or for a hook that postpones; then the WorkSpace is left
    alone, as `connected`, `connection-unknown` or `postponed`."""
    show_connected: bool = False
    """Ask in the plan who is connected; a call for 25 WorkSpaces. Implied by ``skip`` and ``wait``."""
    notice: Seconds = 0.0
    """Seconds before Deploy at which the hook `before_deploy` of an apply is called."""
    allow_foreign_staged: bool = False
    """Deploy also what somebody else has staged, if the plan shows it."""
    order_by: Literal["least-recently-connected"] | OrderByTag | None = None
    """In which order WorkSpaces get their turn: by a tag, at a call for each WorkSpace to be changed; or
    ``least-recently-connected``, at a call for 25: idle desktops first, those of connected users last."""
    approval: Approval = "none"
    """After which waves the apply waits until somebody approves: ``canary``, or ``every-wave``. After the
    last wave there is nothing to approve."""
    approval_timeout: Annotated[Seconds, Field(gt=0)] = 86_400.0
    """Seconds at most to wait for an approval; then the run ends as `drained`."""
    hours: Annotated[tuple[Hours, ...], BeforeValidator(listed)] = ()
    """The hours in which deployments may begin; empty: always. A WorkSpace that no entry fits is never begun."""
    outside_hours: Literal["wait", "skip"] = "wait"
    """The choice to wait for the hours, or to skip what is outside them."""
    finish_within_hours: bool = True
    """Begin nothing that would end after the hours close, by the 95th percentile of this run's
    deployments, and by `expected_deployment` before any has ended."""
    expected_deployment: Annotated[Seconds, Field(gt=0)] = 2700.0
    """Seconds that a deployment is expected to take [assumed]."""
    deployment_timeout: Annotated[Seconds, Field(gt=0)] = 7200.0
    """Seconds after which a deployment that does not end counts as failed."""
    ready_timeout: Annotated[Seconds, Field(gt=0)] = 1800.0
    """Seconds at most to wait for a WorkSpace that is on its way, such as one that starts or reboots; then
    it is left alone, as `workspace-state`."""

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            canary: Amount | int | str | None = None,
            growth: float = 2.0,
            largest_wave: int | None = None,
            pause: SecondsLike = 0.0,
            max_in_flight: int = 100,
            failure_budget: Amount | int | str = ...,
            retries: int = 1,
            when_connected: WhenConnected = "proceed",
            idle_for: SecondsLike = 300.0,
            connected_timeout: SecondsLike = 28_800.0,
            show_connected: bool = False,
            notice: SecondsLike = 0.0,
            allow_foreign_staged: bool = False,
            order_by: Literal["least-recently-connected"] | OrderByTag | None = None,
            approval: Approval = "none",
            approval_timeout: SecondsLike = 86_400.0,
            hours: Many[Hours] = (),
            outside_hours: Literal["wait", "skip"] = "wait",
            finish_within_hours: bool = True,
            expected_deployment: SecondsLike = 2700.0,
            deployment_timeout: SecondsLike = 7200.0,
            ready_timeout: SecondsLike = 1800.0,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, data: object) -> object:
        return _with_successors(data)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.approval == "canary" and self.canary is None:
            raise PydanticCustomError("policy", 'approval = "canary" needs a canary, such as canary = "5%"')
        if self.canary is not None and not self.canary.number:
            raise PydanticCustomError(
                "policy", "a canary is of 1 WorkSpace or more; without one, leave it out"
            )
        return self

    @property
    def minds_users(self) -> bool:
        """Tell if connected users are left alone."""
        return self.when_connected != "proceed"

    def needs_of_hours(self, expected: float | None = None) -> float:
        """Return the seconds that must be left until the hours close when a deployment begins.

        Args:
            expected: How long a deployment takes, as this run has shown; None while none has ended.
        """
        if not self.finish_within_hours:
            return 0.0
        return self.expected_deployment if expected is None else expected
