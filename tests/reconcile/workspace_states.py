"""Rows: each state of the WorkSpace, at each moment of a run, for a while and for good."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from tests.reconcile.row import Expected, Row
from tests.reconcile.scene import ABSENT, Happening, Moment, Scene
from workspaces_apps.api import WorkspaceState

READY: Final = ("AVAILABLE", "STOPPED")
ON_ITS_WAY: Final = (
    "PENDING",
    "REBOOTING",
    "STARTING",
    "STOPPING",
    "REBUILDING",
    "RESTORING",
    "UPDATING",
    "MAINTENANCE",
    "FROZEN_SOLID",
)
NEEDS_SOMEBODY: Final = ("SUSPENDED", "ERROR", "UNHEALTHY", "IMPAIRED", "ADMIN_MAINTENANCE")
GONE: Final = ("TERMINATING", "TERMINATED", ABSENT)

_MOMENTS: Final[tuple[tuple[Moment, float], ...]] = (
    ("before", 0),
    ("between", 0),
    ("staged", 0),
    ("deployed", 30),
)
"""Moments, and how many seconds later the state comes."""

_SUCCEEDED: Final = {"one": ("succeeded",)}
_INSTALLED: Final = {"one": ("COMPLETED",)}
_PLAN_READS_ONCE: Final = (
    "a plan says what is at its moment: what needs somebody then is blocked, a word of plans only"
)


def all_states() -> frozenset[str]:
    """Every state that has rows."""
    return frozenset({*READY, *ON_ITS_WAY, *NEEDS_SOMEBODY, *GONE})


def known_states() -> frozenset[str]:
    """Every state of the service's enum."""
    return frozenset(str(one) for one in WorkspaceState)


def rows() -> Iterator[Row]:
    """Every row of this part of the table."""
    for moment, delay in _MOMENTS:
        for state in READY:
            yield _ready(state, moment, delay)
        for state in ON_ITS_WAY:
            yield _passing(state, moment, delay)
            yield _staying(state, moment, delay)
        for state in NEEDS_SOMEBODY:
            yield _mended(state, moment, delay)
            yield _broken(state, moment, delay)
        for state in GONE:
            yield _gone(state, moment, delay)


def _becomes(state: str, moment: Moment, delay: float) -> Happening:
    if moment == "deployed" and state == "UPDATING":
        # It is UPDATING already: the deployment ends, and it stays so.
        return Happening(at=moment, does=lambda here: here.workspace_comes_back(state))
    return Happening(at=moment, does=partial(_set, state), after=delay)


def _set(state: str, here: Scene) -> None:
    here.workspace_is(state)


def _ready(state: str, moment: Moment, delay: float) -> Row:
    return Row(
        name=f"{state} {_when(moment)}",
        source="Ready: AVAILABLE, STOPPED. A deployment in flight counts whatever the WorkSpace shows [field].",
        happenings=(_becomes(state, moment, delay),),
        comes_to=_SUCCEEDED,
        ends=_INSTALLED,
        deploys=(1,),
    )


def _passing(state: str, moment: Moment, delay: float) -> Row:
    return Row(
        name=f"{state} {_when(moment)}, passes",
        source="On its way, unknown states too: waited for.",
        happenings=(_becomes(state, moment, delay), _becomes("AVAILABLE", moment, delay + 300)),
        comes_to=_SUCCEEDED,
        ends=_INSTALLED,
        deploys=(1,),
    )


def _staying(state: str, moment: Moment, delay: float) -> Row:
    begun = moment == "deployed"
    kind = "failed" if begun else "skipped"
    return Row(
        name=f"{state} {_when(moment)}, stays",
        # The contract does not name the word for a wait of `ready_timeout` that has ended: either will do.
        source="Waited for within ready_timeout (30 min); before Deploy skipped, after our own Deploy failed.",
        happenings=(_becomes(state, moment, delay),),
        comes_to={"one": (f"{kind}: workspace-state", f"{kind}: timeout")},
        ends=_INSTALLED if begun else _left(moment),
        deploys=(1,) if begun else (0,),
    )


def _mended(state: str, moment: Moment, delay: float) -> Row:
    blocked = moment == "before"
    return Row(
        name=f"{state} {_when(moment)}, mended",
        source="Needs somebody only where two reads at least 60 s apart agree: after 30 s they do not.",
        happenings=(_becomes(state, moment, delay), _becomes("AVAILABLE", moment, delay + 30)),
        comes_to=_SUCCEEDED,
        ends=_INSTALLED,
        deploys=(1,),
        differs=_PLAN_READS_ONCE if blocked else "",
        rollout=Expected(
            comes_to={"one": ("succeeded", "skipped: workspace-state")},
            ends={"one": ("COMPLETED", ABSENT)},
            deploys=(0, 1),
        )
        if blocked
        else None,
    )


def _broken(state: str, moment: Moment, delay: float) -> Row:
    begun = moment == "deployed"
    return Row(
        name=f"{state} {_when(moment)}, stays",
        source="Needs somebody: before Deploy skipped workspace-state, after our own Deploy failed workspace-state.",
        happenings=(_becomes(state, moment, delay),),
        comes_to={"one": (f"{'failed' if begun else 'skipped'}: workspace-state",)},
        ends=_INSTALLED if begun else _left(moment),
        deploys=(1,) if begun else (0,),
    )


def _gone(state: str, moment: Moment, delay: float) -> Row:
    begun = moment == "deployed"
    return Row(
        name=f"{state} {_when(moment)}",
        source="Gone: TERMINATING, TERMINATED, absent. Neither way calls it a success (reconcile-two-ends).",
        happenings=(_becomes(state, moment, delay),),
        comes_to={"one": ("gone",)},
        ends={"one": ("COMPLETED", "INSTALLING", "PENDING_INSTALL", ABSENT)} if begun else _left(moment),
        deploys=(1,) if begun else (0,),
    )


def _left(moment: Moment) -> dict[str, tuple[str, ...]]:
    # In such a state the service takes no Disassociate either [doc]: what was staged may have to stay.
    return {"one": ("PENDING_INSTALL_DEPLOYMENT", ABSENT) if moment == "staged" else (ABSENT,)}


def _when(moment: Moment) -> str:
    return {
        "before": "before the plan",
        "between": "between plan and apply",
        "staged": "during staging",
        "deployed": "during deployment",
    }.get(moment, moment)
