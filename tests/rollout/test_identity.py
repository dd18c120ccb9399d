"""The fleet of a plan: Region, endpoint and account are on it, and another one is refused."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.rollout.site import OFFICE, connection_to, manifest
from workspaces_apps import WorkSpacesClient
from workspaces_apps._http.config import ClientIdentity, custom_endpoint
from workspaces_apps.rollout import Manifest, ManifestError, Plan, PlanError, Rollout
from workspaces_apps.rollout._targets import same_endpoint, twice
from workspaces_apps.simulator import ManualClock, Simulator

ACCOUNT, OTHER = "123456789012", "210987654321"


@asynccontextmanager
async def fleet_of(account: str = ACCOUNT, region: str = "us-east-1") -> AsyncGenerator[Simulator, None]:
    """A simulator with two desktops of an account."""
    clock = ManualClock(autojump=True)
    async with Simulator(throttle=None, clock=clock, account_id=account, region=region) as sim:
        sim.fleet.add_workspaces(2, operating_system="WINDOWS_11")
        yield sim


@asynccontextmanager
async def rollout_on(sim: Simulator) -> AsyncGenerator[Rollout, None]:
    """A roll-out of that account."""
    async with WorkSpacesClient(**connection_to(sim)) as client:
        yield Rollout(client)


async def saved_plan(sim: Simulator) -> Plan:
    """A plan as somebody else has saved it."""
    async with rollout_on(sim) as rollout:
        return Plan.from_json((await rollout.plan(manifest())).to_json())


@pytest.mark.parametrize("url", ["", "sim"])
async def test_sts_is_asked_only_where_it_has_an_endpoint_too(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a custom endpoint, AWS's own STS would not know the credentials."""
    async with fleet_of() as sim:
        if url:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sim.url)
        plan = await saved_plan(sim)

        (reading,) = plan.targets
        expected = ("us-east-1", ACCOUNT if url else None, sim.url)
        assert (reading.region, reading.account, reading.endpoint) == expected


@pytest.mark.parametrize(
    "there,here,named",
    [
        ((ACCOUNT, "us-east-1"), (OTHER, "us-east-1"), (ACCOUNT, OTHER)),
        ((ACCOUNT, "us-east-1"), (ACCOUNT, "eu-west-1"), ("us-east-1", "eu-west-1")),
    ],
)
async def test_a_plan_for_another_account_or_region_is_refused_before_anything_is_written(
    there: tuple[str, str],
    here: tuple[str, str],
    named: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The error names both, no journal is made, and the service hears nothing."""
    async with fleet_of(*there) as one, fleet_of(*here) as other:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", one.url)
        plan = await saved_plan(one)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", other.url)
        before = other.requests.count()
        async with rollout_on(other) as rollout:
            with pytest.raises(PlanError, match=f"{named[0]}.*applied to .*{named[1]}"):
                async with rollout.apply(plan, journal=tmp_path / "j"):
                    pass

        assert not (tmp_path / "j").exists()
        assert other.requests.count() - before <= 1


async def test_what_is_not_known_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """A simulator's account is not known; its other port is no difference, and an own plan raises no question."""
    async with fleet_of() as one, fleet_of() as other:
        plan = await saved_plan(one)
        async with rollout_on(other) as rollout:
            unsure = await rollout.check(plan)
            own = await rollout.check(await rollout.plan(manifest()))
            old = replace(plan, targets=(replace(plan.targets[0], region=None),))
            async with rollout.apply(old, dry_run=True) as events:
                await events.finished()

        assert (len(unsure), own) == (1, ())
        assert "account is not known" in unsure[0]
        assert "does not say which account" in caplog.text


@pytest.mark.parametrize("known", [True, False])
async def test_the_same_account_and_region_twice_is_a_mistake_of_the_manifest(
    known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each WorkSpace would be counted and deployed twice; an unknown account is known by its access key."""
    asked = Manifest.from_data(
        {
            "name": "x",
            "targets": [{"name": "a"}, {"name": "b"}],
            "rules": [{"select": {"everything": True}, "present": [OFFICE]}],
        }
    )
    async with fleet_of() as sim:
        if known:
            monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sim.url)
        connection = connection_to(sim)
        options = {"region": sim.region, "endpoint_url": sim.url, "credentials": connection["credentials"]}
        async with Rollout.open(asked, clock=sim.clock, **options) as rollout:  # type: ignore[arg-type]  # of mixed types
            with pytest.raises(ManifestError, match=r"targets\[1\]: b is .*us-east-1.* and so is a"):
                await rollout.plan(asked)


@pytest.mark.parametrize(
    "url,named",
    [
        ("https://workspaces.eu-west-1.amazonaws.com", None),
        ("https://workspaces-fips.us-gov-west-1.amazonaws.com", None),
        ("https://workspaces.eu-west-1.api.aws", None),
        ("https://vpce-1.workspaces.eu-west-1.vpce.amazonaws.com", None),
        ("https://workspaces.cn-north-1.amazonaws.com.cn", None),
        ("https://amazonaws.com.example.org", "https://amazonaws.com.example.org"),
        ("http://[::1]:8080/path?x=1", "http://[::1]:8080"),
    ],
)
def test_endpoints_of_awss_own_have_no_name(url: str, named: str | None) -> None:
    """FIPS, dual-stack and VPC endpoints lead to the same service; of others scheme, host and port are kept."""
    assert custom_endpoint(url) == named


@pytest.mark.parametrize(
    "one,other,same",
    [
        (None, None, True),
        ("http://127.0.0.1:1", "http://localhost:2", True),
        ("http://127.0.0.2:1", "http://[::1]:2", True),
        ("http://127.0.0.1:1", None, False),
        ("https://one.example", "https://other.example", False),
    ],
)
def test_ports_of_this_machine_are_no_difference(one: str | None, other: str | None, same: bool) -> None:
    """A simulator is at another port after each start."""
    assert same_endpoint(one, other) is same


def test_targets_are_compared_by_account_or_else_by_access_key() -> None:
    """Also through different roles, whose access keys differ."""

    def identity(account: str | None, key: str, region: str = "eu-west-1") -> ClientIdentity:
        return ClientIdentity(region=region, account=account, endpoint=None, access_key_id=key)

    roles: Mapping[str, ClientIdentity] = {
        "a": identity(ACCOUNT, "K1"),
        "b": identity(ACCOUNT, "K2"),
        "c": identity(ACCOUNT, "K3", "eu-west-2"),
        "d": identity(None, "K4"),
        "e": identity(None, "K4"),
        "f": identity(None, "K1"),
    }
    assert list(twice(roles)) == [("a", "b"), ("d", "e"), ("a", "f")]
