"""Manifests: what they say, and how they say what is wrong with them."""

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workspaces_apps import Credentials, WorkSpacesClient
from workspaces_apps.rollout import (
    Amount,
    ApplicationRef,
    Hours,
    LastConnected,
    Manifest,
    ManifestError,
    OrderByTag,
    Policy,
    Price,
    Rollout,
    Rule,
    Selector,
    Target,
)

TOML = """
name = "office"

[[targets]]
name = "prod"
region = "eu-west-1"
role_arn = "arn:aws:iam::123456789012:role/rollout"

[[rules]]
name = "finance"
select = { tags = { Department = ["Finance", "Legal"] }, none_of = [{ user_names = "boss" }] }
present = ["wsa-12345678", { name = "Office", version = "2021", owner = "AMAZON" }]

[policy]
canary = "5%"
pause = "1h30m"
failure_budget = 3

[[policy.hours]]
time_zone = "Europe/Berlin"
start = 22:00:00
end = "06:00"
"""

YAML = """
name: office
policy:
  canary: 5x
  hourss: 1
rules:
  - select: {}
    present: [a]
  - select:
      everything: true
    present:
      - id: x
      - {name: a, ownr: b}
"""

MINIMAL: dict[str, Any] = {"name": "x", "rules": [{"select": {"everything": True}, "present": ["Office"]}]}


def write(folder: Path, name: str, text: str) -> Path:
    """A file with that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_toml_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    """One manifest, three formats."""
    manifest = Manifest.load(write(tmp_path, "m.toml", TOML))
    as_json = manifest.model_dump_json(exclude_none=True)

    assert manifest.policy.canary == Amount(5, percent=True)
    assert manifest.policy.pause == 5400
    assert str(manifest.rules[0].present[1]) == "Office version 2021 of AMAZON"
    assert Manifest.load(write(tmp_path, "m.json", as_json)) == manifest
    # JSON is YAML.
    pytest.importorskip("yaml")
    assert Manifest.load(write(tmp_path, "m.yaml", as_json)) == manifest


def test_every_mistake_is_told_with_its_place(tmp_path: Path) -> None:
    """File, line and key path of each, all at once."""
    pytest.importorskip("yaml")
    path = write(tmp_path, "m.yaml", YAML)
    with pytest.raises(ManifestError) as caught:
        Manifest.load(path)
    found = {mistake.key: mistake.line for mistake in caught.value.mistakes}

    assert found == {
        "policy.canary": 4,
        "policy.hourss": 5,
        "rules[0].select": 7,
        "rules[1].present[0].id": 12,
        "rules[1].present[1].ownr": 13,
    }
    assert f"{path}:12: rules[1].present[0].id: " in str(caught.value)
    assert "5 mistakes" in str(caught.value)


@pytest.mark.parametrize("key, value", [("workspace_ids", "WS-ABC"), ("user_names", 123)])
def test_a_list_of_mistakes_is_not_called_empty(key: str, value: object) -> None:
    """There is one mistake for each entry, and none about the list."""
    with pytest.raises(ManifestError) as caught:
        Manifest.from_data({"name": "x", "rules": [{"select": {key: [value]}, "present": ["a"]}]})

    assert [mistake.key for mistake in caught.value.mistakes] == [f"rules[0].select.{key}[0]"]


@pytest.mark.parametrize(
    "change,key,rule",
    [
        ({"name": ""}, "name", "empty"),
        ({"rules": []}, "rules", "empty"),
        ({"version": 2}, "version", "1"),
        ({"surprise": 1}, "surprise", "unknown key"),
        ({"targets": [{"name": "a"}, {"name": "a"}]}, "", "same name: a"),
        ({"targets": [{"name": "a", "external_id": "given"}]}, "targets[0]", "role_arn"),
        ({"targets": [{"name": "a", "region": "Ireland"}]}, "targets[0].region", "pattern"),
        ({"rules": [{"select": {"everything": True}}]}, "rules[0]", "present, or absent"),
        (
            {"rules": [{"select": {"everything": True}, "present": ["a"], "absent": ["a"]}]},
            "rules[0]",
            "contradict",
        ),
        (
            {"rules": [{"select": {"everything": True}, "present": ["a"], "targets": ["b"]}]},
            "",
            "rules[0].targets: there is no target b",
        ),
        (
            {
                "targets": [{"name": "a"}, {"name": "a"}],
                "rules": [{"select": {"everything": True}, "present": ["a"], "targets": ["b"]}],
            },
            "",
            "targets of the same name: a; rules[0].targets: there is no target b",
        ),
        ({"policy": {"canary": 0}}, "policy", "a canary is of 1 WorkSpace or more"),
        ({"policy": {"canary": "0%"}}, "policy", "a canary is of 1 WorkSpace or more"),
        ({"policy": {"growth": 0.5}}, "policy.growth", "greater"),
        ({"policy": {"pause": "soon"}}, "policy.pause", "1h30m"),
        ({"policy": {"retries": 11}}, "policy.retries", "10"),
        ({"policy": {"skip_connected": "yes"}}, "policy.skip_connected", "boolean"),
        ({"policy": {"failure_budget": -1}}, "policy.failure_budget", "count"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], key: str, rule: str) -> None:
    """Each with its key and its rule."""
    with pytest.raises(ManifestError) as caught:
        Manifest.from_data(MINIMAL | change)

    assert [mistake.key for mistake in caught.value.mistakes] == [key]
    assert rule in caught.value.mistakes[0].rule


@pytest.mark.parametrize(
    "rules,told",
    [
        ('present = "Office"', "rules[0].present: must be a list, not 'Office'"),
        ("present = [5]", "rules[0].present[0]: must be text or a table, not 5"),
        ('targets = "eu"', "rules[0].targets: must be a list, not 'eu'"),
        ("select.tags = { Ring = 1 }", "select.tags.Ring: must be text or a list of texts, not 1"),
        ("select.tags.Ring = [1]", "select.tags.Ring[0]: must be text, not 1"),
        ('select.tags = "Ring"', "select.tags: must be a table, not 'Ring'"),
        ("select.user_names = true", "select.user_names: must be text or a list of texts, not true"),
        ('select.everything = "yes"', "select.everything: must be true or false, not 'yes'"),
        ("select = 3", "rules[0].select: must be a table, not 3"),
        ("select.none_of = { everything = true }", "select.none_of: must be a list, not a table"),
        (
            'select.workspace_ids = ["ws-00000001", "desk 7"]',
            "workspace_ids[1]: 'desk 7' is not valid: it should match",
        ),
        ("present = [{ name = 'Office', owner = 123456789012 }]", "owner: must be text, not 123456789012"),
    ],
)
def test_a_value_of_another_type_is_told_in_the_words_of_manifests(
    rules: str, told: str, tmp_path: Path
) -> None:
    """With the value, and not by the types of Python."""
    with pytest.raises(ManifestError) as caught:
        Manifest.load(write(tmp_path, "m.toml", f'name = "x"\n[[rules]]\n{rules}\n'))
    lines = [str(mistake) for mistake in caught.value.mistakes]
    assert any(told in line for line in lines), lines
    assert not any("Input" in line or "tuple" in line for line in lines)


@pytest.mark.parametrize(
    "name,content,rule",
    [
        ("m.toml", "name = ", "is not TOML"),
        ("m.json", "{", "is not JSON"),
        ("m.json", "[1]", "m.json: is a list: a manifest is a table with a name and rules"),
        ("m.json", "[" * 100_000, "nested too deeply"),
        ("m.yaml", "a: [", "is not YAML"),
        ("m.yaml", "a: &x [1]\nb: *x", "aliases"),
        ("m.yaml", "a: !!python/object/apply:os.system [x]", "is not YAML"),
        ("m.yaml", "", "m.yaml: is empty: a manifest is a table with a name and rules"),
        ("m.yaml", "office", "is 'office': a manifest is a table"),
        ("m.json", '{"name": "a", "name": "b"}', "the key 'name' is there twice"),
        ("m.yaml", "name: a\nname: b", "duplicate key"),
        ("m.toml", 'name = "a"\nname = "b"', "is not TOML"),
        ("m.toml", 'name = "\\ud800"', "not a Unicode scalar value .at line 1"),
        ("m.ini", "", "ends in .toml"),
    ],
)
def test_a_file_that_is_none_gets_one_clear_line(tmp_path: Path, name: str, content: str, rule: str) -> None:
    """Broken, hostile or foreign files."""
    pytest.importorskip("yaml")
    with pytest.raises(ManifestError, match=rule):
        Manifest.load(write(tmp_path, name, content))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Named, with the system's reason; bytes that are no text too."""
    with pytest.raises(ManifestError, match="cannot be read"):
        Manifest.load(tmp_path / "absent.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(ManifestError, match="UTF-8"):
        Manifest.load(tmp_path / "bytes.toml")


def test_the_json_schema_is_one() -> None:
    """Serialisable, and knows the keys of every part."""
    schema = json.dumps(Manifest.json_schema())

    for key in ("failure_budget", "any_of", "time_zone", "role_arn", "everything"):
        assert f'"{key}"' in schema


FLAWED = """
name: "half \\ud800"
targets:
  - {name: default, profile: "p\\0"}
rules:
  - name: "two\\nlines"
    select: {user_names: ["\\udfff"], tags: {"k\\ud800": v}}
    targets: ["\\ud800"]
    present: ["wsa-\\ud800", {name: a, version: "\\x9b"}]
"odd\\ud800": 1
policy: {growth: 0}
"""


def test_what_no_file_can_hold_is_told_with_its_place(tmp_path: Path) -> None:
    """Halves of characters and control characters, in keys as in values, beside every other mistake, before a call."""
    pytest.importorskip("yaml")
    with pytest.raises(ManifestError) as caught:
        Manifest.load(write(tmp_path, "m.yaml", FLAWED))
    found = {mistake.key: (mistake.line, mistake.rule) for mistake in caught.value.mistakes}

    assert {key: line for key, (line, _) in found.items()} == {
        "name": 2,
        "targets[0].profile": 4,
        "rules[0].name": 6,
        "rules[0].select.user_names[0]": 7,
        "rules[0].select.tags.k?": 7,
        "rules[0].targets[0]": 8,
        "rules[0].present[0]": 9,
        "rules[0].present[1].version": 9,
        "odd?": 10,
        "policy.growth": 11,
    }
    assert found["name"][1] == "holds half a character (U+D800), which no file can hold"
    assert found["rules[0].name"][1].startswith("holds the control character U+000A")
    assert str(caught.value).encode()


def through_the_models(data: Mapping[str, Any]) -> Manifest:
    """A manifest from keyword arguments."""
    return Manifest(**data)


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "a\x1b[2J", "\x85"])
@pytest.mark.parametrize("make", [Manifest.from_data, through_the_models])
def test_python_cannot_bring_it_in_either(text: str, make: Callable[[Mapping[str, Any]], Manifest]) -> None:
    """Neither as data nor through the models: what is in a manifest can be written to a plan and a journal."""
    rule = {"select": {"everything": True}, "present": ["Office"]}
    order = {"order_by_tag": {"key": "Ring", "values": [text]}}
    for change in (
        {"name": text},
        {"rules": [rule | {"select": {"user_names": [text]}}]},
        {"rules": [rule | {"select": {"tags": {"Ring": [text]}}}]},
        {"policy": order},
        {"targets": [{"name": "a", "profile": text}]},
        {"targets": [{"name": "a", "role_arn": f"arn:aws:iam::123456789012:role/{text}"}]},
    ):
        with pytest.raises(ValueError, match=r"character|pattern|unicode"):
            make(MINIMAL | change)


@given(
    st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_whatever_data_comes_the_mistakes_can_be_told(data: object) -> None:
    """No data makes anything else of it than a manifest or its mistakes, and those can be written."""
    for change in ({"name": data}, {"rules": data}, {"policy": data}, {"surprise": data}):
        try:
            manifest = Manifest.from_data(MINIMAL | change)
        except ManifestError as error:
            said = str(error)
        else:
            said = manifest.model_dump_json()
        assert said.encode()


def test_a_table_in_itself_ends() -> None:
    """Python can make what no file can."""
    loop: dict[str, Any] = {"everything": True}
    loop["all_of"] = [loop]
    with pytest.raises(ManifestError, match="nested too deeply"):
        Manifest.from_data({"name": "x", "rules": [{"select": loop, "present": ["a"]}]})


@pytest.mark.parametrize(
    "name,text", [("m.toml", TOML), ("m.json", json.dumps(MINIMAL)), ("m.yaml", json.dumps(MINIMAL))]
)
def test_a_mark_at_the_beginning_and_other_line_ends_change_nothing(
    tmp_path: Path, name: str, text: str
) -> None:
    """Editors of some systems write them."""
    pytest.importorskip("yaml")
    plain = Manifest.load(write(tmp_path, name, text))
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    assert Manifest.load(tmp_path / name) == plain


@pytest.mark.parametrize("duration", [300, 300.0, "5m", timedelta(minutes=5)])
def test_a_policy_takes_durations_as_the_rest_of_the_api_does(duration: object) -> None:
    """Seconds, a timedelta, or the words of manifests; all of them are seconds afterwards."""
    assert Policy.model_validate({"idle_for": duration}).idle_for == 300.0


EVERYTHING = Selector(everything=True)
WRONG_IN_PYTHON: list[tuple[Callable[..., object], dict[str, object], str]] = [
    (Policy, {"canary": "500%"}, "canary: a percentage is from 0% to 100%"),
    (Policy, {"canary": 1.5}, "canary: an amount is a count"),
    (Policy, {"canry": "5%"}, "canry: unknown key; did you mean canary?"),
    (Policy, {"pause": "soon"}, "pause: a duration is a number of seconds"),
    (Policy, {"pause": 10**400}, "pause: Input should be a valid number"),
    (Policy, {"approval": "canary"}, "needs a canary"),
    (Policy, {"skip_connected": 1}, "skip_connected: is a boolean"),
    (Amount, {"number": -1}, "a count is a whole number"),
    (Amount, {"number": 101, "percent": True}, "a percentage is from 0% to 100%"),
    (Rule, {"select": EVERYTHING}, "a rule needs applications"),
    (Rule, {"select": EVERYTHING, "present": "Office"}, "present: "),
    (Rule, {"present": ["Office"]}, "select: is missing"),
    (Selector, {}, "a selector needs at least one condition"),
    (Selector, {"compute_types": ("NOPE",)}, "compute_types: 'NOPE' is not one of"),
    (LastConnected, {"before": -1}, "before: "),
    (Hours, {"time_zone": "UTC", "start": "1", "end": "02:00"}, "start: a time of day is written like 22:30"),
    (OrderByTag, {"key": "Ring", "values": []}, "values: must not be empty"),
    (ApplicationRef, {}, "an application has either an id or a name"),
    (Target, {"name": "eu", "external_id": "12"}, "external_id goes with role_arn"),
    (Price, {"monthly": 1, "currency": "dollars"}, "currency: "),
    (Manifest, {"name": "x", "rules": []}, "rules: must not be empty"),
]


@pytest.mark.parametrize(
    "build,values,words", WRONG_IN_PYTHON, ids=lambda part: getattr(part, "__name__", None)
)
def test_a_bad_value_in_python_is_a_mistake_like_one_in_a_file(
    build: Callable[..., object], values: dict[str, object], words: str
) -> None:
    """Whichever part of a manifest is built, ManifestError names the key and the rule; it is a ValueError too."""
    with pytest.raises(ManifestError, match=re.escape(words)) as caught:
        build(**values)

    assert isinstance(caught.value, ValueError)
    assert caught.value.mistakes[0].file is None


def test_pydantics_own_ways_keep_their_error() -> None:
    """A body of a service that is no manifest is refused as pydantic refuses it, at the place where it is wrong."""
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate({**MINIMAL, "policy": {"canary": "500%"}})

    assert [error["loc"] for error in caught.value.errors()] == [("policy", "canary")]


@pytest.mark.parametrize("several", [list, tuple, deque, frozenset])
def test_any_sequence_or_set_is_a_list(several: Callable[[list[str]], Any]) -> None:
    """A manifest that is built in Python takes what constructors of models take, and holds tuples."""

    def of(*values: str) -> Any:
        return several(list(values))

    rule = Rule(
        select=Selector(workspace_ids=of("ws-12345678"), running_modes=of("MANUAL")), present=of("Office")
    )
    policy = Policy(
        canary="5%", pause="1h", failure_budget=3, idle_for=timedelta(minutes=5),
        order_by=OrderByTag(key="Ring", values=of("1")),
        hours=[Hours(time_zone="UTC", start="22:00", end=time(6), days=of("mon"))],
    )  # fmt: skip
    manifest = Manifest(name="office", rules=[rule], policy=policy)

    assert (str(policy.canary), policy.pause, policy.idle_for) == ("5%", 3600.0, 300.0)
    assert manifest.rules[0].present == (ApplicationRef(name="Office"),)
    assert manifest.rules[0].select.workspace_ids == ("ws-12345678",)
    assert Manifest.from_data(json.loads(manifest.model_dump_json(exclude_none=True))) == manifest


async def test_a_path_is_no_manifest() -> None:
    """The error says how one is read from a file."""
    async with WorkSpacesClient(region="eu-west-1", credentials=Credentials("a", "b")) as ws:
        with pytest.raises(
            ManifestError, match=re.escape("plan() takes a Manifest: Manifest.load('fleet.toml')")
        ):
            await Rollout(ws).plan("fleet.toml")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_the_schema_of_a_manifest_describes_every_key() -> None:
    """At any depth, policies included."""
    schema: Any = Manifest.json_schema()
    definitions = {"": schema, **schema["$defs"]}

    assert {"Policy", "Rule", "Selector", "Hours", "Target"} <= definitions.keys()
    assert [
        f"{name}.{key}"
        for name, definition in definitions.items()
        for key, one in definition.get("properties", {}).items()
        if not one.get("description")
    ] == []
