"""`submit`: what is refused before a database is looked for."""

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
