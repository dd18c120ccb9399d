"""A DAG with one roll-out: at ten in the evening, until all is done."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG
from workspaces_roll_out import RollOutOperator

MANIFEST = os.environ.get("OFFICE_MANIFEST", str(Path(__file__).with_name("office.toml")))
JOURNAL = os.environ.get("OFFICE_JOURNAL", "s3://my-bucket/rollouts/office-{{ ds }}")

with DAG("office", schedule="0 22 * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False) as dag:
    RollOutOperator(
        task_id="roll_out",
        manifest=MANIFEST,
        journal=JOURNAL,
        retries=20,
        retry_delay=timedelta(seconds=30),
        execution_timeout=timedelta(hours=8),
    )

if __name__ == "__main__":
    dag.test()
