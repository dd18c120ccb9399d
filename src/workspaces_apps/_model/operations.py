"""Descriptors of operations, the types of their parameters, and the base of the generated methods; nothing heavy is imported for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from workspaces_apps import types
from workspaces_apps._base.public import public

Bounds: TypeAlias = tuple[int | None, int | None]
"""A least and a greatest, both inclusive; None where there is none."""


@public("workspaces_apps.types")
@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A constraint of the service model on a value in a request."""

    size: Bounds | None = None
    """The bounds of the number of items of a list."""
    length: Bounds | None = None
    """The bounds of the length of a string (in characters) or a blob (in bytes), or of each item of a list."""
    range: Bounds | None = None
    """The bounds of a number."""
    pattern: str | None = None
    """The pattern that a string, or each item of a list, matches from end to end."""
    keys: Rule | None = None
    """The rule for the keys of a map; the rest of the rule is then for its values."""


Rules: TypeAlias = Mapping[str, Rule]
"""The rules of a structure, by attribute."""


@public("workspaces_apps.types")
@dataclass(frozen=True, slots=True, kw_only=True)
class PageSpec:
    """The paging of an operation: names of tokens and items."""

    items: str
    """The attribute of the result that holds the items."""
    size: str | None
    """The attribute of the request that sets how many a page holds; None where there is none."""


@public("workspaces_apps.types")
@dataclass(frozen=True, slots=True, kw_only=True)
class OperationSpec:
    """The descriptor of an operation."""

    name: str
    """The API's name of it."""
    errors: tuple[str, ...] = ()
    """The errors the service model promises, by name."""
    page: PageSpec | None = None
    """The members by which it pages; None if it does not."""


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

if TYPE_CHECKING:

    class Several(Protocol[T_co]):
        """A collection with an order that is not a string, which is a sequence of itself.

        `str.__contains__` takes only `str`; that difference makes a forgotten bracket a type error. Mappings have no
        items by number, which keeps them out.
        """

        def __contains__(self, value: object, /) -> bool: ...
        def __iter__(self) -> Iterator[T_co]: ...
        def __len__(self) -> int: ...
        def __getitem__(self, index: int, /) -> T_co: ...

    # Without the tuple mypy takes the strings in a tuple for any strings, not for the literals that are meant.
    Many: TypeAlias = Set[T] | Several[T] | tuple[T, ...]
    """Several values as a parameter: a list, a tuple, any sequence or set, but not a string. A model holds a tuple."""

else:

    @public("workspaces_apps.types")
    class Many:
        """Several values as a parameter: any sequence or set."""

        def __class_getitem__(cls, item: object) -> object:
            return Sequence[item] | Set[item]


ResultT = TypeVar("ResultT", bound="types.Result")
PageT = TypeVar("PageT", bound="types.PageResult")
ItemT = TypeVar("ItemT")


class OperationInvoker(ABC):
    """Somebody who can call operations: the client."""

    __slots__ = ()

    @abstractmethod
    async def _invoke(
        self, request: type[types.Operation[ResultT]], result: type[ResultT], /, **members: object
    ) -> ResultT:
        """Build the request from the members that are not None, and call the operation."""

    @abstractmethod
    def _pages(
        self,
        request: type[types.Operation[PageT]],
        result: type[PageT],
        items: Callable[[PageT], Sequence[ItemT]],
        /,
        **members: object,
    ) -> types.Paginated[PageT, ItemT]:
        """Build the request from the members that are not None, and page through the operation."""
