"""Waves and amounts: the arithmetic."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps.rollout import ManifestError
from workspaces_apps.rollout._manifest.policy import Amount, cut, wave_sizes

amounts = st.builds(Amount, st.integers(0, 200)) | st.builds(Amount, st.floats(0, 100), percent=st.just(True))


@given(st.integers(0, 5000), st.none() | amounts, st.floats(1, 10), st.none() | st.integers(1, 500))
def test_waves_cover_everything_once(
    total: int, canary: Amount | None, growth: float, largest: int | None
) -> None:
    """They add up, none is empty or over the limit, and none but the last is smaller than the one before."""
    sizes = wave_sizes(total, canary, growth, largest)

    assert sum(sizes) == total
    assert all(1 <= size <= (largest or total) for size in sizes)
    assert all(before <= after for before, after in itertools.pairwise(sizes[:-1]))
    assert [item for piece in cut(range(total), sizes) for item in piece] == list(range(total))


@given(st.integers(1, 5000), amounts)
def test_the_canary_goes_first(total: int, canary: Amount) -> None:
    """The first wave is what was asked for, one at least."""
    assert wave_sizes(total, canary, 2.0)[0] == min(total, max(1, canary.of(total)))


@pytest.mark.parametrize(
    "total,canary,growth,largest,sizes",
    [
        (10, None, 2.0, None, (10,)),
        (100, Amount(5, percent=True), 2.0, None, (5, 10, 20, 40, 25)),
        (10, Amount(3), 1.0, None, (3, 3, 3, 1)),
        (10, Amount(1), 1.2, None, (1, 2, 3, 4)),
        (20, Amount(2), 10.0, 7, (2, 7, 7, 4)),
        (0, Amount(1), 2.0, None, ()),
    ],
)
def test_examples(
    total: int, canary: Amount | None, growth: float, largest: int | None, sizes: tuple[int, ...]
) -> None:
    """Some that a reader can check in the head."""
    assert wave_sizes(total, canary, growth, largest) == sizes


@pytest.mark.parametrize(
    "text,amount", [("5%", Amount(5, percent=True)), ("0.5 %", Amount(0.5, percent=True)), (3, Amount(3))]
)
def test_amounts_are_read(text: object, amount: Amount) -> None:
    """Counts and shares, as a manifest writes them; and back."""
    assert Amount.parse(text) == amount
    assert Amount.parse(int(str(amount)) if not amount.percent else str(amount)) == amount


@pytest.mark.parametrize("wrong", ["5", "-5%", "101%", "%", "1e3%", -1, 2.5, True, None, "५%"])
def test_what_is_no_amount_is_refused(wrong: object) -> None:
    """Neither a count nor a share from 0 to 100."""
    with pytest.raises(ManifestError):
        Amount.parse(wrong)
