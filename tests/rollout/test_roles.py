"""Two accounts in two Regions, each by a role: STS over real HTTP, credentials that the simulator takes and that end."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

import pytest

from tests.http.server import Answer, Recorded, ScriptedServer
from tests.rollout.site import OFFICE, last_words
from workspaces_apps import ClientConfig, Credentials
from workspaces_apps._pacing import PacingRegistry
from workspaces_apps.rollout import Event, Finished, Manifest, Plan, Planned, Rollout, Skipped, Succeeded
from workspaces_apps.simulator import ManualClock, Simulator, SimulatorSettings, Span

HOME, OTHER = "123456789012", "210987654321"
NEAR, FAR = "us-east-1", "eu-west-1"
ROLES: Final = {account: f"arn:aws:iam::{account}:role/fleet/roll-out" for account in (HOME, OTHER)}
SOURCE: Final = Credentials("AKIASOURCEOFALL", "source-secret")
LIFETIME: Final = 300.0
"""Simulated seconds after which what STS gave is refused; a deployment takes longer."""

DENIED: Final = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
    <Code>AccessDenied</Code><Message>User: source is not authorized to perform: sts:AssumeRole</Message></Error>
    <RequestId>sts-1</RequestId></ErrorResponse>"""
GIVEN: Final = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
    <AccessKeyId>{key.access_key_id}</AccessKeyId><SecretAccessKey>{key.secret_access_key}</SecretAccessKey>
    <SessionToken>{key.session_token}</SessionToken><Expiration>{end}</Expiration>
    </Credentials></AssumeRoleResult></AssumeRoleResponse>"""


@dataclass(slots=True)
class Sts:
    """A stand-in for STS: it hands out credentials of the role's account, unless it is told not to.

    Attributes:
        sim: Whose credentials they are.
        denied: Accounts whose role it does not give.
        asked: What it was asked, by account.
        signers: The access keys that asked.
    """

    sim: Simulator
    denied: set[str] = field(default_factory=set[str])
    asked: dict[str, list[dict[str, str]]] = field(default_factory=lambda: {HOME: [], OTHER: []})
    signers: set[str] = field(default_factory=set[str])

    def answer(self, request: Recorded) -> Answer:
        """Answer AssumeRole."""
        asked = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        account = asked["RoleArn"].split(":")[4]
        self.asked[account].append(asked)
        self.signers.add(request.headers["authorization"].partition("Credential=")[2].partition("/")[0])
        if account in self.denied:
            return Answer(status=403, body=DENIED.encode(), headers={"Content-Type": "text/xml"})
        key = self.sim.temporary_credentials(LIFETIME, account)
        end = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        return Answer(body=GIVEN.format(key=key, end=end).encode(), headers={"Content-Type": "text/xml"})


def manifest(**policy: object) -> Manifest:
    """Office on everything that both targets have."""
    return Manifest.from_data(
        {
            "name": "roles",
            "targets": [
                {"name": "far", "region": FAR, "role_arn": ROLES[OTHER], "external_id": "given-by-them"},
                {"name": "near", "region": NEAR, "role_arn": ROLES[HOME]},
            ],
            "rules": [{"select": {"everything": True}, "present": [OFFICE]}],
            "policy": policy,
        }
    )


@asynccontextmanager
async def two_accounts(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[Sts, Rollout], None]:
    """A fleet in each account and Region, in simulated time, and a roll-out over them."""
    clock = ManualClock(autojump=True)
    settings = SimulatorSettings(install_duration=Span(LIFETIME * 1.5, LIFETIME * 2))
    async with (
        Simulator(workspaces=6, throttle=None, clock=clock, settings=settings, other_regions=[FAR]) as sim,
        ScriptedServer() as server,
    ):
        sim.add_account(OTHER, workspaces=5, region=FAR)
        sts = Sts(sim)
        server.respond(sts.answer)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        config = ClientConfig(pacing_registry=PacingRegistry())
        async with Rollout.open(
            manifest(), endpoint_url=sim.url, credentials=SOURCE, clock=clock, config=config
        ) as rollout:
            yield sts, rollout


async def apply(rollout: Rollout, plan: Plan, journal: Path) -> tuple[Finished, list[Event]]:
    """The ending, and the events."""
    async with rollout.apply(plan, journal=journal) as run:
        events = [event async for event in run]
    assert run.result is not None
    return run.result, events


async def test_roles_of_two_accounts_carry_a_rollout_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call is its target's account's; each role is assumed anew when its credentials have ended."""
    async with two_accounts(monkeypatch) as (sts, rollout):
        plan = await rollout.plan(manifest())
        first = {account: len(asked) for account, asked in sts.asked.items()}
        ended, events = await apply(rollout, plan, tmp_path / "journal")
        installed = {
            account: sum(
                "COMPLETED" in fleet.associations(one).values()
                for fleet in [sts.sim.fleet_of(account, region)]
                for one in fleet.workspace_ids
            )
            for account, region in ((HOME, NEAR), (OTHER, FAR))
        }
    done = [event for event in events if isinstance(event, Succeeded)]

    assert (ended.ending, first) == ("complete", {HOME: 1, OTHER: 1})
    assert {event.target for event in done} == {"near", "far"}
    assert len(done) == len(plan.pending) == sum(installed.values())
    assert min(installed.values()) > 0
    assert all(len(asked) >= 2 for asked in sts.asked.values())
    assert {asked.get("ExternalId") for asked in sts.asked[HOME]} == {None}
    assert {asked.get("ExternalId") for asked in sts.asked[OTHER]} == {"given-by-them"}
    assert sts.signers == {SOURCE.access_key_id}


async def test_a_role_that_is_denied_is_its_targets_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan names the target, the role and what STS said; the other target is carried out."""
    async with two_accounts(monkeypatch) as (sts, rollout):
        sts.denied.add(OTHER)
        plan = await rollout.plan(manifest())
        ended, _ = await apply(rollout, plan, tmp_path / "journal")
    (error,) = plan.errors

    assert error.startswith(f"far: could not assume {ROLES[OTHER]}: ")
    assert "AccessDenied" in error
    assert "given-by-them" not in error
    assert {workspace.target for workspace in plan.pending} == {"near"}
    assert (plan.exit_code, ended.ending) == (1, "complete")


async def test_a_role_that_is_denied_midway_ends_its_target_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the credentials have ended, the rest of that target is left alone, and the other goes on."""
    async with two_accounts(monkeypatch) as (sts, rollout):
        plan = await rollout.plan(manifest(max_in_flight=1, failure_budget="100%"))
        sts.denied.add(OTHER)
        ended, events = await apply(rollout, plan, tmp_path / "journal")
    planned = [event for event in events if isinstance(event, Planned) and event.action == "install"]
    ends = last_words(events)
    near = {one.workspace_id for one in planned if one.target == "near"}
    far = {end for (workspace, _), end in ends.items() if workspace not in near}
    (told,) = [one.message for one in events if isinstance(one, Skipped) and one.reason == "left-deploying"]

    assert len(ends) == len(planned)
    assert {end for (workspace, _), end in ends.items() if workspace in near} == {"succeeded"}
    assert far == {"skipped: left-deploying", "skipped: credentials"}
    assert ended.ending == "credentials"
    assert told.endswith("; its deployment goes on")
    assert ended.message.startswith("far: ")
    assert f"could not assume {ROLES[OTHER]}: " in ended.message
