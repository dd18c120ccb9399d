"""dev.py, which prepares the environment of whoever checks this out."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not (ROOT / "dev.py").is_file(), reason="only in a checkout")

LINES = [
    *(f"Collecting package{number}==1 (from -r constraints.txt (line {number}))\n" for number in range(60)),
    "  Downloading package.whl (1.0 MB)\n",
    "Installing collected packages: package1, package2\n",
    "Successfully installed package1 package2\n",
]


@pytest.mark.parametrize("live", [False, True])
def test_the_first_preparation_is_not_silent(
    live: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that changes on a terminal, and leaves nothing; elsewhere a line now and then."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    import dev

    monkeypatch.setattr(sys.stderr, "isatty", lambda: live)
    dev.tell_progress(LINES)
    told = capsys.readouterr().err

    if live:
        assert told.count("\r") == 62
        assert "60 packages fetched" in told
        assert told.endswith("\r\x1b[K")
    else:
        assert told.splitlines() == [
            "dev.py: 25 packages fetched",
            "dev.py: 50 packages fetched",
            "dev.py: installing them",
        ]
