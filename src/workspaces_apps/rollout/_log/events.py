"""Events of a roll-out, as frozen records: what an apply tells, and what its journal keeps.

Text that came from the service (names, messages, codes, ids) is kept as it came, but for three things: it is cut at
`TEXT_LIMIT`, so that no message fills the disk, half of a surrogate pair becomes U+FFFD, because no file can hold it,
and secrets are hidden. It is data: whoever shows it must escape it for the place where it is shown.
"""

from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from workspaces_apps._base.public import public
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


class Record(BaseModel, frozen=True):
    """Members that every event has.

    Attributes:
        at: When it happened, by the client's clock.
        run: Which apply it belongs to: each gets an id of its own, also on the same journal.
        target: The name of the manifest's target (account and Region).
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="ignore")

    at: AwareDatetime
    run: Text
    target: Text = "default"


class _Strict(Record, frozen=True):
    """Members of a kind whose keys are all known.

    Format 1 let a reader skip any key; these kinds refuse one that they do not know, because what it would count is
    counted nowhere else. Lines of format 1 are read as before.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@public("workspaces_apps.rollout")
class Started(Record, frozen=True):
    """An apply began, or began again on the same journal. Always the first of its run.

    Attributes:
        format: The version of the journal's format for the lines of this run; `FORMAT` of the release that wrote it.
        name: The manifest's name.
        plan: The plan's fingerprint.
        workspaces: How many WorkSpaces the plan names.
        changes: How many changes the plan asks for, those to be retried included.
        resumed: Whether the journal held an earlier run.
        dry_run: Whether nothing will be written to the service.
        unmatched: What the manifest's selectors name and nothing has, in words; empty in journals of earlier releases.
    """

    kind: Literal["started"] = "started"
    format: int = FORMAT
    name: Text
    plan: Text
    workspaces: int
    changes: int
    resumed: bool = False
    dry_run: bool = False
    unmatched: tuple[Text, ...] = ()


@public("workspaces_apps.rollout")
class Planned(Record, frozen=True):
    """The word of the plan for one application on one WorkSpace. A WorkSpace without any application has none.

    Attributes:
        workspace_id: The WorkSpace.
        application_id: The application.
        application: The application's name, where the catalogue has one.
        owner: The account that offers it, or ``AMAZON``; None where that is not known, and in earlier journals.
        action: What the plan says.
        state: The association's state when the plan was made, as the service calls it; ``REMOVED`` where there is
            none; None in journals of earlier releases.
        direction: Where the change leads; None for ``nothing`` and where it is unknown.
        reason: For ``blocked``: why, a word such as ``operating-system``; see `reasons.Reason`.
        message: The reason in words.
        user_name: The WorkSpace's user.
        connected: Whether the user was connected; None where that was not asked.
    """

    kind: Literal["planned"] = "planned"
    workspace_id: Text
    application_id: Text
    application: Text | None = None
    owner: Text | None = None
    action: Action
    state: Text | None = None
    direction: Direction | None = None
    reason: Text | None = None
    message: Text | None = None
    user_name: Text | None = None
    connected: bool | None = None


@public("workspaces_apps.rollout")
class WaveBegan(Record, frozen=True):
    """A wave began.

    Attributes:
        wave: Its number, from 1.
        waves: How many there are.
        workspaces: How many WorkSpaces are in it.
        digest: The digest of its WorkSpaces, because a restart cuts waves anew; None in format 1.
        approval: Whether somebody must approve it before anything else begins.
    """

    kind: Literal["wave"] = "wave"
    wave: int
    waves: int
    workspaces: int
    digest: Text | None = None
    approval: bool = False


@public("workspaces_apps.rollout")
class ApprovalRequested(_Strict, frozen=True):
    """A wave has ended, and nothing else begins until somebody approves it. New in format 2.

    Attributes:
        wave: Its number, from 1.
        digest: The digest of its WorkSpaces.
        workspaces: How many are in it.
    """

    kind: Literal["approval-requested"] = "approval-requested"
    wave: int
    digest: Text
    workspaces: int = 0


@public("workspaces_apps.rollout")
class Approved(_Strict, frozen=True):
    """A wave that had ended was approved; on disk before anything else begins. New in format 2.

    Attributes:
        wave: Its number, from 1.
        digest: The digest of its WorkSpaces.
        who: Who approved it: user and host.
        reason: Why, in words.
        sequence: The number of the command in the control record; None where it was given to this process.
    """

    kind: Literal["approved"] = "approved"
    wave: int
    digest: Text
    who: Text
    reason: Text = ""
    sequence: int | None = None


@public("workspaces_apps.rollout")
class Rejected(_Strict, frozen=True):
    """A wave that had ended was rejected: the run starts nothing more. New in format 2.

    Attributes:
        wave: Its number, from 1.
        digest: The digest of its WorkSpaces.
        who: Who rejected it: user and host.
        reason: Why, in words.
        sequence: The number of the command in the control record; None where it was given to this process.
    """

    kind: Literal["rejected"] = "rejected"
    wave: int
    digest: Text
    who: Text
    reason: Text = ""
    sequence: int | None = None


@public("workspaces_apps.rollout")
class Noticed(_Strict, frozen=True):
    """The hook `before_deploy` is about to be called. On disk before it is. New in format 2.

    Attributes:
        workspace_id: The WorkSpace.
        planned_at: When Deploy will be sent, at the earliest.
        attempt: How often the hook was called for this deployment, this time included.
    """

    kind: Literal["noticed"] = "noticed"
    workspace_id: Text
    planned_at: AwareDatetime
    attempt: int = 1


@public("workspaces_apps.rollout")
class Intent(Record, frozen=True):
    """A write is about to be sent. On disk before it is: what happened to it, the service tells.

    Attributes:
        workspace_id: The WorkSpace.
        application_id: The application; for a deployment one intent is written for each application it commits.
        operation: The API operation.
        direction: Where the change leads.
        force: Whether it is a deployment with Force.
        retry: Whether the deployment tries again what had ended in ERROR for this application, with Force or
            staged anew; such intents are what `retries` counts, over all runs.
    """

    kind: Literal["intent"] = "intent"
    workspace_id: Text
    application_id: Text
    operation: WriteOperation
    direction: Direction
    force: bool = False
    retry: bool = False


@public("workspaces_apps.rollout")
class Withdrawn(_Strict, frozen=True):
    """An intent whose write was not begun is taken back, and counts for nothing. New in format 2.

    Attributes:
        workspace_id: The WorkSpace.
        application_id: The application.
        operation: The API operation of the intent.
        direction: Where the change would have led.
        retry: Whether the intent was that of a retry.
        reason: Why the write was not begun.
    """

    kind: Literal["withdrawn"] = "withdrawn"
    workspace_id: Text
    application_id: Text
    operation: WriteOperation
    direction: Direction
    retry: bool = False
    reason: Text


@public("workspaces_apps.rollout")
class Staged(Record, frozen=True):
    """The service took an Associate or Disassociate.

    Attributes:
        workspace_id: The WorkSpace.
        application_id: The application.
        direction: Where the change leads.
        request_id: The service's id of the answer.
    """

    kind: Literal["staged"] = "staged"
    workspace_id: Text
    application_id: Text
    direction: Direction
    request_id: Text | None = None


@public("workspaces_apps.rollout")
class Deployed(Record, frozen=True):
    """The service took a Deploy; the deployment begins.

    Attributes:
        workspace_id: The WorkSpace.
        applications: What was committed, as far as this roll-out knows.
        force: Whether with Force.
        request_id: The service's id of the answer.
    """

    kind: Literal["deployed"] = "deployed"
    workspace_id: Text
    applications: tuple[Text, ...]
    force: bool = False
    request_id: Text | None = None


@public("workspaces_apps.rollout")
class Changed(Record, frozen=True):
    """An association was seen in another state than before.

    Attributes:
        workspace_id: The WorkSpace.
        application_id: The application.
        state: The state it is in now, as the service calls it; ``REMOVED`` also when it is absent.
    """

    kind: Literal["changed"] = "changed"
    workspace_id: Text
    application_id: Text
    state: Text


@public("workspaces_apps.rollout")
class Succeeded(Record, frozen=True):
    """An application on a WorkSpace is as the manifest wants it. The last word on it in this run.

    Attributes:
        workspace_id: The WorkSpace.
        application_id: The application.
        direction: What was wanted.
        elapsed: Seconds since Deploy was taken; None when it was so without a deployment of this run.
        updated_at: When the service last changed the association, as it was read in its end state; None where there is
            no row or it does not tell, and in format 1.
        created_at: When the service made the association; None as above.
    """

    kind: Literal["succeeded"] = "succeeded"
    workspace_id: Text
    application_id: Text
    direction: Direction
    elapsed: float | None = None
    updated_at: AwareDatetime | None = None
    created_at: AwareDatetime | None = None


@public("workspaces_apps.rollout")
class Failed(Record, frozen=True):
    """A change failed: a deployment ended in ERROR, or the service refused a call.

    Attributes:
        workspace_id: The WorkSpace.
        application_id: The application; None when a deployment as a whole was refused.
        direction: What was wanted.
        reason: The service's code, such as ``DeploymentError.WorkspaceUnreachable`` or an exception's name.
        message: The service's words.
        request_id: The service's id of the answer, for a call that was refused.
        final: Whether this is the last word on it in this run; False when it will be tried again.
        refused: Whether the service refused a Deploy without beginning anything, so that a retry which its intent
            announced does not count.
        elapsed: Seconds since Deploy was taken; None without one.
    """

    kind: Literal["failed"] = "failed"
    workspace_id: Text
    application_id: Text | None = None
    direction: Direction | None = None
    reason: Text
    message: Text = ""
    request_id: Text | None = None
    final: bool = True
    refused: bool = False
    elapsed: float | None = None


@public("workspaces_apps.rollout")
class Skipped(Record, frozen=True):
    """A WorkSpace with planned changes is left alone in this run. The last word on it in this run.

    Attributes:
        workspace_id: The WorkSpace.
        application_id: The application; None when all of the WorkSpace's changes are left out.
        reason: A word such as ``connected``; see `reasons.Reason`.
        message: The reason in words.
    """

    kind: Literal["skipped"] = "skipped"
    workspace_id: Text
    application_id: Text | None = None
    reason: Text
    message: Text = ""


@public("workspaces_apps.rollout")
class Progress(_Strict, frozen=True):
    """Numbers at a moment, about once a minute, and at the end; counted since the run began.

    Attributes:
        calls: Requests that this process sent for this target.
        throttled: How many of them the service refused for their rate.
        in_flight: WorkSpaces whose deployment goes on.
        waiting: WorkSpaces that have not begun, or have stopped to wait for their hours or to be ready.
        succeeded: Changes that are in sync.
        failed: Changes that failed for good.
        skipped: Changes that were left alone.
        silent_seconds: For how long the service has answered no attempt, not even with a refusal; of several targets
            the one where that is longest. 0 while it answers.
        shared_calls: How many of the calls also served somebody else of the same client.
        waiting_for_users: WorkSpaces whose users are waited for.
    """

    kind: Literal["progress"] = "progress"
    calls: int
    throttled: int
    in_flight: int
    waiting: int
    succeeded: int
    failed: int
    skipped: int
    silent_seconds: float = 0.0
    shared_calls: int = 0
    waiting_for_users: int = 0


@public("workspaces_apps.rollout")
class Finished(_Strict, frozen=True):
    """An apply ended. A run without one was killed.

    Attributes:
        ending: How.
        elapsed: Seconds since it began.
        calls: Requests that were sent.
        throttled: How many of them the service refused for their rate.
        succeeded: Changes that are in sync.
        failed: Changes that failed for good.
        skipped: Changes that were left alone.
        left_deploying: Of these, those whose deployment went on when the roll-out was stopped.
        left_staged: Of these, those that were staged and not deployed when the roll-out was stopped.
        not_started: Of these, those whose turn had not come when it was stopped or drained, or the budget was spent.
        message: What ended it early, in words.
        shared_calls: How many of the calls also served somebody else of the same client.
    """

    kind: Literal["finished"] = "finished"
    ending: Ending
    elapsed: float
    calls: int
    throttled: int
    succeeded: int
    failed: int
    skipped: int
    left_deploying: int = 0
    left_staged: int = 0
    not_started: int = 0
    message: Text = ""
    shared_calls: int = 0


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
