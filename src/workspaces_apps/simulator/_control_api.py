"""The control endpoint as OpenAPI 3.1 describes it, for tests in other languages to generate their client from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from workspaces_apps.simulator._faults import FaultKind
from workspaces_apps.simulator._wire import JsonObject, JsonValue

CONTROL_PATH: Final = "/_control"

_TEXT: Final[JsonObject] = {"type": "string"}
_NUMBER: Final[JsonObject] = {"type": "number"}
_WHOLE: Final[JsonObject] = {"type": "integer"}


def _maybe(schema: JsonObject) -> JsonObject:
    return {"type": [str(schema["type"]), "null"]}


def _structure(members: Mapping[str, JsonObject], required: Sequence[str] | None = None) -> JsonObject:
    names: list[JsonValue] = list(members if required is None else required)
    return {"type": "object", "properties": dict[str, JsonValue](members), "required": names}


def _list(element: JsonObject) -> JsonObject:
    return {"type": "array", "items": element}


_NEW_FAULT: Final = _structure(
    {
        "kind": {"type": "string", "enum": list[JsonValue](get_args(FaultKind))},
        "operation": {"anyOf": [_TEXT, _list(_TEXT)]},
        "workspace_id": _TEXT,
        "application_id": _TEXT,
        "times": {"type": "integer", "minimum": 1},
        "skip": {"type": "integer", "minimum": 0},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
        "delay": {"type": "number", "minimum": 0, "description": "Simulated seconds."},
        "code": _TEXT,
        "message": _TEXT,
        "reason": _TEXT,
    },
    ["kind"],
)
_FAULT: Final = _structure(
    {
        "kind": _TEXT,
        "operations": {"type": ["array", "null"], "items": _TEXT},
        "workspace_id": _maybe(_TEXT),
        "application_id": _maybe(_TEXT),
        "times": _maybe(_WHOLE),
        "hits": _WHOLE,
        "active": {"type": "boolean"},
    }
)
_RECORD: Final = _structure(
    {
        "number": _WHOLE,
        "operation": _maybe(_TEXT),
        "at": {"type": "number", "description": "Simulated epoch seconds."},
        "account_id": _maybe(_TEXT),
        "region": _maybe(_TEXT),
        "status": _maybe(_WHOLE),
        "error": _maybe(_TEXT),
        "request_id": _TEXT,
        "attempt": _maybe(_TEXT),
        "user_agent": _maybe(_TEXT),
        "fault": _maybe(_TEXT),
        "protocol": {"type": "string", "enum": ["json", "cbor"]},
        "parameters": {"type": ["object", "null"], "description": "The request, whatever its protocol."},
        "answer": {"type": ["object", "null"], "description": "The answer, whatever its protocol."},
    }
)
_ACCOUNT: Final = _structure({"account_id": _TEXT, "access_key_id": _TEXT, "secret_access_key": _TEXT})
_CONNECTION: Final = _structure(
    {
        "url": _TEXT,
        "access_key_id": _TEXT,
        "secret_access_key": _TEXT,
        "region": _TEXT,
        "control_url": _TEXT,
        "control_token": _TEXT,
        "other_regions": _list(_TEXT),
        "other_accounts": _list(_ACCOUNT),
    },
    ["url", "access_key_id", "secret_access_key", "region", "control_url", "control_token"],
)
_NOW: Final = _structure({"now": {"type": "number", "description": "Simulated epoch seconds."}})
_NOTHING: Final = _structure({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One thing that can be asked of the control endpoint.

    Attributes:
        method: The HTTP method.
        path: Below `CONTROL_PATH`.
        name: Its name in generated clients.
        summary: A sentence.
        answer: The schema of the answer, HTTP 200.
        body: The schema of the request's body, if it has one.
        query: Name, schema and description of its query parameters.
        needs_token: Whether the control token must be given.
    """

    method: str
    path: str
    name: str
    summary: str
    answer: JsonObject
    body: JsonObject | None = None
    query: tuple[tuple[str, JsonObject, str], ...] = ()
    needs_token: bool = True


ROUTES: Final[tuple[Route, ...]] = (
    Route(method="GET", path="/health", name="health", needs_token=False,
        summary="Tell whether the simulator answers.", answer=_structure({"status": _TEXT})),
    Route(method="GET", path="/openapi.json", name="describe", needs_token=False,
        summary="Describe this endpoint.", answer={"type": "object"}),
    Route(method="GET", path="/connection", name="getConnection",
        summary="Tell what a client needs: URL, Region and credentials.", answer=_CONNECTION),
    Route(method="GET", path="/faults", name="listFaults",
        summary="List the faults, oldest first.", answer=_structure({"faults": _list(_FAULT)})),
    Route(method="POST", path="/faults", name="addFault",
        summary="Make something go wrong.", body=_NEW_FAULT, answer=_structure({"fault": _FAULT})),
    Route(method="DELETE", path="/faults", name="clearFaults",
        summary="Remove every fault.", answer=_NOTHING),
    Route(method="GET", path="/requests", name="countRequests",
        summary="Count the requests so far, control requests left out.",
        answer=_structure({
            "total": _WHOLE,
            "operations": {"type": "object", "additionalProperties": _WHOLE},
        })),
    Route(method="GET", path="/requests/records", name="listRequests",
        summary="List recorded requests, oldest first.",
        query=(
            ("operation", _TEXT, "Only of this operation."),
            ("error", _TEXT, "Only those answered with this error code."),
            ("after", _WHOLE, "Only those with a higher number."),
            ("limit", _WHOLE, "So many at most: 100 if left out, and never more than 1,000."),
        ),
        answer=_structure({"records": _list(_RECORD)})),
    Route(method="DELETE", path="/requests", name="forgetRequests",
        summary="Forget every request.", answer=_NOTHING),
    Route(method="GET", path="/clock", name="getClock",
        summary="Tell the simulated time.", answer=_NOW),
    Route(method="POST", path="/clock", name="moveClock",
        summary="Move a manual clock forward.",
        body=_structure({"seconds": {"type": "number", "minimum": 0}}), answer=_NOW),
    Route(method="POST", path="/save", name="saveState",
        summary="Write the state file.", answer=_NOTHING),
)  # fmt: skip


def document() -> JsonObject:
    """Return the OpenAPI document."""
    paths: dict[str, JsonObject] = {}
    for route in ROUTES:
        paths.setdefault(CONTROL_PATH + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Control of the WorkSpaces simulator", "version": "1"},
        "paths": dict[str, JsonValue](paths),
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(route: Route) -> JsonObject:
    described: JsonObject = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": {
            "200": {"description": "Done.", "content": _json(route.answer)},
            "4XX": {
                "description": "Refused; the message says why.",
                "content": _json(_structure({"__type": _TEXT, "message": _TEXT}, ["__type"])),
            },
        },
        "security": [{"token": []}] if route.needs_token else [],
    }
    if route.query:
        described["parameters"] = [
            {"name": name, "in": "query", "schema": schema, "description": text}
            for name, schema, text in route.query
        ]
    if route.body is not None:
        described["requestBody"] = {"required": True, "content": _json(route.body)}
    return described


def _json(schema: JsonObject) -> JsonObject:
    return {"application/json": {"schema": schema}}
