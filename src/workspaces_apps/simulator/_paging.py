"""Listings in pages: indexes that can be entered at any point, and opaque tokens that say where.

An index keeps its items by an ever-growing number, so that a page is found by bisection however long the index is,
and a listing goes on at the right place although items came and went between two pages.
"""

import base64
import binascii
import bisect
import hashlib
import hmac
import itertools
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from workspaces_apps.simulator._wire import ApiError, JsonObject, invalid

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_LAYOUT = struct.Struct(">BBQdI8s")
_MAC_BYTES = 16
_FORMAT = 1
_COMPACT_FROM = 64


class Listed(Protocol[T_co]):
    """An index that can be listed from any place on."""

    def after(self, key: int) -> Iterator[tuple[int, T_co]]:
        """Return number and item of all that come after this number."""
        ...


class OrderedIndex(Generic[T]):
    """Items in the order of their numbers."""

    __slots__ = ("_items", "_keys", "_live")

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._items: list[T | None] = []
        self._live = 0

    def __len__(self) -> int:
        return self._live

    def __iter__(self) -> Iterator[T]:
        return (item for item in self._items if item is not None)

    def append(self, key: int, item: T) -> None:
        """Add an item; its number must be above all others."""
        self._keys.append(key)
        self._items.append(item)
        self._live += 1

    def remove(self, key: int) -> None:
        """Take the item with this number out."""
        index = bisect.bisect_left(self._keys, key)
        if index == len(self._keys) or self._keys[index] != key or self._items[index] is None:
            return
        self._items[index] = None
        self._live -= 1
        if len(self._keys) > _COMPACT_FROM and self._live * 2 < len(self._keys):
            kept = [
                (key, item) for key, item in zip(self._keys, self._items, strict=True) if item is not None
            ]
            self._keys = [key for key, _ in kept]
            self._items = [item for _, item in kept]

    def after(self, key: int) -> Iterator[tuple[int, T]]:
        """Number and item of all that come after this number."""
        start = bisect.bisect_right(self._keys, key)
        for index in range(start, len(self._keys)):
            item = self._items[index]
            if item is not None:
                yield self._keys[index], item


def index_of(items: Iterable[T], number: Callable[[T], int]) -> OrderedIndex[T]:
    """An index of a few items, in the order of their numbers."""
    index: OrderedIndex[T] = OrderedIndex()
    for item in sorted(items, key=number):
        index.append(number(item), item)
    return index


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page, and the token of the next if there is one."""

    items: list[T]
    next_token: str | None


class Pager:
    """Cuts indexes into pages; its tokens are bound to one account, Region, operation and set of filters.

    Args:
        secret: What the tokens are sealed with.
        lifetime: Simulated seconds for which a token can be used.
    """

    def __init__(self, secret: bytes, lifetime: float) -> None:
        self._secret = secret
        self._lifetime = lifetime
        self._nonce = itertools.count(1)

    def page(
        self,
        operation: str,
        request: JsonObject,
        indexes: Sequence[Listed[T]],
        limit: int,
        now: float,
        keep: Callable[[T], bool] | None = None,
    ) -> Page[T]:
        """The page that the request asks for.

        Args:
            operation: The operation that lists.
            request: Its parameters; ``NextToken`` says where to go on, everything but the page size is a filter.
            indexes: What is listed, one index after the other.
            limit: Items on a page.
            now: Simulated time.
            keep: Leaves items out.

        Raises:
            ApiError: InvalidParameterValuesException: the token was tampered with, is too old, or belongs to
                another listing.
        """
        filters = _fingerprint(operation, request)
        token = request.get("NextToken")
        first, after = self._open(token, filters, now) if isinstance(token, str) else (0, 0)
        items: list[T] = []
        last = (first, after)
        for index in range(first, len(indexes)):
            for key, item in indexes[index].after(after if index == first else 0):
                if keep is not None and not keep(item):
                    continue
                if len(items) == limit:
                    return Page(items, self._seal(last, filters, now))
                items.append(item)
                last = (index, key)
        return Page(items, None)

    def renew(self, operation: str, request: JsonObject, now: float) -> str:
        """A fresh token for the place the request is at: what an empty page carries."""
        filters = _fingerprint(operation, request)
        token = request.get("NextToken")
        place = self._open(token, filters, now) if isinstance(token, str) else (0, 0)
        return self._seal(place, filters, now)

    def _seal(self, place: tuple[int, int], filters: bytes, now: float) -> str:
        body = _LAYOUT.pack(_FORMAT, place[0], place[1], now, next(self._nonce) % 2**32, filters)
        mac = hmac.digest(self._secret, body, "sha256")[:_MAC_BYTES]
        return base64.urlsafe_b64encode(body + mac).decode("ascii")

    def _open(self, token: str, filters: bytes, now: float) -> tuple[int, int]:
        try:
            sealed = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _bad_token() from None
        body, mac = sealed[:-_MAC_BYTES], sealed[-_MAC_BYTES:]
        if len(body) != _LAYOUT.size or base64.urlsafe_b64encode(sealed).decode("ascii") != token:
            raise _bad_token()
        if not hmac.compare_digest(hmac.digest(self._secret, body, "sha256")[:_MAC_BYTES], mac):
            raise _bad_token()
        _, index, key, issued, _, bound_to = _LAYOUT.unpack(body)
        if bound_to != filters:
            raise _bad_token()
        if now - issued > self._lifetime:
            raise invalid("The specified pagination token has expired.")
        return int(index), int(key)


def _fingerprint(operation: str, request: JsonObject) -> bytes:
    filters = {
        name: value for name, value in request.items() if name not in ("NextToken", "MaxResults", "Limit")
    }
    if not filters:
        return hashlib.sha256(operation.encode()).digest()[:8]
    text = json.dumps([operation, filters], sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).digest()[:8]


def _bad_token() -> ApiError:
    return invalid("The specified pagination token is not valid.")
