"""The hours in which deployments may begin."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workspaces_apps.rollout import Hours
from workspaces_apps.rollout._manifest.policy import DAYS, Day

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]
times = st.times().map(lambda moment: f"{moment.hour:02}:{moment.minute:02}")
moments = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001 - the zone follows


def hours_of(zone: str, start: str, end: str, days: list[Day]) -> Hours:
    """An entry of a policy."""
    return Hours.model_validate({"time_zone": zone, "start": start, "end": end, "days": days})


hours = st.builds(
    hours_of,
    st.sampled_from(ZONES),
    times,
    times,
    st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
)


@given(hours, moments)
def test_the_next_opening_is_open_and_the_moment_before_is_not(entry: Hours, now: datetime) -> None:
    """Across midnight, across zones, across changes of the clock."""
    opening = entry.next_opening(now)
    assert opening is not None

    assert opening >= now
    assert entry.is_open(opening)
    if opening > now:
        assert not entry.is_open(now)
        assert not entry.is_open(opening - timedelta(seconds=1))
        local = opening.astimezone(ZoneInfo(entry.time_zone))
        assert DAYS[local.weekday()] in entry.days


ADVANCING = [
    *("Europe/Berlin", "America/New_York", "America/Santiago", "Asia/Beirut", "Africa/Cairo"),
    *("Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Apia"),
]
"""Zones whose clocks are set forward: at two, or at midnight; by an hour, half of one, or once by a day."""


@cache
def advances(zone: str) -> list[datetime]:
    """Return the moments, within an hour, at which the clocks of a zone were set forward."""
    hourly = [datetime(2011, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(366 * 24)]
    offsets = [at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta() for at in hourly]
    return [at for at, (before, after) in zip(hourly, pairwise(offsets), strict=False) if after > before]


@given(st.data())
def test_hours_go_by_the_wall_clock_where_it_is_set_forward(data: st.DataObject) -> None:
    """Open is what the clock shows to be in them, whether their beginning or their end is left out by the change."""
    zone = data.draw(st.sampled_from(ADVANCING))
    entry = data.draw(st.builds(hours_of, st.just(zone), times, times, st.just(list(DAYS))))
    change = data.draw(st.sampled_from(advances(zone)))
    now = change + timedelta(minutes=data.draw(st.integers(-1500, 1500)))
    wall = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    expected = False
    for day in (wall.date() - timedelta(days=1), wall.date()):
        last = day if entry.end > entry.start else day + timedelta(days=1)
        expected |= datetime.combine(day, entry.start) <= wall < datetime.combine(last, entry.end)

    assert entry.is_open(now) is expected


@pytest.mark.parametrize(
    "start,end,opens,closes",
    [
        ("01:00", "02:30", "00:00", "01:00"),
        ("02:15", "02:45", None, None),
        ("02:30", "05:00", "01:00", "03:00"),
    ],
)
def test_a_time_that_the_clock_leaves_out_comes_when_it_is_set_forward(
    start: str, end: str, opens: str | None, closes: str | None
) -> None:
    """In Berlin, where two o'clock of 29 March 2026 is three o'clock, at 01:00 UTC."""
    entry = hours_of("Europe/Berlin", start, end, ["sun"])
    midnight = datetime(2026, 3, 28, 23, tzinfo=UTC)
    opening = entry.next_opening(midnight)
    assert opening is not None

    if opens is None:
        assert opening > midnight + timedelta(days=6)
    else:
        assert (f"{opening:%d %H:%M}", f"{entry.closing(opening):%d %H:%M}") == (
            f"29 {opens}",
            f"29 {closes}",
        )


def test_hours_over_midnight_belong_to_the_day_they_begin_on() -> None:
    """Friday 22:00 to 06:00 goes on into Saturday, and Thursday night is not meant."""
    entry = Hours.model_validate(
        {"time_zone": "Europe/Berlin", "start": "22:00", "end": "06:00", "days": ["fri"]}
    )
    berlin = ZoneInfo("Europe/Berlin")

    assert entry.is_open(datetime(2026, 1, 10, 5, 59, tzinfo=berlin))
    assert not entry.is_open(datetime(2026, 1, 10, 6, 0, tzinfo=berlin))
    assert not entry.is_open(datetime(2026, 1, 9, 5, 0, tzinfo=berlin))


@pytest.mark.parametrize(
    "wrong",
    [
        {"time_zone": "Berlin", "start": "22:00", "end": "06:00"},
        {"time_zone": "../etc/passwd", "start": "22:00", "end": "06:00"},
        {"time_zone": "UTC", "start": "24:00", "end": "06:00"},
        {"time_zone": "UTC", "start": "22:00", "end": "6"},
        {"time_zone": "UTC", "start": "22:00", "end": "06:00", "days": []},
        {"time_zone": "UTC", "start": "22:00", "end": "06:00", "days": ["Friday"]},
    ],
)
def test_what_is_no_time_is_refused(wrong: dict[str, object]) -> None:
    """A zone that nobody knows, a time that no clock shows, no days."""
    with pytest.raises(ValidationError):
        Hours.model_validate(wrong)


def test_open_time_is_counted_over_the_nights() -> None:
    """Ten hours of work in nights of eight: the night after the next one."""
    nights = hours_of("Europe/Berlin", "22:00", "06:00", list(DAYS))
    noon = datetime(2026, 1, 5, 12, tzinfo=UTC)

    assert nights.after_open(noon, 0) == datetime(2026, 1, 5, 21, tzinfo=UTC)
    assert nights.after_open(noon, 3600) == datetime(2026, 1, 5, 22, tzinfo=UTC)
    assert nights.after_open(noon, 10 * 3600) == datetime(2026, 1, 6, 23, tzinfo=UTC)
    assert nights.closing(datetime(2026, 1, 5, 23, tzinfo=UTC)) == datetime(2026, 1, 6, 5, tzinfo=UTC)
    assert nights.closing(noon) == noon


@given(hours, moments, st.floats(0, 200_000))
def test_work_in_hours_takes_as_long_as_it_does_and_ends_in_them(
    entry: Hours, now: datetime, seconds: float
) -> None:
    """Never sooner than without hours, and its last moment is one in which work may begin; a year ends the search."""
    end = entry.after_open(now, seconds)

    assert end >= now
    if end < now + timedelta(days=300):
        assert end - now >= timedelta(seconds=seconds)
    if seconds > 1:
        assert entry.is_open(end - timedelta(milliseconds=1))
