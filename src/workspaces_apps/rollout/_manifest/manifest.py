"""The manifest: which applications are wanted present or absent, on which WorkSpaces, and how carefully."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from workspaces_apps._base.public import attribute_docs, public, without_examples
from workspaces_apps._model.operations import Many
from workspaces_apps._model.validation import JsonObject, is_list, is_mapping
from workspaces_apps.rollout._errors import ManifestError, Mistake
from workspaces_apps.rollout._licences import Price, UnreadableError, read_prices
from workspaces_apps.rollout._manifest.fields import (
    APPLICATION_ID,
    PLAIN,
    CsvList,
    Part,
    details_of,
    flaw_of,
    listed,
    mistake_of,
    models_of,
    shown,
    with_lists,
    without_flaws,
)
from workspaces_apps.rollout._manifest.file import DEPTH, KeyPath, SourceFile, read_document
from workspaces_apps.rollout._manifest.policy import Policy
from workspaces_apps.rollout._manifest.selectors import Selector

DEFAULT_TARGET: Final = "default"
"""The target of a manifest that names none: whatever the client is for."""

_PRICES_SCHEMA: Final[JsonObject] = {
    "anyOf": [
        {"type": "string", "description": "The path of a TOML file."},
        {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["monthly", "currency"],
                "properties": {
                    "monthly": {
                        "type": ["number", "string"],
                        "description": "The amount a month, on one WorkSpace.",
                    },
                    "currency": {
                        "type": "string",
                        "pattern": "^[A-Z]{3}$",
                        "description": "Three letters, such as USD.",
                    },
                },
            },
        },
        {"type": "null"},
    ]
}

_ApplicationId: TypeAlias = Annotated[str, Field(pattern=APPLICATION_ID)]
_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=100), PLAIN]


@public("workspaces_apps.rollout")
class ApplicationRef(Part, frozen=True):
    """An application, by its id, or by what the catalogue calls it.

    In a file also a plain string: an id, or a name.

    Examples:
        >>> from workspaces_apps.rollout import ApplicationRef, Rule, Selector
        >>> office = ApplicationRef(name="Office", owner="AMAZON")
        >>> rule = Rule(select=Selector(everything=True), present=[office, "Visio"])
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    id: _ApplicationId | None = None
    """The application's id."""
    name: Annotated[str, Field(min_length=1, max_length=200), PLAIN] | None = None
    """Its name, or some words of it, in any case."""
    owner: Annotated[str, Field(pattern=r"^([0-9]{12}|AMAZON)$")] | None = None
    """The owner: ``AMAZON``, or an account id."""
    version: Annotated[str, Field(min_length=1, max_length=50), PLAIN] | None = None
    """A further word of the name, such as ``2021``."""

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            id: str | None = None,
            name: str | None = None,
            owner: str | None = None,
            version: str | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.id is None) == (self.name is None):
            raise PydanticCustomError("application", "an application has either an id or a name")
        if self.id is not None and (self.owner is not None or self.version is not None):
            raise PydanticCustomError("application", "owner and version go with a name; an id says it all")
        return self

    def __str__(self) -> str:
        parts = [self.id or self.name or ""]
        parts += [f"version {self.version}"] if self.version else []
        parts += [f"of {self.owner}"] if self.owner else []
        return " ".join(parts)


def _read_ref(value: object) -> object:
    if isinstance(value, str):
        return {"id": value} if value.startswith("wsa-") else {"name": value}
    if not isinstance(value, ApplicationRef) and not is_mapping(value):
        raise PydanticCustomError(
            "application", "must be text or a table, not {given}", {"given": shown(value)}
        )
    return value


RefField: TypeAlias = Annotated[
    ApplicationRef, BeforeValidator(_read_ref, json_schema_input_type=str | ApplicationRef)
]

_Refs: TypeAlias = Annotated[tuple[RefField, ...], BeforeValidator(listed)]


@public("workspaces_apps.rollout")
class Rule(Part, frozen=True):
    """The desired applications of some WorkSpaces, present and absent.

    Examples:
        >>> from workspaces_apps.rollout import Rule, Selector
        >>> finance = Selector(tags={"team": ["finance"]}, operating_systems=["WINDOWS_11"])
        >>> rule = Rule(name="finance", select=finance, present=["Office"], absent=["Visio"])
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: _Name | None = None
    """The name of the rule in messages."""
    select: Selector
    """The WorkSpaces."""
    present: _Refs = ()
    """Applications they should have."""
    absent: _Refs = ()
    """Applications they should not have."""
    targets: Annotated[tuple[Annotated[str, PLAIN], ...] | None, BeforeValidator(listed)] = None
    """The names of the targets it is for; all if left out."""

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            select: Selector,
            name: str | None = None,
            present: Many[str | ApplicationRef] = (),
            absent: Many[str | ApplicationRef] = (),
            targets: Many[str] | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.present and not self.absent:
            raise PydanticCustomError("rule", "a rule needs applications that are present, or absent")
        both = [str(ref) for ref in self.present if ref in self.absent]
        if both:
            raise PydanticCustomError(
                "rule",
                "{names}: present and absent in one rule contradict each other",
                {"names": ", ".join(both)},
            )
        return self


@public("workspaces_apps.rollout")
class Target(Part, frozen=True):
    """An account and Region to roll out to. What is left out, AWS's standard resolution finds.

    Examples:
        >>> from workspaces_apps.rollout import Target
        >>> emea = Target(name="emea", region="eu-west-1", role_arn="arn:aws:iam::123456789012:role/rollouts")
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    """The name in rules, messages and the journal."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d{1,2}$")] | None = None
    """The Region."""
    profile: Annotated[str, Field(min_length=1), PLAIN] | None = None
    """A profile of the AWS configuration files."""
    role_arn: Annotated[str, Field(pattern=r"^arn:[a-z-]+:iam::[0-9]{12}:role/[!-~]+$")] | None = None
    """A role to assume; its credentials refresh."""
    # What STS takes [doc] AssumeRole; refused there, it would be so only after the first calls.
    external_id: (
        Annotated[str, Field(min_length=2, max_length=1224, pattern=r"^[A-Za-z0-9_+=,.@:/-]+$")] | None
    ) = None
    """The external id that the role's trust policy may ask for."""

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            region: str | None = None,
            profile: str | None = None,
            role_arn: str | None = None,
            external_id: str | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.external_id is not None and self.role_arn is None:
            raise PydanticCustomError("target", "external_id goes with role_arn")
        return self


@dataclass(slots=True)
class _Origin:
    """The origin of a manifest, which makes no difference between two that say the same."""

    document: SourceFile | None = field(default=None, compare=False)


@public("workspaces_apps.rollout")
class Manifest(Part, frozen=True):
    """The desired state of a fleet.

    Examples:
        >>> from workspaces_apps.rollout import Manifest, Policy, Rule, Selector
        >>> manifest = Manifest(
        ...     name="office",
        ...     rules=[Rule(select=Selector(tags={"team": ["finance"]}), present=["Office"], absent=["Visio"])],
        ...     policy=Policy(canary=5),
        ... )
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    version: Literal[1] = 1
    """The version of the format: 1."""
    name: _Name
    """The name of the roll-out."""
    targets: Annotated[tuple[Target, ...], BeforeValidator(listed)] = ()
    """Accounts and Regions; empty: the one that the client is for."""
    rules: Annotated[tuple[Rule, ...], BeforeValidator(listed), Field(min_length=1)]
    """The desired applications, by rule. Rules add up; where they contradict each other, nothing is done."""
    policy: Policy = Policy()
    """The limits that it keeps."""
    prices: Annotated[dict[str, Price] | None, WithJsonSchema(_PRICES_SCHEMA, mode="validation")] = None
    """The monthly prices of applications, by id or name, for what a plan tells of licences; in a file also
    the path of a TOML file with them, from the folder of the manifest."""
    _origin: _Origin = PrivateAttr(default_factory=_Origin)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            rules: Many[Rule],
            targets: Many[Target] = (),
            policy: Policy = ...,
            prices: dict[str, Price] | None = None,
            version: Literal[1] = 1,
        ) -> None: ...

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [target.name for target in self.targets]
        twice = sorted({name for name in names if names.count(name) > 1})
        problems = [f"targets of the same name: {', '.join(twice)}"] if twice else []
        known = set(names) or {DEFAULT_TARGET}
        for number, rule in enumerate(self.rules):
            strange = sorted(set(rule.targets or ()) - known)
            if strange:
                problems.append(f"rules[{number}].targets: there is no target {', '.join(strange)}")
        if problems:
            raise PydanticCustomError("targets", "{problems}", {"problems": "; ".join(problems)})
        return self

    @property
    def target_names(self) -> tuple[str, ...]:
        """The names of the targets, at least one."""
        return tuple(target.name for target in self.targets) or (DEFAULT_TARGET,)

    def only(self, *targets: str) -> Self:
        """Return the manifest for some of its targets, with the rules that are for them.

            manifest.only("eu", "us")

        Args:
            targets: The names of the targets, at least one.

        Raises:
            ManifestError: It has no target of such a name, or no rule is for any of them.
        """
        known = self.target_names
        strange = [name for name in targets if name not in known]
        if strange or not targets:
            rule = f"there is no target {', '.join(strange)}" if strange else "name at least one target"
            raise ManifestError([self.mistake(("targets",), f"{rule}; there are {', '.join(known)}")])
        rules = [
            rule
            if rule.targets is None
            else rule.model_copy(update={"targets": tuple(name for name in rule.targets if name in targets)})
            for rule in self.rules
            if rule.targets is None or not set(rule.targets).isdisjoint(targets)
        ]
        if not rules:
            raise ManifestError([self.mistake(("rules",), f"no rule is for {', '.join(targets)}")])
        # A copy keeps where it came from, so that later mistakes still have their line.
        return self.model_copy(
            update={
                "targets": tuple(target for target in self.targets if target.name in targets),
                "rules": tuple(rules),
            }
        )

    def rules_for(self, target: str) -> tuple[tuple[int, Rule], ...]:
        """Return the rules that are for a target, each with its number in the manifest."""
        return tuple(
            (number, rule)
            for number, rule in enumerate(self.rules)
            if rule.targets is None or target in rule.targets
        )

    def mistake(self, key: KeyPath, rule: str) -> Mistake:
        """Return a mistake that shows once the service was asked, with its place in the file if it came from one.

        Args:
            key: The path of keys and places in lists.
            rule: What would be right.
        """
        return _mistake(key, "", rule, self._origin.document)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a manifest from a ``.toml``, ``.yaml``, ``.yml`` or ``.json`` file.

        YAML needs the extra ``yaml``.

        Raises:
            ManifestError: Something is wrong; it lists all mistakes, with their place in the file.
        """
        document = read_document(Path(path))
        return cls._validated(document.data, document)

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> Self:
        """Return a manifest from what a parser made of a file.

        Raises:
            ManifestError: Something is wrong; it lists all mistakes.
        """
        return cls._validated(data, None)

    @classmethod
    def json_schema(cls) -> JsonObject:
        """Return the JSON Schema of manifest files, with descriptions, for editors and for CI."""
        models: list[type[BaseModel]] = [*models_of(Manifest), CsvList]
        return described(cls, {model.__name__: model for model in models})

    @classmethod
    def _validated(cls, data: object, document: SourceFile | None) -> Self:
        flaws: dict[KeyPath, Mistake] = {}
        mistakes: list[Mistake] = []
        try:
            # Without what pydantic would stumble over, so that it still finds everything else.
            clean = _cleaned(data, (), (), flaws, document)
            if not is_mapping(clean):
                flaw = "is empty" if clean is None else f"is {shown(clean)}"
                raise ManifestError(
                    [_mistake((), "", f"{flaw}: a manifest is a table with a name and rules", document)]
                )
            folder = document.path.parent if document is not None else Path()
            listed: dict[KeyPath, Mistake] = {}

            def report(key: KeyPath, rule: str) -> None:
                listed[key] = _mistake(key, "", rule, document)

            clean = _with_prices(with_lists(clean, folder, report), folder, report)
            flaws |= listed
            mistakes += flaws.values()
            found = cls.model_validate(clean)
        except RecursionError:
            raise ManifestError([_mistake((), "", "is nested too deeply", document)]) from None
        except ValidationError as error:
            mistakes += [
                _mistake(detail["loc"], detail["type"], detail["msg"], document, given=detail["input"])
                for detail in details_of(error)
                if not any(detail["loc"][: len(key)] == key for key in flaws)
            ]
            raise ManifestError(mistakes) from None
        if mistakes:
            raise ManifestError(mistakes)
        if document is not None:
            found._origin.document = replace(document, data=None)
        return found


def _cleaned(
    value: object,
    key: KeyPath,
    raw: KeyPath,
    flaws: MutableMapping[KeyPath, Mistake],
    document: SourceFile | None,
) -> object:
    """Return what a parser made of a file, with harmless text in the place of what a manifest cannot hold.

    Args:
        value: It, or a part of it.
        key: Where it is, in harmless text.
        raw: Where it is, as the file has it.
        flaws: Gets what was found, by key.
        document: The file.
    """
    if len(key) > DEPTH:
        raise RecursionError
    if isinstance(value, str):
        flaw = flaw_of(value)
        if flaw is None:
            return value
        flaws.setdefault(key, _mistake(key, "", flaw, document, raw))
        return without_flaws(value)
    if is_list(value):
        return [
            _cleaned(item, (*key, number), (*raw, number), flaws, document)
            for number, item in enumerate(value)
        ]
    if not is_mapping(value):
        return value
    table: dict[object, object] = {}
    for name, item in value.items():
        clean = without_flaws(name) if isinstance(name, str) else name
        place, raw_place = (*key, str(clean)), (*raw, str(name))
        if isinstance(name, str) and clean != name:
            flaws[place] = _mistake(place, "", f"the key {flaw_of(name)}", document, raw_place)
        table[clean] = _cleaned(item, place, raw_place, flaws, document)
    return table


def _with_prices(data: object, folder: Path, report: Callable[[KeyPath, str], None]) -> object:
    """Return the data of a manifest with the prices of a file in their place."""
    if not is_mapping(data) or not isinstance(data.get("prices"), str):
        return data
    path = folder / str(data["prices"])
    try:
        return {**data, "prices": read_prices(path)}
    except UnreadableError as error:
        report(("prices",), f"{path}: {error}")
        return {**data, "prices": None}


def _mistake(
    location: KeyPath,
    kind: str,
    message: str,
    document: SourceFile | None,
    raw: KeyPath | None = None,
    given: object = None,
) -> Mistake:
    return mistake_of(location, kind, message, document, root=Manifest, raw=raw, given=given)


DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def described(model: type[BaseModel], others: Mapping[str, type[BaseModel]]) -> JsonObject:
    """Return the JSON Schema of a model, each property with its description.

    Args:
        model: The model.
        others: The models within it, by the name that they have in the schema.
    """
    schema: JsonObject = model.model_json_schema(mode="validation")
    _describe(schema, model)
    definitions = schema.get("$defs")
    if isinstance(definitions, dict):
        for name, definition in definitions.items():
            if name in others and isinstance(definition, dict):
                _describe(definition, others[name])
    return {"$schema": DIALECT, **schema}


def _describe(schema: JsonObject, model: type[BaseModel]) -> None:
    schema["description"] = " ".join(without_examples(inspect.getdoc(model) or "").split())
    attributes = attribute_docs(model)
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    for name, one in properties.items():
        if isinstance(one, dict) and name in attributes:
            one["description"] = " ".join(attributes[name].split())
            # A title that only repeats the key says nothing in an editor.
            one.pop("title", None)
