"""Ports of the journal: what a roll-out needs of whatever keeps it, and the stores that a name may mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from workspaces_apps._base.public import public
from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._journal.urls import JournalUrl, parse_url
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
    if url is not None:
        return _at(url)
    from workspaces_apps.rollout._journal.files import FileJournalStore

    path = Path(journal)
    return JournalLocation(FileJournalStore(path.parent), path.name)


def path_of(journal: str | Path) -> Path:
    """Return the path of a journal that is a file.

    Raises:
        JournalError: It is a URL: such a thing never becomes a path.
    """
    url = parse_url(journal) if isinstance(journal, str) else None
    if url is not None:
        raise JournalError(f"this takes the path of a journal's file, not a URL: {url}")
    return Path(journal)


def _at(url: JournalUrl) -> JournalLocation:
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
        raise JournalError(f"cannot read the journal {title_of(journal)}: there is none")
    return events


def title_of(journal: str | Path) -> str:
    """Return what a journal is called in output: its path, or its URL without anything secret."""
    url = parse_url(journal) if isinstance(journal, str) else None
    return str(url) if url is not None else str(journal)


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
