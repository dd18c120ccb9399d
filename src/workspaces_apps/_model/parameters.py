"""Types of parameters that take several values; nothing heavy is imported for them."""

from collections.abc import Iterator, Sequence, Set
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from workspaces_apps._base.public import public

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
