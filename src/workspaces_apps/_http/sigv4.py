"""Signature Version 4 of a POST, as `botocore.auth.SigV4Auth` makes it, for a quarter of the time.

The key is derived once a day, and what is the same for every request to one URL is worked out once, by botocore.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from botocore.auth import SIGNED_HEADERS_BLACKLIST, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_ALGORITHM: Final = "AWS4-HMAC-SHA256"

_UNSIGNED: Final = frozenset({*SIGNED_HEADERS_BLACKLIST, "authorization"})
"""Headers, in lower case, that are not part of the signature: they may be changed on the way."""


class _Place(NamedTuple):
    """The common part of all requests to one URL.

    Attributes:
        host: What their host header says.
        beginning: The first three lines of their canonical request: method, path and query.
    """

    host: str
    beginning: str


@lru_cache(maxsize=64)
def _place_of(url: str) -> _Place:
    auth, request = SigV4Auth(ReadOnlyCredentials("", "", None), "", ""), AWSRequest("POST", url)
    lines = auth.canonical_request(request).split("\n")
    return _Place(auth.headers_to_sign(request)["host"], "\n".join(lines[:3]) + "\n")


class SigV4:
    """Signs requests to one service in one Region."""

    def __init__(self, service: str, region: str) -> None:
        """A signer that has not derived a key yet.

        Args:
            service: The service's signing name.
            region: Its Region.
        """
        self._service = service
        self._region = region
        self._derived: tuple[str, str, bytes] | None = None

    def headers(
        self,
        credentials: ReadOnlyCredentials,
        moment: datetime,
        *,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> dict[str, str]:
        """The headers that a POST needs besides its own.

        Args:
            credentials: Whose request it is.
            moment: When it is sent, in UTC.
            url: Where to.
            headers: Its own headers, each name once; the host may be left out.
            body: Its body.
        """
        signed_with = moment.strftime("%Y%m%dT%H%M%SZ")
        added = {"X-Amz-Date": signed_with}
        if credentials.token:
            added["X-Amz-Security-Token"] = credentials.token
        place = _place_of(url)
        signed = {"host": place.host}
        for name, value in chain(headers.items(), added.items()):
            lower = name.lower()
            if lower not in _UNSIGNED:
                signed[lower] = " ".join(value.split())
        names = sorted(signed)
        lines = "\n".join([f"{name}:{signed[name]}" for name in names])
        listed = ";".join(names)
        request = f"{place.beginning}{lines}\n\n{listed}\n{sha256(body).hexdigest()}"
        scope = f"{signed_with[:8]}/{self._region}/{self._service}/aws4_request"
        text = f"{_ALGORITHM}\n{signed_with}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(
            self._key(credentials.secret_key or "", signed_with[:8]), text.encode(), "sha256"
        ).hex()
        added["Authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={listed},"
            f" Signature={signature}"
        )
        return added

    def _key(self, secret: str, day: str) -> bytes:
        derived = self._derived
        if derived is None or derived[0] != secret or derived[1] != day:
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived = derived = (secret, day, key)
        return derived[2]
