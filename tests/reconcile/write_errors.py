"""Rows: each error of each write, once and for good, and writes whose answer never came."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from tests.reconcile.row import Direction, Expected, Fault, Row
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

UNMODELLED: Final = (
    "InvalidResourceStateException",
    "OperationInProgressException",
    "ResourceUnavailableException",
    "ValidationException",
    "NewerThanThisPackageException",
)
"""Errors that the service has for other calls, or may come to have: each write may be answered with one [assumed]."""

_MAY_PASS: Final = frozenset(
    {
        "InvalidResourceStateException",
        "OperationNotSupportedException",
        "ResourceNotFoundException",
        "ResourceUnavailableException",
    }
)
"""Codes after which a read may show that the WorkSpace is not as thought: giving up at once is right as well."""

_WAITED_FOR: Final = frozenset(
    {"OperationInProgressException", "ResourceInUseException", "ResourceAlreadyExistsException"}
)
"""Codes that say that somebody else was faster [assumed]: a read tells, and it goes on."""

_RESUMED: Final = "a roll-out leaves the target alone, and the next run goes on; a job has no next run, and raises the refusal"

_STAGED: Final = {"install": "PENDING_INSTALL_DEPLOYMENT", "uninstall": "PENDING_UNINSTALL_DEPLOYMENT"}


def rows() -> Iterator[Row]:
    """Every row of this part of the table."""
    for operation, direction in WRITES.items():
        for code in (*MODELLED[operation], *UNMODELLED):
            yield _refused(operation, direction, code, times=1)
            yield _refused(operation, direction, code, times=None)
        for fault in (
            Fault(kind="throttle", operation=operation),
            Fault(kind="internal_error", operation=operation),
            Fault(kind="unavailable", operation=operation),
            Fault(kind="reset_before", operation=operation),
        ):
            yield _passes(operation, direction, fault)
            yield _outage(operation, direction, fault)
        for times in (1, None):
            yield from _unanswered(operation, direction, times)
        yield _carried_out(operation, direction)
        yield _locked_out(operation, direction)


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


def _locked_out(operation: str, direction: Direction) -> Row:
    """Credentials that are not taken any more: nothing else works either, taking back what was staged included."""
    code = "UnrecognizedClientException"
    staged = operation == DEPLOYING
    ends = {"one": (_STAGED[direction] if staged else _begin(direction),)}
    left = {"one": (f"skipped: {'left-staged' if staged else 'credentials'}",)}
    return Row(
        name=f"{operation} {code} always",
        source="A target that loses its credentials begins nothing more.",
        asks={"one": direction},
        begins={"one": _begin(direction)},
        faults=(Fault(kind="error", operation=operation, code=code),),
        comes_to={"one": (f"failed: {code}",)},
        ends=ends,
        deploys=(0,),
        differs=_RESUMED,
        rollout=Expected(comes_to=left, ends=ends, deploys=(0,)),
    )


def _unanswered(operation: str, direction: Direction, times: int | None) -> Iterator[Row]:
    """No answer, or one that cannot be read: it was carried out."""
    ways: Mapping[str, FaultKind] = {
        "carried out, then dropped": "reset_after",
        "half of its answer": "truncated",
        "malformed 200": "not_json",
    }
    for words, kind in ways.items():
        yield Row(
            name=f"{operation} {words} {_often(times)}",
            source="Resets and unreadable answers count as may-have-arrived: look, then decide. Exactly one Deploy.",
            asks={"one": direction},
            begins={"one": _begin(direction)},
            faults=(Fault(kind=kind, operation=operation, times=times),),
            comes_to={"one": ("succeeded",)},
            ends={"one": (_done(direction),)},
            deploys=(1,),
        )


def _carried_out(operation: str, direction: Direction) -> Row:
    """Carry out what the simulator answers with 500 before it does anything."""
    happenings = (
        (Happening(at="stage failed", does=partial(_stage, direction)),)
        if operation != DEPLOYING
        else (
            Happening(at="deploy failed", does=_commit),
            Happening(at="deploy failed", does=_complete, after=60),
        )
    )
    return Row(
        name=f"{operation} carried out, then 500",
        source="5xx counts as may-have-arrived: look, then decide. Exactly one Deploy.",
        asks={"one": direction},
        begins={"one": _begin(direction)},
        faults=(Fault(kind="internal_error", operation=operation, times=1),),
        happenings=happenings,
        comes_to={"one": ("succeeded",)},
        ends={"one": (_done(direction),)},
        deploys=(1,),
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
