"""Sessions of aiobotocore as clients make them for themselves."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from aiobotocore.session import AioSession
from botocore import handlers

from workspaces_apps import WorkSpacesClient
from workspaces_apps._http.session import make_session

if TYPE_CHECKING:
    WorkSpacesClient(session=AioSession())
    # The clients of this one are not asynchronous.
    WorkSpacesClient(session=botocore.session.Session())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

# Those that clients come to call: their own, and those that hand out credentials.
SERVICES = ("workspaces", "signin", "sso", "sso-oidc", "sts")
EVENTS = {entry[0].partition(".")[0] for entry in handlers.BUILTIN_HANDLERS} - {"docs"}


def registered(session: AioSession, event: str) -> list[object]:
    """The handlers of one event, in their order."""
    aliaser: Any = session.get_component("event_emitter")
    found: Iterator[object] = aliaser._emitter._handlers.prefix_search(event)
    return list(found)


def operations(session: AioSession, service: str) -> list[str]:
    """The names of a service's operations."""
    loader: Any = session.get_component("data_loader")
    return list(loader.load_service_model(service, "service-2")["operations"])


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_is_missing_that_a_call_needs(service: str) -> None:
    """For each operation of each service that is called, botocore's handlers are those of any other session."""
    ours, usual = make_session(None), AioSession()
    names = [f"{event}.{service}.{one}" for event in EVENTS for one in operations(usual, service)]

    assert names
    assert [one for one in names if registered(ours, one) != registered(usual, one)] == []


def test_what_other_services_need_is_left_out() -> None:
    """It is what would take the time: S3 alone brings dozens."""
    event = "before-parameter-build.s3.PutObject"

    assert len(registered(make_session(None), event)) < len(registered(AioSession(), event))


@pytest.mark.parametrize("place", ["REGISTER_FIRST", "REGISTER_LAST"])
def test_a_handler_keeps_its_place(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that asks to be first or last among the handlers of an event is."""

    def added(**_: object) -> None:
        """Nothing to do."""

    entry = ("before-call", added, getattr(handlers, place))
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [entry, *handlers.BUILTIN_HANDLERS, entry])

    order = registered(make_session(None), "before-call.workspaces.DescribeTags")

    assert (order[0] if place == "REGISTER_FIRST" else order[-1]) is added
