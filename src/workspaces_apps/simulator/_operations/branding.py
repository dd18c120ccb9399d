"""The look of a directory's client application: stored and described."""

from typing import Final

from workspaces_apps.simulator._operations.call import Call, Family
from workspaces_apps.simulator._wire import JsonObject, JsonValue, Parameters

_FAMILY: Final = "branding"
_PLATFORMS: Final = (
    "DeviceTypeWindows",
    "DeviceTypeOsx",
    "DeviceTypeAndroid",
    "DeviceTypeIos",
    "DeviceTypeLinux",
    "DeviceTypeWeb",
)
_LOGOS: Final = {"Logo": "LogoUrl", "Logo2x": "Logo2xUrl", "Logo3x": "Logo3xUrl"}


def import_client_branding(call: Call, parameters: Parameters) -> JsonObject:
    """Set the look on some platforms; logos are described by an address, and not kept."""
    directory = call.store.directory(parameters.text("ResourceId"))
    look = call.store.collection(_FAMILY).items.setdefault(directory.id, {})
    answer: JsonObject = {}
    for platform in _PLATFORMS:
        section = parameters.section(platform)
        if section is not None:
            described: dict[str, JsonValue] = {
                _LOGOS.get(name, name): f"https://logos.example.com/{directory.id}/{platform}/{name}.png"
                if name in _LOGOS
                else value
                for name, value in section.raw.items()
            }
            look[platform] = answer[platform] = described
    return answer


def describe_client_branding(call: Call, parameters: Parameters) -> JsonObject:
    """The look."""
    directory = call.store.directory(parameters.text("ResourceId"))
    return dict(call.store.collection(_FAMILY).items.get(directory.id, {}))


def delete_client_branding(call: Call, parameters: Parameters) -> JsonObject:
    """Go back to AWS's look on some platforms."""
    directory = call.store.directory(parameters.text("ResourceId"))
    look = call.store.collection(_FAMILY).items.get(directory.id, {})
    for platform in parameters.texts("Platforms"):
        look.pop(platform, None)
    return {}


BRANDING: Final[Family] = {
    "DeleteClientBranding": delete_client_branding,
    "DescribeClientBranding": describe_client_branding,
    "ImportClientBranding": import_client_branding,
}
