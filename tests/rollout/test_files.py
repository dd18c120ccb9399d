"""Files that are read and written whole: manifests, plans, reports, states."""

import cProfile
import json
import os
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.cli.process import PATIENCE, PYTHON_WITHIN_LIMITS
from workspaces_apps._base.system import read_file, replace_file
from workspaces_apps.rollout import Manifest, ManifestError, Plan, PlanError
from workspaces_apps.rollout._manifest.file import read_document


@pytest.mark.parametrize(
    "text,line",
    [
        ("name: x\nwhen: 2026-99-99\n", 2),
        ("name: x\nat: [1, !!int foo]\n", 2),
        ('name: "\\UFFFFFFFF"\n', None),
        (f"name: x\nsize: {'9' * 5000}\n", 2),
        ("name: x\n? [a, b]\n: 1\n", None),
        ("name: &a x\nother: *a\n", 1),
        ("[" * 10_000, None),
        ("{a: " * 5_000, None),
        ("- " * 3_000, None),
        ("name: \x00\n", None),
        ("a: 1\n b: 2\n", None),
        ("!!python/object:os.system x\n", None),
    ],
)
def test_yaml_that_cannot_be_read(tmp_path: Path, text: str, line: int | None) -> None:
    """Whatever the parser raises is a ManifestError of the file, with the line where there is one."""
    path = tmp_path / "fleet.yaml"
    path.write_text(text)

    with pytest.raises(ManifestError) as caught:
        Manifest.load(path)

    assert {mistake.file for mistake in caught.value.mistakes} == {str(path)}
    if line is not None:
        assert caught.value.mistakes[0].line == line


@pytest.mark.parametrize(
    "name,text",
    [
        ("fleet.toml", f"name = {'9' * 5000}"),
        ("fleet.json", f'{{"name": {"9" * 5000}}}'),
        ("fleet.json", "[" * 99_999),
    ],
)
def test_numbers_and_depth_of_the_other_formats(tmp_path: Path, name: str, text: str) -> None:
    """The same for TOML and JSON."""
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(ManifestError):
        Manifest.load(path)


@pytest.mark.parametrize(
    "text,value",
    [
        ("22:00", "22:00"),
        ("2026-09-09", date(2026, 9, 9)),
        ("2026-09-09T22:00:00Z", datetime(2026, 9, 9, 22, tzinfo=UTC)),
        ("yes", "yes"),
        ("1_000", "1_000"),
        ("+", "+"),
        (".", "."),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("-1.5e3", -1500.0),
        (".inf", float("inf")),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!float 1", 1.0),
        ("!!null ''", None),
        ("'1'", "1"),
        ("~", None),
        ("TRUE", True),
        ("[]", []),
        ("{1: {a: b}}", {1: {"a": "b"}}),
        ("{? a : b}", {"a": "b"}),
    ],
)
def test_words_of_yaml_mean_what_its_core_schema_says(tmp_path: Path, text: str, value: object) -> None:
    """Times of day are text, whatever YAML 1.1 makes of them, and dates are what they are in TOML."""
    path = tmp_path / "m.yaml"
    path.write_text(f"x: {text}\n")

    found = read_document(path)

    assert found.data == {"x": value}
    assert found.lines["x",] == 1


def test_yaml_is_read_in_one_pass(tmp_path: Path) -> None:
    """Thousands of rules make as many calls for each as a few: nothing is parsed twice."""
    calls: list[int] = []
    for rules in (100, 1000):
        path = tmp_path / "m.yaml"
        path.write_text("rules:\n" + "  - {present: [Office 2021], select: {everything: true}}\n" * rules)
        profile = cProfile.Profile()
        profile.runcall(read_document, path)
        calls.append(sum(entry.callcount for entry in profile.getstats()) // rules)

    assert abs(calls[0] - calls[1]) <= calls[1] // 5


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "missing"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    """At once, and by name: some of them never end."""
    path = tmp_path / "fleet.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")

    with pytest.raises(ManifestError, match=r"fleet\.json"):
        Manifest.load(path)
    with pytest.raises(PlanError, match=r"fleet\.json"):
        Plan.load(path)


def test_a_file_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves the old file, and nothing beside it; the error names the cause and the file."""
    path = tmp_path / "report.html"
    path.write_bytes(b"old")
    path.chmod(0o640)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device.*report\.html"):
            replace_file(path, b"new")
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])

    replace_file(path, b"new")

    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path: Path) -> None:
    """The file that it points to is replaced; and a file that is too long is not read."""
    (tmp_path / "plan").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("plan")

    replace_file(link, b"new")

    assert (link.is_symlink(), read_file(link, 3)) == (True, b"new")
    with pytest.raises(OSError, match="larger than 2 bytes"):
        read_file(link, 2)


@pytest.mark.skipif(os.name == "nt", reason="Windows limits no file's size")
def test_a_full_disk_is_told_and_survived(tmp_path: Path) -> None:
    """Journal, plan, state, report and copy name the file and the cause; the roll-out goes on once there is room."""
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [*PYTHON_WITHIN_LIMITS, "-m", "tests.rollout.full_disk", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE,
        check=False,
        cwd=root,
    )
    found = json.loads(ended.stdout)

    for name in ("journal", "plan", "state"):
        assert f"x.{name}: File too large" in found[name]
    assert "x.html" in ended.stderr
    assert "File too large" in ended.stderr
    assert (found["report"], found["copy"], found["left"]) == (1, 1, "old")
    assert found["kept"] > 0
    assert (found["ending"], found["deployments"]) == ("complete", [1] * 20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.html", "x.journal"]
