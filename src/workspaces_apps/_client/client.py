"""`WorkSpacesClient`: opening, closing, options, and the way from a method to a call."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from workspaces_apps import types
from workspaces_apps._base.clock import Clock, Duration, SystemClock, to_seconds
from workspaces_apps._base.credentials import Credentials, CredentialsProvider
from workspaces_apps._base.public import public
from workspaces_apps._base.system import paused
from workspaces_apps._http.config import CallOptions, ClientConfig, ConnectionSettings, RequestChecks, Unset
from workspaces_apps._pacing import Pacing
from workspaces_apps._retry import RetryPolicy
from workspaces_apps._telemetry.port import Hooks, load
from workspaces_apps._waiters.methods import Waiters
from workspaces_apps.errors import ClientStateError, RequestValidationError

if TYPE_CHECKING:
    from workspaces_apps._http.config import ClientIdentity
    from workspaces_apps._model.models import Request
    from workspaces_apps._observe.schedule import Schedule
    from workspaces_apps._observe.subscription import PollAudience
    from workspaces_apps._reconcile.writes import TargetContext
    from workspaces_apps._telemetry.port import Telemetry
    from workspaces_apps._waiters.resources import Hub

ResultT = TypeVar("ResultT", bound="types.Result")
PageT = TypeVar("PageT", bound="types.PageResult")
ItemT = TypeVar("ItemT")


class TransportPort(Protocol):
    """The connections that a client and its views share; `Transport` says more of each method.

    Type checkers read every module that an annotation names. This one keeps them from aiohttp, aiobotocore and botocore
    where somebody only uses a client.
    """

    @property
    def is_open(self) -> bool:
        """Tell if there are connections that somebody must close."""
        ...

    async def open(self) -> None:
        """Resolve Region, endpoint and credentials, and make ready to call."""

    async def close(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """Close every connection, once `before` has been awaited; calls under way fail."""

    async def identity(self) -> ClientIdentity:
        """Return the Region, endpoint and account that calls go to."""
        ...

    async def call(self, request: Request, result_type: type[ResultT], options: CallOptions) -> ResultT:
        """Call an operation."""
        ...

    async def poll_delay(self, operation: str, options: CallOptions) -> float:
        """Reserve a poll's turn in the share of the operation's rate that polls may take."""
        ...


class _Shared:
    """The common part of a client and its views: the settings, and the connections once they are open."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self.settings = settings
        self.closed = False
        self.hub: Hub | None = None
        self._transport: TransportPort | None = None

    def transport(self) -> TransportPort:
        if self._transport is None:
            if self.closed:
                raise ClientStateError("the client is closed; make a new one")
            # Imported only now: it brings aiobotocore and pydantic.
            with paused():
                from workspaces_apps._http.transport import Transport

                self._transport = Transport(self.settings)
        return self._transport

    def __del__(self) -> None:
        if self._transport is not None and self._transport.is_open:
            message = f"unclosed {_named(self.settings)}: use `async with`, or `await client.aclose()`"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)

    async def close(self) -> None:
        before = None if self.hub is None else self.hub.close
        if self._transport is not None:
            await self._transport.close(before)
        elif before is not None:
            await before()
        self.closed = True


@public("workspaces_apps")
class WorkSpacesClient(Waiters):
    """A client of the Amazon WorkSpaces API.

    Every operation is a method with boto3's name. Use it with `async with`, or call `aclose()`. It opens with the
    first call and belongs to the event loop of that call. Where an argument is None, AWS's standard resolution
    applies: environment, profile, SSO, and so on.

    Examples:
        >>> import asyncio
        >>> from workspaces_apps import WorkSpacesClient
        >>> async def main() -> None:
        ...     async with WorkSpacesClient() as client:
        ...         async for application in client.describe_applications(owner="AMAZON"):
        ...             print(application.name)
        >>> asyncio.run(main())
        Microsoft Office...
    """

    def __init__(
        self,
        *,
        region: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        credentials: Credentials | CredentialsProvider | None = None,
        session: types.Session | None = None,
        config: ClientConfig | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Make a client that has not connected yet.

        Args:
            region: The AWS Region, such as ``"eu-west-1"``.
            profile: A profile of the AWS configuration files.
            endpoint_url: Another endpoint than AWS's, such as the simulator's.
            credentials: `Credentials`, `AssumeRole`, or any other provider.
            session: An aiobotocore session to use, with whatever is registered on it.
            config: Retries, pacing, timeouts and so on.
            clock: Where time comes from; the system's by default.

        Raises:
            ConfigurationError: Arguments contradict each other or cannot be right.
        """
        config = config if config is not None else ClientConfig()
        settings = ConnectionSettings(
            region=region,
            profile=profile,
            endpoint_url=endpoint_url,
            credentials=credentials,
            session=session,
            config=config,
            clock=clock if clock is not None else SystemClock(),
        )
        options = CallOptions(
            retry=config.retry,
            pacing=config.pacing,
            timeout=config.timeout,
            request_checks=config.request_checks,
            hooks=config.hooks,
        )
        self._shared = _Shared(settings)
        self._options = self._own_options = options
        self._is_view = False

    def __repr__(self) -> str:
        """Name whom it calls, as it was told; what the environment says shows only once it is open."""
        return f"<{_named(self._shared.settings, type(self).__name__)}{' closed' if self._shared.closed else ''}>"

    async def __aenter__(self) -> Self:
        if self._is_view:
            # Leaving the block would close the client under everybody else who has a view on it.
            raise ClientStateError(
                "this is a view, made by with_options(): use `async with` on the client itself, and the view inside"
            )
        await self._shared.transport().open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    @property
    def clock(self) -> Clock:
        """The clock of the client."""
        return self._shared.settings.clock

    @property
    def hooks(self) -> Hooks:
        """The receivers of attempts, retries, throttles, polls and refreshes of credentials."""
        return self._options.hooks

    async def warm_up(self) -> None:
        """Do the slow things before the first call: imports, models, botocore's data, opening.

        What blocks is done in a thread, so that the event loop goes on meanwhile. What it loads stays for good, and
        Python's garbage collector goes through all of it now and then, which stops the loop for as long: a service
        that minds calls `gc.freeze()` after it.

        Raises:
            ConfigurationError: As for the first call.
            CredentialsError: As for the first call.
        """
        import asyncio

        def load() -> None:
            from workspaces_apps._http.session import preload

            settings = self._shared.settings
            preload(settings.profile, telemetry=settings.config.telemetry)

        await asyncio.to_thread(load)
        await self._shared.transport().open()

    async def aclose(self) -> None:
        """Close the connections, of this client and of its views; calls under way fail. May be called again.

        Raises:
            ClientStateError: The client was opened on another event loop.
        """
        await self._shared.close()

    def with_options(
        self,
        *,
        retry: RetryPolicy | Unset = Unset.UNSET,
        pacing: Pacing | Unset = Unset.UNSET,
        timeout: Duration | Unset | None = Unset.UNSET,
        request_checks: RequestChecks | Unset = Unset.UNSET,
        hooks: Hooks | Unset = Unset.UNSET,
    ) -> Self:
        """Return a view on the same connections with other options; cheap enough to make one per call.

        Args:
            retry: How often and how patiently calls are repeated.
            pacing: How fast calls go.
            timeout: The time for one call with everything in it; None for no limit.
            request_checks: `"all"` or `"structure"`; see `ClientConfig`.
            hooks: Who is told of attempts, retries, throttles and polls; refreshes are told to the client's own hooks.

        Raises:
            ConfigurationError: An option cannot be right.
        """
        given = {
            name: value
            for name, value in {
                "retry": retry,
                "pacing": pacing,
                "timeout": timeout,
                "request_checks": request_checks,
                "hooks": hooks,
            }.items()
            if value is not Unset.UNSET
        }
        return self._view(self._options.changed(given))

    def _view(self, options: CallOptions) -> Self:
        """Return a view with these options, which nobody checks again."""
        view = object.__new__(type(self))
        # With what a subclass has added.
        vars(view).update(vars(self), _options=options, _is_view=True)
        vars(view).pop("_once", None)
        return view

    async def execute(self, request: types.Operation[ResultT], /) -> ResultT:
        """Call the operation of a request model.

        Args:
            request: Such as ``DescribeApplicationsRequest(owner="AMAZON")``.

        Returns:
            The operation's result; of an operation that pages, one page.

        Raises:
            RequestValidationError: It is no request, or breaks a rule; nothing was sent.
            WorkSpacesError: As for the operation's method.
        """
        from workspaces_apps._model.validation import check_types

        # A constructor checks them; `model_copy(update=…)` and `model_construct` do not.
        found = self._request(request)
        check_types(found)
        return await self._shared.transport().call(self._checked(found), request.result_type(), self._options)

    async def _invoke(
        self, request: type[types.Operation[ResultT]], result: type[ResultT], /, **members: object
    ) -> ResultT:
        built = _build(request, members)
        transport = self._shared.transport()
        return await transport.call(self._checked(built), result, self._options)

    def _pages(
        self,
        request: type[types.Operation[PageT]],
        result: type[PageT],
        items: Callable[[PageT], Sequence[ItemT]],
        /,
        **members: object,
    ) -> types.Paginated[PageT, ItemT]:
        from workspaces_apps._model.paginator import PageSource, Paginated

        checked = self._checked(_build(request, members))

        async def fetch(token: str | None) -> PageT:
            # Not checked again: a token of the service's is right whatever its length.
            page = checked if token is None else checked.model_copy(update={"next_token": token})
            return await self._shared.transport().call(page, result, self._options)

        start: object = getattr(checked, "next_token", None)
        return Paginated(
            PageSource(
                operation=checked.facts.name,
                fetch=fetch,
                items=items,
                start=start if isinstance(start, str) else None,
                clock=self.clock,
                telemetry=self._telemetry,
            )
        )

    def _hub(self) -> Hub:
        shared = self._shared
        if shared.hub is None:
            from workspaces_apps._observe.subscription import Polling
            from workspaces_apps._waiters.resources import Hub

            options = self._own_options
            own = self._view(options)

            async def poll_delay(operation: str) -> float:
                return await shared.transport().poll_delay(operation, options)

            def view(hooks: Hooks) -> WorkSpacesClient:
                return own._view(options._replace(hooks=hooks))

            settings = shared.settings
            polling = Polling(
                view=view, clock=settings.clock, random=settings.config.random, delay=poll_delay
            )
            shared.hub = Hub(own, polling)
        return shared.hub

    def _telemetry(self) -> Telemetry | None:
        return load(enabled=self._shared.settings.config.telemetry)

    def _audience(self) -> PollAudience | None:
        from workspaces_apps._observe.subscription import HooksAudience

        return HooksAudience(self._options.hooks)

    def _reconcile_context(self, schedule: Schedule, audience: PollAudience | None) -> TargetContext:
        from workspaces_apps._reconcile.writes import TargetContext

        hub = self._hub()
        return TargetContext(
            client=self,
            guarded=self._guarded,
            observer=hub.observer,
            clock=hub.clock,
            schedule=schedule,
            look_delay=to_seconds(self._options.retry.look_delay, "RetryPolicy.look_delay"),
            audience=audience,
            deploy_gate=hub.deploy_gate,
        )

    def _guarded(self, guard: Callable[[bool], None], *, once: bool) -> Self:
        """Return a view whose every attempt the guard lets through, or does not; with `once`, of one attempt a call."""
        options = self._once if once else self._options
        return self._view(options._replace(guard=guard))

    @cached_property
    def _once(self) -> CallOptions:
        return self._options._replace(retry=replace(self._options.retry, max_attempts=1))

    def _request(self, request: object) -> Request:
        from workspaces_apps._model.models import Request

        kind = type(request).__name__
        if isinstance(request, type) and issubclass(request, Request):
            raise RequestValidationError(
                f"execute() takes a request, not its class: {request.__name__}(…) with what it needs"
            )
        if not isinstance(request, Request):
            raise RequestValidationError(
                f"execute() takes a request model, such as DescribeApplicationsRequest(), not {kind}"
            )
        return request

    def _checked(self, request: object) -> Request:
        found = self._request(request)
        if self._options.request_checks == "all":
            from workspaces_apps._model.validation import check

            check(found)
        return found


def telemetry_of(client: WorkSpacesClient) -> Telemetry | None:
    """Return the telemetry that a client reports to; None for none."""
    return client._telemetry()  # pyright: ignore[reportPrivateUsage]  # beside its class, and for its own package


async def identity_of(client: WorkSpacesClient) -> ClientIdentity:
    """Return the Region, endpoint and account that a client's calls go to.

    Raises:
        WorkSpacesError: The client cannot be opened.
    """
    return await client._shared.transport().identity()  # pyright: ignore[reportPrivateUsage]  # beside its class


def _named(settings: ConnectionSettings, name: str = "WorkSpacesClient") -> str:
    given = {"region": settings.region, "profile": settings.profile, "endpoint_url": settings.endpoint_url}
    shown = ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)
    return f"{name}({shown})"


def _build(request: type[types.Operation[ResultT]], members: dict[str, object]) -> types.Operation[ResultT]:
    try:
        return request(**members)
    except RequestValidationError as error:
        error.operation = request.__name__.removesuffix("Request")
        raise
