"""The arithmetic of the pacing rules, in exact numbers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps._pacing import AdaptiveRate, FixedRate, RateRule


def learned(rate: float = 10.0) -> AdaptiveRate:
    """A settled rule, with one success of growth from `rate` ahead."""
    rule = AdaptiveRate()
    rule.throttled(0.0, 0.0)
    while (rule.rate or 0.0) < rate / 0.6:
        keep_busy(rule)
        rule.succeeded()
    rule.throttled(1.0, 0.5)
    return rule


def keep_busy(rule: RateRule) -> None:
    """Let a call go in the moment that it may."""
    rule.reserve(max(0.0, rule.delay(0.0, 0)), 0)


def test_eight_calls_are_in_flight_at_most_before_the_first_throttle() -> None:
    """The window is full with eight, and only an answer opens it."""
    rule = AdaptiveRate()
    assert [rule.delay(0.0, in_flight) for in_flight in (0, 7, 8)] == [0.0, 0.0, math.inf]
    assert rule.rate is None


def test_the_window_grows_by_half_a_slot_per_success() -> None:
    """Two successes of a busy window make one slot more."""
    rule = AdaptiveRate()
    rule.reserve(0.0, 7)
    rule.succeeded()
    rule.succeeded()
    assert rule.window == 9.0


def test_a_window_that_is_not_used_does_not_grow() -> None:
    """Calls one after the other say nothing of what eight at once would do."""
    rule = AdaptiveRate()
    for _ in range(100):
        rule.reserve(0.0, 0)
        rule.succeeded()
    assert rule.window == 8.0


def test_the_first_throttle_sets_two_a_second_and_each_success_adds_0_7() -> None:
    """Until the second throttle the rate grows fast."""
    rule = AdaptiveRate()
    rule.throttled(1.0, 0.5)
    assert rule.rate == 2.0
    rule.reserve(1.5, 0)
    rule.succeeded()
    assert rule.rate == 2.7
    assert not rule.settled


def test_the_second_throttle_settles_the_rate_at_six_tenths() -> None:
    """It is the first sign of where the limit is."""
    rule = AdaptiveRate()
    rule.throttled(1.0, 0.5)
    rule.throttled(2.0, 1.5)
    assert rule.rate == pytest.approx(1.2)
    assert rule.settled


def test_every_later_throttle_cuts_a_fifth() -> None:
    """Once settled, a cut is × 0.8."""
    rule = AdaptiveRate()
    for second in (1.0, 2.0, 3.0):
        rule.throttled(second, second - 0.5)
    assert rule.rate == pytest.approx(1.2 * 0.8)


def test_throttles_of_one_burst_cut_once() -> None:
    """A request that went before the last cut was refused for the old rate."""
    rule = learned()
    rule.throttled(5.0, 4.0)
    before = rule.rate
    rule.throttled(5.1, 4.9)
    rule.throttled(5.2, 5.0)
    assert rule.rate == before


@pytest.mark.parametrize("rate, level", [(8.0, 1.0), (4.0, 2.0), (2.0, 2.0), (16.0, 0.5), (50.0, 0.5)])
def test_a_success_grows_a_settled_rate_by_its_share_of_a_cut(rate: float, level: float) -> None:
    """0.2/120 of the rate, more for slow rates and less for fast ones, and (1/120)² on top for the first."""
    rule = learned(rate)
    before = rule.rate or 0.0
    keep_busy(rule)
    rule.succeeded()
    level = min(2.0, max(0.5, 8.0 / before))
    assert rule.rate == pytest.approx(before * (1 + 0.2 / 120 * (1 + (1 / 120) ** 2) * level))


def test_growth_has_doubled_after_120_answers_without_a_cut() -> None:
    """So capacity that comes back is found again."""
    rule = learned(8.0)
    for _ in range(119):
        keep_busy(rule)
        rule.succeeded()
    before = rule.rate or 0.0
    keep_busy(rule)
    rule.succeeded()
    assert rule.rate == pytest.approx(before * (1 + 0.2 / 120 * 2 * min(2.0, 8.0 / before)))


def test_a_rate_that_is_not_used_does_not_grow() -> None:
    """A call a minute says nothing of whether ten a second are allowed."""
    rule = learned()
    before = rule.rate
    for minute in range(1, 1000):
        rule.reserve(60.0 * minute, 0)
        rule.succeeded()
    assert rule.rate == before


def test_a_rate_is_proven_by_twenty_answers_at_full_use_without_a_throttle() -> None:
    """Before, while it is not made use of, and after a further throttle, it is not."""
    rule = learned()
    for number in range(20):
        assert rule.proven is None
        rule.reserve(1000.0 * (number + 1), 0)
        rule.succeeded()
    assert rule.proven is None
    for _ in range(20):
        assert rule.proven is None
        keep_busy(rule)
        rule.succeeded()
    assert rule.proven == rule.rate
    rule.throttled(10**6, 10**6)
    assert rule.proven is None


def test_a_fixed_rate_needs_no_proof() -> None:
    """It is known, and where there is none, none is proven."""
    assert FixedRate(2.0, 1).proven == 2.0
    assert RateRule().proven is None


def test_calls_at_a_learned_rate_are_spaced_evenly() -> None:
    """After 2/s is set, the turns are half a second apart."""
    rule = AdaptiveRate()
    rule.throttled(0.0, -1.0)
    turns = [0.0]
    for _ in range(3):
        turns.append(turns[-1] + rule.delay(turns[-1], 0))
        rule.reserve(turns[-1], 0)
    assert turns == [0.0, 0.5, 1.0, 1.5]


def test_a_late_timer_loses_no_rate() -> None:
    """A call that goes 10 ms late does not push back the next one."""
    rule = AdaptiveRate()
    rule.throttled(0.0, -1.0)
    rule.reserve(0.51, 0)
    assert 0.51 + rule.delay(0.51, 0) == pytest.approx(1.0)


def test_a_call_taken_back_leaves_its_turn_to_the_next() -> None:
    """Taking and untaking is as if nothing had been."""
    rule = AdaptiveRate()
    rule.throttled(0.0, -1.0)
    before = rule.delay(0.5, 0)
    rule.reserve(0.5, 0)
    rule.cancel()
    assert rule.delay(0.5, 0) == pytest.approx(before, abs=1e-12)


def test_the_estimate_counts_on_the_fast_growth_while_it_lasts() -> None:
    """At 2/s and growing, the 51st in line waits about 4.6 s and not 25."""
    rule = AdaptiveRate()
    rule.throttled(0.0, -1.0)
    assert rule.eta(0.0, 50) == pytest.approx(0.5 + math.log1p(0.7 * 50 / 2) / 0.7)


def test_a_fixed_rate_lets_a_burst_go_and_then_one_per_interval() -> None:
    """Three at once, then two a second."""
    rule = FixedRate(2.0, 3)
    turns: list[float] = []
    now = 0.0
    for _ in range(6):
        now += rule.delay(now, 0)
        rule.reserve(now, 0)
        turns.append(now)
    assert turns == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5]


def test_the_estimate_of_a_fixed_rate_is_exact() -> None:
    """The estimate for each place in the line is the time at which that call goes."""
    rule = FixedRate(2.0, 3)
    expected = [rule.eta(7.0, ahead) for ahead in range(6)]
    assert expected == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5]


def test_a_fixed_rate_does_not_listen() -> None:
    """Throttles and successes change nothing."""
    rule = FixedRate(2.0, 1)
    rule.throttled(1.0, 0.5)
    rule.succeeded()
    assert rule.rate == 2.0


@given(st.lists(st.tuples(st.sampled_from(["success", "throttle", "idle"]), st.floats(0.0, 100.0))))
def test_a_learned_rate_never_falls_below_its_floor_nor_becomes_absurd(
    steps: list[tuple[str, float]],
) -> None:
    """Whatever the service answers, and whenever: 0.1/s at least, and always finite."""
    rule = AdaptiveRate()
    now = 0.0
    for what, pause in steps:
        now += pause
        if what == "success":
            rule.reserve(now, 0)
            rule.succeeded()
        elif what == "throttle":
            rule.throttled(now, now - 0.1)
        assert rule.rate is None or 0.1 <= rule.rate < math.inf
        assert rule.delay(now, 0) <= 10.0
