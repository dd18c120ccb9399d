"""Selectors of WorkSpaces: a small algebra of conditions, decided with as few calls as it takes.

Tags are the one thing that DescribeWorkspaces does not tell and that costs a call for each WorkSpace. So a selector
is first decided without them, in three-valued logic; only where that leaves it open are a WorkSpace's tags asked
for.

Values that match nothing are told as well: misspelt users, ids of terminated WorkSpaces, tags that nobody has.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from workspaces_apps._base.public import Datetime, public
from workspaces_apps._model.operations import Many
from workspaces_apps._model.validation import is_list
from workspaces_apps.api.shared import Compute, ComputeLike, OperatingSystemName, OperatingSystemNameLike
from workspaces_apps.api.workspaces import RunningMode, RunningModeLike
from workspaces_apps.rollout._manifest.fields import (
    PLAIN,
    WORKSPACE_ID,
    CsvList,
    Part,
    Seconds,
    SecondsLike,
    listed,
    several,
)

Tags: TypeAlias = Mapping[str, str]
Truth: TypeAlias = bool | None
"""Tell if something fits; None while that is not known."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionFacts:
    """The connection of a user, taken from DescribeWorkspacesConnectionStatus."""

    at: Datetime
    """The time it was read."""
    listed: bool = True
    """True if the service told anything of it."""
    connected: bool | None = None
    """True if the user was connected; None where that is unknown."""
    last_connected: Datetime | None = None
    """The time at which the user was last connected; None for never, as far as the service knows."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceFacts:
    """The facts about a WorkSpace that a roll-out uses, taken from DescribeWorkspaces."""

    workspace_id: str
    """Its id."""
    state: str
    """The state, as the service names it."""
    directory_id: str | None = None
    """Its directory."""
    user_name: str | None = None
    """Its user."""
    bundle_id: str | None = None
    """Its bundle."""
    compute_type: Compute | None = None
    """The compute type; None where the service does not say."""
    operating_system: OperatingSystemName | None = None
    """Its operating system; None where the service does not say."""
    running_mode: RunningMode | None = None
    """The running mode; None where the service does not say."""
    root_volume_gib: int | None = None
    """The size of its root volume; None where the service does not say."""
    connection: ConnectionFacts | None = None
    """The connection of its user; None while it was not read."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The WorkSpaces that have to be read to find all that a selector can select.

    Attributes:
        everything: All of them; the rest is empty then.
        workspace_ids: These.
        directory_ids: All of these directories.
        bundle_ids: All of these bundles.
    """

    everything: bool = False
    workspace_ids: frozenset[str] = frozenset()
    directory_ids: frozenset[str] = frozenset()
    bundle_ids: frozenset[str] = frozenset()

    @classmethod
    def union(cls, scopes: Iterable[Scope]) -> Scope:
        """Return what has to be read for all of them."""
        every = tuple(scopes)
        if any(one.everything for one in every):
            return cls(everything=True)
        return cls(
            False,
            frozenset[str]().union(*(one.workspace_ids for one in every)),
            frozenset[str]().union(*(one.directory_ids for one in every)),
            frozenset[str]().union(*(one.bundle_ids for one in every)),
        )

    @property
    def width(self) -> tuple[bool, int, int]:
        """A key that orders scopes from cheap to dear."""
        return self.everything, len(self.directory_ids) + len(self.bundle_ids), len(self.workspace_ids)


def _words(kind: Callable[[str], object], names: Iterable[str]) -> Callable[[object], object]:
    known = tuple(names)

    def read(value: object) -> object:
        words = several(value)
        if not is_list(words):
            return value
        wrong = [word for word in words if not isinstance(word, str) or word not in known]
        if wrong:
            raise PydanticCustomError(
                "word", "{wrong} is not one of {known}", {"wrong": repr(wrong[0]), "known": ", ".join(known)}
            )
        return tuple(kind(word) for word in words if isinstance(word, str))

    return read


_WorkspaceId: TypeAlias = Annotated[str, Field(pattern=WORKSPACE_ID)]
_DirectoryId: TypeAlias = Annotated[str, Field(pattern=r"^(d-[0-9a-f]{8,63}|wsd-[0-9a-z]{8,63})$")]
_BundleId: TypeAlias = Annotated[str, Field(pattern=r"^wsb-[0-9a-z]{8,63}$")]
_Plain: TypeAlias = Annotated[str, PLAIN]
_Values: TypeAlias = Annotated[
    tuple[_Plain, ...],
    Field(min_length=1),
    BeforeValidator(several, json_schema_input_type=str | tuple[str, ...]),
]
_NonEmpty = Field(default=None, min_length=1)
_Several: Final = BeforeValidator(several, json_schema_input_type=str | tuple[str, ...] | None)
_Listed: Final = BeforeValidator(several, json_schema_input_type=str | tuple[str, ...] | CsvList | None)


@public("workspaces_apps.rollout")
class LastConnected(Part, frozen=True):
    """A time at which a user was last connected.

    Examples:
        >>> from workspaces_apps.rollout import LastConnected, Selector
        >>> unused = Selector(last_connected=LastConnected(before="90d"))
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    before: Seconds
    """At least so long ago: seconds, or written like ``14d`` or ``36h``."""

    if TYPE_CHECKING:

        def __init__(self, *, before: SecondsLike) -> None: ...


@public("workspaces_apps.rollout")
class Selector(Part, frozen=True):
    """A selection of WorkSpaces: every condition that is given must hold; a list means any of its values.

    Examples:
        >>> from workspaces_apps.rollout import Selector
        >>> desks = Selector(tags={"team": ["finance", "audit"]}, none_of=[Selector(user_names=["ceo"])])
        >>> whole_fleet = Selector(everything=True)
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, validate_by_name=True)

    everything: bool | None = None
    """True: all WorkSpaces."""
    workspace_ids: Annotated[tuple[_WorkspaceId, ...] | None, _Listed] = _NonEmpty
    """By id; in a file also a column of a CSV file: ``{ csv = "ids.csv", column = "WorkspaceId" }``."""
    directory_ids: Annotated[tuple[_DirectoryId, ...] | None, _Several] = _NonEmpty
    """By directory."""
    user_names: Annotated[tuple[_Plain, ...] | None, _Listed] = _NonEmpty
    """By user name, in any case, as Active Directory has none; in a file also a column of a CSV file."""
    bundle_ids: Annotated[tuple[_BundleId, ...] | None, _Several] = _NonEmpty
    """By bundle."""
    tags: dict[_Plain, _Values] | None = _NonEmpty
    """By tag: for each key the value or values it may have. Costs a call for each WorkSpace that the
    other conditions leave open."""
    compute_types: Annotated[
        tuple[Compute, ...] | None,
        BeforeValidator(
            _words(Compute, map(str, Compute)), json_schema_input_type=Compute | tuple[Compute, ...] | None
        ),
    ] = _NonEmpty
    """By compute type."""
    operating_systems: Annotated[
        tuple[OperatingSystemName, ...] | None,
        BeforeValidator(
            _words(OperatingSystemName, map(str, OperatingSystemName)),
            json_schema_input_type=OperatingSystemName | tuple[OperatingSystemName, ...] | None,
        ),
    ] = _NonEmpty
    """By operating system."""
    running_modes: Annotated[
        tuple[RunningMode, ...] | None,
        BeforeValidator(
            _words(RunningMode, map(str, RunningMode)),
            json_schema_input_type=RunningMode | tuple[RunningMode, ...] | None,
        ),
    ] = _NonEmpty
    """By running mode."""
    last_connected: LastConnected | None = None
    """By when the user was last connected, 25 WorkSpaces a call; it fits nobody who never was."""
    never_connected: bool | None = None
    """True: those whose user was never connected; false: those whose user was."""
    all_of: Annotated[tuple[Selector, ...] | None, BeforeValidator(listed)] = _NonEmpty
    """Selectors that must all fit."""
    any_of: Annotated[tuple[Selector, ...] | None, BeforeValidator(listed)] = _NonEmpty
    """Selectors of which one must fit."""
    none_of: Annotated[tuple[Selector, ...] | None, BeforeValidator(listed)] = _NonEmpty
    """Selectors of which none may fit."""

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            everything: bool | None = None,
            workspace_ids: str | Many[str] | None = None,
            directory_ids: str | Many[str] | None = None,
            user_names: str | Many[str] | None = None,
            bundle_ids: str | Many[str] | None = None,
            tags: Mapping[str, str | Many[str]] | None = None,
            compute_types: ComputeLike | Many[ComputeLike] | None = None,
            operating_systems: OperatingSystemNameLike | Many[OperatingSystemNameLike] | None = None,
            running_modes: RunningModeLike | Many[RunningModeLike] | None = None,
            last_connected: LastConnected | None = None,
            never_connected: bool | None = None,
            all_of: Many[Selector] | None = None,
            any_of: Many[Selector] | None = None,
            none_of: Many[Selector] | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.everything is False:
            raise PydanticCustomError(
                "selector", "everything is true or left out; for nothing, leave the rule out"
            )
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if not given:
            raise PydanticCustomError(
                "selector", "a selector needs at least one condition; everything = true selects all"
            )
        if self.everything and len(given) > 1:
            raise PydanticCustomError(
                "selector", "everything = true with further conditions contradicts itself: leave one out"
            )
        return self

    def fits(self, workspace: WorkspaceFacts, tags: Tags | None) -> Truth:
        """Tell if the WorkSpace is selected.

        Args:
            workspace: The WorkSpace.
            tags: Its tags; None while they are not known.

        Returns:
            None where that depends on tags which are not known.
        """
        verdicts: list[Truth] = [
            self.workspace_ids is None or workspace.workspace_id in self.listed_ids,
            _within(self.directory_ids, workspace.directory_id),
            self.user_names is None
            or (workspace.user_name is not None and workspace.user_name.casefold() in self.folded_users),
            _within(self.bundle_ids, workspace.bundle_id),
            _within(self.compute_types, workspace.compute_type),
            _within(self.operating_systems, workspace.operating_system),
            _within(self.running_modes, workspace.running_mode),
        ]
        if self.tags is not None:
            verdicts.append(
                None if tags is None else all(tags.get(key) in values for key, values in self.tags.items())
            )
        if self.last_connected is not None or self.never_connected is not None:
            verdicts.append(self._fits_connection(workspace.connection))
        if self.all_of is not None:
            verdicts.append(every(each.fits(workspace, tags) for each in self.all_of))
        if self.any_of is not None:
            verdicts.append(some(each.fits(workspace, tags) for each in self.any_of))
        if self.none_of is not None:
            verdicts.append(negate(some(each.fits(workspace, tags) for each in self.none_of)))
        return every(verdicts)

    @cached_property
    def listed_ids(self) -> frozenset[str]:
        """The ids, for a look-up: a list of thousands is asked thousands of times."""
        return frozenset(self.workspace_ids or ())

    @cached_property
    def folded_users(self) -> frozenset[str]:
        """The user names without case; AD user names ignore it [doc]."""
        return frozenset(name.casefold() for name in self.user_names or ())

    def _fits_connection(self, connection: ConnectionFacts | None) -> Truth:
        # What the service does not tell fits neither this nor its opposite.
        if connection is None or not connection.listed:
            return None
        last = connection.last_connected
        return (self.never_connected is None or self.never_connected is (last is None)) and (
            self.last_connected is None
            or (last is not None and (connection.at - last).total_seconds() >= self.last_connected.before)
        )

    @property
    def wants_connections(self) -> bool:
        """Tell if any condition in it is about when the user was connected."""
        return (
            self.last_connected is not None
            or self.never_connected is not None
            or any(
                each.wants_connections
                for each in (*(self.all_of or ()), *(self.any_of or ()), *(self.none_of or ()))
            )
        )

    @property
    def scope(self) -> Scope:
        """Return what has to be read to find every WorkSpace that this can select."""
        candidates = [Scope(everything=True)]
        if self.workspace_ids is not None:
            candidates.append(Scope(workspace_ids=frozenset(self.workspace_ids)))
        if self.directory_ids is not None:
            candidates.append(Scope(directory_ids=frozenset(self.directory_ids)))
        if self.bundle_ids is not None:
            candidates.append(Scope(bundle_ids=frozenset(self.bundle_ids)))
        candidates += [each.scope for each in self.all_of or ()]
        if self.any_of is not None:
            candidates.append(Scope.union(each.scope for each in self.any_of))
        return min(candidates, key=lambda scope: scope.width)

    @property
    def wants_tags(self) -> bool:
        """Tell if any condition in it is about tags."""
        return self.tags is not None or any(
            each.wants_tags for each in (*(self.all_of or ()), *(self.any_of or ()), *(self.none_of or ()))
        )


def _within(wanted: tuple[str, ...] | None, value: str | None) -> bool:
    return wanted is None or value in wanted


def every(verdicts: Iterable[Truth]) -> Truth:
    """Tell if all hold: False if one does not, else None if one is unknown."""
    known = tuple(verdicts)
    return False if False in known else None if None in known else True


def some(verdicts: Iterable[Truth]) -> Truth:
    """Tell if one holds: True if one does, else None if one is unknown."""
    known = tuple(verdicts)
    return True if True in known else None if None in known else False


def negate(verdict: Truth) -> Truth:
    """Return the opposite; of unknown, unknown."""
    return None if verdict is None else not verdict


Condition: TypeAlias = Literal[
    "workspace_ids",
    "directory_ids",
    "bundle_ids",
    "user_names",
    "tag_keys",
    "tag_values",
    "compute_types",
    "operating_systems",
    "running_modes",
]
"""The condition of a selector that a value stands in; of tags, keys and values are told apart."""

_SENTENCES: Final[Mapping[Condition, str]] = {
    "workspace_ids": "there is no WorkSpace {}",
    "directory_ids": "there is no WorkSpace in the directory {}",
    "bundle_ids": "there is no WorkSpace of the bundle {}",
    "user_names": "there is no WorkSpace of the user {}",
    "tag_keys": "no WorkSpace has the tag {}",
    "tag_values": "no WorkSpace has the tag {}",
    "compute_types": "there is no WorkSpace of the compute type {}",
    "operating_systems": "there is no WorkSpace with the operating system {}",
    "running_modes": "there is no WorkSpace of the running mode {}",
}

_KINDS: Final = frozenset({"compute_types", "operating_systems", "running_modes"})
"""Conditions whose values are the API's words: one that matches nothing is no mistake for certain."""

_QUOTED: Final = frozenset({"user_names", "tag_keys"})

_NAMED: Final = 10
"""Values that a sentence names; it counts the others."""

_SUGGESTED: Final = 20
"""Values of one condition that something alike is looked for; comparing thousands with thousands takes minutes."""

_ALIKE: Final = 0.75
"""The similarity of two texts, from 0 to 1, from which one is suggested for the other."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class UnmatchedValue:
    """A value of a rule's selector that matches no WorkSpace, whatever the other conditions."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    rule: str
    """The rule: its name, or its place such as ``rules[0]``."""
    condition: Condition
    """The condition that it stands in."""
    value: str
    """The value; of a tag's value ``KEY = VALUE``."""
    near: tuple[str, ...] = ()
    """Values that there are and that are spelt like it, the nearest first."""
    certain: bool = True
    """True if it is taken for a mistake; False for compute types, operating systems and running modes."""


@dataclass(slots=True, kw_only=True)
class Inventory:
    """The reading of one target, as far as selectors can name it.

    Attributes:
        scope: Which WorkSpaces were read.
        users: The users as the directory spells them, by their name without case.
        values: The values there are, by condition; tags as ``KEY = VALUE``.
        tags_known: Whether the tags of any WorkSpace were read.
    """

    scope: Scope
    users: dict[str, str] = field(default_factory=dict[str, str])
    values: dict[Condition, set[str]] = field(default_factory=dict[Condition, set[str]])
    tags_known: bool = False

    @classmethod
    def of(cls, scope: Scope, workspaces: Iterable[WorkspaceFacts], tags: Mapping[str, Tags]) -> Inventory:
        """Return the inventory of what was read."""
        found = cls(scope=scope, tags_known=bool(tags))
        for workspace in workspaces:
            found.add(workspace)
        for one in tags.values():
            for key, value in one.items():
                found._note("tag_keys", key)
                found._note("tag_values", f"{key} = {value}")
        return found

    def add(self, workspace: WorkspaceFacts) -> None:
        """Take in one more WorkSpace."""
        if workspace.user_name is not None:
            self.users.setdefault(workspace.user_name.casefold(), workspace.user_name)
        known: tuple[tuple[Condition, str | None], ...] = (
            ("workspace_ids", workspace.workspace_id),
            ("directory_ids", workspace.directory_id),
            ("bundle_ids", workspace.bundle_id),
            ("compute_types", workspace.compute_type),
            ("operating_systems", workspace.operating_system),
            ("running_modes", workspace.running_mode),
        )
        for condition, value in known:
            self._note(condition, value)

    def _note(self, condition: Condition, value: str | None) -> None:
        if value is not None:
            self.values.setdefault(condition, set()).add(str(value))

    def has(self, condition: Condition, value: str) -> bool:
        """Tell whether a WorkSpace that was read has the value."""
        if condition == "user_names":
            return value.casefold() in self.users
        return value in self.values.get(condition, ())

    def judges(self, condition: Condition, value: str) -> bool:
        """Tell whether what was read is enough to say that nothing in the target has the value."""
        if condition in ("tag_keys", "tag_values"):
            return self.tags_known
        read: Mapping[Condition, frozenset[str]] = {
            "workspace_ids": self.scope.workspace_ids,
            "directory_ids": self.scope.directory_ids,
            "bundle_ids": self.scope.bundle_ids,
        }
        return self.scope.everything or value in read.get(condition, ())


@dataclass(frozen=True, slots=True)
class Named:
    """A value that a rule's selector names, the targets that the rule is for, and of a tag's value the key."""

    rule: str
    targets: tuple[str, ...]
    condition: Condition
    value: str
    key: str = ""


def named_by(rule: str, targets: Sequence[str], selector: Selector) -> Iterator[Named]:
    """Return every value that a selector names, those in ``none_of`` included, each once."""
    for condition, value, key in dict.fromkeys(_values(selector)):
        yield Named(rule, tuple(targets), condition, value, key)


def _values(selector: Selector) -> Iterator[tuple[Condition, str, str]]:
    listed: tuple[tuple[Condition, Sequence[str] | None], ...] = (
        ("workspace_ids", selector.workspace_ids),
        ("directory_ids", selector.directory_ids),
        ("bundle_ids", selector.bundle_ids),
        ("user_names", selector.user_names),
        ("compute_types", selector.compute_types),
        ("operating_systems", selector.operating_systems),
        ("running_modes", selector.running_modes),
    )
    for condition, values in listed:
        for value in values or ():
            yield condition, str(value), ""
    for key, values in (selector.tags or {}).items():
        yield "tag_keys", key, ""
        for value in values:
            yield "tag_values", f"{key} = {value}", key
    for inner in (*(selector.all_of or ()), *(selector.any_of or ()), *(selector.none_of or ())):
        yield from _values(inner)


def undecided(named: Iterable[Named], inventories: Mapping[str, Inventory]) -> dict[str, list[Named]]:
    """Return what no target is known to have, and what must be read of which target to be sure.

    Args:
        named: The values that rules name.
        inventories: What was read, by target; a target that could not be read is left out, and decides nothing.
    """
    asked: dict[str, list[Named]] = {}
    for one in named:
        readable = [inventories[name] for name in one.targets if name in inventories]
        # Kinds and tags are judged by what was needed anyway.
        if one.condition in _KINDS or one.condition in ("tag_keys", "tag_values"):
            continue
        if any(inventory.has(one.condition, one.value) for inventory in readable):
            continue
        for name in one.targets:
            inventory = inventories.get(name)
            if inventory is not None and not inventory.judges(one.condition, one.value):
                asked.setdefault(name, []).append(one)
    return asked


def unmatched(named: Iterable[Named], inventories: Mapping[str, Inventory]) -> list[UnmatchedValue]:
    """Return the values that match nothing in any target that their rule is for and that could be read.

    Args:
        named: The values that rules name.
        inventories: What was read, by target.
    """
    found: list[UnmatchedValue] = []
    suggested: dict[Condition, int] = {}
    missing_keys: set[tuple[str, str]] = set()
    for one in named:
        readable = [inventories[name] for name in one.targets if name in inventories]
        judging = [inventory for inventory in readable if inventory.judges(one.condition, one.value)]
        if not judging or any(inventory.has(one.condition, one.value) for inventory in readable):
            continue
        # A tag that nobody has says it all: its values need no lines of their own.
        if one.condition == "tag_keys":
            missing_keys.add((one.rule, one.value))
        elif one.condition == "tag_values" and (one.rule, one.key) in missing_keys:
            continue
        number = suggested[one.condition] = suggested.get(one.condition, 0) + 1
        near = _near(one, readable) if number <= _SUGGESTED else ()
        found.append(
            UnmatchedValue(
                rule=one.rule,
                condition=one.condition,
                value=one.value,
                near=near,
                certain=one.condition not in _KINDS,
            )
        )
    return found


def _near(one: Named, inventories: Iterable[Inventory]) -> tuple[str, ...]:
    """Return what there is and is spelt like a value, without regard to case."""
    match one.condition:
        case "user_names":
            offered = {folded: name for each in inventories for folded, name in each.users.items()}
            wanted = one.value.casefold()
        case "tag_keys":
            offered = {key.casefold(): key for each in inventories for key in each.values.get("tag_keys", ())}
            wanted = one.value.casefold()
        case "tag_values":
            prefix = f"{one.key} = "
            offered = {
                value.removeprefix(prefix).casefold(): value.removeprefix(prefix)
                for each in inventories
                for value in each.values.get("tag_values", ())
                if value.startswith(prefix)
            }
            wanted = one.value.removeprefix(prefix).casefold()
        case _:
            # Ids are random: one that is alike is another WorkSpace.
            return ()
    near = difflib.get_close_matches(wanted, sorted(offered), n=2, cutoff=_ALIKE)
    if not near and one.condition == "tag_values" and 0 < len(offered) <= _NAMED:
        # Short values are never much alike; where there are few, all of them are named.
        near = sorted(offered)
    return tuple(offered[name] for name in near)


def in_words(values: Iterable[UnmatchedValue]) -> tuple[str, ...]:
    """Return sentences about values that match nothing: one for each condition of each rule, or of many rules together."""
    grouped: dict[Condition, dict[str, list[UnmatchedValue]]] = {}
    for one in values:
        grouped.setdefault(one.condition, {}).setdefault(one.rule, []).append(one)
    sentences: list[str] = []
    for condition, rules in grouped.items():
        groups = list(rules.items())
        if len(groups) > _NAMED:
            groups = [(f"{len(groups):,} rules", [one for _, group in groups for one in group])]
        sentences += [f"{rule}: {_SENTENCES[condition].format(_listed(group))}" for rule, group in groups]
    return tuple(sentences)


def _listed(values: Sequence[UnmatchedValue]) -> str:
    more = f" and {len(values) - _NAMED:,} more" if len(values) > _NAMED else ""
    return ", ".join(map(_shown, values[:_NAMED])) + more


def _shown(one: UnmatchedValue) -> str:
    name = f'"{one.value}"' if one.condition in _QUOTED else one.value
    if not one.near:
        return name
    return f"{name} (did you mean {' or '.join(one.near)}?)"
