"""Runs of a command: its connection, the event loop with its client or roll-out, and the way out when asked to end."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, get_type_hints
from unicodedata import normalize

import typer

from workspaces_apps._base.clock import SystemClock
from workspaces_apps._base.logs import field_logger
from workspaces_apps._base.system import keep, rare
from workspaces_apps.cli._console import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine
    from types import FrameType

    from workspaces_apps._base.clock import Clock
    from workspaces_apps._base.credentials import Credentials
    from workspaces_apps._client.client import WorkSpacesClient
    from workspaces_apps._http.config import ClientConfig
    from workspaces_apps._telemetry.port import Hooks
    from workspaces_apps.api import WorkSpaceApplication
    from workspaces_apps.rollout import Manifest, Plan, Rollout


T = TypeVar("T")

_log = field_logger("workspaces_apps.cli")

_NOT_IN_A_FILE_NAME: Final = re.compile(r"[^\w.-]+")
_FORMERLY_NOT_IN_A_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """The service that a command calls, and the identity it calls as; AWS's standard resolution finds what is None.

    Attributes:
        profile: `--profile`.
        region: `--region`.
        endpoint_url: `--endpoint-url`.
        allow_insecure_endpoint: `--allow-insecure-endpoint`.
        credentials: Whose calls they are; no option gives them, so that they stand in no shell's history.
        clock: Where time comes from, for the command as for its client.
    """

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    allow_insecure_endpoint: bool = False
    credentials: Credentials | None = None
    clock: Clock = field(default_factory=SystemClock)

    def client(self) -> WorkSpacesClient:
        """Make a client, not open yet."""
        from workspaces_apps._client.client import WorkSpacesClient

        return WorkSpacesClient(
            profile=self.profile,
            region=self.region,
            endpoint_url=self.endpoint_url,
            credentials=self.credentials,
            config=self.config(),
            clock=self.clock,
        )

    def config(self) -> ClientConfig:
        """Return the settings of each client."""
        from workspaces_apps._http.config import ClientConfig

        return ClientConfig(allow_insecure_endpoint=self.allow_insecure_endpoint)

    @asynccontextmanager
    async def rollout(self, manifest: Manifest | None, hooks: Hooks) -> AsyncGenerator[Rollout, None]:
        """Open a roll-out; its clients close with the block.

        Args:
            manifest: What names the targets; None: the one target that the options are for.
            hooks: Who is told of requests.
        """
        from workspaces_apps.rollout import Rollout

        if manifest is None:
            async with self.client() as client:
                yield Rollout(client, hooks=hooks, clock=self.clock)
        else:
            async with Rollout.open(
                manifest,
                profile=self.profile,
                region=self.region,
                endpoint_url=self.endpoint_url,
                credentials=self.credentials,
                config=self.config(),
                clock=self.clock,
                hooks=hooks,
            ) as rollout:
                yield rollout


_OPTIONS: Final = tuple(
    Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, default, annotation in (
        (
            "profile",
            None,
            Annotated[
                str | None,
                typer.Option(
                    metavar="NAME", help="Profile of the AWS configuration files.", show_default=False
                ),
            ],
        ),
        (
            "region",
            None,
            Annotated[str | None, typer.Option(metavar="REGION", help="AWS Region.", show_default=False)],
        ),
        (
            "endpoint_url",
            None,
            Annotated[
                str | None,
                typer.Option(metavar="URL", help="Another endpoint than AWS's.", show_default=False),
            ],
        ),
        (
            "allow_insecure_endpoint",
            False,
            Annotated[
                bool,
                typer.Option(
                    "--allow-insecure-endpoint",
                    help="Let --endpoint-url be plain http to another machine, for a simulator.",
                ),
            ],
        ),
    )
)
"""The options that make a connection, in the order of `--help`."""


def connecting(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command these options in the place of its parameter ``connection``, which is made of them."""
    hints = get_type_hints(command, include_extras=True)

    @wraps(command)
    def connected(**given: Any) -> T:
        chosen = {option.name: given.pop(option.name) for option in _OPTIONS}
        return command(connection=ConnectionOptions(**chosen), **given)

    parameters: list[Parameter] = []
    for one in signature(command).parameters.values():
        parameters += _OPTIONS if one.name == "connection" else [one.replace(annotation=hints[one.name])]
    # Where typer looks for them.
    connected.__annotations__ = {one.name: one.annotation for one in parameters}
    connected.__dict__["__signature__"] = Signature(parameters)
    return connected


def journal_path(given: str | None, name: str) -> str:
    """Return the journal that is meant: the one given, or that of the roll-out's name in this folder."""
    if given is not None:
        return given
    found = _journal_named(name, _NOT_IN_A_FILE_NAME)
    former = _journal_named(name, _FORMERLY_NOT_IN_A_FILE_NAME)
    # What began before letters of all scripts were kept goes on where it is.
    if found != former and not Path(found).exists() and _name_in(former) == name:
        return former
    return found


def _journal_named(name: str, replaced: re.Pattern[str]) -> str:
    stem = replaced.sub("-", normalize("NFC", name)).strip("-.")
    return f"{stem or 'rollout'}.journal"


def _name_in(path: str) -> str | None:
    """Return the name of the roll-out that a journal is of; None if there is none, or it cannot be read."""
    if not Path(path).exists():
        return None
    from workspaces_apps.rollout import JournalError, JournalReader, Started

    with suppress(JournalError):
        for event in JournalReader(path).stream():
            return event.name if isinstance(event, Started) else None
    return None


def load_manifest(path: Path | None) -> Manifest | None:
    """Return the manifest, if one is given."""
    from workspaces_apps.rollout import Manifest

    return Manifest.load(path) if path is not None else None


def load_plan(path: Path | None) -> Plan | None:
    """Return the saved plan, if one is given."""
    from workspaces_apps.rollout import Plan, PlanError

    try:
        return Plan.load(path) if path is not None else None
    except PlanError as error:
        if str(path) in error.message:
            raise
        raise PlanError(f"{path}: {error.message}") from error


def check_targets(plan: Plan, manifest: Manifest | None) -> None:
    """Refuse a saved plan of several accounts or Regions without the manifest that says how to reach them.

    Raises:
        UsageError: It is one.
    """
    names = [target.name for target in plan.targets]
    if manifest is None and names != ["default"]:
        raise UsageError(
            f"the plan is for the target {', '.join(names)}: name the manifest too, which says how to reach it"
        )


def run(main: Coroutine[object, object, T]) -> T:
    """Run a command's coroutine; the garbage collector runs rarely meanwhile, and passes over what was imported."""
    with rare(), asyncio.Runner() as runner:
        keep()
        # Off since the program began, while it imported what it needs.
        gc.enable()
        runner.get_loop().set_exception_handler(_tell_in_a_line)
        return runner.run(main)


def _tell_in_a_line(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody waited for, such as a task of a library's that failed; its traceback where --debug asks for that."""
    error = context.get("exception")
    cause = f": {type(error).__name__}: {error}" if error else ""
    shown = error if _log.isEnabledFor(logging.DEBUG) else None
    _log.warning("%s%s", context["message"], cause, exc_info=shown)


# SIGBREAK is how Windows asks a process with a console of its own to end.
STOP_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)
"""The signals by which a process is asked to end."""


@contextmanager
def on_signals(*actions: Callable[[], object]) -> Generator[None]:
    """Call the next action, on the running loop, each time the process is asked to end.

    After the last one the signals have their former effect again. `loop.add_signal_handler` does not exist on Windows;
    `signal.signal` and a call into the loop work everywhere.

    Args:
        actions: What to do the first time, the second time, and so on.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    left: Sequence[Callable[[], object]] = actions

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal left
        action, *left = left
        if not left:
            restore()
        loop.call_soon_threadsafe(action)

    for number in STOP_SIGNALS:
        signal.signal(number, ask)
    try:
        yield
    finally:
        restore()


def meant(given: Sequence[str], offered: Sequence[WorkSpaceApplication]) -> dict[str, str]:
    """Return the name of each application that is meant, by its id.

    Args:
        given: Ids or names.
        offered: What they may mean.

    Raises:
        ManifestError: One means none, or several; all of them are told.
    """
    from workspaces_apps.rollout import ApplicationRef, ManifestError, Mistake
    from workspaces_apps.rollout._plan.reading import Catalogue, UnresolvedError

    catalogue = Catalogue(offered)
    names: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for one in given:
        try:
            ref = ApplicationRef(id=one) if one.startswith("wsa-") else ApplicationRef(name=one)
            found = catalogue.resolve(ref)
        except UnresolvedError as error:
            mistakes.append(Mistake(key="", rule=error.message))
        except ValueError:
            mistakes.append(Mistake(key="", rule=f"{one!r} is neither the id nor the name of an application"))
        else:
            names[found] = catalogue.name(found) or found
    if mistakes:
        raise ManifestError(mistakes)
    return names
