"""The differences that another botocore's model brings."""

from collections.abc import Iterable, Iterator

from codegen.source import Source


def compare(ours: Source, theirs: Source) -> str:
    """List the metadata, operations, members and enum values that came and went, as Markdown."""
    lines = [f"# From botocore {ours.botocore} to {theirs.botocore}"]
    lines += _section("Metadata", _metadata(ours), _metadata(theirs))
    lines += _section("Operations", ours.service["operations"], theirs.service["operations"])
    lines += _section("Shapes", ours.service["shapes"], theirs.service["shapes"])
    lines += _section("Members", _members(ours), _members(theirs))
    lines += _section("Required members", _required(ours), _required(theirs))
    lines += _section("Enum values", _values(ours), _values(theirs))
    lines += _section("Constraints", _constraints(ours), _constraints(theirs))
    if len(lines) == 1:
        lines.append("\nNothing came or went.")
    return "\n".join(lines)


def _section(title: str, before: Iterable[str], after: Iterable[str]) -> list[str]:
    old, new = set(before), set(after)
    changes = [f"- came: {name}" for name in sorted(new - old)]
    changes += [f"- went: {name}" for name in sorted(old - new)]
    return [f"\n## {title}", *changes] if changes else []


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
