"""A page is read if it can be, whatever a strict reader of JSON says."""

import json
from typing import Final

import pytest
from pydantic import BaseModel, TypeAdapter

from tests.http.conftest import Connect
from tests.http.server import Answer, ScriptedServer, ok
from workspaces_apps import RequestValidationError
from workspaces_apps.api import (
    DescribeWorkspacesRequest,
    DescribeWorkspacesResult,
    Workspace,
    WorkspaceDirectory,
)

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


def test_unpaired_surrogates_are_written_as_such_nowhere() -> None:
    """Inside somebody else's model, and by an adapter, which write a nested model by its schema."""
    page = DescribeWorkspacesResult.from_wire(
        {
            "Workspaces": [
                {
                    "WorkspaceId": "ws-123456789",
                    "State": "AVAILABLE",
                    "UserName": "bob \ud83d",
                    "New": {"\udc00": ["\udc01"]},
                }
            ]
        }
    )

    class Answer(BaseModel):
        """Somebody's own model."""

        page: DescribeWorkspacesResult
        first: Workspace

    answer = Answer(page=page, first=page.workspaces[0])
    written = answer.model_dump_json()
    adapter, directories = TypeAdapter(tuple[Workspace, ...]), TypeAdapter(list[WorkspaceDirectory])

    assert json.loads(written) == answer.model_dump(mode="json")
    assert json.loads(written)["first"]["user_name"] == "bob \ufffd"
    assert json.loads(written)["page"]["workspaces"][0]["New"] == {"\ufffd": ["\ufffd"]}
    assert Answer.model_validate_json(written).first.user_name == "bob \ufffd"
    assert json.loads(adapter.dump_json(page.workspaces)) == adapter.dump_python(page.workspaces, mode="json")
    directory = WorkspaceDirectory.from_wire({"DirectoryId": "d-1234567890", "SubnetIds": ["a\udfff"]})
    assert directories.dump_python([directory], mode="json")[0]["subnet_ids"] == ["a\ufffd"]
    assert json.loads(directories.dump_json([directory]))[0]["subnet_ids"] == ["a\ufffd"]
    strange = Workspace.from_wire({"WorkspaceId": "ws-123456789", "State": "\ud83d"})
    assert (
        json.loads(strange.model_dump_json())["state"] == strange.model_dump(mode="json")["state"] == "\ufffd"
    )
    assert strange.to_wire()["State"] == "\ud83d"
    assert answer.model_dump()["first"]["user_name"] == "bob \ud83d"
    # In the names of members of what no model describes, they are kept nowhere.
    assert page.workspaces[0].to_wire()["New"] == {"\ufffd": ["\udc01"]}


def test_what_the_service_sent_can_be_built_again() -> None:
    """A constructor refuses unpaired surrogates in what callers send, and in nothing else."""
    page = DescribeWorkspacesResult.from_wire(ONE % (b'"UserName": "bob \\ud83d"', b""))

    again = Workspace(workspace_id="ws-123456789", state="AVAILABLE", user_name=page.workspaces[0].user_name)

    assert again == page.workspaces[0]


@pytest.mark.parametrize(
    "wire, member",
    [
        ({"DirectoryId": "d-1234567890", "UserName": "bob \ud83d"}, "user_name"),
        ({"New": [{"Deep": "\ud83d"}]}, "New"),
        ({"WorkspaceIds": ["\ud83d"]}, "workspace_ids[0]"),
    ],
)
async def test_an_unpaired_surrogate_is_not_sent(
    server: ScriptedServer, connect: Connect, wire: dict[str, object], member: str
) -> None:
    """Nobody knows what a service would make of it; `from_wire` reads it, and the door names the member."""
    ws = connect().with_options(request_checks="structure")

    with pytest.raises(RequestValidationError, match="lone surrogates") as caught:
        await ws.execute(DescribeWorkspacesRequest.from_wire(wire))

    assert caught.value.problems[0].member.startswith(member)
    assert server.requests == []


@pytest.mark.parametrize("last", [{}, {"NextToken": ""}, {"NextToken": None}])
async def test_an_empty_token_ends_a_listing(
    server: ScriptedServer, connect: Connect, last: dict[str, object]
) -> None:
    """Other SDKs stop there too."""
    server.script(ok({"Workspaces": [], "NextToken": "more"}), ok({"Workspaces": [], **last}))

    assert await connect().describe_workspaces().collect() == []
    assert [request.json.get("NextToken") for request in server.requests] == [None, "more"]
