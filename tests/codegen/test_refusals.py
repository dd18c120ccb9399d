"""Models that the generator cannot write correctly: it stops, and names the shape, the member, and what to do."""

import ast
import copy
import dataclasses
import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from codegen import ir, overrides, render, report, source
from workspaces_apps._model import models

pytestmark = pytest.mark.checkout

SOURCE = source.kept()
OURS = overrides.load()
API = Path(__file__).parent.parent.parent / "src" / "workspaces_apps" / "api"

Change = Callable[[dict[str, Any]], object]


def changed(*changes: Change) -> source.Source:
    """The model with changes."""
    service: Any = copy.deepcopy(SOURCE.service)
    for change in changes:
        change(service)
    return dataclasses.replace(SOURCE, service=service)


def member(structure: str, wire: str, shape: str = "NonEmptyString") -> Change:
    """Give a structure a member more."""
    return lambda service: service["shapes"][structure]["members"].update({wire: {"shape": shape}})


def shape(name: str, structure: str = "DescribeWorkspacesRequest", /, **facts: object) -> Change:
    """Give the model a shape more, and a structure a member of it."""

    def change(service: dict[str, Any]) -> None:
        service["shapes"][name] = facts
        member(structure, "Newer", name)(service)

    return change


def without(operation: str, end: str) -> Change:
    """Take the input or the output from an operation."""
    return lambda service: service["operations"][operation].pop(end)


STRUCTURE: dict[str, Any] = {"type": "structure", "members": {}}
STRINGS = {"type": "list", "member": {"shape": "NonEmptyString"}}

REFUSED: list[tuple[Change, str]] = [
    *(
        (member("DescribeWorkspacesRequest", wire), f"DescribeWorkspacesRequest.{wire}: ")
        for wire in ("Rules", "Facts", "Copy", "ToWire", "ModelConfig", "ResultType", "_foo", "Str", "Self")
    ),
    *((member("Workspace", wire), f"Workspace.{wire}: ") for wire in ("Class", "Foo-Bar", "2Fast", "Tuple")),
    (member("DescribeWorkspacesResult", "Meta"), "DescribeWorkspacesResult.Meta: "),
    (member("CreateWorkspacesResult", "Failures"), "CreateWorkspacesResult.Failures: "),
    *(
        (member("DescribeWorkspacesRequest", wire), f"DescribeWorkspacesRequest.{wire}: ")
        for wire in ("Api", "Types", "Type")
    ),
    (
        member("DescribeWorkspacesRequest", "bundleId"),
        "DescribeWorkspacesRequest.bundleId: bundle_id is the attribute of BundleId too",
    ),
    *(
        (shape(name, **STRUCTURE), f"the shape {name} is called like")
        for name in ("Model", "Request", "Result", "Items", "Rule", "ClassVar", "ThrottlingException")
    ),
    (shape("WorkspaceStateLike", **STRUCTURE), "the shape WorkspaceStateLike is called like another class"),
    (shape("str", **STRUCTURE), "the shape str can be no class"),
    (shape("Odd", type="string", pattern=r"^\p{L}+$"), "of Odd is none of Python's"),
    (shape("Odd", type="string", enum=[]), "the enum Odd has no values"),
    (shape("Odd", type="double", min=1), "the shape Odd is of the type double and has bounds"),
    (
        shape("Odd", type="map", key={"shape": "NonEmptyString"}, value={"shape": "NonEmptyString"}, max=1),
        "the shape Odd is of the type map and has bounds",
    ),
    (shape("Odd", type="list", member={"shape": "Inner"}), "Odd is a list of the lists Inner"),
    (without("DeleteTags", "output"), "DeleteTags has no output"),
    (without("DescribeAccount", "input"), "DescribeAccount has no input"),
    (
        lambda service: service["operations"]["DeleteTags"].update(input={"shape": "CreateTagsRequest"}),
        "DeleteTags has the input CreateTagsRequest, which CreateTags has already",
    ),
]


@pytest.mark.parametrize("change,complaint", REFUSED, ids=[complaint for _, complaint in REFUSED])
def test_what_would_break_the_package_stops_the_generator(change: Change, complaint: str) -> None:
    """The message names the place in the model."""
    inner: Change = lambda service: service["shapes"].update(Inner=STRINGS)  # noqa: E731
    with pytest.raises(SystemExit) as stopped:
        ir.build(changed(inner, change), OURS)

    assert complaint in str(stopped.value)


def test_a_founding_shape_called_like_a_class_of_ours_stops_the_generator() -> None:
    """The top of the package would offer it in the other's place."""
    with pytest.raises(SystemExit, match="other things that are called Credentials"):
        render.render(ir.build(changed(shape("Credentials", **STRUCTURE)), OURS))


def test_the_same_names_elsewhere_stop_nothing() -> None:
    """Of a member of an answer, what only requests cannot have; of shapes nobody uses, anything."""
    unused: Change = lambda service: service["shapes"].update(Model=STRUCTURE)  # noqa: E731

    assert ir.build(changed(member("Workspace", "Type"), unused), OURS).families


def test_a_long_has_its_range() -> None:
    """As an int has."""
    api = ir.build(changed(shape("Odd", type="long", min=1, max=5)), OURS)

    (odd,) = (
        one
        for family in api.families
        for structure in family.structures
        for one in structure.rules
        if one.wire == "Newer"
    )
    assert (odd.annotation, odd.rule, odd.facts) == ("int", "Rule(range=(1, 5))", "1 to 5.")


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "\u00e4"])
def test_a_value_of_an_enum_is_written_as_it_is(value: str) -> None:
    """Quotes, backslashes and line breaks too."""
    modules = render.render(ir.build(changed(shape("Odd", type="string", enum=[value])), OURS))

    (odd,) = (
        node
        for node in ast.parse(modules["workspaces.py"]).body
        if isinstance(node, ast.ClassDef) and node.name == "Odd"
    )
    assert isinstance(odd.body[-1], ast.Assign)
    assert ast.literal_eval(odd.body[-1].value) == value


def test_the_names_that_are_taken_are_all_known() -> None:
    """Those that generated modules import, and those that the bases of their classes have."""
    imported = {
        name.name
        for path in API.glob("*.py")
        if path.name not in ("__init__.py", "founding.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module != "workspaces_apps.api.shared"
        for name in node.names
    }
    bases = (models.Model, models.Input, models.Request, models.Result, models.PageResult, models.BatchResult)
    attributes = {name for base in bases for name in dir(base) if not name.startswith("_")}

    assert imported - {"ThrottlingException"} <= ir.CLASS_NAMES
    assert attributes - set(dir(BaseModel)) <= ir.ATTRIBUTES


def test_a_report_lists_what_became_of_the_rest() -> None:
    """Types of members and lists, inputs, outputs and errors of operations, and paginators."""

    def change(service: dict[str, Any]) -> None:
        service["shapes"]["Workspace"]["members"]["UserName"] = {"shape": "BooleanObject"}
        service["shapes"]["WorkspaceIdList"]["member"]["shape"] = "BundleId"
        service["shapes"]["Limit"]["type"] = "long"
        service["operations"]["DeleteTags"]["output"]["shape"] = "CreateTagsResult"
        service["operations"]["DeleteTags"]["errors"].pop()

    theirs = changed(change)
    theirs = dataclasses.replace(
        theirs, pages=theirs.pages | {"DescribeWorkspaces": {"result_key": "Desktops"}}
    )

    lines = report.compare(SOURCE, theirs).splitlines()

    for fact in (
        "went: Workspace.UserName: shape UserName (string)",
        "came: Workspace.UserName: shape BooleanObject (boolean)",
        'went: WorkspaceIdList: member {"shape": "WorkspaceId"}, type list',
        'came: WorkspaceIdList: member {"shape": "BundleId"}, type list',
        "went: Limit: type integer",
        "came: Limit: type long",
        "went: DeleteTags: InvalidParameterValuesException",
        "came: DescribeWorkspaces: result_key Desktops",
    ):
        assert f"- {fact}" in lines
    assert [line for line in lines if "DeleteTags: http" in line and "CreateTagsResult" in line]
    assert report.compare(SOURCE, changed()).splitlines()[-1] == "Nothing came or went."


PACKED = gzip.compress(json.dumps(SOURCE.service).encode())


@pytest.mark.parametrize(
    "service,pages",
    [
        (gzip.compress(b"{"), None),
        (PACKED[:500], None),
        (PACKED[:20] + bytes(40), None),
        (gzip.compress(b"[]"), None),
        (gzip.compress(b"{}"), None),
        (gzip.compress(b'{"metadata": {}, "operations": [], "shapes": {}}'), None),
        (gzip.compress(b"\xff"), None),
        (PACKED, gzip.compress(b"{}")),
        (PACKED, gzip.compress(b'{"pagination": 1}')),
    ],
    ids=[
        "no JSON",
        "truncated",
        "damaged",
        "a list",
        "empty",
        "no operations",
        "no UTF-8",
        "no pages",
        "a number",
    ],
)
def test_a_wheel_with_broken_content_cannot_be_read(
    service: bytes, pages: bytes | None, tmp_path: Path
) -> None:
    """The message names the file."""
    wheel = tmp_path / "botocore.whl"
    folder = "botocore/data/workspaces/2015-04-08"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("botocore-9.9.9.dist-info/METADATA", "Version: 9.9.9\n")
        archive.writestr(f"{folder}/service-2.json.gz", service)
        archive.writestr(
            f"{folder}/paginators-1.json.gz", pages or gzip.compress(json.dumps({"pagination": {}}).encode())
        )

    with pytest.raises(SystemExit, match=r"botocore\.whl cannot be read"):
        source.from_wheel(wheel)
