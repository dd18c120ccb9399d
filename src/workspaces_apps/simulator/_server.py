"""The simulator as a whole: an HTTP server on loopback that answers as the service does."""

import asyncio
import contextlib
import ipaddress
import logging
import math
import socket
import struct
import threading
from collections.abc import Generator, Sequence
from inspect import Parameter, Signature, get_annotations
from os import PathLike
from pathlib import Path
from types import NoneType, TracebackType
from typing import Final, Self, TypedDict, Unpack

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from workspaces_apps._base.clock import SystemClock, timeout
from workspaces_apps._base.credentials import Credentials
from workspaces_apps._base.public import public
from workspaces_apps.errors import ClientStateError, ConfigurationError
from workspaces_apps.simulator._arguments import (
    check_account,
    check_flag,
    check_kind,
    check_known,
    check_number,
    check_region,
    check_text,
    check_texts,
    check_whole,
    unfit,
)
from workspaces_apps.simulator._authentication import CredentialStore, Identity
from workspaces_apps.simulator._clocks import Activity, RealClock, SimulatorClock
from workspaces_apps.simulator._control import CONTROL_PATH, Control
from workspaces_apps.simulator._faults import Faults
from workspaces_apps.simulator._fleet import Fleet, seed_region, seed_store
from workspaces_apps.simulator._model import service_model
from workspaces_apps.simulator._recorder import Recorder
from workspaces_apps.simulator._service import Incoming, Reply, Service, Throttle, Throttler
from workspaces_apps.simulator._settings import SimulatorSettings
from workspaces_apps.simulator._snapshot import load, load_fleet, save, try_to_save
from workspaces_apps.simulator._state import Accounts
from workspaces_apps.simulator._wire import CONTENT_TYPE, ApiError, JsonObject, JsonValue, encode

_log = logging.getLogger(__name__)
# aiohttp asks it once per connection whether it is enabled; sim.requests is the better log.
_NO_ACCESS_LOG: Final = logging.getLogger(f"{__name__}.access")
_NO_ACCESS_LOG.setLevel(logging.CRITICAL)
_RESET: Final = struct.pack("ii", 1, 0)
_SHUTDOWN_PATIENCE: Final = 0.2
_START_PATIENCE: Final = 60.0


@public("workspaces_apps.simulator")
class SimulatorOptions(TypedDict, total=False):
    """The arguments of `Simulator`, for those who pass them on.

    Examples:
        >>> from workspaces_apps.simulator import Simulator, SimulatorOptions
        >>> small: SimulatorOptions = {"workspaces": 3, "seed": 7}
        >>> sim = Simulator(**small, region="eu-west-1")
    """

    workspaces: int
    associations_per_workspace: int
    seed: int
    region: str
    other_regions: Sequence[str]
    account_id: str
    clock: SimulatorClock | None
    settings: SimulatorSettings | None
    throttle: Throttle | None
    verify_signatures: bool
    host: str
    port: int
    allow_remote: bool
    state_file: str | Path | None
    fleet_file: str | Path | None
    control_token: str | None
    host_names: Sequence[str]


# Of a TypedDict, `inspect.signature` knows nothing by itself.
type.__setattr__(
    SimulatorOptions,
    "__signature__",
    Signature(
        [
            Parameter(name, Parameter.KEYWORD_ONLY, default=..., annotation=hint)
            for name, hint in get_annotations(SimulatorOptions).items()
        ]
    ),
)


@public("workspaces_apps.simulator")
class Simulator:
    """Amazon WorkSpaces, as far as it is known, on a port of this machine.

    Args:
        workspaces: How many WorkSpaces the sample fleet has; they are in `region`, in `account_id`.
        associations_per_workspace: Installed applications of each WorkSpace that can have them, 0 to 5, beyond
            what its bundle brings.
        seed: What ids, durations and random faults are drawn from; the same seed gives the same fleet.
        region: The Region of the sample fleet.
        other_regions: Regions that are served too, and begin without WorkSpaces.
        account_id: The account of the sample fleet, 12 digits.
        clock: Real time if None. Give the client the same clock and both live in the same time.
        settings: What is assumed of the service; `SimulatorSettings` explains each.
        throttle: None or `Throttle.off()`: no limit. The default is 2 requests per second with a burst of 5, for
            each account, Region and operation.
        verify_signatures: Check SigV4 signatures, as the service does.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        allow_remote: Let `host` be an address that others can reach.
        state_file: A JSON file to load the state from if it exists, and to save it to at the end.
        fleet_file: A listing of WorkSpaces, such as `aws workspaces describe-workspaces` prints: the fleet is made like
            it, with other ids and names, instead of the sample of `workspaces`.
        control_token: What the control endpoint asks for; a random one if None.
        host_names: Names under which others reach the control endpoint, besides ``localhost`` and addresses.

    Raises:
        ConfigurationError: An argument is out of range, or `host` is not this machine's loopback; on entering,
            the port is taken, or the state file cannot be written.

    Examples:
        >>> import asyncio
        >>> from workspaces_apps import WorkSpacesClient
        >>> from workspaces_apps.simulator import Simulator
        >>> async def main() -> None:
        ...     async with (
        ...         Simulator(workspaces=3) as sim,
        ...         WorkSpacesClient(region=sim.region, endpoint_url=sim.url, credentials=sim.credentials) as client,
        ...     ):
        ...         print(len(await client.describe_workspaces().collect()))
        >>> asyncio.run(main())
        3

        Synchronous code, and any other AWS client, uses it from a thread:

        >>> with Simulator.in_thread(workspaces=3) as sim:
        ...     print(sim.region)
        us-east-1
    """

    def __init__(
        self,
        *,
        workspaces: int = 25,
        associations_per_workspace: int = 0,
        seed: int = 0,
        region: str = "us-east-1",
        other_regions: Sequence[str] = (),
        account_id: str = "123456789012",
        clock: SimulatorClock | None = None,
        settings: SimulatorSettings | None = None,
        throttle: Throttle | None = Throttle(),  # noqa: B008 - frozen
        verify_signatures: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        allow_remote: bool = False,
        state_file: str | Path | None = None,
        fleet_file: str | Path | None = None,
        control_token: str | None = None,
        host_names: Sequence[str] = (),
    ) -> None:
        check_whole("workspaces", workspaces)
        check_whole("associations_per_workspace", associations_per_workspace, most=5)
        check_whole("seed", seed, least=-math.inf)
        check_account(account_id)
        check_texts("other_regions", other_regions)
        for name in (region, *other_regions):
            check_region(name)
        _check_clock(clock)
        check_kind("settings", settings, (SimulatorSettings, NoneType), "a SimulatorSettings, or None")
        _check_throttle(throttle)
        check_flag("verify_signatures", verify_signatures)
        check_text("host", host)
        check_whole("port", port, most=65535)
        check_flag("allow_remote", allow_remote)
        check_kind("state_file", state_file, (str, PathLike, NoneType), "a path, or None")
        check_kind("fleet_file", fleet_file, (str, PathLike, NoneType), "a path, or None")
        check_kind("control_token", control_token, (str, NoneType), "a text, or None")
        check_texts("host_names", host_names)
        if not allow_remote and not _is_loopback(host):
            raise ConfigurationError(
                f"the simulator listens on loopback only, not on {host!r}; allow_remote=True opens it to others"
            )
        self.region = region
        self.account_id = account_id
        self.settings: SimulatorSettings = settings or SimulatorSettings()
        self.clock: SimulatorClock = clock or RealClock()
        self.faults: Faults = Faults(seed)
        self.requests: Recorder = Recorder()
        self._host = host
        self._port = port
        self._activity = Activity()
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None
        self._sample = (workspaces, associations_per_workspace)
        self._fleet_file = Path(fleet_file) if fleet_file is not None else None
        self._others: list[Credentials] = []
        self._restored: frozenset[tuple[str, str]] = frozenset()
        self._state_file = Path(state_file) if state_file is not None else None
        regions = (region, *other_regions)
        model = service_model()
        self._keys = CredentialStore(
            seed=seed,
            regions=frozenset(regions),
            skew=self.settings.clock_skew,
        )
        self.credentials: Credentials = self._keys.issue(account_id)
        self.accounts: Accounts = Accounts(seed, self.settings, regions, seed_region)
        self._throttler = Throttler(throttle or Throttle.off())
        self._service = Service(
            model=model,
            accounts=self.accounts,
            settings=self.settings,
            clock=self.clock,
            activity=self._activity,
            keys=self._keys,
            faults=self.faults,
            throttler=self._throttler,
            recorder=self.requests,
            home=Identity(account_id, region),
            verify_signatures=verify_signatures,
            seed=seed,
        )
        self._control = Control(
            self.faults,
            self.requests,
            self.clock,
            self.save,
            self.describe,
            token=control_token,
            names=frozenset(name.lower() for name in (host, *host_names)),
        )
        self.fleet: Fleet = self.fleet_of(account_id, region)
        self._prepare()

    def _prepare(self) -> None:
        now = self.clock.timestamp()
        workspaces, associations = self._sample
        if self._state_file is not None and self._state_file.exists():
            self.clock.catch_up(load(self._state_file, self.accounts))
            self._restored = frozenset((one.account_id, one.region) for one in self.accounts.stores())
            return
        store = self.accounts.store(self.account_id, self.region, now)
        if self._fleet_file is not None:
            load_fleet(self._fleet_file, store, now, self.settings)
        else:
            seed_store(store, now, workspaces, associations, self.settings)

    def save(self) -> bool:
        """Write the state file; False if there is none."""
        if self._state_file is None:
            return False
        with self.accounts.lock:
            save(self._state_file, self.accounts, self.clock.timestamp())
        return True

    @property
    def throttle(self) -> Throttle:
        """The rates; assigning new ones takes effect at once."""
        return self._throttler.throttle

    @throttle.setter
    def throttle(self, throttle: Throttle | None) -> None:
        _check_throttle(throttle)
        self._throttler.throttle = throttle or Throttle.off()

    @property
    def url(self) -> str:
        """The endpoint.

        Raises:
            ClientStateError: The simulator is not running.
        """
        if self._server is None:
            raise ClientStateError("the simulator is not running; use it with `async with` or `in_thread`")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    def fleet_of(self, account_id: str, region: str) -> Fleet:
        """Return the way into what an account has in a Region, for tests.

        Raises:
            ConfigurationError: There is no such account or Region.
        """
        self._check_place(account_id, region)
        return Fleet(
            lambda: self._service.settled_store(account_id, region),
            self.settings,
            self.clock.timestamp,
            self.accounts.lock,
        )

    def add_account(self, account_id: str, *, workspaces: int = 0, region: str | None = None) -> Credentials:
        """Make another account, with a sample fleet of its own.

        Args:
            account_id: 12 digits.
            workspaces: How many WorkSpaces; none are added to what the state file has of the account in the Region.
            region: Where; the simulator's first Region if None.

        Returns:
            The account's credentials.

        Raises:
            ConfigurationError: An argument is out of range, or the simulator does not serve the Region.
        """
        region = region or self.region
        check_whole("workspaces", workspaces)
        self._check_place(account_id, region)
        if workspaces and (account_id, region) not in self._restored:
            now = self.clock.timestamp()
            with self.accounts.lock:
                store = self.accounts.store(account_id, region, now)
                seed_store(store, now, workspaces, 0, self.settings)
        credentials = self._keys.issue(account_id)
        self._others.append(credentials)
        return credentials

    def temporary_credentials(self, lifetime: float, account_id: str | None = None) -> Credentials:
        """Return credentials with a session token that expires.

        Args:
            lifetime: Simulated seconds.
            account_id: The simulator's first account if None.

        Raises:
            ConfigurationError: An argument is out of range.
        """
        account_id = account_id or self.account_id
        check_number("lifetime", lifetime, least=-math.inf, noun="number of seconds")
        check_account(account_id)
        return self._keys.issue(account_id, expires=self.clock.timestamp() + lifetime)

    def _check_place(self, account_id: str, region: str) -> None:
        check_account(account_id)
        check_known(region, self.accounts.regions, "Region that this simulator serves")

    def connection_info(self) -> dict[str, str]:
        """Return what another process needs to use this simulator, and to control it."""
        return {
            "url": self.url,
            "access_key_id": self.credentials.access_key_id,
            "secret_access_key": self.credentials.secret_access_key,
            "region": self.region,
            "control_url": self.url + CONTROL_PATH,
            "control_token": self._control.token,
        }

    def describe(self) -> JsonObject:
        """Return `connection_info`, with the other Regions and the credentials of the other accounts."""
        others: list[JsonValue] = [
            {
                "account_id": one.account_id,
                "access_key_id": one.access_key_id,
                "secret_access_key": one.secret_access_key,
            }
            for one in self._others
        ]
        return {
            **self.connection_info(),
            "other_regions": list[JsonValue](self.accounts.regions[1:]),
            "other_accounts": others,
        }

    async def __aenter__(self) -> Self:
        if self._server is not None:
            raise ClientStateError("the simulator is running already")
        if self._state_file is not None:
            try_to_save(self._state_file)
        loop = asyncio.get_running_loop()
        self._web = _Server(self._handle)
        try:
            self._server = await loop.create_server(self._web, self._host, self._port, backlog=1024)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {self._host}:{self._port}: {error.strerror}"
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]
        self._activity.runs_on(loop)
        self.clock.attach(self._activity)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, handlers = self._server, self._web
        self._server = self._web = None
        self.clock.detach(self._activity)
        if server is not None and handlers is not None:
            server.close()
            await handlers.shutdown(_SHUTDOWN_PATIENCE)
            await server.wait_closed()
        try:
            self.save()
        except ConfigurationError as unsaved:
            if error is None:
                raise
            error.add_note(unsaved.message)

    async def serve(self, stop: asyncio.Event) -> None:
        """Run until the event is set."""
        async with self:
            await stop.wait()

    @classmethod
    @contextlib.contextmanager
    def in_thread(cls, **options: Unpack[SimulatorOptions]) -> Generator[Self]:
        """Run the simulator on an event loop of its own, in a thread of its own.

        Args:
            options: Those of `Simulator`.
        """
        simulator = cls(**options)
        ready = threading.Event()
        failed: list[BaseException] = []
        running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

        async def run() -> None:
            async with simulator:
                stop = asyncio.Event()
                running.append((asyncio.get_running_loop(), stop))
                ready.set()
                await stop.wait()

        def main() -> None:
            try:
                asyncio.run(run())
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
                failed.append(error)
            finally:
                ready.set()

        thread = threading.Thread(target=main, name="workspaces-simulator", daemon=True)
        thread.start()
        ready.wait(_START_PATIENCE)
        if failed:
            raise failed[0]
        loop, stop = running[0]

        def end() -> None:
            loop.call_soon_threadsafe(stop.set)
            thread.join()

        try:
            yield simulator
        except BaseException as error:
            end()
            for one in failed:
                error.add_note(str(one))
            raise
        end()
        if failed:
            raise failed[0]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self._activity.begin()
        try:
            path, _, query = request.raw_path.partition("?")
            incoming = Incoming(request.method, path, query, request.headers, b"")
            body, problem = await self._read(request)
            if problem is not None:
                reply = self._service.refuse(incoming, problem)
            else:
                incoming = Incoming(request.method, path, query, request.headers, body)
                if path == CONTROL_PATH or path.startswith(CONTROL_PATH + "/"):
                    reply = await self._control.answer(incoming)
                else:
                    reply = await self._service.answer(incoming)
            return await _respond(request, reply, close=problem is not None)
        finally:
            self._activity.end()

    async def _read(self, request: web.BaseRequest) -> tuple[bytes, ApiError | None]:
        limit = self.settings.max_body_bytes
        too_long = ApiError("RequestEntityTooLargeException", "The request body is too long.", status=413)
        if (request.content_length or 0) > limit:
            return b"", too_long
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        content = request.content
        if content.is_eof() and content.total_bytes <= limit:
            return content.read_nowait(-1) if content.total_bytes else b"", None
        chunks: list[bytes] = []
        size = 0
        try:
            async with timeout(SystemClock(), self.settings.body_timeout):
                async for chunk in content.iter_any():
                    size += len(chunk)
                    if size > limit:
                        return b"", too_long
                    chunks.append(chunk)
        except TimeoutError:
            return b"", ApiError("RequestTimeoutException", "The body did not arrive in time.", status=408)
        except (
            aiohttp.ClientPayloadError,
            HttpProcessingError,
            web.RequestPayloadError,
        ):
            return b"", ApiError("SerializationException", "The body is broken.")
        return b"".join(chunks), None


class _Connection(web.RequestHandler):
    """aiohttp's protocol, except that what is no HTTP is answered in the service's form too."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Return the answer to a request that could not be parsed, or that found a mistake of the simulator's own."""
        del message
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer has been sent already")
        if status >= 500:
            _log.error("the simulator failed on %s %s", request.method, request.path, exc_info=exc)
            error = ApiError("InternalFailure", "The simulator has failed; its log says why.", status=status)
        else:
            error = ApiError("BadRequestException", "The request is not valid HTTP.", status=status)
        answer = web.Response(status=status, body=encode(error.body()), content_type=CONTENT_TYPE)
        answer.force_close()
        return answer


class _Server(web.Server):
    """aiohttp's low-level server: one handler, no routes, no access log, bodies left as they come."""

    def __call__(self) -> web.RequestHandler:
        loop = asyncio.get_running_loop()
        return _Connection(self, loop=loop, access_log=_NO_ACCESS_LOG, auto_decompress=False)


async def _respond(request: web.BaseRequest, reply: Reply, *, close: bool) -> web.StreamResponse:
    headers = {"Content-Type": reply.content_type, **reply.headers}
    if reply.request_id is not None:
        headers["x-amzn-RequestId"] = reply.request_id
    if reply.cut == "reset":
        _reset(request)
        return web.Response()
    if reply.cut == "truncated":
        response = web.StreamResponse(status=reply.status, headers=headers)
        response.content_length = len(reply.body)
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response
    answer = web.Response(status=reply.status, body=reply.body, headers=headers)
    if close:
        answer.force_close()
    return answer


def _reset(request: web.BaseRequest) -> None:
    transport = request.transport
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if raw is not None:
        # Without lingering, closing sends RST: the peer sees a reset connection, not an orderly end.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def _check_clock(clock: object) -> None:
    # A class has all that an object of it has, if one only asks for the names.
    if clock is not None and (isinstance(clock, type) or not isinstance(clock, SimulatorClock)):
        raise unfit("clock", "a RealClock, a ScaledClock, a ManualClock, or None", clock)


def _check_throttle(throttle: object) -> None:
    check_kind(
        "throttle", throttle, (Throttle, NoneType), "a Throttle, such as Throttle.at(2, burst=5), or None"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
