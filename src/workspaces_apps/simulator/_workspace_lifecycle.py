"""The commands on a WorkSpace, by state, and where each leads, as one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from workspaces_apps.simulator._settings import Mark, SimulatorSettings, Span


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that can be asked of a WorkSpace.

    Attributes:
        name: What it is called here.
        states: The states in which it is allowed; empty: in all but `never`.
        never: States in which it is not.
        manual_only: Not for ALWAYS_ON, whose machine the service runs itself.
        passing: The state meanwhile.
        final: The state afterwards; ABSENT: there is no WorkSpace any more.
        duration: The setting that says how long it takes.
        mark: How the rule is known; the durations are always assumed.
        source: What is known, in a sentence.
        waits_for_modification: Whether it is refused while a property is being modified (a setting).
    """

    name: str
    states: frozenset[str]
    never: frozenset[str]
    manual_only: bool
    passing: str
    final: str
    duration: str
    mark: Mark
    source: str
    waits_for_modification: bool = False

    def allows(self, state: str, running_mode: str) -> bool:
        """Tell if a WorkSpace in this state and mode can be asked."""
        if self.manual_only and running_mode == "ALWAYS_ON":
            return False
        return state in self.states if self.states else state not in self.never

    def span(self, settings: SimulatorSettings) -> Span:
        """Return the duration."""
        span = getattr(settings, self.duration)
        if not isinstance(span, Span):
            raise TypeError(f"{self.duration} is no duration")
        return span


_NONE: Final[frozenset[str]] = frozenset()

COMMANDS: Final[Mapping[str, Command]] = {
    command.name: command
    for command in (
        Command("start", frozenset({"STOPPED"}), _NONE, True, "STARTING", "AVAILABLE", "start_duration", "doc",
            "Only a STOPPED WorkSpace that is not ALWAYS_ON can be started."),
        Command("stop", frozenset({"AVAILABLE", "IMPAIRED", "UNHEALTHY", "ERROR"}), _NONE, True,
            "STOPPING", "STOPPED", "stop_duration", "doc",
            "Only an AVAILABLE, IMPAIRED, UNHEALTHY or ERROR WorkSpace that is not ALWAYS_ON can be stopped."),
        Command("reboot", frozenset({"AVAILABLE", "UNHEALTHY", "REBOOTING"}), _NONE, False,
            "REBOOTING", "AVAILABLE", "reboot_duration", "doc",
            "Only an AVAILABLE, UNHEALTHY or REBOOTING WorkSpace can be rebooted.", True),
        Command("rebuild", frozenset({"AVAILABLE", "ERROR", "UNHEALTHY", "STOPPED", "REBOOTING"}), _NONE, False,
            "REBUILDING", "AVAILABLE", "rebuild_duration", "doc",
            "Only an AVAILABLE, ERROR, UNHEALTHY, STOPPED or REBOOTING WorkSpace can be rebuilt.", True),
        Command("restore", frozenset({"AVAILABLE", "ERROR", "UNHEALTHY", "STOPPED"}), _NONE, False,
            "RESTORING", "AVAILABLE", "restore_duration", "doc",
            "Only an AVAILABLE, ERROR, UNHEALTHY or STOPPED WorkSpace can be restored.", True),
        Command("migrate", frozenset({"AVAILABLE", "STOPPED"}), _NONE, False,
            "PENDING", "AVAILABLE", "migrate_duration", "assumed",
            "A WorkSpace that is busy cannot be migrated; the exact states are not listed.", True),
        Command("terminate", _NONE, frozenset({"SUSPENDED", "TERMINATING"}), False,
            "TERMINATING", "ABSENT", "terminate_duration", "doc",
            "A WorkSpace in any state but SUSPENDED can be terminated."),
    )
}  # fmt: skip

DEPLOYABLE: Final = frozenset({"AVAILABLE", "STOPPED"})
"""States in which applications can be managed [doc]."""
