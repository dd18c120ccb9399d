"""The policy of a roll-out: waves, ceilings, budgets, retries and hours."""

import re
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from workspaces_apps._base.public import public
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.rollout._controller.waves import Amount
from workspaces_apps.rollout._manifest.fields import PLAIN, listed
from workspaces_apps.rollout._manifest.hours import Hours

_SECONDS: Final = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?\Z")


def _read_seconds(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        found = _SECONDS.match(value)
        if found is None or not value:
            raise PydanticCustomError(
                "duration", "a duration is a number of seconds, or written like 1h30m or 90s"
            )
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return float(hours * 3600 + minutes * 60 + seconds)
    return value


Seconds: TypeAlias = Annotated[
    float,
    BeforeValidator(_read_seconds, json_schema_input_type=float | str),
    Field(ge=0, le=10_000_000, allow_inf_nan=False),
]


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
        except ConfigurationError as error:
            raise PydanticCustomError("amount", "{rule}", {"rule": error.message}) from None

    @staticmethod
    def write(value: Amount) -> int | str:
        """As it is written in a manifest."""
        return str(value) if value.percent else int(value.number)


AmountField: TypeAlias = Annotated[Amount, _AmountSchema]


@public("workspaces_apps.rollout")
class OrderByTag(BaseModel, frozen=True):
    """In which order WorkSpaces get their turn: by the value of a tag.

    Attributes:
        key: The tag's key.
        values: Its values, first come first; WorkSpaces with another value, or without the tag, come last.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    key: Annotated[str, Field(min_length=1, max_length=127), PLAIN]
    values: Annotated[tuple[Annotated[str, PLAIN], ...], BeforeValidator(listed), Field(min_length=1)]

    def rank(self, tags: dict[str, str]) -> int:
        """The place of a WorkSpace with these tags."""
        value = tags.get(self.key)
        return self.values.index(value) if value in self.values else len(self.values)


@public("workspaces_apps.rollout")
class Policy(BaseModel, frozen=True):
    """The policy of a roll-out. Durations are seconds, or written like ``1h30m``.

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
        skip_connected: Leave WorkSpaces alone whose user is connected; a deployment ends the session [doc].
            Costs a call for each WorkSpace.
        show_connected: Ask in the plan who is connected; a call for 25 WorkSpaces. Implied by `skip_connected`.
        allow_foreign_staged: Deploy also what somebody else has staged, if the plan shows it.
        order_by_tag: In which order WorkSpaces get their turn. Costs a call for each WorkSpace to be changed.
        hours: When deployments may begin; empty: always. A WorkSpace that no entry fits is never begun.
        outside_hours: Whether to wait for the hours, or to skip what is outside them.
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
    skip_connected: bool = False
    show_connected: bool = False
    allow_foreign_staged: bool = False
    order_by_tag: OrderByTag | None = None
    hours: Annotated[tuple[Hours, ...], BeforeValidator(listed)] = ()
    outside_hours: Literal["wait", "skip"] = "wait"
    deployment_timeout: Annotated[Seconds, Field(gt=0)] = 7200.0
    ready_timeout: Annotated[Seconds, Field(gt=0)] = 1800.0
