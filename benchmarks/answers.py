"""The answers that the benchmark's server gives, as bytes made once."""

import json
from typing import Final

REGION: Final = "eu-west-1"
ACCESS_KEY_ID: Final = "AKIDBENCHMARK"
SECRET_ACCESS_KEY: Final = "not-a-secret"
WORKSPACE_ID: Final = "ws-0123456789"
APPLICATION_ID: Final = "wsa-0123456789"
STREAMED_APPLICATION_ID: Final = "wsa-5555555555"
"""The application whose associations fill `STREAMED_PAGES` pages; those of any other fill one."""

PAGE: Final = 25
STREAMED_PAGES: Final = 4000
STAGED: Final = "PENDING_INSTALL_DEPLOYMENT"
_CREATED: Final = 1767225600.125


def _association(number: int) -> dict[str, object]:
    association: dict[str, object] = {
        "AssociatedResourceId": f"ws-{number:010d}",
        "AssociatedResourceType": "WORKSPACE",
        "Created": _CREATED + number,
        "LastUpdatedTime": _CREATED + 60 + number,
        "State": "COMPLETED",
        "ApplicationId": APPLICATION_ID,
    }
    if number % 10 == 9:
        association["State"] = "ERROR"
        association["StateReason"] = {
            "ErrorCode": "DeploymentError.WorkspaceUnreachable",
            "ErrorMessage": "The WorkSpace could not be reached.",
        }
    return association


def _workspace(number: int) -> dict[str, object]:
    return {
        "WorkspaceId": f"ws-{number:010d}",
        "DirectoryId": "d-9067000000",
        "UserName": f"user{number}",
        "IpAddress": f"10.0.0.{number}",
        "State": "AVAILABLE",
        "BundleId": "wsb-0123456789",
        "SubnetId": "subnet-0123456789abcdef0",
        "ComputerName": f"WSAMZN-{number:08X}",
        "VolumeEncryptionKey": "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555",
        "UserVolumeEncryptionEnabled": True,
        "RootVolumeEncryptionEnabled": True,
        "WorkspaceProperties": {
            "RunningMode": "AUTO_STOP",
            "RunningModeAutoStopTimeoutInMinutes": 60,
            "RootVolumeSizeGib": 175,
            "UserVolumeSizeGib": 100,
            "ComputeTypeName": "PERFORMANCE",
            "Protocols": ["WSP"],
            "OperatingSystemName": "WINDOWS_SERVER_2022",
        },
        "ModificationStates": [],
        "RelatedWorkspaces": [],
        "DataReplicationSettings": {"DataReplication": "NO_REPLICATION"},
        "StandbyWorkspacesProperties": [],
    }


def _bytes(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


ANSWERS: Final = {
    "DescribeApplicationAssociations": _bytes({"Associations": [_association(n) for n in range(PAGE)]}),
    "DescribeWorkspaces": _bytes({"Workspaces": [_workspace(n) for n in range(PAGE)]}),
    "AssociateWorkspaceApplication": _bytes(
        {
            "Association": {
                "AssociatedResourceId": APPLICATION_ID,
                "AssociatedResourceType": "APPLICATION",
                "Created": _CREATED,
                "LastUpdatedTime": _CREATED,
                "State": STAGED,
                "WorkspaceId": WORKSPACE_ID,
            }
        }
    ),
}
"""The answer by operation."""


def streamed_page(number: int) -> bytes:
    """A page of the long listing, which names the next one; numbered from 0."""
    page: dict[str, object] = {
        "Associations": [_association(number * PAGE + position) for position in range(PAGE)]
    }
    if number + 1 < STREAMED_PAGES:
        page["NextToken"] = str(number + 1)
    return _bytes(page)
