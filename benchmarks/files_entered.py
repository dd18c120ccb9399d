"""Files of the package whose functions something enters."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import workspaces_apps


@contextmanager
def entered() -> Generator[set[str]]:
    """Collect them meanwhile, in this thread, relative to the package's folder; functions being resumed count."""
    folder = str(Path(workspaces_apps.__file__).parent) + "/"
    paths: set[str] = set()
    files: set[str] = set()

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            paths.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield files
    finally:
        sys.setprofile(before)
        files.update(path.removeprefix(folder) for path in paths if path.startswith(folder))
