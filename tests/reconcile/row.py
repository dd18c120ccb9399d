"""One row of the table: what is asked for, what happens meanwhile, and what must come of it, either way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from tests.reconcile.scene import Happening, Scene
from workspaces_apps import Pacing
from workspaces_apps.simulator import FaultKind, SimulatorSettings

Direction: TypeAlias = Literal["install", "uninstall"]
Way: TypeAlias = Literal["job", "rollout"]
"""``job``: `install_applications` or `uninstall_applications`; ``rollout``: plan, then apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of the simulator.

    Attributes:
        kind: As `Faults.add` has it.
        operation: The operation.
        times: How often; None: always.
        code: For ``error``: the code.
        label: Only requests about this application; for ``deployment_error`` its deployments.
    """

    kind: FaultKind
    operation: str | None = None
    times: int | None = None
    code: str = "InternalServerException"
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One scenario.

    Attributes:
        name: What it is called in the table and by pytest.
        source: Why the expectation is right: a sentence of the contract, or what is known of the service.
        asks: By application, what is asked for.
        begins: By application, the association's state before everything.
        failed: The direction that had failed, for an association that begins in ERROR.
        happenings: What somebody else does.
        faults: What the simulator does wrong.
        retry: `retry_failed` of a job; one retry, and the direction taken in sync, of a roll-out.
        leave: `include_staged` of a job; `allow_foreign_staged` of a roll-out.
        settings: The simulator's; None: deployments of a minute.
        pacing: The client's; None: adaptive.
        jitter: The client's draw for every backoff, 0 to 1.
        comes_to: By application, the outcomes that are right, as patterns: ``succeeded``, ``failed: …``,
            ``skipped: …``.
        ends: By application, the states that the service may show at the end.
        deploys: How many Deploys may commit something.
        check: What else must hold of the scene at the end.
        differs: Why the two ways may differ; empty: they must not.
        rollout: What is right of the roll-out where it is not what is right of the job, in the same three members.
    """

    name: str
    source: str
    asks: Mapping[str, Direction] = field(default_factory=lambda: _ONE)
    begins: Mapping[str, str] = field(default_factory=dict[str, str])
    failed: Direction | None = None
    happenings: tuple[Happening, ...] = ()
    faults: tuple[Fault, ...] = ()
    retry: bool = False
    leave: bool = False
    settings: SimulatorSettings | None = None
    pacing: Pacing | None = None
    jitter: float = 0.5
    comes_to: Mapping[str, tuple[str, ...]]
    ends: Mapping[str, tuple[str, ...]]
    deploys: tuple[int, ...]
    check: Callable[[Scene, Way], None] | None = None
    differs: str = ""
    rollout: "Expected | None" = None

    def expected(self, way: Way) -> "Expected":
        """The right result for one of the ways."""
        if way == "rollout" and self.rollout is not None:
            return self.rollout
        return Expected(comes_to=self.comes_to, ends=self.ends, deploys=self.deploys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The result that a row must have.

    Attributes:
        comes_to: By application, the outcomes that are right, as patterns.
        ends: By application, the states that the service may show at the end.
        deploys: How many Deploys may commit something.
    """

    comes_to: Mapping[str, tuple[str, ...]]
    ends: Mapping[str, tuple[str, ...]]
    deploys: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a row, one way.

    Attributes:
        outcomes: By application, in the words that both ways share.
        native: By application, in the way's own words.
        ends: By application, the state that the service shows at the end.
        deploys: How many Deploys committed something.
        ending: How the roll-out ended; None of a job.
        notes: What the error said besides.
    """

    outcomes: Mapping[str, str]
    native: Mapping[str, str]
    ends: Mapping[str, str]
    deploys: int
    ending: str | None = None
    notes: tuple[str, ...] = ()


_ONE: Mapping[str, Direction] = {"one": "install"}
