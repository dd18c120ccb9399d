"""`python -m workspaces_apps`, where the command is not on the path."""

import sys

from workspaces_apps.cli import main

if __name__ == "__main__":
    sys.exit(main())
