"""Checks of what callers give the simulator: a wrong argument is refused at once, not where it is used.

Each raises `ConfigurationError` in one sentence: the argument's name, what it takes, and what came.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from typing_extensions import TypeIs

from workspaces_apps._base.text import advice
from workspaces_apps.errors import ConfigurationError

_REGION: Final = re.compile(r"[a-z0-9-]+")


def unfit(name: str, takes: str, value: object) -> ConfigurationError:
    """Return the error that says what an argument takes."""
    return ConfigurationError(f"{name} is {takes}, not {value!r}")


def is_number(value: object) -> TypeIs[float]:
    """Tell if it is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_number(
    name: str, value: object, *, least: float = 0, most: float = math.inf, noun: str = "number"
) -> float:
    """Return the number; refuse what is none, or out of its range."""
    if is_number(value) and least <= value <= most:
        return value
    raise unfit(name, f"a {noun}{_range(least, most)}", value)


def check_whole(name: str, value: object, *, least: float = 0, most: float = math.inf) -> None:
    """Refuse what is no whole number, or out of its range."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise unfit(name, f"a whole number{_range(least, most)}", value)


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False."""
    check_kind(name, value, bool, "true or false")


def check_text(name: str, value: object) -> None:
    """Refuse what is no text."""
    check_kind(name, value, str, "a text")


def check_texts(name: str, value: object) -> None:
    """Refuse what is no list of texts: a text by itself would be taken for its letters."""
    if isinstance(value, str) or not _is_collection(value):
        raise unfit(name, "a list", value)
    for one in value:
        check_text(f"each of {name}", one)


def check_kind(name: str, value: object, kind: type | tuple[type, ...], takes: str) -> None:
    """Refuse what is not of this type."""
    if not isinstance(value, kind):
        raise unfit(name, takes, value)


def check_mapping(name: str, value: object) -> None:
    """Refuse what is no mapping from texts to texts."""
    if not _is_mapping(value):
        raise unfit(name, "a mapping", value)
    for key, item in value.items():
        check_text(f"each key of {name}", key)
        check_text(f"{name}[{key!r}]", item)


def check_known(value: object, known: Iterable[str], noun: str) -> None:
    """Refuse a name that does not exist, with the one that may be meant."""
    names = list(known)
    if value not in names:
        raise ConfigurationError(f"{value!r} is no {noun}; {advice(value, names)}")


def check_account(value: object) -> None:
    """Refuse what is no account id."""
    if not isinstance(value, str) or not re.fullmatch("[0-9]{12}", value):
        raise ConfigurationError(f"an account id has 12 digits, unlike {value!r}")


def check_region(value: object) -> None:
    """Refuse what is no name of a Region."""
    if not isinstance(value, str) or not _REGION.fullmatch(value):
        raise ConfigurationError(f"a region is a name such as eu-west-1, unlike {value!r}")


def _is_collection(value: object) -> TypeIs[Collection[object]]:
    return isinstance(value, Collection)


def _is_mapping(value: object) -> TypeIs[Mapping[object, object]]:
    return isinstance(value, Mapping)


def _range(least: float, most: float) -> str:
    if most < math.inf:
        return f" from {least} to {most}"
    return f", {least} or more" if least > -math.inf else ""
