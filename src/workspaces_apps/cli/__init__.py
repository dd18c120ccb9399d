"""The command `workspaces-apps`; typer and rich come with the extra `cli`."""

import sys
from collections.abc import Sequence

from workspaces_apps._base.system import end_quickly, paused


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code (`workspaces_apps.cli._console.ExitCode`).

    Args:
        arguments: What follows the command's name; None for what the process was started with.
    """
    # Nothing is garbage while modules load; a command that enters its event loop has it collected again.
    with paused():
        try:
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
        if arguments is None:
            end_quickly()
        return run(arguments)
