"""The slow things before a first call, done in a thread: imports, validators, botocore's data."""

import importlib

from pydantic import BaseModel

from workspaces_apps import api
from workspaces_apps._http.session import SERVICE, make_session
from workspaces_apps._telemetry.port import load

_DATA = ("endpoints", "partitions", "sdk-default-configuration", "_retry")


def preload(profile: str | None, *, telemetry: bool = True) -> None:
    """Load what clients share; runs without an event loop, so that none has to wait for it.

    Args:
        profile: The profile whose data path counts; None for the environment's.
        telemetry: Whether the client makes spans and metrics, where OpenTelemetry is installed.

    Raises:
        ConfigurationError: The profile does not exist, or a configuration file cannot be read.
    """
    loader = make_session(profile).get_component("data_loader")
    for name in _DATA:
        loader.load_data_with_path(name)
    for kind in ("service-2", "endpoint-rule-set-1"):
        # Said as aiobotocore says it: the loader's cache tells calls apart by how their arguments are given. [seen]
        loader.load_service_model(SERVICE, kind, api_version=None)
    for module in (
        "_retry.attempts",
        "_model.paginator",
        "_model.request_validation",
        "_http.transport",
        "_http.recovery",
    ):
        importlib.import_module(f"workspaces_apps.{module}")
    importlib.import_module("tenacity")
    load(enabled=telemetry)
    for name in api.__all__:
        shape: object = getattr(api, name)
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            shape.model_rebuild()
