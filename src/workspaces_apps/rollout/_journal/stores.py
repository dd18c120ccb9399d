"""Ports of the journal: what a roll-out needs of whatever keeps it, and the stores that a path or a URL may mean.

A URL is shown without what is secret in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from workspaces_apps._base.public import public
from workspaces_apps.rollout._errors import JournalError, NoJournalError
from workspaces_apps.rollout._log.events import Event, Started, bounded


@public("workspaces_apps.rollout")
@runtime_checkable
class JournalWriter(Protocol):
    """A journal that one roll-out writes to, and nobody else meanwhile."""

    @property
    def past(self) -> Sequence[Event]:
        """The events that it held when it was opened, oldest first."""
        ...

    async def append(self, *events: Event, durable: bool = False) -> None:
        """Write events; with `durable`, return only once no crash can take them back.

        Events stand in the order in which `append` was called, and who waits is woken in that order. Cancelled, all
        events of the call are kept, or none.

        Raises:
            JournalError: They could not be written; what they announce must not be done. Nothing can be written any
                more, and every further call says why.
        """
        ...

    async def close(self) -> None:
        """Keep what is being written, and let go of the journal; may be called again."""
        ...


@runtime_checkable
class PromptWriter(JournalWriter, Protocol):
    """A journal that can write what need not be durable at once, without a task that waits for it."""

    def append_now(self, *events: Event) -> bool:
        """Write events behind all others; False if something stands before them that is not written yet.

        Raises:
            JournalError: They could not be written.
        """
        ...


@public("workspaces_apps.rollout")
@runtime_checkable
class FencedWriter(JournalWriter, Protocol):
    """A journal whose writer may lose it to another, on another machine.

    A roll-out asks `held` before each attempt of a writing call, and begins nothing more once it is lost. A journal that
    cannot be lost while it is open, such as a locked file, is a plain `JournalWriter`.
    """

    @property
    def held(self) -> bool:
        """Tell if an attempt of a writing call may leave now."""
        ...

    @property
    def waits_for(self) -> str:
        """The trouble with the store that is waited for, in words; empty if there is none."""
        ...

    async def until_held(self) -> None:
        """Wait while it is not certain that nobody else writes to the journal.

        Raises:
            JournalError: Somebody else does.
        """
        ...

    async def until_lost(self) -> JournalError:
        """Wait until it is lost to another writer, and return why; for ever, if it never is."""
        ...


@public("workspaces_apps.rollout")
@runtime_checkable
class JournalStore(Protocol):
    """A place for journals, each with the control record beside it."""

    async def open(self, name: str, *, of: str | None = None) -> JournalWriter:
        """Open a journal to write to it, and make it if there is none.

        Args:
            name: Its name in this store.
            of: The roll-out that it must be of; None: of any.

        Raises:
            JournalBusyError: Somebody else writes to it.
            JournalError: It is no journal, or that of another roll-out, or cannot be opened.
        """
        ...

    async def read(self, name: str) -> Sequence[Event] | None:
        """Return every event of a journal, oldest first, also while somebody writes to it; None if there is none.

        Raises:
            JournalError: It cannot be read, or is no journal.
        """
        ...

    async def read_control(self, name: str) -> bytes | None:
        """Return the control record of a journal, as it was written last; None if there is none.

        Raises:
            JournalError: It cannot be read.
        """
        ...

    async def update_control(self, name: str, change: Callable[[bytes | None], bytes]) -> None:
        """Replace the control record of a journal at once and for good.

        Args:
            name: The journal.
            change: From the record as it is to the record as it shall be; nobody else writes in between. It may be
                called more than once, and in another thread.

        Raises:
            JournalError: It cannot be written.
        """
        ...


AnyJournal: TypeAlias = str | Path | JournalStore
"""A journal: the path of its file, its URL, or the store that keeps it under the name of the roll-out."""


@dataclass(frozen=True, slots=True)
class JournalLocation:
    """One journal in its store.

    Attributes:
        store: The store.
        name: Its name there.
    """

    store: JournalStore
    name: str

    async def past_of(self, rollout: str) -> Sequence[Event]:
        """Return every event of a roll-out's journal; none where there is no journal yet.

        Raises:
            JournalError: It cannot be read, is no journal, or is that of another roll-out.
        """
        events = await self.store.read(self.name) or ()
        check_name(events, self.name, rollout)
        return events


def locate(journal: AnyJournal, rollout: str = "") -> JournalLocation:
    """Return where a journal is.

    Args:
        journal: What was given.
        rollout: The name of the roll-out, by which a store knows it.

    Raises:
        JournalError: It is a URL of a kind that this release does not know.
    """
    if not isinstance(journal, str | Path):
        return JournalLocation(journal, rollout)
    url = parse_url(journal) if isinstance(journal, str) else None
    if url is None:
        from workspaces_apps.rollout._journal.files import FileJournalStore

        path = Path(journal)
        return JournalLocation(FileJournalStore(path.parent), path.name)
    if url.scheme == "s3":
        from workspaces_apps.rollout._journal.s3 import s3_store

        return JournalLocation(s3_store(url), url.name)
    from workspaces_apps.rollout._journal.postgresql import postgresql_store

    return JournalLocation(postgresql_store(url), url.name)


async def open_journal(journal: str | Path, *, of: str | None = None) -> JournalWriter:
    """Open a journal to write to it; close it with ``await journal.close()``.

        journal = await open_journal("s3://my-bucket/rollouts/office")
        await journal.append(event, durable=True)
        await journal.close()

    Args:
        journal: The path of its file, which is made, readable by its owner only, if there is none; or its URL:
            ``s3://bucket/prefix/name`` or ``postgresql://…/database?name=…``.
        of: The name of the roll-out that it must be of; None: of any.

    Raises:
        JournalBusyError: An apply writes to it. For a URL this takes a few seconds to find out, and the length of a
            lease where the last writer was killed.
        JournalError: It is no journal, or that of another roll-out, or cannot be opened; or the string is a URL of an
            unknown kind.
    """
    location = locate(journal)
    return await location.store.open(location.name, of=of)


async def read_events(journal: str | Path) -> Sequence[Event]:
    """Return every event of a journal, oldest first, also while an apply writes to it.

    Args:
        journal: The path of its file, or its URL.

    Raises:
        JournalError: There is none, or it cannot be read, or is no journal; or the string is a URL of an unknown kind.
    """
    location = locate(journal)
    events = await location.store.read(location.name)
    if events is None:
        raise NoJournalError(f"there is no journal {title_of(journal)}")
    return events


_AT_ONCE: Final = 1000
"""Events that are written together."""


async def copy_journal(source: str | Path, to: str | Path) -> int:
    """Copy a journal to where there is none yet, so that the roll-out can go on there.

        await copy_journal("office.journal", "s3://my-bucket/rollouts/office")

    Nobody may write to the source meanwhile: what they added would be missing from the copy. The control record is not
    copied; the source stays as it is. A file is there once it is whole. In a store, a copy that was broken off holds the
    beginning of the source, and copying again goes on with it.

    Args:
        source: The path or URL of the journal.
        to: The path or URL of the copy.

    Returns:
        How many events the source has.

    Raises:
        JournalBusyError: An apply writes to one of them.
        JournalError: There is no source, or there is another journal already where the copy is to be, or one of them
            cannot be read or written.
    """
    if title_of(source) == title_of(to) or _is_one_file(source, to):
        raise JournalError(f"{title_of(source)} is both the journal and the place for its copy")
    # Opening would make it where there is none.
    await read_events(source)
    original = await open_journal(source)
    try:
        events = original.past
        if parse_url(str(to)) is None:
            from workspaces_apps.rollout._journal.files import copy_to_file

            await copy_to_file(Path(to), events)
        else:
            copy = await open_journal(to)
            try:
                check_beginning(copy.past, events, title_of(to))
                for start in range(len(copy.past), len(events), _AT_ONCE):
                    await copy.append(*events[start : start + _AT_ONCE], durable=True)
            finally:
                await copy.close()
    finally:
        await original.close()
    return len(events)


def _is_one_file(source: str | Path, to: str | Path) -> bool:
    try:
        return Path(source).samefile(to)
    except OSError:
        # One is a URL, or not there.
        return False


def check_beginning(found: Sequence[Event], events: Sequence[Event], journal: str) -> None:
    """Refuse to write events where there are others already; what a copy left that was broken off is their beginning.

    Args:
        found: What the journal holds.
        events: What it is to hold.
        journal: What it is called.

    Raises:
        JournalError: It holds others, or all of them.
    """
    if found and (len(found) >= len(events) or list(found) != list(events[: len(found)])):
        raise JournalError(f"{journal} is a journal already, with {len(found):,} events; it is left as it is")


def title_of(journal: str | Path) -> str:
    """Return what a journal is called in output: its path, or its URL without anything secret."""
    url = parse_url(journal) if isinstance(journal, str) else None
    return str(url) if url is not None else str(journal)


def path_of(journal: str | Path) -> Path:
    """Return the path of a journal that is a file.

    Raises:
        JournalError: It is a URL: such a thing never becomes a path.
    """
    url = parse_url(journal) if isinstance(journal, str) else None
    if url is not None:
        raise JournalError(f"this takes the path of a journal's file, not a URL: {url}")
    return Path(journal)


def check_name(events: Sequence[Event], journal: str, rollout: str | None) -> None:
    """Refuse what another roll-out remembers: its changes would count as this one's.

    Args:
        events: What the journal holds.
        journal: What it is called.
        rollout: The roll-out that it must be of; None: of any.

    Raises:
        JournalError: It is of another.
    """
    names = [event.name for event in events if isinstance(event, Started)]
    if rollout is not None and names and names[-1] != bounded(rollout):
        raise JournalError(
            f"{journal} is the journal of the roll-out {names[-1]!r}, not of {rollout!r}: give this one a journal of"
            " its own, or, if it was renamed, its former name"
        )


Scheme: TypeAlias = Literal["s3", "postgresql"]

# Two letters at least: one is a drive of Windows.
_URL: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]+)://")

_SCHEMES: Final[Mapping[str, Scheme]] = {"s3": "s3", "postgresql": "postgresql", "postgres": "postgresql"}

KNOWN_FORMS: Final = "the path of a file, s3://bucket/prefix/name and postgresql://…/database?name=…"
"""The forms in which a string may name a journal."""

S3_OPTIONS: Final = frozenset({"region", "profile", "endpoint_url", "sse", "kms_key_id"})
"""The options that an S3 URL may have."""

_ESCAPED: Final = r"%(?!00)[0-9A-Fa-f]{2}"

_USER_INFO: Final = re.compile(rf"(?:[^#/?@%]|{_ESCAPED})*")
"""A user and its password, in which nothing may stand that ends them for somebody else."""

_HOST: Final = r"(?:\[[0-9A-Za-z:.%]+\]|(?:[^][#/?@:,%]|" + _ESCAPED + r")*)(?::[0-9]*)?"

# User and password reach to the last @, wherever it stands: it may be one of a password in which something is not escaped.
_DATABASE: Final = re.compile(
    rf"[^:]+://(?:(?P<user>.*)@)?(?P<hosts>{_HOST}(?:,{_HOST})*)(?P<path>/(?:[^#?@%]|{_ESCAPED})*)?(?:\?(?P<query>[^#@]*))?",
    re.DOTALL,
)

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
    # A colon stands in no bucket's name but the ARN of an access point, and else between a key and its secret, in which a /
    # may end the bucket too early.
    if "@" in parts.netloc or (":" in parts.netloc and not parts.netloc.startswith("arn:")):
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
    parts = _DATABASE.fullmatch(text)
    user = parts["user"] if parts is not None else None
    if parts is None or (user is not None and not _USER_INFO.fullmatch(user)):
        # The driver looks for the host, the port and the parameters elsewhere then, and shows what it finds there.
        raise JournalError(
            f"the URL of the database cannot be read: {example}; in a user, a password, a database or a parameter"
            " # is written %23, / %2F, ? %3F, @ %40 and % %25"
        )
    try:
        pairs = parse_qsl(parts["query"] or "", keep_blank_values=True, strict_parsing=bool(parts["query"]))
    except ValueError:
        raise JournalError(f"the URL of the database cannot be read: {example}") from None
    names = [value for key, value in pairs if key == "name"]
    if len(names) != with_name:
        problem = "needs one name" if with_name else "has a name, which only that of a journal has"
        raise JournalError(f"the URL of the database {problem}: {example}")
    rest = [(key, value) for key, value in pairs if key != "name"]
    # The user is no secret, everything between it and the host may be.
    login = user.partition(":")[0] if user is not None else ""
    where = f"{parts['hosts']}{parts['path'] or ''}"
    parameters = f"?{urlencode(rest, quote_via=quote)}" if rest else ""
    return JournalUrl(
        scheme="postgresql",
        place=f"postgresql://{'' if user is None else f'{user}@'}{where}{parameters}",
        name=_named(names[0]) if names else "",
        options={key: value for key, value in rest if key in _SHOWN},
        shown=f"postgresql://{'' if user is None else f'{login}@'}{where}",
    )


def _named(name: str) -> str:
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise JournalError("the name of a journal has 1 to 200 characters, none of them a control character")
    return name
