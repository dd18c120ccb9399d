"""The written pages: README, docs and examples, with their links moved to where the site has the pages."""

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PAGES_AT_THE_TOP: Final[Mapping[str, str]] = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Files of the checkout's root that are pages of the site."""

LINK: Final = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
MARK: Final = re.compile(r"\[(doc|seen|field|assumed)\]")
"""The marks of facts; two side by side would be taken for a link with its reference."""

NAME: Final = re.compile(r"(?<!\[)`([A-Za-z]\w+)(?:\(\))?`(?!\])")
LANGUAGES: Final[Mapping[str, str]] = {".py": "python", ".toml": "toml"}


def places(root: Path) -> dict[str, str]:
    """Return the site's path of every page and picture, by its path in the checkout."""
    found = {name: page for name, page in PAGES_AT_THE_TOP.items() if (root / name).is_file()}
    for path in sorted((root / "docs").rglob("*")):
        if path.is_file():
            found[path.relative_to(root).as_posix()] = path.relative_to(root / "docs").as_posix()
    for path in examples(root):
        found[path.relative_to(root).as_posix()] = f"examples/{path.stem}.md"
    found["examples"] = "examples/index.md"
    found["examples/tested_project"] = "examples/tested-project.md"
    return found


def examples(root: Path) -> list[Path]:
    """Return the programs and manifests of the folder `examples`."""
    return sorted(path for path in (root / "examples").glob("*.*") if path.suffix in LANGUAGES)


def moved(text: str, name: str, where: Mapping[str, str], identifiers: Mapping[str, str]) -> str:
    """Return a page with the links as the site needs them, and public names as links to the reference.

    Args:
        text: The page.
        name: Its path in the checkout.
        where: The site's paths, see `places`.
        identifiers: Dotted name by public name.

    Raises:
        ValueError: A link leads to no page of the site.
    """

    def target(match: re.Match[str]) -> str:
        file = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[1]))
        if file in where:
            here = posixpath.dirname(where[name])
            return posixpath.relpath(where[file], here or ".") + (match[2] or "")
        raise ValueError(f"{name} links to {match[1]}, which is no page of the site")

    def linked(match: re.Match[str]) -> str:
        identifier = identifiers.get(match[1])
        return f"[{match[0]}][{identifier}]" if identifier else match[0]

    # A link in a block of code is code, and a heading is a link to itself.
    parts = re.split(r"(^ *```.*?^ *```$|^#.*?$)", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(
        part
        if part.lstrip().startswith(("```", "#"))
        else NAME.sub(linked, MARK.sub(r"\\[\1\\]", LINK.sub(target, part)))
        for part in parts
    )


def pages(root: Path, identifiers: Mapping[str, str]) -> dict[str, str]:
    """Return the written pages of the site by their path.

    Args:
        root: The checkout.
        identifiers: Dotted name by public name, see `docsite.api.identifiers`.
    """
    where = places(root)
    found = {
        page: moved((root / name).read_text(encoding="utf-8"), name, where, identifiers)
        for name, page in where.items()
        if name.endswith(".md")
    }
    rows: list[str] = []
    for path in examples(root):
        source = path.read_text(encoding="utf-8")
        opening = re.match(r'"""(.+?)(?:\n|""")|# (.+)', source)
        about = (opening[1] or opening[2]).strip() if opening else ""
        page = f"examples/{path.stem}.md"
        found[page] = f'# {path.name}\n\n```{LANGUAGES[path.suffix]} title="{path.name}"\n{source}```\n'
        if not path.name.startswith("_"):
            rows.append(f"| [{path.name}]({path.stem}.md) | {about} |")
    found["examples/tested-project.md"] = tested_project(root)
    rows.append(
        "| [tested_project](tested-project.md) | A project of its own that tests with the pytest plugin |"
    )
    table = "\n".join(("| example | about |", "| --- | --- |", *rows))
    found["examples/index.md"] = (
        f"# Examples\n\nPrograms that run as they are; the tests run each.\n\n{table}\n"
    )
    return found


def tested_project(root: Path) -> str:
    """Return the page of the example project: its README and its files."""
    folder = root / "examples" / "tested_project"
    text = (folder / "README.md").read_text(encoding="utf-8")
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in LANGUAGES]
    blocks = (
        f"## {path.relative_to(folder).as_posix()}\n\n"
        f"```{LANGUAGES[path.suffix]}\n{path.read_text(encoding='utf-8')}```\n"
        for path in files
    )
    return "\n".join((text, *blocks))


def pictures(root: Path) -> dict[str, bytes]:
    """Return the files of `docs` that are no pages, and the site's own script, by their path on the site."""
    script = Path(__file__).parent / "assets" / "search-without-server.js"
    return {"assets/iframe-worker.js": script.read_bytes()} | {
        path.relative_to(root / "docs").as_posix(): path.read_bytes()
        for path in sorted((root / "docs").rglob("*"))
        if path.is_file() and path.suffix != ".md"
    }
