"""The algebra of selectors, against plain Boolean logic."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from workspaces_apps.api.shared import Compute, OperatingSystemName
from workspaces_apps.api.workspaces import RunningMode
from workspaces_apps.rollout._manifest.selectors import Selector, WorkspaceFacts, every, negate, some

IDS = ["ws-aaaaaaaa", "ws-bbbbbbbb"]
DIRECTORIES = ["d-11111111", "d-22222222"]
BUNDLES = ["wsb-aaaaaaaa", "wsb-bbbbbbbb"]

workspaces = st.builds(
    WorkspaceFacts,
    workspace_id=st.sampled_from(IDS),
    state=st.just("AVAILABLE"),
    directory_id=st.sampled_from(DIRECTORIES),
    user_name=st.sampled_from(["anna", "Anna", None]),
    bundle_id=st.sampled_from(BUNDLES),
    compute_type=st.sampled_from([Compute.VALUE, Compute.POWER, None]),
    operating_system=st.sampled_from([OperatingSystemName.WINDOWS_11, None]),
    running_mode=st.sampled_from([RunningMode.AUTO_STOP, None]),
)
tags = st.dictionaries(st.sampled_from(["Ring", "Team"]), st.sampled_from(["a", "b"]), max_size=2)
leaves: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"everything": True}),
    st.fixed_dictionaries({"workspace_ids": st.lists(st.sampled_from(IDS), min_size=1)}),
    st.fixed_dictionaries({"directory_ids": st.lists(st.sampled_from(DIRECTORIES), min_size=1)}),
    st.fixed_dictionaries({"bundle_ids": st.lists(st.sampled_from(BUNDLES), min_size=1)}),
    st.fixed_dictionaries({"user_names": st.sampled_from(["anna", "bert"])}),
    st.fixed_dictionaries({"compute_types": st.just(["VALUE"])}),
    st.fixed_dictionaries(
        {"operating_systems": st.just(["WINDOWS_11"]), "running_modes": st.just(["AUTO_STOP"])}
    ),
    st.fixed_dictionaries(
        {"tags": st.dictionaries(st.sampled_from(["Ring", "Team"]), st.sampled_from(["a", "b"]), min_size=1)}
    ),
)


def _compound(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    key = st.sampled_from(["all_of", "any_of", "none_of"])
    return st.dictionaries(key, st.lists(children, min_size=1, max_size=3), min_size=1, max_size=2)


selectors = st.recursive(leaves, _compound, max_leaves=8)


def plainly(selector: dict[str, Any], workspace: WorkspaceFacts, known: dict[str, str]) -> bool:
    """The same in Boolean logic, straight from the manifest's data."""
    attributes = {
        "workspace_ids": workspace.workspace_id,
        "directory_ids": workspace.directory_id,
        "bundle_ids": workspace.bundle_id,
        "user_names": workspace.user_name,
        "compute_types": workspace.compute_type,
        "operating_systems": workspace.operating_system,
        "running_modes": workspace.running_mode,
    }
    for key, value in selector.items():
        match key:
            case "everything":
                fits = True
            case "tags":
                fits = all(known.get(name) == wanted for name, wanted in value.items())
            case "all_of":
                fits = all(plainly(each, workspace, known) for each in value)
            case "any_of":
                fits = any(plainly(each, workspace, known) for each in value)
            case "none_of":
                fits = not any(plainly(each, workspace, known) for each in value)
            case _:
                fits = attributes[key] in ([value] if isinstance(value, str) else value)
        if not fits:
            return False
    return True


@given(selectors, workspaces, tags)
def test_a_selector_is_boolean_logic(
    data: dict[str, Any], workspace: WorkspaceFacts, known: dict[str, str]
) -> None:
    """With tags known, it decides as plain logic does."""
    assert Selector.model_validate(data).fits(workspace, known) is plainly(data, workspace, known)


@given(selectors, workspaces, tags)
def test_what_is_decided_without_tags_stays_decided(
    data: dict[str, Any], workspace: WorkspaceFacts, known: dict[str, str]
) -> None:
    """No tags can overturn a verdict that was given without them; None only where tags are asked about."""
    selector = Selector.model_validate(data)
    early = selector.fits(workspace, None)

    assert early is None or early is selector.fits(workspace, known)
    assert selector.wants_tags or early is not None


@given(selectors, workspaces, tags)
def test_the_scope_misses_nothing(
    data: dict[str, Any], workspace: WorkspaceFacts, known: dict[str, str]
) -> None:
    """Every WorkSpace that is selected lies in what is read."""
    selector = Selector.model_validate(data)
    scope = selector.scope
    if selector.fits(workspace, known):
        assert (
            scope.everything
            or workspace.workspace_id in scope.workspace_ids
            or workspace.directory_id in scope.directory_ids
            or workspace.bundle_id in scope.bundle_ids
        )


@given(st.lists(st.sampled_from([True, False, None])))
def test_the_three_valued_connectives_obey_de_morgan(verdicts: list[bool | None]) -> None:
    """Not all is some not, and the other way round."""
    assert negate(every(verdicts)) is some(map(negate, verdicts))
    assert negate(some(verdicts)) is every(map(negate, verdicts))


WRONG: list[dict[str, Any]] = [
    {},
    {"everything": False},
    {"everything": True, "user_names": "x"},
    {"workspace_ids": []},
    {"workspace_ids": ["ws-1; drop"]},
    {"workspace_ids": ["ws-aaaaaaaa\n"]},
    {"compute_types": ["HUGE"]},
    {"tags": {}},
    {"any_of": []},
    {"any_of": [{}]},
    {"user": "x"},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_says_nothing_or_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    """An empty selector would be either everything or nothing: it must say which."""
    with pytest.raises(ValidationError):
        Selector.model_validate(wrong)
