"""URLs of journals: what they may say, and how they are shown without what is secret in them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from workspaces_apps.rollout._errors import JournalError

Scheme: TypeAlias = Literal["s3", "postgresql"]

# Two letters at least: one is a drive of Windows.
_URL: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]+)://")

_SCHEMES: Final[Mapping[str, Scheme]] = {"s3": "s3", "postgresql": "postgresql", "postgres": "postgresql"}

KNOWN_FORMS: Final = "the path of a file, s3://bucket/prefix/name and postgresql://…/database?name=…"
"""The forms in which a string may name a journal."""

S3_OPTIONS: Final = frozenset({"region", "profile", "endpoint_url", "sse", "kms_key_id"})
"""The options that an S3 URL may have."""

_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")

_SHOWN: Final = frozenset({"name", "sslmode", *S3_OPTIONS})
"""The options that may be shown; any other may hold a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalUrl:
    """The URL of a journal. Its `str` and `repr` hold nothing secret.

    Attributes:
        scheme: The kind of store.
        place: The bucket and prefix, or the connection string of the database, which may hold a password.
        name: The journal's name in its store.
        options: What else the URL says to us.
        shown: The place as it may be shown.
    """

    scheme: Scheme
    place: str = field(repr=False)
    name: str
    options: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    shown: str

    def __str__(self) -> str:
        return f"{self.shown}/{self.name}" if self.scheme == "s3" else f"{self.shown}?name={quote(self.name)}"


def parse_url(text: str) -> JournalUrl | None:
    """Return the URL that a string is; None if it is none.

    Raises:
        JournalError: It is one that names no journal. The message holds nothing that may be secret.
    """
    found = _URL.match(text)
    if found is None:
        return None
    scheme = _SCHEMES.get(found[1].lower())
    if scheme is None:
        raise JournalError(
            f"a journal cannot be kept at {found[1].lower()}://…; this release knows {KNOWN_FORMS}"
        )
    return _s3(text.strip()) if scheme == "s3" else _postgresql(text.strip(), with_name=True)


def parse_database(text: str) -> JournalUrl:
    """Return the URL of a database that is no journal's: it has no name.

    Raises:
        JournalError: It is no URL of PostgreSQL, or has a name.
    """
    found = _URL.match(text)
    if found is None or _SCHEMES.get(found[1].lower()) != "postgresql":
        kind = f"{found[1].lower()}://…" if found is not None else "what was given"
        raise JournalError(f"a database is postgresql://user@host/database, not {kind}")
    return _postgresql(text.strip(), with_name=False)


def _s3(text: str) -> JournalUrl:
    try:
        parts = urlsplit(text)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise JournalError("the URL of the journal cannot be read: s3://bucket/prefix/name") from None
    if "@" in parts.netloc:
        raise JournalError(
            "the URL of a journal in S3 has no credentials: they come from the profile or the environment"
        )
    prefix, _, name = unquote(parts.path).strip("/").rpartition("/")
    strange = sorted(options.keys() - S3_OPTIONS)
    if strange:
        raise JournalError(
            f"unknown option in the URL of a journal in S3: {', '.join(strange)};"
            f" it may have {', '.join(sorted(S3_OPTIONS))}"
        )
    if not parts.netloc or not name or parts.fragment:
        raise JournalError(f"{text.partition('?')[0]} names no journal: s3://bucket/prefix/name")
    place = f"{parts.netloc}/{prefix}" if prefix else parts.netloc
    return JournalUrl(scheme="s3", place=place, name=_named(name), options=options, shown=f"s3://{place}")


def _postgresql(text: str, *, with_name: bool) -> JournalUrl:
    example = f"postgresql://user@host/database{'?name=office' if with_name else ''}"
    try:
        parts = urlsplit(text)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise JournalError(f"the URL of the database cannot be read: {example}") from None
    names = [value for key, value in pairs if key == "name"]
    if len(names) != with_name:
        problem = "needs one name" if with_name else "has a name, which only that of a journal has"
        raise JournalError(f"the URL of the database {problem}: {example}")
    rest = [(key, value) for key, value in pairs if key != "name"]
    # The user is no secret, everything between it and the host may be.
    user, at, host = parts.netloc.rpartition("@")
    shown = f"postgresql://{user.partition(':')[0]}{at}{host}{parts.path}"
    known = [(key, value) for key, value in rest if key in _SHOWN]
    place = parts._replace(scheme="postgresql", query=urlencode(rest, quote_via=quote)).geturl()
    return JournalUrl(
        scheme="postgresql",
        place=place,
        name=_named(names[0]) if names else "",
        options=dict(known),
        shown=shown,
    )


def _named(name: str) -> str:
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise JournalError("the name of a journal has 1 to 200 characters, none of them a control character")
    return name
