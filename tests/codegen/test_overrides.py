"""Our words beside the service model: each override has a reason and something that it overrides."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest

from codegen import audit, ir, overrides, source
from tests.model.service_model import OPERATIONS

pytestmark = pytest.mark.checkout

SOURCE = source.kept()
OURS = overrides.load()
FILE = Path(overrides.__file__).with_name("overrides.toml")

NOBODY = overrides.Prose(summary="Gone.", members={})


def test_every_operation_has_one_family() -> None:
    """All 91 operations are in a family, none in two, and no family names another operation."""
    named = [name for names in tomllib.loads(FILE.read_text("utf-8"))["families"].values() for name in names]

    assert len(OPERATIONS) == 91
    assert sorted(named) == list(OPERATIONS)


def test_an_operation_without_a_family_fails() -> None:
    """A new operation is not put anywhere by chance."""
    families = {name: family for name, family in OURS.families.items() if name != "DescribeTags"}

    with pytest.raises(SystemExit, match="no family for the operation DescribeTags"):
        ir.build(SOURCE, dataclasses.replace(OURS, families=families))


def test_everything_has_a_sentence() -> None:
    """Every member of a structure and every value of an enum is described in words of our own."""
    api = ir.build(SOURCE, OURS)
    silent = [
        f"{structure.name}.{member.wire}"
        for family in api.families
        for structure in family.structures
        for member in structure.members
        if not member.sentence
    ]
    silent += [
        f"{enum.name}.{value.value}"
        for family in api.families
        for enum in family.enums
        for value in enum.values
        if not value.sentence
    ]

    assert silent == []


def test_what_is_said_is_about_what_is_there() -> None:
    """No override and no sentence of this repository is stale."""
    audit.audit(SOURCE, OURS)


@pytest.mark.parametrize(
    "stale,complaint",
    [
        ({"patterns": {"Gone": "^a$"}}, "patterns.Gone"),
        ({"patterns": {"WorkspaceId": "^ws-[0-9a-z]{8,63}$"}}, "patterns.WorkspaceId"),
        ({"patterns": {"Workspace": "^a$"}}, "patterns.Workspace"),
        ({"required": {"Gone": frozenset({"A"})}}, "required.Gone: A"),
        ({"required": {"Workspace": frozenset({"Gone"})}}, "required.Workspace: Gone"),
        ({"required": {"Tag": frozenset({"Key"})}}, "required.Tag: Key"),
        ({"failures": {"Gone": "FailedRequests"}}, "failures.Gone"),
        ({"failures": {"StartWorkspaces": "Gone"}}, "failures.StartWorkspaces"),
        ({"pages": {"Gone": "Workspaces"}}, "pages.Gone"),
        ({"pages": {"DescribeApplications": "Gone"}}, "pages.DescribeApplications"),
        ({"pages": {"DescribeWorkspaces": "Workspaces"}}, "pages.DescribeWorkspaces"),
        ({"defaults": {("Gone", "A"): ("B",)}}, "defaults: Gone"),
        ({"defaults": {("DescribeWorkspaceAssociations", "Gone"): ("A",)}}, "defaults: DescribeWorkspaceAss"),
        (
            {"defaults": {("DescribeWorkspaceAssociations", "AssociatedResourceTypes"): ("GONE",)}},
            "defaults: DescribeWorkspaceAssociations",
        ),
        ({"families": OURS.families | {"Gone": "tags"}}, "families: no operation Gone"),
        ({"operations": {"Gone": NOBODY}}, "operations.Gone"),
        ({"shapes": {"Gone": NOBODY}}, "shapes.Gone"),
        ({"shapes": {"WorkspaceId": NOBODY}}, "shapes.WorkspaceId"),
        ({"shapes": {"Tag": overrides.Prose(members={"Gone": "A."})}}, "shapes.Tag: no Gone"),
        ({"enums": {"Gone": NOBODY}}, "enums.Gone"),
        ({"enums": {"Compute": overrides.Prose(members={"Gone": "A."})}}, "enums.Compute: no Gone"),
        ({"members": {"Gone": "A."}}, "members.Gone"),
    ],
)
def test_what_is_said_about_nothing_fails(stale: dict[str, Any], complaint: str) -> None:
    """A name that the model does not have, or has made needless, stops the generator and is named."""
    with pytest.raises(SystemExit) as stopped:
        ir.build(SOURCE, dataclasses.replace(OURS, **stale))

    assert f"- {complaint}" in str(stopped.value)


REASONED = ["patterns.WorkspaceImageId", "required.Workspace", "defaults", "failures", "pages"]


@pytest.mark.parametrize("table", REASONED)
def test_an_override_without_a_reason_fails(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever overrides the model says why, beside it."""
    for name in ("overrides.toml", "sentences.toml"):
        (tmp_path / name).write_bytes(FILE.with_name(name).read_bytes())
    text = (tmp_path / "overrides.toml").read_text("utf-8")
    head, mark, tail = text.partition(f"[{table}]")
    before, reason, after = tail.partition("reason = ")
    assert mark
    (tmp_path / "overrides.toml").write_text(f"{head}{mark}{before}# {reason}{after}", "utf-8")
    monkeypatch.setattr(overrides, "HERE", tmp_path)

    with pytest.raises(SystemExit, match="has no reason"):
        overrides.load()
