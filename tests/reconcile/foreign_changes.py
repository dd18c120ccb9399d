"""Rows: what somebody else stages on the WorkSpace, at each moment of a run."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from tests.reconcile.row import Direction, Expected, Fault, Row
from tests.reconcile.scene import ABSENT, DEPLOYING, Happening, Moment, Scene, quick_settings
from workspaces_apps import Pacing

_STAGED: Final = "PENDING_INSTALL_DEPLOYMENT"
_UNSTAGED: Final = "PENDING_UNINSTALL_DEPLOYMENT"
_BURST: Final = 6
_LATER: Final[tuple[Moment, ...]] = ("between", "read", "staged")
_ALLOWS_WHAT_IT_SHOWS: Final = (
    "a plan allows what it shows; a job has no plan, and is allowed whatever is staged"
)
_REFUSED: Final = {"one": ("skipped: foreign-staged",)}


def rows() -> Iterator[Row]:
    """Every row of this part of the table."""
    directions: tuple[Direction, ...] = ("install", "uninstall")
    for direction in directions:
        yield from _seen(direction)
        yield from _unseen(direction)
    yield Row(
        name="foreign ERROR beside our own that only Force would retry",
        source="Force retries whatever is in ERROR on the WorkSpace [doc], so it is not sent.",
        begins={"one": "ERROR", "foreign": "ERROR"},
        failed="install",
        retry=True,
        settings=quick_settings("refuse"),
        comes_to=_REFUSED,
        ends={"one": ("ERROR",), "foreign": ("ERROR",)},
        deploys=(0,),
    )


def _seen(direction: Direction) -> Iterator[Row]:
    """Staged where a read must show it before Deploy."""
    begin, done = _ends(direction)
    base: dict[str, str] = {} if begin == ABSENT else {"one": begin}
    for foreign, before in ((_STAGED, ABSENT), (_UNSTAGED, "COMPLETED")):
        with_foreign = base if before == ABSENT else {**base, "foreign": before}
        for moment in ("before", *_LATER):
            yield Row(
                name=f"{direction}, foreign {foreign} {_when(moment)}",
                source="Deploy commits everything staged [doc]: the look before it is always there, and ours is taken back.",
                asks={"one": direction},
                begins=with_foreign,
                happenings=(_foreign(foreign, moment),),
                comes_to=_REFUSED,
                ends={"one": (begin,), "foreign": (foreign,)},
                deploys=(0,),
            )
    committed = {"one": (done,), "foreign": ("COMPLETED",)}
    yield Row(
        name=f"{direction}, foreign before the plan, with leave",
        source="include_staged; allow_foreign_staged deploys what the plan shows.",
        asks={"one": direction},
        begins=base,
        happenings=(_foreign(_STAGED, "before"),),
        leave=True,
        comes_to={"one": ("succeeded",)},
        ends=committed,
        deploys=(1,),
    )
    for moment in _LATER:
        yield Row(
            name=f"{direction}, foreign {_when(moment)}, with leave",
            source="include_staged; allow_foreign_staged deploys what the plan shows, and no more.",
            asks={"one": direction},
            begins=base,
            happenings=(_foreign(_STAGED, moment),),
            leave=True,
            comes_to={"one": ("succeeded",)},
            ends=committed,
            deploys=(1,),
            differs=_ALLOWS_WHAT_IT_SHOWS,
            rollout=Expected(comes_to=_REFUSED, ends={"one": (begin,), "foreign": (_STAGED,)}, deploys=(0,)),
        )


def _unseen(direction: Direction) -> Iterator[Row]:
    """Staged while Deploy waits, where only the guard before each attempt finds it, and while it is carried out."""
    begin, done = _ends(direction)
    base: dict[str, str] = {} if begin == ABSENT else {"one": begin}
    for leave in (False, True):
        differs = _ALLOWS_WHAT_IT_SHOWS if leave else ""
        refused = Expected(comes_to=_REFUSED, ends={"one": (begin,), "foreign": (_STAGED,)}, deploys=(0,))
        taken = Expected(
            comes_to={"one": ("succeeded",)}, ends={"one": (done,), "foreign": ("COMPLETED",)}, deploys=(1,)
        )
        right = taken if leave else refused
        yield Row(
            name=f"{direction}, foreign while Deploy backs off{_with(leave)}",
            source="One guard before every attempt: associations read at most 10 s ago.",
            asks={"one": direction},
            begins=base,
            happenings=(_foreign(_STAGED, "throttled"),),
            faults=(Fault(kind="throttle", operation=DEPLOYING, times=4),),
            leave=leave,
            jitter=1.0,
            comes_to=right.comes_to,
            ends=right.ends,
            deploys=right.deploys,
            differs=differs,
            rollout=refused if leave else None,
        )
        yield Row(
            name=f"{direction}, foreign while Deploy waits for its permit{_with(leave)}",
            source="One guard after the limiter's permit: associations read at most 10 s ago.",
            asks={"one": direction},
            begins=base,
            happenings=(
                Happening(at="between", does=_take_the_permits),
                _foreign(_STAGED, "looked", after=20),
            ),
            leave=leave,
            pacing=Pacing.fixed(1 / 40, _BURST),
            comes_to=right.comes_to,
            ends=right.ends,
            deploys=right.deploys,
            differs=differs,
            rollout=refused if leave else None,
        )
        yield Row(
            name=f"{direction}, foreign in the last moment{_with(leave)}",
            source="The API cannot deploy a subset [doc]: what is staged between the last look and Deploy is committed.",
            asks={"one": direction},
            begins=base,
            happenings=(_foreign(_STAGED, "looked"),),
            leave=leave,
            comes_to={"one": ("succeeded", "skipped: foreign-staged")},
            ends={"one": (begin, done), "foreign": (_STAGED, "COMPLETED")},
            deploys=(0, 1),
            differs=differs,
        )
        yield Row(
            name=f"{direction}, foreign during the deployment{_with(leave)}",
            source="What is staged after our Deploy is somebody else's to deploy.",
            asks={"one": direction},
            begins=base,
            happenings=(_foreign(_STAGED, "deployed", after=30),),
            leave=leave,
            comes_to={"one": ("succeeded",)},
            ends={"one": (done,), "foreign": (_STAGED,)},
            deploys=(1,),
        )


def _ends(direction: Direction) -> tuple[str, str]:
    return (ABSENT, "COMPLETED") if direction == "install" else ("COMPLETED", ABSENT)


def _foreign(state: str, moment: Moment, after: float = 0.0) -> Happening:
    return Happening(at=moment, does=partial(_stage, state), after=after)


def _stage(state: str, here: Scene) -> None:
    here.association_is("foreign", state)


def _take_the_permits(here: Scene) -> None:
    decoy = here.sim.fleet.add_workspaces(1)[0]

    async def deploy() -> None:
        # Nothing is staged there: an empty deployment, and one permit less.
        await here.client.deploy_workspace_applications(workspace_id=decoy)

    for _ in range(_BURST):
        here.begin(deploy())


def _when(moment: Moment) -> str:
    return {
        "before": "before the plan",
        "between": "between plan and apply",
        "read": "after the first read",
        "staged": "after ours",
    }[moment]


def _with(leave: bool) -> str:
    return ", with leave" if leave else ""
