"""Counting lines of code."""

from pathlib import Path

import pytest

from benchmarks.code_lines import code_lines, count


@pytest.mark.parametrize(
    "source, lines",
    [
        ("", 0),
        ('"""A module."""\n\n# why\nx = 1  # why\n', 1),
        ('def f():\n    """Do\n\n    it."""\n    return 1\n', 2),
        ('x = 1\n"""An attribute."""\n', 1),
        ('x = """a\n\nb"""\n', 3),
        ("x = (\n    1,\n\n    # why\n    2,\n)\n", 4),
        ("if x: y = 1; z = 2\n", 1),
    ],
)
def test_only_code_counts(source: str, lines: int) -> None:
    """Comments, blank lines and docstrings do not count; a text that is a value does, whole."""
    assert code_lines(source) == lines


def test_parts_that_are_not_there_count_nothing_and_the_report_is_left_out(tmp_path: Path) -> None:
    """The same list of parts fits a package before and after folders have moved."""
    report = tmp_path / "rollout" / "report"
    report.mkdir(parents=True)
    (report / "model.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "rollout" / "plan.py").write_text("x = 1\ny = 2\n", encoding="utf-8")
    (tmp_path / "looks.py").write_text("x = 1\n", encoding="utf-8")
    assert count(tmp_path, ("rollout", "looks.py", "_observe")) == {"rollout": 2, "looks.py": 1}
