"""Lists of selectors in CSV files, as people have them: from Excel, with stray spaces, and with mistakes."""

import os
from pathlib import Path

import pytest

from tests.schemas import validate
from workspaces_apps.rollout import Manifest, ManifestError

MANIFEST = """name = "x"
[[rules]]
present = ["Office"]
select = {{ {select} }}
"""


def loaded(folder: Path, text: str | bytes, select: str) -> Manifest:
    """A manifest in a folder with a list."""
    data = text.encode() if isinstance(text, str) else text
    (folder / "users.csv").write_bytes(data)
    (folder / "m.toml").write_text(MANIFEST.format(select=select))
    return Manifest.load(folder / "m.toml")


@pytest.mark.parametrize(
    "text",
    [
        "Name,WorkspaceId\nanna,ws-00000001\nbert,ws-00000002\n",
        "\ufeffName;WorkspaceId\r\nanna; ws-00000001 \r\nbert;ws-00000002\r\n\r\n;\r\nanna;ws-00000001\r\n",
        'WorkspaceId\tName\nws-00000001\t"An\nna"\nws-00000002\n',
    ],
)
def test_a_column_is_the_list(text: str, tmp_path: Path) -> None:
    """Beside the manifest, whatever parts the columns, each value once; empty ones are left out."""
    found = loaded(tmp_path, text, 'workspace_ids = { csv = "users.csv", column = "workspaceid" }')

    assert found.rules[0].select.workspace_ids == ("ws-00000001", "ws-00000002")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize(
    "key",
    ['select = { user_names = { csv = "pipe", column = "u" } }', 'prices = "pipe"'],
    ids=["list", "prices"],
)
def test_a_pipe_is_refused_and_not_waited_for(key: str, tmp_path: Path) -> None:
    """Nobody may ever write to it."""
    os.mkfifo(tmp_path / "pipe")
    text = MANIFEST.format(select="everything = true")
    text = (
        f"{key}\n{text}" if key.startswith("prices") else text.replace("select = { everything = true }", key)
    )
    (tmp_path / "m.toml").write_text(text)

    with pytest.raises(ManifestError, match="not a regular file"):
        Manifest.load(tmp_path / "m.toml")


def test_lists_are_read_in_every_selector(tmp_path: Path) -> None:
    """Within others too; and the schema knows the form."""
    found = loaded(
        tmp_path, "u\nanna\n", 'everything = true, none_of = [{ user_names = { csv = "users.csv", column = "u" } }]'
        .replace("everything = true", 'running_modes = ["AUTO_STOP"]')
    )  # fmt: skip
    inner = found.rules[0].select.none_of
    rule = {"present": ["a"], "select": {"user_names": {"csv": "x", "column": "y"}}}

    assert inner is not None
    assert [one.user_names for one in inner] == [("anna",)]
    validate({"name": "x", "rules": [rule]}, Manifest.json_schema())


@pytest.mark.parametrize(
    "text,select,told",
    [
        ("a,b\n1,2\n", '{ csv = "users.csv", column = "c" }', "has no column 'c', but a, b"),
        ("a,A\n1,2\n", '{ csv = "users.csv", column = "a" }', "has 2 columns 'a'"),
        ("a\n", '{ csv = "users.csv", column = "a" }', "is empty, so nothing would be selected"),
        ("", '{ csv = "users.csv", column = "a" }', "no headings at all"),
        (b"a\n\xff\n", '{ csv = "users.csv", column = "a" }', "save it as CSV UTF-8"),
        ('a\n"x\n', '{ csv = "users.csv", column = "a" }', "is not CSV"),
        ("a\nb\x07\n", '{ csv = "users.csv", column = "a" }', "line 2: holds the control character"),
        ("a\nx\n", '{ csv = "absent.csv", column = "a" }', "cannot be read: No such file"),
        ("a\nx\n", '{ csv = "users.csv" }', "column: is missing"),
        ("a\nx\n", '{ csv = "users.csv", column = "a", colour = 1 }', "unknown key"),
    ],
)
def test_what_is_wrong_with_a_list_is_told_once_with_its_file(
    text: str | bytes, select: str, told: str, tmp_path: Path
) -> None:
    """Before any call, as the only mistake."""
    with pytest.raises(ManifestError) as caught:
        loaded(tmp_path, text, f"user_names = {select}")

    (mistake,) = caught.value.mistakes
    assert told in str(mistake)
    assert "rules[0].select.user_names" in mistake.key


@pytest.mark.parametrize(
    "text,told",
    [
        ("a\nanna\n", "line 2: 'anna' is not a valid WorkSpace id"),
        ("a\nws-00000001\n\nws-1\nx\ny\n", "line 4: 'ws-1' is not a valid WorkSpace id (and 2 more)"),
    ],
)
def test_an_id_of_a_list_that_is_none_is_told_with_its_line(text: str, told: str, tmp_path: Path) -> None:
    """As the only mistake: a column that holds no ids is no empty selection, and thousands are told once."""
    with pytest.raises(ManifestError) as caught:
        loaded(tmp_path, text, 'workspace_ids = { csv = "users.csv", column = "a" }')
    (mistake,) = caught.value.mistakes
    assert (mistake.key, mistake.rule) == (
        "rules[0].select.workspace_ids",
        f"{tmp_path / 'users.csv'}: {told}",
    )
