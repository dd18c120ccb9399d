"""`python -m codegen`: write `workspaces_apps.api`, check it, or report what another botocore changes."""

import argparse
import json
import sys
from pathlib import Path

from codegen import ir, overrides, render, report, source

ROOT = Path(__file__).parent.parent
API = ROOT / "src" / "workspaces_apps" / "api"
LOCK = Path(__file__).parent / "lock.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the generator; the exit code is 1 if `--check` finds something stale."""
    parser = argparse.ArgumentParser(prog="python -m codegen", description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--check", action="store_true", help="change nothing; fail if a file or the lock is stale"
    )
    what.add_argument(
        "--report",
        metavar="BOTOCORE",
        type=Path,
        help="list what came and went: the folder of another botocore (the package, or what it was unpacked into)",
    )
    options = parser.parse_args(arguments)
    if options.report is not None:
        print(report.compare(source.installed(), source.read(*_package(options.report))))
        return 0
    found = source.installed()
    files = {API / path: text for path, text in render.render(ir.build(found, overrides.load())).items()}
    lock = {"botocore": found.botocore, "sha256": found.digest}
    files[LOCK] = json.dumps(lock, indent=2) + "\n"
    return _check(files) if options.check else _write(files)


def _package(folder: Path) -> tuple[Path, str]:
    package = folder if (folder / "data").is_dir() else folder / "botocore"
    version = ""
    if (package / "__init__.py").exists():
        lines = (package / "__init__.py").read_text("utf-8").splitlines()
        version = next((line.split("'")[1] for line in lines if line.startswith("__version__ = '")), "")
    return package, version or "unknown"


def _stale(files: dict[Path, str]) -> list[Path]:
    extra = [path for path in API.rglob("*.py") if path not in files]
    changed = [path for path, text in files.items() if not path.exists() or path.read_text("utf-8") != text]
    return sorted(changed) + sorted(extra)


def _check(files: dict[Path, str]) -> int:
    stale = _stale(files)
    for path in stale:
        print(f"stale: {path.relative_to(ROOT).as_posix()}", file=sys.stderr)
    if stale:
        print("run `python -m codegen`", file=sys.stderr)
    return 1 if stale else 0


def _write(files: dict[Path, str]) -> int:
    for path in _stale(files):
        if path in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], "utf-8", newline="\n")
            print(f"wrote {path.relative_to(ROOT).as_posix()}")
        else:
            path.unlink()
            print(f"removed {path.relative_to(ROOT).as_posix()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
