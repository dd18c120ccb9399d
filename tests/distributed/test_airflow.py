"""The deferrable task of examples/airflow in the real Airflow, from an environment of its own."""

import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from workspaces_apps.rollout import Report
from workspaces_apps.simulator import Simulator, SimulatorSettings, Span

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "airflow"

PATIENCE = 600
"""Seconds that anything may take on a machine that is busy with other tests."""

# nox -s airflow says where Airflow is.
PYTHON = os.environ.get("WORKSPACES_AIRFLOW_PYTHON")

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="needs Airflow: python3 dev.py nox --no-venv -s airflow"
)


def settings_of(sim: Simulator, folder: Path) -> dict[str, str]:
    """The environment of an Airflow of the test's own, whose AWS is the simulator."""
    keys = sim.credentials
    return {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLE),
        "PYTHONPATH": str(EXAMPLE),
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_REGION": sim.region,
        "AWS_ENDPOINT_URL_WORKSPACES": sim.url,
        "OFFICE_JOURNAL": str(folder / "office.journal"),
    }


def begin(env: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Run the DAG once, trigger included, as `dag.test()` does."""
    assert PYTHON is not None
    return subprocess.Popen([PYTHON, str(EXAMPLE / "office.py")], env=env, cwd=env["AIRFLOW_HOME"])


def deployments(sim: Simulator) -> Counter[str]:
    """Count the deployments that the service took, by WorkSpace."""
    return Counter(
        str((request.parameters or {})["WorkspaceId"])
        for request in sim.requests
        if request.operation == "DeployWorkspaceApplications" and request.status == 200
    )


def test_a_triggerer_that_is_killed_is_replaced_and_the_task_succeeds(tmp_path: Path) -> None:
    """The second one goes on where the journal of the first one ends; nothing is deployed twice."""
    quick = SimulatorSettings(pending_delay=Span(0.1, 0.5), install_duration=Span(2, 4))
    with Simulator.in_thread(workspaces=6, seed=7, settings=quick, throttle=None) as sim:
        env = settings_of(sim, tmp_path)
        assert PYTHON is not None
        migrate = (PYTHON, "-m", "airflow", "db", "migrate")
        subprocess.run(migrate, env=env, cwd=tmp_path, check=True, timeout=PATIENCE)

        first = begin(env)
        until = time.monotonic() + PATIENCE
        while not deployments(sim):
            assert first.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        first.kill()
        first.wait(PATIENCE)

        assert begin(env).wait(PATIENCE) == 0
        report = Report.from_journal(tmp_path / "office.journal")
        assert len(deployments(sim)) == 6
        assert set(deployments(sim).values()) == {1}
        assert report.ending == "complete"
        assert len(report.runs) == 2
