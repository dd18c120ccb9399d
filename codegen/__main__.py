"""`python -m codegen`: write `workspaces_apps.api`, check it, take another botocore, or report what that changes."""

import argparse
import json
import sys
from pathlib import Path

from codegen import ir, overrides, render, report, source

ROOT = Path(__file__).parent.parent
API = ROOT / "src" / "workspaces_apps" / "api"


def main(arguments: list[str] | None = None) -> int:
    """Run the generator; the exit code is 1 if `--check` finds something stale."""
    parser = argparse.ArgumentParser(prog="python -m codegen", description=__doc__)
    parser.add_argument(
        "--from",
        dest="wheel",
        metavar="WHEEL",
        type=Path,
        help="take the model from a wheel of botocore, which need not be installed, instead of the copy that is kept",
    )
    purpose = parser.add_mutually_exclusive_group()
    purpose.add_argument(
        "--check", action="store_true", help="change nothing; fail if a file, the copy or the lock is stale"
    )
    purpose.add_argument(
        "--report", metavar="WHEEL", type=Path, help="list what came and went in another wheel of botocore"
    )
    options = parser.parse_args(arguments)
    found = source.kept() if options.wheel is None else source.from_wheel(options.wheel)
    if options.report is not None:
        print(report.compare(found, source.from_wheel(options.report)))
        return 0
    files = {API / path: text for path, text in render.render(ir.build(found, overrides.load())).items()}
    files[source.KEPT] = found.text
    files[source.LOCK] = json.dumps(found.lock, indent=2) + "\n"
    return _check(files) if options.check else _write(files)


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
