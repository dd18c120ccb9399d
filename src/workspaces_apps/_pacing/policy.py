"""The rate at which the calls of one operation may follow each other."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from workspaces_apps._base.public import public
from workspaces_apps.errors import ConfigurationError

Mode: TypeAlias = Literal["adaptive", "fixed", "off"]


@public("workspaces_apps")
@dataclass(frozen=True, slots=True)
class Pacing:
    """The rate at which the calls of one operation may follow each other; made by `adaptive`, `fixed` or `off`.

    Attributes:
        mode: Which of the three.
        rate: Calls a second, where they are fixed.
        burst: How many calls may go at once after a pause, where the rate is fixed.
    """

    mode: Mode = "adaptive"
    rate: float | None = None
    burst: int = 1

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigurationError: A field breaks its rule; the message names both.
        """
        if self.mode not in ("adaptive", "fixed", "off"):
            raise ConfigurationError(f"Pacing.mode must be adaptive, fixed or off, not {self.mode!r}")
        _require_burst(self.burst)
        if self.mode != "fixed":
            if self.rate is not None or self.burst != 1:
                raise ConfigurationError("Pacing.rate and Pacing.burst belong to Pacing.fixed only")
            return
        if (
            isinstance(self.rate, bool)
            or not isinstance(self.rate, int | float)
            or not math.isfinite(self.rate)
            or self.rate <= 0
        ):
            raise ConfigurationError(
                f"Pacing.rate must be a finite number of calls a second, more than 0, not {self.rate!r}"
            )

    @classmethod
    def adaptive(cls) -> "Pacing":
        """Free until the service throttles, with a window that grows with success; then a learned rate."""
        return cls("adaptive")

    @classmethod
    def fixed(cls, rate: float, burst: int = 1) -> "Pacing":
        """A rate that is known, whatever the service answers.

        Args:
            rate: Calls a second.
            burst: How many calls may go at once after a pause.

        Raises:
            ConfigurationError: The rate is not a positive finite number, or the burst not a positive integer.
        """
        return cls("fixed", rate, burst)

    @classmethod
    def off(cls) -> "Pacing":
        """No pacing."""
        return cls("off")


def _require_burst(burst: object) -> None:
    if isinstance(burst, bool) or not isinstance(burst, int) or burst < 1:
        raise ConfigurationError(f"Pacing.burst must be an integer, 1 or more, not {burst!r}")
