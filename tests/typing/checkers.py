"""Run the newest type checkers over the samples: `python -m tests.typing.checkers FOLDER`, FOLDER being an environment.

The samples are downstream.txt, of which the lines that end in "wrong" must be refused, and the modules beside it, of which
those with an ignore must be. Prints what each checker makes of them, writes the table of docs/models.md with `--write`, and
exits with 1 where a checker misses a wrong line or refuses a right one, unless `FAULTS` has it.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent.parent
PAGE: Final = ROOT / "docs" / "models.md"
SAMPLES: Final = ("downstream.txt", "enums.py", "paging.py", "parameters.py")
BEGIN, END = "<!-- checkers -->", "<!-- /checkers -->"

STRICT: Final = '{"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": ["SOURCES"]}'
MYPY: Final = "[mypy]\nstrict = true\npython_version = 3.11\nmypy_path = SOURCES\n"
PLUGIN: Final = f"{MYPY}plugins = pydantic.mypy\n"
STRICT_PLUGIN: Final = f"{PLUGIN}[pydantic-mypy]\ninit_forbid_extra = true\ninit_typed = true\nwarn_required_dynamic_aliases = true\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """A type checker with one kind of settings.

    Attributes:
        command: What is run in a folder with the samples; the first word is a program of the environment.
        settings: What the file `settings` of that folder holds.
        package: The distribution whose version the table shows.
        how: The settings in words.
    """

    command: Sequence[str]
    package: str
    how: str
    settings: str = ""


CHECKERS: Final[Mapping[str, Checker]] = {
    "mypy": Checker(command=("mypy", "--config-file", "settings"), settings=MYPY, package="mypy", how="`--strict`"),
    "mypy, plugin": Checker(
        command=("mypy", "--config-file", "settings"),
        settings=PLUGIN,
        package="mypy",
        how="`--strict`, pydantic's plugin",
    ),
    "mypy, strict plugin": Checker(
        command=("mypy", "--config-file", "settings"),
        settings=STRICT_PLUGIN,
        package="mypy",
        how="`--strict`, pydantic's plugin with strict settings",
    ),
    "pyright": Checker(
        command=("pyright", "--project", "settings.json", "--pythonpath", "PYTHON"),
        settings=STRICT,
        package="pyright",
        how="`strict`",
    ),
    "basedpyright": Checker(
        command=("basedpyright", "--project", "settings.json", "--pythonpath", "PYTHON"),
        settings=STRICT,
        package="basedpyright",
        how="`strict`",
    ),
    "ty": Checker(
        command=(
            "ty", "check", "--python", "PYTHON", "--extra-search-path", "SOURCES", "--output-format", "concise",
        ),
        package="ty",
        how="defaults",
    ),
    "pyrefly": Checker(
        command=(
            "pyrefly", "check", "--preset", "default", "--search-path", "SOURCES", "--python-interpreter-path", "PYTHON",
            "--output-format", "min-text",
        ),
        package="pyrefly",
        how="preset `default`",
    ),
    "pyrefly, strict": Checker(
        command=(
            "pyrefly", "check", "--preset", "strict", "--search-path", "SOURCES", "--python-interpreter-path",
            "PYTHON", "--output-format", "min-text",
        ),
        package="pyrefly",
        how="preset `strict`",
    ),
    "zuban": Checker(
        command=("zuban", "check", "--strict", "--python-executable", "PYTHON"), package="zuban", how="`--strict`"
    ),
}  # fmt: skip

FAULTS: Final[Mapping[tuple[str, str], str]] = {}
"""Lines that a checker takes otherwise by a fault of its own, by checker and line, with version and date."""


@dataclass(slots=True)
class Sample:
    """A sample as a checker reads it.

    Attributes:
        name: Of the copy.
        lines: The text.
        wrong: The numbers of the lines that must be refused.
        either: Those that may be, because one checker reports there what another reports elsewhere.
    """

    name: str
    lines: list[str] = field(default_factory=list[str])
    wrong: set[int] = field(default_factory=set[int])
    either: set[int] = field(default_factory=set[int])


def read(name: str) -> Sample:
    """Read a sample, without the comments that would hide what a checker finds."""
    found = Sample(name=f"sample_{Path(name).stem}.py")
    for number, line in enumerate((HERE / name).read_text(encoding="utf-8").splitlines(), 1):
        if line.endswith("# wrong") or "# type: ignore" in line:
            found.wrong.add(number)
        elif "# pyright: ignore" in line:
            found.either.add(number)
        found.lines.append(re.sub(r"\s*# (type|pyright): ignore.*", "", line))
    return found


def refused(checker: Checker, programs: Path, samples: Sequence[Sample]) -> dict[str, set[int]]:
    """Return the lines that a checker refuses, by the name of the sample."""
    with tempfile.TemporaryDirectory(prefix="workspaces-apps-") as folder:
        for sample in samples:
            Path(folder, sample.name).write_text("\n".join(sample.lines) + "\n", encoding="utf-8")
        values = {"PYTHON": str(programs / "python"), "SOURCES": str(ROOT / "src")}

        def filled(text: str) -> str:
            return re.sub("PYTHON|SOURCES", lambda match: values[match[0]], text)

        settings = "settings.json" if checker.settings.startswith("{") else "settings"
        Path(folder, settings).write_text(filled(checker.settings), encoding="utf-8")
        done = subprocess.run(
            [
                programs / checker.command[0],
                *map(filled, checker.command[1:]),
                *(one.name for one in samples),
            ],
            cwd=folder,
            env={
                **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
                "MYPYPATH": str(ROOT / "src"),
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    output = done.stdout + done.stderr
    found = {
        sample.name: {
            int(number)
            for line in output.splitlines()
            if re.search(r"\berror\b", line, re.IGNORECASE)
            for number in re.findall(rf"{re.escape(sample.name)}:(\d+)", line)
        }
        for sample in samples
    }
    if not any(found.values()):
        raise RuntimeError(f"{checker.command[0]} found nothing at all:\n{output[-2000:]}")
    return found


def version(programs: Path, package: str) -> str:
    """Return the version of a distribution in an environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run(
        [programs / "python", "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def differences(name: str, checker: Checker, programs: Path, samples: Sequence[Sample]) -> list[str]:
    """Return what a checker takes otherwise than it should, a sentence for each line."""
    found = refused(checker, programs, samples)
    sentences: list[str] = []
    for sample in samples:
        lines = found[sample.name]
        wrong = [(number, "missed") for number in sample.wrong - lines]
        wrong += [(number, "refused") for number in lines - sample.wrong - sample.either]
        for number, what in sorted(wrong):
            text = sample.lines[number - 1].strip()
            if (name, text) not in FAULTS:
                sentences.append(f"{sample.name}:{number} {what}: {text}")
    return sentences


def main() -> int:
    """Run all checkers, print, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.typing.checkers", description=__doc__)
    parser.add_argument("environment", type=Path, help="the folder of an environment that has the checkers")
    parser.add_argument("--only", nargs="+", choices=list(CHECKERS), default=list(CHECKERS), help="checkers")
    parser.add_argument("--write", action="store_true", help=f"write the table of {PAGE.name}")
    given = parser.parse_args()
    programs: Path = given.environment.resolve() / ("Scripts" if os.name == "nt" else "bin")
    samples = [read(name) for name in SAMPLES]
    count = sum(len(sample.wrong) for sample in samples)
    rows = [f"| checker | settings | the samples' {count} wrong lines |", "| --- | --- | --- |"]
    failed = False
    for name in given.only:
        checker = CHECKERS[name]
        found = differences(name, checker, programs, samples)
        failed = failed or bool(found)
        faults = [fault for (whose, _), fault in FAULTS.items() if whose == name]
        verdict = "; ".join(faults) or "all refused, nothing else"
        rows.append(
            f"| {checker.package} {version(programs, checker.package)} | {checker.how} "
            f"| {f'{len(found)} lines otherwise' if found else verdict} |"
        )
        print("\n".join((rows[-1], *found)), flush=True)  # noqa: T201 - what the session shows
    if given.write:
        head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        tail = rest.split(END)[1]
        PAGE.write_text("\n".join((f"{head}{BEGIN}", *rows, f"{END}{tail}")), encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
