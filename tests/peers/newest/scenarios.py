"""Scenarios for the newest boto3: `python scenarios.py json|cbor SCENARIO` prints one line of JSON.

It runs in an environment of its own, which has neither this package nor its tests.
"""

import gzip
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import boto3.session
import botocore
import botocore.config
import botocore.exceptions
import botocore.loaders
import botocore.session

PROTOCOLS = {"json": "json", "cbor": "smithy-rpc-v2-cbor"}


def client_of(protocol: str, folder: Path) -> Any:
    """Make a client whose model has no other protocol."""
    source = Path(botocore.__file__).parent / "data" / "workspaces" / "2015-04-08"
    version = folder / "workspaces" / "2015-04-08"
    shutil.copytree(source, version)
    packed = version / "service-2.json.gz"
    document = json.loads(gzip.decompress(packed.read_bytes()))
    document["metadata"].update(protocol=PROTOCOLS[protocol], protocols=[PROTOCOLS[protocol]])
    packed.write_bytes(gzip.compress(json.dumps(document).encode()))
    session: Any = botocore.session.Session()
    session.register_component("data_loader", botocore.loaders.Loader(extra_search_paths=[str(folder)]))
    retries = botocore.config.Config(retries={"total_max_attempts": 3})
    maker: Any = boto3.session.Session(botocore_session=session)
    return maker.client("workspaces", config=retries)


def refusal(client: Any, operation: str, **members: Any) -> dict[str, Any]:
    """Return class, code and members of an error."""
    try:
        getattr(client, operation)(**members)
    except botocore.exceptions.ClientError as error:
        found: Any = error.response
        return {
            "class": type(error).__name__,
            "code": found["Error"]["Code"],
            "resource": found.get("ResourceId"),
            "attempts": found["ResponseMetadata"]["RetryAttempts"],
        }
    return {}


def pages(client: Any) -> Any:
    """List the fleet with the paginator."""
    found = list(client.get_paginator("describe_workspaces").paginate(PaginationConfig={"PageSize": 7}))
    return [len(page["Workspaces"]) for page in found]


def errors(client: Any) -> Any:
    """Refusals with and without members, modelled and not."""
    return [
        refusal(client, "deploy_workspace_applications", WorkspaceId="ws-00000000"),
        refusal(client, "describe_applications", MaxResults=99),
    ]


def dates(client: Any) -> Any:
    """The year of an application."""
    return client.describe_applications(MaxResults=1)["Applications"][0]["Created"].year


def retries(client: Any) -> Any:
    """The number of retries."""
    return client.describe_workspaces()["ResponseMetadata"]["RetryAttempts"]


def operations(client: Any) -> Any:
    """Stage, deploy, and look."""
    catalogue = client.describe_applications(Owner="AMAZON")["Applications"]
    office = next(one for one in catalogue if one["Name"] == "Microsoft Office LTSC Professional Plus 2021")
    desktop = next(
        one
        for one in client.describe_workspaces()["Workspaces"]
        if one["State"] == "AVAILABLE"
        and one["WorkspaceProperties"]["OperatingSystemName"] == "WINDOWS_SERVER_2022"
        and one["WorkspaceProperties"]["ComputeTypeName"] in office["SupportedComputeTypeNames"]
    )
    both = {"WorkspaceId": desktop["WorkspaceId"], "ApplicationId": office["ApplicationId"]}
    staged = client.associate_workspace_application(**both)["Association"]["State"]
    deployed = client.deploy_workspace_applications(WorkspaceId=desktop["WorkspaceId"])["Deployment"]
    return [staged, *(one["State"] for one in deployed["Associations"])]


def main() -> None:
    """Run one scenario."""
    _, protocol, name = sys.argv
    scenarios = {
        "pages": pages,
        "errors": errors,
        "dates": dates,
        "retries": retries,
        "operations": operations,
    }
    with tempfile.TemporaryDirectory() as folder:
        result = scenarios[name](client_of(protocol, Path(folder)))
    print(json.dumps({"version": boto3.__version__, "result": result}))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
