"""Signature Version 4 of a POST, as `botocore.auth.SigV4Auth` makes it, for a quarter of the time.

The key is derived once a day, and what is the same for every request of an operation is worked out once, by botocore.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
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


class Signature(NamedTuple):
    """The headers that a signature adds to a request.

    Attributes:
        date: The header `X-Amz-Date`.
        token: The header `X-Amz-Security-Token`; None where the credentials have none.
        authorization: The header `Authorization`.
    """

    date: str
    token: str | None
    authorization: str

    def headers(self) -> dict[str, str]:
        """Return them as headers, in the order of botocore."""
        token = {"X-Amz-Security-Token": self.token} if self.token else {}
        return {"X-Amz-Date": self.date, **token, "Authorization": self.authorization}


class _Lines(NamedTuple):
    """A canonical request, cut where date, token and the body's hash go.

    Attributes:
        before: Up to the date.
        between: From there to the token; to the end where there is none.
        after: From there to the end.
        names: The signed headers.
    """

    before: str
    between: str
    after: str
    names: str


_CUT: Final = "\0"
"""Characters that no header may hold."""


class SigningTemplate:
    """The common part of the signatures of requests with the same URL and headers."""

    __slots__ = ("_with_token", "_without_token")

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        """Work out their canonical request, by botocore.

        Args:
            url: Where they go.
            headers: Their headers, each name once; the host may be left out.
        """
        auth, request = SigV4Auth(ReadOnlyCredentials("", "", None), "", ""), AWSRequest("POST", url)
        beginning = "\n".join(auth.canonical_request(request).split("\n")[:3])
        signed = {"host": auth.headers_to_sign(request)["host"], "x-amz-date": _CUT}
        for name, value in headers.items():
            lower = name.lower()
            if lower not in _UNSIGNED:
                signed[lower] = " ".join(value.split())
        self._without_token = _cut(beginning, signed)
        self._with_token = _cut(beginning, {**signed, "x-amz-security-token": _CUT})

    def canonical(self, date: str, token: str | None, body: bytes) -> tuple[str, str]:
        """Return the canonical request, and the names of the signed headers."""
        digest = sha256(body).hexdigest()
        if token:
            before, between, after, names = self._with_token
            return f"{before}{date}{between}{' '.join(token.split())}{after}{digest}", names
        before, between, _, names = self._without_token
        return f"{before}{date}{between}{digest}", names


def _cut(beginning: str, signed: Mapping[str, str]) -> _Lines:
    names = sorted(signed)
    lines = "\n".join([f"{name}:{signed[name]}" for name in names])
    listed = ";".join(names)
    # The date's name comes before the token's.
    before, between, *after = f"{beginning}\n{lines}\n\n{listed}\n".split(_CUT)
    return _Lines(before, between, "".join(after), listed)


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
        self._derived: tuple[str, str, bytes, str] | None = None

    def sign(
        self, template: SigningTemplate, credentials: ReadOnlyCredentials, moment: datetime, body: bytes
    ) -> Signature:
        """Sign a POST.

        Args:
            template: What it has in common with others.
            credentials: Whose request it is.
            moment: When it is sent, in UTC.
            body: Its body.
        """
        date = moment.strftime("%Y%m%dT%H%M%SZ")
        token: str | None = credentials.token
        request, names = template.canonical(date, token, body)
        key, scope = self._key(credentials.secret_key or "", date[:8])
        text = f"{_ALGORITHM}\n{date}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        authorization = f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return Signature(date, token, authorization)

    def _key(self, secret: str, day: str) -> tuple[bytes, str]:
        derived = self._derived
        if derived is None or derived[0] != secret or derived[1] != day:
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            scope = f"{day}/{self._region}/{self._service}/aws4_request"
            self._derived = derived = (secret, day, key, scope)
        return derived[2], derived[3]
