"""`workspaces-apps simulate`: the simulator as a process, and settings by which other tools find it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import typer
from typer.core import TyperCommand

from workspaces_apps._base.system import keep
from workspaces_apps.cli._connection import on_signals
from workspaces_apps.cli._connection import run as run_loop
from workspaces_apps.cli._console import discard, log_to_stderr, print_json, print_output
from workspaces_apps.cli._options import DebugOption, SeedOption
from workspaces_apps.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from workspaces_apps.simulator import Simulator, SimulatorSettings
    from workspaces_apps.simulator._wire import JsonObject

Shell: TypeAlias = Literal["sh", "powershell"]

_log = logging.getLogger("workspaces_apps.cli.simulate")


class WithBareEnv(TyperCommand):
    """A command whose `--env` may stand without a value."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer's own subclass of Context
        """Read the arguments, with a bare `--env` for a POSIX shell."""
        return super().parse_args(ctx, ["--env=sh" if one == "--env" else one for one in args])


def register_simulate(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=WithBareEnv)(simulate)


def above_zero(value: float) -> float:
    """Refuse what no clock can run at."""
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"a number above 0 is needed, not {value:g}")
    return value


def like_region(value: str) -> str:
    """Refuse what no Region is called, which a client would call in vain."""
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d{1,2}", value):
        raise typer.BadParameter(f"'{value}' is no Region such as us-east-1")
    return value


def like_regions(values: list[str] | None) -> list[str]:
    """Check each Region of an option that may be given several times."""
    return [like_region(value) for value in values or ()]


def like_accounts(values: list[str] | None) -> list[str]:
    """Refuse what is no account, alone or with a number of WorkSpaces."""
    for value in values or ():
        if not re.fullmatch(r"\d{12}(:\d{1,7})?", value, re.ASCII):
            raise typer.BadParameter(f"'{value}' is no account such as 210987654321 or 210987654321:50")
    return values or []


def like_profile(value: str | None) -> str | None:
    """Refuse a profile that a configuration file cannot name."""
    if value is not None and not re.fullmatch(r"[\w.-]{1,64}", value, re.ASCII):
        raise typer.BadParameter(f"'{value}' is no profile such as simulator")
    return value


def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 0,
    workspaces: Annotated[int, typer.Option(min=0, help="How many WorkSpaces the sample fleet has.")] = 25,
    installed: Annotated[
        int, typer.Option(min=0, max=4, help="Applications installed already, where they can be.")
    ] = 0,
    fleet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Make the fleet like this listing, which `aws workspaces describe-workspaces` has printed; ids and"
            " names are replaced.",
            show_default=False,
            dir_okay=False,
            exists=True,
        ),
    ] = None,
    encrypted: Annotated[
        float, typer.Option(min=0, max=1, help="Share of WorkSpaces with encrypted volumes.")
    ] = 0.0,
    presence: Annotated[
        bool,
        typer.Option("--presence", help="Let users come and go, and AutoStop WorkSpaces start and stop."),
    ] = False,
    seed: SeedOption = 0,
    time_scale: Annotated[
        float,
        typer.Option(help="How many times as fast as time the simulator's clock runs.", callback=above_zero),
    ] = 1.0,
    manual_clock: Annotated[
        bool, typer.Option("--manual-clock", help="Let time stand still but for the control endpoint.")
    ] = False,
    region: Annotated[str, typer.Option(help="The Region of the fleet.", callback=like_region)] = "us-east-1",
    other_region: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGION",
            help="A Region that is served too; may be given several times.",
            callback=like_regions,
            show_default=False,
        ),
    ] = None,
    account: Annotated[str, typer.Option(help="The account of the fleet, 12 digits.")] = "123456789012",
    other_account: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID[:COUNT]",
            help="Another account, with so many WorkSpaces; may be given several times.",
            callback=like_accounts,
            show_default=False,
        ),
    ] = None,
    throttle: Annotated[
        bool, typer.Option(help="Refuse more than 2 calls a second of one operation, bursts of 5 aside.")
    ] = True,
    check_signatures: Annotated[bool, typer.Option(help="Check signatures, as the service does.")] = True,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of docs/simulator-truth.md, such as install_duration=[60,120]; may be given several"
            " times.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A TOML file of such settings; --set goes before it.",
            show_default=False,
            dir_okay=False,
            exists=True,
        ),
    ] = None,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let --host be an address that others can reach.")
    ] = False,
    host_name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name by which others reach the control endpoint, such as a container's; may be given several"
            " times.",
            show_default=False,
        ),
    ] = None,
    control_token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            envvar="WORKSPACES_SIMULATOR_CONTROL_TOKEN",
            help="What the control endpoint asks for; a random one if left out.",
            show_default=False,
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Load the fleet from this file if there is one, and save it there at the end.",
            show_default=False,
            dir_okay=False,
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            metavar="[=SHELL]",
            help="Print lines for a shell instead of JSON: sh, or --env=powershell.",
            show_default=False,
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--write-profile",
            metavar="NAME",
            help="Write a profile into the AWS configuration file while the simulator runs.",
            callback=like_profile,
            show_default=False,
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Run the simulator until Ctrl-C or SIGTERM.

    Once it listens, one line of JSON on standard output says how to reach it: url, access_key_id,
    secret_access_key, region, control_url, control_token, other_regions, other_accounts. With --env it prints lines
    for a shell and closes standard output: eval "$(workspaces-apps simulate --env &)". Logs go to standard error.
    """
    # Imported only now: it brings aiohttp, which no other command needs for its help.
    from workspaces_apps.simulator import ManualClock, RealClock, ScaledClock, Simulator, Throttle

    if env not in (None, "sh", "powershell"):
        raise typer.BadParameter(f"'{env}' is no shell: sh or powershell", param_hint="--env")
    if manual_clock and time_scale != 1:
        raise typer.BadParameter("a clock that stands still has no --time-scale", param_hint="--manual-clock")
    log_to_stderr(debug=debug)
    clock = RealClock() if time_scale == 1 else ScaledClock(time_scale)
    simulator = Simulator(
        workspaces=workspaces,
        associations_per_workspace=installed,
        seed=seed,
        region=region,
        other_regions=like_regions(other_region),
        account_id=account,
        clock=ManualClock() if manual_clock else clock,
        settings=settings_of(settings, setting or [], encrypted=encrypted, presence=presence),
        throttle=Throttle() if throttle else Throttle.off(),
        verify_signatures=check_signatures,
        host=host,
        port=port,
        allow_remote=allow_remote,
        state_file=state,
        fleet_file=fleet,
        control_token=control_token,
        host_names=host_name or [],
    )
    for one in other_account or ():
        account_id, _, count = one.partition(":")
        simulator.add_account(account_id, workspaces=int(count or 0))
    run_loop(
        serve(simulator, env="powershell" if env == "powershell" else "sh" if env else None, profile=profile)
    )


def settings_of(
    file: Path | None, given: list[str], *, encrypted: float, presence: bool
) -> SimulatorSettings:
    """Return the settings of a TOML file, of `--set` and of the options that have a name of their own.

    Raises:
        typer.BadParameter: What was given is no TOML.
        ConfigurationError: A name or a value is none of the settings'.
    """
    from workspaces_apps.simulator import SimulatorSettings

    wanted: dict[object, object] = {}
    if file is not None:
        try:
            wanted.update(tomllib.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise typer.BadParameter(f"{file} is no TOML: {error}", param_hint="--settings") from error
    for one in given:
        name, equals, text = one.partition("=")
        if not equals:
            raise typer.BadParameter(f"'{one}' is not NAME=VALUE", param_hint="--set")
        wanted[name.strip()] = _value(text)
    if encrypted:
        wanted["encrypted_share"] = encrypted
    if presence:
        wanted["presence"] = "seeded"
    return SimulatorSettings.of(wanted)


def _value(text: str) -> object:
    try:
        parsed: Mapping[str, object] = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        # A word needs no quotes, which a shell would eat.
        return text
    return parsed["value"]


async def serve(simulator: Simulator, *, env: Shell | None = None, profile: str | None = None) -> None:
    """Run the simulator until the process is asked to end.

    Args:
        simulator: What to run.
        env: For which shell to print; JSON if None.
        profile: The profile to write while it runs, if any.
    """
    stop = asyncio.Event()
    # Asked again, the process ends at once.
    with on_signals(stop.set):
        async with simulator:
            # The fleet stays: a collection that looked through it would be at the cost of some request.
            keep()
            # A file that cannot be written is better known now than at the end.
            simulator.save()
            with profile_written(profile, simulator.describe()):
                announce(simulator, env)
                _log.info("listening on %s; Ctrl-C ends it", simulator.url)
                await stop.wait()
                _log.info("stopping after %d requests", simulator.requests.count())


def announce(simulator: Simulator, env: Shell | None) -> None:
    """Print how to reach the simulator."""
    if env is None:
        print_json(simulator.describe())
        return
    print_output("".join(f"{line}\n" for line in shell_lines(simulator.describe(), env)))
    # A shell that evaluates the lines waits for the end of them, not of the process.
    discard(sys.stdout)


SERVICES: Final = ("workspaces", "resource_groups_tagging_api", "sts")
"""The services that the simulator answers for, as the AWS configuration file names them."""

_UNSET: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
)
"""Variables that would take precedence over those that are set, or conflict with them: the JavaScript SDK prefers a profile to keys,
botocore sends the older name of the session token too, and no endpoint of one's own can be FIPS or dual-stack."""

_MARK: Final = "# written by workspaces-apps simulate"

_SECTION: Final = re.compile(r"^\[(?:profile |services )?(?P<name>[^\]]+)\]\s*$")


def variables(described: Mapping[str, object]) -> dict[str, str]:
    """Return the environment by which AWS's tools, and tests, find the simulator."""
    url = str(described["url"])
    found = {f"AWS_ENDPOINT_URL_{service.upper()}": url for service in SERVICES}
    return {
        **found,
        "AWS_ACCESS_KEY_ID": str(described["access_key_id"]),
        "AWS_SECRET_ACCESS_KEY": str(described["secret_access_key"]),
        "AWS_DEFAULT_REGION": str(described["region"]),
        "AWS_REGION": str(described["region"]),
        "WORKSPACES_SIMULATOR_CONTROL_URL": str(described["control_url"]),
        "WORKSPACES_SIMULATOR_CONTROL_TOKEN": str(described["control_token"]),
        "WORKSPACES_SIMULATOR_PID": str(os.getpid()),
    }


def shell_lines(described: Mapping[str, object], shell: Literal["sh", "powershell"]) -> list[str]:
    """Return the lines that set the environment in a shell."""
    values = variables(described)
    if shell == "powershell":
        gone = [f"Remove-Item Env:{name} -ErrorAction SilentlyContinue" for name in _UNSET]
        quoted = {name: value.replace("'", "''") for name, value in values.items()}
        return [*gone, *(f"$Env:{name} = '{value}'" for name, value in quoted.items())]
    return [
        f"unset {' '.join(_UNSET)}",
        *(f"export {name}={shlex.quote(value)}" for name, value in values.items()),
    ]


@contextlib.contextmanager
def profile_written(name: str | None, described: JsonObject) -> Generator[None]:
    """Keep a profile in the AWS configuration file while the simulator runs, and one for each other account.

    Args:
        name: The profile; nothing is written if None. The other accounts' are called ``NAME-ACCOUNT``.
        described: What the simulator says of itself.

    Raises:
        ConfigurationError: The file cannot be written, or has a profile of that name that is not ours.
    """
    if name is None:
        yield
        return
    path = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    profiles: dict[str, Mapping[str, object]] = {name: described}
    others = described.get("other_accounts")
    for one in others if isinstance(others, list) else []:
        if isinstance(one, dict):
            profiles[f"{name}-{one['account_id']}"] = {**described, **one}
    _write(path, profiles)
    try:
        yield
    finally:
        _write(path, dict.fromkeys(profiles))


def _write(path: Path, profiles: Mapping[str, Mapping[str, object] | None]) -> None:
    """Replace our profiles in a file, or take them out; everything else stays as it stands."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        kept = _without(text, frozenset(profiles), path)
        added = "".join(_sections(name, one) for name, one in profiles.items() if one is not None)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        # It holds secrets, if only simulated ones: for its owner alone, from the beginning.
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as out:
            out.write(kept + added)
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write the profile to {path}: {error.strerror}") from error


def _without(text: str, names: frozenset[str], path: Path) -> str:
    kept: list[str] = []
    ours = False
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        section = _SECTION.match(line)
        if section is not None:
            ours = section["name"] in names or section["name"].removesuffix("-simulator") in names
            if ours and _MARK not in (lines[number + 1] if number + 1 < len(lines) else ""):
                raise ConfigurationError(
                    f"{path} has a profile {section['name']} that simulate has not written"
                )
        if not ours:
            kept.append(line)
    return "".join(kept)


def _sections(name: str, described: Mapping[str, object]) -> str:
    services = "".join(f"{service} =\n  endpoint_url = {described['url']}\n" for service in SERVICES)
    return (
        f"[profile {name}]\n{_MARK}\n"
        f"region = {described['region']}\n"
        f"aws_access_key_id = {described['access_key_id']}\n"
        f"aws_secret_access_key = {described['secret_access_key']}\n"
        f"services = {name}-simulator\n"
        f"[services {name}-simulator]\n{_MARK}\n{services}"
    )
