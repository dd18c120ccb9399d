"""Reading a manifest file: TOML, YAML or JSON into plain data, and back from a key to its line."""

import importlib
import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from workspaces_apps._base.files import read_file
from workspaces_apps._base.text import harmless
from workspaces_apps._model.values import is_list
from workspaces_apps.rollout._errors import ManifestError, Mistake

MAX_BYTES: Final = 10_000_000
"""The largest manifest that is read."""

Key: TypeAlias = tuple[int | str, ...]
"""The path to a value: keys of tables, and places in lists."""

DEPTH: Final = 100
"""How deep values may be nested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file that was read.

    Attributes:
        path: The file.
        data: What is in it.
        lines: The line of each key, from 1, where the format tells.
    """

    path: Path
    data: object
    lines: Mapping[Key, int] = field(default_factory=dict[Key, int])

    def line(self, key: Key) -> int | None:
        """The line of a key, or of the nearest key around it."""
        return next(
            (self.lines[key[:size]] for size in range(len(key), 0, -1) if key[:size] in self.lines), None
        )


def read_document(path: Path) -> Document:
    """Read a file by its suffix.

    Raises:
        ManifestError: It cannot be read, or is not what its suffix says.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise _mistake(path, f"a manifest ends in {', '.join(_READERS)}")
    try:
        # Editors of some systems begin a file with a mark that is no part of it, and end lines in their own way.
        text = read_file(path, MAX_BYTES).decode().removeprefix("\ufeff").replace("\r\n", "\n")
    except OSError as error:
        raise _mistake(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _mistake(path, f"is not UTF-8 (byte {error.start})") from None
    try:
        return reader(path, text)
    except RecursionError:
        raise _mistake(path, "is nested too deeply") from None
    except ManifestError:
        raise
    except (ArithmeticError, ValueError) as error:
        # What a parser makes of a number or a date, and cannot.
        raise _mistake(path, f"holds a value that cannot be read: {harmless(error, 200)}") from None


def _mistake(path: Path, rule: str, line: int | None = None) -> ManifestError:
    return ManifestError([Mistake(key="", rule=rule, file=str(path), line=line)])


def _read_toml(path: Path, text: str) -> Document:
    try:
        return Document(path=path, data=tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _mistake(path, f"is not TOML: {error}") from None


def _read_json(path: Path, text: str) -> Document:
    try:
        return Document(path=path, data=json.loads(text, object_pairs_hook=_table))
    except _RepeatedKeyError as error:
        raise _mistake(path, f"the key {error.key!r} is there twice in one object") from None
    except ValueError as error:
        raise _mistake(path, f"is not JSON: {error}") from None


class _RepeatedKeyError(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _table(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON; of two members of one name the parser would keep the last, in silence."""
    table = dict(pairs)
    if len(table) < len(pairs):
        names = Counter(name for name, _ in pairs)
        raise _RepeatedKeyError(next(name for name, count in names.items() if count > 1))
    return table


class _Mark(Protocol):
    line: int


class _Event(Protocol):
    start_mark: _Mark


class _Node(Protocol):
    start_mark: _Mark
    value: object


def _read_yaml(path: Path, text: str) -> Document:
    # By name, because it is an extra, and ships no types that strict checkers understand.
    try:
        library = importlib.import_module("ruamel.yaml")
        nodes = importlib.import_module("ruamel.yaml.nodes")
        errors = importlib.import_module("ruamel.yaml.error")
        events = importlib.import_module("ruamel.yaml.events")
    except ImportError:
        raise _mistake(path, "YAML needs ruamel.yaml: pip install 'workspaces-apps[yaml]'") from None
    mapping: type = nodes.MappingNode
    sequence: type = nodes.SequenceNode
    begins = (events.MappingStartEvent, events.SequenceStartEvent)
    ends = (events.MappingEndEvent, events.SequenceEndEvent)
    lines: dict[Key, int] = {}

    def walk(node: _Node, key: Key, depth: int) -> None:
        if depth > DEPTH:
            raise RecursionError
        lines.setdefault(key, node.start_mark.line + 1)
        if isinstance(node, mapping):
            pairs: Iterable[tuple[_Node, _Node]] = getattr(node, "value", ())
            for name, value in pairs:
                lines[*key, str(name.value)] = name.start_mark.line + 1
                walk(value, (*key, str(name.value)), depth + 1)
        elif isinstance(node, sequence):
            items: Iterable[_Node] = getattr(node, "value", ())
            for number, value in enumerate(items):
                walk(value, (*key, number), depth + 1)

    opened = 0

    def checked(event: _Event) -> _Event:
        nonlocal opened
        if getattr(event, "anchor", None):
            # An alias could make a small file a huge one.
            raise _mistake(path, "anchors and aliases are not taken: write it out", event.start_mark.line + 1)
        opened += isinstance(event, begins) - isinstance(event, ends)
        if opened > DEPTH:
            raise RecursionError
        return event

    root: _Node | None = None
    # The safe loader makes plain data only. It is parsed once, and an event at a time: what is nested without end would
    # take the composer time that grows with the square of the depth.
    yaml = library.YAML(typ="safe", pure=True)
    try:
        constructor, parser = yaml.get_constructor_parser(text)
        take: Callable[[], _Event] = parser.get_event
        parser.get_event = lambda: checked(take())
        root = constructor.composer.get_single_node()
        data: object = constructor.construct_document(root) if root is not None else None
    except ManifestError:
        raise
    except errors.MarkedYAMLError as error:
        mark: _Mark | None = error.problem_mark
        line = mark.line + 1 if mark is not None else None
        raise _mistake(path, f"is not YAML: {error.problem}", line) from None
    except errors.YAMLError as error:
        raise _mistake(path, f"is not YAML: {harmless(error, 200)}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Another one: the first takes what has failed for something that it is at work on.
        again = library.YAML(typ="safe", pure=True).constructor.construct_object
        place = _line_of_fault(root, again) if root is not None else None
        raise _mistake(path, f"holds a value that cannot be read: {harmless(error, 200)}", place) from None
    if root is not None:
        walk(root, (), 0)
    return Document(path=path, data=data, lines=lines)


def _line_of_fault(root: _Node, construct: Callable[[_Node], object]) -> int | None:
    """Return the line of the first value that cannot be made of what stands there."""
    waiting: list[object] = [root]
    while waiting:
        node = waiting.pop()
        value: object = getattr(node, "value", None)
        if is_list(node):
            # A pair of a mapping.
            waiting += reversed(node)
        elif is_list(value):
            waiting += reversed(value)
        else:
            scalar: Any = node
            try:
                construct(scalar)
            except Exception:  # noqa: BLE001 - whatever it raised before
                return int(scalar.start_mark.line) + 1
    return None


_READERS: Final[Mapping[str, Callable[[Path, str], Document]]] = {
    ".toml": _read_toml,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
}
