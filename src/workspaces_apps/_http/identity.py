"""Identity of a client: the Region, endpoint and account that its calls go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError

from workspaces_apps._retry import RetryPolicy
from workspaces_apps.errors import WorkSpacesError

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

    from workspaces_apps._http.nested import ConfiguredSession, Repeater

_AWS: Final = (
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".api.aws",
    ".api.amazonwebservices.com.cn",
    ".amazonaws.eu",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".csp.hci.ic.gov",
    ".cloud.adc-e.uk",
)
"""Ends of the names of AWS's own hosts, those of FIPS, dual-stack and VPC endpoints included [seen in botocore]."""

STS_RETRY: Final = RetryPolicy(max_attempts=2)
"""Nobody should wait long where STS cannot be reached, as in a VPC without an endpoint for it."""


def custom_endpoint(url: str) -> str | None:
    """Return an endpoint as a plan names it: scheme, host and port; None for one of AWS's own."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if host.endswith(_AWS):
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{parts.port}" if parts.port is not None else "")


async def account_of(
    credentials: ReadOnlyCredentials,
    session: ConfiguredSession,
    repeater: Repeater,
    *,
    region: str,
    endpoint: str | None,
) -> str | None:
    """Return the account that credentials belong to: as they say, or as STS does; None where neither tells.

    GetCallerIdentity needs no permission [doc]. With a custom endpoint, STS is asked only where it has one too: AWS's
    own has never heard of a simulator's credentials.

    Args:
        credentials: The credentials.
        session: Creates the client of STS.
        repeater: Repeats what STS answers in a moment's trouble.
        region: Where STS is asked.
        endpoint: The custom endpoint of the service; None for AWS's own.
    """
    if credentials.account_id:
        return credentials.account_id
    try:
        async with session.create_client(
            "sts",
            region_name=region,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.token,
        ) as sts:
            if endpoint is not None and custom_endpoint(sts.meta.endpoint_url) is None:
                return None

            async def ask() -> dict[str, Any]:
                answer: dict[str, Any] = await sts.get_caller_identity()
                return answer

            account: object = (await repeater.call(ask)).get("Account")
    except (BotoCoreError, WorkSpacesError, ValueError):
        # Whoever needs to know is told that it is not known; what is wrong with the credentials, the next call tells.
        return None
    return account if isinstance(account, str) and account else None
