"""A service whose WorkSpace states are wrong: a proxy in front of a simulator.

A WorkSpace under deployment reads UPDATING [doc]. What a client may conclude from that is put to the test by states
that come late, go early or are missing. Everything else passes as it is, over HTTP on both sides.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeAlias

import aiohttp
from aiohttp import web

from benchmarks.fleet import FIXED
from benchmarks.packages import Json
from workspaces_apps.simulator import ManualClock, Simulator

ENDED: Final = FIXED[0]
"""Deployments behind a proxy take a fixed time: it knows when they end."""

HELD: Final = 3600.0
MISSING: Final = 1 / 3
PASSED_ON: Final = ("Content-Type", "x-amzn-RequestId")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A WorkSpace in an answer.

    Attributes:
        state: Its true state.
        age: Seconds since the service took a Deploy; None if it took none.
        tenth: Whether it is one of every ten.
        chance: From 0 to 1, drawn anew each time.
    """

    state: str
    age: float | None
    tenth: bool
    chance: float


Falsify: TypeAlias = Callable[[Seen], str | None]
"""The state that is shown instead; None where the WorkSpace is left out of the answer."""


def true(seen: Seen) -> str:
    """Change nothing."""
    return seen.state


def never(seen: Seen) -> str:
    """Show no deployment."""
    return "AVAILABLE" if seen.state == "UPDATING" else seen.state


def late(seconds: float) -> Falsify:
    """Show a deployment so many seconds after it has begun."""
    return lambda seen: never(seen) if seen.age is not None and seen.age < seconds else seen.state


def gone_early(seconds: float) -> Falsify:
    """Show a deployment until so many seconds before its end."""
    return lambda seen: never(seen) if seen.age is not None and seen.age > ENDED - seconds else seen.state


def gone_late(seconds: float) -> Falsify:
    """Show a deployment for so many seconds after its end."""
    return lambda seen: "UPDATING" if seen.age is not None and seen.age < ENDED + seconds else seen.state


def held(seen: Seen) -> str:
    """Show every tenth WorkSpace as somebody else's for an hour after its deployment."""
    return gone_late(HELD)(seen) or seen.state if seen.tenth else seen.state


def missing(seen: Seen) -> str | None:
    """Leave a third out, another third each time."""
    return None if seen.chance < MISSING else seen.state


def deny(sim: Simulator) -> None:
    """Refuse DescribeWorkspaces."""
    sim.faults.add(
        "error", operation="DescribeWorkspaces", code="AccessDeniedException", message="Not authorized."
    )


def fail(sim: Simulator) -> None:
    """Fail a third of DescribeWorkspaces."""
    sim.faults.add("internal_error", operation="DescribeWorkspaces", probability=1 / 3)


def stop(sim: Simulator) -> None:
    """Have every second WorkSpace stopped."""
    for one in sim.fleet.workspace_ids[::2]:
        sim.fleet.set_state(one, "STOPPED")


def leave(_: Simulator) -> None:
    """Change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way in which states are wrong.

    Attributes:
        falsify: What the proxy makes of a state.
        before: What is done to the simulator before the plan.
        after: What is done to it after the plan.
    """

    falsify: Falsify = true
    before: Callable[[Simulator], None] = leave
    after: Callable[[Simulator], None] = leave


VARIANTS: Final[Mapping[str, Variant]] = {
    "as it is": Variant(),
    "UPDATING never shown": Variant(falsify=never),
    "UPDATING shown 60 s late": Variant(falsify=late(60)),
    "UPDATING shown 150 s late": Variant(falsify=late(150)),
    "UPDATING gone 120 s early": Variant(falsify=gone_early(120)),
    "UPDATING gone 60 s late": Variant(falsify=gone_late(60)),
    "a tenth held for an hour by somebody else": Variant(falsify=held),
    "a third of the ids missing from each answer": Variant(falsify=missing),
    "DescribeWorkspaces denied": Variant(after=deny),
    "DescribeWorkspaces failing for a third of the calls": Variant(after=fail),
    "half of the fleet STOPPED": Variant(before=stop),
}


class FalseStates:
    """The proxy; `async with` starts and stops it.

    Attributes:
        url: Where it listens.
        falsify: What it makes of states; `true` until it is set.
        deploys: By WorkSpace, how many Deploys the service took.
    """

    def __init__(self, sim: Simulator, clock: ManualClock, seed: int = 0) -> None:
        self.url = ""
        self.falsify: Falsify = true
        self.deploys: Counter[str] = Counter()
        self._sim = sim
        self._clock = clock
        self._random = random.Random(seed)
        self._begun: dict[str, float] = {}
        self._web = web.Server(self._answer)
        self._session: aiohttp.ClientSession | None = None
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Start."""
        self._session = aiohttp.ClientSession(auto_decompress=False)
        self._server = await asyncio.get_running_loop().create_server(self._web, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        if self._server is not None:
            self._server.close()
        await self._web.shutdown(0)
        if self._session is not None:
            await self._session.close()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        assert self._session is not None
        asked = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        async with self._session.post(self._sim.url, data=asked, headers=headers) as answer:
            body, status = await answer.read(), answer.status
            kept = {name: answer.headers[name] for name in PASSED_ON if name in answer.headers}
        if status == 200:
            body = self._changed(request.headers.get("X-Amz-Target", "").rpartition(".")[2], asked, body)
        return web.Response(status=status, body=body, headers=kept)

    def _changed(self, operation: str, asked: bytes, body: bytes) -> bytes:
        if operation == "DeployWorkspaceApplications":
            workspace = str(_object(asked)["WorkspaceId"])
            self.deploys[workspace] += 1
            self._begun[workspace] = self._clock.timestamp()
        if operation != "DescribeWorkspaces":
            return body
        told = _object(body)
        rows = told["Workspaces"]
        assert isinstance(rows, list)
        shown: list[Json] = []
        for row in rows:
            assert isinstance(row, dict)
            workspace = str(row["WorkspaceId"])
            begun = self._begun.get(workspace)
            seen = Seen(
                state=str(row["State"]),
                age=None if begun is None else self._clock.timestamp() - begun,
                tenth=sum(workspace.encode()) % 10 == 0,
                chance=self._random.random(),
            )
            state = self.falsify(seen)
            if state is not None:
                shown.append({**row, "State": state})
        return json.dumps({**told, "Workspaces": shown}).encode()


def _object(body: bytes) -> dict[str, Json]:
    value: dict[str, Json] = json.loads(body)
    return value
