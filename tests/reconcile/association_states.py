"""Rows: each state of the association at the start, in both directions, with and without retries."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final, Literal

from tests.reconcile.row import Direction, Expected, Row
from tests.reconcile.scene import ABSENT, Happening, Scene, quick_settings

DIRECTIONS: Final[tuple[Direction, ...]] = ("install", "uninstall")
UNKNOWN: Final = "FROZEN_SOLID"

DUE: Final[Mapping[str, tuple[int, int]]] = {
    ABSENT: (1, 0),
    "REMOVED": (1, 0),
    "PENDING_INSTALL_DEPLOYMENT": (1, 0),
    "PENDING_INSTALL": (0, 1),
    "INSTALLING": (0, 1),
    "COMPLETED": (0, 1),
    "PENDING_UNINSTALL_DEPLOYMENT": (0, 1),
    "PENDING_UNINSTALL": (1, 0),
    "UNINSTALLING": (1, 0),
}
"""By state, how many Deploys an installation and a removal need. ERROR and unknown states have rows of their own.

The opposite call takes a staged change back without a Deploy [doc]; REMOVED and absent mean the same [assumed]; what
is in flight is waited for, since the service takes no other change meanwhile [assumed].
"""

_ARRIVES: Final[Mapping[str, str]] = {
    "PENDING_INSTALL": "COMPLETED",
    "INSTALLING": "COMPLETED",
    "PENDING_UNINSTALL": ABSENT,
    "UNINSTALLING": ABSENT,
}
_RECORDS: Final[tuple[Literal["restate", "keep", "refuse"], ...]] = ("restate", "keep", "refuse")
_UNKNOWN_IS_BLOCKED: Final = "a plan does not wait: what it does not know is blocked, a word of plans only"


def rows() -> Iterator[Row]:
    """Every row of this part of the table."""
    for direction in DIRECTIONS:
        for state in DUE:
            for retry in (False, True):
                yield _known(state, direction, retry)
        for failed in DIRECTIONS:
            yield _left_in_error(direction, failed)
            for record in _RECORDS:
                yield _tried_again(direction, failed, record)
        for retry in (False, True):
            yield _arrives_in_error(direction, retry)
        yield from _unknown(direction)


def _done(direction: Direction) -> str:
    return "COMPLETED" if direction == "install" else ABSENT


def _arriving(state: str, arrives: str) -> tuple[Happening, ...]:
    def end(here: Scene) -> None:
        here.association_is("one", arrives, failed="uninstall" if "UNINSTALL" in state else "install")
        here.workspace_is("AVAILABLE")

    return (
        Happening(at="before", does=partial(_updates)),
        Happening(at="before", does=end, after=100),
    )


def _updates(here: Scene) -> None:
    here.workspace_is("UPDATING")


def _known(state: str, direction: Direction, retry: bool) -> Row:
    due = DUE[state][DIRECTIONS.index(direction)]
    return Row(
        name=f"{direction} from {state}{_with(retry)}",
        source="One state table; what is in flight is planned and waited for; exactly the Deploys that are due.",
        asks={"one": direction},
        begins={"one": state},
        happenings=_arriving(state, _ARRIVES[state]) if state in _ARRIVES else (),
        retry=retry,
        comes_to={"one": ("succeeded",)},
        ends={"one": (_done(direction),)},
        deploys=(due,),
    )


def _left_in_error(direction: Direction, failed: Direction) -> Row:
    return Row(
        name=f"{direction} from ERROR of {failed}",
        source="Without retry_failed, and with retries = 0, what is in ERROR stays so.",
        asks={"one": direction},
        begins={"one": "ERROR"},
        failed=failed,
        comes_to={"one": ("failed: in-error",)},
        ends={"one": ("ERROR",)},
        deploys=(0,),
    )


def _tried_again(
    direction: Direction, failed: Direction, record: Literal["restate", "keep", "refuse"]
) -> Row:
    forced_the_other_way = record != "restate" and failed != direction
    return Row(
        name=f"{direction} from ERROR of {failed}, tried again, service would {record}",
        # Force repeats whatever had failed [doc]; where that was the other direction, ours is due after it.
        source="The direction is stated anew; where the service does not take that [assumed], Force.",
        asks={"one": direction},
        begins={"one": "ERROR"},
        failed=failed,
        retry=True,
        settings=quick_settings(record),
        comes_to={"one": ("succeeded",)},
        ends={"one": (_done(direction),)},
        deploys=(2,) if forced_the_other_way else (1,),
    )


def _arrives_in_error(direction: Direction, retry: bool) -> Row:
    state = "INSTALLING" if direction == "install" else "UNINSTALLING"
    return Row(
        name=f"{direction} from {state} that ends in ERROR{_with(retry)}",
        source="The direction of ERROR is known from what was seen in flight; a retry is one Deploy.",
        asks={"one": direction},
        begins={"one": state},
        happenings=_arriving(state, "ERROR"),
        retry=retry,
        comes_to={"one": ("succeeded",) if retry else ("failed: in-error",)},
        ends={"one": (_done(direction),) if retry else ("ERROR",)},
        deploys=(1,) if retry else (0,),
    )


def _unknown(direction: Direction) -> Iterator[Row]:
    blocked = Expected(comes_to={"one": ("skipped: unknown",)}, ends={"one": (UNKNOWN,)}, deploys=(0,))
    yield Row(
        name=f"{direction} from an unknown state that stays",
        source="Unknown states keep waiting; nothing is written to them.",
        asks={"one": direction},
        begins={"one": UNKNOWN},
        comes_to={"one": ("skipped: timeout",)},
        ends={"one": (UNKNOWN,)},
        deploys=(0,),
        differs=_UNKNOWN_IS_BLOCKED,
        rollout=Expected(
            comes_to={"one": ("skipped: unknown", "skipped: timeout", "failed: timeout")},
            ends={"one": (UNKNOWN,)},
            deploys=(0,),
        ),
    )
    done = _done(direction)
    yield Row(
        name=f"{direction} from an unknown state that passes",
        source="Unknown states keep waiting.",
        asks={"one": direction},
        begins={"one": UNKNOWN},
        happenings=(Happening(at="between", does=partial(_arrive, done), after=100),),
        comes_to={"one": ("succeeded",)},
        ends={"one": (done,)},
        deploys=(0,),
        differs=_UNKNOWN_IS_BLOCKED,
        rollout=Expected(
            comes_to={"one": (*blocked.comes_to["one"], "succeeded")},
            ends={"one": (UNKNOWN, done)},
            deploys=(0,),
        ),
    )


def _arrive(state: str, here: Scene) -> None:
    here.association_is("one", state)


def _with(retry: bool) -> str:
    return ", with retries" if retry else ""
