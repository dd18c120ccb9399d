"""Tags on anything that has an id."""

from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family, check_tags, tags_in
from workspaces_apps.simulator._wire import JsonObject, JsonValue, Parameters


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
    """The tags of a resource."""
    tags = call.store.tags_of(parameters.text("ResourceId"))
    items: list[JsonValue] = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"TagList": items}


TAGS: Final[Family] = {
    "CreateTags": create_tags,
    "DeleteTags": delete_tags,
    "DescribeTags": describe_tags,
}
