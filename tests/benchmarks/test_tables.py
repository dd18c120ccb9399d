"""The tables of the benchmarks, and the page that keeps them."""

from pathlib import Path

import pytest

from benchmarks.tables import Goal, Row, number, put_page, put_section, table

LIMITED = Goal(most=4.1)


def test_a_table_has_a_column_for_each_package_that_was_measured() -> None:
    """Figures stand beside each other, and the goal is judged by the working tree's."""
    row = Row(what="calls", values={"today": 6.6, "now": 4.2}, goal=LIMITED, form=".1f")
    assert table("1,000", [row]) == [
        "| 1,000 | today | now | goal |",
        "|---|---:|---:|---|",
        "| calls | 6.6 | 4.2 | ≤ 4.1 **missed** |",
        "",
    ]


def test_a_goal_is_shown_unjudged_where_only_the_earlier_package_was_measured() -> None:
    """An earlier package has no goals: nothing is missed, and the bound is there to compare."""
    row = Row(what="calls", values={"today": 6.6}, goal=LIMITED)
    assert table("1,000", [row])[2] == "| calls | 6.6 | ≤ 4.1 |"
    assert not row.missed


@pytest.mark.parametrize("value, missed", [(4.1, False), (4.11, True)])
def test_a_goal_is_met_up_to_its_bound(value: float, missed: bool) -> None:
    """A figure exactly on the bound meets it."""
    assert Row(what="calls", values={"now": value}, goal=LIMITED).missed is missed


def test_a_figure_that_is_no_number_is_refused() -> None:
    """A table never shows what a script did not measure."""
    with pytest.raises(TypeError, match="wall is None"):
        number({"wall": None}, "wall")


def test_a_section_is_written_anew_and_its_neighbours_stay(tmp_path: Path) -> None:
    """Sections that another command wrote to the page are kept, whatever the order of the commands."""
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\nintroduction\n\n## One\n\nfirst\n\n### Part\n\nsmall\n\n## Two\n\nsecond\n",
        encoding="utf-8",
    )
    put_section(page, "One", ["anew"])
    put_section(page, "Three", ["third"])
    assert page.read_text(encoding="utf-8") == (
        "# Page\n\nintroduction\n\n## One\n\nanew\n\n## Two\n\nsecond\n\n## Three\n\nthird\n"
    )


def test_a_page_that_is_written_anew_keeps_the_sections_of_other_commands(tmp_path: Path) -> None:
    """`nox -s bench` does not lose what the longer measurements wrote before."""
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nold\n\n## Calls\n\nold\n\n## Waiters\n\nkept\n", encoding="utf-8")
    put_page(page, "# Page\n\nnew\n\n## Calls\n\nnew\n", kept=("Roll-outs", "Waiters"))
    assert page.read_text(encoding="utf-8") == ("# Page\n\nnew\n\n## Calls\n\nnew\n\n## Waiters\n\nkept\n")
