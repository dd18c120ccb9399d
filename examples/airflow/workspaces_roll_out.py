"""A roll-out as a deferrable task of Airflow: while it runs, it occupies no worker slot.

The task hands the roll-out to the triggerer, whose event loop carries it out beside other triggers. A triggerer that
dies is replaced by Airflow, and the roll-out goes on where its journal ends: keep the journal in S3 or PostgreSQL.

This module has to be importable by workers and triggerers: put it into Airflow's `plugins` folder, or on PYTHONPATH.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.exceptions import AirflowException
from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from workspaces_apps import WorkSpacesError
from workspaces_apps.rollout import EXIT_CODES, Finished, JournalBusyError, Manifest, Rollout

BUSY_SECONDS = 15.0
"""Seconds after which a journal that another triggerer still has is tried again."""


async def roll_out(manifest: Manifest, journal: str) -> Finished:
    """Plan and apply; on a journal that is there already, go on where it ends."""
    async with Rollout.open(manifest) as rollout:
        plan = await rollout.plan(manifest, journal=journal)
        async with rollout.apply(plan, journal=journal) as events:
            return await events.finished()


class RollOutTrigger(BaseTrigger):
    """Carries a roll-out out in the triggerer.

    Args:
        manifest: The manifest's path, which the triggerer reads.
        journal: The URL or path of the journal.
    """

    def __init__(self, manifest: str, journal: str) -> None:
        super().__init__()
        self.manifest = manifest
        self.journal = journal

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Tell Airflow's database how to make this trigger anew, after a restart or elsewhere."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"manifest": self.manifest, "journal": self.journal}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Roll out, and tell how it ended."""
        while True:
            try:
                result = await roll_out(Manifest.load(self.manifest), self.journal)
            except JournalBusyError:
                # The triggerer that had it may not know yet that it was replaced.
                await asyncio.sleep(BUSY_SECONDS)
            except WorkSpacesError as error:
                yield TriggerEvent({"ending": "", "message": str(error), "exit_code": 1})
                return
            else:
                code = EXIT_CODES[result.ending]
                yield TriggerEvent({"ending": result.ending, "message": result.message, "exit_code": code})
                return


class RollOutOperator(BaseOperator):
    """Waits for a roll-out in the triggerer, and fails unless it ends complete.

    With `retries`, Airflow begins it again: it goes on where the journal ends.

    Args:
        manifest: The manifest's path.
        journal: The URL or path of the journal, one for each roll-out.
        **settings: What every operator takes.
    """

    template_fields = ("manifest", "journal")

    def __init__(self, *, manifest: str, journal: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.manifest = manifest
        self.journal = journal

    def execute(self, context: Mapping[str, Any]) -> None:
        """Hand over to the triggerer."""
        self.defer(trigger=RollOutTrigger(self.manifest, self.journal), method_name="ended")

    def ended(self, context: Mapping[str, Any], event: Mapping[str, Any]) -> str:
        """Return the ending, which other tasks can read.

        Raises:
            AirflowException: The roll-out did not end complete.
        """
        if event["exit_code"]:
            raise AirflowException(
                f"the roll-out ended {event['ending'] or 'with an error'}: {event['message']}"
            )
        return str(event["ending"])
