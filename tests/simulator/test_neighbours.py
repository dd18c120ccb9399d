"""Small parts of other services: the tagging API and GetCallerIdentity, as boto3 asks them."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.peers.boto3_client import new_session
from tests.simulator.peer import Call, bare
from workspaces_apps.simulator import Simulator


def client_of(sim: Simulator, service: str) -> Any:
    """boto3 for another service at the simulator."""
    return new_session().client(
        service,
        endpoint_url=sim.url,
        region_name=sim.region,
        aws_access_key_id=sim.credentials.access_key_id,
        aws_secret_access_key=sim.credentials.secret_access_key,
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def tagging(sim: Simulator) -> Iterator[Any]:
    """The Resource Groups Tagging API."""
    client = client_of(sim, "resourcegroupstaggingapi")
    yield client
    client.close()


def arn(sim: Simulator, kind: str, resource_id: str) -> str:
    """The ARN of a resource of the simulator's account."""
    return f"arn:aws:workspaces:{sim.region}:{sim.account_id}:{kind}/{resource_id}"


def test_tags_are_the_same_by_id_and_by_arn(sim: Simulator, call: Call, tagging: Any) -> None:
    """TagResources, DescribeTags, UntagResources and GetResources see one set of tags."""
    ws = arn(sim, "workspace", sim.fleet.workspace_ids[0])

    done = tagging.tag_resources(ResourceARNList=[ws], Tags={"Ring": "pilot", "Owner": "me"})
    tags = {tag["Key"]: tag["Value"] for tag in call("describe_tags", ResourceId=ws[-12:])["TagList"]}
    tagging.untag_resources(ResourceARNList=[ws], TagKeys=["Owner", "never"])
    (found,) = tagging.get_resources(ResourceARNList=[ws])["ResourceTagMappingList"]

    assert done["FailedResourcesMap"] == {}
    assert (tags["Ring"], tags["Owner"]) == ("pilot", "me")
    assert found["ResourceARN"] == ws
    assert {tag["Key"] for tag in found["Tags"]} == tags.keys() - {"Owner"}


def test_every_tagged_workspace_is_listed_page_by_page(sim: Simulator, tagging: Any) -> None:
    """The paginator of botocore finds each once, and other kinds by their type."""
    pages = list(
        tagging.get_paginator("get_resources").paginate(
            ResourceTypeFilters=["workspaces:workspace"], PaginationConfig={"PageSize": 10}
        )
    )
    found = [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]

    assert [len(page["ResourceTagMappingList"]) for page in pages] == [10, 10, 5]
    assert found == [arn(sim, "workspace", one) for one in sim.fleet.workspace_ids]


def test_filters_are_all_to_be_met(sim: Simulator, call: Call, tagging: Any) -> None:
    """A key, a key with values, and a resource type; what has no tags is not listed."""
    bundle = sim.fleet.bundle_ids[3]
    call("create_tags", ResourceId=bundle, Tags=[{"Key": "Ring", "Value": "pilot"}])
    group = call("create_ip_group", GroupName="g", Tags=[{"Key": "Ring", "Value": "pilot"}])["GroupId"]

    def listed(*types: str, **tag: Any) -> set[str]:
        filters = [{"Key": key, "Values": values} for key, values in tag.items()]
        answer = tagging.get_resources(ResourceTypeFilters=list(types), TagFilters=filters)
        return {one["ResourceARN"] for one in answer["ResourceTagMappingList"]}

    pilots = {one for one in sim.fleet if sim.fleet.workspace(one).tags["Ring"] == "pilot"}
    others = {arn(sim, "workspacebundle", bundle), arn(sim, "workspaceipgroup", group)}
    assert listed("workspaces:workspacebundle") == {arn(sim, "workspacebundle", bundle)}
    assert listed(Ring=["pilot"]) == {arn(sim, "workspace", one) for one in pilots} | others
    assert listed("ec2:instance", Ring=["pilot"]) == set()


def test_what_is_elsewhere_fails_by_itself(sim: Simulator, tagging: Any) -> None:
    """Another account's ARN, an unknown id and a wrong type are told one by one, and the good one is tagged."""
    good = arn(sim, "workspace", sim.fleet.workspace_ids[1])
    bad = [good.replace(sim.account_id, "210987654321"), arn(sim, "workspace", "ws-00000000"), good + "x"]

    answer = tagging.tag_resources(ResourceARNList=[good, *bad], Tags={"a": "b"})

    assert set(answer["FailedResourcesMap"]) == set(bad)
    assert sim.fleet.workspace(sim.fleet.workspace_ids[1]).tags["a"] == "b"


@pytest.mark.parametrize(
    "operation,members,code",
    [
        ("get_resources", {"ResourceARNList": ["arn:aws:x"], "ResourcesPerPage": 5}, "InvalidParameterException"),
        ("get_resources", {"ResourceARNList": ["no arn at all"]}, "InvalidParameterException"),
        ("get_resources", {"PaginationToken": "x"}, "InvalidParameterValuesException"),
        ("get_tag_keys", {}, "UnknownOperationException"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(tagging: Any, operation: str, members: Any, code: str) -> None:
    """Filters that do not go together, what is no ARN, and the rest of that service."""
    with pytest.raises(ClientError) as caught:
        getattr(tagging, operation)(**members)

    response: dict[str, Any] = {**caught.value.response}
    assert response["Error"]["Code"] == code


def test_the_caller_is_told_who_it_is(sim: Simulator) -> None:
    """GetCallerIdentity knows the account; a wrong secret does not get that far."""
    other = sim.add_account("210987654321")
    client = client_of(sim, "sts")

    assert client.get_caller_identity()["Account"] == sim.account_id
    assert client.get_caller_identity()["UserId"] == sim.credentials.access_key_id
    client.close()
    assert other.account_id == "210987654321"


@pytest.mark.parametrize(
    "body,code",
    [("Action=GetCallerIdentity", "MissingAuthenticationTokenException"), ("Action=<&>", "InvalidAction")],
)
def test_the_identity_service_refuses_in_xml(sim: Simulator, body: str, code: str) -> None:
    """Unsigned, or another action."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    status, raw, _ = bare(sim, None, body, headers=headers)

    assert status == 400
    assert f"<Code>{code}</Code>".encode() in raw
