"""The private names that the client leans on are still what they were."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import aiohttp
import pytest
from botocore.handlers import BUILTIN_HANDLERS, add_retry_headers
from botocore.hooks import HierarchicalEmitter

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
    method = getattr(getattr(import_module(module), owner), row.name)

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


def test_no_other_module_reads_a_private_name_of_the_table() -> None:
    """Attributes of the table that begin with an underscore are read in `_http/borrowed.py`, or overridden."""
    private = {row.name for row in TABLE if row.name.startswith("_")}
    readers = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if re.search("aiobotocore|aiohttp", path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in private
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
        and not (isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super")
    }

    # The other is a subclass of aiobotocore's session; what it reads is its own, which stubs do not tell.
    assert readers == {"_http/borrowed.py", "_base/connections.py"}
