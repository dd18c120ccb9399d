"""The differences that another botocore's model brings."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping

from codegen.source import Source


def compare(ours: Source, theirs: Source) -> str:
    """List what came and went, and what became of the rest, as Markdown."""
    lines = [f"# From botocore {ours.botocore} to {theirs.botocore}"]
    lines += _section("Metadata", _metadata(ours), _metadata(theirs))
    lines += _section("Operations", ours.service["operations"], theirs.service["operations"])
    lines += _section("Shapes", ours.service["shapes"], theirs.service["shapes"])
    lines += _section("Members", _members(ours), _members(theirs))
    lines += _section("Required members", _required(ours), _required(theirs))
    lines += _section("Enum values", _values(ours), _values(theirs))
    lines += _section("Constraints", _constraints(ours), _constraints(theirs))
    lines += _section("Errors", *_of_both(ours, theirs, _errors))
    lines += _section("Types", *_of_both(ours, theirs, _types))
    lines += _section("Paginators", _paginators(ours), _paginators(theirs))
    if len(lines) == 1:
        lines.append("\nNothing came or went.")
    return "\n".join(lines)


def _section(title: str, before: Iterable[str], after: Iterable[str]) -> list[str]:
    old, new = set(before), set(after)
    changes = [f"- came: {name}" for name in sorted(new - old)]
    changes += [f"- went: {name}" for name in sorted(old - new)]
    return [f"\n## {title}", *changes] if changes else []


Facts = Iterator[tuple[str, str]]
"""Places in the model, each with something that is said about it."""


def _of_both(ours: Source, theirs: Source, facts: Callable[[Source], Facts]) -> tuple[list[str], list[str]]:
    """Return the facts about places that are in both models: what came or went as a whole is listed already."""
    places = _places(ours) & _places(theirs)
    before, after = (
        [f"{place}: {fact}" for place, fact in facts(source) if place in places] for source in (ours, theirs)
    )
    return before, after


def _places(source: Source) -> set[str]:
    return {*source.service["operations"], *source.service["shapes"], *_members(source)}


def _errors(source: Source) -> Facts:
    for name, operation in source.service["operations"].items():
        for error in operation.get("errors", []):
            yield name, error["shape"]


def _types(source: Source) -> Facts:
    shapes = source.service["shapes"]
    for name, operation in source.service["operations"].items():
        yield name, _words({**operation}, besides=("name", "errors"))
    for name, shape in shapes.items():
        yield name, _words({**shape}, besides=("members", "required", "enum", "min", "max", "pattern"))
        for member, reference in shape.get("members", {}).items():
            kind = shapes.get(reference["shape"], {}).get("type", "missing")
            yield f"{name}.{member}", f"{_words({**reference})} ({kind})"


def _paginators(source: Source) -> Iterator[str]:
    for name, page in source.pages.items():
        yield f"{name}: {_words({**page})}"


def _words(facts: Mapping[str, object], *, besides: Iterable[str] = ()) -> str:
    return ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in sorted(facts.items())
        if key not in besides
    )


def _metadata(source: Source) -> Iterator[str]:
    for name, value in source.service["metadata"].items():
        yield f"{name}: {value if isinstance(value, str) else ', '.join(value)}"


def _members(source: Source) -> Iterator[str]:
    for name, shape in source.service["shapes"].items():
        for member in shape.get("members", {}):
            yield f"{name}.{member}"


def _required(source: Source) -> Iterator[str]:
    for name, shape in source.service["shapes"].items():
        for member in shape.get("required", []):
            yield f"{name}.{member}"


def _values(source: Source) -> Iterator[str]:
    for name, shape in source.service["shapes"].items():
        for value in shape.get("enum", []):
            yield f"{name}: {value}"


def _constraints(source: Source) -> Iterator[str]:
    for name, shape in source.service["shapes"].items():
        facts = [
            f"{key} {value}"
            for key, value in (
                ("min", shape.get("min")),
                ("max", shape.get("max")),
                ("pattern", shape.get("pattern")),
            )
            if value is not None
        ]
        if facts:
            yield f"{name}: {', '.join(facts)}"
