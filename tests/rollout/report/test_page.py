"""The HTML page, read as text: escaped, closed, under its policy, and with colours that can be told apart."""

import base64
import hashlib
import re
from dataclasses import replace
from importlib.resources import files
from typing import Final

import pytest
from hypothesis import given, settings

from tests.rollout.report.journals import HOSTILE, hostile, rolled_out
from tests.rollout.report.reading import Element, read_html
from tests.rollout.report.strategies import JOURNALS
from workspaces_apps.rollout._log.events import Event
from workspaces_apps.rollout.report import Report
from workspaces_apps.rollout.report._model import POINTS
from workspaces_apps.rollout.report._text import one_line

UNSEEN: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff\ud800-\udfff\U000e0041]"
)
"""Control characters but the end of a line, what turns text around or hides it, and what is no character."""


def tree(events: list[Event]) -> Element:
    """The page of a report on these events, read back."""
    return read_html(Report.from_events(events).to_html())


@given(JOURNALS)
@settings(max_examples=60)
def test_any_journal_gives_a_page_that_is_closed(events: list[Event]) -> None:
    """Whatever the texts, the page has only elements and attributes of ours, each closed in its place."""
    page = Report.from_events(events).to_html()

    read_html(page)
    page.encode()


def test_hostile_texts_are_shown_and_do_nothing() -> None:
    """Every one of them is in the page as text, in one harmless line."""
    page = tree(hostile())

    shown = page.text
    for text in HOSTILE:
        if len(text) < 100:
            assert one_line(text) in shown
    assert len(page.all("style")) == 1
    assert page.all("title")[0].text.startswith("Roll-out <script>alert(1)</script></style></title>")


def test_the_policy_allows_the_page_and_nothing_else() -> None:
    """Nothing may be loaded or run; the one style is named by its hash."""
    page = tree(rolled_out(3))
    (policy,) = [
        one for one in page.all("meta") if one.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    (style,) = page.all("style")
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()

    assert policy.attributes["content"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    # What stands before the policy is not under it.
    before = page.all("head")[0].inside[:2]
    assert next(one.attributes for one in before if isinstance(one, Element)) == {"charset": "utf-8"}
    assert before[1] is policy


def test_the_page_can_be_read_without_seeing_it() -> None:
    """One heading of the first level, sections with headings, tables with captions and scopes, named drawings."""
    page = tree(rolled_out(20))

    assert page.all("html")[0].attributes["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert all(len(one.all("h2")) == 1 for one in page.all("section"))
    assert all(one.attributes["scope"] in {"col", "row"} for one in page.all("th"))
    assert all(one.all("caption")[0].text for one in page.all("table"))
    drawings = [one for one in page.all("svg") if "role" in one.attributes]
    assert all(one.attributes["role"] == "img" and one.all("title")[0].text for one in drawings)
    plots = [one for one in drawings if one.attributes["class"] == "plot"]
    assert len(plots) == 2
    assert all(one.all("desc")[0].text for one in plots)
    names = [one.attributes["id"] for plot in plots for kind in ("title", "desc") for one in plot.all(kind)]
    assert " ".join(names).split() == " ".join(one.attributes["aria-labelledby"] for one in plots).split()


def test_the_page_has_every_chart() -> None:
    """Progress, calls, states, failures, the slowest; and the tables."""
    titles = [one.text for one in tree(rolled_out(60)).all("h2")]

    assert titles == [
        "Progress over time",
        "Calls and throttles",
        "States",
        "Failures by reason",
        "Slowest WorkSpaces",
        "Licences",
        "Reasons",
        "Not in sync",
        "Waves",
        "Runs",
        "Timelines",
    ]


def test_bars_are_as_long_as_what_they_tell() -> None:
    """The parts of a stacked bar fill it, each by its share."""
    report = Report.from_events(rolled_out(20))
    bars = [one for one in read_html(report.to_html()).all("svg") if one.attributes.get("class") == "bar"]
    parts = [one for one in bars[0].all("rect") if one.attributes["class"] != "track"]
    shares = {one.attributes["class"]: float(one.attributes["width"].rstrip("%")) for one in parts}

    assert sum(shares.values()) == pytest.approx(100, abs=0.1)
    assert shares["fill-succeeded"] == pytest.approx(
        100 * report.counts["succeeded"] / report.total, abs=0.01
    )


def test_a_large_fleet_gives_a_small_page() -> None:
    """The page stays below a megabyte, says what it leaves out, and thins its series."""
    report = Report.from_events(rolled_out(600, killed=False))
    page = report.to_html()

    assert len(page.encode()) < 1_000_000
    assert "And 560 more WorkSpaces: the JSON form has all." in page
    assert len(report.progress) <= POINTS + 1


def test_the_same_journal_gives_the_same_page() -> None:
    """Nothing in it depends on the moment at which it is made."""
    assert Report.from_events(rolled_out(8)).to_html() == Report.from_events(rolled_out(8)).to_html()


def test_only_the_style_is_taken_as_it_is() -> None:
    """The template has one text that is not escaped, and no way to leave out the escaping of others."""
    template = files("workspaces_apps.rollout.report").joinpath("page.html").read_text(encoding="utf-8")

    assert re.findall(r"\S*(?:\bsafe\b|autoescape|\braw\b|Markup|__html__)\S*", template) == ["style|safe"]


def test_every_text_is_escaped_and_in_one_line() -> None:
    """Also where no text from elsewhere is looked for, such as a note below a table."""
    report = Report.from_events(hostile())
    (run,) = report.runs
    wave = Report.from_events(rolled_out(3)).waves[0]
    decided = replace(wave, run=run.run, decision="approved by <b>\x00\u202e\n</b>")
    page = replace(report, waves=(decided,)).to_html()

    assert UNSEEN.search(page) is None
    assert f'<p class="note">{wave.wave} of {wave.waves} was approved by &lt;b&gt; &lt;/b&gt;.</p>' in page
    read_html(page)


def test_a_text_from_elsewhere_has_a_direction_of_its_own() -> None:
    """Whatever is in a cell, in a heading of its own or beside a bar is isolated from what stands around it."""
    page = tree(hostile())
    apart = [
        *page.all("td"),
        *page.all("h1"),
        *page.all("dd"),
        *[one for one in page.all("th") if one.attributes["scope"] == "row"],
        *[one for one in page.all("p") if one.attributes["class"].startswith("headline")],
        *[one.all("span")[0] for one in page.all("div") if one.attributes.get("class") == "row"],
    ]

    assert len(apart) > 500
    assert all(" ".join(part.text for part in one.all("bdi")) == one.text.strip() for one in apart)
    assert all(line.text == one_line(line.text) for line in page.all("bdi"))


def test_numbers_of_a_drawing_are_short() -> None:
    """Each has two places at most, and no part that tells nothing."""
    names = ("x", "y", "x1", "x2", "y1", "y2", "width", "height")
    drawn = [one for kind in ("rect", "line", "text", "svg") for one in tree(rolled_out(20)).all(kind)]
    numbers = [one.attributes[name] for one in drawn for name in names if name in one.attributes]

    assert len(numbers) > 200
    assert [one for one in numbers if not re.fullmatch(r"\d+(\.\d?[1-9])?%?", one)] == []


def luminance(colour: str) -> float:
    """The relative luminance of a colour, as WCAG defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG defines it."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_told_from_the_ground(scheme: int) -> None:
    """Text has a contrast of 4.5 at least, what a chart draws one of 3; what waits is the ground of the others."""
    style = tree([]).all("style")[0].text
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[scheme]))

    for ground in (colours["page"], colours["card"]):
        assert min(contrast(colours[text], ground) for text in ("ink", "soft")) >= 4.5
    drawn = ("succeeded", "unchanged", "failed", "skipped", "blocked", "in-progress", "calls", "throttled")
    assert min(contrast(colours[one], colours["card"]) for one in drawn) >= 3
