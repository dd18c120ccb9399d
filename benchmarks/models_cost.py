"""The cost of models, in a process of its own that is asked line by line. `benchmarks.models` runs it with either package."""

import gc
import json
import sys
import time

_BEGAN = time.process_time()

import workspaces_apps  # noqa: E402 - this is what is measured

_IMPORTED = time.process_time() - _BEGAN

from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Final  # noqa: E402

from benchmarks.answers import ANSWERS  # noqa: E402
from workspaces_apps.api import (  # noqa: E402
    AssociateWorkspaceApplicationRequest,
    CreateWorkspacesRequest,
    DescribeApplicationAssociationsRequest,
    DescribeApplicationAssociationsResult,
    DescribeWorkspacesRequest,
    DescribeWorkspacesResult,
    Tag,
    WorkspaceProperties,
    WorkspaceRequest,
)

IDS: Final = [f"ws-{number:09d}" for number in range(25)]


def many() -> object:
    """Build a request with nested structures, tags, and an enum as a string."""
    return CreateWorkspacesRequest(
        workspaces=[
            WorkspaceRequest(
                directory_id="d-9067000000",
                user_name="ann",
                bundle_id="wsb-0123456789",
                workspace_properties=WorkspaceProperties(running_mode="AUTO_STOP", protocols=["WSP"]),
                tags=[Tag(key="team", value="sales")],
            )
        ]
    )


WORKS: Final[dict[str, tuple[int, Callable[[], object]]]] = {
    "workspaces": (40, lambda: DescribeWorkspacesResult.from_wire(ANSWERS["DescribeWorkspaces"])),
    "associations": (
        100,
        lambda: DescribeApplicationAssociationsResult.from_wire(ANSWERS["DescribeApplicationAssociations"]),
    ),
    "one id": (
        1000,
        lambda: AssociateWorkspaceApplicationRequest(
            workspace_id="ws-0123456789", application_id="wsa-0123456789"
        ),
    ),
    "enums": (
        1000,
        lambda: DescribeApplicationAssociationsRequest(
            application_id="wsa-0123456789", associated_resource_types=["WORKSPACE"], max_results=25
        ),
    ),
    "25 ids": (400, lambda: DescribeWorkspacesRequest(workspace_ids=IDS)),
    "nested": (200, many),
}


def main() -> None:
    """Print what the import took, then answer each name on a line with the seconds of CPU that one takes."""
    package = str(Path(workspaces_apps.__file__).parent)
    print(json.dumps({"import": _IMPORTED, "package": package}), flush=True)
    # A collection in the middle of one run and not of another would be noise.
    gc.disable()
    for line in sys.stdin:
        times, work = WORKS[line.strip()]
        began = time.process_time()
        for _ in range(times):
            work()
        print(json.dumps((time.process_time() - began) / times), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
