"""The application catalogue of a target, and what a manifest means by the names it uses."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from workspaces_apps.api.applications import WorkSpaceApplication
from workspaces_apps.rollout._errors import RolloutError
from workspaces_apps.rollout._manifest.manifest import ApplicationRef

_WORD: Final = re.compile(r"\w+")
_SHOWN: Final = 8

_NEAREST: Final = 3
"""Applications that are named for a name that is none."""

_NEAR: Final = 0.7
"""How much alike the words of two names are, at least, from 0 to 1, for one to be meant by the other."""


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
        """The name, if the catalogue has one."""
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
            raise UnresolvedError(
                f"{_quoted(ref)} is not in the catalogue{self._hint(self._near_ids(ref.id))}"
            )
        offered = [one for one in self._by_id.values() if ref.owner is None or one.owner == ref.owner]
        wanted = _words(f"{ref.name} {ref.version or ''}")
        exact = [one for one in offered if _words(one.name or "") == wanted]
        found = exact or [one for one in offered if set(wanted) <= set(_words(one.name or ""))]
        if len(found) == 1:
            return found[0].application_id
        if found:
            raise UnresolvedError(
                f"{_quoted(ref)} may mean any of {_listed(found)}; give more of the name, owner, or the id"
            )
        raise UnresolvedError(f"{_quoted(ref)} is not in the catalogue{self._hint(self._near_names(wanted))}")

    def _near_ids(self, wanted: str) -> list[WorkSpaceApplication]:
        near = difflib.get_close_matches(wanted, self._by_id, n=_NEAREST, cutoff=_NEAR)
        return [self._by_id[one] for one in near]

    def _near_names(self, wanted: Sequence[str]) -> list[WorkSpaceApplication]:
        likeness = {
            one.application_id: _likeness(wanted, _words(one.name or "")) for one in self._by_id.values()
        }
        near = sorted((one for one in likeness if likeness[one] >= _NEAR), key=lambda one: -likeness[one])
        return [self._by_id[one] for one in near[:_NEAREST]]

    def _hint(self, near: Sequence[WorkSpaceApplication]) -> str:
        if near:
            return f"; the nearest there: {_listed(near)}"
        return (
            f", and none of its {len(self)} applications is called like it"
            if self._by_id
            else ", which is empty"
        )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _likeness(wanted: Sequence[str], name: Sequence[str]) -> float:
    """Compare the wanted words with those of a name: 0 to 1; a long word counts for more."""
    length = sum(map(len, wanted))
    if not length or not name:
        return 0.0
    return sum(len(one) * max(_ratio(one, other) for other in name) for one in wanted) / length


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _quoted(ref: ApplicationRef) -> str:
    said = str(ref)
    own = ref.id or ref.name or ""
    return f'"{own}"{said.removeprefix(own)}'


def _listed(applications: Sequence[WorkSpaceApplication]) -> str:
    shown = [f'"{one.name}" ({one.application_id}, {one.owner})' for one in applications[:_SHOWN]]
    more = len(applications) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
