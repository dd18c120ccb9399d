"""What the generated operations stand on: a way to make one call, and a way to make one a page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workspaces_apps.models import Operation, PageResult, Result
    from workspaces_apps.pagination import Paginated

ResultT = TypeVar("ResultT", bound="Result")
PageT = TypeVar("PageT", bound="PageResult")
ItemT = TypeVar("ItemT")


class Caller(ABC):
    """Somebody who can call operations: the client."""

    __slots__ = ()

    @abstractmethod
    async def _invoke(self, request: type[Operation[ResultT]], /, **members: object) -> ResultT:
        """Build the request from the members that are not None, and call the operation."""

    @abstractmethod
    def _pages(
        self,
        request: type[Operation[PageT]],
        items: Callable[[PageT], Sequence[ItemT]],
        /,
        **members: object,
    ) -> Paginated[PageT, ItemT]:
        """Build the request from the members that are not None, and page through the operation."""
