"""The control endpoint: faults, requests and the clock from outside the process, in whatever language.

It needs the token that the simulator prints, and refuses requests that a web page may have sent: those with a
foreign Host (a name that was made to point here) or with an Origin that is not the simulator's own. `control_api`
describes it for programs.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Callable, Mapping
from typing import Final, get_args
from urllib.parse import parse_qs, urlsplit

from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._clocks import ManualClock, SimulatorClock
from workspaces_apps.simulator._control_api import CONTROL_PATH, document
from workspaces_apps.simulator._faults import Fault, FaultKind, Faults
from workspaces_apps.simulator._recorder import Recorder, RequestRecord
from workspaces_apps.simulator._service import Incoming, Reply
from workspaces_apps.simulator._wire import ApiError, JsonObject, JsonValue, Parameters, decode_object, encode

_OPEN: Final = frozenset({"/health", "/openapi.json"})
"""What needs no token: a container's health check has none, and a description is no secret."""
_RECORDS: Final = 1000
_KINDS: Final[dict[str, FaultKind]] = {kind: kind for kind in get_args(FaultKind)}


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
            return Reply(error.status, encode(error.body()), "application/json")

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
        match incoming.method, incoming.path.removeprefix(CONTROL_PATH):
            case "GET", "/health":
                return {"status": "ok"}
            case "GET", "/openapi.json":
                return document()
            case "GET", "/connection":
                return self._connection()
            case "GET", "/faults":
                return {"faults": [_describe(fault) for fault in self._faults]}
            case "POST", "/faults":
                return {"fault": _describe(self._add(Parameters(decode_object(incoming.body))))}
            case "DELETE", "/faults":
                self._faults.clear()
                return {}
            case "GET", "/requests":
                return self._requests()
            case "GET", "/requests/records":
                return self._records(incoming.query)
            case "DELETE", "/requests":
                self._recorder.clear()
                return {}
            case "GET", "/clock":
                return {"now": self._clock.timestamp()}
            case "POST", "/clock":
                return await self._advance(decode_object(incoming.body))
            case "POST", "/save":
                if not self._save():
                    raise ApiError("Conflict", "The simulator was started without a state file.", status=409)
                return {}
            case _:
                raise ApiError("NotFound", "There is nothing to control here.", status=404)

    def _add(self, asked: Parameters) -> Fault:
        kind = _KINDS.get(asked.text("kind"))
        if kind is None:
            raise ApiError("BadRequest", f"kind is one of {', '.join(_KINDS)}")
        operations = asked.raw.get("operation")
        try:
            return self._faults.add(
                kind,
                operation=asked.texts("operation")
                if isinstance(operations, list)
                else asked.maybe_text("operation"),
                workspace_id=asked.maybe_text("workspace_id"),
                application_id=asked.maybe_text("application_id"),
                times=asked.integer("times"),
                skip=asked.integer("skip") or 0,
                probability=_number(asked.raw.get("probability")),
                delay=_number(asked.raw.get("delay"), 30.0) or 0.0,
                code=asked.maybe_text("code") or "InternalServerException",
                message=asked.maybe_text("message") or "A fault was asked for.",
                reason=asked.maybe_text("reason") or "DeploymentError.InternalServerError",
            )
        except ConfigurationError as error:
            raise ApiError("BadRequest", error.message) from error

    def _requests(self) -> JsonObject:
        counts = self._recorder.counts
        operations: JsonObject = {name: counts[name] for name in sorted(counts)}
        return {"total": sum(counts.values()), "operations": operations}

    def _records(self, query: str) -> JsonObject:
        asked = {name: values[-1] for name, values in parse_qs(query, max_num_fields=100).items()}
        unknown = asked.keys() - {"operation", "error", "after", "limit"}
        if unknown:
            raise ApiError("BadRequest", f"There is no parameter {', '.join(sorted(unknown))}.")
        limit, after = _count(asked, "limit", 100), _count(asked, "after", 0)
        try:
            chosen = self._recorder.select(asked.get("operation"), error=asked.get("error"))
        except ConfigurationError as error:
            raise ApiError("BadRequest", error.message) from error
        found = [record for record in chosen if record.number > after]
        return {"records": [_record(one) for one in found[: min(limit, _RECORDS)]]}

    async def _advance(self, asked: JsonObject) -> JsonObject:
        seconds = _number(asked.get("seconds"))
        if not isinstance(self._clock, ManualClock):
            raise ApiError("Conflict", "Only a manual clock can be advanced.", status=409)
        if seconds is None or not 0 <= seconds < 10**10:
            raise ApiError("BadRequest", "seconds is a number, 0 or more")
        self._clock.jump(seconds)
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


def _number(value: JsonValue, default: float | None = None) -> float | None:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ApiError("BadRequest", "A number was expected.")
    return float(value)


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
