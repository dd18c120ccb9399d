"""`workspaces-apps simulate`: the simulator as a process, until a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workspaces_apps.cli.console import log_to_stderr, print_json
from workspaces_apps.cli.interrupts import on_signals
from workspaces_apps.cli.options import DebugOption

if TYPE_CHECKING:
    from workspaces_apps.simulator import Simulator

_log = logging.getLogger("workspaces_apps.cli.simulate")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


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


def simulate(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 0,
    workspaces: Annotated[int, typer.Option(min=0, help="How many WorkSpaces the sample fleet has.")] = 25,
    installed: Annotated[
        int, typer.Option(min=0, max=4, help="Applications installed already, where they can be.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same fleet.")] = 0,
    time_scale: Annotated[
        float,
        typer.Option(help="How many times as fast as time the simulator's clock runs.", callback=above_zero),
    ] = 1.0,
    region: Annotated[str, typer.Option(help="The Region of the fleet.", callback=like_region)] = "us-east-1",
    account: Annotated[str, typer.Option(help="The account of the fleet, 12 digits.")] = "123456789012",
    throttle: Annotated[
        bool, typer.Option(help="Refuse more than 2 calls a second of one operation, bursts of 5 aside.")
    ] = True,
    check_signatures: Annotated[bool, typer.Option(help="Check signatures, as the service does.")] = True,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let --host be an address that others can reach.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Load the fleet from this file if there is one, and save it there at the end.",
            show_default=False,
            dir_okay=False,
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Run the simulator until Ctrl-C or SIGTERM.

    Once it listens, one line of JSON on standard output says how to reach it: url, access_key_id,
    secret_access_key, region, control_url, control_token. Logs go to standard error.
    """
    # Imported only now: it brings aiohttp, which no other command needs to say --help.
    from workspaces_apps.simulator import RealClock, ScaledClock, Simulator, Throttle

    log_to_stderr(debug=debug)
    simulator = Simulator(
        workspaces=workspaces,
        associations_per_workspace=installed,
        seed=seed,
        region=region,
        account_id=account,
        clock=RealClock() if time_scale == 1 else ScaledClock(time_scale),
        throttle=Throttle() if throttle else Throttle.off(),
        verify_signatures=check_signatures,
        host=host,
        port=port,
        allow_remote=allow_remote,
        state_file=state,
    )
    asyncio.run(serve(simulator))


async def serve(simulator: Simulator) -> None:
    """Run the simulator until the process is asked to end."""
    stop = asyncio.Event()
    # Asked again, the process ends at once.
    with on_signals(stop.set):
        async with simulator:
            # A file that cannot be written is better known now than at the end.
            simulator.save()
            print_json(simulator.connection_info())
            _log.info("listening on %s; Ctrl-C ends it", simulator.url)
            await stop.wait()
            _log.info("stopping after %d requests", simulator.requests.count())
