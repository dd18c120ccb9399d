"""A page is read if it can be, whatever a strict reader of JSON says."""

import json
from typing import Final

import pytest

from tests.client.conftest import Connect
from tests.client.server import Answer, ScriptedServer, ok
from workspaces_apps.api import DescribeWorkspacesResult

ONE: Final = b'{"Workspaces": [{"WorkspaceId": "ws-123456789", "State": "AVAILABLE", %s}]%s}'


@pytest.mark.parametrize(
    "body",
    [
        ONE % (b'"UserName": "bob \\ud83d"', b""),
        ONE % (b'"X\\udc00": "\\udc00"', b""),
        ONE % (b'"X": 1', b', "Huge": ' + b"9" * 5000),
        ONE % (b'"X": -1e999', b', "X": 1, "X": 2'),
        ONE % (b'"X": ' + b"[" * 300 + b"]" * 300, b""),
    ],
    ids=["surrogate", "surrogate in a name", "digits", "twice", "deep"],
)
async def test_a_page_that_can_be_read_is_read(server: ScriptedServer, connect: Connect, body: bytes) -> None:
    """One strange value does not hide a page of WorkSpaces."""
    server.script(Answer(body=body))

    (one,) = await connect().describe_workspaces().collect()

    assert one.workspace_id == "ws-123456789"


def test_unpaired_surrogates_are_kept_where_they_can_be() -> None:
    """In attributes and by `to_wire`; what must be UTF-8 has U+FFFD instead."""
    page = DescribeWorkspacesResult.from_wire(ONE % (b'"UserName": "bob \\ud83d", "New": "\\udc00"', b""))

    assert page.workspaces[0].user_name == "bob \ud83d"
    assert json.loads(json.dumps(page.to_wire())) == json.loads(
        ONE % (b'"UserName": "bob \\ud83d", "New": "\\udc00"', b"")
    )
    assert page.model_dump(mode="json")["workspaces"][0]["user_name"] == "bob \ufffd"
    assert "bob \ufffd" in page.model_dump_json(exclude_unset=True).encode().decode()
    assert (
        DescribeWorkspacesResult.model_validate_json(page.model_dump_json()).workspaces[0].state
        == "AVAILABLE"
    )


@pytest.mark.parametrize("last", [{}, {"NextToken": ""}, {"NextToken": None}])
async def test_an_empty_token_ends_a_listing(
    server: ScriptedServer, connect: Connect, last: dict[str, object]
) -> None:
    """Other SDKs stop there too."""
    server.script(ok({"Workspaces": [], "NextToken": "more"}), ok({"Workspaces": [], **last}))

    assert await connect().describe_workspaces().collect() == []
    assert [request.json.get("NextToken") for request in server.requests] == [None, "more"]
