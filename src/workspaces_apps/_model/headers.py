"""The headers of an answer: a mapping that can be read, hashed and pickled, and not changed."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Self, TypeVar, overload

from workspaces_apps._base.public import public

T = TypeVar("T")


@public("workspaces_apps.types")
class Headers(Mapping[str, str]):
    """Headers by name in lower case; read-only."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] = MappingProxyType({})) -> None:
        self._values = {name.lower(): value for name, value in values.items()}

    @classmethod
    def from_raw(cls, pairs: Iterable[tuple[bytes, bytes]]) -> Self:
        """Return the headers of an answer as it came; of several with one name the last counts.

        Args:
            pairs: Names and values.

        Raises:
            UnicodeDecodeError: They are not UTF-8.
        """
        made = cls.__new__(cls)
        made._values = {name.decode().lower(): value.decode() for name, value in pairs}
        return made

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str) -> str: ...
    @overload
    def get(self, name: str, /, default: T) -> str | T: ...
    def get(self, name: str, /, default: object = None) -> object:
        """Return a header's value, or the default."""
        # Not by way of a KeyError, as the base does.
        return self._values.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __reduce__(self) -> tuple[type["Headers"], tuple[dict[str, str]]]:
        # The oldest protocols of pickle refuse slots.
        return type(self), (dict(self._values),)

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"
