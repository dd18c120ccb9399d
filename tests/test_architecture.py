"""The lines between the parts of the package, and what an import of it costs."""

import ast
import importlib
import inspect
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import workspaces_apps
from workspaces_apps.api import AssociationState, WorkspaceState

PACKAGE = "workspaces_apps"
FOLDER = Path(workspaces_apps.__file__).parent

LAYERS = (
    {"cli", "pytest_plugin"},
    {"distributed"},
    {"rollout"},
    {"_client"},
    {"_waiters"},
    {"_reconcile"},
    {"_observe"},
    {"_http"},
    # Below `_http`, because the recovery of an unknown outcome reads the same table of states.
    {"_associations"},
    {"_pacing", "_retry"},
    {"api"},
    {"_model"},
    {"_telemetry"},
    {"_base"},
    # At the bottom, because clock and credentials raise them.
    {"errors"},
)
"""From the top down: a part imports from its own layer and from lower ones, never upwards."""

FACES = {
    "__init__.py",
    "__main__.py",
    "errors.py",
    "types.py",
    "cli/__init__.py",
    "distributed/__init__.py",
    "pytest_plugin/__init__.py",
    "rollout/__init__.py",
    "rollout/report/__init__.py",
    "simulator/__init__.py",
}
"""The handwritten modules that users may import; every other has an underscore on its path."""

# Its credentials are of the class that a client takes.
SIMULATOR_KNOWS = {"simulator", "_base", "_model", "api", "errors"}
KNOWS_SIMULATOR = {"simulator", "cli", "pytest_plugin"}
# It imports nothing by itself: whoever looks up a name in it has it imported then.
NAMES_ONLY = {"types"}
HEAVY = {"aiohttp", "aiobotocore", "botocore", "jinja2", "pydantic", "tenacity"}


def imported_modules(source: str) -> Iterator[str]:
    """Every module that the source names in an import, those for type checkers included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, "relative imports hide the line they cross"
            # `from workspaces_apps import errors` names a part, as `from workspaces_apps.errors import …` does.
            yield from (
                f"{node.module}.{alias.name}" if node.module == PACKAGE else node.module
                for alias in node.names
            )


def part_of(module: str) -> str | None:
    """The part of the package that a dotted name lies in; None outside the package."""
    head, *rest = module.split(".")
    if head != PACKAGE or not rest:
        return None
    is_part = (FOLDER / rest[0]).is_dir() or (FOLDER / f"{rest[0]}.py").is_file()
    if is_part:
        return rest[0]
    # A name of the facade counts as an import from where it really lives.
    home: str = vars(workspaces_apps)["_HOMES"][rest[0]]
    return home.split(".", maxsplit=1)[0]


def crossings() -> set[tuple[str, str]]:
    """Each pair (part that imports, part imported) in the package, its facade `__init__` left out."""
    found: set[tuple[str, str]] = set()
    for path in FOLDER.rglob("*.py"):
        here = path.relative_to(FOLDER).parts[0].removesuffix(".py")
        if here not in {"__init__", "__main__", *NAMES_ONLY}:
            named = map(part_of, imported_modules(path.read_text(encoding="utf-8")))
            found.update(
                (here, there)
                for there in named
                if there is not None and there != here and there not in NAMES_ONLY
            )
    return found


def is_allowed(importer: str, imported: str) -> bool:
    """Tell if the house plan lets the one part know the other."""
    if importer == "simulator":
        return imported in SIMULATOR_KNOWS
    if imported == "simulator":
        return importer in KNOWS_SIMULATOR
    depth = {part: number for number, layer in enumerate(LAYERS) for part in layer}
    return importer in depth and imported in depth and depth[importer] <= depth[imported]


def test_every_part_has_its_place() -> None:
    """A module or folder that no layer names fails here, so that its place is decided on purpose."""
    parts = {
        path.stem
        for path in FOLDER.iterdir()
        if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
    }

    assert parts - {"__init__", "__main__", "simulator", *NAMES_ONLY} <= set().union(*LAYERS)


def test_imports_run_one_way() -> None:
    """No part imports from a part above it, and only the outermost parts know the simulator."""
    assert crossings()
    assert sorted(pair for pair in crossings() if not is_allowed(*pair)) == []


@pytest.mark.parametrize(
    "importer,imported",
    [
        ("errors", "_client"),
        ("_retry", "_http"),
        ("simulator", "_client"),
        ("_waiters", "simulator"),
        ("_observe", "_reconcile"),
        ("_reconcile", "rollout"),
        ("simulator", "_associations"),
        ("rollout", "distributed"),
    ],
)
def test_the_rule_refuses_what_it_should(importer: str, imported: str) -> None:
    """The check itself tells a wrong line from a right one."""
    assert not is_allowed(importer, imported)
    assert is_allowed("cli", "simulator")
    assert is_allowed("_client", "_retry")


def test_what_users_may_not_import_has_an_underscore_on_its_path() -> None:
    """Only the faces and the generated shapes can be mistaken for something to import."""
    open_to_all = {
        path.relative_to(FOLDER).as_posix()
        for path in FOLDER.rglob("*.py")
        if not any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(FOLDER).parts)
        and path.relative_to(FOLDER).parts[0] != "api"
    }

    assert open_to_all <= FACES


MIRRORED = {part.removeprefix("_") for layer in (*LAYERS, {"simulator"}) for part in layer} - {
    "errors",
    "api",
}
"""The parts with a folder of tests; errors are what the others raise, and `api` is tested with `_model`."""


@pytest.mark.checkout
def test_the_folders_of_tests_mirror_the_package() -> None:
    """Each part has its folder, and the line at its top says what it tests."""
    tests = Path(__file__).parent
    openings = {
        part: ast.get_docstring(ast.parse((tests / part / "__init__.py").read_text(encoding="utf-8"))) or ""
        for part in MIRRORED
    }

    assert {part for part, opening in openings.items() if f"{part}`" not in opening} == set()


def test_import_loads_nothing_heavy() -> None:
    """`import workspaces_apps` loads no HTTP stack, no botocore, no pydantic, no tenacity, no Jinja2."""
    script = f"import {PACKAGE}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert {name.partition(".")[0] for name in loaded.split()} & HEAVY == set()


@pytest.mark.parametrize(
    "face", ["", ".distributed", ".errors", ".rollout", ".rollout.report", ".simulator", ".types"]
)
def test_public_classes_say_where_users_import_them_from(face: str) -> None:
    """A pickle or a traceback names no inner module, and survives when one moves."""
    module = importlib.import_module(f"{PACKAGE}{face}")
    classes = [found for name in module.__all__ if inspect.isclass(found := getattr(module, name))]

    assert classes
    assert [one for one in classes if "._" in one.__module__] == []
    assert all(pickle.loads(pickle.dumps(one)) is one for one in classes)


PAGE = Path(__file__).parent.parent / "ARCHITECTURE.md"


def test_deploy_is_called_in_one_place() -> None:
    """Whoever wants a deployment asks the reconciler, whose guard stands before every attempt."""
    callers = {
        path.relative_to(FOLDER).as_posix()
        for path in FOLDER.rglob("*.py")
        if path.relative_to(FOLDER).parts[0] not in {"api", "simulator"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "deploy_workspace_applications"
    }

    assert callers == {"_reconcile/writes.py"}


REAL_TIME = {
    "_base/clock.py": "the clocks themselves: a limit and a sleep by the system's",
    "_base/logs.py": "a line of the log, for whoever wonders what a call waits for",
    "_http/signing.py": "credentials end in real time, whatever the client's clock shows",
    "cli/_console.py": "a screen, for eyes",
    "cli/_programs.py": "programs of the operating system",
    "distributed/_runs.py": "a screen that follows runs of other machines",
    "cli/_status.py": "programs of the operating system",
    "distributed/_worker.py": "a queue in PostgreSQL, and other machines",
    "pytest_plugin/_watched.py": "a thread of real time, which looks at the simulated one",
    "rollout/_apply.py": "leases and the control record, which other machines go by",
    "rollout/_journal/lines.py": "a group of lines on the way to a disk",
    "rollout/_journal/postgresql.py": "renewals of leases, which wait for each other",
    "rollout/_journal/segments.py": "leases, which other machines go by",
    "simulator/_clocks.py": "the simulator's clocks, which real time drives",
    "simulator/_server.py": "sockets of a server, and the start of its thread",
}
"""The modules that wait or bound a wait in real time, each with the reason; all others do by the client's clock."""

ASYNCIO_WAITS = {"sleep", "timeout", "timeout_at", "wait_for"}
DEFAULTS_TO_REAL_TIME = {"_client/client.py", "_model/paginator.py", "rollout/_rollout.py"}
"""The modules that take a clock from their callers, and the system's where there is none."""


def waits_in_real_time(tree: ast.Module) -> Iterator[str]:
    """Everything in a module that sleeps, or bounds a sleep, by no clock or by the system's."""
    yielding = {
        id(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and [ast.unparse(one) for one in node.args] == ["0"]
    }
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="asyncio" | "time" as module), attr=name) if (
                name in ASYNCIO_WAITS and id(node) not in yielding
            ):
                yield f"{module}.{name}"
            case ast.ImportFrom(module="asyncio" | "time" as module, names=names):
                yield from (f"{module}.{one.name}" for one in names if one.name in ASYNCIO_WAITS | {"wait"})
            case ast.Call(func=ast.Attribute(value=of, attr="call_later" | "call_at" as name)) if (
                name == "call_later" or "loop" in ast.unparse(of)
            ):
                yield name
            case ast.Call(func=ast.Attribute(attr="wait"), args=args, keywords=keywords) if any(
                one.arg == "timeout" for one in keywords
            ) or (args and not ast.unparse(node.func).startswith("asyncio.")):
                yield "wait"
            case ast.Call(func=ast.Name(id="SystemClock")):
                yield "SystemClock()"
            case _:
                pass


def test_waits_go_by_the_clock() -> None:
    """Waits in real time are on a list with the reasons: no test could advance them."""
    found = {
        path.relative_to(FOLDER).as_posix(): waits
        for path in FOLDER.rglob("*.py")
        if (waits := {*waits_in_real_time(ast.parse(path.read_text(encoding="utf-8")))})
    }

    assert {place for place in DEFAULTS_TO_REAL_TIME if found.pop(place) != {"SystemClock()"}} == set()
    assert found.keys() == REAL_TIME.keys(), found


@pytest.mark.parametrize(
    "wait,is_one",
    [
        ("await asyncio.wait([work], timeout=3)", True),
        ("async with asyncio.timeout(3): pass", True),
        ("await asyncio.wait_for(work, 3)", True),
        ("sleep = asyncio.sleep", True),
        ("from asyncio import wait_for", True),
        ("get_running_loop().call_at(3, wake)", True),
        ("stopped.wait(3)", True),
        ("sleep_or(SystemClock(), 3, stopped)", True),
        ("await asyncio.sleep(0)", False),
        ("await asyncio.wait([work])", False),
        ("subscription.call_at(3, wake)", False),
        ("await self.clock.sleep(3)", False),
    ],
)
def test_the_list_of_waits_tells_them_from_others(wait: str, is_one: bool) -> None:
    """The check finds each form of a wait in real time, and nothing else."""
    indented = "".join(f"    {line}\n" for line in wait.splitlines())

    assert bool([*waits_in_real_time(ast.parse(f"async def work():\n{indented}"))]) is is_one


OWN_STATES = ("_associations", "api", "simulator")
"""The parts that list states: the tables, the service's model, and the simulator, which is independent on purpose."""

STATES = {*map(str, AssociationState), *map(str, WorkspaceState)}


def states_in(node: ast.expr) -> set[str]:
    """The states that an element of a collection is, as a string, a member of an enum, or in a tuple."""
    match node:
        case ast.Constant(value=str(state)) if state in STATES:
            return {state}
        case ast.Attribute(value=ast.Name(id="AssociationState" | "WorkspaceState"), attr=state):
            return {state}
        case ast.Attribute(value=ast.Attribute(attr="AssociationState" | "WorkspaceState"), attr=state):
            return {state}
        case ast.Tuple(elts=elements):
            return set[str]().union(*map(states_in, elements))
        case _:
            return set()


def lists_of_states(tree: ast.Module) -> Iterator[set[str]]:
    """The states of each collection in a module that names two or more; the keys of a mapping are one."""
    for node in ast.walk(tree):
        match node:
            case ast.Set(elts=elements) | ast.List(elts=elements) | ast.Tuple(elts=elements):
                found = [*map(states_in, elements)]
            case ast.Dict(keys=keys, values=values):
                of_keys = [states_in(one) for one in keys if one is not None]
                of_values = [states_in(one) for one in values]
                found = of_keys if any(of_keys) else of_values
            case ast.BoolOp(values=values):
                compared = [one.comparators for one in values if isinstance(one, ast.Compare)]
                found = [states_in(one) for comparators in compared for one in comparators]
            case ast.Match(cases=cases):
                patterns = [each for case in cases for each in ast.walk(case.pattern)]
                found = [states_in(one.value) for one in patterns if isinstance(one, ast.MatchValue)]
            case _:
                continue
        if len(states := set[str]().union(*found)) > 1:
            yield states


def test_only_the_tables_list_states() -> None:
    """A set of states anywhere else would be a second table, which drifts from the first."""
    found = {
        path.relative_to(FOLDER).as_posix(): lists
        for path in FOLDER.rglob("*.py")
        if path.relative_to(FOLDER).parts[0] not in OWN_STATES
        and (lists := [*lists_of_states(ast.parse(path.read_text(encoding="utf-8")))])
    }

    assert found == {}


@pytest.mark.parametrize(
    "source,is_one",
    [
        ('HELD = frozenset({"COMPLETED", "UNINSTALLING"})', True),
        ('BEFORE = {("REMOVED", "install"): True, ("COMPLETED", "install"): False}', True),
        ('ENDS = {"install": "COMPLETED", "uninstall": "REMOVED"}', True),
        ("READY = [WorkspaceState.AVAILABLE, api.WorkspaceState.STOPPED]", True),
        ('ready = state == "AVAILABLE" or state == "STOPPED"', True),
        ('match state:\n    case "AVAILABLE" | "STOPPED": pass', True),
        ('ready = state == "AVAILABLE"', False),
        ('LEVELS = ("ERROR", "WARNING")', False),
    ],
)
def test_the_check_of_states_finds_each_form_of_a_list(source: str, is_one: bool) -> None:
    """A single state, compared by name, is no list."""
    assert bool([*lists_of_states(ast.parse(source))]) is is_one


CONTEXT_VARIABLES = {
    "_base/logs.py _scope",
    "_http/connection.py _http_call",
    "_model/models.py _closing",
    "_telemetry/port.py CURRENT_POLL",
    "_telemetry/port.py SERVED",
}
"""The values that no argument can carry; the text below each says why."""


def context_variables(path: Path) -> Iterator[tuple[str, str]]:
    """Return the context variables of a module, each with the text below it."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for above, below in zip(body, (*body[1:], ast.Pass()), strict=True):
        if isinstance(above, ast.AnnAssign) and "ContextVar[" in ast.unparse(above.annotation):
            text = below.value if isinstance(below, ast.Expr) else None
            told = str(text.value) if isinstance(text, ast.Constant) else ""
            yield f"{path.relative_to(FOLDER).as_posix()} {ast.unparse(above.target)}", told


def test_values_travel_as_arguments_where_they_can() -> None:
    """A context variable is known here, and its text says why it is no argument."""
    found = dict(one for path in sorted(FOLDER.rglob("*.py")) for one in context_variables(path))
    made = sum(path.read_text(encoding="utf-8").count("= ContextVar(") for path in FOLDER.rglob("*.py"))

    assert found.keys() == CONTEXT_VARIABLES
    assert made == len(found)
    assert [name for name, told in found.items() if "No argument: " not in told] == []


@pytest.mark.checkout
def test_the_architecture_page_names_what_exists() -> None:
    """Every path on the page is there, and every part of the package is on the page."""
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", text))
    roots = (FOLDER, PAGE.parent)
    parts = {path.name for path in FOLDER.iterdir() if (path / "__init__.py").is_file()}

    assert sorted(name for name in named if not any((root / name).exists() for root in roots)) == []
    assert sorted(part for part in parts if f"`{part}" not in text) == []


SHARED_NAMES = {
    "Candidate": "an installation that is asked for; the simulator's tables are its own on purpose",
    "Direction": "install or uninstall; on disk, in the client and in the simulator",
    "JsonObject": "an object of JSON; the simulator reads it without the client",
    "Mark": "how a row of a table is known; each table allows the marks that it has",
    "Outcome": "both are public: the end of an attempt, and of a change",
    "Rule": "both are public: a constraint of the service's model, and a part of a manifest",
    "Workspace": "a WorkSpace, in a report and in the simulator",
    "WriteOperation": "an operation that changes an association; the words on disk do not follow the code's",
}
"""Names of several classes or type aliases, each with the reason."""


def names_of_types(tree: ast.Module) -> Iterator[str]:
    """The classes and type aliases of a module, those for type checkers included."""
    bodies: list[list[ast.stmt]] = [tree.body]
    while bodies:
        for node in bodies.pop():
            match node:
                case ast.ClassDef(name=name):
                    yield name
                case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id="TypeAlias")):
                    yield name
                case ast.If(body=body, orelse=orelse):
                    bodies += [body, orelse]
                case _:
                    pass


def test_no_two_types_share_a_name() -> None:
    """Whoever searches for a class finds one, unless several are listed with the reason."""
    found: dict[str, set[str]] = {}
    for path in FOLDER.rglob("*.py"):
        place = path.relative_to(FOLDER)
        if place.parts[0] != "api":
            for name in names_of_types(ast.parse(path.read_text(encoding="utf-8"))):
                found.setdefault(name, set()).add(place.as_posix())

    assert len(found) > 400
    assert {name: sorted(places) for name, places in found.items() if len(places) > 1}.keys() == (
        SHARED_NAMES.keys()
    )
