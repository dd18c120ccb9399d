"""The Security Token Service, as far as tools ask it before they ask anything else: GetCallerIdentity.

Its protocol is another one: a form that comes, XML that goes.
"""

from typing import Final
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from workspaces_apps.simulator._sigv4 import Headers, Identity
from workspaces_apps.simulator._wire import ApiError, printable

SIGNING_NAME: Final = "sts"
OPERATION: Final = "GetCallerIdentity"
CONTENT_TYPE: Final = "text/xml"
_NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"


def is_asked(method: str, path: str, headers: Headers) -> bool:
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
