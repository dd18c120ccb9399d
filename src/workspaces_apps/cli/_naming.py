"""The applications that a command line means: by id, or by some words of a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workspaces_apps.api import WorkSpaceApplication


def meant(given: Sequence[str], offered: Sequence[WorkSpaceApplication]) -> dict[str, str]:
    """The name of each application that is meant, by its id.

    Args:
        given: Ids or names.
        offered: What they may mean.

    Raises:
        ManifestError: One means none, or several; all of them are told.
    """
    from workspaces_apps.rollout import ApplicationRef, ManifestError, Mistake
    from workspaces_apps.rollout._plan.reading import Catalogue, UnresolvedError

    catalogue = Catalogue(offered)
    names: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for one in given:
        try:
            ref = ApplicationRef(id=one) if one.startswith("wsa-") else ApplicationRef(name=one)
            found = catalogue.resolve(ref)
        except UnresolvedError as error:
            mistakes.append(Mistake(key="", rule=error.message))
        except ValueError:
            mistakes.append(Mistake(key="", rule=f"{one!r} is neither the id nor the name of an application"))
        else:
            names[found] = catalogue.name(found) or found
    if mistakes:
        raise ManifestError(mistakes)
    return names
