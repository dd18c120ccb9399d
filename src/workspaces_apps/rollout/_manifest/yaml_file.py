"""Reading YAML into plain data in one pass over the parser's events, with the line of each key.

The parser is libyaml where PyYAML has it, which nearly every wheel does: thousands of rules take as long as in JSON. It knows
YAML 1.1 in form; what an unquoted word *means* is decided here, by the core schema of YAML 1.2, and dates are dates, as in
TOML: `22:00` and `yes` are text.
"""

import importlib
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final, NoReturn, Protocol, TypeAlias

Key: TypeAlias = tuple[int | str, ...]
"""The path to a value: keys of tables, and places in lists."""


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

    def __init__(self, held: dict[object, object] | list[object], path: Key) -> None:
        self.held = held
        self.path = path
        self.named = False
        self.key: object = None
        self.name = ""


def read_yaml(text: str, depth: int) -> tuple[object, Mapping[Key, int]]:
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


def _read(library: Any, loader: object, text: str, depth: int) -> tuple[object, Mapping[Key, int]]:
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
        self.lines: dict[Key, int] = {}
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

    def _put(self, value: object, event: Any) -> Key:
        """Put a value where it belongs, and return the path to it."""
        if not self._open:
            self.data = value
            path: Key = ()
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
