"""Licences: on how many WorkSpaces an application is before and after a plan, and what that costs a month.

There are no built-in prices: AWS publishes none that a program could read, so they come from a file of the user's.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field

from workspaces_apps._base.public import public
from workspaces_apps._base.system import read_file
from workspaces_apps._base.text import harmless
from workspaces_apps.rollout._manifest.fields import Part
from workspaces_apps.rollout._manifest.file import MAX_BYTES


def _exact(value: object) -> object:
    """Read a number as it is written: 0.1 of a month's price is not 0.1000000000000000055."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return Decimal(str(value))
        except ArithmeticError:
            return value
    return value


@public("workspaces_apps.rollout")
class Price(Part, frozen=True):
    """A price of one licence.

    Examples:
        >>> from workspaces_apps.rollout import Manifest, Price, Rule, Selector
        >>> manifest = Manifest(
        ...     name="office",
        ...     rules=[Rule(select=Selector(everything=True), present=["Office"])],
        ...     prices={"Office": Price(monthly="12.50", currency="EUR")},
        ... )
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    monthly: Annotated[
        Decimal,
        BeforeValidator(_exact, json_schema_input_type=float | str),
        Field(ge=0, le=1_000_000, allow_inf_nan=False, decimal_places=6),
    ]
    """The amount a month, on one WorkSpace; 0 or more."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    """Its currency, three letters such as ``USD``."""

    if TYPE_CHECKING:

        def __init__(self, *, monthly: Decimal | float | str, currency: str) -> None: ...


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceCount:
    """Licences of one application, over all WorkSpaces that rules select for it."""

    application_id: str
    """The application."""
    application: str | None = None
    """Its name, where the catalogue has one."""
    owner: str | None = None
    """The account that offers it, or ``AMAZON``; None where that is not known."""
    before: int
    """On how many WorkSpaces it is."""
    after: int
    """On how many it will be once everything planned is done."""
    price: Price | None = None
    """The price of one; None where none was given."""

    @property
    def difference(self) -> int:
        """The licences that come, or with a minus go."""
        return self.after - self.before

    @property
    def monthly_difference(self) -> Decimal | None:
        """The amount that a month costs more, or with a minus less; None without a price."""
        return self.price.monthly * self.difference if self.price is not None else None


def monthly_differences(counts: Iterable[LicenceCount]) -> Mapping[str, Decimal]:
    """Return the differences of all applications that have a price, by currency: currencies are never added up."""
    found: dict[str, Decimal] = {}
    for one in counts:
        amount = one.monthly_difference
        if one.price is not None and amount is not None:
            found[one.price.currency] = found.get(one.price.currency, Decimal()) + amount
    return found


class UnreadableError(Exception):
    """A file of prices cannot be read; the message says why."""


def read_prices(path: Path) -> Mapping[str, object]:
    """Return what is in a file of prices: for each application, by id or name, a table of `Price`.

    Raises:
        UnreadableError: It cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(read_file(path, MAX_BYTES).decode("utf-8-sig").replace("\r\n", "\n"))
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is not UTF-8 (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise UnreadableError(f"is not TOML: {error}") from None
    except RecursionError:
        raise UnreadableError("is nested too deeply") from None
    except (ArithmeticError, ValueError) as error:
        # What the parser makes of a number or a date, and cannot.
        raise UnreadableError(f"holds a value that cannot be read: {harmless(error, 200)}") from None
