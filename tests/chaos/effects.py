"""Effects that happened twice, as the recorder shows them."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from workspaces_apps.simulator import RequestRecord

CREATING: Final = frozenset({"CreateWorkspaces", "CreateIpGroup"})
_STAGING: Final = {
    "AssociateWorkspaceApplication": "associated",
    "DisassociateWorkspaceApplication": "disassociated",
}
_DEPLOY: Final = "DeployWorkspaceApplications"


def applied(record: RequestRecord) -> bool:
    """Tell if the request was carried out, whatever its caller heard of it."""
    cut = record.status is None and record.error is None and record.fault != "reset_before"
    return record.status == 200 or cut


def open_to_the_client(record: RequestRecord) -> bool:
    """Tell if the client cannot know from the answer that the request was not carried out."""
    return record.status is None or record.status == 200 or record.status >= 500


def repeated_creations(records: Iterable[RequestRecord]) -> list[str]:
    """Creations that were sent again after one that may have been carried out; each has a name of its own."""
    done: set[str] = set()
    found: list[str] = []
    for record in records:
        if record.operation in CREATING:
            key = f"{record.operation} {json.dumps(record.parameters, sort_keys=True)}"
            if key in done:
                found.append(key)
            if open_to_the_client(record):
                done.add(key)
    return found


def repeated_deployments(records: Iterable[RequestRecord]) -> list[str]:
    """Deployments that were asked for although nothing had been staged since one that was carried out.

    The service refuses most of those because the WorkSpace is being updated; they count all the same.
    """
    deployed: set[str] = set()
    found: list[str] = []
    for record in records:
        workspace = str((record.parameters or {}).get("WorkspaceId"))
        if record.operation in _STAGING and applied(record):
            deployed.discard(workspace)
        elif record.operation == _DEPLOY:
            if workspace in deployed:
                found.append(workspace)
            if applied(record):
                deployed.add(workspace)
    return found


def repeated_stagings(records: Iterable[RequestRecord]) -> list[str]:
    """Associations that were made, or taken back, twice in a row."""
    last: defaultdict[tuple[str, str], str] = defaultdict(lambda: "disassociated")
    found: list[str] = []
    for record in filter(applied, records):
        if record.operation is not None and record.operation in _STAGING:
            members = record.parameters or {}
            key = (str(members.get("WorkspaceId")), str(members.get("ApplicationId")))
            change = _STAGING[record.operation]
            if last[key] == change:
                found.append(f"{key[1]} on {key[0]} {change} twice")
            last[key] = change
    return found
