"""Checks that our words beside the service model are about something that the model has, and still needs."""

from collections.abc import Iterable, Iterator

from codegen.overrides import Overrides, Prose
from codegen.source import Source


def audit(source: Source, overrides: Overrides) -> None:
    """Hold every override and sentence against the model.

    Raises:
        SystemExit: Some are about what is not there, or have become needless.
    """
    stale = [*_overrides(source, overrides), *_sentences(source, overrides)]
    if stale:
        raise SystemExit("stale overrides or sentences:\n" + "\n".join(f"- {line}" for line in stale))


def _overrides(source: Source, overrides: Overrides) -> Iterator[str]:
    shapes, operations = source.service["shapes"], source.service["operations"]
    for name, pattern in overrides.patterns.items():
        if shapes.get(name, {}).get("pattern") in (None, pattern):
            yield f"patterns.{name}: the model has no such pattern, or says the same"
    for name, members in overrides.required.items():
        optional = _members(source, name) - set(shapes.get(name, {}).get("required", ()))
        yield from (f"required.{name}: {wire} is no optional member" for wire in sorted(members - optional))
    for name, wire in overrides.failures.items():
        if wire not in _end(source, name, "output"):
            yield f"failures.{name}: the operation does not answer {wire}"
    for name, wire in overrides.pages.items():
        if wire not in _end(source, name, "output") or name in source.pages:
            yield f"pages.{name}: the operation does not answer {wire}, or botocore knows how it pages"
    for (name, wire), values in overrides.defaults.items():
        if wire not in _end(source, name, "input") or not set(values) <= _values(source, name, wire):
            yield f"defaults: {name} does not take {wire} with these values"
    yield from (f"families: no operation {name}" for name in overrides.families if name not in operations)


def _sentences(source: Source, overrides: Overrides) -> Iterator[str]:
    shapes = source.service["shapes"]
    for name, prose in overrides.operations.items():
        if name not in source.service["operations"]:
            yield f"operations.{name}: no such operation"
        yield from _unknown(f"operations.{name}", prose, _end(source, name, "input"))
    for name, prose in overrides.shapes.items():
        if shapes.get(name, {}).get("type") != "structure":
            yield f"shapes.{name}: no such structure"
        yield from _unknown(f"shapes.{name}", prose, _members(source, name))
    for name, prose in overrides.enums.items():
        if "enum" not in shapes.get(name, {}):
            yield f"enums.{name}: no such enum"
        yield from _unknown(f"enums.{name}", prose, shapes.get(name, {}).get("enum", ()))
    used = {wire for shape in shapes.values() for wire in shape.get("members", {})}
    yield from (f"members.{wire}: no structure has it" for wire in overrides.members if wire not in used)


def _unknown(place: str, prose: Prose, known: Iterable[str]) -> Iterator[str]:
    unknown = prose.members.keys() - set(known)
    yield from (f"{place}: no {name}" for name in sorted(unknown))


def _members(source: Source, structure: str) -> set[str]:
    return set(source.service["shapes"].get(structure, {}).get("members", {}))


def _end(source: Source, operation: str, end: str) -> set[str]:
    known = source.service["operations"].get(operation)
    if known is None:
        return set()
    return _members(source, (known["input"] if end == "input" else known["output"])["shape"])


def _values(source: Source, operation: str, wire: str) -> set[str]:
    """Return the values of the enum that the items of a list parameter have."""
    shapes = source.service["shapes"]
    top = source.service["operations"][operation]["input"]["shape"]
    several = shapes[shapes[top].get("members", {})[wire]["shape"]]
    item = several.get("member")
    return set(shapes[item["shape"]].get("enum", ())) if item is not None else set()
