"""The command `workspaces-apps`; typer and rich come with the extra `cli`."""

import sys
from collections.abc import Sequence

from workspaces_apps._base.system import paused


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code (`workspaces_apps.cli._console.ExitCode`).

    Args:
        arguments: What follows the command's name; None for what the process was started with.
    """
    try:
        with paused():
            from workspaces_apps.cli._app import run
    except ModuleNotFoundError as error:
        # Rich comes with typer.
        if error.name != "typer":
            raise
        print(
            'workspaces-apps: the command line needs an extra: pip install "workspaces-apps[cli]"',
            file=sys.stderr,
        )
        # ExitCode.USAGE, whose module needs the extra.
        return 64
    # Nothing is garbage while modules load; a command that enters its event loop has it collected again.
    with paused():
        return run(arguments)
