"""The table of scenarios, each row run both ways: as it should come out, and alike."""

import re
import sys
from collections import Counter

import pytest

from tests.reconcile import association_states, workspace_states, write_errors
from tests.reconcile.row import Result, Row, Way
from tests.reconcile.table import ROWS, disagreement, faults_of, line, run_bounded
from tests.reconcile.ways import WAYS
from workspaces_apps import WorkSpacesClient
from workspaces_apps.api import AssociationState

pytestmark = pytest.mark.campaign


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
async def test_a_scenario_comes_out_right_either_way(row: Row) -> None:
    """Outcomes, what the service shows at the end and the Deploys it took are those of the table, and both alike."""
    results: dict[Way, Result] = {way: await run_bounded(row, way) for way in WAYS}

    sys.stdout.write(f"\n{line(row, results)}\n")
    assert [fault for way in WAYS for fault in faults_of(row, way, results[way])] == [], row.source
    assert not disagreement(row, results)


def test_every_row_has_a_name_and_a_source_of_its_own() -> None:
    """A row is found by its name, says why it is right, and says why where the two ways may differ."""
    names = Counter(row.name for row in ROWS)
    assert [name for name, count in names.items() if count > 1] == []
    assert [row.name for row in ROWS if not row.source] == []
    assert [row.name for row in ROWS if row.rollout is not None and not row.differs] == []


def test_the_table_has_every_state() -> None:
    """Each state of a WorkSpace and of an association has its rows, and an unknown one and none too."""
    assert workspace_states.known_states() < workspace_states.all_states()
    begins = {row.begins.get("one", "absent") for row in association_states.rows()}
    assert begins == {*(str(one) for one in AssociationState), "absent", association_states.UNKNOWN}


@pytest.mark.parametrize("operation", write_errors.WRITES)
def test_the_table_has_every_modelled_error_of_a_write(operation: str) -> None:
    """Each error that the service model has for a write, as its method says, is a row, once and for good."""
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
    documented = re.findall(r"\w+Exception", getattr(WorkSpacesClient, method).__doc__)
    assert set(documented) == set(write_errors.MODELLED[operation])
    names = {row.name for row in write_errors.rows()}
    wanted = {
        f"{operation} {code} {often}"
        for code in (*write_errors.MODELLED[operation], *write_errors.UNMODELLED)
        for often in ("once", "always")
    }
    assert wanted <= names
