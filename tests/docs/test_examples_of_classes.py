"""Each public class that users construct shows how, and the example in its docstring runs."""

import doctest
import importlib
import inspect
from enum import Enum
from pathlib import Path
from typing import Final

import pytest

from tests.docs.pages import fleet
from workspaces_apps.types import RECORDS

FACES: Final = (
    "workspaces_apps",
    "workspaces_apps.distributed",
    "workspaces_apps.rollout",
    "workspaces_apps.rollout.report",
    "workspaces_apps.simulator",
    "workspaces_apps.types",
)

NOT_CONSTRUCTED: Final = {
    "AllDeployed": "a wait gives it",
    "Apply": "`Rollout.apply` gives it",
    "Assumption": "`ASSUMPTIONS` holds the rows",
    "BatchResult": "generated results inherit from it",
    "ControlReader": "an apply makes it, with the place of its journal",
    "ControlRecord": "`write_control` writes it",
    "ControlState": "a `ControlReader` gives it",
    "DeploymentWatch": "`watch_deployment` gives it",
    "Fault": "`sim.faults.add` makes it",
    "Faults": "`sim.faults` is one",
    "Fleet": "`sim.fleet` is one",
    "Headers": "`ResponseMeta.headers` is one",
    "Input": "generated structures inherit from it",
    "ItemIterator": "iterating over a `Paginated` makes it",
    "Items": "annotates lists in results, which hold tuples",
    "Many": "annotates parameters, which take any sequence or set",
    "Model": "generated shapes inherit from it",
    "OperationSpec": "generated operations hold it",
    "PageIterator": "`Paginated.pages` makes it",
    "PageResult": "generated results inherit from it",
    "PageSpec": "generated operations hold it",
    "Paginated": "an operation that pages gives it",
    "Recorder": "`sim.requests` is one",
    "Request": "generated requests inherit from it",
    "Result": "generated results inherit from it",
    "workspaces_apps.types.Rule": "generated operations hold it",
}
"""Public classes that users only read or name, each with the reason; beside records, which are listed in `RECORDS`."""


def public_classes() -> dict[str, type]:
    """Return each public handwritten class by its name, and by its full one where two have the same."""
    found: dict[str, type] = {}
    for face in FACES:
        module = importlib.import_module(face)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and not value.__module__.startswith("workspaces_apps.api"):
                known = found.setdefault(name, value)
                if known is not value:
                    found[f"{face}.{name}"] = value
    return found


def is_constructed(one: type) -> bool:
    """Tell if users may construct a class: no error, enum, protocol or record."""
    is_protocol: bool = getattr(one, "_is_protocol", False)
    return not (is_protocol or one in RECORDS or issubclass(one, BaseException | Enum))


PUBLIC: Final = public_classes()
CLASSES: Final = {name for name, one in PUBLIC.items() if is_constructed(one)}
SHOWN: Final = sorted(
    name for name, one in PUBLIC.items() if "\nExamples:\n" in inspect.cleandoc(one.__doc__ or "")
)


def test_classes_that_users_construct_have_an_example() -> None:
    """Every public class has one, unless the reason against it is written down."""
    assert len(SHOWN) > 30
    assert sorted(CLASSES - set(SHOWN)) == sorted(NOT_CONSTRUCTED)


@pytest.mark.parametrize("name", SHOWN)
def test_the_example_constructs_the_class_and_runs(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It imports all that it needs; those with a client run against a simulated fleet, in simulated time."""
    text = inspect.cleandoc(PUBLIC[name].__doc__ or "")
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    said: list[str] = []
    monkeypatch.chdir(tmp_path)

    with fleet(monkeypatch, workspaces=3) as sim:
        example.globs["workspace_ids"] = sim.fleet.workspace_ids
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append, clear_globs=False)

    assert "".join(said) == ""
    assert f"{name}(" in text or f"{name}." in text or f": {name} =" in text
