"""The errors of this package, one tree.

WorkSpacesError
├── ConfigurationError (ValueError)
├── CredentialsError
├── ClientStateError (RuntimeError)
├── RequestValidationError (ValueError)
├── ServiceError
│   ├── ThrottlingException
│   └── one class per modelled error, in `workspaces_apps.api.errors`
├── TransportError
│   └── DeadlineExceededError (TimeoutError)
├── MalformedResponseError
├── PaginationError
├── PartialFailureError
└── WaiterError
    ├── WaiterTimeoutError (TimeoutError)
    ├── DeploymentFailedError
    ├── StagedChangesError
    └── WorkspaceNotReadyError
        └── WorkspaceNotReadyInTimeError (WaiterTimeoutError)

The HTTP answer decides between ServiceError, MalformedResponseError and TransportError: any answer that is not
2xx is a ServiceError; a 2xx answer that is not what the operation promises is a MalformedResponseError; no
answer at all is a TransportError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

__all__ = [
    "CREDENTIALS_CODES",
    "ClientStateError",
    "ConfigurationError",
    "CredentialsError",
    "DeadlineExceededError",
    "DeploymentFailedError",
    "FailedAssociation",
    "MalformedResponseError",
    "PaginationError",
    "PartialFailureError",
    "Problem",
    "RequestValidationError",
    "ServiceError",
    "StagedChangesError",
    "ThrottlingException",
    "TransportError",
    "WaiterError",
    "WaiterTimeoutError",
    "WorkSpacesError",
    "WorkspaceNotReadyError",
    "WorkspaceNotReadyInTimeError",
]

CREDENTIALS_CODES: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Codes of AWS's front ends and of STS by which credentials are not taken, or no longer. Not here: AccessDeniedException,
which is about what good credentials may do."""


class WorkSpacesError(Exception):
    """Anything this package raises on purpose.

    Attributes:
        message: What went wrong, without the context that `str()` adds.
        operation: The API operation, such as ``"AssociateWorkspaceApplication"``.
        request_id: The service's id of the last answer.
        attempts: How many requests were sent, or begun, for this call.
        code: The service's error code.
        http_status: The HTTP status of the last answer.
        resource_id: The resource that the service names as the cause.
        resume_token: For a listing that failed midway: the token that re-reads the page that failed.
        last: For an error that ended a wait: what was seen last, by id.
        meaning: What the code means, for the errors that the service has no message for.
        ids: What the request named, by parameter: ``{"workspace_id": "ws-…", "application_id": "wsa-…"}``.

    Each attribute is None, or empty, where there is nothing to tell.
    """

    last: Mapping[str, object] | None = None
    meaning: str = ""
    ids: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self,
        message: str = "",
        *,
        operation: str | None = None,
        request_id: str | None = None,
        attempts: int | None = None,
        code: str | None = None,
        http_status: int | None = None,
        resource_id: str | None = None,
        resume_token: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operation = operation
        self.request_id = request_id
        self.attempts = attempts
        self.code = code
        self.http_status = http_status
        self.resource_id = resource_id
        self.resume_token = resume_token

    def __str__(self) -> str:
        head = ": ".join(part for part in (self.operation, self.code, self.message or self.meaning) if part)
        context = [
            f"HTTP {self.http_status}" if self.http_status is not None else "",
            *(f"{name} {value}" for name, value in self.ids.items()),
            f"resource {self.resource_id}" if self.resource_id not in (None, *self.ids.values()) else "",
            f"request id {self.request_id}" if self.request_id else "",
            f"after {self.attempts} attempts" if self.attempts and self.attempts > 1 else "",
        ]
        tail = ", ".join(part for part in context if part)
        return f"{head} ({tail})" if tail else head

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Records that hold an error can be response models; an error itself is not read back.
        from pydantic_core import PydanticCustomError, core_schema

        def refuse(_: object) -> None:
            raise PydanticCustomError("error", "an error is not read back")

        return core_schema.json_or_python_schema(
            core_schema.no_info_plain_validator_function(refuse),
            core_schema.is_instance_schema(cls),
            serialization=core_schema.plain_serializer_function_ser_schema(_described, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        text = {"type": "string"}
        text_or_null = {"anyOf": [text, {"type": "null"}]}
        members = {"type": text, "code": text_or_null, "message": text, "request_id": text_or_null}
        return {"type": "object", "title": cls.__name__, "properties": members, "required": list(members)}


def _described(error: WorkSpacesError) -> dict[str, str | None]:
    return {
        "type": type(error).__name__,
        "code": error.code,
        "message": error.message or error.meaning,
        "request_id": error.request_id,
    }


class ConfigurationError(WorkSpacesError, ValueError):
    """The client was set up wrongly: no Region, an unknown profile, arguments that contradict each other."""


class CredentialsError(WorkSpacesError):
    """No credentials were found, or they could not be loaded or refreshed; the message says what to run or set."""


def told(error: BaseException) -> str:
    """Return what an error says, with what was added to it on its way."""
    return ". ".join((str(error), *getattr(error, "__notes__", ())))


def lost_credentials(error: BaseException) -> bool:
    """Tell if a call failed because there are no credentials, or none that the service takes."""
    return isinstance(error, CredentialsError) or (
        isinstance(error, ServiceError) and error.code in CREDENTIALS_CODES
    )


class ClientStateError(WorkSpacesError, RuntimeError):
    """The client is closed, or belongs to another event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with a request.

    Attributes:
        member: The parameter, with its place where it is nested: ``workspaces[3].user_name``.
        rule: What would be right.
        got: The kind of value that was given: its type and size, never the value.
    """

    member: str
    rule: str
    got: str

    def __str__(self) -> str:
        return f"{self.member}: {self.rule}, got {self.got}"


class RequestValidationError(WorkSpacesError, ValueError):
    """A request breaks the service's rules; nothing was sent.

    Attributes:
        problems: Everything that is wrong, in the order of the members.
    """

    def __init__(
        self, message: str = "", *, problems: Sequence[Problem] = (), operation: str | None = None
    ) -> None:
        super().__init__(message, operation=operation)
        self.problems: tuple[Problem, ...] = tuple(problems)


class ServiceError(WorkSpacesError):
    """The service answered, and not with 2xx. `code` is None if the body could not be read.

    Attributes:
        retry_after: Seconds the service asked to wait, where it did (`x-amz-retry-after`, `Retry-After`).
        reason: The machine-readable reason, where the service gives one (OperationNotSupportedException).
    """

    retry_after: float | None = None
    reason: str | None = None


class ThrottlingException(ServiceError):
    """The service refuses the rate of calls. Not in the service model [seen]; code ``ThrottlingException``."""


class TransportError(WorkSpacesError):
    """No answer came: the connection could not be made, broke, or was too slow.

    Attributes:
        request_sent: False: no byte left this machine; True: the request was fully written; None: unknown.
        proxy_status: The HTTP status with which a proxy refused the way to the service; None where none did.
    """

    request_sent: bool | None = None
    proxy_status: int | None = None


class DeadlineExceededError(TransportError, TimeoutError):
    """The call did not end within its `timeout`, or could not have."""


class MalformedResponseError(WorkSpacesError):
    """A 2xx answer that is not what the operation promises.

    Attributes:
        raw: The body as it came.
    """

    raw: bytes = b""

    def __reduce__(self) -> tuple[type[Self], tuple[str], dict[str, object]]:
        """Travel to another process without the body: it stands in no log, and so in no queue."""
        state = {name: value for name, value in vars(self).items() if name != "raw"}
        return type(self), (self.message,), state


class PaginationError(WorkSpacesError):
    """A listing could not go on: the service repeated a page token."""


class PartialFailureError(WorkSpacesError):
    """Some of the requests in a batch failed, though the call as such did not.

    Attributes:
        failed: The failures, as the service reported them; of waits for several WorkSpaces, their outcomes.
        succeeded: The rest, where that is known.
    """

    def __init__(
        self,
        message: str = "",
        *,
        failed: Sequence[object] = (),
        succeeded: Sequence[object] = (),
        operation: str | None = None,
        request_id: str | None = None,
        attempts: int | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(
            message,
            operation=operation,
            request_id=request_id,
            attempts=attempts,
            http_status=http_status,
        )
        # Of what class they are depends on the call, which no `except` clause can say.
        self.failed: tuple[Any, ...] = tuple(failed)
        self.succeeded: tuple[Any, ...] = tuple(succeeded)


class WaiterError(WorkSpacesError):
    """A wait ended without what it waited for.

    Attributes:
        last: The last observation, by id.
        elapsed: How long the wait took.
        polls: How many times it looked.
    """

    # By id whatever was waited for: WorkSpaces, images, directories, or the states of associations.
    last: Mapping[str, Any] | None = None
    elapsed: timedelta | None = None
    polls: int = 0


class WaiterTimeoutError(WaiterError, TimeoutError):
    """The end of a waiter's time before what it waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAssociation:
    """An application whose installation or removal failed.

    Attributes:
        workspace_id: The WorkSpace.
        application_id: The application.
        wanted: What was under way: `"installed"` or `"removed"`; None where nobody said, because the service's
            record does not tell. [doc]
        code: The service's code, such as ``"DeploymentError.UnhealthyStateError"``; None if it gave none.
        message: The service's words.
        force: What DeployWorkspaceApplications with Force would do to it.
    """

    workspace_id: str
    application_id: str
    wanted: Literal["installed", "removed"] | None
    code: str | None
    message: str | None
    force: str


class DeploymentFailedError(WaiterError):
    """Every association is terminal, and some are in ERROR.

    Attributes:
        failed: Those in ERROR, with reason, and direction if it is known.
    """

    failed: tuple[FailedAssociation, ...] = ()


class StagedChangesError(WaiterError):
    """Nothing was deployed, because Deploy would commit or repeat what this call was not asked for.

    Attributes:
        staged: The state of each association that is in the way, by application id.
    """

    staged: Mapping[str, str] | None = None


class WorkspaceNotReadyError(WaiterError):
    """The WorkSpace does not become ready by itself: two reads a minute apart agree that somebody must see to it.

    Attributes:
        workspace_state: Its state, such as ``"UNHEALTHY"``.
    """

    workspace_state: str | None = None


class WorkspaceNotReadyInTimeError(WorkspaceNotReadyError, WaiterTimeoutError):
    """The WorkSpace was still on its way, such as rebooting, when `ready_timeout` had passed."""
