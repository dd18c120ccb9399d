"""Events of a roll-out, as frozen records: what an apply tells, and what its journal keeps.

Text that came from the service (names, messages, codes, ids) is kept as it came, but for three things: it is cut at
`TEXT_LIMIT`, so that no message fills the disk, half of a surrogate pair becomes U+FFFD, because no file can hold it,
and secrets are hidden. It is data: whoever shows it must escape it for the place where it is shown.
"""

from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from workspaces_apps._base.public import AttributesInSchema, public
from workspaces_apps._base.text import redacted

FORMAT: Final = 2
"""The version of the journal's format that this release writes; it reads this one and those before."""

EVERYWHERE: Final = "*"
"""The target of events that belong to the roll-out as a whole."""

TEXT_LIMIT: Final = 1000
"""Characters at most of a text that the service sent, the ellipsis of a longer one included."""

Direction: TypeAlias = Literal["install", "uninstall"]
"""The end that a change leads to."""

Action: TypeAlias = Literal["install", "uninstall", "retry", "nothing", "blocked"]
"""The word of a plan for one application on one WorkSpace."""

WriteOperation: TypeAlias = Literal[
    "AssociateWorkspaceApplication",
    "DisassociateWorkspaceApplication",
    "DeployWorkspaceApplications",
]
"""The API operations that a roll-out writes with."""

Ending: TypeAlias = Literal[
    "complete", "incomplete", "drained", "stopped", "budget-spent", "credentials", "dry-run"
]
"""The ending of an apply.

``complete``: every change that was planned is made, what the plan calls blocked aside; ``incomplete``: it went
through, and something failed, was skipped, or is wanted on a WorkSpace that does not exist; ``drained``: asked to start
nothing more; ``stopped``: asked to stop at once; ``budget-spent``: too much failed, so nothing more was started;
``credentials``: the credentials of a target were lost, so nothing more was started there;
``dry-run``: nothing was to be written.
"""

GRAVEST_ENDINGS: Final[tuple[Ending, ...]] = (
    "stopped",
    "credentials",
    "budget-spent",
    "drained",
    "incomplete",
    "dry-run",
    "complete",
)
"""The order of precedence of endings: of an apply the first that fits, of several applies the first that there is."""


def bounded(text: str) -> str:
    """Return the text as a file can hold it, without secrets, and of `TEXT_LIMIT` characters at most; the last one is … if more was there."""
    text = redacted(text[: 4 * TEXT_LIMIT])
    short = text if len(text) <= TEXT_LIMIT else f"{text[: TEXT_LIMIT - 1]}…"
    if short.isascii():
        return short
    # Two halves that belong together become their character.
    return short.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _bounded(value: object) -> object:
    return bounded(value) if isinstance(value, str) else value


Text: TypeAlias = Annotated[str, BeforeValidator(_bounded, json_schema_input_type=str)]
"""A text that may have come from the service; see `bounded`."""


class Record(AttributesInSchema, BaseModel, frozen=True):
    """Members that every event has."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")

    at: AwareDatetime
    """The time it happened, by the client's clock."""
    run: Text
    """The apply it belongs to: each gets an id of its own, also on the same journal."""
    target: Text = "default"
    """The name of the manifest's target (account and Region)."""


class _Strict(Record, frozen=True):
    """Members of a kind whose keys are all known.

    Format 1 let a reader skip any key; these kinds refuse one that they do not know, because what it would count is
    counted nowhere else. Lines of format 1 are read as before.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@public("workspaces_apps.rollout")
class Started(Record, frozen=True):
    """An apply began, or began again on the same journal. Always the first of its run."""

    kind: Literal["started"] = "started"
    format: int = FORMAT
    """The version of the journal's format for the lines of this run; `FORMAT` of the release that wrote it."""
    name: Text
    """The manifest's name."""
    plan: Text
    """The plan's fingerprint."""
    workspaces: int
    """The number of WorkSpaces that the plan names."""
    changes: int
    """The number of changes that the plan asks for, those to be retried included."""
    resumed: bool = False
    """True if the journal held an earlier run."""
    dry_run: bool = False
    """True if nothing will be written to the service."""
    unmatched: tuple[Text, ...] = ()
    """Values that the manifest's selectors name and nothing has, in words; empty in journals of earlier releases."""


@public("workspaces_apps.rollout")
class Planned(Record, frozen=True):
    """The word of the plan for one application on one WorkSpace. A WorkSpace without any application has none."""

    kind: Literal["planned"] = "planned"
    workspace_id: Text
    """The WorkSpace."""
    application_id: Text
    """The application."""
    application: Text | None = None
    """The application's name, where the catalogue has one."""
    owner: Text | None = None
    """The account that offers it, or ``AMAZON``; None where that is not known, and in earlier journals."""
    action: Action
    """The action that the plan gives."""
    state: Text | None = None
    """The association's state when the plan was made, as the service calls it; ``REMOVED`` where there is
    none; None in journals of earlier releases."""
    direction: Direction | None = None
    """The direction of the change; None for ``nothing`` and where it is unknown."""
    reason: Text | None = None
    """For ``blocked``: why, a word such as ``operating-system``; see `reasons.Reason`."""
    message: Text | None = None
    """The reason in words."""
    user_name: Text | None = None
    """The WorkSpace's user."""
    connected: bool | None = None
    """True if the user was connected; None where that was not asked."""


@public("workspaces_apps.rollout")
class WaveBegan(Record, frozen=True):
    """A wave began."""

    kind: Literal["wave"] = "wave"
    wave: int
    """Its number, from 1."""
    waves: int
    """The number of waves."""
    workspaces: int
    """The number of WorkSpaces in it."""
    digest: Text | None = None
    """The digest of its WorkSpaces, because a restart cuts waves anew; None in format 1."""
    approval: bool = False
    """True if somebody must approve it before anything else begins."""


@public("workspaces_apps.rollout")
class ApprovalRequested(_Strict, frozen=True):
    """A wave has ended, and nothing else begins until somebody approves it. New in format 2."""

    kind: Literal["approval-requested"] = "approval-requested"
    wave: int
    """Its number, from 1."""
    digest: Text
    """The digest of its WorkSpaces."""
    workspaces: int = 0
    """The number of WorkSpaces in it."""


@public("workspaces_apps.rollout")
class Approved(_Strict, frozen=True):
    """A wave that had ended was approved; on disk before anything else begins. New in format 2."""

    kind: Literal["approved"] = "approved"
    wave: int
    """Its number, from 1."""
    digest: Text
    """The digest of its WorkSpaces."""
    who: Text
    """The user who approved it, and the host."""
    reason: Text = ""
    """The reason, in words."""
    sequence: int | None = None
    """The number of the command in the control record; None where it was given to this process."""


@public("workspaces_apps.rollout")
class Rejected(_Strict, frozen=True):
    """A wave that had ended was rejected: the run starts nothing more. New in format 2."""

    kind: Literal["rejected"] = "rejected"
    wave: int
    """Its number, from 1."""
    digest: Text
    """The digest of its WorkSpaces."""
    who: Text
    """The user who rejected it, and the host."""
    reason: Text = ""
    """The reason, in words."""
    sequence: int | None = None
    """The number of the command in the control record; None where it was given to this process."""


@public("workspaces_apps.rollout")
class Noticed(_Strict, frozen=True):
    """The hook `before_deploy` is about to be called. On disk before it is. New in format 2."""

    kind: Literal["noticed"] = "noticed"
    workspace_id: Text
    """The WorkSpace."""
    planned_at: AwareDatetime
    """The earliest time at which Deploy will be sent."""
    attempt: int = 1
    """The number of times the hook was called for this deployment, this time included."""


@public("workspaces_apps.rollout")
class Intent(Record, frozen=True):
    """A write is about to be sent. On disk before it is: what happened to it, the service tells."""

    kind: Literal["intent"] = "intent"
    workspace_id: Text
    """The WorkSpace."""
    application_id: Text
    """The application; for a deployment one intent is written for each application it commits."""
    operation: WriteOperation
    """The API operation."""
    direction: Direction
    """The direction of the change."""
    force: bool = False
    """True for a deployment with Force."""
    retry: bool = False
    """True if the deployment retries what had ended in ERROR for this application, with Force or
    staged anew; such intents are what `retries` counts, over all runs."""


@public("workspaces_apps.rollout")
class Withdrawn(_Strict, frozen=True):
    """An intent whose write was not started is taken back, and counts for nothing. New in format 2."""

    kind: Literal["withdrawn"] = "withdrawn"
    workspace_id: Text
    """The WorkSpace."""
    application_id: Text
    """The application."""
    operation: WriteOperation
    """The API operation of the intent."""
    direction: Direction
    """The direction that the change would have had."""
    retry: bool = False
    """True if the intent was that of a retry."""
    reason: Text
    """The reason the write was not started."""


@public("workspaces_apps.rollout")
class Staged(Record, frozen=True):
    """The service took an Associate or Disassociate."""

    kind: Literal["staged"] = "staged"
    workspace_id: Text
    """The WorkSpace."""
    application_id: Text
    """The application."""
    direction: Direction
    """The direction of the change."""
    request_id: Text | None = None
    """The service's id of the answer."""


@public("workspaces_apps.rollout")
class Deployed(Record, frozen=True):
    """The service took a Deploy; the deployment begins."""

    kind: Literal["deployed"] = "deployed"
    workspace_id: Text
    """The WorkSpace."""
    applications: tuple[Text, ...]
    """The applications that were committed, as far as this roll-out knows."""
    force: bool = False
    """True for a Deploy with Force."""
    request_id: Text | None = None
    """The service's id of the answer."""


@public("workspaces_apps.rollout")
class Changed(Record, frozen=True):
    """An association was seen in another state than before."""

    kind: Literal["changed"] = "changed"
    workspace_id: Text
    """The WorkSpace."""
    application_id: Text
    """The application."""
    state: Text
    """The state it is in now, as the service calls it; ``REMOVED`` also when it is absent."""


@public("workspaces_apps.rollout")
class Succeeded(Record, frozen=True):
    """An application on a WorkSpace is as the manifest wants it. The last word on it in this run."""

    kind: Literal["succeeded"] = "succeeded"
    workspace_id: Text
    """The WorkSpace."""
    application_id: Text
    """The application."""
    direction: Direction
    """The desired direction."""
    elapsed: float | None = None
    """Seconds since Deploy was taken; None when it was so without a deployment of this run."""
    updated_at: AwareDatetime | None = None
    """The time at which the service last changed the association, as it was read in its end state; None where there is
    no row or it does not tell, and in format 1."""
    created_at: AwareDatetime | None = None
    """The time at which the service made the association; None as above."""


@public("workspaces_apps.rollout")
class Failed(Record, frozen=True):
    """A change failed: a deployment ended in ERROR, or the service refused a call."""

    kind: Literal["failed"] = "failed"
    workspace_id: Text
    """The WorkSpace."""
    application_id: Text | None = None
    """The application; None when a deployment as a whole was refused."""
    direction: Direction | None = None
    """The desired direction."""
    reason: Text
    """The service's code, such as ``DeploymentError.WorkspaceUnreachable`` or an exception's name."""
    message: Text = ""
    """The service's words."""
    request_id: Text | None = None
    """The service's id of the answer, for a call that was refused."""
    final: bool = True
    """True if this is the last word on it in this run; False when it will be retried."""
    refused: bool = False
    """True if the service refused a Deploy without beginning anything, so that a retry which its intent
    announced does not count."""
    elapsed: float | None = None
    """Seconds since Deploy was taken; None without one."""


@public("workspaces_apps.rollout")
class Skipped(Record, frozen=True):
    """A WorkSpace with planned changes is left alone in this run. The last word on it in this run."""

    kind: Literal["skipped"] = "skipped"
    workspace_id: Text
    """The WorkSpace."""
    application_id: Text | None = None
    """The application; None when all of the WorkSpace's changes are left out."""
    reason: Text
    """A word such as ``connected``; see `reasons.Reason`."""
    message: Text = ""
    """The reason in words."""


@public("workspaces_apps.rollout")
class Progress(_Strict, frozen=True):
    """Numbers at a moment, about once a minute, and at the end; counted since the run began."""

    kind: Literal["progress"] = "progress"
    calls: int
    """Requests that this process sent for this target."""
    throttled: int
    """The number of them that the service throttled."""
    in_flight: int
    """WorkSpaces whose deployment goes on."""
    waiting: int
    """WorkSpaces that have not begun, or have stopped to wait for their hours or to be ready."""
    succeeded: int
    """Changes that are in sync."""
    failed: int
    """Changes that failed for good."""
    skipped: int
    """Changes that were left alone."""
    silent_seconds: float = 0.0
    """For how long the service has answered no attempt, not even with a refusal; of several targets
    the one where that is longest. 0 while it answers."""
    shared_calls: int = 0
    """The number of the calls that also served somebody else of the same client."""
    waiting_for_users: int = 0
    """WorkSpaces whose users are waited for."""


@public("workspaces_apps.rollout")
class Finished(_Strict, frozen=True):
    """An apply ended. A run without one was killed."""

    kind: Literal["finished"] = "finished"
    ending: Ending
    """``complete``, or what kept it from that."""
    elapsed: float
    """Seconds since it began."""
    calls: int
    """Requests that were sent."""
    throttled: int
    """The number of them that the service throttled."""
    succeeded: int
    """Changes that are in sync."""
    failed: int
    """Changes that failed for good."""
    skipped: int
    """Changes that were left alone."""
    left_deploying: int = 0
    """Of these, those whose deployment went on when the roll-out ended."""
    left_staged: int = 0
    """Of these, those that were staged and not deployed when it ended."""
    not_started: int = 0
    """Of these, those whose turn had not come when it was stopped or drained, or the budget was spent."""
    message: Text = ""
    """The cause of an early end, in words."""
    shared_calls: int = 0
    """The number of the calls that also served somebody else of the same client."""


Event: TypeAlias = (
    Started
    | Planned
    | WaveBegan
    | ApprovalRequested
    | Approved
    | Rejected
    | Noticed
    | Intent
    | Withdrawn
    | Staged
    | Deployed
    | Changed
    | Succeeded
    | Failed
    | Skipped
    | Progress
    | Finished
)
"""One event; `kind` tells which."""

AboutWorkspace: TypeAlias = (
    Planned | Noticed | Intent | Withdrawn | Staged | Deployed | Changed | Succeeded | Failed | Skipped
)
"""An event that is about one WorkSpace."""
