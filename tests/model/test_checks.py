"""The door: every rule of the service model is kept by every request, at any depth, before anything is sent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from botocore import xform_name
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.model.service_model import OPERATIONS, SHAPES, Shape, model, request, request_shape
from workspaces_apps import RequestValidationError
from workspaces_apps._model.models import Request
from workspaces_apps._model.validation import check
from workspaces_apps.api import (
    AssociateWorkspaceApplicationRequest,
    CreateUpdatedWorkspaceImageRequest,
    CreateWorkspacesRequest,
    DescribeApplicationsRequest,
    DescribeWorkspaceDirectoriesRequest,
    ImageSourceIdentifier,
    ImportClientBrandingRequest,
    ImportCustomWorkspaceImageRequest,
    WorkspaceRequest,
)
from workspaces_apps.errors import Problem

BROKEN = "\x00\u00e9\n"
"""Matches no pattern of the service: a control character, a letter outside ASCII, the end of a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """A place in a request that has a rule.

    Attributes:
        operation: The operation.
        path: Wire names from the top; `[]` goes into a list, `{key}` and `{value}` into a map.
        shape: The shape there.
    """

    operation: str
    path: tuple[str, ...]
    shape: str

    @property
    def rule(self) -> Shape:
        """The shape with its rule."""
        return SHAPES[self.shape]

    @property
    def place(self) -> str:
        """The place, as a message names it."""
        names = [_named(part) for part in self.path]
        return "".join(names).removeprefix(".")

    def holding(self, value: object) -> Request:
        """A request with the value at this place, and something in what else it needs."""
        made = _build(request_shape(self.operation), self.path, value)
        assert isinstance(made, Request)
        return made


def _named(part: str) -> str:
    match part:
        case "[]":
            return "[0]"
        case "{key}":
            return " (key 1)"
        case "{value}":
            return " (value 1)"
        case _:
            return f".{xform_name(part)}"


def _build(name: str, path: tuple[str, ...], value: object) -> object:
    if not path:
        return value
    shape, (step, *rest) = SHAPES[name], path
    match step:
        case "[]":
            return [_build(shape.get("member", {"shape": ""})["shape"], tuple(rest), value)]
        case "{key}":
            return {value: "x"}
        case "{value}":
            return {"en_US": value}
        case _:
            members = shape.get("members", {})
            wanted = {step: _build(members[step]["shape"], tuple(rest), value)}
            filler = {
                wire: _filler(members[wire]["shape"]) for wire in shape.get("required", ()) if wire != step
            }
            return model(name)(**{xform_name(wire): item for wire, item in (filler | wanted).items()})


def _filler(name: str) -> object:
    shape = SHAPES[name]
    match shape["type"]:
        case "structure":
            required = shape.get("required", ())
            members = shape.get("members", {})
            return model(name)(**{xform_name(wire): _filler(members[wire]["shape"]) for wire in required})
        case "list":
            return [_filler(shape.get("member", {"shape": ""})["shape"])]
        case "integer":
            return shape.get("min", 1)
        case "boolean":
            return True
        case "blob":
            return b"x"
        case _:
            return shape.get("enum", ["x"])[0]


def _ruled() -> Iterator[Ruled]:
    for operation in OPERATIONS:
        yield from _below(operation, (), request_shape(operation))


def _below(operation: str, path: tuple[str, ...], name: str) -> Iterator[Ruled]:
    shape = SHAPES[name]
    if {"pattern", "min", "max"} & shape.keys():
        yield Ruled(operation=operation, path=path, shape=name)
    inside = {wire: member["shape"] for wire, member in shape.get("members", {}).items()}
    for step, reference in (
        ("[]", shape.get("member")),
        ("{key}", shape.get("key")),
        ("{value}", shape.get("value")),
    ):
        if reference is not None:
            inside[step] = reference["shape"]
    for step, below in inside.items():
        yield from _below(operation, (*path, step), below)


def problems(made: Request) -> list[Problem]:
    """Everything that the door has against a request."""
    try:
        check(made)
    except RequestValidationError as error:
        return list(error.problems)
    return []


def problems_at(ruled: Ruled, value: object) -> list[Problem]:
    """The problems that the door reports for the value at this very place."""
    return [problem for problem in problems(ruled.holding(value)) if problem.member == ruled.place]


def bounds(ruled: Ruled) -> Iterator[tuple[object, bool]]:
    """Values at the edges of a size, length or range, and whether they are within."""
    rule = ruled.rule
    for edge, step in ((rule.get("min"), -1), (rule.get("max"), 1)):
        if edge is None:
            continue
        for size, fits in ((edge, True), (edge + step, False)):
            if rule["type"] == "integer":
                yield size, fits
            elif size >= 0 and rule["type"] == "list":
                yield [_filler(rule.get("member", {"shape": ""})["shape"])] * size, fits
            elif size >= 0 and size <= 100_000:
                yield (b"x" if rule["type"] == "blob" else "x") * size, fits


RULED = tuple(_ruled())
PATTERNED = [ruled for ruled in RULED if "pattern" in ruled.rule]
BOUNDED = [ruled for ruled in RULED if {"min", "max"} & ruled.rule.keys()]


def name_of(ruled: Ruled) -> str:
    """A test's name."""
    return f"{ruled.operation}-{ruled.place}"


def test_the_service_model_has_many_rules() -> None:
    """The lists that the tests below go by are whole: lists, strings, numbers, blobs and maps are among them."""
    assert len(RULED) > 200
    assert {ruled.rule["type"] for ruled in BOUNDED} == {"list", "string", "integer", "blob"}
    assert any("[]" in ruled.path[:-1] for ruled in RULED)
    assert {"{key}", "{value}"} <= {ruled.path[-1] for ruled in RULED}


@pytest.mark.parametrize("ruled", BOUNDED, ids=name_of)
def test_every_bound_is_kept_to_the_unit(ruled: Ruled) -> None:
    """The least and the greatest pass, one below and one above do not, and the problem names the place."""
    for value, fits in bounds(ruled):
        wrong = [problem for problem in problems_at(ruled, value) if "match" not in problem.rule]

        assert bool(wrong) is not fits, value if isinstance(value, int) else repr(value)[:40]


@pytest.mark.parametrize("ruled", PATTERNED, ids=name_of)
@given(data=st.data())
@settings(max_examples=3)
def test_every_pattern_is_kept_from_end_to_end(ruled: Ruled, data: st.DataObject) -> None:
    """A text that matches passes; with something before, a newline or another end after it, it does not."""
    pattern = re.compile(ruled.rule.get("pattern", ""), re.ASCII)
    least, most = ruled.rule.get("min", 0), ruled.rule.get("max", 4000)
    good = data.draw(st.from_regex(pattern, fullmatch=True))
    assume(least <= len(good) <= most and pattern.fullmatch(good))

    assert problems_at(ruled, good) == []
    for bad in (BROKEN, good + BROKEN, BROKEN + good, f"{good}\x00", f"{good}\n"):
        assert pattern.fullmatch(bad) or any("match" in problem.rule for problem in problems_at(ruled, bad))


@given(secret=st.text(alphabet="Zz%", min_size=6, max_size=40))
@settings(max_examples=50)
def test_no_message_repeats_a_value(secret: str) -> None:
    """Whatever is wrong, the message holds the place, the rule and the kind of the value, never the value."""
    wrong = ImportClientBrandingRequest.from_wire(
        {
            "ResourceId": secret,
            "DeviceTypeIos": {"ForgotPasswordLink": secret, "LoginMessage": {secret: "a\n"}},
        }
    )

    with pytest.raises(RequestValidationError) as caught:
        check(wrong)
    assert secret not in str(caught.value)
    assert f"a str of length {len(secret)}" in str(caught.value)


@pytest.mark.parametrize(
    "owner", ["123456789012garbage", "garbageAMAZON", "AMAZON\n", "12345678901", "amazon"]
)
def test_an_unsafe_alternative_of_owners_is_closed(owner: str) -> None:
    """As the model writes it, the pattern lets all but the last two through."""
    assert [problem.member for problem in problems(DescribeApplicationsRequest(owner=owner))] == ["owner"]
    assert problems(DescribeApplicationsRequest(owner="AMAZON")) == []
    assert problems(DescribeApplicationsRequest(owner="123456789012")) == []


@pytest.mark.parametrize(
    "directory", ["anything wsd-12345678", "d-12345678 more", "xd-12345678", "d-12345678\n"]
)
def test_an_unsafe_alternative_of_directories_is_closed(directory: str) -> None:
    """As the model writes it, the pattern lets the first through."""
    wrong = DescribeWorkspaceDirectoriesRequest(directory_ids=["wsd-12345678", directory])

    assert [problem.member for problem in problems(wrong)] == ["directory_ids[1]"]


def test_nested_places_are_named() -> None:
    """The fourth WorkSpace's user name is called just that."""
    right = WorkspaceRequest(directory_id="d-12345678", user_name="ann", bundle_id="wsb-12345678")
    wrong = right.model_copy(update={"user_name": ""})

    found = problems(CreateWorkspacesRequest(workspaces=[right, right, right, wrong]))

    assert found == [
        Problem(
            member="workspaces[3].user_name", rule="must have 1 to 63 characters", got="a str of length 0"
        )
    ]


def test_the_message_says_what_was_not_done() -> None:
    """It names the operation, says that nothing was sent, and how to leave a rule to the service."""
    with pytest.raises(RequestValidationError) as caught:
        check(DescribeApplicationsRequest(max_results=99))

    text = str(caught.value)
    assert caught.value.operation == "DescribeApplications"
    assert text.startswith(
        "DescribeApplications: max_results: must be 1 to 25, got the int 99. Nothing was sent"
    )
    assert 'request_checks="structure"' in text


@pytest.mark.parametrize("number", [0, 26, -(10**5000), 10**5000], ids=["zero", "26", "low", "high"])
def test_a_number_out_of_range_is_refused(number: int) -> None:
    """However long it is."""
    found = problems(DescribeApplicationsRequest(max_results=number))

    assert [problem.member for problem in found] == ["max_results"]


def test_everything_wrong_is_told_at_once() -> None:
    """All problems come in one error, in the order of the members."""
    found = problems(AssociateWorkspaceApplicationRequest(workspace_id="i-123", application_id="x"))

    assert [problem.member for problem in found] == ["workspace_id", "application_id"]


@given(text=st.text())
def test_unknown_enum_values_pass(text: str) -> None:
    """The door leaves it to the service which values there are."""
    made = DescribeApplicationsRequest.from_wire({"LicenseType": text, "ComputeTypeNames": [text]})

    assert problems(made) == []


@pytest.mark.parametrize("given_members", [(), ("ec2_image_id", "ec2_import_task_id")])
def test_a_union_has_exactly_one_member(given_members: tuple[str, ...]) -> None:
    """None and two are refused, with the union's place; one passes."""
    (found,) = union_problems(*given_members)

    assert found.got == f"{len(given_members)} of them"
    assert found.rule.startswith("must have exactly one of ec2_import_task_id, ")
    assert union_problems("ec2_image_id") == union_problems("ec2_import_task_id") == []


def union_problems(*members: str) -> list[Problem]:
    """The problems that the door reports for an image source with these members."""
    values = {"ec2_image_id": "ami-12345678", "ec2_import_task_id": "import-ami-12345678"}
    made = _filler(request_shape("ImportCustomWorkspaceImage"))
    assert isinstance(made, ImportCustomWorkspaceImageRequest)
    source = ImageSourceIdentifier(**{name: values[name] for name in members})
    found = problems(made.model_copy(update={"image_source": source}))
    return [problem for problem in found if problem.member == "image_source"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_pattern_takes_long_to_refuse(operation: str) -> None:
    """A pattern that backtracks without end would hang the event loop: long near misses are refused at once."""
    for ruled in (ruled for ruled in PATTERNED if ruled.operation == operation):
        for text in ("a" * 5000, "a." * 2500, "a/" * 2500, "1:" * 2500, "http://" + "a" * 5000 + "\n"):
            problems_at(ruled, f"{text}\x00")


def test_every_request_has_been_looked_at() -> None:
    """A request without any rule has no member that the model limits."""
    ruled = {each.operation for each in RULED}

    assert all(operation in ruled or not getattr(request(operation), "rules", {}) for operation in OPERATIONS)
    assert CreateUpdatedWorkspaceImageRequest.facts.name in ruled
