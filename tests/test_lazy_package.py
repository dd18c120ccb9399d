"""The package as a namespace: every name is there, and costs nothing until it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import workspaces_apps
from workspaces_apps import api

NAMESPACES = [workspaces_apps, api]
HEAVY = {"aiohttp", "aiobotocore", "botocore", "jinja2", "pydantic", "pydantic_core", "tenacity"}
FAMILIES = {
    f"workspaces_apps.api.{path.stem}"
    for path in Path(api.__file__).parent.glob("*.py")
    if path.stem not in {"__init__", "errors", "founding", "shared"}
}

RACE = """
import importlib, sys, threading
sys.setswitchinterval(1e-6)
import workspaces_apps, workspaces_apps.api as api
start, trouble = threading.Barrier(24), []

def use(number):
    start.wait()
    try:
        for place in (workspaces_apps, api):
            names = sorted(place.__all__)
            for name in names[number * 7 % len(names):] + names[:number * 7 % len(names)]:
                found = getattr(place, name)
                if getattr(place, name) is not found:
                    trouble.append(f"{name} is not always the same")
        state = api.DescribeWorkspaceAssociationsResult.from_wire(
            b'{"Associations": [{"AssociatedResourceId": "wsa-1", "WorkspaceId": "ws-1", "State": "NEW"}]}'
        ).associations[0].state
        if state is not api.AssociationState("NEW") or hash(api.Tag(key="a")) != hash(api.Tag(key="a")):
            trouble.append("wrong result")
        for name in sorted(api.__all__):
            model = getattr(api, name)
            if name.endswith("Result"):
                try:
                    model.from_wire(b"{}").to_wire()
                except ValueError:
                    pass
    except BaseException as error:
        trouble.append(repr(error))

threads = [threading.Thread(target=use, args=(number,)) for number in range(24)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*trouble, sep="\\n")
"""


def run(script: str) -> str:
    """The output of a fresh interpreter."""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def loaded_by(statement: str) -> set[str]:
    """The modules that a statement loads in a fresh interpreter, beside those that Python starts with."""
    return set(
        run(
            f"import sys; before = set(sys.modules); {statement}; print(*(sys.modules.keys() - before))"
        ).split()
    )


@pytest.mark.parametrize(
    "statement",
    [
        "import workspaces_apps",
        "from workspaces_apps import WorkSpacesClient, WorkSpacesError, RequestValidationError",
        "from workspaces_apps import ClientConfig, Credentials",
        "import workspaces_apps.api",
        "import workspaces_apps; dir(workspaces_apps)",
    ],
)
def test_an_import_loads_nothing_heavy(statement: str) -> None:
    """Neither the package, nor the client, its settings or the errors bring the HTTP stack or pydantic."""
    loaded = loaded_by(statement)

    assert "workspaces_apps" in loaded
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    assert loaded & FAMILIES == set()


@pytest.mark.parametrize("name", ["WorkSpacesError", "AssociationState"])
def test_a_name_loads_no_asyncio(name: str) -> None:
    """Nobody pays for an event loop before there is one."""
    assert "asyncio" not in loaded_by(f"from workspaces_apps import {name}")


@pytest.mark.parametrize(
    "statement,family",
    [
        ("from workspaces_apps import AssociationState", "applications"),
        ("from workspaces_apps.api import AssociationState", "applications"),
        ("from workspaces_apps.api import IpRuleItem", "ip_groups"),
    ],
)
def test_a_shape_loads_one_family(statement: str, family: str) -> None:
    """The first use of a shape loads pydantic and the family that the shape is of, and no other."""
    loaded = loaded_by(statement)

    assert "pydantic" in loaded
    assert loaded & FAMILIES == {f"workspaces_apps.api.{family}"}
    assert not {"aiohttp", "botocore", "tenacity"} & {name.partition(".")[0] for name in loaded}


def test_a_roll_out_loads_no_template_engine() -> None:
    """Jinja2 is for the HTML page of a report, and comes with the first of them."""
    loaded = loaded_by("from workspaces_apps.rollout import Report; Report.from_events([]).to_text()")

    assert "workspaces_apps.rollout.report" in loaded
    assert "jinja2" not in loaded


def test_a_modelled_error_loads_no_pydantic() -> None:
    """Somebody who only catches errors pays for errors."""
    loaded = loaded_by("from workspaces_apps import ResourceNotFoundException, ThrottlingException")

    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()


@pytest.mark.parametrize("namespace", NAMESPACES, ids=lambda namespace: namespace.__name__)
def test_every_name_is_there(namespace: object) -> None:
    """Every name in `__all__` resolves, once and for good, is in `dir()`, and is named once."""
    names: list[str] = getattr(namespace, "__all__")  # noqa: B009 - a module known by its object only

    for name in names:
        assert getattr(namespace, name) is getattr(namespace, name)
    assert set(names) <= set(dir(namespace))
    assert len(names) == len(set(names))
    assert len(dir(namespace)) == len(set(dir(namespace)))


@pytest.mark.parametrize("namespace", NAMESPACES, ids=lambda namespace: namespace.__name__)
def test_no_other_name_is_there(namespace: object) -> None:
    """A name that does not exist is an AttributeError that names it, and `hasattr` says no."""
    assert not hasattr(namespace, "WorkspacesClient")
    with pytest.raises(AttributeError, match="has no attribute 'WorkspacesClient'"):
        getattr(namespace, "WorkspacesClient")  # noqa: B009 - it is not there for checkers either


@pytest.mark.parametrize("namespace", NAMESPACES, ids=lambda namespace: namespace.__name__)
def test_the_tables_agree(namespace: object) -> None:
    """The names that type checkers see, those of `__all__`, and those found at run time are the same."""
    homes: dict[str, str] = getattr(namespace, "_HOMES")  # noqa: B009 - checkers do not see the table
    names: list[str] = getattr(namespace, "__all__")  # noqa: B009 - a module known by its object only

    assert homes.keys() == set(names) - {"__version__"}
    assert homes.keys() == names_for_checkers(str(getattr(namespace, "__file__", "")))


def names_for_checkers(path: str) -> set[str]:
    """The names that a package imports under `if TYPE_CHECKING:`, those behind a star included."""
    found: set[str] = set()
    for node in ast.parse(Path(path).read_text("utf-8")).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                assert isinstance(line, ast.ImportFrom)
                found.update(alias.asname or alias.name for alias in line.names)
    if "*" in found:
        from workspaces_apps.api import founding

        found = (found - {"*"}) | set(founding.__all__)
    return found


def test_a_star_import_brings_all() -> None:
    """`from workspaces_apps import *` works, and brings what `__all__` says."""
    printed = run(
        "from workspaces_apps import *; import workspaces_apps; print(set(workspaces_apps.__all__) <= set(dir()))"
    )

    assert printed.strip() == "True"


def test_names_and_models_can_be_used_first_by_many_threads() -> None:
    """24 threads that race for every name, and for the first use of the models behind them, all succeed."""
    assert run(RACE).strip() == ""
