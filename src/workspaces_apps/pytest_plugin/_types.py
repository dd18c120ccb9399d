"""Names for the annotations of the fixtures, imported when somebody looks at the hints."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workspaces_apps import WorkSpacesClient
    from workspaces_apps.simulator import ManualClock, Simulator

__all__ = ["ManualClock", "Simulator", "WorkSpacesClient"]

if not TYPE_CHECKING:
    import importlib

    _MODULES = {
        "ManualClock": "workspaces_apps.simulator",
        "Simulator": "workspaces_apps.simulator",
        "WorkSpacesClient": "workspaces_apps",
    }

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_MODULES[name]), name)
