"""The application catalogue of a target, and what a manifest means by the names it uses."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from workspaces_apps.api.applications import WorkSpaceApplication
from workspaces_apps.rollout.errors import RolloutError
from workspaces_apps.rollout.manifest import ApplicationRef

_WORD: Final = re.compile(r"\w+")
_SHOWN: Final = 8


class UnresolvedError(RolloutError):
    """A reference means no application of the catalogue, or several; the message names candidates."""


class Catalogue:
    """The applications that a target offers.

    Args:
        applications: What DescribeApplications lists.
    """

    def __init__(self, applications: Sequence[WorkSpaceApplication]) -> None:
        self._by_id: Mapping[str, WorkSpaceApplication] = {one.application_id: one for one in applications}

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in the service's order."""
        return tuple(self._by_id)

    def get(self, application_id: str) -> WorkSpaceApplication | None:
        """The application, if the catalogue has it."""
        return self._by_id.get(application_id)

    def name(self, application_id: str) -> str | None:
        """What it is called, if the catalogue says."""
        found = self._by_id.get(application_id)
        return found.name if found is not None else None

    def resolve(self, ref: ApplicationRef) -> str:
        """The id of the application that is meant.

        A name that is exactly right goes before names that only contain the words; `version` is a further word.

        Raises:
            UnresolvedError: None is, or several are.
        """
        if ref.id is not None:
            if ref.id in self._by_id:
                return ref.id
            raise UnresolvedError(f"{ref} is not in the catalogue{self._nearest(ref.id, by_id=True)}")
        offered = [one for one in self._by_id.values() if ref.owner is None or one.owner == ref.owner]
        wanted = _words(f"{ref.name} {ref.version or ''}")
        exact = [one for one in offered if _words(one.name or "") == wanted]
        found = exact or [one for one in offered if set(wanted) <= set(_words(one.name or ""))]
        if len(found) == 1:
            return found[0].application_id
        if found:
            raise UnresolvedError(
                f"{ref} may mean any of {_listed(found)}; give more of the name, owner, or the id"
            )
        raise UnresolvedError(f"{ref} is not in the catalogue{self._nearest(ref.name or '', by_id=False)}")

    def _nearest(self, wanted: str, *, by_id: bool) -> str:
        names = {
            (one.application_id if by_id else (one.name or "").lower()): one for one in self._by_id.values()
        }
        near = difflib.get_close_matches(wanted.lower(), names, n=_SHOWN, cutoff=0.5)
        candidates = [names[name] for name in near] or list(self._by_id.values())
        if not candidates:
            return ", which is empty"
        return f", which has {_listed(candidates)}"


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _listed(applications: Sequence[WorkSpaceApplication]) -> str:
    shown = [f"{one.name!r} ({one.application_id}, {one.owner})" for one in applications[:_SHOWN]]
    more = len(applications) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
