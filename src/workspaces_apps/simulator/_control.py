"""The control endpoint: faults, requests and the clock from outside the process, in whatever language.

It needs the token that the simulator prints, and refuses requests that a web page may have sent: those with a
foreign Host (a name that was made to point here) or with an Origin that is not the simulator's own. `document`
describes it as OpenAPI 3.1, for tests in other languages to generate their client from.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args
from urllib.parse import parse_qs, urlsplit

from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._arguments import check_known, check_number
from workspaces_apps.simulator._clocks import ManualClock, SimulatorClock
from workspaces_apps.simulator._faults import Fault, FaultKind, Faults
from workspaces_apps.simulator._recorder import Recorder, RequestRecord
from workspaces_apps.simulator._service import Incoming, Reply
from workspaces_apps.simulator._wire import ApiError, JsonObject, JsonValue, decode_object, encode

CONTROL_PATH: Final = "/_control"

_OPEN: Final = frozenset({"/health", "/openapi.json"})
"""Paths that need no token: a container's health check has none, and a description is no secret."""

_RECORDS: Final = 1000


class Control:
    """Answers requests below `CONTROL_PATH`.

    Args:
        faults: What it can add to and clear.
        recorder: What it can count.
        clock: What it can advance, if it is a manual clock.
        save: Writes the state file, if there is one.
        connection: What a client needs, for those who cannot read the line that the process prints.
        token: What callers must know; a random one if None.
        names: Names besides ``localhost`` under which the simulator is reached, such as a container's.
    """

    def __init__(
        self,
        faults: Faults,
        recorder: Recorder,
        clock: SimulatorClock,
        save: Callable[[], bool],
        connection: Callable[[], JsonObject],
        *,
        token: str | None = None,
        names: frozenset[str] = frozenset(),
    ) -> None:
        self.token: str = token or secrets.token_urlsafe(24)
        self._faults = faults
        self._recorder = recorder
        self._clock = clock
        self._save = save
        self._connection = connection
        self._names = names

    async def answer(self, incoming: Incoming) -> Reply:
        """Carry out one control request."""
        try:
            self._check(incoming)
            return Reply(200, encode(await self._act(incoming)), "application/json")
        except ApiError as error:
            refusal = error
        except ConfigurationError as error:
            refusal = ApiError("BadRequest", error.message)
        return Reply(refusal.status, encode(refusal.body()), "application/json")

    def _check(self, incoming: Incoming) -> None:
        host = (incoming.headers.get("Host") or "").lower()
        # A page can be made to send here, by a name of its own that points here; an address has no such name.
        if not _is_address(host) and _name_of(host) not in {"localhost", *self._names}:
            raise ApiError("Forbidden", "The Host header is not the simulator's.", status=403)
        origin = incoming.headers.get("Origin")
        if origin is not None and not _is_origin_of(origin, host):
            raise ApiError("Forbidden", "The Origin header is not the simulator's.", status=403)
        if incoming.method == "GET" and incoming.path.removeprefix(CONTROL_PATH) in _OPEN:
            return
        given = incoming.headers.get("Authorization") or ""
        if not hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {self.token}".encode()):
            raise ApiError(
                "Unauthorized", "Authorization: Bearer and the control token are needed.", status=401
            )

    async def _act(self, incoming: Incoming) -> JsonObject:
        path = incoming.path.removeprefix(CONTROL_PATH)
        query = {name: values[-1] for name, values in parse_qs(incoming.query, max_num_fields=100).items()}
        body: JsonObject = {}
        for route in ROUTES:
            if (route.method, route.path) == (incoming.method, path):
                if route.body is not None:
                    body = decode_object(incoming.body)
                _check_names(query, [name for name, _, _ in route.query], "parameter")
                _check_names(body, _members(route.body or {}), "member of the body")
        match incoming.method, path:
            case "GET", "/health":
                return {"status": "ok"}
            case "GET", "/openapi.json":
                return document()
            case "GET", "/connection":
                return self._connection()
            case "GET", "/faults":
                return {"faults": [_describe(fault) for fault in self._faults]}
            case "POST", "/faults":
                return {"fault": _describe(self._add(body))}
            case "DELETE", "/faults":
                self._faults.clear()
                return {}
            case "GET", "/requests":
                return self._requests()
            case "GET", "/requests/records":
                return self._records(query)
            case "DELETE", "/requests":
                self._recorder.clear()
                return {}
            case "GET", "/clock":
                return {"now": self._clock.timestamp()}
            case "POST", "/clock":
                return await self._advance(body)
            case "POST", "/save":
                if not self._save():
                    raise ApiError("Conflict", "The simulator was started without a state file.", status=409)
                return {}
            case _:
                raise ApiError("NotFound", "There is nothing to control here.", status=404)

    def _add(self, asked: JsonObject) -> Fault:
        if asked.get("kind") is None:
            raise ConfigurationError("kind is needed")
        given = {name: value for name, value in asked.items() if value is not None}
        return self._faults.add(**given)  # type: ignore[arg-type]  # it checks all of them

    def _requests(self) -> JsonObject:
        counts = self._recorder.counts
        operations: JsonObject = {name: counts[name] for name in sorted(counts)}
        return {"total": sum(counts.values()), "operations": operations}

    def _records(self, asked: Mapping[str, str]) -> JsonObject:
        limit, after = _count(asked, "limit", 100), _count(asked, "after", 0)
        chosen = self._recorder.select(asked.get("operation"), error=asked.get("error"))
        found = [record for record in chosen if record.number > after]
        return {"records": [_record(one) for one in found[: min(limit, _RECORDS)]]}

    async def _advance(self, asked: JsonObject) -> JsonObject:
        if not isinstance(self._clock, ManualClock):
            raise ApiError("Conflict", "Only a manual clock can be advanced.", status=409)
        self._clock.jump(check_number("seconds", asked.get("seconds"), most=10**10))
        return {"now": self._clock.timestamp()}


def _name_of(host: str) -> str:
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(_name_of(host).strip("[]"))
    except ValueError:
        return False
    return True


def _is_origin_of(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme == "http" and parts.netloc.lower() == host


def _count(asked: Mapping[str, str], name: str, default: int) -> int:
    text = asked.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ApiError("BadRequest", f"{name} is a whole number, 0 or more")
    return int(text)


def _record(record: RequestRecord) -> JsonObject:
    return {
        "number": record.number,
        "operation": record.operation,
        "at": record.at.timestamp(),
        "account_id": record.account_id,
        "region": record.region,
        "status": record.status,
        "error": record.error,
        "request_id": record.request_id,
        "attempt": record.attempt,
        "user_agent": record.user_agent,
        "fault": record.fault,
        "protocol": record.protocol,
        "parameters": record.parameters,
        "answer": record.answer,
    }


def _describe(fault: Fault) -> JsonObject:
    operations: list[JsonValue] | None = None
    if fault.operations is not None:
        operations = list[JsonValue](sorted(fault.operations))
    return {
        "kind": fault.kind,
        "operations": operations,
        "workspace_id": fault.workspace_id,
        "application_id": fault.application_id,
        "times": fault.times,
        "hits": fault.hits,
        "active": fault.active,
    }


_TEXT: Final[JsonObject] = {"type": "string"}

_WHOLE: Final[JsonObject] = {"type": "integer"}


def _maybe(schema: JsonObject) -> JsonObject:
    return {"type": [str(schema["type"]), "null"]}


def _structure(members: Mapping[str, JsonObject], required: Sequence[str] | None = None) -> JsonObject:
    names: list[JsonValue] = list(members if required is None else required)
    return {"type": "object", "properties": dict[str, JsonValue](members), "required": names}


def _closed(members: Mapping[str, JsonObject], required: Sequence[str]) -> JsonObject:
    return {**_structure(members, required), "additionalProperties": False}


def _members(structure: JsonObject) -> Collection[str]:
    members = structure.get("properties")
    return members if isinstance(members, dict) else ()


def _check_names(given: Iterable[str], known: Collection[str], noun: str) -> None:
    for name in given:
        check_known(name, known, noun)


def _list(element: JsonObject) -> JsonObject:
    return {"type": "array", "items": element}


_NEW_FAULT: Final = _closed(
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
class ControlRoute:
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


ROUTES: Final[tuple[ControlRoute, ...]] = (
    ControlRoute(method="GET", path="/health", name="health", needs_token=False,
        summary="Tell whether the simulator answers.", answer=_structure({"status": _TEXT})),
    ControlRoute(method="GET", path="/openapi.json", name="describe", needs_token=False,
        summary="Describe this endpoint.", answer={"type": "object"}),
    ControlRoute(method="GET", path="/connection", name="getConnection",
        summary="Tell what a client needs: URL, Region and credentials.", answer=_CONNECTION),
    ControlRoute(method="GET", path="/faults", name="listFaults",
        summary="List the faults, oldest first.", answer=_structure({"faults": _list(_FAULT)})),
    ControlRoute(method="POST", path="/faults", name="addFault",
        summary="Make something go wrong.", body=_NEW_FAULT, answer=_structure({"fault": _FAULT})),
    ControlRoute(method="DELETE", path="/faults", name="clearFaults",
        summary="Remove every fault.", answer=_NOTHING),
    ControlRoute(method="GET", path="/requests", name="countRequests",
        summary="Count the requests so far, control requests left out.",
        answer=_structure({
            "total": _WHOLE,
            "operations": {"type": "object", "additionalProperties": _WHOLE},
        })),
    ControlRoute(method="GET", path="/requests/records", name="listRequests",
        summary="List recorded requests, oldest first.",
        query=(
            ("operation", _TEXT, "Only of this operation."),
            ("error", _TEXT, "Only those answered with this error code."),
            ("after", _WHOLE, "Only those with a higher number."),
            ("limit", _WHOLE, "So many at most: 100 if left out, and never more than 1,000."),
        ),
        answer=_structure({"records": _list(_RECORD)})),
    ControlRoute(method="DELETE", path="/requests", name="forgetRequests",
        summary="Forget every request.", answer=_NOTHING),
    ControlRoute(method="GET", path="/clock", name="getClock",
        summary="Tell the simulated time.", answer=_NOW),
    ControlRoute(method="POST", path="/clock", name="moveClock",
        summary="Move a manual clock forward.",
        body=_closed({"seconds": {"type": "number", "minimum": 0, "maximum": 10**10}}, ["seconds"]), answer=_NOW),
    ControlRoute(method="POST", path="/save", name="saveState",
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


def _operation(route: ControlRoute) -> JsonObject:
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
