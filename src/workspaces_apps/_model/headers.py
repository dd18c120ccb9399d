"""The headers of an answer: a mapping that can be read, hashed and pickled, and not changed."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from workspaces_apps._base.public import public


@public("workspaces_apps.types")
class Headers(Mapping[str, str]):
    """Headers by name in lower case; read-only."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str] = MappingProxyType({})) -> None:
        self._values = {name.lower(): value for name, value in values.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name]

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
