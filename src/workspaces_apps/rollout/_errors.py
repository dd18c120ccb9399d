"""Errors of a roll-out as such, beside what the service answers.

WorkSpacesError
└── RolloutError
    ├── ManifestError (ValueError)
    ├── PlanError (ValueError)
    └── JournalError
        └── JournalBusyError
"""

from collections.abc import Sequence
from dataclasses import dataclass

from workspaces_apps._base.public import public
from workspaces_apps.errors import WorkSpacesError


@public("workspaces_apps.rollout")
class RolloutError(WorkSpacesError):
    """A roll-out cannot be planned, applied or read back."""


@public("workspaces_apps.rollout")
@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing wrong with a manifest."""

    key: str
    """The path of keys, such as ``applications[2].version``; empty for the file as a whole."""
    rule: str
    """The rule that it breaks: what would be right."""
    file: str | None = None
    """The file, if it came from one."""
    line: int | None = None
    """The line, from 1, where the format tells."""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return ": ".join(part for part in (place, self.key, self.rule) if part)


@public("workspaces_apps.rollout")
class ManifestError(RolloutError, ValueError):
    """A manifest cannot be right; nothing was called.

    Attributes:
        mistakes: Everything that is wrong with it.
    """

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes: tuple[Mistake, ...] = tuple(mistakes)
        count = len(self.mistakes)
        head = "the manifest has a mistake:" if count == 1 else f"the manifest has {count} mistakes:"
        super().__init__("\n  ".join([head, *map(str, self.mistakes)]))


@public("workspaces_apps.rollout")
class PlanError(RolloutError, ValueError):
    """A saved plan cannot be read, or does not fit what it is used with."""


@public("workspaces_apps.rollout")
class JournalError(RolloutError):
    """The journal cannot be read or written.

    It is a CredentialsError too where its store takes no credentials, and a ConfigurationError where it is set up wrongly.
    """


class NoJournalError(JournalError, ValueError):
    """There is no journal where one is to be read."""


@public("workspaces_apps.rollout")
class JournalBusyError(JournalError):
    """Another apply has the journal open."""
