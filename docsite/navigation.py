"""The navigation of the site, in four parts: tutorial, how-to guides, reference and explanation."""

import re
from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

Entry: TypeAlias = dict[str, "str | list[Entry]"]
"""A title with its page, or with the entries below it; what MkDocs calls `nav`."""

FRONT: Final = "index.md"
TUTORIAL: Final = ("tutorial/first-rollout.md", "tutorial/in-python.md", "tutorial/tests.md")
HOW_TO: Final = (
    "rollouts.md",
    "cli.md",
    "recipes.md",
    "accounts.md",
    "networks.md",
    "lambda.md",
    "distributed.md",
    "telemetry.md",
    "testing.md",
    "models.md",
    "examples/index.md",
)
EXPLANATION: Final = (
    "architecture.md",
    "calls.md",
    "waiting.md",
    "service-facts.md",
    "simulator-truth.md",
    "benchmarks.md",
)
PROJECT: Final = ("stability.md", "changelog.md", "contributing.md", "security.md")
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "Tutorial": TUTORIAL,
    "How-to guides": HOW_TO,
    "Explanation": EXPLANATION,
    "Project": PROJECT,
}
"""The written pages of each part, in reading order; those of the reference are found by their folder."""

REFERENCE: Final = (
    "reference/client.md",
    "reference/configuration.md",
    "reference/results.md",
    "reference/errors.md",
    "reference/rollout.md",
    "reference/events.md",
    "reference/report.md",
    "reference/distributed.md",
    "reference/simulator.md",
    "reference/pytest-plugin.md",
    "reference/types.md",
    "reference/command-line.md",
    "reference/exit-codes.md",
    "reference/manifest.md",
    "reference/policy.md",
    "reference/report-json.md",
    "reference/simulator-settings.md",
)
SERVICE: Final = "reference/api/"
"""The folder of the service's operations and shapes, one page for each family."""


def title(text: str) -> str:
    """Return the first heading of a page, without its markup."""
    found = re.search(r"^# (.+?)(?: \{.*\})?$", text, re.MULTILINE)
    return re.sub(r"[`*]", "", found[1]) if found else "Untitled"


def tree(pages: Mapping[str, str]) -> list[Entry]:
    """Return the navigation over these pages.

    A written page that no part names is put at the end of the how-to guides, so that a new one is seen at once.

    Args:
        pages: Text by path, such as ``{"waiting.md": "# Waiting …"}``.
    """

    def entries(paths: Collection[str]) -> list[Entry]:
        return [{title(pages[path]): path} for path in paths if path in pages]

    placed = {FRONT, *REFERENCE, *(path for part in PARTS.values() for path in part)}
    generated = [path for path in sorted(pages) if path.startswith(SERVICE)]
    # An example has a page of its own, reached from their list.
    left = [
        path
        for path in sorted(pages)
        if path not in placed and not path.startswith((SERVICE, "examples/")) and path.endswith(".md")
    ]
    examples = [
        path for path in sorted(pages) if path.startswith("examples/") and path != "examples/index.md"
    ]
    how_to: list[Entry] = [
        *entries([*HOW_TO[:-1], *left]),
        {"Examples": entries(["examples/index.md", *examples])},
    ]
    reference: list[Entry] = [
        *entries(REFERENCE),
        {"Operations and shapes": entries(generated)},
    ]
    return [
        {"Home": FRONT},
        {"Tutorial": entries(TUTORIAL)},
        {"How-to guides": how_to},
        {"Reference": reference},
        {"Explanation": entries(EXPLANATION)},
        {"Project": entries(PROJECT)},
    ]
