"""The table and the lines that show deployments while they run."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console, RenderableType

from workspaces_apps.api import AssociationState
from workspaces_apps.cli._live import (
    FAILED,
    LOOKS,
    Deployments,
    drawing,
    following,
    look_of,
    short_duration,
    table,
)

APPLICATIONS = {"wsa-1": "Microsoft Office", "wsa-2": "Visio\x1b[2J"}


class Watch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 5, 8, tzinfo=UTC)

    def now(self) -> datetime:
        """The time it was set to."""
        return self.time


@pytest.fixture
def watch() -> Watch:
    """A clock at the beginning."""
    return Watch()


@pytest.fixture
def deployments(watch: Watch) -> Deployments:
    """Two applications on three WorkSpaces, about which nothing is known yet."""
    return Deployments(dict.fromkeys(["ws-1", "ws-2", "ws-3"], "Windows 11"), APPLICATIONS, watch.now)


def terminal(*, width: int = 80, height: int = 24, encoding: str = "utf-8", live: bool = True) -> Console:
    """A console that writes into memory, without colours."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="", write_through=True)
    return Console(
        file=file,
        force_terminal=live,
        color_system=None,
        width=width,
        height=height,
        legacy_windows=False,
        _environ={"TERM": "xterm"},
    )


def shown(console: Console, what: RenderableType) -> str:
    """The text that a console would write."""
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def test_every_known_state_has_its_look() -> None:
    """A state of the model without a row would be shown as a stranger."""
    assert {*AssociationState, None, FAILED} == set(LOOKS)
    assert {state for state, look in LOOKS.items() if look.ended} == {"COMPLETED", "REMOVED", "ERROR", FAILED}


def test_a_newer_state_is_shown_as_the_service_spells_it() -> None:
    """A state that this package does not know is no error, and not taken for an end."""
    look = look_of("ROLLING_BACK\x07")

    assert (look.word, look.ended) == ("ROLLING_BACK", False)


@pytest.mark.parametrize(
    "seconds,text",
    [(0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (62, "1m02s"), (3599, "59m59s"), (3723, "1h02m03s")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    """Seconds, minutes and hours, rounded to the second."""
    assert short_duration(timedelta(seconds=seconds)) == text


def test_a_state_seen_twice_is_one_step(deployments: Deployments, watch: Watch) -> None:
    """The time of a step is that of the first look that saw it; looking again changes nothing."""
    seen: list[str] = []
    deployments.on_step = lambda _workspace, _application, step: seen.append(step.state)

    for state in ("PENDING_INSTALL", "INSTALLING", "INSTALLING", "COMPLETED", "COMPLETED", None):
        deployments.note("ws-1", "wsa-1", state)
        watch.time += timedelta(minutes=1)

    step = deployments.step("ws-1", "wsa-1")
    assert seen == ["PENDING_INSTALL", "INSTALLING", "COMPLETED"]
    assert step is not None
    assert step.after == timedelta(minutes=3)
    assert (deployments.ended(), deployments.ended("ws-2"), deployments.total) == (1, 0, 6)


def test_a_pipe_gets_a_line_for_each_change(deployments: Deployments, watch: Watch) -> None:
    """Without a terminal each change is a line of its own, whole, with nothing that steers a terminal."""
    console = terminal(live=False)
    with console.capture() as capture, following(console, deployments, str):
        watch.time += timedelta(seconds=75)
        deployments.note("ws-1", "wsa-2", "PENDING_INSTALL_DEPLOYMENT")
        deployments.note("ws-1", "wsa-2", "PENDING_INSTALL")

    assert capture.get().splitlines() == [
        "   1m15s  ws-1  PENDING_INSTALL_DEPLOYMENT  Visio [2J",
        "   1m15s  ws-1  PENDING_INSTALL             Visio [2J",
    ]


async def test_a_terminal_is_drawn_on_and_left_clean(deployments: Deployments) -> None:
    """On a terminal the table is drawn, and erased in the end for the one that stays."""
    console = terminal()
    with console.capture() as capture, following(console, deployments, lambda: "7 requests"):
        deployments.note("ws-1", "wsa-1", "COMPLETED")

    written = capture.get()
    assert "1 of 6" in written
    assert "7 requests" in written
    assert written.endswith("\x1b[2K")


def test_the_table_has_a_row_for_each_workspace(deployments: Deployments, watch: Watch) -> None:
    """States in words, with the time it took where they are final; names without what steers a terminal."""
    watch.time += timedelta(minutes=9)
    deployments.note("ws-1", "wsa-1", "COMPLETED")
    deployments.note("ws-2", "wsa-2", "INSTALLING")
    console = terminal()

    head, _, first, second, third = shown(console, table(console, deployments)).splitlines()
    assert head.split() == ["WorkSpace", "Operating", "system", "Office", "Visio", "[2J"]
    assert first.split() == ["ws-1", "Windows", "11", "●", "COMPLETED", "9m00s", "waiting"]
    assert second.split() == ["ws-2", "Windows", "11", "waiting", "◑", "installing"]
    assert third.split() == ["ws-3", "Windows", "11", "waiting", "waiting"]


def test_a_narrow_terminal_shows_every_application(deployments: Deployments) -> None:
    """Where not all columns fit, the operating system goes first."""
    deployments.note("ws-1", "wsa-2", "COMPLETED")

    written = shown(console := terminal(width=60), table(console, deployments))
    assert "Operating" not in written
    assert "COMPLETED" in written


def test_a_terminal_without_utf8_gets_words_only(deployments: Deployments) -> None:
    """Symbols that the terminal cannot write are left out."""
    deployments.note("ws-1", "wsa-1", "COMPLETED")
    console = terminal(encoding="cp1252")

    assert "●" not in shown(console, table(console, deployments))
    assert "COMPLETED" in shown(console, table(console, deployments))


def test_a_small_terminal_shows_what_is_under_way(deployments: Deployments) -> None:
    """Where not every WorkSpace fits, those that are done make room, and the rest is counted."""
    for application_id in APPLICATIONS:
        deployments.note("ws-1", application_id, "COMPLETED")

    written = shown(console := terminal(height=11), drawing(console, deployments, ""))
    assert "ws-1" not in written
    assert "ws-2" in written
    assert "ws-3" in written
    assert "and 1 more" in written
    assert len(written.splitlines()) < 11
