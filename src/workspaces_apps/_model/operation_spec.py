"""The descriptor of an operation, and the rules that its request must keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from workspaces_apps._base.public import public

Bounds: TypeAlias = tuple[int | None, int | None]
"""A least and a greatest, both inclusive; None where there is none."""


@public("workspaces_apps.types")
@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A constraint of the service model on a value in a request.

    Attributes:
        size: How many items a list has.
        length: How long a string (in characters) or a blob (in bytes) is, or each item of a list.
        range: What a number lies between.
        pattern: What a string, or each item of a list, matches from end to end.
        keys: What the keys of a map keep; the rest of the rule is then for its values.
    """

    size: Bounds | None = None
    length: Bounds | None = None
    range: Bounds | None = None
    pattern: str | None = None
    keys: "Rule | None" = None


Rules: TypeAlias = Mapping[str, Rule]
"""The rules of a structure, by attribute."""


@public("workspaces_apps.types")
@dataclass(frozen=True, slots=True, kw_only=True)
class PageSpec:
    """The paging of an operation: names of tokens and items.

    Attributes:
        items: The attribute of the result that holds the items.
        size: The attribute of the request that sets how many a page holds; None where there is none.
    """

    items: str
    size: str | None


@public("workspaces_apps.types")
@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec:
    """The descriptor of an operation.

    Attributes:
        name: The API's name of it.
        errors: The errors the service model promises, by name.
        page: How it pages; None if it does not.
    """

    name: str
    errors: tuple[str, ...] = ()
    page: PageSpec | None = None
