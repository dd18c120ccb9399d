"""examples/rollout_service.py, started as its docstring says and asked over HTTP."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from workspaces_apps._model.validation import JsonObject
from workspaces_apps.rollout import JournalBusyError, Started, read_journal
from workspaces_apps.simulator import Simulator, Throttle

SERVICE = Path(__file__).parent.parent / "examples" / "rollout_service.py"
PATIENCE = 240.0
READY = re.compile(r"running on (http://\S+)")
OFFICE: JsonObject = {
    "name": "Office",
    "rules": [{"select": {"everything": True}, "present": ["Office LTSC Professional Plus 2021"]}],
    # So much of the simulator's time passes in a moment of ours that nothing may depend on it.
    "policy": {"deployment_timeout": 1_000_000},
}
# A few of the 45 WorkSpaces at a time: the second deployment is never the last.
SLOWLY: JsonObject = {**OFFICE, "policy": {"deployment_timeout": 1_000_000, "max_in_flight": 9}}


@dataclass
class Answer:
    """A status, and what the JSON said."""

    status: int
    body: JsonObject


class Service:
    """The service as a process, and a roll-out of it."""

    def __init__(self, process: asyncio.subprocess.Process, session: aiohttp.ClientSession, url: str) -> None:
        self.process = process
        self._session = session
        self._url = f"{url}/rollouts/office"

    async def ask(self, method: str, path: str = "", body: JsonObject | None = None) -> Answer:
        """One call."""
        async with self._session.request(method, self._url + path, json=body) as answer:
            return Answer(answer.status, await answer.json())

    async def page(self, path: str) -> str:
        """The page that a browser would be shown."""
        async with self._session.get(self._url + path) as answer:
            assert answer.content_type == "text/html"
            return await answer.text()

    async def begin(self, manifest: JsonObject) -> Answer:
        """Plan, and apply."""
        planned = await self.ask("POST", "/plan", manifest)
        return await self.ask("POST", f"/apply?plan={planned.body['plan']}")

    async def events(self, after: int = 0) -> AsyncIterator[tuple[int, str]]:
        """The number and kind of each event, until the service ends the stream."""
        headers = {"Last-Event-ID": str(after)}
        async with self._session.get(f"{self._url}/events", headers=headers) as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
            found: dict[str, str] = {}
            async for line in answer.content:
                name, _, value = line.decode().strip().partition(": ")
                found[name] = value
                if not name and "id" in found:
                    assert json.loads(found["data"])["kind"] == found["event"]
                    yield int(found["id"]), found["event"]
                    found = {}


@asynccontextmanager
async def serving(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncGenerator[Service]:
    """The service on a free port, once it says that it listens."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(SERVICE), "--folder", str(folder), "--port", "0", *arguments),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    assert process.stderr is not None
    said = ""
    try:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            while not (found := READY.search(said)):
                line = await process.stderr.readline()
                assert line, said
                said += line.decode()
            yield Service(process, session, found[1])
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_a_rollout_is_planned_applied_followed_and_reported(tmp_path: Path) -> None:
    """The changes that a plan counts are made, each event is streamed once and in order, and both reports tell of it."""
    async with serving(tmp_path, "--demo", "3600") as service:
        plan = (await service.ask("POST", "/plan", OFFICE)).body
        begun = await service.ask("POST", f"/apply?plan={plan['plan']}")
        events = [event async for event in service.events()]
        missed = [event async for event in service.events(after=len(events) - 2)]
        standing = (await service.ask("GET")).body
        report = (await service.ask("GET", "/report")).body
        page = await service.page("/report.html")

    kinds = [kind for _, kind in events]
    assert plan["counts"] == {"install": 45, "blocked": 12, "nothing": 3}
    assert (begun.status, begun.body["running"]) == (202, True)
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    assert (kinds[0], kinds[-1], kinds.count("deployed")) == ("started", "finished", 45)
    assert missed == events[-2:]
    assert (standing["running"], standing["ending"]) == (False, "complete")
    assert isinstance(standing["counts"], dict)
    assert standing["counts"]["succeeded"] == 45
    assert report["name"] == "Office"
    assert page.startswith("<!DOCTYPE html>")


async def test_mistakes_are_told_with_a_status_and_all_at_once(tmp_path: Path) -> None:
    """Unknown names are 404, contradictions are 409, and 422 names every mistake of a manifest."""
    bad: JsonObject = {"rules": [], "policy": {"retries": 99}, "bogus": 1}
    nowhere: JsonObject = {
        **OFFICE,
        "rules": [{"select": {"everything": True}, "present": ["No such thing", "Nor this"]}],
    }
    elsewhere: JsonObject = {**OFFICE, "targets": [{"name": "other", "region": "eu-west-1"}]}
    async with serving(tmp_path, "--demo", "600") as service:
        unknown = [
            await service.ask(*call)
            for call in (("GET", ""), ("GET", "/plan"), ("GET", "/events"), ("POST", "/apply?plan=x"))
        ]
        refused = [await service.ask("POST", "/plan", one) for one in (bad, nowhere, elsewhere)]
        begun = await service.begin(SLOWLY)
        busy = await service.begin(SLOWLY)
        other = await service.ask("POST", "/apply?plan=another")
        renamed = await service.ask("POST", "/plan", {**OFFICE, "name": "Visio"})

    assert [(one.status, one.body["error"]) for one in unknown] == [(404, "NotFoundError")] * 4
    assert [(one.status, one.body["error"]) for one in refused] == [(422, "ManifestError")] * 3
    assert [keys_of(one) for one in refused] == [
        {"name", "rules", "policy.retries", "bogus"},
        {"rules[0].present[0]", "rules[0].present[1]"},
        {"targets"},
    ]
    assert begun.status == 202
    assert (busy.status, busy.body["error"]) == (409, JournalBusyError.__name__)
    assert (other.status, other.body["error"]) == (409, "PlanError")
    assert (renamed.status, renamed.body["error"]) == (409, "JournalError")


def keys_of(answer: Answer) -> set[str]:
    """Where the mistakes are that an answer tells of."""
    mistakes = answer.body["mistakes"]
    assert isinstance(mistakes, list)
    return {str(mistake["key"]) for mistake in mistakes if isinstance(mistake, dict)}


@pytest.mark.parametrize("how, ending", [("drain", "drained"), ("stop", "stopped")])
async def test_an_apply_can_be_ended(tmp_path: Path, how: str, ending: str) -> None:
    """A stream ends with the apply that is drained or stopped, and the journal says which it was."""
    async with serving(tmp_path, "--demo", "3600") as service:
        await service.begin(SLOWLY)
        asked = False
        async for _, kind in service.events():
            if kind == "deployed" and not asked:
                asked = (await service.ask("POST", f"/{how}")).status == 202
        standing = (await service.ask("GET")).body
        again = await service.ask("POST", f"/{how}")

    assert asked
    assert (standing["running"], standing["ending"]) == (False, ending)
    assert (again.status, again.body) == (202, standing)


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is not asked to end, but ended")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
async def test_a_signal_ends_it_in_order_and_the_next_one_goes_on(tmp_path: Path, number: str) -> None:
    """In the middle of an apply that is being followed it ends with success; the same plan then is completed."""
    async with serving(tmp_path, "--demo", "3600") as service:
        plan = (await service.ask("POST", "/plan", SLOWLY)).body["plan"]
        await service.ask("POST", f"/apply?plan={plan}")
        kinds: list[str] = []
        async for _, kind in service.events():
            kinds.append(kind)
            if kinds.count("deployed") == 2 and kind == "deployed":
                service.process.send_signal(signal.Signals[number])
        assert service.process.stderr is not None
        written = (await service.process.stderr.read()).decode()
        assert await service.process.wait() == 0

    async with serving(tmp_path, "--demo", "3600") as service:
        before = (await service.ask("GET")).body
        resumed = await service.ask("POST", f"/apply?plan={plan}")
        kinds = [kind async for _, kind in service.events()]
        after = (await service.ask("GET")).body

    assert "Traceback" not in written
    assert (before["running"], before["ending"], resumed.status) == (False, "stopped", 202)
    assert (after["ending"], after["applies"]) == ("complete", 2)
    assert kinds.count("deployed") == 45
    runs = [
        event.resumed for event in read_journal(tmp_path / "office.journal") if isinstance(event, Started)
    ]
    assert runs == [False, True]


async def test_without_demo_it_takes_the_settings_of_the_environment(tmp_path: Path) -> None:
    """It plans with the account that AWS's own variables name, and passes on what that answers with."""
    async with Simulator(workspaces=3, region="eu-west-1", throttle=Throttle.off()) as sim:
        aws = {
            "AWS_REGION": sim.region,
            "AWS_ENDPOINT_URL_WORKSPACES": sim.url,
            "AWS_ACCESS_KEY_ID": sim.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": sim.credentials.secret_access_key,
        }
        async with serving(tmp_path, environment=aws) as service:
            planned = await service.ask("POST", "/plan", OFFICE)
            sim.faults.add("error", operation="DescribeWorkspaces", code="AccessDeniedException")
            refused = await service.ask("POST", "/plan", OFFICE)

    assert planned.status == 200
    assert isinstance(planned.body["counts"], dict)
    assert sum(map(int, map(str, planned.body["counts"].values()))) == 3
    assert (refused.status, refused.body["error"]) == (502, "AccessDeniedException")
    assert (refused.body["operation"], bool(refused.body["request_id"])) == ("DescribeWorkspaces", True)
