"""The state tables: what the states of associations and WorkSpaces mean, and how that is known.

Marks: ``doc`` AWS documentation or the service model; ``field`` reported by people who run fleets; ``assumed``
inferred, no source found. Nothing here calls, waits or remembers.
"""

from typing import Final, Literal, TypeAlias

Mark: TypeAlias = Literal["doc", "field", "assumed"]
"""The source of a fact about the service."""

Direction: TypeAlias = Literal["install", "uninstall"]
"""The direction of a change."""

OPPOSITE: Final[dict[Direction, Direction]] = {"install": "uninstall", "uninstall": "install"}
"""The other direction."""
