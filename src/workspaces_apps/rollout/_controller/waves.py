"""Waves of a roll-out: a canary first, then waves that grow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from workspaces_apps._base.public import public
from workspaces_apps.rollout._errors import ManifestError, Mistake

T = TypeVar("T")


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True)
class Amount:
    """A number of things, or a share of them.

    Attributes:
        number: How many, 0 or more; or how many percent, 0 to 100.
        percent: Whether it is a share.
    """

    number: float
    percent: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no amount.

        Raises:
            ManifestError: It is negative, more than 100 %, or no whole number.
        """
        if self.percent and not 0 <= self.number <= 100:
            raise _mistake("a percentage is from 0% to 100%")
        if not self.percent and (self.number < 0 or self.number != int(self.number)):
            raise _mistake("a count is a whole number, 0 or more")

    @classmethod
    def parse(cls, value: object) -> "Amount":
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
        return f"{self.number:g}%" if self.percent else f"{self.number:g}"


def _mistake(rule: str) -> ManifestError:
    return ManifestError([Mistake(key="", rule=rule)])


def wave_sizes(
    total: int, canary: Amount | None, growth: float, largest: int | None = None
) -> tuple[int, ...]:
    """The sizes of the waves, which add up to `total`.

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
    """The items in pieces of these sizes, in order."""
    pieces: list[Sequence[T]] = []
    start = 0
    for size in sizes:
        pieces.append(items[start : start + size])
        start += size
    return pieces
