"""Two packages side by side: that of an earlier commit, installed from its wheel, and the working tree's.

The earlier one lies in a folder of its own below `build/`, with the dependencies of this environment, so that what
differs between two figures is the package and nothing else. Scripts are modules of this folder that use public names
only; each runs in a process of its own and prints one line of JSON.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

ROOT: Final = Path(__file__).resolve().parent.parent
TODAY: Final = "49308166b0a2998d28f48113e6b9f3ef9ad39ad9"
CACHE: Final = ROOT / "build" / "benchmarks"

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Figures: TypeAlias = Mapping[str, Json]


class ChildError(RuntimeError):
    """A script that ended with an error, with what it wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One way to have `workspaces_apps`.

    Attributes:
        name: What to call it in a table.
        folder: The folder to import it from.
    """

    name: str
    folder: Path

    @property
    def sources(self) -> Path:
        """The package's own folder."""
        return self.folder / "workspaces_apps"

    def environment(self) -> dict[str, str]:
        """The variables of a process that imports this package, without AWS settings of the machine's."""
        left_out = ("AWS_", "PYTHONDONTWRITEBYTECODE", "COVERAGE_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        return kept | {
            "PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}",
            "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "workspaces-apps-benchmarks"),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, module: str, arguments: Figures) -> dict[str, Json]:
        """Run a script of this folder with this package.

        Args:
            module: Its name below `benchmarks`.
            arguments: What it is given, as JSON.

        Raises:
            ChildError: It failed, or imported another package than this one.
        """
        command = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(arguments)]
        done = subprocess.run(
            command, env=self.environment(), cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ChildError(f"{module} {arguments} with {self.name}:\n{done.stderr[-4000:]}")
        figures: dict[str, Json] = json.loads(done.stdout.splitlines()[-1])
        imported = figures.pop("package")
        if not isinstance(imported, str) or Path(imported).resolve() != self.sources.resolve():
            raise ChildError(f"{module} was to import {self.sources}, and imported {imported}")
        return figures


def now() -> Package:
    """The working tree's package."""
    return Package(name="now", folder=ROOT / "src")


def today(commit: str = TODAY) -> Package:
    """The package of a commit, built and installed once.

    Args:
        commit: Any name that git has for it.

    Raises:
        CalledProcessError: The commit is not in this clone, or pip cannot build it.
    """
    folder = CACHE / commit
    if not folder.is_dir():
        archive = subprocess.run(
            ["git", "archive", "--format=tar", commit], cwd=ROOT, check=True, capture_output=True
        )
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            sources, wheels, installed = (Path(name) / part for part in ("sources", "wheels", "installed"))
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
                packed.extractall(sources, filter="data")
            pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
            subprocess.run(
                [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, sources],
                check=True,
            )
            (wheel,) = wheels.iterdir()
            subprocess.run([*pip, "install", "--no-deps", "--target", installed, wheel], check=True)
            # Last, and by a rename: what is there is whole.
            shutil.move(installed, folder)
    return Package(name="today", folder=folder)


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Let the command line say which packages are measured."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--no-today", action="store_true", help="measure the working tree only")
    choice.add_argument("--no-now", action="store_true", help="measure the earlier commit only")


def chosen(given: argparse.Namespace) -> list[Package]:
    """The packages that the command line asks for, the earlier one first."""
    return [*([] if given.no_today else [today()]), *([] if given.no_now else [now()])]
