"""Advice about a misspelt name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def advice(name: object, known: Iterable[str]) -> str:
    """Return the name that may be meant, or all that there are: ``did you mean 'times'?``, ``there are a, b``.

    Args:
        name: The name that is not known.
        known: The names that are.
    """
    # Imported only now: nobody needs it but who has misspelt a name.
    import difflib

    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
