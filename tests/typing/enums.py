"""Enums are open for type checkers too: read by them, never run.

A line with an ignore must be refused: an ignore that is not needed is an error itself.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from typing import assert_never, assert_type

from workspaces_apps import AssociationState, OperatingSystemName, WorkSpaceAssociatedResourceType


def values(text: str) -> None:
    """A new value has the type of the enum, and every value is a string."""
    assert_type(AssociationState("NEW"), AssociationState)
    assert_type(AssociationState("NEW").lower(), str)
    assert_type(AssociationState("NEW").is_known, bool)
    assert_type([state.value for state in AssociationState], list[str])
    AssociationState.INSTALED  # type: ignore[attr-defined]
    other: AssociationState = text  # type: ignore[assignment]
    number: AssociationState = OperatingSystemName.WINDOWS_10  # type: ignore[assignment]
    print(other, number)  # noqa: T201


def the_rest_is_reachable(kind: WorkSpaceAssociatedResourceType) -> int:
    """After all known members something may still come; else `return 2` would be unreachable for mypy."""
    match kind:
        case WorkSpaceAssociatedResourceType.APPLICATION:
            return 1
        case _:
            return 2


def never_is_refused(kind: WorkSpaceAssociatedResourceType) -> int:
    """`assert_never` after all known members is an error: it would fail at run time."""
    match kind:
        case WorkSpaceAssociatedResourceType.APPLICATION:
            return 1
        case _:
            assert_never(kind)  # type: ignore[arg-type]


def a_default_is_needed(kind: WorkSpaceAssociatedResourceType) -> int:  # type: ignore[return]
    """A match over all known members alone does not return always."""
    match kind:  # pyright: ignore[reportMatchNotExhaustive]
        case WorkSpaceAssociatedResourceType.APPLICATION:
            return 1
