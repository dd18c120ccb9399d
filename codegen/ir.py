"""The intermediate form: the service as the templates need it, with every decision taken."""

import keyword
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from botocore import xform_name
from pydantic import BaseModel

from codegen.audit import audit
from codegen.overrides import Overrides, Prose
from codegen.source import OperationSource, ShapeSource, Source


class Role(StrEnum):
    """The direction in which a structure travels."""

    REQUEST = "Request"
    RESULT = "Result"
    PAGE_RESULT = "PageResult"
    BATCH_RESULT = "BatchResult"
    SENT = "sent"
    RECEIVED = "received"
    BOTH = "both"

    @property
    def travels_out(self) -> bool:
        """Tell if a caller may send it, so that its rules matter."""
        return self in (Role.REQUEST, Role.SENT, Role.BOTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a structure.

    Attributes:
        wire: Its name on the wire.
        attribute: Its name in Python.
        annotation: Its type in the model, without `| None`.
        parameter: Its type as a parameter of an operation, and of the model's constructor.
        required: Whether it must be there.
        several: Whether it is a list.
        rule: Its rule as a Python expression; empty where it has none.
        facts: Its rule in words; empty where it has none.
        sentence: What it is; may be empty.
        alias: Whether the wire name is not the attribute's in PascalCase.
        default: Its default as a parameter, where the service allows but one value; else empty.
        model_default: The same with enum members, for the model, which does not validate its defaults.
    """

    wire: str
    attribute: str
    annotation: str
    parameter: str
    required: bool
    several: bool
    rule: str
    facts: str
    sentence: str
    alias: bool
    default: str = ""
    model_default: str = ""

    @property
    def doc(self) -> str:
        """The sentence and the facts, as one docstring; may be empty."""
        return " ".join(part for part in (self.sentence, self.facts) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """A structure of the service."""

    name: str
    role: Role
    family: str
    members: tuple[Member, ...]
    summary: str
    details: str
    union: bool
    uses: tuple[str, ...]
    operation: "Operation | None" = None

    @property
    def base(self) -> str:
        """The class it derives from."""
        match self.role:
            case Role.REQUEST | Role.RESULT | Role.PAGE_RESULT | Role.BATCH_RESULT:
                return str(self.role)
            case Role.SENT:
                return "Input"
            case _:
                return "Model"

    @property
    def travels_out(self) -> bool:
        """Tell if a caller may send it, so that its rules matter."""
        return self.role.travels_out

    @property
    def always_sent(self) -> tuple[str, ...]:
        """The attributes whose default is sent too."""
        return tuple(member.attribute for member in self.members if member.default)

    @property
    def rules(self) -> tuple[Member, ...]:
        """The members that have a rule."""
        return tuple(member for member in self.members if member.rule) if self.travels_out else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumValue:
    """A member of an enum."""

    name: str
    value: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enumeration:
    """An enum of the service."""

    name: str
    family: str
    values: tuple[EnumValue, ...]
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorClass:
    """A modelled error."""

    name: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation of the service."""

    name: str
    method: str
    family: str
    request: str
    result: str
    errors: tuple[str, ...]
    items: str
    item_type: str
    item_is_generated: bool
    page_size: str
    failures: str
    failure_type: str
    summary: str
    details: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A module: its enums, its structures in an order in which each comes after what it uses, its operations."""

    name: str
    enums: tuple[Enumeration, ...] = ()
    structures: tuple[Structure, ...] = ()
    operations: tuple[Operation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The whole service."""

    botocore: str
    families: tuple[Family, ...] = field(default=())
    errors: tuple[ErrorClass, ...] = ()


SHARED = "shared"

CLASS_NAMES = frozenset(
    {
        "BatchResult", "Blob", "ClassVar", "ERRORS", "Field", "Input", "Items", "Literal", "Many", "Mapping", "Model",
        "OpenEnum", "OperationSpec", "PageResult", "PageSpec", "Request", "Result", "Rule", "Rules", "ServiceError",
        "TYPE_CHECKING", "Timestamp", "TypeAlias",
    }
)  # fmt: skip
"""Names of what the generated modules import, which a shape cannot have therefore."""

ATTRIBUTES = frozenset(
    {
        "always_sent", "facts", "failures", "from_wire", "meta", "raise_for_failures", "result_type", "rules", "to_wire",
        "union", "with_meta", "bool", "classmethod", "float", "int", "property", "self", "str", "tuple",
    }
)  # fmt: skip
"""Names of what the bases and the templates put into a class, or use in one, and that a member cannot have therefore."""

PARAMETERS = frozenset({"api", "type", "types"})
"""Names that a request and the method of its operation use besides."""


def build(source: Source, overrides: Overrides) -> Api:
    """Take every decision that the templates need.

    Raises:
        SystemExit: The model has something that the overrides do not cover or the templates cannot write, or an override
            is stale.
    """
    _stop_for("operations that the templates cannot write; teach codegen/ir.py what they mean", _ends(source))
    audit(source, overrides)
    api = _Builder(source, overrides).api()
    _stop_for("names that are taken; let codegen/ir.py give these others", _clashes(api))
    return api


def _stop_for(what: str, found: Iterable[str]) -> None:
    lines = [f"- {line}" for line in found]
    if lines:
        raise SystemExit("\n".join((f"{what}:", *lines)))


def _ends(source: Source) -> Iterator[str]:
    users: dict[str, str] = {}
    for name, operation in source.service["operations"].items():
        for end in ("input", "output"):
            if end not in operation:
                yield f"{name} has no {end}"
                continue
            shape = operation[end]["shape"]
            if shape in users:
                yield f"{name} has the {end} {shape}, which {users[shape]} has already"
            users[shape] = name


def _clashes(api: Api) -> Iterator[str]:
    names = Counter(["ThrottlingException", *(error.name for error in api.errors)])
    for family in api.families:
        names.update(structure.name for structure in family.structures)
        names.update(name for enum in family.enums for name in (enum.name, f"{enum.name}Like"))
        for structure in family.structures:
            yield from _clashes_of_members(structure)
    for name, times in names.items():
        if not (name.isidentifier() and name[0].isupper()) or keyword.iskeyword(name):
            yield f"the shape {name} can be no class"
        elif times > 1:
            yield f"the shape {name} is called like another class"
        elif name in CLASS_NAMES:
            yield f"the shape {name} is called like something that the generated modules import"


def _clashes_of_members(structure: Structure) -> Iterator[str]:
    taken = ATTRIBUTES.union(dir(BaseModel), PARAMETERS if structure.role is Role.REQUEST else ())
    wires: dict[str, str] = {}
    for member in structure.members:
        name, place = member.attribute, f"{structure.name}.{member.wire}"
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            yield f"{place}: {name} can be no attribute"
        elif name in taken:
            yield f"{place}: {name} is called like something that the class has already"
        elif name in wires:
            yield f"{place}: {name} is the attribute of {wires[name]} too"
        wires[name] = member.wire


class _Builder:
    def __init__(self, source: Source, overrides: Overrides) -> None:
        self._source = source
        self._overrides = overrides
        self._shapes = source.service["shapes"]
        self._operations = source.service["operations"]
        self._sent = self._closure("input")
        self._received = self._closure("output")
        self._families = self._assign_families()

    def api(self) -> Api:
        operations = {name: self._operation(name, source) for name, source in self._operations.items()}
        by_shape = {operation.request: operation for operation in operations.values()}
        by_shape |= {operation.result: operation for operation in operations.values()}
        names = [SHARED, *dict.fromkeys(self._overrides.families.values())]
        families: list[Family] = []
        for family in names:
            shapes = [name for name in self._ordered() if self._families[name] == family]
            families.append(
                Family(
                    name=family,
                    enums=tuple(self._enum(name) for name in sorted(shapes) if "enum" in self._shapes[name]),
                    structures=tuple(
                        self._structure(name, by_shape.get(name))
                        for name in shapes
                        if self._shapes[name].get("type") == "structure"
                    ),
                    operations=tuple(
                        operations[name] for name in sorted(operations) if operations[name].family == family
                    ),
                )
            )
        errors = tuple(
            ErrorClass(name=name, summary=self._prose(self._overrides.shapes, name).summary)
            for name, shape in sorted(self._shapes.items())
            if shape.get("exception")
        )
        return Api(
            botocore=self._source.botocore,
            families=tuple(families),
            errors=errors,
        )

    def _closure(self, end: str) -> frozenset[str]:
        tops = [
            operation["input"] if end == "input" else operation["output"]
            for operation in self._operations.values()
            if end in operation
        ]
        found: set[str] = set()
        waiting = [top["shape"] for top in tops]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting.extend(_references(self._shapes[name]))
        return frozenset(found)

    def _assign_families(self) -> dict[str, str]:
        users: dict[str, set[str]] = {}
        for operation, source in self._operations.items():
            if operation not in self._overrides.families:
                raise SystemExit(f"overrides.toml names no family for the operation {operation}")
            for end in ("input", "output"):
                waiting = [source[end]["shape"]] if end in source else []
                while waiting:
                    name = waiting.pop()
                    families = users.setdefault(name, set())
                    if self._overrides.families[operation] not in families:
                        families.add(self._overrides.families[operation])
                        waiting.extend(_references(self._shapes[name]))
        return {
            name: next(iter(families)) if len(families) == 1 else SHARED for name, families in users.items()
        }

    def _ordered(self) -> list[str]:
        done: dict[str, None] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                raise SystemExit(f"{name} contains itself; the templates cannot order that")
            if name not in done:
                for used in _references(self._shapes[name]):
                    visit(used, (*path, name))
                done[name] = None

        for name in sorted(self._families):
            visit(name, ())
        return list(done)

    def _prose(self, table: dict[str, Prose], name: str) -> Prose:
        return table.get(name, Prose(members={}))

    def _enum(self, name: str) -> Enumeration:
        prose = self._prose(self._overrides.enums, name)
        if not self._shapes[name].get("enum"):
            raise SystemExit(f"the enum {name} has no values; let codegen/ir.py take it for a string")
        values = [
            EnumValue(name=enum_member(value), value=value, sentence=prose.members.get(value, ""))
            for value in self._shapes[name].get("enum", [])
        ]
        if len({value.name for value in values}) != len(values):
            raise SystemExit(f"two values of {name} have the same Python name")
        return Enumeration(
            name=name,
            family=self._families[name],
            values=tuple(values),
            summary=prose.summary or f"Values of {words(name)}.",
        )

    def _role(self, name: str, operation: Operation | None) -> Role:
        if operation is not None and operation.request == name:
            return Role.REQUEST
        if operation is not None:
            if operation.items:
                return Role.PAGE_RESULT
            return Role.BATCH_RESULT if operation.failures else Role.RESULT
        if name in self._sent and name in self._received:
            return Role.BOTH
        return Role.SENT if name in self._sent else Role.RECEIVED

    def _structure(self, name: str, operation: Operation | None) -> Structure:
        shape = self._shapes[name]
        role = self._role(name, operation)
        prose = self._prose(self._overrides.shapes, name)
        if role is Role.REQUEST and operation is not None:
            about = self._prose(self._overrides.operations, operation.name)
            prose = Prose(
                summary=prose.summary or f"The request of `{operation.method}`.",
                details=prose.details,
                members=about.members | prose.members,
            )
        required = set(shape.get("required", ())) | self._overrides.required.get(name, frozenset())
        members = [
            self._member(wire, member["shape"], wire in required, role, prose, operation)
            for wire, member in shape.get("members", {}).items()
        ]
        members.sort(key=lambda member: (not member.required, bool(member.default)))
        default = f"The result of `{operation.method}`." if operation else _sentence(words(name))
        return Structure(
            name=name,
            role=role,
            family=self._families[name],
            members=tuple(members),
            summary=prose.summary or default,
            details=prose.details,
            union=bool(shape.get("union")),
            uses=tuple(sorted(self._named_types(name))),
            operation=operation,
        )

    def _named_types(self, name: str) -> Iterator[str]:
        for used in _references(self._shapes[name]):
            shape = self._shapes[used]
            if shape.get("type") == "structure" or "enum" in shape:
                yield used
            else:
                yield from self._named_types(used)

    def _member(
        self,
        wire: str,
        shape_name: str,
        required: bool,
        role: Role,
        prose: Prose,
        operation: Operation | None,
    ) -> Member:
        attribute = xform_name(wire)
        values: tuple[str, ...] = ()
        if operation is not None and role is Role.REQUEST:
            values = self._overrides.defaults.get((operation.name, wire), ())
        item = self._shapes[shape_name].get("member", {"shape": ""})["shape"]
        rule, facts = self._rule(shape_name) if role.travels_out else ("", "")
        several = self._shapes[shape_name].get("type") == "list"
        annotation = self._type(shape_name, given=False)
        if several and not required:
            annotation = f"Items[{annotation.removeprefix('tuple[').removesuffix(', ...]')}]"
        return Member(
            wire=wire,
            attribute=attribute,
            annotation=annotation,
            parameter=self._type(shape_name, given=True),
            required=required,
            several=several,
            rule=rule,
            facts=facts,
            sentence=prose.members.get(wire) or self._overrides.members.get(wire, ""),
            alias=_pascal(attribute) != wire,
            default=_tuple(f'"{value}"' for value in values),
            model_default=_tuple(f"{item}.{enum_member(value)}" for value in values),
        )

    def _type(self, name: str, *, given: bool) -> str:
        """Return the type of a shape: as a caller gives it, or as an attribute that is read."""
        shape = self._shapes[name]
        if "enum" in shape:
            return f"{name}Like" if given else name
        match shape.get("type"):
            case "list":
                held = shape.get("member", {}).get("shape", "")
                if self._shapes[held].get("type") in ("list", "map"):
                    raise SystemExit(
                        f"the shape {name} is a list of the {self._shapes[held].get('type')}s {held}; "
                        "teach codegen/ir.py and the constructor of `Model` to take them"
                    )
                item = self._type(held, given=given)
                return f"Many[{item}]" if given else f"tuple[{item}, ...]"
            case "map":
                key = self._type(shape.get("key", {}).get("shape", ""), given=given)
                value = self._type(shape.get("value", {}).get("shape", ""), given=given)
                return f"Mapping[{key}, {value}]"
            case "structure":
                return name
            case kind:
                if kind not in _SCALARS:
                    raise SystemExit(
                        f"the shape {name} is of the type {kind}, which the generator does not know"
                    )
                return _SCALARS[kind]

    def _rule(self, name: str) -> tuple[str, str]:
        """Return the rule of a shape, as an expression and in words."""
        shape = self._shapes[name]
        arguments: list[str] = []
        facts: list[str] = []
        bounds = (shape.get("min"), shape.get("max"))
        kind = shape.get("type")
        if kind == "list":
            item_arguments, item_facts = self._scalar_rule(shape.get("member", {}).get("shape", ""))
            if bounds != (None, None):
                arguments.append(f"size={bounds}")
                facts.append(f"{_range_words(bounds)} items")
            arguments.extend(item_arguments)
            facts.extend(f"each {fact}" for fact in item_facts)
        elif kind == "map":
            key_arguments, _ = self._scalar_rule(shape.get("key", {}).get("shape", ""))
            item_arguments, item_facts = self._scalar_rule(shape.get("value", {}).get("shape", ""))
            if bounds != (None, None):
                raise SystemExit(_UNKNOWN_RULE.format(name=name, kind=kind))
            arguments.append(f"keys=Rule({', '.join(key_arguments)})")
            arguments.extend(item_arguments)
            facts.extend(f"each {fact}" for fact in item_facts)
        else:
            arguments, facts = self._scalar_rule(name)
        if not arguments:
            return "", ""
        text = ", ".join(facts)
        return f"Rule({', '.join(arguments)})", f"{text[:1].upper()}{text[1:]}." if text else ""

    def _scalar_rule(self, name: str) -> tuple[list[str], list[str]]:
        shape = self._shapes[name]
        bounds = (shape.get("min"), shape.get("max"))
        arguments: list[str] = []
        facts: list[str] = []
        match shape.get("type"):
            case "integer" | "long" if bounds != (None, None):
                arguments.append(f"range={bounds}")
                facts.append(_range_words(bounds))
            case "string" | "blob" if bounds != (None, None):
                arguments.append(f"length={bounds}")
                unit = "bytes" if shape.get("type") == "blob" else "characters"
                facts.append(f"{_range_words(bounds)} {unit}")
            case kind if bounds != (None, None):
                raise SystemExit(_UNKNOWN_RULE.format(name=name, kind=kind))
            case _:
                pass
        pattern = self._overrides.patterns.get(name) or shape.get("pattern")
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise SystemExit(
                    f"the pattern {pattern} of {name} is none of Python's ({error}); "
                    f"write one that is into overrides.toml, under patterns.{name}"
                ) from None
            arguments.append(f"pattern={pattern!r}")
            facts.append(f"matches ``{pattern}``")
        return arguments, facts

    def _operation(self, name: str, source: OperationSource) -> Operation:
        request, result = source["input"]["shape"], source["output"]["shape"]
        prose = self._prose(self._overrides.operations, name)
        sent = self._shapes[request].get("members", {})
        received = self._shapes[result].get("members", {})
        pages = "NextToken" in sent and "NextToken" in received
        items = self._overrides.pages.get(name) or self._source.pages.get(name, {}).get("result_key", "")
        if pages != bool(items):
            raise SystemExit(f"{name} pages, but neither botocore nor overrides.toml names its items")
        failed = self._overrides.failures.get(name, "")
        sizes = [size for size in ("MaxResults", "Limit") if size in sent and pages]
        return Operation(
            name=name,
            method=xform_name(name),
            family=self._overrides.families[name],
            request=request,
            result=result,
            errors=tuple(sorted(error["shape"] for error in source.get("errors", []))),
            items=xform_name(items) if items else "",
            item_type=self._item(received[items]["shape"]) if items else "",
            item_is_generated=bool(items) and self._is_generated(received[items]["shape"]),
            page_size=xform_name(sizes[0]) if sizes else "",
            failures=xform_name(failed) if failed else "",
            failure_type=self._item(received[failed]["shape"]) if failed else "",
            summary=prose.summary or _sentence(words(name)),
            details=prose.details,
            link=f"https://docs.aws.amazon.com/workspaces/latest/api/API_{name}.html",
        )

    def _item(self, list_shape: str) -> str:
        return self._type(self._shapes[list_shape].get("member", {}).get("shape", ""), given=False)

    def _is_generated(self, list_shape: str) -> bool:
        item = self._shapes[self._shapes[list_shape].get("member", {"shape": ""})["shape"]]
        return item.get("type") == "structure" or "enum" in item


_UNKNOWN_RULE = "the shape {name} is of the type {kind} and has bounds, which nobody would check; teach codegen/ir.py and `Rule`"

_SCALARS = {
    "string": "str",
    "integer": "int",
    "long": "int",
    "boolean": "bool",
    "timestamp": "Timestamp",
    "blob": "Blob",
    "double": "float",
    "float": "float",
}


def _references(shape: ShapeSource) -> Iterator[str]:
    for member in shape.get("members", {}).values():
        yield member["shape"]
    for end in (shape.get("member"), shape.get("key"), shape.get("value")):
        if end is not None:
            yield end["shape"]


def _tuple(items: Iterable[str]) -> str:
    text = "".join(f"{item}, " for item in items)
    return f"({text})" if text else ""


def _pascal(attribute: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in attribute.split("_"))


def _range_words(bounds: tuple[int | None, int | None]) -> str:
    match bounds:
        case (None, most):
            return f"at most {most}"
        case (least, None):
            return f"at least {least}"
        case (least, most):
            return f"{least}" if least == most else f"{least} to {most}"


def words(name: str) -> str:
    """Return a shape's name as words: `OperatingSystemName` → `operating system name`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    text = spaced.removesuffix(" Enum").replace("Work Space", "WorkSpace").replace("Workspace", "WorkSpace")
    return " ".join(
        word if word.isupper() or word.startswith("WorkSpace") else word.lower() for word in text.split()
    )


def enum_member(value: str) -> str:
    """Return the Python name of an enum value: `ValidationError.OldVersion` → `VALIDATION_ERROR_OLD_VERSION`."""
    if re.fullmatch(r"[A-Z][A-Z0-9_]*", value):
        return value
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", value)
    name = re.sub(r"[^A-Za-z0-9]+", "_", spaced).strip("_").upper()
    return name if name[:1].isalpha() else f"VALUE_{name}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
