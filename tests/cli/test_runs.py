"""Commands about runs and journals: what is refused before anything is looked for."""

from pathlib import Path

import pytest

from workspaces_apps.cli import main
from workspaces_apps.cli._console import ExitCode


@pytest.mark.parametrize("value", ["eu", "eu=", "=2", "eu=0", "eu=two"])
def test_slices_are_a_target_and_a_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    """The message shows the form."""
    code = main(
        [
            "submit",
            str(tmp_path / "fleet.toml"),
            "--database",
            "postgresql://nobody@127.0.0.1:1/none",
            "--slices",
            value,
        ]
    )

    assert code == ExitCode.USAGE
    assert (
        f"--slices is TARGET=N, with N of 1 or more, 10,000 at most, not '{value}'" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "line",
    [
        *(
            [word, "no.journal"]
            for word in ("pause", "resume", "approve", "reject", "drain", "stop", "report")
        ),
        ["journal", "copy", "no.journal", "other.journal"],
        ["plan", "--undo", "no.journal"],
    ],
    ids=" ".join,
)
def test_a_journal_that_is_not_there_is_a_mistake_of_the_command_line(
    line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It exits with 64 whichever command asks for it, and is named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    assert main(line) == ExitCode.USAGE
    assert capsys.readouterr().err == "workspaces-apps: there is no journal no.journal\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options, rule",
    [
        (["--output", "csv"], "status --run has no table to give as csv"),
        (["--all"], "--all, --bundles, --allow-empty and --journal are for a MANIFEST"),
        (["--journal", "office.journal"], "--all, --bundles, --allow-empty and --journal are for a MANIFEST"),
    ],
)
def test_what_says_nothing_of_a_run_is_refused(
    options: list[str], rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that asks for CSV does not parse text."""
    database = "postgresql://nobody@127.0.0.1:1/none"

    assert main(["status", "--run", "0123456789ab", "--database", database, *options]) == ExitCode.USAGE
    assert rule in capsys.readouterr().err
