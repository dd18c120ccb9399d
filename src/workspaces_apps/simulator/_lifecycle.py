"""The life of an association between an application and a WorkSpace, as one table.

Every row says how it is known: ``doc`` documentation or model, ``field`` reported by people who run fleets,
``assumed`` no source found. The operations look their answer up here and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from workspaces_apps.simulator._settings import Mark

State: TypeAlias = Literal[
    "PENDING_INSTALL_DEPLOYMENT",
    "PENDING_INSTALL",
    "INSTALLING",
    "COMPLETED",
    "PENDING_UNINSTALL_DEPLOYMENT",
    "PENDING_UNINSTALL",
    "UNINSTALLING",
    "REMOVED",
    "ERROR",
]
Direction: TypeAlias = Literal["install", "uninstall"]
Trigger: TypeAlias = Literal["associate", "disassociate", "deploy", "force", "begin", "succeed", "fail"]
Effect: TypeAlias = Literal["move", "revert", "keep", "already exists", "not found", "in use", "error record"]

ABSENT: Final = "ABSENT"
Place: TypeAlias = State | Literal["ABSENT"]

IN_FLIGHT: Final[frozenset[Place]] = frozenset(
    {"PENDING_INSTALL", "INSTALLING", "PENDING_UNINSTALL", "UNINSTALLING"}
)
STAGED: Final[frozenset[Place]] = frozenset({"PENDING_INSTALL_DEPLOYMENT", "PENDING_UNINSTALL_DEPLOYMENT"})


@dataclass(frozen=True, slots=True)
class Row:
    """The effect of a trigger on an association in a state.

    Attributes:
        trigger: What happens.
        state: The association's state before.
        effect: ``move`` to `to`; ``revert`` to what it was before it was staged; ``keep`` as it is; refuse with
            ResourceAlreadyExistsException, ResourceNotFoundException or ResourceInUseException; or as the setting
            ``error_record`` says.
        to: The state after, where the effect is a move.
        direction: What the association is on its way to from now on; None leaves it.
        mark: How this is known.
        source: What is known, in a sentence.
    """

    trigger: Trigger
    state: Place
    effect: Effect
    to: Place | None
    direction: Direction | None
    mark: Mark
    source: str


_IN_FLIGHT_REFUSED = "A change in flight is the natural meaning of ResourceInUseException."

TABLE: Final[tuple[Row, ...]] = (
    Row("associate", ABSENT, "move", "PENDING_INSTALL_DEPLOYMENT", "install", "doc",
        "Associate stages an installation; only Deploy carries it out."),
    Row("associate", "REMOVED", "move", "PENDING_INSTALL_DEPLOYMENT", "install", "assumed",
        "A REMOVED row that lingers counts as absent."),
    Row("associate", "PENDING_INSTALL_DEPLOYMENT", "already exists", None, None, "assumed",
        "Staged already is associated already."),
    Row("associate", "COMPLETED", "already exists", None, None, "assumed",
        "Installed is associated already."),
    Row("associate", "PENDING_UNINSTALL_DEPLOYMENT", "revert", None, None, "doc",
        "The opposite call reverts a staged change; that it leads back to COMPLETED is assumed."),
    Row("associate", "PENDING_INSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("associate", "INSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("associate", "PENDING_UNINSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("associate", "UNINSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("associate", "ERROR", "error record", "PENDING_INSTALL_DEPLOYMENT", "install", "assumed",
        "Whether Associate re-states the direction of a failed record is unknown: a setting."),
    Row("disassociate", ABSENT, "not found", None, None, "assumed",
        "What is not associated cannot be disassociated."),
    Row("disassociate", "REMOVED", "not found", None, None, "assumed",
        "A REMOVED row that lingers counts as absent."),
    Row("disassociate", "PENDING_INSTALL_DEPLOYMENT", "revert", None, None, "doc",
        "The opposite call reverts a staged change; that the record is gone then is assumed."),
    Row("disassociate", "COMPLETED", "move", "PENDING_UNINSTALL_DEPLOYMENT", "uninstall", "doc",
        "Disassociate stages a removal; only Deploy carries it out."),
    Row("disassociate", "PENDING_UNINSTALL_DEPLOYMENT", "in use", None, None, "assumed",
        "Disassociate has no ResourceAlreadyExistsException; ResourceInUseException is the nearest it has."),
    Row("disassociate", "PENDING_INSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("disassociate", "INSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("disassociate", "PENDING_UNINSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("disassociate", "UNINSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("disassociate", "ERROR", "error record", "PENDING_UNINSTALL_DEPLOYMENT", "uninstall", "assumed",
        "Whether Disassociate re-states the direction of a failed record is unknown: a setting."),
    Row("deploy", "PENDING_INSTALL_DEPLOYMENT", "move", "PENDING_INSTALL", None, "doc",
        "Deploy commits everything that is staged on the WorkSpace, by whomever."),
    Row("deploy", "PENDING_UNINSTALL_DEPLOYMENT", "move", "PENDING_UNINSTALL", None, "doc",
        "Deploy commits everything that is staged on the WorkSpace, removals too."),
    Row("deploy", "COMPLETED", "keep", None, None, "doc", "Deploy does not touch what is not staged."),
    Row("deploy", "REMOVED", "keep", None, None, "doc", "Deploy does not touch what is not staged."),
    Row("deploy", "ERROR", "keep", None, None, "assumed", "Without Force a failed record is skipped."),
    Row("deploy", "PENDING_INSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("deploy", "INSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("deploy", "PENDING_UNINSTALL", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("deploy", "UNINSTALLING", "in use", None, None, "assumed", _IN_FLIGHT_REFUSED),
    Row("force", "ERROR", "move", None, None, "doc",
        "With Force a failed record is tried again, in the direction that failed, which it does not show."),
    Row("begin", "PENDING_INSTALL", "move", "INSTALLING", None, "assumed",
        "The names are documented, their order is the natural one."),
    Row("begin", "PENDING_UNINSTALL", "move", "UNINSTALLING", None, "assumed",
        "The names are documented, their order is the natural one."),
    Row("succeed", "INSTALLING", "move", "COMPLETED", None, "assumed",
        "The names are documented, their order is the natural one."),
    Row("succeed", "UNINSTALLING", "move", "REMOVED", None, "assumed",
        "The names are documented; whether the row lingers is a setting."),
    Row("fail", "INSTALLING", "move", "ERROR", "install", "assumed",
        "Failures of disk, memory and reachability come late, as ERROR with a StateReason."),
    Row("fail", "UNINSTALLING", "move", "ERROR", "uninstall", "assumed",
        "A failed removal looks like a failed installation: the record has no direction."),
)  # fmt: skip

RETRIED: Final[Mapping[Direction, State]] = {"install": "PENDING_INSTALL", "uninstall": "PENDING_UNINSTALL"}
"""Where Force leads a failed record, by the direction that failed."""

_BY_KEY: Final[Mapping[tuple[Trigger, Place], Row]] = {(row.trigger, row.state): row for row in TABLE}


def look_up(trigger: Trigger, state: Place) -> Row:
    """The row for a trigger and a state; Force is Deploy where the table does not say otherwise.

    Raises:
        KeyError: The trigger cannot come in that state.
    """
    row = _BY_KEY.get((trigger, state))
    if row is None and trigger == "force":
        row = _BY_KEY.get(("deploy", state))
    if row is None:
        raise KeyError((trigger, state))
    return row
