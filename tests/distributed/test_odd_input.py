"""Odd input on the command line and in files: told in one line, as a mistake and not as a fault of the program."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rollout.site import OFFICE
from workspaces_apps.cli import main
from workspaces_apps.rollout import Amount, Manifest, ManifestError

pytest.importorskip("procrastinate", reason="the extra distributed is not installed")

import psycopg

DIGITS = "9" * 5000
LATIN_1 = b"st\xf6r".decode("utf-8", "surrogateescape")


def write(folder: Path, *, policy: str = "", prices: str = "") -> str:
    """Write a manifest, with prices beside it where there are any."""
    path = folder / "office.toml"
    named = 'prices = "prices.toml"\n' if prices else ""
    (folder / "prices.toml").write_text(prices, encoding="utf-8")
    path.write_text(
        f'name = "office"\n{named}[policy]\n{policy}\n[[rules]]\nselect = {{ everything = true }}\n'
        f'present = ["{OFFICE}"]\n',
        encoding="utf-8",
    )
    return str(path)


@pytest.mark.parametrize(
    "arguments,code,told",
    [
        (["status", "--run", "nope", "--database", "DATABASE"], 64, "there is no run 'nope'"),
        (["report", "--run", "nope", "--database", "DATABASE"], 64, "there is no run 'nope'"),
        (["pause", "--run", "nope", "--database", "DATABASE"], 64, "there is no run 'nope'"),
        (["approve", "--run", "nope", "--database", "DATABASE"], 64, "there is no run 'nope'"),
        (["runs", "--database", "mysql://u@db/db"], 64, "not mysql://"),
        (["report", "--run", "nope", "--database", "mysql://u@db/db"], 64, "not mysql://"),
        (["runs", "--database", "postgresql://u@db..example.com/db"], 1, "cannot be used: "),
        (["report", "postgresql://u@db..example.com/db?name=office"], 1, "cannot be used: "),
        (["status", "--run", LATIN_1, "--database", "DATABASE"], 1, "refuses: "),
        (
            ["submit", "MANIFEST", "--database", "DATABASE", "--slices", f"default={DIGITS}"],
            64,
            "--slices is",
        ),
        (["submit", "MANIFEST", "--database", "DATABASE", "--slices", "default=10001"], 64, "--slices is"),
    ],
)
def test_what_is_odd_is_told_in_one_line(
    arguments: list[str],
    code: int,
    told: str,
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the exit code of a mistake on the command line where it is one."""
    words = {"DATABASE": database, "MANIFEST": write(tmp_path)}

    assert main([words.get(one, one) for one in arguments]) == code

    shown = capsys.readouterr()
    assert told in shown.err
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert "internal error" not in shown.err


@pytest.mark.parametrize(
    "prices,told",
    [
        (f"[office]\nmonthly = {DIGITS}\n", "holds a value that cannot be read"),
        (f"office = {'[' * 5000}{']' * 5000}\n", "is nested too deeply"),
    ],
    ids=["digits", "depth"],
)
def test_prices_that_cannot_be_read_are_told(
    prices: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As part of a manifest."""
    assert main(["validate", write(tmp_path, prices=prices)]) == 64
    shown = capsys.readouterr().err
    assert told in shown
    assert shown.count("\n") == 1


def test_a_reason_that_is_not_utf_8_is_kept_as_far_as_it_can_be(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal of another encoding keeps nobody from a pause."""
    assert main(["submit", write(tmp_path), "--database", database]) == 0
    run = capsys.readouterr().out.strip()

    assert main(["pause", "--run", run, "--database", database, "--reason", LATIN_1]) == 0
    assert main(["runs", "--database", database]) == 0

    assert "st\N{REPLACEMENT CHARACTER}r" in capsys.readouterr().out


@pytest.mark.parametrize("budget", ["1000000", "9" * 400])
def test_a_large_budget_stands_in_the_database_as_it_was_given(
    budget: str, database: str, tmp_path: Path
) -> None:
    """A worker reads it as a number, each time that a WorkSpace fails."""
    manifest = write(tmp_path, policy=f"failure_budget = {budget}")
    assert main(["validate", manifest]) == 0
    assert main(["submit", manifest, "--database", database]) == 0

    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT budget FROM workspaces_apps.run").fetchall() == [(budget,)]


@given(st.builds(Amount, st.integers(0)) | st.builds(Amount, st.floats(0, 100), percent=st.just(True)))
def test_an_amount_is_read_as_it_is_written(amount: Amount) -> None:
    """Counts exactly, percentages to five digits."""
    text = str(amount)
    read = Amount.parse(text if amount.percent else int(text))

    assert read.percent == amount.percent
    assert read.number == pytest.approx(amount.number, abs=1e-5 if amount.percent else 0)


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 0.5])
def test_what_is_no_count_is_refused(number: float) -> None:
    """Infinity, no number at all and a fraction count no failures."""
    with pytest.raises(ManifestError, match="a count is a whole number"):
        Amount(number)


def test_a_percentage_with_many_digits_keeps_them() -> None:
    """Ninety-nine and a bit is not all."""
    data = {"name": "o", "rules": [{"select": {"everything": True}, "present": [OFFICE]}]}
    manifest = Manifest.from_data({**data, "policy": {"failure_budget": "99.99999%"}})

    again = Manifest.model_validate_json(manifest.model_dump_json())

    assert again.policy.failure_budget == Amount(99.99999, percent=True)
