"""The table of scenarios that both ways must pass; `python -m tests.reconcile.table [WORDS]` runs and prints it."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from tests.reconcile import association_states, endings, foreign_changes, workspace_states, write_errors
from tests.reconcile.row import Result, Row, Way
from tests.reconcile.ways import WAYS, run

ROWS: Final[tuple[Row, ...]] = (
    *workspace_states.rows(),
    *foreign_changes.rows(),
    *association_states.rows(),
    *write_errors.rows(),
    *endings.rows(),
)
BY_NAME: Final[Mapping[str, Row]] = {row.name: row for row in ROWS}

REAL_SECONDS: Final = 300.0
"""How long a run may take in real time: simulated time that stands still is a fault too."""


async def run_bounded(row: Row, way: Way) -> Result:
    """Run a scenario one way, and fail if it hangs."""
    async with asyncio.timeout(REAL_SECONDS):
        return await run(row, way)


def faults_of(row: Row, way: Way, result: Result) -> list[str]:
    """Say what of a result is not as expected; nothing if all is."""
    expected = row.expected(way)
    wrong: list[str] = []
    for label, patterns in expected.comes_to.items():
        outcome = result.outcomes.get(label, "nothing said")
        if not any(fnmatchcase(outcome, pattern) for pattern in patterns):
            wrong.append(f"{label} {outcome} ({result.native.get(label)}), not {' | '.join(patterns)}")
    for label, states in expected.ends.items():
        if result.ends[label] not in states:
            wrong.append(f"{label} ends {result.ends[label]}, not {' | '.join(states)}")
    if result.deploys not in expected.deploys:
        wrong.append(
            f"{result.deploys} Deploys committed something, not {' | '.join(map(str, expected.deploys))}"
        )
    if result.ending is not None and not _ends_right(result):
        wrong.append(f"the run is {result.ending}")
    return wrong


def _ends_right(result: Result) -> bool:
    """Tell whether the run's ending goes with its outcomes: never complete with something left out.

    What a plan blocks for good leaves a run complete; a WorkSpace that needs somebody does not.
    """
    for native in result.native.values():
        if native != "succeeded" and (
            not native.startswith("blocked") or native == "blocked: workspace-state"
        ):
            return result.ending != "complete"
    return result.ending == "complete"


def disagreement(row: Row, results: Mapping[Way, Result]) -> str:
    """Say in what the two ways differ; nothing if they do not, or may."""
    if row.differs:
        return ""
    parts: Mapping[str, Callable[[Result], object]] = {
        "outcomes": lambda one: dict(one.outcomes),
        "ends": lambda one: dict(one.ends),
        "Deploys": lambda one: one.deploys,
    }
    found = [
        f"{name}: {' / '.join(str(part(results[way])) for way in WAYS)}"
        for name, part in parts.items()
        if len({str(part(results[way])) for way in WAYS}) > 1
    ]
    return "; ".join(found)


def line(row: Row, results: Mapping[Way, Result]) -> str:
    """Sum a row up in one line: its name, both outcomes, and whether they agree."""
    said = ["; ".join(results[way].native.values()) + f", {results[way].deploys} Deploys" for way in WAYS]
    wrong = [f"{way}: {'; '.join(found)}" for way in WAYS if (found := faults_of(row, way, results[way]))]
    if wrong:
        verdict = f"WRONG ({' — '.join(wrong)})"
    else:
        verdict = f"differs: {row.differs}" if row.differs else disagreement(row, results) or "agreed"
    return f"{row.name:72} | {said[0]:48} | {said[1]:48} | {verdict}"


def main() -> int:
    """Run and print every row whose name has the words of the command line."""
    words = sys.argv[1:]
    wrong = 0
    for row in ROWS:
        if all(word in row.name for word in words):
            try:
                results: dict[Way, Result] = {way: asyncio.run(run_bounded(row, way)) for way in WAYS}
            except (AssertionError, TimeoutError) as error:
                text = f"{row.name:72} | {type(error).__name__}: {error}"
                wrong += 1
            else:
                text = line(row, results)
                wrong += text.split(" | ")[-1].startswith("WRONG") or bool(disagreement(row, results))
            sys.stdout.write(text + "\n")
    sys.stdout.write(f"{wrong} rows are wrong\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
