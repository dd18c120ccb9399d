"""Lines of a journal: one JSON object per event, and the words of earlier formats as they are read today.

What is on disk is never renamed. A journal may hold runs of several formats, each with its number in its `Started`:
lines are read by the format of the run that they stand in.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, ValidationError

from workspaces_apps.rollout._errors import JournalError
from workspaces_apps.rollout._log.events import FORMAT, Event, Started

RENAMED_IN_2: Final[Mapping[str, Mapping[str, str]]] = {
    # A member of that name, of any kind: its value in format 1, and the value today.
    "reason": {"clash": "conflict", "not-begun": "not-started"},
    # The empty name stands for the names of members themselves.
    "": {"not_begun": "not_started"},
}
"""The words of format 1 that are called otherwise since format 2."""

_OLD_WORDS: Final = tuple(f'"{word}"'.encode("ascii") for words in RENAMED_IN_2.values() for word in words)

_MEMBERS: Final[TypeAdapter[dict[str, object]]] = TypeAdapter(dict[str, object])

_READER: Final[TypeAdapter[Event]] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def to_line(event: Event) -> bytes:
    """Return the journal line of an event, with its line break."""
    return event.model_dump_json(exclude_none=True, ensure_ascii=True).encode("ascii") + b"\n"


def from_line(line: bytes, written_in: int = FORMAT) -> Event:
    """Return the event of one journal line.

    Args:
        line: The line.
        written_in: The format of its run.

    Raises:
        pydantic.ValidationError: It holds none, or from format 2 on a key that this release does not know where each
            counts.
    """
    if written_in >= FORMAT:
        return _READER.validate_json(line)
    if any(word in line for word in _OLD_WORDS):
        line = _renamed(line)
    return _READER.validate_json(line, extra="ignore")


def _renamed(line: bytes) -> bytes:
    """Return a line of format 1 in the words of format 2."""
    try:
        members = _MEMBERS.validate_json(line)
    except ValidationError:
        return line
    renamed: dict[str, object] = {}
    for name, value in members.items():
        words = RENAMED_IN_2.get(name, {})
        word = words.get(value, value) if isinstance(value, str) else value
        renamed[RENAMED_IN_2[""].get(name, name)] = word
    return json.dumps(renamed).encode("ascii")


class LineReader:
    """A reader of a journal's lines in their order, portion by portion.

    Args:
        source: The journal's name, for errors.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._lines = 0
        self._format = 0

    def read(self, content: bytes) -> Iterator[Event]:
        """Yield the events of further whole lines.

        Raises:
            JournalError: A line is no event, the journal does not begin with `Started`, or a newer release wrote it.
        """
        for line in content.split(b"\n")[:-1]:
            self._lines += 1
            try:
                # A `Started` is read alike in all formats, so that of the run before does not matter.
                event = from_line(line, self._format)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                raise JournalError(
                    f"{self._source}, line {self._lines}: not an event of a roll-out's journal ({first['msg']})"
                ) from None
            self._check(event)
            yield event

    def _check(self, event: Event) -> None:
        if isinstance(event, Started):
            if event.format > FORMAT:
                raise JournalError(
                    f"{self._source} is of format {event.format}, which a newer release wrote; this one reads {FORMAT}"
                )
            self._format = event.format
        elif self._lines == 1:
            raise JournalError(
                f"{self._source}, line 1: a journal begins with a started event, not {event.kind}"
            )
