"""Reports of other people's tools on the locked packages: known vulnerabilities, licences, and what nobody could look up.

`python -m codegen.supply_chain audit REPORT…` reads what pip-audit wrote in JSON, one file for each lock, and
`python -m codegen.supply_chain licences BILL…` what CycloneDX wrote of environments. Both print.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NOT_DONE: Final = "NOT DONE"
"""Stands before what nobody has looked up, so that it is taken for no good news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The audit of one lock.

    Attributes:
        asked: How many packages the advisory service was asked about.
        unanswered: How many of them it gave no answer for, and why, in the words of the first.
        vulnerable: The known vulnerabilities, each in a line.
    """

    asked: int
    unanswered: int
    why: str
    vulnerable: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The outcome in a line."""
        if self.vulnerable:
            return f"{len(self.vulnerable)} known vulnerabilities"
        if self.unanswered or not self.asked:
            return f"{NOT_DONE} for {self.unanswered or 'all'} of {self.asked or 'the'} packages: {self.why}"
        return f"no known vulnerability in {self.asked} packages"


def read_audit(text: str) -> Audit:
    """Read what pip-audit wrote; nothing, where it could not reach the service at all."""
    if not text.strip():
        return Audit(asked=0, unanswered=0, why="the advisory service cannot be reached", vulnerable=())
    packages: list[dict[str, Any]] = json.loads(text)["dependencies"]
    skipped = [str(package["skip_reason"]) for package in packages if "skip_reason" in package]
    return Audit(
        asked=len(packages),
        unanswered=len(skipped),
        why=skipped[0] if skipped else "",
        vulnerable=tuple(_vulnerabilities(packages)),
    )


def _vulnerabilities(packages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for package in packages:
        for found in package.get("vulns", ()):
            mended = ", ".join(found.get("fix_versions", ())) or "no version"
            yield f"{package['name']} {package['version']}: {found['id']}, mended in {mended}"


def read_licences(bill: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the licence of each package of a bill of materials, by name and version."""
    return {
        f"{component['name']} {component.get('version', '')}".strip(): _licence(component)
        for component in sorted(bill.get("components", ()), key=lambda one: str(one["name"]).lower())
    }


def _licence(component: Mapping[str, Any]) -> str:
    said: list[str] = []
    for entry in component.get("licenses", ()):
        licence = entry.get("license", {})
        name = entry.get("expression") or licence.get("id") or licence.get("name")
        # Some put the whole text where its name belongs.
        said.append(str(name).strip().splitlines()[0][:60] if name else "unnamed")
    return ", ".join(dict.fromkeys(said)) or "none declared"


def main(arguments: Sequence[str]) -> int:
    """Print what was found; the exit code is 1 for a known vulnerability only."""
    task, *paths = arguments
    code = 0
    for path in map(Path, paths):
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if task == "audit":
            audit = read_audit(text)
            print(f"{path.stem}: {audit.summary}")
            for line in audit.vulnerable:
                print(f"  {line}")
            code = code or int(bool(audit.vulnerable))
        else:
            licences = read_licences(json.loads(text))
            print(f"\n{path.stem}: {len(licences)} packages")
            for package, licence in licences.items():
                print(f"  {package}: {licence}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
