"""The table and the lines that show deployments while they run."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console, RenderableType

from workspaces_apps.api import AssociationState
from workspaces_apps.cli._live import Deployments, drawing, following, table

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


def written_by(deployments: Deployments, *steps: tuple[float, str | None]) -> list[str]:
    """The lines that a pipe gets, without the last column, while one application goes through these states."""
    watch = Watch()
    told = Deployments(deployments.desktops, APPLICATIONS, watch.now)
    console = terminal(live=False)
    began = watch.time
    with console.capture() as capture, following(console, told, str):
        for after, state in steps:
            watch.time = began + timedelta(seconds=after)
            told.note("ws-1", "wsa-2", state)
    return [line.removesuffix("  Visio [2J").rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("state", AssociationState)
def test_every_state_of_the_model_is_known(state: AssociationState, deployments: Deployments) -> None:
    """A state without a look of its own would be shown as a stranger; only ends are counted as such."""
    deployments.note("ws-1", "wsa-1", state)
    console = terminal()

    assert "?" not in shown(console, table(console, deployments))
    assert (" 1 of 6" in shown(console, drawing(console, deployments, ""))) == (
        state in {"COMPLETED", "REMOVED", "ERROR"}
    )


def test_a_newer_state_is_shown_as_the_service_spells_it(deployments: Deployments) -> None:
    """A state that this package does not know is no error, and not taken for an end."""
    deployments.note("ws-1", "wsa-1", "ROLLING_BACK\x07")
    console = terminal()

    assert "? ROLLING_BACK" in shown(console, table(console, deployments))
    assert " 0 of 6" in shown(console, drawing(console, deployments, ""))


@pytest.mark.parametrize(
    "seconds,text",
    [(0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (62, "1m02s"), (3599, "59m59s"), (3723, "1h02m03s")],
)
def test_durations_are_short(seconds: float, text: str, deployments: Deployments) -> None:
    """Seconds, minutes and hours, rounded to the second."""
    assert written_by(deployments, (seconds, "COMPLETED")) == [f"{text:>8}  ws-1  COMPLETED"]


def test_a_pipe_gets_a_line_for_each_change(deployments: Deployments) -> None:
    """A state seen again is none; each is a line of its own, whole, with the time of the first look that saw it."""
    steps = ((75, "PENDING_INSTALL"), (75, "INSTALLING"), (80, "INSTALLING"), (85, "COMPLETED"), (90, None))

    assert written_by(deployments, *steps) == [
        "   1m15s  ws-1  PENDING_INSTALL",
        "   1m15s  ws-1  INSTALLING",
        "   1m25s  ws-1  COMPLETED",
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
