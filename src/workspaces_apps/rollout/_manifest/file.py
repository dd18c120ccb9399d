"""Reading a manifest file: TOML, YAML or JSON into plain data, and back from a key to its line.

YAML is read in one pass over the parser's events. The parser is libyaml where PyYAML has it, which nearly every wheel does:
thousands of rules take as long as in JSON. It knows YAML 1.1 in form; what an unquoted word *means* is decided here, by the
core schema of YAML 1.2, and dates are dates, as in TOML: `22:00` and `yes` are text.
"""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, TypeAlias

from workspaces_apps._base.system import read_file
from workspaces_apps._base.text import harmless
from workspaces_apps.rollout._errors import ManifestError, Mistake

KeyPath: TypeAlias = tuple[int | str, ...]
"""The path to a value: keys of tables, and places in lists."""

MAX_BYTES: Final = 10_000_000
"""The largest manifest that is read."""

DEPTH: Final = 100
"""The depth to which values may be nested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file that was read.

    Attributes:
        path: The file.
        data: What is in it.
        lines: The line of each key, from 1, where the format tells.
    """

    path: Path
    data: object
    lines: Mapping[KeyPath, int] = field(default_factory=dict[KeyPath, int])

    def line(self, key: KeyPath) -> int | None:
        """Return the line of a key, or of the nearest key around it."""
        return next(
            (self.lines[key[:size]] for size in range(len(key), 0, -1) if key[:size] in self.lines), None
        )


def read_document(path: Path) -> SourceFile:
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


def _read_toml(path: Path, text: str) -> SourceFile:
    try:
        return SourceFile(path=path, data=tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _mistake(path, f"is not TOML: {error}") from None


def _read_json(path: Path, text: str) -> SourceFile:
    try:
        return SourceFile(path=path, data=json.loads(text, object_pairs_hook=_table))
    except _RepeatedKeyError as error:
        raise _mistake(path, f"the key {error.key!r} is there twice in one object") from None
    except ValueError as error:
        raise _mistake(path, f"is not JSON: {error}") from None


class _RepeatedKeyError(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _table(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Return an object of JSON; of two members of one name the parser would keep the last, in silence."""
    table = dict(pairs)
    if len(table) < len(pairs):
        names = Counter(name for name, _ in pairs)
        raise _RepeatedKeyError(next(name for name, count in names.items() if count > 1))
    return table


def _read_yaml(path: Path, text: str) -> SourceFile:
    try:
        data, lines = read_yaml(text, DEPTH)
    except ImportError:
        raise _mistake(path, "YAML needs PyYAML: pip install 'workspaces-apps[yaml]'") from None
    except YamlError as error:
        raise _mistake(path, harmless(error, 200), error.line) from None
    return SourceFile(path=path, data=data, lines=lines)


_READERS: Final[Mapping[str, Callable[[Path, str], SourceFile]]] = {
    ".toml": _read_toml,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
}


class YamlError(Exception):
    """A mistake in the document.

    Attributes:
        line: Where, from 1, as far as the parser knows.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class _Mark(Protocol):
    line: int


class _Event(Protocol):
    """The common part of the parser's events; the rest is asked for by name."""

    start_mark: _Mark


_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*")
_WORDS: Final[Mapping[str, object]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

_TAG: Final = "tag:yaml.org,2002:"


def _plain(text: str) -> object:
    """Return what an unquoted word means in the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    # Nearly all that is left is text, and begins as no number does.
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _DATE.fullmatch(text):
        return date.fromisoformat(text)
    if _TIME.fullmatch(text):
        return datetime.fromisoformat(text)
    return float(text.replace(".", "", 1)) if _INFINITE.fullmatch(text) else text


def _tagged(tag: str, text: str) -> object:
    """Return what a scalar means whose type is written before it."""
    kind = tag.removeprefix(_TAG)
    if kind in ("str", "!"):
        return text
    kinds: Mapping[str, type | tuple[type, ...]] = {
        "int": int,
        "float": (int, float),
        "bool": bool,
        "null": type(None),
    }
    found = _plain(text)
    if kind not in kinds:
        raise ValueError(f"the tag {tag} is not taken")
    if not isinstance(found, kinds[kind]) or (kind != "bool" and isinstance(found, bool)):
        raise ValueError(f"it is no {kind}")
    return float(found) if kind == "float" and isinstance(found, int) else found


class _Open:
    """A table or list whose end has not come yet."""

    __slots__ = ("held", "key", "name", "named", "path")

    def __init__(self, held: dict[object, object] | list[object], path: KeyPath) -> None:
        self.held = held
        self.path = path
        self.named = False
        self.key: object = None
        self.name = ""


def read_yaml(text: str, depth: int) -> tuple[object, Mapping[KeyPath, int]]:
    """Read a document.

    Args:
        text: The document.
        depth: How deep values may be nested.

    Returns:
        Its data, and the line of each key.

    Raises:
        ImportError: The extra is not installed.
        RecursionError: It is nested more deeply.
        YamlError: It is no YAML, more than one document, or holds what is not taken: anchors, aliases, tags, repeated keys.
    """
    # By name, because it is an extra, and ships no types.
    library: Any = importlib.import_module("yaml")
    try:
        return _read(library, getattr(library, "CSafeLoader", library.SafeLoader), text, depth)
    except _EscapeError:
        # libyaml stops at half a surrogate pair. The slow parser reads on, so that all such places are told at once.
        return _read(library, library.SafeLoader, text, depth)


class _EscapeError(YamlError):
    """An escape in a quoted text that is no character, in a file that is short enough to be read again."""


_SHORT: Final = 100_000


def _read(library: Any, loader: object, text: str, depth: int) -> tuple[object, Mapping[KeyPath, int]]:
    reader = _Reader(depth)
    try:
        events: Iterable[_Event] = library.parse(text, Loader=loader)
        for event in events:
            reader.take(type(event).__name__, event)
    except library.MarkedYAMLError as error:
        mark: _Mark | None = error.problem_mark
        again = (
            "escape code" in str(error.problem) and loader is not library.SafeLoader and len(text) <= _SHORT
        )
        kind = _EscapeError if again else YamlError
        raise kind(f"is not YAML: {error.problem}", mark.line + 1 if mark else None) from None
    except library.YAMLError as error:
        # The reader's: of a character, by its place only.
        place: object = getattr(error, "position", None)
        line = text.count("\n", 0, place) + 1 if isinstance(place, int) else None
        said = str(getattr(error, "reason", error)).splitlines()[0]
        raise YamlError(f"is not YAML: {said}", line) from None
    return reader.data, reader.lines


class _Reader:
    def __init__(self, depth: int) -> None:
        self.data: object = None
        self.lines: dict[KeyPath, int] = {}
        self._depth = depth
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, kind: str, event: Any) -> None:
        """Take an event of the parser's."""
        match kind:
            case "ScalarEvent":
                self._check(event)
                self._scalar(event)
            case "MappingStartEvent":
                self._begin({}, event)
            case "SequenceStartEvent":
                self._begin([], event)
            case "MappingEndEvent" | "SequenceEndEvent":
                self._open.pop()
            case "AliasEvent":
                self._refuse_alias(event)
            case "DocumentStartEvent":
                self._documents += 1
                if self._documents > 1:
                    raise YamlError("is not YAML: there is more than one document", event.start_mark.line + 1)
            case _:
                pass

    def _scalar(self, event: Any) -> None:
        text: str = event.value
        try:
            if event.tag is not None:
                value = _tagged(event.tag, text)
            else:
                # Implicit is a pair: if the tag may be left out for a plain word, and for a quoted one.
                value = _plain(text) if event.implicit[0] else text
        except (ArithmeticError, ValueError) as error:
            raise YamlError(
                f"holds a value that cannot be read: {error}", event.start_mark.line + 1
            ) from None
        inner = self._open[-1] if self._open else None
        if inner is None or inner.named or isinstance(inner.held, list):
            self._put(value, event)
        else:
            self._name(inner, value, event)

    def _name(self, inner: _Open, value: object, event: Any) -> None:
        line = event.start_mark.line + 1
        if value in inner.held:
            raise YamlError(f"is not YAML: found duplicate key {event.value!r}", line)
        inner.key, inner.name, inner.named = value, event.value, True
        self.lines[*inner.path, inner.name] = line

    def _put(self, value: object, event: Any) -> KeyPath:
        """Put a value where it belongs, and return the path to it."""
        if not self._open:
            self.data = value
            path: KeyPath = ()
        else:
            inner = self._open[-1]
            if isinstance(inner.held, list):
                path = (*inner.path, len(inner.held))
                inner.held.append(value)
            else:
                path = (*inner.path, inner.name)
                inner.held[inner.key] = value
                inner.named = False
        self.lines.setdefault(path, event.start_mark.line + 1)
        return path

    def _begin(self, held: dict[object, object] | list[object], event: Any) -> None:
        self._check(event)
        line: int = event.start_mark.line + 1
        kind = "map" if isinstance(held, dict) else "seq"
        if event.tag not in (None, "!", _TAG + kind):
            raise YamlError(f"is not YAML: the tag {event.tag} is not taken", line)
        inner = self._open[-1] if self._open else None
        if inner is not None and isinstance(inner.held, dict) and not inner.named:
            raise YamlError("is not YAML: a key must be a text", line)
        self._open.append(_Open(held, self._put(held, event)))
        if len(self._open) > self._depth:
            raise RecursionError

    def _check(self, event: Any) -> None:
        if event.anchor:
            self._refuse_alias(event)

    def _refuse_alias(self, event: _Event) -> NoReturn:
        # An alias could make a small file a huge one.
        raise YamlError("anchors and aliases are not taken: write it out", event.start_mark.line + 1)
