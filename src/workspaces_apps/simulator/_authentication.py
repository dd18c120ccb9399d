"""Authentication: credentials and accounts, AWS Signature Version 4 checked against them, and GetCallerIdentity.

The Security Token Service is answered for as far as tools ask it before they ask anything else. Its protocol is another
one: a form that comes, XML that goes.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

from workspaces_apps._base.credentials import Credentials
from workspaces_apps.simulator._wire import ApiError, printable

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request"
    r", *SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{64})",
    re.ASCII,
)
_DATE = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_SPACES = re.compile(r" +")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SECRET_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass(frozen=True, slots=True)
class Identity:
    """The signer of a request, and its Region."""

    account_id: str
    region: str
    access_key_id: str = ""


class RequestHeaders(Protocol):
    """Request headers, looked up whatever their case."""

    def get(self, name: str, /) -> str | None:
        """Return the header's first value, or None."""
        ...

    def getall(self, name: str, default: list[str], /) -> list[str]:
        """Return all of the header's values."""
        ...


@dataclass(frozen=True, slots=True)
class _Key:
    credentials: Credentials
    account_id: str
    expires: float | None


class CredentialStore:
    """The access keys a simulator knows, and the check of what they sign.

    Args:
        seed: Keys made from the same seed are the same.
        regions: The Regions that are served.
        skew: How far a signature's date may be off, in real seconds.
    """

    def __init__(self, *, seed: int, regions: frozenset[str], skew: float) -> None:
        self._source = random.Random(f"keys:{seed}")
        self._regions = regions
        self._skew = skew
        self._keys: dict[str, _Key] = {}
        self._signing_keys: dict[tuple[str, str, str, str], bytes] = {}

    def issue(self, account_id: str, *, expires: float | None = None, temporary: bool = False) -> Credentials:
        """Return credentials of an account.

        Args:
            account_id: The account.
            expires: Simulated epoch seconds after which they are refused.
            temporary: With a session token; implied by `expires`.
        """
        temporary = temporary or expires is not None
        credentials = Credentials(
            access_key_id=("ASIA" if temporary else "AKIA") + "".join(self._source.choices(_ALPHABET, k=16)),
            secret_access_key="".join(self._source.choices(_SECRET_ALPHABET, k=40)),
            session_token="".join(self._source.choices(_SECRET_ALPHABET, k=64)) if temporary else None,
            account_id=account_id,
            expires_at=None if expires is None else datetime.fromtimestamp(expires, UTC),
        )
        self._keys[credentials.access_key_id] = _Key(credentials, account_id, expires)
        return credentials

    def guess(self, headers: RequestHeaders, account_id: str, region: str) -> Identity:
        """Guess the caller where signatures are not checked; the arguments are the fallback."""
        match = _AUTHORIZATION.fullmatch(headers.get("Authorization") or "")
        if match is None:
            return Identity(account_id, region)
        known = self._keys.get(match[1])
        return Identity(
            known.account_id if known else account_id,
            match[3] if match[3] in self._regions else region,
        )

    def verify(
        self,
        service: str,
        method: str,
        path: str,
        query: str,
        headers: RequestHeaders,
        body: bytes,
        now: float,
    ) -> Identity:
        """Verify the signature and return the signer of this request.

        Args:
            service: The signing name of the service that is asked.
            method: The HTTP method.
            path: The path as it was sent.
            query: The query string as it was sent.
            headers: The headers.
            body: The body.
            now: Simulated epoch seconds, for keys that expire. The signature's date is held against real time.

        Raises:
            ApiError: The code AWS gives for what is wrong with the signature.
        """
        authorization = headers.get("Authorization")
        if authorization is None:
            raise ApiError("MissingAuthenticationTokenException", "Missing Authentication Token")
        match = _AUTHORIZATION.fullmatch(authorization)
        if match is None:
            raise ApiError(
                "IncompleteSignatureException",
                "The Authorization header is not a complete AWS4-HMAC-SHA256 signature.",
            )
        key_id, day, region, signed_for, signed_names, signature = match.groups()
        stamp = headers.get("X-Amz-Date") or ""
        if _DATE.fullmatch(stamp) is None:
            raise ApiError(
                "IncompleteSignatureException",
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
            )
        names = signed_names.split(";")
        if "host" not in names or "x-amz-date" not in names:
            raise _mismatch("'Host' and 'X-Amz-Date' must be signed headers.")
        key = self._keys.get(key_id)
        token = headers.get("X-Amz-Security-Token")
        if key is None or not _equal(key.credentials.session_token or "", token or ""):
            raise ApiError(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            )
        if region not in self._regions:
            raise _mismatch("Credential should be scoped to a valid Region.")
        if signed_for != service:
            raise _mismatch(f"Credential should be scoped to correct service: '{service}'.")
        if day != stamp[:8]:
            raise _mismatch(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP."
            )
        self._check_date(stamp)
        scope = (day, region, service)
        expected = self._sign(key.credentials, scope, stamp, names, method, path, query, headers, body)
        if not hmac.compare_digest(expected, signature):
            raise _mismatch(
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method."
            )
        if key.expires is not None and now >= key.expires:
            raise ApiError("ExpiredTokenException", "The security token included in the request is expired")
        return Identity(key.account_id, region, key_id)

    def _check_date(self, stamp: str) -> None:
        try:
            signed = datetime(
                int(stamp[:4]),
                int(stamp[4:6]),
                int(stamp[6:8]),
                int(stamp[9:11]),
                int(stamp[11:13]),
                int(stamp[13:15]),
                tzinfo=UTC,
            ).timestamp()
        except ValueError:
            raise ApiError(
                "IncompleteSignatureException", f"Date must be in ISO-8601 'basic format'. Got '{stamp}'."
            ) from None
        offset = signed - time.time()
        if abs(offset) <= self._skew:
            return
        current = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        if offset < 0:
            raise _mismatch(
                f"Signature expired: {stamp} is now earlier than the current time {current} allows."
            )
        raise _mismatch(
            f"Signature not yet current: {stamp} is still later than the current time {current} allows."
        )

    def _sign(
        self,
        credentials: Credentials,
        scope: tuple[str, str, str],
        stamp: str,
        names: list[str],
        method: str,
        path: str,
        query: str,
        headers: RequestHeaders,
        body: bytes,
    ) -> str:
        lines = [method, path, _canonical_query(query)]
        for name in names:
            values = ",".join(_SPACES.sub(" ", value.strip()) for value in headers.getall(name, []))
            lines.append(f"{name}:{values}")
        lines += ["", ";".join(names), hashlib.sha256(body).hexdigest()]
        canonical = "\n".join(lines).encode("utf-8", "surrogateescape")
        named = "/".join((*scope, "aws4_request"))
        to_sign = f"{_ALGORITHM}\n{stamp}\n{named}\n{hashlib.sha256(canonical).hexdigest()}"
        return hmac.digest(self._signing_key(credentials, scope), to_sign.encode(), "sha256").hex()

    def _signing_key(self, credentials: Credentials, scope: tuple[str, str, str]) -> bytes:
        name = (credentials.access_key_id, *scope)
        key = self._signing_keys.get(name)
        if key is None:
            key = f"AWS4{credentials.secret_access_key}".encode()
            for part in (*scope, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._signing_keys[name] = key
        return key


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = sorted(part.partition("=")[::2] for part in query.split("&"))
    return "&".join(f"{quote(name, safe='-_.~%')}={quote(value, safe='-_.~%')}" for name, value in pairs)


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(
        one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape")
    )


def _mismatch(message: str) -> ApiError:
    return ApiError("InvalidSignatureException", message)


SIGNING_NAME: Final = "sts"
OPERATION: Final = "GetCallerIdentity"
CONTENT_TYPE: Final = "text/xml"
_NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"


def is_asked(method: str, path: str, headers: RequestHeaders) -> bool:
    """Return whether a request is in this service's form."""
    form = (headers.get("Content-Type") or "").startswith("application/x-www-form-urlencoded")
    return method == "POST" and path == "/" and form


def action_of(body: bytes) -> str:
    """Return the operation that the form names.

    Raises:
        ApiError: InvalidAction: it is another one.
    """
    try:
        named = parse_qs(body.decode("ascii"), max_num_fields=100).get("Action", [""])[0]
    except ValueError:
        named = ""
    if named != OPERATION:
        raise ApiError("InvalidAction", "The simulator knows GetCallerIdentity only.")
    return named


def answer(identity: Identity, access_key_id: str, request_id: str) -> bytes:
    """Return who has asked, as the service tells it."""
    arn = f"arn:aws:iam::{identity.account_id}:user/simulated"
    return _document(
        f"<{OPERATION}Response xmlns='{_NAMESPACE}'><{OPERATION}Result><Arn>{arn}</Arn>"
        f"<UserId>{escape(access_key_id)}</UserId><Account>{identity.account_id}</Account></{OPERATION}Result>"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{OPERATION}Response>"
    )


def refusal(error: ApiError, request_id: str) -> bytes:
    """Return an error, as the service tells it."""
    message = escape(printable(error.message or ""))
    return _document(
        f"<ErrorResponse xmlns='{_NAMESPACE}'><Error><Type>Sender</Type><Code>{error.code}</Code>"
        f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )


def _document(text: str) -> bytes:
    return text.encode("utf-8")
