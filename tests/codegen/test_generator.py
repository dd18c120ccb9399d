"""The generator as a command: it writes the same bytes every time, notices what is stale, reports what changed."""

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.model.service_model import OPERATIONS, PAGINATORS, SERVICE, request, result, result_shape
from workspaces_apps._model.models import PageResult

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parent.parent.parent
API = Path("src", "workspaces_apps", "api")
LOCK = Path("codegen", "lock.json")
KEPT = Path("src", "workspaces_apps", "simulator", "service.json")
LOCKED: dict[str, str] = json.loads((ROOT / LOCK).read_text(encoding="utf-8"))


def generator(tree: Path, *arguments: str, seed: str = "0") -> subprocess.CompletedProcess[str]:
    """`python -m codegen` in a tree."""
    return subprocess.run(
        [sys.executable, "-m", "codegen", *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def clean_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the generator and of what it wrote."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in (Path("codegen"), API.parent):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


@pytest.fixture
def tree(clean_tree: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(clean_tree, tmp_path / "tree")


def written(tree: Path) -> dict[str, bytes]:
    """Everything generated in a tree, the copy of the model and its lock included."""
    files = [*(tree / API).rglob("*.py"), tree / LOCK, tree / KEPT]
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in files if path.exists()}


def test_what_is_checked_in_is_what_the_generator_writes() -> None:
    """`--check` finds nothing stale in this repository."""
    finished = generator(ROOT, "--check")

    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_the_same_bytes_every_time(tree: Path) -> None:
    """The generator writes the bytes that are checked in, whatever the seed of hashes, and removes what is not its own."""
    before = written(tree)
    shutil.rmtree(tree / API)
    (tree / API).mkdir()
    (tree / API / "left_over.py").write_text("", encoding="utf-8")

    finished = generator(tree, seed="4242")

    assert finished.returncode == 0, finished.stderr
    assert written(tree) == before
    assert "wrote src/workspaces_apps/api/applications.py" in finished.stdout
    assert "removed src/workspaces_apps/api/left_over.py" in finished.stdout


def test_check_notices_stale_files(tree: Path) -> None:
    """Generated files that were edited or are missing fail the check, and so does one too many; it changes nothing."""
    edited, missing = (
        [API / "applications.py", API / "operations" / "tags.py"],
        [API / "operations" / "applications.py", API / "shared.py"],
    )
    left_over = API / "left_over.py"
    for path in edited:
        (tree / path).write_bytes((tree / path).read_bytes() + b"\n")
    for path in missing:
        (tree / path).unlink()
    (tree / left_over).write_text("", encoding="utf-8")
    before = written(tree)

    finished = generator(tree, "--check")

    told = [*sorted([*edited, *missing]), left_over]
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[:-1] == [f"stale: {path.as_posix()}" for path in told]
    assert written(tree) == before


@pytest.mark.parametrize("path", [LOCK, KEPT], ids=["lock", "copy"])
def test_the_copy_and_its_lock_belong_together(tree: Path, path: Path) -> None:
    """A copy of the model that somebody edited is not written from, nor is one that the lock does not name."""
    if path == LOCK:
        (tree / LOCK).write_text(json.dumps(LOCKED | {"sha256": "0" * 64}), encoding="utf-8")
    else:
        (tree / KEPT).write_text((tree / KEPT).read_text("utf-8").replace("UBUNTU", "WUBUNTU"), "utf-8")
    before = written(tree)

    finished = generator(tree)

    assert (finished.returncode, finished.stdout) == (1, "")
    assert "service.json is not what lock.json was made for" in finished.stderr
    assert written(tree) == before


def test_the_copy_holds_no_documentation() -> None:
    """AWS's prose stays where it is; the rest of the model is kept as it came."""
    assert "documentation" not in (ROOT / KEPT).read_text("utf-8")
    assert len(SERVICE["operations"]) == 91
    assert len(SERVICE["shapes"]) == 547


def test_another_botocore_is_taken_from_its_wheel(tree: Path, tmp_path: Path) -> None:
    """Models, copy and lock follow a wheel that is not installed, and are fresh from then on without it.

    The lock names the wheel by its hash, so that whoever has the same version can tell that it is the same file.
    """
    service = json.loads(json.dumps(SERVICE))
    service["shapes"]["AssociationState"]["enum"].append("PAUSED")
    service["shapes"]["Tag"]["documentation"] = service["documentation"] = "<p>Not ours</p>"
    wheel = botocore_wheel(tmp_path, service, packed=True)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    stale = generator(tree, "--from", str(wheel), "--check")

    taken = generator(tree, "--from", str(wheel))
    wheel.unlink()
    fresh = generator(tree, "--check")

    lock = json.loads((tree / LOCK).read_text("utf-8"))
    assert (stale.returncode, taken.returncode, fresh.returncode) == (1, 0, 0), taken.stderr + fresh.stderr
    assert stale.stderr.splitlines()[0] == "stale: codegen/lock.json"
    assert (lock["botocore"], lock["wheel"]) == ("9.9.9", digest)
    assert lock["sha256"] == hashlib.sha256((tree / KEPT).read_bytes()).hexdigest()
    assert 'PAUSED = "PAUSED"' in (tree / API / "applications.py").read_text("utf-8")
    assert "botocore 9.9.9." in (tree / API / "tags.py").read_text("utf-8").splitlines()[1]
    assert "Not ours" not in (tree / KEPT).read_text("utf-8")


def test_report_lists_what_came_and_went(tmp_path: Path) -> None:
    """Against another botocore: metadata, operations, members, required members, enum values and constraints."""
    service = json.loads(json.dumps(SERVICE))
    shapes, operations = service["shapes"], service["operations"]
    service["metadata"]["protocols"] = ["json"]
    operations["DoNewThing"] = operations.pop("DescribeTags")
    shapes["Workspace"]["members"]["Mood"] = {"shape": "Description"}
    del shapes["Workspace"]["members"]["IpAddress"]
    shapes["Tag"]["required"].append("Value")
    shapes["AssociationState"]["enum"][0] = "PAUSED"
    shapes["Limit"]["max"] = 50

    finished = generator(ROOT, "--report", str(botocore_wheel(tmp_path, service, packed=True)))

    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert lines[0] == f"# From botocore {LOCKED['botocore']} to 9.9.9"
    for change in (
        "came: protocols: json",
        "went: protocols: smithy-rpc-v2-cbor, json",
        "came: DoNewThing",
        "went: DescribeTags",
        "came: Workspace.Mood",
        "went: Workspace.IpAddress",
        "came: Tag.Value",
        "came: AssociationState: PAUSED",
        "went: AssociationState: PENDING_INSTALL",
        "went: Limit: min 1, max 25",
        "came: Limit: min 1, max 50",
    ):
        assert f"- {change}" in lines
    assert len([line for line in lines if line.startswith("- ")]) == 11


def test_report_of_the_same_model_says_so(tmp_path: Path) -> None:
    """Nothing came and nothing went."""
    finished = generator(ROOT, "--report", str(botocore_wheel(tmp_path, SERVICE, packed=False)))

    assert finished.stdout.splitlines()[-1] == "Nothing came or went."


@pytest.mark.parametrize(
    "content", [b"", b"PK\x05\x06" + bytes(18), None], ids=["no zip", "empty", "missing"]
)
def test_a_file_that_is_no_botocore_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A clear error, not a traceback."""
    wheel = tmp_path / "botocore-9.9.9-py3-none-any.whl"
    if content is not None:
        wheel.write_bytes(content)

    finished = generator(ROOT, "--report", str(wheel))

    assert finished.returncode == 1
    assert "is it a wheel of botocore" in finished.stderr
    assert "Traceback" not in finished.stderr


def botocore_wheel(parent: Path, service: object, *, packed: bool) -> Path:
    """A wheel of another botocore, with nothing in it but the model."""
    folder = "botocore/data/workspaces/2015-04-08"
    wheel = parent / "botocore-9.9.9-py3-none-any.whl"
    files = {"service-2.json": service, "paginators-1.json": {"pagination": PAGINATORS}}
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("botocore-9.9.9.dist-info/METADATA", "Name: botocore\nVersion: 9.9.9\n")
        for name, content in files.items():
            data = json.dumps(content).encode()
            if packed:
                archive.writestr(f"{folder}/{name}.gz", gzip.compress(data))
            else:
                archive.writestr(f"{folder}/{name}", data)
    return wheel


def test_no_module_is_too_long() -> None:
    """One module per family, none over about fifteen hundred lines, of which a third are constructors for checkers."""
    modules = {path.name: path.read_text("utf-8").count("\n") for path in (ROOT / API).rglob("*.py")}

    assert {name: lines for name, lines in modules.items() if lines > 1550} == {}


def test_every_generated_file_says_so() -> None:
    """Its second line names the command and the version of botocore."""
    for path in (ROOT / API).rglob("*.py"):
        header = path.read_text("utf-8").splitlines()[1]
        assert (
            header == f"# Generated by `python -m codegen` from botocore {LOCKED['botocore']}. Do not edit."
        )


def test_seventeen_operations_page() -> None:
    """Those that take and give NextToken, no others, and their results are pages."""
    shapes = SERVICE["shapes"]
    paging = [
        operation
        for operation, ends in SERVICE["operations"].items()
        if all(
            "NextToken" in shapes[end["shape"]].get("members", {}) for end in (ends["input"], ends["output"])
        )
    ]

    assert len(paging) == 17
    assert sorted(name for name in OPERATIONS if request(name).facts.page is not None) == sorted(paging)
    assert sorted(name for name in OPERATIONS if issubclass(result(name), PageResult)) == sorted(paging)


@pytest.mark.parametrize("operation", PAGINATORS)
def test_paging_agrees_with_botocore(operation: str) -> None:
    """Where botocore knows how an operation pages, the facts say the same."""
    page, theirs = request(operation).facts.page, PAGINATORS[operation]

    assert page is not None
    assert result(operation).model_fields[page.items].serialization_alias == theirs["result_key"]
    if page.size is not None and "limit_key" in theirs:
        assert request(operation).model_fields[page.size].serialization_alias == theirs["limit_key"]


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if request(name).facts.page is not None])
def test_the_items_of_a_page_are_its_only_list(operation: str) -> None:
    """The facts of an operation that pages name a list of the result, and there is no other that could be meant."""
    page = request(operation).facts.page
    members = SERVICE["shapes"][result_shape(operation)].get("members", {})
    lists = [wire for wire, member in members.items() if SERVICE["shapes"][member["shape"]]["type"] == "list"]

    assert page is not None
    assert lists == [result(operation).model_fields[page.items].serialization_alias]


def test_paginators_of_botocore_number_nine() -> None:
    """The list that the tests above go by is whole."""
    assert len(PAGINATORS) == 9
