"""The ways to call the service that are compared: one module each, all with the same calls."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sized
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

NAMES: Final = {
    "ours": "workspaces-apps",
    "before": "workspaces-apps at commit 4930816",
    "raw": "aiobotocore (dicts)",
    "raw_again": "aiobotocore once more (noise)",
    "by_hand": "aiobotocore + pydantic by hand",
    "threads": "boto3 in threads",
    "capo": "capo-workspaces",
    "floor": "the floor: aiohttp + SigV4 + json",
    "floor_validated": "the floor, validated into our models",
    "lowest": "a protocol of one's own, validated into our models",
}
"""What each contender is called in the tables, by module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The calls that are measured.

    Attributes:
        associations: One page of DescribeApplicationAssociations; its items.
        workspaces: One page of DescribeWorkspaces; its items.
        associate: AssociateWorkspaceApplication; the state it answers with.
        stream: Every association of the long listing, one by one; None where the contender has no such way.
    """

    associations: Callable[[], Awaitable[Sized]]
    workspaces: Callable[[], Awaitable[Sized]]
    associate: Callable[[], Awaitable[str]]
    stream: Callable[[], AsyncIterator[object]] | None = None


class Contender(Protocol):
    """A module of this package."""

    def connected(self, url: str) -> AbstractAsyncContextManager[Calls]:
        """An open client of the server at `url`."""
        ...
