"""States that this package does not know: they count as under way, and each is logged once in a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.text import NAME_LIMIT, harmless

if TYPE_CHECKING:
    from workspaces_apps._model.values import OpenEnum

_log = field_logger("workspaces_apps.waiters")

_noted: set[tuple[str, str]] = set()
_NOTED_AT_MOST: Final = 256


def note_unknown(kind: str, state: OpenEnum | None, name: str = "") -> None:
    """Log a state that this package does not know, once in a process.

    Args:
        kind: Of what it is a state.
        state: The state; nothing happens if it is known, or None.
        name: What was seen in it, if that is to be told.
    """
    if state is None or state.is_known or (kind, state) in _noted:
        return
    if len(_noted) < _NOTED_AT_MOST:
        _noted.add((kind, str(state)))
    place = f" of {harmless(name, NAME_LIMIT)}" if name else ""
    _log.warning("unknown %s state %s%s: it counts as under way", kind, harmless(state, NAME_LIMIT), place)
