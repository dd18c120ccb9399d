"""The HTML page in a real browser: nothing is fetched, nothing complains, and it fits a phone."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

import pytest

from tests.rollout.report.browser import Visit, browser, open_tab
from tests.rollout.report.journals import HOSTILE, hostile, rolled_out
from workspaces_apps.rollout.report import Report
from workspaces_apps.rollout.report._text import one_line

PROGRAM: Final = browser()

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium to show the page in")

Scheme: TypeAlias = Literal["light", "dark"]
Case: TypeAlias = tuple[str, str, Scheme]

CASES: Final[tuple[Case, ...]] = (
    ("rolled-out", "desktop", "light"),
    ("rolled-out", "phone", "dark"),
    ("rolled-out", "phone", "light"),
    ("hostile", "desktop", "dark"),
    ("hostile", "phone", "light"),
    ("empty", "phone", "light"),
)
WINDOWS: Final = {"desktop": (1280, 900), "phone": (360, 740)}
BACKGROUNDS: Final = {"light": "rgb(246, 247, 249)", "dark": "rgb(14, 17, 22)"}


async def show_all(program: str, folder: Path) -> dict[Case, Visit]:
    """Show each page in each window, with everything that is folded away opened."""
    journals = {"rolled-out": rolled_out(40), "hostile": hostile(), "empty": []}
    for name, events in journals.items():
        (folder / f"{name}.html").write_text(Report.from_events(events).to_html(), encoding="utf-8")
    visits: dict[Case, Visit] = {}
    async with open_tab(program, folder / "profile") as tab:
        for name, window, scheme in CASES:
            width, height = WINDOWS[window]
            visits[name, window, scheme] = await tab.visit(
                (folder / f"{name}.html").as_uri(),
                width=width,
                height=height,
                phone=window == "phone",
                scheme=scheme,
                opened=True,
            )
    return visits


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Case, Visit]:
    """The results of showing every page; one browser does for all."""
    assert PROGRAM is not None
    return asyncio.run(show_all(PROGRAM, tmp_path_factory.mktemp("pages")))


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_the_page_asks_for_nothing(visits: Mapping[Case, Visit], case: Case) -> None:
    """The only request is the one for the page itself."""
    (request,) = visits[case].requests

    assert request.endswith(f"/{case[0]}.html")
    assert visits[case].measures["scripts"] == visits[case].measures["images"] == 0
    assert visits[case].measures["handlers"] == visits[case].measures["links"] == 0


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_the_browser_does_not_complain(visits: Mapping[Case, Visit], case: Case) -> None:
    """No error, no violation of the policy, no dialogue."""
    assert visits[case].complaints == ()


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_nothing_is_wider_than_the_window(visits: Mapping[Case, Visit], case: Case) -> None:
    """No page scrolls sideways, even with everything opened; no text is tiny; charts use the width."""
    measures = visits[case].measures

    assert measures["wide"] == []
    assert measures["scroll"] <= measures["width"]
    assert (measures["smallest"] or 12) >= 12
    assert all(width > 0.4 * measures["width"] for width in measures["plots"])
    assert case[1] == "desktop" or measures["width"] == 360


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_tables_become_lists_on_a_phone(visits: Mapping[Case, Visit], case: Case) -> None:
    """Where a row has no room beside, its cells stand below each other, each with its heading."""
    expected = [] if case[0] == "empty" else ["grid"] if case[1] == "phone" else ["table-cell"]

    assert visits[case].measures["cells"] == expected


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_the_style_is_applied_in_both_schemes(visits: Mapping[Case, Visit], case: Case) -> None:
    """The policy lets the page's own style through, and it follows what the reader prefers."""
    assert visits[case].measures["background"] == BACKGROUNDS[case[2]]
    assert visits[case].picture.startswith(b"\x89PNG")


def test_hostile_texts_are_seen_as_text(visits: Mapping[Case, Visit]) -> None:
    """Text that would be markup is read on the screen, letter by letter."""
    seen = " ".join(visits["hostile", "desktop", "dark"].measures["text"].split())

    for text in HOSTILE:
        if 0 < len(one_line(text)) < 100:
            assert one_line(text) in seen


async def test_the_checks_see_what_is_wrong(tmp_path: Path) -> None:
    """A page that breaks the policy, loads something and is too wide is caught by the same means."""
    assert PROGRAM is not None
    page = Report.from_events([]).to_html()
    bad = '<img src="missing.png"><script>alert(1)</script><p style="color: red">x</p>'
    wide = f"<b>{'y' * 400}</b>"
    (tmp_path / "bad.html").write_text(page.replace("<footer>", f"{bad}{wide}<footer>"))
    async with open_tab(PROGRAM, tmp_path / "profile") as tab:
        visit = await tab.visit((tmp_path / "bad.html").as_uri(), width=360, height=740, phone=True)

    assert len(visit.complaints) >= 3
    assert visit.measures["wide"] == ["B."]
    assert visit.measures["scroll"] > visit.measures["width"]
    assert visit.measures["handlers"] == visit.measures["scripts"] == visit.measures["images"] == 1
