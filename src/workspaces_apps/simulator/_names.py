"""Names that are checked where they are given: a misspelt one would match nothing, and a test would pass by it."""

from collections.abc import Iterable
from functools import cache

from workspaces_apps._base.text import advice
from workspaces_apps.errors import ConfigurationError


def check_operations(names: Iterable[str]) -> None:
    """Refuse what the simulator can never be asked for.

    Raises:
        ConfigurationError: One of them is no operation; the message has the nearest.
    """
    for name in sorted(set(names) - _operations()):
        raise ConfigurationError(f"{name!r} is no operation; {advice(name, _operations())}")


@cache
def _operations() -> frozenset[str]:
    # Imported late: what is behind the operations knows the faults.
    from workspaces_apps.simulator import _identity, _tagging
    from workspaces_apps.simulator._model import service_model

    return frozenset({*service_model().operations, _identity.OPERATION, *_tagging.OPERATIONS})
