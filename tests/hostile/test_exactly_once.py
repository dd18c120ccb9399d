"""Exactly once: whatever becomes of the answer, no writing operation is carried out a second time to further effect."""

import asyncio
import json
from collections import Counter
from typing import Any, Final, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

import workspaces_apps.api as api
from tests.http.clocks import SkippingClock
from tests.http.conftest import CREDENTIALS, make_config
from tests.http.raw import answer, raw_server
from workspaces_apps import OpenEnum, Pacing, RetryPolicy, WorkSpacesClient, WorkSpacesError
from workspaces_apps._retry import REPEATABLE
from workspaces_apps.simulator import ManualClock
from workspaces_apps.simulator._clocks import run_virtual

Way = Literal["dropped", "500", "throttled", "half", "late", "twice"]

WRITING: Final = sorted(
    operation for operation in REPEATABLE if not operation.startswith(("Describe", "List", "Get"))
)
PATIENCE: Final = 60.0
"""Seconds of the event loop's time until an answer is late."""
ATTEMPTS: Final = 4
STAGED: Final = {"WorkspaceId": "ws-123456789", "AssociatedResourceId": "wsa-123456789"}


def smallest(annotation: Any) -> object:
    """A value of that type, with what is required and no more."""
    if get_origin(annotation) is tuple or any(get_origin(one) is tuple for one in get_args(annotation)):
        return []
    kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, BaseModel):
            members = kind.model_fields.items()
            return {
                field.serialization_alias or name: smallest(field.annotation)
                for name, field in members
                if field.is_required()
            }
        if issubclass(kind, bool):
            return True
        if issubclass(kind, OpenEnum):
            return next(iter(kind.__members__.values())).value
        if issubclass(kind, str):
            return "some-text"
        if issubclass(kind, int):
            return 1
    return {}


def request_for(operation: str) -> Any:
    """A request of the operation, with what is required."""
    kind: Any = getattr(api, f"{operation}Request")
    found = kind.from_wire(smallest(kind))
    if hasattr(found, "workspace_id"):
        found = found.model_copy(update={"workspace_id": "ws-123456789"})
    return (
        found.model_copy(update={"application_id": "wsa-123456789"})
        if hasattr(found, "application_id")
        else found
    )


class Service:
    """Carries out whatever it is asked, and answers in one way."""

    def __init__(self, way: Way) -> None:
        self.done: Counter[str] = Counter()
        self._way = way
        self._refused: Counter[str] = Counter()

    async def handle(self, writer: asyncio.StreamWriter, asked: str) -> bool:
        """Carry a request out, and answer it for the first time so, and later as one should."""
        if asked.startswith(("describe", "list", "get")):
            deployed = self.done["deployworkspaceapplications"] > 0
            state = "PENDING_INSTALL" if deployed else "PENDING_INSTALL_DEPLOYMENT"
            writer.write(answer(json.dumps({"Associations": [{**STAGED, "State": state}]}).encode()))
            return True
        if self._way == "throttled" and self._refused[asked] < 2:
            self._refused[asked] += 1
            writer.write(answer(b'{"__type": "ThrottlingException"}', status="400 X"))
            return True
        self.done[asked] += 1
        state = "PENDING_UNINSTALL_DEPLOYMENT" if asked.startswith("dis") else "PENDING_INSTALL_DEPLOYMENT"
        right = answer(json.dumps({"Association": {**STAGED, "State": state}}).encode())
        if self.done[asked] > 1:
            writer.write(right)
            return True
        match self._way:
            case "dropped":
                return False
            case "500":
                writer.write(answer(b'{"__type": "InternalServerException"}', status="500 X"))
            case "half":
                writer.write(right[:-10])
                return False
            case "late":
                await asyncio.sleep(2 * PATIENCE)
                writer.write(right)
            case "twice":
                # At once: one that comes only after the next request has left could not be told from its answer.
                writer.write(right + right)
            case _:
                writer.write(right)
        return True


@pytest.mark.parametrize("way", get_args(Way))
def test_each_effect_comes_once(way: Way) -> None:
    """A repeated request has no further effect where the table allows it, and is never sent otherwise."""
    wrong = run_virtual(wrong_of(way), ManualClock())

    assert len(WRITING) > 60
    assert wrong == []


async def wrong_of(way: Way) -> list[str]:
    """Call every writing operation at the same time; what went wrong."""
    service = Service(way)
    config = make_config(
        connect_timeout=PATIENCE,
        read_timeout=PATIENCE,
        retry=RetryPolicy(max_attempts=ATTEMPTS, budget=None),
        pacing=Pacing.off(),
    )
    wrong: list[str] = []
    async with (
        raw_server(service.handle) as server,
        WorkSpacesClient(
            region="eu-west-1",
            endpoint_url=server.url,
            credentials=CREDENTIALS,
            config=config,
            clock=SkippingClock(),
        ) as client,
    ):
        ws = client.with_options(request_checks="structure")

        async def call(operation: str) -> None:
            rule, least = REPEATABLE[operation], 1
            try:
                await ws.execute(request_for(operation))
            except WorkSpacesError as error:
                if way in ("throttled", "twice") or rule.repeatable:
                    wrong.append(f"{operation}: {error}")
                # It may have gone to a connection that the service had just closed; nobody knows, so it is not repeated.
                least = 0
            times = service.done[operation.lower()]
            if not least <= times <= (2 if rule.repeatable else 1):
                wrong.append(f"{operation}: carried out {times} times")

        await asyncio.gather(*map(call, WRITING))

    return wrong
