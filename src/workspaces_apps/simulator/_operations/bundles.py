"""Bundles: what new WorkSpaces are made of."""

from typing import Final

from workspaces_apps.simulator._catalogue import AMAZON
from workspaces_apps.simulator._operations.call import Call, Family, listing, tags_in
from workspaces_apps.simulator._paging import index_of
from workspaces_apps.simulator._records import Association, Bundle
from workspaces_apps.simulator._wire import ApiError, JsonObject, Parameters, invalid, not_found


def describe_workspace_bundles(call: Call, parameters: Parameters) -> JsonObject:
    """Bundles by id, or by owner: AMAZON, or the account's own when none is named [doc]."""
    ids = parameters.texts("BundleIds")
    owner = parameters.maybe_text("Owner")
    if ids and owner is not None:
        raise invalid("BundleIds cannot be combined with another filter.")
    index = call.store.all_bundles
    if ids:
        chosen = (call.store.bundles.get(one) for one in dict.fromkeys(ids))
        index = index_of((one for one in chosen if one is not None), lambda one: one.sequence)
    wanted = owner or call.store.account_id
    page = call.page(parameters, [index], None if ids else lambda bundle: bundle.owner == wanted)
    return listing("Bundles", [_describe(item) for item in page.items], page.next_token)


def _describe(bundle: Bundle) -> JsonObject:
    return {
        "BundleId": bundle.id,
        "Name": bundle.name,
        "Owner": bundle.owner,
        "Description": bundle.description,
        "ImageId": bundle.image_id,
        "RootStorage": {"Capacity": str(bundle.root_gib)},
        "UserStorage": {"Capacity": str(bundle.user_gib)},
        "ComputeType": {"Name": bundle.compute},
        "LastUpdatedTime": bundle.updated,
        "CreationTime": bundle.created,
        "State": bundle.state,
        "BundleType": "REGULAR",
    }


def create_workspace_bundle(call: Call, parameters: Parameters) -> JsonObject:
    """Make a bundle of an image."""
    store = call.store
    image = store.images.get(parameters.text("ImageId"))
    if image is None:
        raise not_found("image", parameters.text("ImageId"))
    if image.state != "AVAILABLE":
        raise ApiError(
            "ResourceUnavailableException", f"The image is {image.state}.", members={"ResourceId": image.id}
        )
    name = parameters.text("BundleName")
    if any(bundle.name == name and bundle.owner == store.account_id for bundle in store.all_bundles):
        raise ApiError("ResourceAlreadyExistsException", f"There is a bundle named {name} already.")
    tags = tags_in(parameters, call.settings)
    compute = parameters.section("ComputeType")
    user, root = parameters.section("UserStorage"), parameters.section("RootStorage")
    bundle = Bundle(
        id=store.new_id("wsb-"),
        name=name,
        owner=store.account_id,
        description=parameters.text("BundleDescription"),
        image_id=image.id,
        compute=(compute.maybe_text("Name") if compute is not None else None) or "STANDARD",
        operating_system=image.operating_system,
        protocol="WSP",
        root_gib=_capacity(root, 80),
        user_gib=_capacity(user, 50),
        created=call.now,
        updated=call.now,
        sequence=store.number(),
    )
    store.add_bundle(bundle)
    store.set_tags(bundle.id, tags)
    copy_associations(call, image.id, bundle.id)
    return {"WorkspaceBundle": _describe(bundle)}


def copy_associations(call: Call, image_id: str, bundle_id: str) -> None:
    """Let a bundle bring what its image brings."""
    for association in list(call.store.resource_associations.get(image_id, {}).values()):
        call.store.add_association(
            Association(
                resource_id=bundle_id,
                resource_type="BUNDLE",
                application_id=association.application_id,
                state="COMPLETED",
                direction=None,
                before="COMPLETED",
                created=call.now,
                updated=call.now,
                sequence=call.store.number(),
            )
        )


def _capacity(storage: Parameters | None, default: int) -> int:
    if storage is None:
        return default
    text = storage.text("Capacity")
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise invalid("Capacity is a number of GiB.")
    return int(text)


def _own(call: Call, parameters: Parameters) -> Bundle:
    bundle_id = parameters.maybe_text("BundleId")
    bundle = call.store.bundles.get(bundle_id or "")
    if bundle is None:
        raise not_found("bundle", bundle_id or "")
    if bundle.owner == AMAZON:
        raise ApiError("AccessDeniedException", "The bundle belongs to AWS.")
    return bundle


def delete_workspace_bundle(call: Call, parameters: Parameters) -> JsonObject:
    """Delete a bundle that no WorkSpace uses."""
    bundle = _own(call, parameters)
    if bundle.id in call.store.by_bundle:
        raise ApiError("ResourceAssociatedException", "WorkSpaces use the bundle.")
    for association in list(call.store.resource_associations.get(bundle.id, {}).values()):
        call.store.drop_association(association)
    del call.store.bundles[bundle.id]
    call.store.all_bundles.remove(bundle.sequence)
    return {}


def update_workspace_bundle(call: Call, parameters: Parameters) -> JsonObject:
    """Give a bundle another image, with what that brings; WorkSpaces made before stay as they are."""
    bundle = _own(call, parameters)
    image = call.store.images.get(parameters.maybe_text("ImageId") or "")
    if image is None:
        raise not_found("image", parameters.maybe_text("ImageId") or "")
    if image.state != "AVAILABLE":
        raise ApiError(
            "ResourceUnavailableException", f"The image is {image.state}.", members={"ResourceId": image.id}
        )
    for association in list(call.store.resource_associations.get(bundle.id, {}).values()):
        call.store.drop_association(association)
    copy_associations(call, image.id, bundle.id)
    bundle.image_id = image.id
    bundle.operating_system = image.operating_system
    bundle.updated = call.now
    return {}


BUNDLES: Final[Family] = {
    "CreateWorkspaceBundle": create_workspace_bundle,
    "DeleteWorkspaceBundle": delete_workspace_bundle,
    "DescribeWorkspaceBundles": describe_workspace_bundles,
    "UpdateWorkspaceBundle": update_workspace_bundle,
}
