"""The reference of exit codes, errors, events and the simulator's settings, made from the tables of the package."""

from typing import Final

from docsite.api import directive, event_names
from workspaces_apps import api, errors, rollout
from workspaces_apps._base.public import attribute_docs
from workspaces_apps.cli._console import FAILURE_CODES, ExitCode
from workspaces_apps.simulator import SimulatorSettings

WHERE_ERRORS_COME_FROM: Final = "Everything raised on purpose is a `WorkSpacesError`. [Calls](../calls.md#errors) tells when each is raised."


def cell(text: str) -> str:
    """Return text as one cell of a Markdown table."""
    return " ".join(text.replace("|", "\\|").split())


def exit_codes() -> str:
    """Return the page of the command's exit codes."""
    docs = attribute_docs(ExitCode)
    rows = [f"| {code.value} | `{code.name}` | {cell(docs[code.name])} |" for code in ExitCode]
    by_error = [f"| `{error.__name__}` | {code.value} |" for error, code in FAILURE_CODES]
    endings = [f"| `{ending}` | {code} |" for ending, code in rollout.EXIT_CODES.items()]
    return "\n".join(
        (
            "# Exit codes\n",
            "| code | name | meaning |\n| --- | --- | --- |",
            *rows,
            "\n## By ending of an apply\n\n| ending | code |\n| --- | --- |",
            *endings,
            "\n## By error\n\nThe first row that fits; anything else is a fault in this program, 70.\n",
            "| error | code |\n| --- | --- |",
            *by_error,
            "",
        )
    )


def error_page() -> str:
    """Return the page of the errors: the tree, the classes, and those of the service's model."""
    tree = (errors.__doc__ or "").partition("\n\n")[2].partition("\n\n")[0]
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and value.__module__ == errors.__name__
    ]
    modelled = [
        found
        for name in api.__all__
        if isinstance(found := getattr(api, name), type) and issubclass(found, errors.ServiceError)
    ]
    rows = [
        f"| [](){{#workspaces_apps.api.{one.__name__}}}`{one.__name__}` | {cell((one.__doc__ or '').partition(chr(10))[0])} |"
        for one in modelled
    ]
    return "\n".join(
        (
            f"# Errors\n\n{WHERE_ERRORS_COME_FROM}\n\n```text\n{tree}\n```\n",
            *(directive(f"workspaces_apps.errors.{one.__name__}") for one in classes),
            (
                "## Errors of the service\n\nEach is a `ServiceError` and imports from `workspaces_apps` and"
                " `workspaces_apps.api`.\n\n| error | meaning |\n| --- | --- |"
            ),
            *rows,
            "",
        )
    )


def events() -> str:
    """Return the page of the events that an apply gives and a journal keeps."""
    rows: list[str] = []
    for name in event_names():
        model = getattr(rollout, name)
        kind = model.model_fields["kind"].default
        first = (model.__doc__ or "").partition("\n")[0]
        rows.append(f"| `{kind}` | [`{name}`](#workspaces_apps.rollout.{name}) | {cell(first)} |")
    return "\n".join(
        (
            (
                "# Events\n\nRecords that `async with rollout.apply(plan) as events` gives, that a journal keeps one a line,"
                " and that `apply --output json` prints. `kind` tells which one it is.\n"
            ),
            "| kind | class | meaning |\n| --- | --- | --- |",
            *rows,
            "",
            *(directive(f"workspaces_apps.rollout.{name}") for name in event_names()),
        )
    )


def simulator_settings() -> str:
    """Return the page of the simulator's settings, each with its default and how it is known."""
    rows = [
        f"| `{one.name}` | `{cell(one.default)}` | {one.mark} | {cell(one.note)} |"
        for one in SimulatorSettings().assumptions()
    ]
    return "\n".join(
        (
            (
                "# Simulator settings\n\nFields of `SimulatorSettings`, for `Simulator(settings=…)`,"
                " `@pytest.mark.workspaces(settings=…)` and `simulate --set NAME=VALUE`. Durations are in simulated seconds."
                " [Simulator's truth](../simulator-truth.md) explains the marks.\n"
            ),
            "| setting | default | mark | meaning |\n| --- | --- | --- | --- |",
            *rows,
            "",
        )
    )


def pages() -> dict[str, str]:
    """Return the pages by their path."""
    return {
        "reference/exit-codes.md": exit_codes(),
        "reference/errors.md": error_page(),
        "reference/events.md": events(),
        "reference/simulator-settings.md": simulator_settings(),
    }
