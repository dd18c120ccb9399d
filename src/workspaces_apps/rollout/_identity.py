"""Identity of targets: whose fleet a plan was made for, and whether an apply would change the same one."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from workspaces_apps._http.config import LOOPBACK
from workspaces_apps._http.port import ClientIdentity
from workspaces_apps.rollout._errors import PlanError
from workspaces_apps.rollout._plan.plan import TargetReading

UNKNOWN: Final = "its account is not known"


def same_endpoint(one: str | None, other: str | None) -> bool:
    """Tell whether two endpoints lead to the same service; simulators on this machine change their port at will."""
    if one is None or other is None:
        return one == other
    first, second = urlsplit(one), urlsplit(other)
    if first.hostname in LOOPBACK and second.hostname in LOOPBACK:
        return True
    return one == other


def compare(reading: TargetReading, found: ClientIdentity | None) -> str | None:
    """Compare the target that a plan was made for with the one that an apply would change.

    Args:
        reading: What the plan says of the target.
        found: What the client says; None where it could not be opened, which the apply will tell.

    Returns:
        Why it is not certain that they are the same; None if it is.

    Raises:
        PlanError: They are not the same.
    """
    if reading.region is None:
        return f"{reading.name}: the plan does not say which account and Region it was made for"
    if found is None:
        return f"{reading.name}: {UNKNOWN}"
    accounts = reading.account, found.account
    if (
        reading.region != found.region
        or not same_endpoint(reading.endpoint, found.endpoint)
        or (None not in accounts and reading.account != found.account)
    ):
        raise PlanError(
            f"{reading.name}: the plan was made for {in_words(reading)}, and would be applied to {in_words(found)}"
        )
    if None in accounts:
        return f"{reading.name}: {UNKNOWN}, so it may be another one than that of the plan"
    return None


def in_words(one: TargetReading | ClientIdentity) -> str:
    """Return account, Region and endpoint for people."""
    account = f"account {one.account}" if one.account is not None else "an unknown account"
    at = f" at {one.endpoint}" if one.endpoint is not None else ""
    return f"{account} in {one.region or 'an unknown Region'}{at}"


def twice(identities: Mapping[str, ClientIdentity]) -> Sequence[tuple[str, str]]:
    """Return the pairs of targets that are the same account and Region: the first, and the one that repeats it.

    Where an account is not known, the same access key means the same account.
    """
    seen: list[tuple[str, ClientIdentity]] = []
    pairs: list[tuple[str, str]] = []
    for name, one in identities.items():
        first = next((earlier for earlier, other in seen if _same(one, other)), None)
        if first is None:
            seen.append((name, one))
        else:
            pairs.append((first, name))
    return pairs


def _same(one: ClientIdentity, other: ClientIdentity) -> bool:
    if (one.region, one.endpoint) != (other.region, other.endpoint):
        return False
    if one.account is not None and other.account is not None:
        return one.account == other.account
    return one.access_key_id == other.access_key_id
