"""Approvals of a journal: which wave waits for one, and which canary has it."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from workspaces_apps.rollout._log.events import (
    ApprovalRequested,
    Approved,
    Event,
    Failed,
    Finished,
    Planned,
    Rejected,
    Skipped,
    Started,
    Succeeded,
    WaveBegan,
)


def digest_of(workspaces: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a wave's content: its targets and WorkSpaces, in whatever order."""
    lines = sorted(f"{target}/{workspace_id}\n" for target, workspace_id in workspaces)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


class EndedWave(NamedTuple):
    """A wave that has ended, and that nobody has approved or rejected.

    Attributes:
        run: The run in which it ended.
        wave: Its number, from 1.
        digest: The digest of its WorkSpaces.
        workspaces: How many are in it.
    """

    run: str
    wave: int
    digest: str
    workspaces: int


class ApprovalHistory:
    """The approved waves, and those that wait for approval, over all runs of a journal; a `Projection`.

    Attributes:
        approved: The size of the last wave that was approved; None where none was, or where a later roll-out on the
            journal is complete.
        consumed: The number of the last command of the control record that was acted upon; 0 for none.
    """

    def __init__(self) -> None:
        self.approved: int | None = None
        self.consumed: int = 0
        self._requested: EndedWave | None = None
        self._wave: WaveBegan | None = None
        # The changes of the run that have no last word, and those that have one since the wave began.
        self._open: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._ended: set[tuple[str, str]] = set()

    @property
    def unapproved(self) -> EndedWave | None:
        """The wave that has ended and that somebody must still approve or reject; None where there is none.

        A run that was killed between the end of a wave and its request has left such a wave too.
        """
        wave = self._wave
        if self._requested is not None or wave is None or not wave.approval or wave.digest is None:
            return self._requested
        if any(self._open.get(one) for one in self._ended) or digest_of(self._ended) != wave.digest:
            return None
        return EndedWave(wave.run, wave.wave, wave.digest, wave.workspaces)

    def apply(self, event: Event) -> None:
        """Take one more event in."""
        match event:
            case Started():
                ended = self.unapproved
                self._requested, self._wave = ended, None
                self._open.clear()
                self._ended.clear()
            case Planned(action="install" | "uninstall" | "retry"):
                self._open[event.target, event.workspace_id].add(event.application_id)
            case WaveBegan():
                self._requested, self._wave = None, event
                self._ended.clear()
            case Succeeded() | Skipped() | Failed(final=True):
                workspace = event.target, event.workspace_id
                if event.application_id is None:
                    self._open[workspace].clear()
                else:
                    self._open[workspace].discard(event.application_id)
                self._ended.add(workspace)
            case ApprovalRequested():
                self._requested = EndedWave(event.run, event.wave, event.digest, event.workspaces)
            case Approved() | Rejected():
                self._decide(event)
            case Finished(ending="complete"):
                # What comes after it on this journal is another roll-out.
                self.approved, self._wave, self._requested = None, None, None
            case _:
                pass

    def _decide(self, event: Approved | Rejected) -> None:
        self.consumed = max(self.consumed, event.sequence or 0)
        ended, self._requested, self._wave = self.unapproved, None, None
        if isinstance(event, Approved):
            self.approved = ended.workspaces if ended is not None else 1
        else:
            self.approved = None
