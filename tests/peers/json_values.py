"""Types of JSON values, for type checkers; our package has the same, but peers share no line with it."""

from typing_extensions import TypeIs


def is_object(value: object) -> TypeIs[dict[str, object]]:
    """Tell if it is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeIs[list[object]]:
    """Tell if it is a JSON list."""
    return isinstance(value, list)
