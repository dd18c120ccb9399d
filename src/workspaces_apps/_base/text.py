"""Text from outside, made fit to be read: by a person, on a terminal, in a log or in a file.

Whatever a service, a network or a stranger's program has said goes through `harmless` first. It steers no terminal, forges
no line, has no end, and gives no secret away. Ids and hashes stay as they are: people look for them.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable


_CONTROL: Final = (
    # C0, DEL and C1; soft hyphen; what changes the direction or the order of the text around it; what is invisible,
    # tags included; lone surrogates, which no encoding can write, and what is no character.
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]+"
)
"""Compiled when there is text to look at: most calls end without."""

MESSAGE_LIMIT: Final = 2000
"""Characters at most of what a service says in an error."""

NAME_LIMIT: Final = 200
"""Characters at most of a code or an id that a service gives."""

HIDDEN: Final = "[hidden]"

_SECRET: Final = (
    r"(?i)(Signature=|(?:X-Amz-Security-Token|aws_secret_access_key|aws_session_token)"
    # A comma alone is punctuation: it separates a value only after a quote, or without a space.
    r"(?:%22|[\"'\\])*(?:\s*(?:[:=]|%3[AD])|[\"'\\]\s*,|,(?=\S))\s*(?:b?[\"'\\]|%22|%20)*)"
    r"[^\s\"'&,;<>(){}\[\]\\]+"
)
"""Signatures of requests, recognised by the text before them."""

_SHORTEST: Final = 8
_MOST: Final = 256

_known: tuple[int, tuple[str, ...]] = 0, ()
"""The secrets of this process that were used last, as they are and as they stand in URLs and in JSON; the shortest's length
before them. Replaced whole: other threads read it meanwhile."""

_replacing: Final = threading.Lock()


def hide(*secrets: str | None) -> None:
    """Hide these values wherever they stand in text from outside.

    Args:
        secrets: A secret access key, a session token. What is shorter than 8 characters is none.
    """
    global _known  # noqa: PLW0603 - the one place where it is replaced
    forms = [
        form
        for secret in secrets
        if secret is not None and len(secret) >= _SHORTEST
        for form in (secret, quote(secret, safe=""), quote(secret), secret.replace("/", "\\/"))
    ]
    with _replacing:
        # The last used at the end.
        kept = tuple(dict.fromkeys([*forms[::-1], *_known[1][::-1]]))[:_MOST][::-1]
        _known = min(map(len, kept), default=0), kept


def redacted(text: str) -> str:
    """Return the text without secrets."""
    # Ids, of which an event has several and a journal millions, are shorter than secrets, and have no separator in them.
    least, known = _known
    if len(text) >= least:
        for secret in known:
            if secret in text:
                text = text.replace(secret, HIDDEN)
    if not ("=" in text or ":" in text or "%" in text or "," in text):
        return text
    return re.sub(_SECRET, lambda found: f"{found[1]}{HIDDEN}", text)


def bounded(text: str, limit: int) -> str:
    """Return the text, of so many characters at most; the last one is … if there were more."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def harmless(value: object, limit: int | None = None) -> str:
    """Return the text of a value in one line: without secrets, and without what a terminal would take for a command.

    Args:
        value: What was said.
        limit: Characters at most; None for any number.
    """
    text = str(value)
    if limit is not None:
        # Of megabytes only the beginning is looked at; a secret at its end is cut off with the rest.
        text = text[: 4 * limit]
    text = " ".join(re.sub(_CONTROL, " ", redacted(text)).split())
    return text if limit is None else bounded(text, limit)


def advice(name: object, known: Iterable[str]) -> str:
    """Return the name that may be meant, or all that there are: ``did you mean 'times'?``, ``there are a, b``, ``there are none``.

    Args:
        name: The name that is not known.
        known: The names that are.
    """
    # Imported only now: nobody needs it but who has misspelt a name.
    import difflib

    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names) or 'none'}"
