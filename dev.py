#!/usr/bin/env python3
"""The project's commands, for a machine that has nothing but Python 3.11 or newer with venv and pip.

    python3 dev.py demo               run the demonstration
    python3 dev.py test               run every check: tests, types, lint, generated files, package
    python3 dev.py docs               build the documentation site and show it on this machine
    python3 dev.py nox -s lint        run nox with these arguments
    python3 dev.py run COMMAND ...    run a command with the project's Python first on PATH

Each makes `.venv-dev` in the checkout first, or brings it up to date: the packages of constraints.txt, checked
against their hashes, and the project itself, editable. Nothing is installed outside the checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv-dev"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")
OLDEST = (3, 11)
EVERY = 25
"""After so many packages it is told how far pip is, where that is no terminal."""


def is_new(step: str, *inputs: str | bytes) -> bool:
    """Whether this step of the preparation was never finished, or was finished with other inputs."""
    return not stamp(step).is_file() or stamp(step).read_text(encoding="utf-8") != digest(*inputs)


def finished(step: str, *inputs: str | bytes) -> None:
    """Note that the step is done."""
    stamp(step).write_text(digest(*inputs), encoding="utf-8")


def stamp(step: str) -> Path:
    """Return the file that tells with which inputs the step was done."""
    return VENV / f"{step}.stamp"


def digest(*inputs: str | bytes) -> str:
    """One line for all inputs."""
    parts = (part.encode() if isinstance(part, str) else part for part in inputs)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def create_venv() -> None:
    """Make an empty environment, or say which package of the system is missing."""
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False)
    if made.returncode != 0:
        sys.exit(
            "dev.py: this Python cannot make a virtual environment (see above);"
            " on Debian and Ubuntu: apt install python3-venv"
        )


def pip_install(*arguments: str) -> None:
    """Install into the environment, telling how far it is, or stop with pip's own message above ours."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace") as pip:
        assert pip.stdout is not None
        tell_progress(pip.stdout)
    if pip.returncode != 0:
        sys.exit("dev.py: pip could not install the packages (see above)")


def tell_progress(lines: Iterable[str]) -> None:
    """Say what pip is at: a line that changes on a terminal, and now and then one elsewhere."""
    live = sys.stderr.isatty()
    found, telling = 0, False
    for line in lines:
        said = ""
        if line.startswith("Collecting "):
            found += 1
            said = f"{found} packages fetched"
        elif line.startswith("Installing collected packages"):
            said = "installing them"
        if said and (live or said == "installing them" or found % EVERY == 0):
            telling = live
            print(
                f"\rdev.py: {said} …\x1b[K" if live else f"dev.py: {said}",
                end="" if live else "\n",
                file=sys.stderr,
                flush=True,
            )
    if telling:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def prepare() -> None:
    """Make `.venv-dev` fit this checkout and this Python; do nothing if it does."""
    packages = (sys.version, sys.base_prefix, str(ROOT), (ROOT / "constraints.txt").read_bytes())
    if is_new("packages", *packages):
        print(f"dev.py: installing into {VENV.name} (a minute or two, once)", file=sys.stderr, flush=True)
        create_venv()
        # Most of these modules are never imported: compiling on import instead saves time.
        pip_install("--no-compile", "--require-hashes", "-r", "constraints.txt")
        finished("packages", *packages)
    project = (ROOT / "pyproject.toml").read_bytes()
    if is_new("project", project):
        print("dev.py: installing the project itself", file=sys.stderr, flush=True)
        pip_install("--no-deps", "--no-build-isolation", "--editable", ".")
        finished("project", project)


def run(command: list[str]) -> int:
    """Run a command as if the environment were activated, and return its exit code."""
    environment = dict(os.environ, VIRTUAL_ENV=str(VENV))
    environment["PATH"] = os.pathsep.join((str(SCRIPTS), os.environ.get("PATH", os.defpath)))
    # What is installed here was not compiled: where no bytecode may be written, every process would do that anew.
    for name in ("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        sys.exit(f"dev.py: there is no command {command[0]!r}")
    try:
        return subprocess.run([program, *command[1:]], env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 130


def main(arguments: list[str]) -> int:
    """Do what the first argument says; the rest is passed on."""
    if sys.version_info < OLDEST:
        needed, found = (".".join(map(str, version)) for version in (OLDEST, sys.version_info[:3]))
        sys.exit(f"dev.py: Python {needed} or newer is needed, this is {found}")
    commands = {
        "demo": ["workspaces-apps", "demo"],
        "test": ["nox", "--no-venv", "--noxfile", str(ROOT / "noxfile.py")],
        "docs": [
            *("nox", "--no-venv", "--noxfile", str(ROOT / "noxfile.py")),
            *("--session", "docs", "--", "--serve"),
        ],
        "nox": ["nox", "--noxfile", str(ROOT / "noxfile.py")],
        "run": [],
    }
    if not arguments or arguments[0] not in commands or (arguments[0] == "run" and len(arguments) == 1):
        print(__doc__)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    prepare()
    return run([*commands[arguments[0]], *arguments[1:]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
