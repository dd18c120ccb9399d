"""The timeline of a WorkSpace: what each event of the journal says of it, in a line."""

from datetime import datetime

from workspaces_apps.rollout._log.events import (
    AboutWorkspace,
    Changed,
    Deployed,
    Failed,
    Intent,
    Noticed,
    Planned,
    Skipped,
    Staged,
    Succeeded,
    Withdrawn,
)
from workspaces_apps.rollout.report._model import Moment


def moment_of(run: str, event: AboutWorkspace, at: datetime) -> Moment:
    """The line of a timeline for an event of that run."""
    what, message, request_id = _told(event)
    application = None if isinstance(event, Deployed | Noticed) else event.application_id
    return Moment(
        at=at,
        run=run,
        kind=event.kind,
        application_id=application,
        what=what or None,
        message=message or None,
        request_id=request_id or None,
    )


def _told(event: AboutWorkspace) -> tuple[str | None, str | None, str | None]:
    """Return a timeline's words about an event: what, more words, and the request id."""
    match event:
        case Planned():
            what = event.action if event.reason is None else f"{event.action}: {event.reason}"
            return what, event.message, None
        case Noticed():
            again = f", attempt {event.attempt}" if event.attempt > 1 else ""
            return None, f"planned for {event.planned_at:%Y-%m-%d %H:%M:%S %Z}{again}", None
        case Intent():
            flags = [word for word, holds in (("force", event.force), ("retry", event.retry)) if holds]
            return event.operation, ", ".join([event.direction, *flags]), None
        case Withdrawn():
            return event.operation, f"taken back: {event.reason}", None
        case Staged():
            return event.direction, None, event.request_id
        case Deployed():
            return ("with force" if event.force else None), ", ".join(event.applications), event.request_id
        case Changed():
            return event.state, None, None
        case Succeeded():
            return event.direction, None, None
        case Failed():
            again = "" if event.final else "; will be retried"
            return event.reason, f"{event.message}{again}", event.request_id
        case Skipped():
            return event.reason, event.message, None
