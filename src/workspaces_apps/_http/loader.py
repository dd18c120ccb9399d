"""botocore's data, loaded without what only costs time: a walk through 400 folders, and dictionaries that keep order."""

import gzip
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from botocore.loaders import JSONFileLoader, Loader
from pydantic_core import from_json


class _PlainFiles(JSONFileLoader):
    """Reads JSON into plain dictionaries, which keep order too, by the quicker parser."""

    def load_file(self, file_path: str) -> object:
        """The content of a file named without its ending; None if there is none."""
        for ending, read in ((".json", Path.read_bytes), (".json.gz", _unpack)):
            try:
                return from_json(read(Path(file_path + ending)))
            except FileNotFoundError:
                continue
        return None


def _unpack(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


class QuickLoader(Loader):
    """A loader that does not look into the folder of every service to know that there is one."""

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - botocore names it
        """The services that there is data for; botocore only asks whether one is among them.

        Args:
            type_name: The kind of data. It is not looked for: whoever loads what is not there is told then.
        """
        folders = (Path(path) for path in self.search_paths)
        return sorted({entry.name for folder in folders if folder.is_dir() for entry in os.scandir(folder)})


def make_loader(data_path: str | None) -> Loader:
    """A loader that also looks into the folders that AWS_DATA_PATH names."""
    named = [path for path in (data_path or "").split(os.pathsep) if path]
    paths = [str(Path(os.path.expandvars(path)).expanduser()) for path in named]
    return QuickLoader(extra_search_paths=paths, file_loader=_PlainFiles())


shared_loader: Callable[[str | None], Loader] = cache(make_loader)
"""The loader of every session in this process with the same AWS_DATA_PATH."""
