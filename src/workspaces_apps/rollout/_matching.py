"""Values of selectors that match nothing: misspelt users, ids of terminated WorkSpaces, tags that nobody has."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, TypeAlias

from pydantic import ConfigDict

from workspaces_apps._base.public import public
from workspaces_apps.rollout._manifest.selectors import Scope, Selector, Tags, WorkspaceFacts

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
    """A value of a rule's selector that matches no WorkSpace, whatever the other conditions.

    Attributes:
        rule: The rule: its name, or its place such as ``rules[0]``.
        condition: The condition that it stands in.
        value: The value; of a tag's value ``KEY = VALUE``.
        near: What there is and is spelt like it, the nearest first.
        certain: Whether it is taken for a mistake; False for compute types, operating systems and running modes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    rule: str
    condition: Condition
    value: str
    near: tuple[str, ...] = ()
    certain: bool = True


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
    def of(cls, scope: Scope, workspaces: Iterable[WorkspaceFacts], tags: Mapping[str, Tags]) -> "Inventory":
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
        if condition == "workspace_ids" and value in self.scope.workspace_ids:
            return True
        if condition == "directory_ids" and value in self.scope.directory_ids:
            return True
        if condition == "bundle_ids" and value in self.scope.bundle_ids:
            return True
        return self.scope.everything


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
