"""The page `llms.txt`: an overview of the site that a program can read."""

import re
from collections.abc import Mapping, Sequence

from docsite.navigation import Entry, title


def summary(text: str) -> str:
    """Return the first sentence below a page's heading, without markup."""
    for block in re.split(r"\n\s*\n", text)[1:]:
        if block.startswith(("#", "|", "```", ":::", "!", "<", ">", "-")):
            continue
        plain = re.sub(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", " ".join(block.split()))
        return re.split(r"(?<=[.!?])\s", plain)[0]
    return ""


def overview(tree: Sequence[Entry], pages: Mapping[str, str]) -> str:
    """Return the text of `llms.txt`: a list of the pages by part, each with its first sentence.

    Args:
        tree: The navigation.
        pages: Text by path.
    """
    lines = [f"# {title(pages['index.md'])}", "", f"> {summary(pages['index.md'])}", ""]

    def write(entries: Sequence[Entry]) -> None:
        for entry in entries:
            for name, below in entry.items():
                if isinstance(below, str):
                    about = summary(pages[below])
                    lines.append(f"- [{name}]({below})" + (f": {about}" if about else ""))
                else:
                    write(below)

    for entry in tree:
        for name, below in entry.items():
            if not isinstance(below, str):
                lines.extend(("", f"## {name}", ""))
                write(below)
    return "\n".join(lines) + "\n"
