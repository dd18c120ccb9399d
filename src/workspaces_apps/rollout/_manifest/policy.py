"""Policy of a roll-out: waves, ceilings, budgets, retries, users, approval and hours."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from workspaces_apps._base.public import public
from workspaces_apps._model.operations import Many
from workspaces_apps.rollout._controller.waves import Amount
from workspaces_apps.rollout._errors import ManifestError
from workspaces_apps.rollout._manifest.fields import PLAIN, Seconds, SecondsLike, is_table, listed
from workspaces_apps.rollout._manifest.hours import Hours
from workspaces_apps.rollout._manifest.part import Part


class _AmountSchema:
    """The schema by which pydantic reads and writes an `Amount`."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(
            cls.read, serialization=core_schema.plain_serializer_function_ser_schema(cls.write)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        del schema, handler
        return {
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}]
        }

    @staticmethod
    def read(value: object) -> Amount:
        """The amount, or the mistake."""
        try:
            return Amount.parse(value)
        except ManifestError as error:
            raise PydanticCustomError("amount", "{rule}", {"rule": error.mistakes[0].rule}) from None

    @staticmethod
    def write(value: Amount) -> int | str:
        """As it is written in a manifest."""
        return str(value) if value.percent else int(value.number)


AmountField: TypeAlias = Annotated[Amount, _AmountSchema]


@public("workspaces_apps.rollout")
class OrderByTag(Part, frozen=True):
    """In which order WorkSpaces get their turn: by the value of a tag.

    Attributes:
        key: The tag's key.
        values: Its values, first come first; WorkSpaces with another value, or without the tag, come last.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    key: Annotated[str, Field(min_length=1, max_length=127), PLAIN]
    values: Annotated[tuple[Annotated[str, PLAIN], ...], BeforeValidator(listed), Field(min_length=1)]

    if TYPE_CHECKING:

        def __init__(self, *, key: str, values: Many[str]) -> None: ...

    def rank(self, tags: dict[str, str]) -> int:
        """The place of a WorkSpace with these tags."""
        value = tags.get(self.key)
        return self.values.index(value) if value in self.values else len(self.values)


WhenConnected: TypeAlias = Literal["proceed", "skip", "wait"]
"""The rule for a WorkSpace whose user is connected: a deployment ends the session [doc]."""

Approval: TypeAlias = Literal["none", "canary", "every-wave"]
"""The waves after which somebody must approve before the next one begins."""


def _wrong_key(key: str, rule: str) -> ValidationError:
    mistake = PydanticCustomError("policy", "{rule}", {"rule": rule})
    return ValidationError.from_exception_data(
        "Policy", [InitErrorDetails(type=mistake, loc=(key,), input=None)]
    )


def _with_successors(data: object) -> object:
    """Read the keys of manifests and plans of earlier releases as their successors."""
    if not is_table(data):
        return data
    found = dict(data)
    if "skip_connected" in found:
        if "when_connected" in found:
            raise _wrong_key("skip_connected", "is the former when_connected: leave it out")
        skips = found.pop("skip_connected")
        if not isinstance(skips, bool):
            raise _wrong_key("skip_connected", "is a boolean; it is the former when_connected")
        found["when_connected"] = "skip" if skips else "proceed"
    if "order_by_tag" in found:
        if "order_by" in found:
            raise _wrong_key("order_by_tag", "is the former order_by: leave it out")
        found["order_by"] = found.pop("order_by_tag")
    return found


@public("workspaces_apps.rollout")
class Policy(Part, frozen=True):
    """The care of a roll-out. Durations are seconds, a timedelta, or written like ``1h30m``.

    Attributes:
        canary: The size of the first wave, a count or a share such as ``"5%"``; None: everything in one wave.
            The next wave begins when all of a wave has ended.
        growth: How many times as large as the one before each wave is, 1 or more.
        largest_wave: The largest size of a wave; None for no limit.
        pause: How long to wait between waves.
        max_in_flight: WorkSpaces at most that are being changed at the same time, in all targets together.
        failure_budget: How many WorkSpaces may fail, a count or a share of those in the plan; one more, and
            nothing new is begun, while what runs may end.
        retries: How often a change that ended in ERROR is tried again, over all runs on one journal, 0 to 10.
        when_connected: The rule for WorkSpaces whose user is connected; a deployment ends the session [doc].
            ``proceed``: deploy; ``skip``: leave them alone; ``wait``: deploy once the user has been away for
            `idle_for`. With ``skip`` and ``wait`` the connection is read directly before each Deploy.
        idle_for: How long a user must have been away, with ``wait``. It counts from the first DISCONNECTED that was
            read, or from the last connection that the service knows of where that is later. STOPPED is away at once.
        connected_timeout: How long to wait for a user, or for a hook that postpones; then the WorkSpace is left
            alone, as `connected`, `connection-unknown` or `postponed`.
        show_connected: Ask in the plan who is connected; a call for 25 WorkSpaces. Implied by ``skip`` and ``wait``.
        notice: How long before Deploy the hook `before_deploy` of an apply is called.
        allow_foreign_staged: Deploy also what somebody else has staged, if the plan shows it.
        order_by: In which order WorkSpaces get their turn: by a tag, at a call for each WorkSpace to be changed; or
            ``least-recently-connected``, at a call for 25: idle desktops first, those of connected users last.
        approval: After which waves the apply waits until somebody approves: ``canary``, or ``every-wave``. After the
            last wave there is nothing to approve.
        approval_timeout: How long to wait for an approval; then the run ends as `drained`.
        hours: When deployments may begin; empty: always. A WorkSpace that no entry fits is never begun.
        outside_hours: Whether to wait for the hours, or to skip what is outside them.
        finish_within_hours: Begin nothing that would end after the hours close, by the 95th percentile of this run's
            deployments, and by `expected_deployment` before any has ended.
        expected_deployment: How long a deployment is expected to take [assumed].
        deployment_timeout: After how long a deployment that does not end counts as failed.
        ready_timeout: How long to wait for a WorkSpace that is on its way, such as one that starts or reboots; then
            it is left alone, as `workspace-state`.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    canary: AmountField | None = None
    growth: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = 2.0
    largest_wave: Annotated[int, Field(ge=1)] | None = None
    pause: Seconds = 0.0
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 100
    failure_budget: AmountField = Amount(10, percent=True)
    retries: Annotated[int, Field(ge=0, le=10)] = 1
    when_connected: WhenConnected = "proceed"
    idle_for: Seconds = 300.0
    connected_timeout: Seconds = 28_800.0
    show_connected: bool = False
    notice: Seconds = 0.0
    allow_foreign_staged: bool = False
    order_by: Literal["least-recently-connected"] | OrderByTag | None = None
    approval: Approval = "none"
    approval_timeout: Annotated[Seconds, Field(gt=0)] = 86_400.0
    hours: Annotated[tuple[Hours, ...], BeforeValidator(listed)] = ()
    outside_hours: Literal["wait", "skip"] = "wait"
    finish_within_hours: bool = True
    expected_deployment: Annotated[Seconds, Field(gt=0)] = 2700.0
    deployment_timeout: Annotated[Seconds, Field(gt=0)] = 7200.0
    ready_timeout: Annotated[Seconds, Field(gt=0)] = 1800.0

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            canary: Amount | int | str | None = None,
            growth: float = 2.0,
            largest_wave: int | None = None,
            pause: SecondsLike = 0.0,
            max_in_flight: int = 100,
            failure_budget: Amount | int | str = ...,
            retries: int = 1,
            when_connected: WhenConnected = "proceed",
            idle_for: SecondsLike = 300.0,
            connected_timeout: SecondsLike = 28_800.0,
            show_connected: bool = False,
            notice: SecondsLike = 0.0,
            allow_foreign_staged: bool = False,
            order_by: Literal["least-recently-connected"] | OrderByTag | None = None,
            approval: Approval = "none",
            approval_timeout: SecondsLike = 86_400.0,
            hours: Many[Hours] = (),
            outside_hours: Literal["wait", "skip"] = "wait",
            finish_within_hours: bool = True,
            expected_deployment: SecondsLike = 2700.0,
            deployment_timeout: SecondsLike = 7200.0,
            ready_timeout: SecondsLike = 1800.0,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, data: object) -> object:
        return _with_successors(data)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.approval == "canary" and self.canary is None:
            raise PydanticCustomError("policy", 'approval = "canary" needs a canary, such as canary = "5%"')
        return self

    @property
    def minds_users(self) -> bool:
        """Tell if connected users are left alone."""
        return self.when_connected != "proceed"

    def needs_of_hours(self, expected: float | None = None) -> float:
        """Return the seconds that must be left until the hours close when a deployment begins.

        Args:
            expected: How long a deployment takes, as this run has shown; None while none has ended.
        """
        if not self.finish_within_hours:
            return 0.0
        return self.expected_deployment if expected is None else expected
