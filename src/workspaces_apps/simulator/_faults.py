"""Faults on demand: what goes wrong, with which requests, how often; and the answers made strange for them.

sim.faults.add("throttle", operation="DeployWorkspaceApplications", times=3)
sim.faults.add("reset_after", operation="AssociateWorkspaceApplication", probability=0.01)
sim.faults.add("deployment_error", workspace_id="ws-...", reason="ValidationError.InsufficientDiskSpace")
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, TypeAlias, get_args

from workspaces_apps._base.public import public
from workspaces_apps.simulator._arguments import (
    check_kind,
    check_known,
    check_number,
    check_text,
    check_texts,
    check_whole,
    unfit,
)
from workspaces_apps.simulator._model import ServiceModel, check_operations
from workspaces_apps.simulator._wire import JsonObject, JsonValue

FaultKind: TypeAlias = Literal[
    "throttle",
    "error",
    "internal_error",
    "unavailable",
    "unavailable_html",
    "reset_before",
    "reset_after",
    "slow",
    "slow_after",
    "truncated",
    "not_json",
    "unknown_enum",
    "unknown_field",
    "control_characters",
    "unpaired_surrogate",
    "no_request_id",
    "repeated_token",
    "empty_page",
    "partial_failure",
    "deployment_error",
]
KINDS: frozenset[str] = frozenset(get_args(FaultKind))
REASONS: tuple[str, ...] = (
    "ValidationError.InsufficientDiskSpace",
    "ValidationError.InsufficientMemory",
    "ValidationError.UnsupportedOperatingSystem",
    "DeploymentError.InternalServerError",
    "DeploymentError.WorkspaceUnreachable",
    "ValidationError.ApplicationOldVersionExists",
)
_INNER = frozenset({"partial_failure", "deployment_error"})
_ID_MEMBERS = frozenset(
    {"WorkspaceId", "WorkspaceIds", "SourceWorkspaceId", "PrimaryWorkspaceId", "ResourceId"}
)


@public("workspaces_apps.simulator")
@dataclass(slots=True, eq=False)
class Fault:
    """One rule; `sim.faults.add` explains the arguments."""

    kind: FaultKind
    """The kind of what goes wrong."""
    _: KW_ONLY
    operations: frozenset[str] | None
    """The operations that it is for; None for all."""
    workspace_id: str | None
    """The WorkSpace that it is for; None for all."""
    application_id: str | None
    """The application that it is for; None for all."""
    times: int | None
    """The number of times that it goes off at most; None for no limit."""
    skip: int
    """The number of matches that it lets pass first."""
    probability: float | None
    """The share of matches at which it goes off; None for all."""
    delay: float
    """Simulated seconds, for the kinds that are slow."""
    code: str
    """The code of the error."""
    message: str
    """The message of the error."""
    reason: str
    """The reason of a deployment's error."""
    hits: int = field(default=0, init=False)
    """The number of times that it went off."""
    _matched: int = field(default=0, init=False, repr=False)
    _removed: bool = field(default=False, init=False, repr=False)

    @property
    def active(self) -> bool:
        """Tell if it can still go off."""
        return not self._removed and (self.times is None or self.hits < self.times)

    def remove(self) -> None:
        """Let it never fit again."""
        self._removed = True

    def goes_off(self, source: random.Random) -> bool:
        """Count one match, and decide."""
        if not self.active:
            return False
        self._matched += 1
        if self._matched <= self.skip:
            return False
        if self.probability is not None and source.random() >= self.probability:
            return False
        self.hits += 1
        return True


@public("workspaces_apps.simulator")
class Faults:
    """The rules of one simulator, in the order they were added."""

    def __init__(self, seed: int) -> None:
        self._rules: list[Fault] = []
        self._source = random.Random(f"faults:{seed}")

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self._rules))

    def __len__(self) -> int:
        return len(self._rules)

    def add(
        self,
        kind: FaultKind,
        *,
        operation: str | Iterable[str] | None = None,
        workspace_id: str | None = None,
        application_id: str | None = None,
        times: int | None = None,
        skip: int = 0,
        probability: float | None = None,
        delay: float = 30.0,
        code: str = "InternalServerException",
        message: str = "A fault was asked for.",
        reason: str = "DeploymentError.InternalServerError",
    ) -> Fault:
        """Make something go wrong.

        Args:
            kind: ``throttle``; ``error`` (HTTP 400 with `code` and `message`); ``internal_error`` (500) and
                ``unavailable`` (503), as JSON; ``unavailable_html`` (503, a load balancer's page);
                ``reset_before`` and ``reset_after`` (the connection breaks before or after the operation took
                effect); ``slow`` and ``slow_after`` (`delay` before or after it); ``truncated`` (half the body);
                ``not_json`` (HTTP 200 with a page); ``unknown_enum``, ``unknown_field``, ``no_request_id``;
                ``control_characters`` and ``unpaired_surrogate`` (at the end of every free text);
                ``repeated_token``, ``empty_page`` (listings); ``partial_failure`` (an entry of a batch fails
                with `code` and `message`); ``deployment_error`` (an installation or removal ends in ERROR with
                `reason`).
            operation: Only these operations; None: all. Not looked at for ``deployment_error``.
            workspace_id: Only requests that name this WorkSpace.
            application_id: Only requests that name this application.
            times: How often at most; None: without end.
            skip: Let so many matches pass first.
            probability: 0 to 1, from the simulator's seed; None: always.
            delay: Simulated seconds, for ``slow`` and ``slow_after``.
            code: An error code.
            message: An error message.
            reason: An AssociationErrorCode, or one that the service may have tomorrow.

        Raises:
            ConfigurationError: An argument is out of range, or there is no such kind or operation.
        """
        check_known(kind, KINDS, "kind of fault")
        if probability is not None:
            check_number("probability", probability, most=1)
        if times is not None:
            check_whole("times", times, least=1)
        check_whole("skip", skip)
        check_number("delay", delay, noun="number of seconds")
        texts = {"code": code, "message": message, "reason": reason}
        ids = {"workspace_id": workspace_id, "application_id": application_id}
        for name, text in (texts | {name: one for name, one in ids.items() if one is not None}).items():
            check_text(name, text)
        operations = None if operation is None else _operations(operation)
        fault = Fault(
            kind,
            operations=operations,
            workspace_id=workspace_id,
            application_id=application_id,
            times=times,
            skip=skip,
            probability=probability,
            delay=delay,
            code=code,
            message=message,
            reason=reason,
        )
        self._rules.append(fault)
        return fault

    def clear(self) -> None:
        """Remove every rule."""
        # Taken away in one step: the service may go through them in another thread.
        rules, self._rules = self._rules, []
        for fault in rules:
            fault.remove()

    def for_request(self, operation: str, request: JsonObject) -> list[Fault]:
        """Return the faults that hit a request as a whole."""
        if not self._rules:
            return []
        return [
            fault
            for fault in self._rules
            if fault.kind not in _INNER
            and (fault.operations is None or operation in fault.operations)
            and (fault.workspace_id is None or fault.workspace_id in _mentioned(request, _ID_MEMBERS))
            and (
                fault.application_id is None
                or fault.application_id in _mentioned(request, frozenset({"ApplicationId", "ApplicationIds"}))
            )
            and fault.goes_off(self._source)
        ]

    def for_entry(self, operation: str, workspace_id: str | None) -> Fault | None:
        """Return the fault that makes one entry of a batch fail."""
        for fault in self._rules:
            if (
                fault.kind == "partial_failure"
                and (fault.operations is None or operation in fault.operations)
                and (fault.workspace_id is None or fault.workspace_id == workspace_id)
                and fault.goes_off(self._source)
            ):
                return fault
        return None

    def for_deployment(self, workspace_id: str, application_id: str) -> Fault | None:
        """Return the fault that makes an installation or removal fail."""
        for fault in self._rules:
            if (
                fault.kind == "deployment_error"
                and (fault.workspace_id is None or fault.workspace_id == workspace_id)
                and (fault.application_id is None or fault.application_id == application_id)
                and fault.goes_off(self._source)
            ):
                return fault
        return None


def _operations(given: str | Iterable[str]) -> frozenset[str]:
    names = [given] if isinstance(given, str) else given
    check_kind("operation", names, Iterable, "an operation, or a list of them")
    names = list(names)
    check_texts("operation", names)
    check_operations(names)
    if not names:
        # Such a fault would never go off.
        raise unfit("operation", "an operation, or a list of at least one", given)
    return frozenset(names)


def _mentioned(value: JsonValue, members: frozenset[str]) -> set[str]:
    found: set[str] = set()
    waiting: list[JsonValue] = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            waiting.extend(current)
        elif isinstance(current, dict):
            for name, item in current.items():
                if name in members:
                    found.update(
                        text for text in (item if isinstance(item, list) else [item]) if isinstance(text, str)
                    )
                waiting.append(item)
    return found


NEW_VALUE = "SIMULATED_NEW_VALUE"
NEW_MEMBER = "SimulatedNewMember"
CONTROL_CHARACTERS = "\r\n\x1b[31m\x00"
# Of the same length as a surrogate in either protocol, so that it can be exchanged in the finished body.
_STAND_IN = "\ue000"
_EXCHANGES = ((b"\\ue000", b"\\ud800"), (b"\xee\x80\x80", b"\xed\xa0\x80"))


def with_unknown_enum(model: ServiceModel, shape: str | None, answer: JsonObject) -> JsonObject:
    """Return the answer with a value in every enum that the model does not have."""
    return _with_texts(model, shape, answer, lambda text, name: NEW_VALUE if model.enum(name) else text)


def with_control_characters(model: ServiceModel, shape: str | None, answer: JsonObject) -> JsonObject:
    """Return the answer with a line break, an escape sequence and NUL at the end of every free text."""
    return _with_texts(
        model, shape, answer, lambda text, name: text + CONTROL_CHARACTERS if model.is_free(name) else text
    )


def with_surrogate_places(model: ServiceModel, shape: str | None, answer: JsonObject) -> JsonObject:
    """Return the answer with a place at the end of every free text for `with_unpaired_surrogate` to fill."""
    return _with_texts(
        model, shape, answer, lambda text, name: text + _STAND_IN if model.is_free(name) else text
    )


def with_unpaired_surrogate(body: bytes) -> bytes:
    """Return the body with unpaired surrogates in their places: legal escapes in JSON, broken UTF-8 in CBOR."""
    for stand_in, surrogate in _EXCHANGES:
        body = body.replace(stand_in, surrogate)
    return body


def _with_texts(
    model: ServiceModel, shape: str | None, answer: JsonObject, change: Callable[[str, str], str]
) -> JsonObject:
    changed = _change_texts(model, shape, answer, change)
    return changed if isinstance(changed, dict) else answer


def _change_texts(
    model: ServiceModel, shape: str | None, value: JsonValue, change: Callable[[str, str], str]
) -> JsonValue:
    if shape is None:
        return value
    if isinstance(value, dict):
        members = model.member_shapes(shape)
        return {
            name: item if name == "NextToken" else _change_texts(model, members.get(name), item, change)
            for name, item in value.items()
        }
    if isinstance(value, list):
        element = model.element_shape(shape)
        return [_change_texts(model, element, item, change) for item in value]
    return change(value, shape) if isinstance(value, str) else value


def with_unknown_field(answer: JsonObject) -> JsonObject:
    """Return the answer with a new member in every structure."""
    changed = _add_members(answer)
    return changed if isinstance(changed, dict) else answer


def _add_members(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        grown: JsonObject = {name: _add_members(item) for name, item in value.items()}
        grown[NEW_MEMBER] = {"Kind": "new", "Since": 1790000000.25}
        return grown
    if isinstance(value, list):
        return [_add_members(item) for item in value]
    return value


def with_empty_page(answer: JsonObject, token: str) -> JsonObject:
    """Return the answer without its items, and with a token that leads to where this page began."""
    emptied: JsonObject = {name: [] if isinstance(item, list) else item for name, item in answer.items()}
    emptied["NextToken"] = token
    return emptied
