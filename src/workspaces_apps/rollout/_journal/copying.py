"""Copies of journals, from one store to another."""

from pathlib import Path
from typing import Final

from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._journal.stores import open_journal, read_events, title_of

_AT_ONCE: Final = 1000
"""Events that are written together."""


async def copy_journal(source: str | Path, to: str | Path) -> int:
    """Copy a journal to where there is none yet, so that the roll-out can go on there.

        await copy_journal("office.journal", "s3://my-bucket/rollouts/office")

    Nobody may write to the source meanwhile: what they added would be missing from the copy. The control record is not
    copied; the source stays as it is.

    Args:
        source: The path or URL of the journal.
        to: The path or URL of the copy.

    Returns:
        How many events were copied.

    Raises:
        JournalBusyError: An apply writes to one of them.
        JournalError: There is no source, or the copy exists already, or one of them cannot be read or written.
    """
    # Opening would make it where there is none.
    await read_events(source)
    original = await open_journal(source)
    try:
        copy = await open_journal(to)
        try:
            if copy.past:
                raise JournalError(
                    f"{title_of(to)} is a journal already, with {len(copy.past):,} events; it is left as it is"
                )
            for start in range(0, len(original.past), _AT_ONCE):
                await copy.append(*original.past[start : start + _AT_ONCE], durable=True)
        finally:
            await copy.close()
    finally:
        await original.close()
    return len(original.past)
