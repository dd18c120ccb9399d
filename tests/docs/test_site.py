"""The sources of the site: no public name is missing or without words, and no page is out of the navigation."""

import inspect
import re
import sys
from pathlib import Path

import pytest

from docsite import api, commands, llms, navigation, schemas, shapes, tables, written
from docsite.__main__ import ROOT
from workspaces_apps import api as generated
from workspaces_apps.rollout import Policy
from workspaces_apps.simulator import SimulatorSettings

pytestmark = [pytest.mark.checkout, pytest.mark.campaign]


def found() -> dict[str, str]:
    """Every page of the site."""
    pages = written.pages(ROOT, api.identifiers())
    for made in (api.pages(), commands.pages(), schemas.pages(), shapes.pages(), tables.pages()):
        pages |= made
    return pages


def test_every_public_name_has_its_place_in_the_reference() -> None:
    """Names of all public modules: in the Python API, among the errors, or among the shapes."""
    text = "\n".join(page for path, page in found().items() if path.startswith("reference/"))
    directives = set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))
    anchors = set(re.findall(r"#(workspaces_apps\.api\.\w+)[ }]", text))

    assert (
        sorted(
            f"{module}.{name}" for name, module in api.documented() if f"{module}.{name}" not in directives
        )
        == []
    )
    shaped = {name for name in generated.__all__ if inspect.isclass(getattr(generated, name))}
    assert sorted(name for name in shaped if f"workspaces_apps.api.{name}" not in anchors) == []
    assert len(directives) > 200


def test_every_public_class_and_function_has_words() -> None:
    """A heading of the reference without a sentence below it tells nothing."""
    silent = [
        f"{module}.{name}"
        for name, module in api.documented()
        if (inspect.isclass(value := getattr(sys.modules[module], name)) or inspect.isfunction(value))
        and not (value.__doc__ or "").strip()
    ]

    assert silent == []


def test_every_option_of_every_command_is_in_the_reference() -> None:
    """Flags are read from the commands, groups included, so that none is only in `--help`."""
    page = found()["reference/command-line.md"]
    names = [name for name, _ in commands.commands()]

    assert {"workspaces-apps plan", "workspaces-apps list workspaces", "workspaces-apps simulate"} <= set(
        names
    )
    for name, context in commands.commands():
        section = page.partition(f"## {name.removeprefix('workspaces-apps ')}\n")[2].partition("\n## ")[0]
        flags = [flag for option in context.command.params for flag in option.opts if flag.startswith("--")]
        assert [flag for flag in flags if flag not in section and flag != "--help"] == []


def test_every_key_of_the_policy_and_every_setting_is_in_the_reference() -> None:
    """The pages are made of the schema and of the table of assumptions."""
    pages = found()

    assert [key for key in Policy.model_fields if f"| `{key}` |" not in pages["reference/policy.md"]] == []
    settings = [one.name for one in SimulatorSettings().assumptions()]
    assert [
        name for name in settings if f"| `{name}` |" not in pages["reference/simulator-settings.md"]
    ] == []


def test_every_page_is_in_the_navigation_once() -> None:
    """Whoever looks for something by reading the menu finds every page; `llms.txt` lists the same ones."""
    pages = found()
    tree = navigation.tree(pages)
    overview = llms.overview(tree, pages)
    linked = re.findall(r"^- \[[^]]+\]\((\S+?)\)", overview, re.MULTILINE)

    assert len(linked) == len(set(linked))
    assert set(linked) | {"index.md"} == {path for path in pages if path.endswith(".md")}
    placed = {path for part in navigation.PARTS.values() for path in part}
    hand_written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(hand_written - placed - set(navigation.TUTORIAL)) == []


def test_a_link_to_no_page_is_refused() -> None:
    """A page that links to a file which the site does not have fails the build, with both names."""
    where = {"docs/a.md": "a.md", "README.md": "index.md"}

    assert written.moved("[up](../README.md#x)", "docs/a.md", where, {}) == "[up](index.md#x)"
    assert written.moved("```\n[x](y.md)\n```\n", "docs/a.md", where, {}) == "```\n[x](y.md)\n```\n"
    with pytest.raises(ValueError, match=r"docs/a\.md links to y\.md"):
        written.moved("[x](y.md)", "docs/a.md", where, {})


def test_public_names_on_pages_lead_to_the_reference() -> None:
    """A name in a sentence is a link; one in a heading, in a link's text, or with two meanings is not."""
    identifiers = {"Policy": "workspaces_apps.rollout.Policy"}
    page = written.moved("# `Policy`\n\nA `Policy`, [`Policy`](#x), `Other`.\n", "a.md", {}, identifiers)

    assert page == "# `Policy`\n\nA [`Policy`][workspaces_apps.rollout.Policy], [`Policy`](#x), `Other`.\n"


def test_workflows_run_sessions_that_exist() -> None:
    """The workflows, which cannot be run here, are made of commands that can."""
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE))
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    text = "\n".join(Path(path).read_text("utf-8") for path in workflows)

    assert len(workflows) == 3
    named = " ".join(re.findall(r"dev\.py nox --no-venv -s ([\w ]+)", text)).split()
    assert set(named) == {"audit", "bom", "docs", "model", "release"}
    assert set(named) <= sessions
    assert text.count("python dev.py test") == 2
