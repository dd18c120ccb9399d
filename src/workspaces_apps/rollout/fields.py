"""Reading what a parser made of a file: lists, single values where a list is meant, and tables."""

from collections.abc import Mapping

from typing_extensions import TypeIs


def is_list(value: object) -> TypeIs[list[object]]:
    """Whether it is a list, of whatever."""
    return isinstance(value, list)


def is_table(value: object) -> TypeIs[Mapping[object, object]]:
    """Whether it is a mapping, of whatever to whatever."""
    return isinstance(value, Mapping)


def listed(value: object) -> object:
    """A list as the tuple that frozen models hold."""
    return tuple(value) if is_list(value) else value


def several(value: object) -> object:
    """One string where a list of them is meant."""
    return (value,) if isinstance(value, str) else listed(value)
