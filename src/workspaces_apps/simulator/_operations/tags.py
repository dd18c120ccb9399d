"""Tags on anything that has an id, by the service itself and by the Resource Groups Tagging API.

Of the latter `GetResources`, `TagResources` and `UntagResources`, over awsJson 1.1 only: the same tags, by ARN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, check_tags, tags_in
from workspaces_apps.simulator._records import Bundle, Directory, Image, Workspace
from workspaces_apps.simulator._state import Listed, OrderedIndex, RegionStore
from workspaces_apps.simulator._wire import ApiError, JsonObject, JsonValue, Parameters


def create_tags(call: Call, parameters: Parameters) -> JsonObject:
    """Add tags, or change them."""
    resource_id = parameters.text("ResourceId")
    tags = {**call.store.tags_of(resource_id), **tags_in(parameters, call.settings)}
    check_tags(tags, call.settings)
    call.store.set_tags(resource_id, tags)
    return {}


def delete_tags(call: Call, parameters: Parameters) -> JsonObject:
    """Take tags away; keys that are not there are no error."""
    resource_id = parameters.text("ResourceId")
    gone = frozenset(parameters.texts("TagKeys"))
    kept = {key: value for key, value in call.store.tags_of(resource_id).items() if key not in gone}
    call.store.set_tags(resource_id, kept)
    return {}


def describe_tags(call: Call, parameters: Parameters) -> JsonObject:
    """Return the tags of a resource."""
    tags = call.store.tags_of(parameters.text("ResourceId"))
    items: list[JsonValue] = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"TagList": items}


TAGS: Final[Family] = {
    "CreateTags": create_tags,
    "DeleteTags": delete_tags,
    "DescribeTags": describe_tags,
}


SERVICE: Final = "resourcegroupstaggingapi"
"""Its name in botocore."""
_PAGING: Final = frozenset({"PaginationToken", "ResourcesPerPage", "TagsPerPage"})
_PAGE: Final = 100
"""The most resources on a page, and as many if no number is asked for [doc]."""

_TYPES: Final[Mapping[str, str]] = {
    "ws-": "workspace",
    "d-": "directory",
    "wsd-": "directory",
    "wsb-": "workspacebundle",
    "wsi-": "workspaceimage",
    "wsipg-": "workspaceipgroup",
    "wsca-": "connectionalias",
    "wspool-": "workspacespool",
}
"""Id prefix and resource type in an ARN of each kind of resource that has tags [doc]."""


_FAMILIES: Final = {"aliases": "AliasId", "ip-groups": "groupId", "pools": "PoolId"}
"""Families of simple resources that have tags, and the member that holds their id."""


def _kind(resource_id: str) -> str:
    return _TYPES.get(f"{resource_id.partition('-')[0]}-", "")


def _arn(store: RegionStore, resource_id: str) -> str:
    return f"arn:aws:workspaces:{store.region}:{store.account_id}:{_kind(resource_id)}/{resource_id}"


def _id_in(call: Call, arn: str) -> str | None:
    """Return the id that an ARN names in this account and Region; None if nothing there has it."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise _invalid(f"{arn} is not an ARN.")
    kind, _, resource_id = parts[5].partition("/")
    mine = parts[1:5] == ["aws", "workspaces", call.store.region, call.store.account_id]
    known = resource_id in call.store.workspaces or call.store.has_resource(resource_id)
    return resource_id if mine and known and _kind(resource_id) == kind else None


def _id_of(resource: object) -> str:
    match resource:
        case str():
            return resource
        case Workspace() | Directory() | Bundle() | Image():
            return resource.id
        case {"AliasId": str() as found} | {"groupId": str() as found} | {"PoolId": str() as found}:
            return found
        case _:
            return ""


def _everything(store: RegionStore) -> list[Listed[object]]:
    # The indexes that there are anyway: a page costs the same whatever the fleet's size.
    return [
        store.all_workspaces,
        store.directories.order,
        store.bundles.order,
        store.images.order,
        *(store.collection(family).order for family in _FAMILIES),
    ]


def get_resources(call: Call, parameters: Parameters) -> JsonObject:
    """List tagged resources by type and tags, or look some up by ARN; what has no tags is not listed [doc]."""
    arns = parameters.texts("ResourceARNList")
    types = parameters.texts("ResourceTypeFilters")
    filters = [(one.text("Key"), frozenset(one.texts("Values"))) for one in parameters.sections("TagFilters")]
    if arns and (types or filters or "ResourcesPerPage" in parameters):
        raise _invalid("ResourceARNList cannot be combined with another filter or a page size.")
    store = call.store

    def fits(resource: object) -> bool:
        resource_id = _id_of(resource)
        tags = store.tags_of(resource_id)
        return (
            bool(tags)
            and (not types or bool({"workspaces", f"workspaces:{_kind(resource_id)}"} & set(types)))
            and all(key in tags and (not values or tags[key] in values) for key, values in filters)
        )

    indexes = _everything(store)
    if arns:
        named = dict.fromkeys(one for arn in arns if (one := _id_in(call, arn)) is not None)
        chosen: OrderedIndex[str] = OrderedIndex()
        for number, one in enumerate(named, start=1):
            chosen.append(number, one)
        indexes = [chosen]
    # This service has another name for the page token, and an empty one is none.
    request = {name: value for name, value in parameters.raw.items() if name not in _PAGING}
    if token := parameters.maybe_text("PaginationToken"):
        request["NextToken"] = token
    limit = parameters.integer("ResourcesPerPage") or _PAGE
    page = store.pager.page(call.operation, request, indexes, limit, call.now, fits)
    items: list[JsonValue] = [
        {
            "ResourceARN": _arn(store, one),
            "Tags": [{"Key": key, "Value": value} for key, value in store.tags_of(one).items()],
        }
        for one in map(_id_of, page.items)
    ]
    return {"ResourceTagMappingList": items, "PaginationToken": page.next_token or ""}


def _change(call: Call, parameters: Parameters, change: Callable[[str], None]) -> JsonObject:
    """Change the tags of each named resource; those that fail are told one by one, with HTTP 200 [doc]."""
    failed: JsonObject = {}
    for arn in parameters.texts("ResourceARNList"):
        resource_id = _id_in(call, arn)
        if resource_id is None:
            failed[arn] = _failure(ApiError("InvalidParameterException", "There is no such resource."))
            continue
        try:
            change(resource_id)
        except ApiError as error:
            failed[arn] = _failure(error)
    return {"FailedResourcesMap": failed}


def _failure(error: ApiError) -> JsonObject:
    return {
        "StatusCode": error.status,
        "ErrorCode": "InvalidParameterException",
        "ErrorMessage": error.message or error.code,
    }


def tag_resources(call: Call, parameters: Parameters) -> JsonObject:
    """Add tags to resources, or change them."""
    given = parameters.section("Tags") or Parameters({})
    added = {name: given.text(name) for name in given.raw}

    def change(resource_id: str) -> None:
        tags = {**call.store.tags_of(resource_id), **added}
        check_tags(tags, call.settings)
        call.store.set_tags(resource_id, tags)

    return _change(call, parameters, change)


def untag_resources(call: Call, parameters: Parameters) -> JsonObject:
    """Take tags away from resources; keys that are not there are no error."""
    gone = frozenset(parameters.texts("TagKeys"))

    def change(resource_id: str) -> None:
        kept = {key: value for key, value in call.store.tags_of(resource_id).items() if key not in gone}
        call.store.set_tags(resource_id, kept)

    return _change(call, parameters, change)


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)


TAGGING: Final[Family] = {
    "GetResources": get_resources,
    "TagResources": tag_resources,
    "UntagResources": untag_resources,
}
