"""Records of submitted runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from workspaces_apps._base.public import Datetime, public
from workspaces_apps.rollout import EXIT_CODES, Ending
from workspaces_apps.rollout._log.events import GRAVEST_ENDINGS

RunState: TypeAlias = Literal["waiting", "running", "done", "failed"]
"""The state of a run, or of one of its targets.

``waiting``: no worker has it, not yet or not any more; ``running``: one has; ``done``: it came to an end; ``failed``: it
could not be planned or applied, and is not tried again.
"""

RunCommand: TypeAlias = Literal["run", "pause", "drain", "stop"]
"""The desired state of a run: that it goes on, or the command that was given."""

STATES: Final[tuple[RunState, ...]] = get_args(RunState)


@public("workspaces_apps.distributed")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """A run that was submitted.

    Attributes:
        run: Its id.
        name: The manifest's name.
        submitted_at: When, by the database's clock.
        command: What is wanted of it.
        command_by: Who said so, and why; empty if nobody did.
        spent: How the failure budget was spent, in words; None while it is not.
        counts: How many of its targets are in each state.
    """

    run: str
    name: str
    submitted_at: Datetime
    command: RunCommand
    command_by: str
    spent: str | None
    counts: Mapping[RunState, int]

    @property
    def state(self) -> RunState:
        """The state of the run as a whole: ``failed`` once all have ended and one has failed."""
        if self.counts["running"]:
            return "running"
        if self.counts["waiting"]:
            return "waiting"
        return "failed" if self.counts["failed"] else "done"


@public("workspaces_apps.distributed")
@dataclass(frozen=True, slots=True, kw_only=True)
class TargetStatus:
    """One target of a run.

    Attributes:
        target: Its name.
        state: Its state.
        worker: The worker that has it, or had it last; empty if none had.
        planned: WorkSpaces that its plan changes; None before it was planned.
        ending: How its apply ended; None before.
        message: More in words.
        changed_at: When its state changed, by the database's clock.
    """

    target: str
    state: RunState
    worker: str
    planned: int | None
    ending: Ending | None
    message: str
    changed_at: Datetime


@public("workspaces_apps.distributed")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run with its targets.

    Attributes:
        info: The run.
        targets: Its targets, in the order of the manifest.
    """

    info: RunInfo
    targets: tuple[TargetStatus, ...]

    @property
    def is_over(self) -> bool:
        """Tell if nothing more will happen to it."""
        return self.info.state in ("done", "failed")

    @property
    def ending(self) -> Ending | None:
        """The gravest of its targets' endings; None if none has ended."""
        endings = {target.ending for target in self.targets}
        return next((ending for ending in GRAVEST_ENDINGS if ending in endings), None)

    @property
    def exit_code(self) -> int:
        """The exit code of a command that waits for it: 1 where a target failed or it is not over."""
        if self.info.state != "done" or self.ending is None:
            return 1
        return EXIT_CODES[self.ending]
