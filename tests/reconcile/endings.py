"""Rows: how deployments end, and several applications on one WorkSpace."""

from collections.abc import Iterator
from typing import Final

from tests.reconcile.association_states import DIRECTIONS
from tests.reconcile.row import Direction, Expected, Fault, Row, Way
from tests.reconcile.scene import ABSENT, DEPLOYING, STAGING, Happening, Scene

_NO_MIXED_JOBS: Final = "a job has one direction: two jobs, the removal first, are two deployments"
_ONE_ERROR_FOR_ALL: Final = (
    "a job raises the refusal for all that it was asked; a roll-out has a word for each"
)


def rows() -> Iterator[Row]:
    """Every row of this part of the table."""
    for direction in DIRECTIONS:
        yield from _in_error(direction)
    yield from _several()
    yield from _mixed()
    yield from _nothing_due()
    yield Row(
        name="the association and the WorkSpace end in ERROR",
        source="Neither way calls it a success; DeploymentFailedError is raised after all are terminal.",
        faults=(Fault(kind="deployment_error"),),
        happenings=(Happening(at="deployed", does=lambda here: here.workspace_comes_back("ERROR")),),
        comes_to={"one": ("failed: in-error", "failed: workspace-state")},
        ends={"one": ("ERROR",)},
        deploys=(1,),
    )


def _in_error(direction: Direction) -> Iterator[Row]:
    begin, done = (ABSENT, "COMPLETED") if direction == "install" else ("COMPLETED", ABSENT)
    failed, succeeded = ("failed: in-error",), ("succeeded",)
    for retry, times, comes_to, end, due in (
        (False, 1, failed, "ERROR", 1),
        (True, 1, succeeded, done, 2),
        (True, None, failed, "ERROR", 2),
    ):
        yield Row(
            name=f"{direction} ends in ERROR {'always' if times is None else 'once'}{', with retries' if retry else ''}",
            source="DeploymentFailedError, or Failed with the StateReason's code; a retry is one further Deploy.",
            asks={"one": direction},
            begins={"one": begin},
            faults=(Fault(kind="deployment_error", times=times),),
            retry=retry,
            comes_to={"one": comes_to},
            ends={"one": (end,)},
            deploys=(due,),
        )
    yield Row(
        name=f"{direction} from ERROR ends in ERROR again",
        source="One retry is one deployment: it takes the desktop away for a quarter of an hour.",
        asks={"one": direction},
        begins={"one": "ERROR"},
        failed=direction,
        faults=(Fault(kind="deployment_error"),),
        retry=True,
        comes_to={"one": failed},
        ends={"one": ("ERROR",)},
        deploys=(1,),
    )


def _several() -> Iterator[Row]:
    asks: dict[str, Direction] = {"one": "install", "other": "install"}
    yield Row(
        name="two installations",
        source="Deploy commits everything staged [doc]: one deployment for both.",
        asks=asks,
        comes_to={"one": ("succeeded",), "other": ("succeeded",)},
        ends={"one": ("COMPLETED",), "other": ("COMPLETED",)},
        deploys=(1,),
    )
    yield Row(
        name="two installations, one there already",
        source="Nothing is done that is done already.",
        asks=asks,
        begins={"other": "COMPLETED"},
        comes_to={"one": ("succeeded",), "other": ("succeeded",)},
        ends={"one": ("COMPLETED",), "other": ("COMPLETED",)},
        deploys=(1,),
    )
    yield Row(
        name="two installations, one ends in ERROR",
        source="DeploymentFailedError names those in ERROR; a roll-out has a word for each change.",
        asks=asks,
        faults=(Fault(kind="deployment_error", label="other"),),
        comes_to={"one": ("succeeded",), "other": ("failed: in-error",)},
        ends={"one": ("COMPLETED",), "other": ("ERROR",)},
        deploys=(1,),
    )
    code = "OperatingSystemNotCompatibleException"
    yield Row(
        name="two installations, the second refused",
        source="What was staged is taken back where the service refuses: the next Deploy would commit it [doc].",
        asks=asks,
        faults=(Fault(kind="error", operation="AssociateWorkspaceApplication", code=code, label="other"),),
        comes_to={"one": (f"failed: {code}",), "other": (f"failed: {code}",)},
        ends={"one": (ABSENT,), "other": (ABSENT,)},
        deploys=(0,),
        differs=_ONE_ERROR_FOR_ALL,
        rollout=Expected(
            comes_to={"one": ("skipped: *", f"failed: {code}"), "other": (f"failed: {code}",)},
            ends={"one": (ABSENT,), "other": (ABSENT,)},
            deploys=(0,),
        ),
    )


def _mixed() -> Iterator[Row]:
    for name, installed in (("", "other"), (" of another edition", "clashing")):
        asks: dict[str, Direction] = {"one": "uninstall", installed: "install"}
        yield Row(
            name=f"a removal and an installation{name}",
            source="Removals before installs in mixed directions; Deploy carries out both together [doc].",
            asks=asks,
            begins={"one": "COMPLETED"},
            comes_to={"one": ("succeeded",), installed: ("succeeded",)},
            ends={"one": (ABSENT,), installed: ("COMPLETED",)},
            deploys=(2,),
            check=_removals_first,
            differs=_NO_MIXED_JOBS,
            rollout=Expected(
                comes_to={"one": ("succeeded",), installed: ("succeeded",)},
                ends={"one": (ABSENT,), installed: ("COMPLETED",)},
                deploys=(1,),
            ),
        )
    asks = {"one": "uninstall", "other": "install"}
    yield Row(
        name="a removal and an installation that ends in ERROR",
        source="A word for each change; removals before installs.",
        asks=asks,
        begins={"one": "COMPLETED"},
        faults=(Fault(kind="deployment_error", label="other"),),
        comes_to={"one": ("succeeded",), "other": ("failed: in-error",)},
        ends={"one": (ABSENT,), "other": ("ERROR",)},
        deploys=(2,),
        check=_removals_first,
        differs=_NO_MIXED_JOBS,
        rollout=Expected(
            comes_to={"one": ("succeeded",), "other": ("failed: in-error",)},
            ends={"one": (ABSENT,), "other": ("ERROR",)},
            deploys=(1,),
        ),
    )
    yield Row(
        name="a removal that is staged and an installation that is there",
        source="What is staged in sync needs no further Associate or Disassociate: Deploy is all that is due.",
        asks=asks,
        begins={"one": "PENDING_UNINSTALL_DEPLOYMENT", "other": "COMPLETED"},
        comes_to={"one": ("succeeded",), "other": ("succeeded",)},
        ends={"one": (ABSENT,), "other": ("COMPLETED",)},
        deploys=(1,),
        check=_removals_first,
    )


def _nothing_due() -> Iterator[Row]:
    for direction in DIRECTIONS:
        state = "COMPLETED" if direction == "install" else ABSENT
        asks: dict[str, Direction] = {"one": direction}
        yield Row(
            name=f"{direction} of what is {state}, WorkSpace REBOOTING for a while",
            source="Nothing pending and on its way: waits; a plan has nothing to do.",
            asks=asks,
            begins={"one": state},
            happenings=(
                Happening(at="before", does=lambda here: here.workspace_is("REBOOTING")),
                Happening(at="before", does=lambda here: here.workspace_is("AVAILABLE"), after=300),
            ),
            comes_to={"one": ("succeeded",)},
            ends={"one": (state,)},
            deploys=(0,),
        )
        yield Row(
            name=f"{direction} of what is {state}, WorkSpace in ERROR",
            source="Needs somebody: the waiters raise; nothing is planned where nothing is due.",
            asks=asks,
            begins={"one": state},
            happenings=(Happening(at="before", does=lambda here: here.workspace_is("ERROR")),),
            comes_to={"one": ("succeeded", "skipped: workspace-state")},
            ends={"one": (state,)},
            deploys=(0,),
            differs="a plan compares associations; where none is due, the WorkSpace's state is nobody's change",
        )


def _removals_first(here: Scene, way: Way) -> None:
    """Hold that no application is staged for installation before every removal is."""
    writes = [operation for operation, _ in here.writes() if operation in STAGING]
    removals = [place for place, one in enumerate(writes) if one == "DisassociateWorkspaceApplication"]
    installs = [place for place, one in enumerate(writes) if one == "AssociateWorkspaceApplication"]
    assert not removals or not installs or max(removals) < min(installs), writes
    if way == "rollout":
        deploys = [operation for operation, _ in here.writes() if operation == DEPLOYING]
        assert len(deploys) == 1, here.writes()
