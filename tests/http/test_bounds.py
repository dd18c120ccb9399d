"""Bounds for the whole: a listing, and what is said while something takes long."""

import asyncio
import logging

import pytest

from tests.http.conftest import CREDENTIALS, Connect, make_config
from tests.http.server import ScriptedServer, ok
from workspaces_apps import Credentials, DeadlineExceededError, SystemClock, WorkSpacesClient
from workspaces_apps._base import logs
from workspaces_apps._base.logs import WAITING
from workspaces_apps.simulator import ManualClock


async def test_a_listing_without_end_can_be_bounded(server: ScriptedServer, connect: Connect) -> None:
    """However many pages there are: `timeout=` is for all of them, and the rest can be read from there."""
    clock = ManualClock()

    def page(_: object) -> object:
        clock.jump(1.0)
        return ok({"Workspaces": [], "NextToken": f"t{len(server.requests)}"})

    server.respond(page)  # type: ignore[arg-type]  # an answer

    with pytest.raises(
        DeadlineExceededError, match="the listing did not end within its timeout of 10 s"
    ) as caught:
        await connect(clock=clock).describe_workspaces().collect(timeout=10)

    assert 9 <= len(server.requests) <= 12
    assert caught.value.resume_token == server.requests[-1].json["NextToken"]


@pytest.mark.parametrize("how", ["items", "pages"])
async def test_a_bound_that_is_kept_changes_nothing(
    server: ScriptedServer, connect: Connect, how: str
) -> None:
    """Every item comes, in time."""
    server.script(ok({"Workspaces": [], "NextToken": "t"}), ok({"Workspaces": []}))
    listing = connect(clock=SystemClock()).describe_workspaces()

    async for _ in listing.items(timeout=60) if how == "items" else listing.pages(timeout=60):
        pass

    assert len(server.requests) == 2


class Slow(logging.Handler):
    """A provider that takes until it was said that it is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.said = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Note that something was said; no wait after this one takes long."""
        assert "Slow" in record.getMessage()
        logs.LONG = 3600.0  # type: ignore[misc]  # the test's own, put back by it
        self.said.set()

    async def get_credentials(self) -> Credentials:
        """After a message about waiting."""
        await self.said.wait()
        return CREDENTIALS


async def test_what_takes_long_is_said(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The message names who is waited for, once it takes long."""
    monkeypatch.setattr(logs, "LONG", 0.0)
    caplog.set_level(logging.INFO, WAITING)
    server.script(ok())
    slow = Slow()
    logger = logging.getLogger(WAITING)
    logger.addHandler(slow)

    try:
        async with WorkSpacesClient(
            region="eu-west-1", endpoint_url=server.url, credentials=slow, config=make_config()
        ) as ws:
            await ws.describe_account()
    finally:
        logger.removeHandler(slow)

    assert [one.getMessage() for one in caplog.records] == ["still waiting for the credentials provider Slow"]
