"""The base of the generated operations: a way to make one call, and a way to make one a page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from workspaces_apps import types

ResultT = TypeVar("ResultT", bound="types.Result")
PageT = TypeVar("PageT", bound="types.PageResult")
ItemT = TypeVar("ItemT")


class OperationInvoker(ABC):
    """Somebody who can call operations: the client."""

    __slots__ = ()

    @abstractmethod
    async def _invoke(self, request: type[types.Operation[ResultT]], /, **members: object) -> ResultT:
        """Build the request from the members that are not None, and call the operation."""

    @abstractmethod
    def _pages(
        self,
        request: type[types.Operation[PageT]],
        items: Callable[[PageT], Sequence[ItemT]],
        /,
        **members: object,
    ) -> types.Paginated[PageT, ItemT]:
        """Build the request from the members that are not None, and page through the operation."""
