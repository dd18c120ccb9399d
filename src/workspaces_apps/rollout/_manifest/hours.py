"""Hours in which a policy allows deployments: times of the day in a time zone, on some days of the week."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from workspaces_apps._base.public import public
from workspaces_apps._model.operations import Many
from workspaces_apps.rollout._manifest.fields import listed
from workspaces_apps.rollout._manifest.part import Part
from workspaces_apps.rollout._manifest.selectors import Selector

Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?\Z")
_SEARCH_DAYS: Final = 9
_MOST_OPENINGS: Final = 366


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

    Attributes:
        time_zone: An IANA name, such as ``Europe/Berlin``.
        start: When they begin.
        end: When they end; at or before `start`: on the next day.
        days: The days on which they begin.
        select: The WorkSpaces they hold for; all if left out. The first entry that fits a WorkSpace holds.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    time_zone: Annotated[str, AfterValidator(_check_zone)]
    start: TimeOfDay
    end: TimeOfDay
    days: Annotated[tuple[Day, ...], BeforeValidator(listed), Field(min_length=1)] = DAYS
    select: Selector | None = None

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
            begin = datetime.combine(day, self.start, zone).astimezone(UTC)
            end = datetime.combine(last, self.end, zone).astimezone(UTC)
            if spans and begin <= spans[-1][1]:
                # One day's hours go over into the next day's: between them nothing closes.
                begin, end = spans[-1][0], max(end, spans.pop()[1])
            # Hours within the one that a change of the clock leaves out are none.
            if begin < end:
                spans.append((begin, end))
        short = timedelta(seconds=needs)
        return [(begin, end - short) for begin, end in spans if end - short > begin]
