"""`python -m docsite`: write the pages, the navigation and `llms.txt` of the site to `build/`."""

import json
import shutil
import sys
from pathlib import Path
from typing import Final

from docsite import api, commands, llms, navigation, schemas, shapes, tables, written

ROOT: Final = Path(__file__).parent.parent
BUILD: Final = ROOT / "build"


def main() -> int:
    """Write everything anew, so that nothing of an earlier build is left, and tell how much it is."""
    folder = BUILD / "docs"
    shutil.rmtree(folder, ignore_errors=True)
    pages = written.pages(ROOT, api.identifiers())
    for made in (api.pages(), commands.pages(), schemas.pages(), shapes.pages(), tables.pages()):
        twice = pages.keys() & made.keys()
        if twice:
            print(f"docsite: made twice: {', '.join(sorted(twice))}", file=sys.stderr)
            return 1
        pages |= made
    files = written.pictures(ROOT)
    tree = navigation.tree(pages)
    pages["llms.txt"] = llms.overview(tree, pages)
    for name, text in pages.items():
        files[name] = text.encode()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    # JSON is YAML too, and so needs no library for writing YAML.
    settings = {"INHERIT": "../mkdocs.yml", "docs_dir": "docs", "site_dir": "site", "nav": tree}
    (BUILD / "mkdocs.yml").write_text(json.dumps(settings, indent=1), encoding="utf-8")
    print(f"docsite: {len(pages)} pages in {folder.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
