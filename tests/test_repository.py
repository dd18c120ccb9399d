"""That the repository can be carried anywhere: it names no host to install from and no path of a machine."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parent.parent

# Letters in brackets, so that this file does not name what it looks for.
HOSTS = r"pypi[.]org|python[h]osted|registry[.]npm[j]s|(?:extra-)?index[-]url|find[-]links"
MACHINE_PATHS = r"(?<![\w.$}<-])/(?:[r]oot|[h]ome|[t]mp|[w]ork|[o]pt|[U]sers)/\w"
FOREIGN = re.compile(f"{HOSTS}|{MACHINE_PATHS}")


def tracked_files() -> list[Path]:
    """The files that git knows or would add; a test that finds none is skipped."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    files = [ROOT / name for name in listing.stdout.decode().split("\0") if name]
    if not files:
        pytest.skip("not a git checkout")
    return [path for path in files if path.is_file()]


def test_no_file_names_a_package_host_or_a_machine_path() -> None:
    """The needs of a clone are named, never where some machine got them from."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in tracked_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if FOREIGN.search(line)
    ]

    assert found == []


@pytest.mark.parametrize("lock", ["constraints.txt", "constraints-docs.txt"])
def test_the_locks_pin_every_package_with_hashes(lock: str) -> None:
    """Each entry is `name==version`, perhaps with a marker, followed by its hashes."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("#")]

    assert len(entries) > 50
    entry = re.compile(r"[a-z0-9-]+==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in entries if not entry.fullmatch(line)] == []


OTHER_LOCK = {"docs", "release"}
"""Groups whose packages are in constraints-docs.txt, and in nobody's way who tests."""


def pinned_by(lock: str) -> set[str]:
    """The names of the packages that a lock has."""
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / lock).read_text("utf-8"), re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    """The normalized names of what is required."""
    return {re.split(r"[^\w.-]", item, maxsplit=1)[0].lower().replace(".", "-") for item in requirements}


def test_the_locks_pin_every_dependency_of_the_project() -> None:
    """Nothing that pyproject.toml asks for is missing from the lock that is for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        asked += extra
    other: list[str] = []
    for name, group in project["dependency-groups"].items():
        (other if name in OTHER_LOCK else asked).extend(item for item in group if isinstance(item, str))

    assert names(asked) <= pinned_by("constraints.txt")
    assert names(other) <= pinned_by("constraints-docs.txt")


def test_ci_runs_what_the_readme_says() -> None:
    """`.ci/run` ends in the README's test command, word for word."""
    commands = re.findall(r"^python3 dev\.py \w+$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    last_line = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1]

    assert commands == ["python3 dev.py demo", "python3 dev.py test"]
    assert last_line == f"exec {commands[1]}"
