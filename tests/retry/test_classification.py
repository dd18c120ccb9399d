"""The kind of each failure, row by row."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps._retry import FailureKind, classify, may_have_arrived, read_retry_after
from workspaces_apps.errors import (
    ConfigurationError,
    CredentialsError,
    DeadlineExceededError,
    MalformedResponseError,
    PaginationError,
    ServiceError,
    ThrottlingException,
    TransportError,
    WorkSpacesError,
)

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def service(code: str | None, status: int) -> ServiceError:
    """An answer with that code and status."""
    return ServiceError(code=code, http_status=status)


def transport(sent: bool | None) -> TransportError:
    """A connection that broke before, after, or some time around the sending."""
    error = TransportError("reset")
    error.request_sent = sent
    return error


@pytest.mark.parametrize(
    "error, kind, arrived",
    [
        (service("ThrottlingException", 400), FailureKind.THROTTLE, False),
        (service("Throttling", 400), FailureKind.THROTTLE, False),
        (service("SlowDown", 503), FailureKind.THROTTLE, False),
        (service("RequestLimitExceeded", 503), FailureKind.THROTTLE, False),
        (service(None, 429), FailureKind.THROTTLE, False),
        (ThrottlingException("Rate exceeded"), FailureKind.THROTTLE, False),
        (service("InternalServerException", 500), FailureKind.TRANSIENT, True),
        (service("InternalServerException", 400), FailureKind.TRANSIENT, True),
        (service("InternalFailure", 500), FailureKind.TRANSIENT, True),
        (service(None, 500), FailureKind.TRANSIENT, True),
        (service(None, 502), FailureKind.TRANSIENT, True),
        (service("ServiceUnavailable", 503), FailureKind.TRANSIENT, True),
        (service("SomethingNew", 504), FailureKind.TRANSIENT, True),
        (service(None, 408), FailureKind.TRANSIENT, True),
        (service(None, 501), FailureKind.FATAL, True),
        (service("OperationInProgressException", 400), FailureKind.IN_PROGRESS, False),
        (service("ResourceInUseException", 400), FailureKind.IN_PROGRESS, False),
        (service("ResourceNotFoundException", 400), FailureKind.FATAL, False),
        (service("ResourceLimitExceededException", 400), FailureKind.FATAL, False),
        (service("ConflictException", 400), FailureKind.FATAL, False),
        (service("AccessDeniedException", 400), FailureKind.FATAL, False),
        (service("SomethingNew", 400), FailureKind.FATAL, False),
        (service(None, 403), FailureKind.FATAL, False),
        (service(None, 307), FailureKind.FATAL, False),
        (transport(False), FailureKind.TRANSIENT, False),
        (transport(True), FailureKind.TRANSIENT, True),
        (transport(None), FailureKind.TRANSIENT, True),
        (DeadlineExceededError(), FailureKind.FATAL, True),
        (MalformedResponseError(), FailureKind.FATAL, True),
        (CredentialsError(), FailureKind.FATAL, False),
        (ConfigurationError(), FailureKind.FATAL, False),
        (PaginationError(), FailureKind.FATAL, False),
    ],
    ids=lambda value: (
        f"{value.code or type(value).__name__}-{value.http_status}"
        if isinstance(value, WorkSpacesError)
        else None
    ),
)
def test_each_failure_has_its_kind(error: WorkSpacesError, kind: FailureKind, arrived: bool) -> None:
    """And it is known whether the request may have been carried out."""
    assert classify(error) is kind
    assert may_have_arrived(error) is arrived


def test_a_clients_own_table_goes_first() -> None:
    """For codes that ours has, too."""
    extra = {"ThrottlingException": FailureKind.FATAL}
    assert classify(service("ThrottlingException", 400), extra) is FailureKind.FATAL


def test_a_clients_own_rows_count_from_the_nearest() -> None:
    """The code before the status, the status before the class, the class before what it derives from."""
    errors = [
        service("Odd", 520),
        service("ThrottlingException", 520),
        transport(True),
        service("Odder", 400),
    ]

    kinds = [
        classify(
            error,
            {"Odd": FailureKind.THROTTLE},
            {520: FailureKind.IN_PROGRESS},
            {TransportError: FailureKind.FATAL, WorkSpacesError: FailureKind.TRANSIENT},
        )
        for error in errors
    ]

    assert kinds == ["throttle", "in_progress", "fatal", "transient"]


def test_no_row_repeats_a_call_that_is_out_of_time() -> None:
    """Its error is a transport error too, which a row may be about."""
    error = DeadlineExceededError()
    assert classify(error, exceptions={TransportError: FailureKind.TRANSIENT}) is FailureKind.FATAL


@given(st.text(max_size=30) | st.none(), st.integers(100, 599))
def test_every_answer_is_classified(code: str | None, status: int) -> None:
    """No code and no status is without a kind, and every unlisted 5xx leaves the outcome open."""
    error = service(code, status)
    kind = classify(error)
    assert kind in FailureKind
    if status >= 500 and kind not in (FailureKind.THROTTLE, FailureKind.IN_PROGRESS):
        assert may_have_arrived(error)


@pytest.mark.parametrize(
    "headers, seconds",
    [
        ({}, None),
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"X-Amz-Retry-After": " 250 "}, 0.25),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "7", "x-amz-retry-after": "1500"}, 1.5),
        ({"Retry-After": "7", "x-amz-retry-after": "soon"}, 7.0),
        ({"Retry-After": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Thu, 01 Jan 2026 12:00:30 -0000"}, 30.0),
        ({"Retry-After": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "1e9999"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": ""}, None),
        ({"Content-Type": "9"}, None),
    ],
)
def test_a_servers_wish_is_read(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds in AWS's header, seconds or a date in the common one; nonsense is no wish."""
    assert read_retry_after(headers, NOW) == seconds


@given(st.text(max_size=40))
def test_no_header_can_break_a_call(value: str) -> None:
    """Whatever stands there: a wish of zero or more seconds, or none."""
    for name in ("Retry-After", "x-amz-retry-after"):
        wish = read_retry_after({name: value}, NOW)
        assert wish is None or wish >= 0
