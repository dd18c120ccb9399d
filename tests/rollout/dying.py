"""Journals whose process dies: nothing reaches the disk any more, in the midst of a run."""

from pathlib import Path

from workspaces_apps.rollout import Event, FileJournalStore, JournalError, JournalWriter


class DyingJournal:
    """A journal whose process dies at one of its writes: before it, after it, or with half of it done."""

    def __init__(self, inner: JournalWriter, path: Path, writes: int | None, tear: bool) -> None:
        self.past = inner.past
        self._inner = inner
        self._path = path
        self._left = writes
        self._tear = tear

    async def append(self, *events: Event, durable: bool = False) -> None:
        """Write, or die."""
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                await self.die()
                raise JournalError("killed")
        await self._inner.append(*events, durable=durable)

    async def die(self) -> None:
        """Let nothing reach the disk any more."""
        await self.close()
        if self._tear:
            with self._path.open("ab") as file:
                file.write(b'{"at":"2026-01-05T08:00')

    async def close(self) -> None:
        """Close the journal."""
        await self._inner.close()


class DyingStore(FileJournalStore):
    """A folder whose journals die."""

    def __init__(self, folder: Path, writes: int | None, tear: bool) -> None:
        super().__init__(folder)
        self._writes = writes
        self._tear = tear
        self.opened: DyingJournal | None = None

    async def open(self, name: str, *, of: str | None = None) -> JournalWriter:
        """Open a journal that dies."""
        self.opened = DyingJournal(
            await super().open(name, of=of), self.folder / name, self._writes, self._tear
        )
        return self.opened
