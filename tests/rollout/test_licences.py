"""Licences before and after, and what they cost, from prices that the user gives."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.rollout.site import OFFICE, VISIO, site
from workspaces_apps.cli import main
from workspaces_apps.rollout import LicenceCount, Manifest, ManifestError, Plan, Report
from workspaces_apps.rollout._licences import monthly_differences

MANIFEST = f"""name = "x"
prices = "prices.toml"
[[rules]]
select = {{ everything = true }}
present = ["{OFFICE}"]
absent = ["{VISIO}"]
"""

PRICES = f"""["{OFFICE}"]
monthly = 15.1
currency = "USD"
["{VISIO}"]
monthly = "5"
currency = "EUR"
["Nothing of that name"]
monthly = 1
currency = "USD"
"""


def loaded(folder: Path, prices: str = PRICES) -> Manifest:
    """A manifest beside its prices."""
    (folder / "prices.toml").write_text(prices)
    (folder / "m.toml").write_text(MANIFEST)
    return Manifest.load(folder / "m.toml")


async def test_licences_are_counted_before_and_after_with_their_cost(tmp_path: Path) -> None:
    """They are counted by application and owner; amounts are exact, currencies stay apart, and a saved plan keeps both."""
    async with site() as here:
        first, second, third = here.sim.fleet.add_workspaces(3, operating_system="WINDOWS_11")
        office, visio = (here.sim.fleet.application(one) for one in (OFFICE, VISIO))
        here.sim.fleet.set_association(first, office, "COMPLETED")
        here.sim.fleet.set_association(second, visio, "COMPLETED")
        here.sim.fleet.set_association(third, visio, "PENDING_UNINSTALL_DEPLOYMENT")
        made = await here.rollout.plan(loaded(tmp_path))
        plan = Plan.from_json(made.to_json())

    counted = {
        one.application: (one.owner, one.before, one.after, one.monthly_difference) for one in plan.licences
    }
    assert counted == {OFFICE: ("AMAZON", 1, 3, Decimal("30.2")), VISIO: ("AMAZON", 2, 0, Decimal(-10))}
    assert monthly_differences(plan.licences) == {"USD": Decimal("30.2"), "EUR": Decimal(-10)}
    assert any("prices: 1 of 3 name no application" in warning for warning in plan.warnings)


async def test_without_prices_only_licences_are_counted() -> None:
    """A blocked change counts neither way."""
    async with site() as here:
        here.sim.fleet.add_workspaces(1, operating_system="UBUNTU_22_04")
        data = {"name": "x", "rules": [{"select": {"everything": True}, "present": [OFFICE]}]}
        (one,) = (await here.rollout.plan(Manifest.from_data(data))).licences

    assert isinstance(one, LicenceCount)
    assert (one.before, one.after, one.price, one.monthly_difference) == (0, 0, None, None)


async def test_a_report_counts_licences_by_what_was_seen(tmp_path: Path) -> None:
    """Before the first plan, and after the last word; with their owner."""
    async with site() as here:
        first, _ = here.sim.fleet.add_workspaces(2, operating_system="WINDOWS_11")
        here.sim.fleet.set_association(first, here.sim.fleet.application(VISIO), "COMPLETED")
        plan = await here.rollout.plan(loaded(tmp_path))
        _, events = await here.carry_out(plan)
    report = Report.from_events(events)

    found = {
        one.application: (one.owner, one.licences_before, one.licences_after) for one in report.applications
    }
    assert found == {OFFICE: ("AMAZON", 0, 2), VISIO: ("AMAZON", 1, 0)}
    assert "Licences" in report.to_text()
    assert "Licences" in report.to_html()
    assert "A month" not in report.to_text()
    for priced in (report.priced(plan.prices), report.priced(loaded(tmp_path).prices or {})):
        assert {one.application: one.monthly_difference for one in priced.applications} == {
            OFFICE: Decimal("30.2"),
            VISIO: Decimal(-5),
        }
        for form in (priced.to_text(), priced.to_html()):
            assert "A month" in form
            assert "+30.2 USD" in form
            assert "-5 EUR" in form
        (office,) = [
            one for one in json.loads(priced.to_json())["applications"] if one["application"] == OFFICE
        ]
        assert office["price"] == {"monthly": "15.1", "currency": "USD"}


async def test_the_command_reports_with_prices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a file of them; one that is wrong is a mistake of usage, before the journal is read."""
    async with site() as here:
        here.sim.fleet.add_workspaces(2, operating_system="WINDOWS_11")
        plan = await here.rollout.plan(loaded(tmp_path), journal=tmp_path / "j")
        await here.carry_out(plan, tmp_path / "j")
    good, bad = tmp_path / "prices.toml", tmp_path / "bad.toml"
    bad.write_text('["x"]\nmonthly = -1\ncurrency = "USD"\n')
    # The command has an event loop of its own.
    codes = [
        await asyncio.to_thread(main, ["report", str(tmp_path / "j"), "--prices", str(one)])
        for one in (good, bad)
    ]
    shown = capsys.readouterr()

    assert codes == [0, 64]
    assert "+30.2 USD" in shown.out
    assert "x.monthly" in shown.err


@pytest.mark.parametrize(
    "prices,told",
    [
        ('["a"]\nmonthly = -1\ncurrency = "USD"\n', "prices.a.monthly"),
        ('["a"]\nmonthly = nan\ncurrency = "USD"\n', "prices.a.monthly"),
        ('["a"]\nmonthly = 1\ncurrency = "dollars"\n', "prices.a.currency"),
        ("a = 1\n", "prices.a"),
        ("[", "prices.toml: is not TOML"),
    ],
)
def test_what_is_wrong_with_prices_is_a_mistake_of_the_manifest(
    prices: str, told: str, tmp_path: Path
) -> None:
    """With its place, before any call."""
    with pytest.raises(ManifestError) as caught:
        loaded(tmp_path, prices)

    assert told in str(caught.value.mistakes[0])
