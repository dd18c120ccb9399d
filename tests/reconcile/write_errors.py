"""Rows: each error of each write, once and for good, and writes whose answer never came."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from tests.reconcile.row import Direction, Fault, Row
from tests.reconcile.scene import ABSENT, DEPLOYING, Happening, Scene
from workspaces_apps.simulator import FaultKind

_ASSOCIATE: Final = "AssociateWorkspaceApplication"
_DISASSOCIATE: Final = "DisassociateWorkspaceApplication"
WRITES: Final[Mapping[str, Direction]] = {
    _ASSOCIATE: "install",
    _DISASSOCIATE: "uninstall",
    DEPLOYING: "install",
}
"""Each write, and the direction that its rows have."""

MODELLED: Final[Mapping[str, tuple[str, ...]]] = {
    _ASSOCIATE: (
        "AccessDeniedException",
        "ApplicationNotSupportedException",
        "ComputeNotCompatibleException",
        "IncompatibleApplicationsException",
        "InvalidParameterValuesException",
        "OperatingSystemNotCompatibleException",
        "OperationNotSupportedException",
        "ResourceAlreadyExistsException",
        "ResourceInUseException",
        "ResourceNotFoundException",
    ),
    _DISASSOCIATE: (
        "AccessDeniedException",
        "InvalidParameterValuesException",
        "OperationNotSupportedException",
        "ResourceInUseException",
        "ResourceNotFoundException",
    ),
    DEPLOYING: (
        "AccessDeniedException",
        "IncompatibleApplicationsException",
        "InvalidParameterValuesException",
        "OperationNotSupportedException",
        "ResourceInUseException",
        "ResourceNotFoundException",
    ),
}
"""The errors that the service model has for each write [doc]."""

_MAY_PASS: Final = frozenset({"OperationNotSupportedException", "ResourceNotFoundException"})
"""Codes after which a read may show that the WorkSpace is not as thought: giving up at once is right as well."""

_WAITED_FOR: Final = frozenset({"ResourceInUseException", "ResourceAlreadyExistsException"})
"""Codes that say that somebody else was faster [assumed]: a read tells, and it goes on."""

_STAGED: Final = {"install": "PENDING_INSTALL_DEPLOYMENT", "uninstall": "PENDING_UNINSTALL_DEPLOYMENT"}


def rows() -> Iterator[Row]:
    """Every row of this part of the table."""
    for operation, direction in WRITES.items():
        for code in MODELLED[operation]:
            yield _refused(operation, direction, code, times=1)
            yield _refused(operation, direction, code, times=None)
        for fault in (
            Fault(kind="throttle", operation=operation),
            Fault(kind="internal_error", operation=operation),
            Fault(kind="unavailable", operation=operation),
        ):
            yield _passes(operation, direction, fault)
            yield _outage(operation, direction, fault)
        for times in (1, None):
            yield _unreadable(operation, direction, times)
        yield from _unanswered(operation, direction)


def _begin(direction: Direction) -> str:
    return ABSENT if direction == "install" else "COMPLETED"


def _done(direction: Direction) -> str:
    return "COMPLETED" if direction == "install" else ABSENT


def _refused(operation: str, direction: Direction, code: str, *, times: int | None) -> Row:
    """A 4xx answer: nothing was done."""
    comes_to: tuple[str, ...] = (f"failed: {code}",)
    ends: tuple[str, ...] = (_begin(direction),)
    deploys: tuple[int, ...] = (0,)
    source = "A refusal: given up, and what was staged is taken back."
    if code in _WAITED_FOR:
        source = "Somebody else was faster [assumed]: a read tells, and it goes on; not for ever."
        if times is not None:
            comes_to, ends, deploys = ("succeeded",), (_done(direction),), (1,)
        else:
            # What the end of such waiting is called is not laid down.
            comes_to = ("failed: *", "skipped: timeout")
            ends = (_begin(direction), _STAGED[direction]) if operation == DEPLOYING else ends
    elif code in _MAY_PASS and times is not None:
        source = "A refusal that a read may explain: given up and taken back, or read and done; alike in both ways."
        comes_to, ends, deploys = ("succeeded", *comes_to), (_done(direction), *ends), (0, 1)
    return Row(
        name=f"{operation} {code} {_often(times)}",
        source=source,
        asks={"one": direction},
        begins={"one": _begin(direction)},
        faults=(Fault(kind="error", operation=operation, code=code, times=times),),
        comes_to={"one": comes_to},
        ends={"one": ends},
        deploys=deploys,
    )


def _passes(operation: str, direction: Direction, fault: Fault) -> Row:
    """A fault of the moment."""
    return Row(
        name=f"{operation} {fault.kind} once",
        source="A throttle is repeated; an answer with 5xx leaves it open: look, then decide.",
        asks={"one": direction},
        begins={"one": _begin(direction)},
        faults=(replace(fault, times=1),),
        comes_to={"one": ("succeeded",)},
        ends={"one": (_done(direction),)},
        deploys=(1,),
    )


def _outage(operation: str, direction: Direction, fault: Fault) -> Row:
    """A fault that stays."""
    staged = (_STAGED[direction],) if operation == DEPLOYING else ()
    return Row(
        name=f"{operation} {fault.kind} always",
        # After an outage nobody can promise that what was staged could be taken back.
        source="Attempts are bounded; never a success, and never a Deploy that was not taken.",
        asks={"one": direction},
        begins={"one": _begin(direction)},
        faults=(fault,),
        comes_to={"one": ("failed: *", "skipped: timeout")},
        ends={"one": (_begin(direction), *staged)},
        deploys=(0,),
    )


def _unreadable(operation: str, direction: Direction, times: int | None) -> Row:
    """An answer of 200 that is no JSON: it was carried out."""
    return Row(
        name=f"{operation} malformed 200 {_often(times)}",
        source="A 200 that is not the promised shape raises; the write was carried out, and a read tells.",
        asks={"one": direction},
        begins={"one": _begin(direction)},
        faults=(Fault(kind="not_json", operation=operation, times=times),),
        comes_to={"one": ("succeeded",)},
        ends={"one": (_done(direction),)},
        deploys=(1,),
    )


def _unanswered(operation: str, direction: Direction) -> Iterator[Row]:
    source = "Resets and 5xx count as may-have-arrived: look, then decide. Exactly one Deploy."
    ways: Mapping[str, tuple[FaultKind, tuple[Happening, ...]]] = {
        "carried out, then dropped": ("reset_after", ()),
        "dropped, not carried out": ("reset_before", ()),
        "carried out, then 500": ("internal_error", _carried_out(operation, direction)),
        "half of its answer": ("truncated", ()),
    }
    for words, (kind, others) in ways.items():
        yield Row(
            name=f"{operation} {words}",
            source=source,
            asks={"one": direction},
            begins={"one": _begin(direction)},
            faults=(Fault(kind=kind, operation=operation, times=1),),
            happenings=others,
            comes_to={"one": ("succeeded",)},
            ends={"one": (_done(direction),)},
            deploys=(1,),
        )


def _carried_out(operation: str, direction: Direction) -> tuple[Happening, ...]:
    """Carry out what the simulator answers with 500 before it does anything."""
    if operation != DEPLOYING:
        return (Happening(at="stage failed", does=partial(_stage, direction)),)
    return (
        Happening(at="deploy failed", does=_commit),
        Happening(at="deploy failed", does=_complete, after=60),
    )


def _stage(direction: Direction, here: Scene) -> None:
    here.association_is("one", _STAGED[direction])


def _commit(here: Scene) -> None:
    here.association_is("one", "PENDING_INSTALL")
    here.workspace_is("UPDATING")
    here.committed += 1


def _complete(here: Scene) -> None:
    here.association_is("one", "COMPLETED")
    here.workspace_is("AVAILABLE")


def _often(times: int | None) -> str:
    return "always" if times is None else "once"
