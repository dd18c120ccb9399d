"""Our words beside the service model: overrides with their reasons, and sentences of our own."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """Sentences for one operation, structure or enum.

    Attributes:
        summary: One line.
        details: More of it; may be empty.
        members: A sentence for a member, or for a value of an enum, by its wire name.
    """

    summary: str = ""
    details: str = ""
    members: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """All that the model does not say.

    Attributes:
        patterns: A safe pattern, by string shape.
        required: Response members declared required, by structure.
        failures: The result's member that holds failed requests, by operation.
        defaults: The only legal value of a required parameter, by operation and member.
        pages: The result's member that holds the items, by operation.
        families: The module of an operation.
        operations, shapes, enums: Sentences.
        members: Sentences for members that recur, by wire name.
    """

    patterns: dict[str, str]
    required: dict[str, frozenset[str]]
    failures: dict[str, str]
    defaults: dict[tuple[str, str], tuple[str, ...]]
    pages: dict[str, str]
    families: dict[str, str]
    operations: dict[str, Prose]
    shapes: dict[str, Prose]
    enums: dict[str, Prose]
    members: dict[str, str]


def load() -> Overrides:
    """Read `overrides.toml` and `sentences.toml`.

    Raises:
        SystemExit: An override has no reason beside it.
    """
    facts = tomllib.loads((HERE / "overrides.toml").read_text("utf-8"))
    _require_reasons(facts)
    words = tomllib.loads((HERE / "sentences.toml").read_text("utf-8"))

    def prose(table: str, members: str) -> dict[str, Prose]:
        return {
            name: Prose(
                summary=entry.get("summary", ""),
                details=entry.get("details", ""),
                members=entry.get(members, {}),
            )
            for name, entry in words.get(table, {}).items()
        }

    return Overrides(
        patterns={name: entry["pattern"] for name, entry in facts["patterns"].items()},
        required={name: frozenset(entry["members"]) for name, entry in facts["required"].items()},
        failures={name: member for name, member in facts["failures"].items() if name != "reason"},
        defaults={
            (entry["operation"], entry["member"]): tuple(entry["value"]) for entry in facts["defaults"]
        },
        pages={name: member for name, member in facts["pages"].items() if name != "reason"},
        families={
            operation: family for family, operations in facts["families"].items() for operation in operations
        },
        operations=prose("operations", "members"),
        shapes=prose("shapes", "members"),
        enums=prose("enums", "values"),
        members=words.get("members", {}),
    )


def _require_reasons(facts: Mapping[str, Any]) -> None:
    """Families are a choice of ours and need none; all else says that the model is wrong or incomplete."""
    entries = {f"patterns.{name}": entry for name, entry in facts["patterns"].items()}
    entries |= {f"required.{name}": entry for name, entry in facts["required"].items()}
    entries |= {f"defaults of {entry.get('operation')}": entry for entry in facts["defaults"]}
    entries |= {name: facts[name] for name in ("failures", "pages")}
    for place, entry in entries.items():
        if not entry.get("reason"):
            raise SystemExit(f"overrides.toml: {place} has no reason")
