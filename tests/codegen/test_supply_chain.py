"""Reports on locked packages: a service that cannot be reached is no good news."""

import json

import pytest

from codegen.supply_chain import main, read_audit, read_licences

CLEAN: dict[str, object] = {"name": "aiohttp", "version": "3.14.2", "vulns": []}
SKIPPED = {"name": "idna", "skip_reason": "not found in the index"}
HURT = {"name": "jinja2", "version": "3.1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"]}]}


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "NOT DONE for all of the packages: the advisory service cannot be reached"),
        (json.dumps({"dependencies": []}), "NOT DONE for all"),
        (
            json.dumps({"dependencies": [CLEAN, SKIPPED]}),
            "NOT DONE for 1 of 2 packages: not found in the index",
        ),
        (json.dumps({"dependencies": [CLEAN]}), "no known vulnerability in 1 packages"),
        (json.dumps({"dependencies": [CLEAN, SKIPPED, HURT]}), "1 known vulnerabilities"),
    ],
    ids=["unreachable", "nothing", "skipped", "clean", "vulnerable"],
)
def test_what_was_not_looked_up_is_not_done(text: str, said: str) -> None:
    """Only an answer for every package is a clean one."""
    assert said in read_audit(text).summary


def test_a_vulnerability_fails_the_session(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the version that mends it; a missing report fails nothing."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "lock.json").write_text(json.dumps({"dependencies": [HURT]}), encoding="utf-8")

    assert main(["audit", str(folder / "missing.json")]) == 0
    assert main(["audit", str(folder / "lock.json"), str(folder / "missing.json")]) == 1
    assert "jinja2 3.1.0: PYSEC-1, mended in 3.1.6" in capsys.readouterr().out


def test_licences_are_read_whatever_their_form() -> None:
    """An expression, an id, a name that is the whole text, or none."""
    bill = {
        "components": [
            {"name": "b", "version": "2", "licenses": [{"license": {"id": "MIT"}}]},
            {"name": "A", "version": "1", "licenses": [{"expression": "MIT OR Apache-2.0"}]},
            {"name": "c", "version": "3", "licenses": [{"license": {"name": "BSD\n\nCopyright (c) …"}}]},
            {"name": "d", "version": "4"},
        ]
    }

    assert dict(read_licences(bill)) == {
        "A 1": "MIT OR Apache-2.0",
        "b 2": "MIT",
        "c 3": "BSD",
        "d 4": "none declared",
    }
