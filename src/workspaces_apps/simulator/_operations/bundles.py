"""Bundles and images: what new WorkSpaces are made of, and who else may copy it."""

from __future__ import annotations

from typing import Final

from workspaces_apps.simulator._catalogue import AMAZON
from workspaces_apps.simulator._operations.call import Call, Family, listing, tags_in
from workspaces_apps.simulator._records import Bundle, Image
from workspaces_apps.simulator._state import RegionStore, index_of
from workspaces_apps.simulator._wire import (
    ApiError,
    JsonObject,
    Parameters,
    invalid,
    not_found,
    not_supported,
)


def describe_workspace_bundles(call: Call, parameters: Parameters) -> JsonObject:
    """List bundles by id, or by owner: AMAZON, or the account's own when none is named [doc]."""
    ids = parameters.texts("BundleIds")
    owner = parameters.maybe_text("Owner")
    if ids and owner is not None:
        raise invalid("BundleIds cannot be combined with another filter.")
    index = call.store.bundles.chosen(ids)
    wanted = owner or call.store.account_id
    page = call.page(parameters, [index], None if ids else lambda bundle: bundle.owner == wanted)
    return listing("Bundles", [_describe_bundle(item) for item in page.items], page.next_token)


def _describe_bundle(bundle: Bundle) -> JsonObject:
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
    image = _available(store, parameters.text("ImageId"))
    name = parameters.text("BundleName")
    if any(bundle.name == name and bundle.owner == store.account_id for bundle in store.bundles.order):
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
    store.bundles.add(bundle.id, bundle.sequence, bundle)
    store.set_tags(bundle.id, tags)
    copy_associations(call, image.id, bundle.id)
    return {"WorkspaceBundle": _describe_bundle(bundle)}


def copy_associations(call: Call, image_id: str, bundle_id: str) -> None:
    """Let a bundle bring what its image brings."""
    for application_id in list(call.store.resource_associations.get(image_id, {})):
        call.store.bring(bundle_id, "BUNDLE", application_id, call.now)


def _capacity(storage: Parameters | None, default: int) -> int:
    if storage is None:
        return default
    text = storage.text("Capacity")
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise invalid("Capacity is a number of GiB.")
    return int(text)


def _own(call: Call, parameters: Parameters) -> Bundle:
    bundle = call.store.bundles.named(parameters.maybe_text("BundleId") or "")
    if bundle.owner == AMAZON:
        raise ApiError("AccessDeniedException", "The bundle belongs to AWS.")
    return bundle


def delete_workspace_bundle(call: Call, parameters: Parameters) -> JsonObject:
    """Delete a bundle that no WorkSpace uses."""
    bundle = _own(call, parameters)
    if bundle.id in call.store.by_bundle:
        raise ApiError("ResourceAssociatedException", "WorkSpaces use the bundle.")
    call.store.drop_associations(bundle.id)
    call.store.bundles.drop(bundle.id)
    return {}


def update_workspace_bundle(call: Call, parameters: Parameters) -> JsonObject:
    """Give a bundle another image, with what that brings; WorkSpaces made before stay as they are."""
    bundle = _own(call, parameters)
    image = _available(call.store, parameters.maybe_text("ImageId") or "")
    call.store.drop_associations(bundle.id)
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


def describe_workspace_images(call: Call, parameters: Parameters) -> JsonObject:
    """List images, the account's own or those shared with it."""
    ids = parameters.texts("ImageIds")
    shared = parameters.maybe_text("ImageType") == "SHARED"
    account = call.store.account_id
    index = call.store.images.chosen(ids)
    page = call.page(parameters, [index], lambda image: (image.owner != account) == shared or bool(ids))
    return listing("Images", [_describe_image(item) for item in page.items], page.next_token)


def _describe_image(image: Image) -> JsonObject:
    return {
        "ImageId": image.id,
        "Name": image.name,
        "Description": image.description,
        "OperatingSystem": {"Type": "WINDOWS" if image.operating_system.startswith("WINDOWS") else "LINUX"},
        "State": image.state,
        "RequiredTenancy": image.tenancy,
        "Created": image.created,
        "OwnerAccountId": image.owner,
    }


def _available(store: RegionStore, image_id: str) -> Image:
    image = store.images.named(image_id)
    if image.state != "AVAILABLE":
        raise ApiError(
            "ResourceUnavailableException", f"The image is {image.state}.", members={"ResourceId": image.id}
        )
    return image


def _new(call: Call, parameters: Parameters, operating_system: str, name_member: str = "Name") -> Image:
    store = call.store
    name = parameters.text(name_member)
    if any(image.name == name for image in store.images.order):
        raise ApiError("ResourceAlreadyExistsException", f"There is an image named {name} already.")
    tags = tags_in(parameters, call.settings)
    image = Image(
        id=store.new_id("wsi-"),
        name=name,
        description=parameters.maybe_text("Description") or parameters.maybe_text("ImageDescription") or name,
        operating_system=operating_system,
        owner=store.account_id,
        created=call.now,
        sequence=store.number(),
        state="PENDING",
    )
    store.images.add(image.id, image.sequence, image)
    store.set_tags(image.id, tags)
    ready = call.now + call.settings.image_duration.draw(store.source)
    store.plan(ready, "image-ready", image.id, image.epoch)
    return image


def create_workspace_image(call: Call, parameters: Parameters) -> JsonObject:
    """Make an image of a WorkSpace, with what is installed on it."""
    workspace = call.store.workspace(parameters.text("WorkspaceId"))
    if workspace.state != "AVAILABLE":
        raise ApiError("InvalidResourceStateException", f"The WorkSpace is {workspace.state}.")
    if (workspace.root_encrypted or workspace.user_encrypted) and not call.settings.encrypted_can_be_imaged:
        raise not_supported("A volume of the WorkSpace is encrypted.", "ENCRYPTED_VOLUME")
    image = _new(call, parameters, workspace.operating_system)
    for association in workspace.associations.values():
        if association.state == "COMPLETED" and call.settings.images_bring_applications:
            call.store.bring(image.id, "IMAGE", association.application_id, call.now)
    return _describe_image(image)


def copy_workspace_image(call: Call, parameters: Parameters) -> JsonObject:
    """Copy an image from a Region, this or another."""
    source_id, region = parameters.text("SourceImageId"), parameters.text("SourceRegion")
    store = call.accounts.peek(call.store.account_id, region)
    if store is None:
        raise not_found("image", source_id)
    return {"ImageId": _copy(call, parameters, _available(store, source_id), store).id}


def create_updated_workspace_image(call: Call, parameters: Parameters) -> JsonObject:
    """Make an image anew, with what AWS has updated."""
    source = call.store.images.named(parameters.text("SourceImageId"))
    if source.state != "AVAILABLE":
        raise ApiError("InvalidResourceStateException", f"The image is {source.state}.")
    return {"ImageId": _copy(call, parameters, source, call.store).id}


def _copy(call: Call, parameters: Parameters, source: Image, there: RegionStore) -> Image:
    brought = list(there.resource_associations.get(source.id, {}))
    image = _new(call, parameters, source.operating_system)
    for application_id in brought:
        call.store.bring(image.id, "IMAGE", application_id, call.now)
    return image


def import_workspace_image(call: Call, parameters: Parameters) -> JsonObject:
    """Bring an image from EC2."""
    return {"ImageId": _new(call, parameters, "WINDOWS_10", "ImageName").id}


def delete_workspace_image(call: Call, parameters: Parameters) -> JsonObject:
    """Delete an image that no bundle uses; DeleteWorkspaceImage has no ResourceNotFoundException [doc]."""
    store = call.store
    image = store.images.get(parameters.text("ImageId"))
    if image is None:
        return {}
    if any(bundle.image_id == image.id for bundle in store.bundles.order):
        raise ApiError("ResourceAssociatedException", "A bundle uses the image.")
    store.drop_associations(image.id)
    store.images.drop(image.id)
    return {}


def describe_workspace_image_permissions(call: Call, parameters: Parameters) -> JsonObject:
    """List the accounts that may copy an image."""
    image = call.store.images.named(parameters.text("ImageId"))
    index = index_of(image.shared_with, lambda account: image.shared_with.index(account) + 1)
    page = call.page(parameters, [index])
    answer = listing(
        "ImagePermissions", [{"SharedAccountId": account} for account in page.items], page.next_token
    )
    answer["ImageId"] = image.id
    return answer


def update_workspace_image_permission(call: Call, parameters: Parameters) -> JsonObject:
    """Let an account copy an image, or no longer."""
    image = call.store.images.named(parameters.text("ImageId"))
    account = parameters.text("SharedAccountId")
    others = [other for other in image.shared_with if other != account]
    image.shared_with = [*others, account] if parameters.flag("AllowCopyImage") else others
    return {}


IMAGES: Final[Family] = {
    "CopyWorkspaceImage": copy_workspace_image,
    "CreateUpdatedWorkspaceImage": create_updated_workspace_image,
    "CreateWorkspaceImage": create_workspace_image,
    "DeleteWorkspaceImage": delete_workspace_image,
    "DescribeWorkspaceImagePermissions": describe_workspace_image_permissions,
    "DescribeWorkspaceImages": describe_workspace_images,
    "ImportWorkspaceImage": import_workspace_image,
    "UpdateWorkspaceImagePermission": update_workspace_image_permission,
}
