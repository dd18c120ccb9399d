"""The input of an operation's handler, and the few things that many handlers need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from workspaces_apps.simulator._faults import Faults
from workspaces_apps.simulator._settings import SimulatorSettings
from workspaces_apps.simulator._state import Accounts, Listed, Page, RegionStore
from workspaces_apps.simulator._transitions import Transitions
from workspaces_apps.simulator._wire import ApiError, JsonObject, JsonValue, Parameters

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way through a handler.

    Attributes:
        operation: The API operation.
        now: Simulated epoch seconds; does not move during a call.
        store: What the account has in the Region.
        accounts: All accounts and Regions.
        settings: The simulator's settings.
        faults: Asked for the entries of a batch.
        transitions: Puts deployments on their way.
    """

    operation: str
    now: float
    store: RegionStore
    accounts: Accounts
    settings: SimulatorSettings
    faults: Faults
    transitions: Transitions

    def page(
        self,
        parameters: Parameters,
        indexes: Sequence[Listed[T]],
        keep: Callable[[T], bool] | None = None,
    ) -> Page[T]:
        """Return the page of these indexes that a request asks for."""
        # An operation that lists has one or the other, and validation takes away what an operation does not have.
        limit = (
            parameters.integer("MaxResults") or parameters.integer("Limit") or self.settings.default_page_size
        )
        return self.store.pager.page(self.operation, parameters.raw, indexes, limit, self.now, keep)

    def rest(self, target: str, epoch: int, state: str, after: float) -> None:
        """Let a WorkSpace come to a state by itself after so many seconds."""
        self.store.plan(self.now + after, "workspace-rests", target, epoch, state)


Handler: TypeAlias = Callable[[Call, Parameters], JsonObject | bytes]
"""Answers with the JSON object, or with its text."""
Family: TypeAlias = Mapping[str, Handler]


def listing(name: str, items: Sequence[JsonObject], next_token: str | None) -> JsonObject:
    """Return the answer of an operation that lists."""
    values: list[JsonValue] = list(items)
    answer: JsonObject = {name: values}
    if next_token is not None:
        answer["NextToken"] = next_token
    return answer


def tags_in(parameters: Parameters, settings: SimulatorSettings) -> dict[str, str]:
    """Return the tags of a request that creates something.

    Raises:
        ApiError: ResourceLimitExceededException: too many; InvalidParameterValuesException: a reserved key.
    """
    tags = {tag.text("Key"): tag.maybe_text("Value") or "" for tag in parameters.sections("Tags")}
    check_tags(tags, settings)
    return tags


def check_tags(tags: Mapping[str, str], settings: SimulatorSettings) -> None:
    """Refuse too many tags, and keys that AWS keeps for itself."""
    if len(tags) > settings.tags_per_resource:
        raise ApiError(
            "ResourceLimitExceededException", f"A resource can have {settings.tags_per_resource} tags."
        )
    if any(key.lower().startswith("aws:") for key in tags):
        raise ApiError("InvalidParameterValuesException", "Tag keys must not begin with aws:")
