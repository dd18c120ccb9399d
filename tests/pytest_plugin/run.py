"""pytest with the plugin, in a process of its own, whether or not the package is installed with its entry point."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

import workspaces_apps

PLUGIN: Final = "workspaces_apps.pytest_plugin"
INI: Final = """
    [pytest]
    asyncio_default_fixture_loop_scope = function
    filterwarnings = error
"""
"""What a project's pytest.ini may look like."""

PATIENCE: Final = 300.0
"""Real seconds after which a run is taken for hung."""


def is_installed() -> bool:
    """Tell if pytest finds the plugin by itself."""
    return any(entry.value == PLUGIN for entry in entry_points(group="pytest11"))


def plugin_arguments() -> list[str]:
    """The arguments that load the plugin into pytest."""
    return [] if is_installed() else ["-p", PLUGIN]


def python_path() -> str:
    """The PYTHONPATH with which another process finds the package."""
    sources = [] if is_installed() else [str(Path(workspaces_apps.__file__).parent.parent)]
    return os.pathsep.join([*sources, *filter(None, [os.environ.get("PYTHONPATH")])])


def run_pytest(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the tests in a folder, which is the root of their project; warnings are errors."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *plugin_arguments(),
            "-W",
            "error",
            "--rootdir",
            str(folder),
            *arguments,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
