"""Journals made up for tests: a roll-out that was killed and resumed, and one full of hostile texts."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from workspaces_apps.rollout._journal.lines import to_line
from workspaces_apps.rollout._log.events import (
    Changed,
    Deployed,
    Event,
    Failed,
    Finished,
    Intent,
    Planned,
    Progress,
    Skipped,
    Staged,
    Started,
    Succeeded,
    WaveBegan,
)

BEGIN: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

APPLICATIONS: Final = {
    "wsa-office21": "Microsoft Office LTSC Professional Plus 2021",
    "wsa-visio21": "Microsoft Visio LTSC Professional 2021",
    "wsa-studio22": "Microsoft Visual Studio Professional 2022",
}

REASONS: Final = (
    ("DeploymentError.WorkspaceUnreachable", "The WorkSpace did not answer."),
    ("DeploymentError.InternalServerError", "Something went wrong on our side. Please try again."),
    ("ValidationError.InsufficientDiskSpace", "There is not enough free disk space on the root volume."),
    ("ValidationError.InsufficientMemory", "There is not enough memory."),
)

HOSTILE: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></title><script src=//example.invalid/x.js></script>",
    "]]><!-- <![CDATA[",
    "javascript:alert(1) &lt;b&gt; &amp; '\"`",
    '=HYPERLINK("http://example.invalid","click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1,1)",
    "\t=1+1",
    "\r\n=1+1",
    " =1+1",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "a\x00b\x08c\x7fd\x9be",
    "abc\u202etxt.exe\u2066\u2069\u200b\ufeff",
    "نص عربي שלום",
    "名前" * 40,
    "z̸̡̢" * 30,
    "x" * 5000,
    "👩‍💻👩‍💻",
    "\ufffe\uffff\U000e0041",
    "",
    "   ",
    "[bold red]markup[/] :smile:",
    "%s {0} ${x} \\u0041",
)


@dataclass(slots=True)
class Script:
    """Writes events by a clock of its own.

    Attributes:
        run: The run's id.
        at: Seconds since `BEGIN`.
        events: What was written.
    """

    run: str
    at: float = 0.0
    events: list[Event] = field(default_factory=list[Event])

    def stamp(self, target: str = "default") -> dict[str, object]:
        """The members that every event begins with."""
        return {"at": BEGIN + timedelta(seconds=self.at), "run": self.run, "target": target}

    def started(
        self, workspaces: int, changes: int, *, name: str = "office-2021", resumed: bool = False
    ) -> None:
        """Begin the run."""
        self.events.append(
            Started.model_validate(
                {
                    **self.stamp("*"),
                    "name": name,
                    "plan": "3f1c9a7be02d4418",
                    "workspaces": workspaces,
                    "changes": changes,
                    "resumed": resumed,
                }
            )
        )

    def add(self, kind: type[Event], **members: object) -> None:
        """Add an event of this moment."""
        target = str(members.pop("target", "default"))
        self.events.append(kind.model_validate({**self.stamp(target), **members}))


def rolled_out(
    workspaces: int = 120, *, seed: int = 5, killed: bool = True, finished: bool = True
) -> list[Event]:
    """A roll-out of three applications in waves, most of which ends well.

    Args:
        workspaces: How many WorkSpaces.
        seed: For what happens.
        killed: Whether the first run is killed halfway and another resumes.
        finished: Whether the last run has an end.
    """
    rng = random.Random(seed)
    names = [f"ws-{rng.getrandbits(36):09x}" for _ in range(workspaces)]
    half = workspaces * 2 // 5 if killed else workspaces
    first = _run("4be1c02a97d3", names, names[:half], 0.0, rng, finished=finished and not killed)
    if not killed:
        return first
    later = (first[-1].at - BEGIN).total_seconds() + 7200
    done = frozenset(names[: half - 6])
    return first + _run("90fa6a11c5e8", names, names, later, rng, done=done, finished=finished)


def _run(
    run: str,
    everything: Sequence[str],
    begun: Sequence[str],
    at: float,
    rng: random.Random,
    *,
    done: frozenset[str] = frozenset(),
    finished: bool,
) -> list[Event]:
    script = Script(run, at)
    script.started(len(everything), 3 * (len(everything) - len(done)), resumed=bool(done))
    for place, name in enumerate(everything):
        for application, words in APPLICATIONS.items():
            action = "nothing" if name in done else "install"
            members: dict[str, object] = {"action": action, "direction": "install"}
            if application == "wsa-studio22" and place % 7 == 0:
                members = {
                    "action": "blocked",
                    "reason": "compute-type",
                    "message": "it does not run on compute type STANDARD",
                }
            script.add(
                Planned,
                workspace_id=name,
                application_id=application,
                application=words,
                user_name=f"user.{place:03}",
                connected=place % 11 == 0,
                **members,
            )
    blocked = {name for place, name in enumerate(everything) if place % 7 == 0}
    waiting = [name for name in begun if name not in done]
    calls = throttled = 0
    told = {"succeeded": 0, "failed": 0, "skipped": 0}
    timed: list[tuple[float, Event]] = []
    sizes = [max(1, len(waiting) // 10), max(1, len(waiting) // 3), len(waiting)]
    begin = at
    for number, size in enumerate(sizes, start=1):
        wave, waiting = waiting[:size], waiting[size:]
        inner = Script(run, begin)
        inner.add(WaveBegan, target="*", wave=number, waves=len(sizes), workspaces=len(wave))
        timed += [(begin, event) for event in inner.events]
        end = begin
        for place, name in enumerate(wave):
            applications = [one for one in APPLICATIONS if one != "wsa-studio22" or name not in blocked]
            steps = list(_desk(run, name, applications, begin + place * 4.5, rng))
            timed += steps
            end = max(end, steps[-1][0])
        begin = end + 5
    timed.sort(key=lambda pair: pair[0])
    next_report = at + 60
    for moment, event in timed:
        while next_report < moment:
            script.at = next_report
            script.add(
                Progress, target="*", calls=calls, throttled=throttled, in_flight=9, waiting=12, **told
            )
            next_report += 60
        script.events.append(event)
        script.at = moment
        match event:
            case Intent() | Changed():
                calls += 1
                throttled += rng.random() < 0.03
            case Succeeded() | Failed() | Skipped():
                told[event.kind] += 1
            case _:
                pass
    if finished:
        script.at += 3
        script.add(
            Finished,
            target="*",
            ending="incomplete",
            elapsed=script.at - at,
            calls=calls,
            throttled=throttled,
            **told,
        )
    return script.events


def _desk(
    run: str, name: str, applications: Sequence[str], at: float, rng: random.Random
) -> Iterator[tuple[float, Event]]:
    script = Script(run, at)

    def taken() -> Iterator[tuple[float, Event]]:
        for event in script.events:
            yield script.at, event
        script.events.clear()

    if rng.random() < 0.04:
        for application in applications:
            script.add(
                Skipped,
                workspace_id=name,
                application_id=application,
                reason="connected",
                message="the user is connected",
            )
        yield from taken()
        return
    members: dict[str, object] = {"workspace_id": name}
    for application in applications:
        script.add(
            Intent,
            **members,
            application_id=application,
            operation="AssociateWorkspaceApplication",
            direction="install",
        )
        yield from taken()
        script.at += 0.6
        request = f"{rng.getrandbits(32):08x}-8f1e"
        script.add(Staged, **members, application_id=application, direction="install", request_id=request)
        yield from taken()
    for again in (False, True):
        for application in applications:
            script.add(
                Intent,
                **members,
                application_id=application,
                operation="DeployWorkspaceApplications",
                direction="install",
                force=again,
                retry=again,
            )
        yield from taken()
        script.at += 0.5
        script.add(Deployed, **members, applications=tuple(applications), force=again, request_id="7a11-02")
        yield from taken()
        script.at += 20
        for application in applications:
            script.add(Changed, **members, application_id=application, state="INSTALLING")
        yield from taken()
        took = rng.lognormvariate(6.5, 0.35)
        script.at += took
        failing = [one for one in applications if rng.random() < 0.06]
        for application in applications:
            if application in failing:
                continue
            script.add(Changed, **members, application_id=application, state="COMPLETED")
            script.add(
                Succeeded, **members, application_id=application, direction="install", elapsed=took + 20
            )
        for application in failing:
            reason, message = rng.choice(REASONS)
            script.add(Changed, **members, application_id=application, state="ERROR")
            script.add(
                Failed,
                **members,
                application_id=application,
                direction="install",
                reason=reason,
                message=message,
                final=again,
                elapsed=took + 20,
            )
        yield from taken()
        applications = failing
        if not failing:
            return
        script.at += 2


def hostile() -> list[Event]:
    """A roll-out in which every text that may come from elsewhere is hostile."""
    script = Script("r<u>n")
    script.started(len(HOSTILE), len(HOSTILE) * 2, name=HOSTILE[0] + HOSTILE[2])
    for place, text in enumerate(HOSTILE):
        script.add(
            Planned,
            workspace_id=f"{text}{place}",
            application_id=f"{text}a",
            application=text,
            action="install",
            direction="install",
            user_name=text,
            target=text,
        )
        script.add(
            Planned,
            workspace_id=f"{text}{place}",
            application_id="wsa-1",
            application=text,
            action="blocked",
            reason=text,
            message=text,
            target=text,
        )
    for place, text in enumerate(HOSTILE):
        script.at += 30
        members: dict[str, object] = {
            "workspace_id": f"{text}{place}",
            "application_id": f"{text}a",
            "target": text,
        }
        script.add(Changed, **members, state=text)
        if place % 3 == 0:
            script.add(Failed, **members, reason=text, message=text, request_id=text, elapsed=place + 1.0)
        elif place % 3 == 1:
            script.add(Skipped, **members, reason=text, message=text)
    script.add(
        Finished,
        target="*",
        ending="incomplete",
        elapsed=script.at,
        calls=10,
        throttled=1,
        succeeded=0,
        failed=9,
        skipped=8,
        message=HOSTILE[1],
    )
    return script.events


def write(path: Path, events: Sequence[Event], torn: bytes = b"") -> Path:
    """Write a journal, with a torn last line if there is one."""
    path.write_bytes(b"".join(map(to_line, events)) + torn)
    return path
