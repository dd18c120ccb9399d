"""An apply in the hands of whoever began it: its events, its result, and two ways to end it early."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from workspaces_apps.clock import Clock
from workspaces_apps.errors import ClientStateError
from workspaces_apps.rollout.bench import Care
from workspaces_apps.rollout.brake import Brake
from workspaces_apps.rollout.counting import Tally
from workspaces_apps.rollout.engine import Engine
from workspaces_apps.rollout.events import Ending, Event, Finished
from workspaces_apps.rollout.journal import Journal
from workspaces_apps.rollout.ledger import Ledger
from workspaces_apps.rollout.plan import Plan
from workspaces_apps.rollout.reasons import Reason

EXIT_CODES: Final[Mapping[Ending, int]] = {
    "complete": 0,
    "dry-run": 0,
    "incomplete": 2,
    "budget-spent": 3,
    "drained": 4,
    "stopped": 5,
}
"""What a command that applies a plan should exit with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions:
    """What is asked of one apply beyond the plan's policy.

    Attributes:
        dry_run: Write nothing, neither to the service nor to the journal.
        fresh_look: Look at each WorkSpace directly before Deploy. Without it the window in which somebody
            else's staged changes are committed unseen is as long as the plan is old.
        assume_direction: Take the direction that the manifest wants for the one that failed, where an
            association is in ERROR and nothing else tells.
    """

    dry_run: bool = False
    fresh_look: bool = True
    assume_direction: bool = False


class Apply:
    """An apply that is going on: an async iterator of its events, within `async with`.

    Leaving the block early stops it. The iteration ends after the `Finished` event.

    Args:
        plan: What to do.
        tallies: The client of each target of the plan.
        clock: Time for waits, hours and events.
        journal: Where to write; None: nowhere, so that what only a journal knows is forgotten at the end.
        options: What else is asked.
    """

    def __init__(
        self,
        plan: Plan,
        tallies: Mapping[str, Tally],
        clock: Clock,
        journal: Journal | None,
        options: ApplyOptions,
    ) -> None:
        pending = plan.pending
        budget = plan.policy.failure_budget.of(len(pending))
        self._journal = journal
        self._ledger = Ledger(clock, journal if not options.dry_run else None, tallies)
        self._brake = Brake(clock, {workspace.target for workspace in pending}, budget)
        self._engine = Engine(
            plan=plan,
            tallies=tallies,
            clock=clock,
            ledger=self._ledger,
            brake=self._brake,
            care=Care(
                policy=plan.policy,
                fresh_look=options.fresh_look,
                assume_direction=options.assume_direction,
            ),
            dry_run=options.dry_run,
        )
        self._main: asyncio.Task[None] | None = None

    @property
    def result(self) -> Finished | None:
        """How it ended; None while it goes on."""
        return self._engine.result

    async def __aenter__(self) -> Self:
        self._main = asyncio.create_task(self._engine.run())
        # Let it begin: a task that is cancelled before that runs no line of its own, not even the last words.
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._main is None:
            return
        try:
            if not self._main.done():
                self.stop()
            await asyncio.gather(self._main, return_exceptions=True)
        finally:
            if not self._main.done():
                # Cancelled a second time: there is no time for the last words.
                self._main.cancel()
            if self._journal is not None:
                self._journal.close()
        if kind is None and self.result is None:
            self._main.result()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        main = self._running()
        event = await self._ledger.events.get()
        if event is None:
            # For whoever asks again.
            self._ledger.events.put_nowait(None)
            await asyncio.wait((main,))
            main.result()
            raise StopAsyncIteration
        return event

    def _running(self) -> asyncio.Task[None]:
        if self._main is None:
            raise ClientStateError("an apply begins with `async with rollout.apply(...) as events`")
        return self._main

    async def finished(self) -> Finished:
        """Let it run to its end.

        Raises:
            JournalError: The journal could not be written any more.
            ClientStateError: It was not begun with `async with`.
        """
        await asyncio.shield(self._running())
        if self.result is None:
            raise ClientStateError("the apply ended without a result")
        return self.result

    def drain(self) -> None:
        """Begin no further WorkSpace, and let those that have begun end."""
        self._brake.pull(Reason.DRAINED, "asked to begin nothing more")

    def stop(self) -> None:
        """End at once. Deployments that the service has taken go on there; a later apply finds them."""
        self._brake.pull(Reason.DRAINED, "asked to stop")
        if self._main is not None and self.result is None and not self._main.cancelling():
            # Once: a second time would cost the last words.
            self._main.cancel()
