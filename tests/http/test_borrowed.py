"""The private names that the client leans on are still what they were."""

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from aiohttp.client_proto import ResponseHandler
from botocore.handlers import BUILTIN_HANDLERS, add_retry_headers
from botocore.hooks import EventAliaser, HierarchicalEmitter

import workspaces_apps
from tests.http.conftest import Connect
from tests.http.ways import ignore, inner_of
from workspaces_apps._http.borrowed import TABLE, Borrowed, Listeners, http_session_of, internals_of
from workspaces_apps._http.fast_path import is_unchanged

SOURCES = Path(workspaces_apps.__file__).parent


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.parameters is not None], ids=lambda row: row.name
)
def test_a_method_takes_what_it_took(row: Borrowed) -> None:
    """Fails when a release renames a method or changes its first parameters."""
    module, _, owner = row.owner.partition(":")
    found = import_module(module)
    method = getattr(getattr(found, owner) if owner else found, row.name)

    assert row.parameters is not None
    assert tuple(inspect.signature(method).parameters)[: len(row.parameters)] == row.parameters


async def test_the_attributes_are_there(connect: Connect) -> None:
    """Endpoint, emitter, handlers, the emitter's cache and aiohttp's middlewares are where they were."""
    ws = connect()
    inner = await inner_of(ws)

    assert is_unchanged(internals_of(inner))
    assert list(Listeners(inner).of("before-call.workspaces.DescribeTags"))
    assert http_session_of(inner) is not None
    async with aiohttp.ClientSession() as session:
        assert (session.trace_configs, getattr(session, "_middlewares")) == ([], ())  # noqa: B009 - private
    assert ("request-created", add_retry_headers) in BUILTIN_HANDLERS


def test_listeners_are_noticed_by_the_emitters_cache() -> None:
    """A change of listeners makes a new dictionary, and a call does not."""
    emitter = HierarchicalEmitter()
    before = getattr(emitter, "_lookup_cache")  # noqa: B009 - private
    emitter.emit("x.y")
    assert getattr(emitter, "_lookup_cache") is before  # noqa: B009
    emitter.register("x", ignore)
    registered = getattr(emitter, "_lookup_cache")  # noqa: B009
    emitter.unregister("x", ignore)

    assert len({id(before), id(registered), id(getattr(emitter, "_lookup_cache"))}) == 3  # noqa: B009


async def refreshed() -> dict[str, object]:
    """Credentials, never asked for."""
    raise AssertionError


def samples() -> dict[str, object]:
    """An object of each class that has attributes in the table, on a running loop, by the class's name."""
    session: Any = AioSession()
    chain: list[Any] = session.get_component("credential_provider").providers
    members = {type(member).__name__: member for member in chain}
    role, sso = members["AioAssumeRoleProvider"], members["AioSSOProvider"]
    keys: Any = AioRefreshableCredentials
    made: dict[str, object] = {
        type(one).__name__: one
        for one in (
            AIOHTTPSession(),
            ResponseHandler(asyncio.get_running_loop()),
            HierarchicalEmitter(),
            EventAliaser(HierarchicalEmitter()),
            session,
            keys("key", "secret", "token", datetime.now(UTC), refreshed, "sample"),
            role._profile_provider_builder,
            role._credential_sourcer,
            sso._token_provider,
        )
    }
    return made | members


async def test_each_attribute_is_there(connect: Connect) -> None:
    """Fails when a release renames an attribute that is read or replaced; one row is X-Ray's, and so set later."""
    found = samples() | {"BaseClient": await inner_of(connect())}
    async with aiohttp.ClientSession() as pool:
        connector = pool.connector
        found |= {"BaseConnector": connector, "ClientSession": pool}
        missing = [
            f"{row.owner} {row.name}"
            for row in TABLE
            if row.parameters is None
            and row.name != "_xray_enabled"
            and not hasattr(found[row.owner.partition(":")[2]], row.name)
        ]

    assert missing == []


def test_xrays_mark_is_what_it_sets() -> None:
    """X-Ray's SDK notes on aiobotocore's module that it has patched it."""
    patcher = pytest.importorskip(
        "aws_xray_sdk.ext.aiobotocore.patch", reason="aws-xray-sdk is not installed"
    )

    assert "setattr(aiobotocore.client, '_xray_enabled', True)" in inspect.getsource(patcher)


HEIRS = {"_base/connections.py", "_http/session.py"}
"""The modules with subclasses of theirs, which read what they inherit."""

OTHERS = {
    "cli/_programs.py": {
        "_transport"
    },  # asyncio's own way to let go of a pipe, of which it has no public one
    "_http/transport.py": {"_replace"},  # documented, of named tuples
    "_model/validation.py": {"_name_", "_value_", "_value2member_map_"},  # documented, of enums
    "simulator/_clocks.py": {"_current_frames"},  # documented, of `sys`
}
"""Private names of the standard library, by the module that reads them."""


def is_private(name: object) -> bool:
    """Tell if it is a name that begins with one underscore."""
    return isinstance(name, str) and re.fullmatch(r"_(?!_)\w+", name) is not None


def is_own(node: ast.Attribute) -> bool:
    """Tell if an attribute is read of the object or class that the code is part of."""
    return ast.unparse(node.value) in {"self", "cls"} or (
        isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super"
    )


def names_read(tree: ast.Module) -> Iterator[str]:
    """The private names that a module reads of other objects, also by functions such as `getattr` and `vars(…).get`."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if is_private(name) and not is_own(node):
                yield name
            case ast.Call(func=ast.Name(id="getattr" | "hasattr" | "setattr" | "attrgetter"), args=args):
                yield from (
                    str(one.value) for one in args if isinstance(one, ast.Constant) and is_private(one.value)
                )
            case ast.Call(func=ast.Attribute(attr="get" | "pop"), args=[ast.Constant(value=str(name)), *_]):
                yield from [name] if is_private(name) else []
            case ast.Subscript(slice=ast.Constant(value=str(name))) if is_private(name):
                yield name
            case _:
                pass


def names_made(tree: ast.Module) -> Iterator[str]:
    """The private names that a module gives to its classes, functions, attributes and variables."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name, ctx=ast.Store()):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=ast.Tuple(elts=slots)):
                yield from (str(slot.value) for slot in slots if isinstance(slot, ast.Constant))
            case _:
                pass


TREES = {
    path.relative_to(SOURCES).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in SOURCES.rglob("*.py")
    if path.relative_to(SOURCES).parts[0] != "api"
}


def test_no_other_module_reads_a_private_name_of_somebody_elses() -> None:
    """A name that nothing in the package has is theirs; in modules that import them, so is each of the table's."""
    own = {name for tree in TREES.values() for name in names_made(tree)}
    borrowed = {row.name for row in TABLE if row.name.startswith("_")}
    found = {
        (module, name)
        for module, tree in TREES.items()
        for name in names_read(tree)
        if module != "_http/borrowed.py"
        if name not in own | OTHERS.get(module, set())
        or (name in borrowed and re.search("aiobotocore|aiohttp", ast.unparse(tree)))
    }

    assert {(module, name) for module, name in found if module not in HEIRS} == set()
    assert {name for module, name in found if module in HEIRS} <= borrowed


async def test_what_subclasses_inherit_is_in_the_table() -> None:
    """Each private attribute of the base that a subclass reads, replaces or overrides has a row."""
    borrowed = {row.name for row in TABLE}
    async with aiohttp.TCPConnector() as connector:
        bases = (connector, AIOHTTPSession(), ResponseHandler(asyncio.get_running_loop()))
        used = {
            node.attr if isinstance(node, ast.Attribute) else node.name
            for module in HEIRS
            for node in ast.walk(TREES[module])
            if isinstance(node, ast.Attribute | ast.FunctionDef | ast.AsyncFunctionDef)
        }
        inherited = {name for name in used if is_private(name) and any(hasattr(base, name) for base in bases)}

    assert {"_loop", "_payload", "_timeout", "_create_connector"} <= inherited
    assert inherited <= borrowed
