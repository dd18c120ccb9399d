"""Reading a manifest file: TOML, YAML or JSON into plain data, and back from a key to its line."""

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from workspaces_apps._base.system import read_file
from workspaces_apps._base.text import harmless
from workspaces_apps.rollout._errors import ManifestError, Mistake
from workspaces_apps.rollout._manifest.yaml_file import Key, YamlError, read_yaml

MAX_BYTES: Final = 10_000_000
"""The largest manifest that is read."""

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


def _read_yaml(path: Path, text: str) -> Document:
    try:
        data, lines = read_yaml(text, DEPTH)
    except ImportError:
        raise _mistake(path, "YAML needs PyYAML: pip install 'workspaces-apps[yaml]'") from None
    except YamlError as error:
        raise _mistake(path, harmless(error, 200), error.line) from None
    return Document(path=path, data=data, lines=lines)


_READERS: Final[Mapping[str, Callable[[Path, str], Document]]] = {
    ".toml": _read_toml,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
}
