"""Roll-outs over many targets on several machines: jobs on PostgreSQL, one for each target, carried out by workers.

The engine is procrastinate, which needs nothing but the database that holds the journals too. A worker that dies loses
nothing: another one takes its targets over within seconds, and goes on where their journals end.

    run = await submit(Manifest.load("office.toml"), database=url)
    await Worker(url).run()
    report = await Report.load(url, run=run)

Needs the extra ``distributed``.
"""

from workspaces_apps.distributed._runs import (
    RunInfo,
    RunState,
    RunStatus,
    TargetStatus,
    command,
    runs,
    status,
    submit,
)
from workspaces_apps.distributed._worker import Clients, Worker
from workspaces_apps.rollout.report import Report

__all__ = [
    "Clients",
    "Report",
    "RunInfo",
    "RunState",
    "RunStatus",
    "TargetStatus",
    "Worker",
    "command",
    "runs",
    "status",
    "submit",
]
