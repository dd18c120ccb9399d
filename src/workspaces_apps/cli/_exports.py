"""Settings by which other tools find the simulator: lines for a shell, or a profile of the AWS configuration file."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from workspaces_apps.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from workspaces_apps.simulator._wire import JsonObject

SERVICES: Final = ("workspaces", "resource_groups_tagging_api", "sts")
"""The services that the simulator answers for, as the AWS configuration file names them."""
_UNSET: Final = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
)
"""Variables that would take precedence over those that are set, or conflict with them: the JavaScript SDK prefers a profile to keys,
botocore sends the older name of the session token too, and no endpoint of one's own can be FIPS or dual-stack."""
_MARK: Final = "# written by workspaces-apps simulate"
_SECTION: Final = re.compile(r"^\[(?:profile |services )?(?P<name>[^\]]+)\]\s*$")


def variables(described: Mapping[str, object]) -> dict[str, str]:
    """Return the environment by which AWS's tools, and tests, find the simulator."""
    url = str(described["url"])
    found = {f"AWS_ENDPOINT_URL_{service.upper()}": url for service in SERVICES}
    return {
        **found,
        "AWS_ACCESS_KEY_ID": str(described["access_key_id"]),
        "AWS_SECRET_ACCESS_KEY": str(described["secret_access_key"]),
        "AWS_DEFAULT_REGION": str(described["region"]),
        "AWS_REGION": str(described["region"]),
        "WORKSPACES_SIMULATOR_CONTROL_URL": str(described["control_url"]),
        "WORKSPACES_SIMULATOR_CONTROL_TOKEN": str(described["control_token"]),
        "WORKSPACES_SIMULATOR_PID": str(os.getpid()),
    }


def shell_lines(described: Mapping[str, object], shell: Literal["sh", "powershell"]) -> list[str]:
    """Return the lines that set the environment in a shell."""
    values = variables(described)
    if shell == "powershell":
        gone = [f"Remove-Item Env:{name} -ErrorAction SilentlyContinue" for name in _UNSET]
        quoted = {name: value.replace("'", "''") for name, value in values.items()}
        return [*gone, *(f"$Env:{name} = '{value}'" for name, value in quoted.items())]
    return [
        f"unset {' '.join(_UNSET)}",
        *(f"export {name}={shlex.quote(value)}" for name, value in values.items()),
    ]


@contextlib.contextmanager
def profile_written(name: str | None, described: JsonObject) -> Generator[None]:
    """Keep a profile in the AWS configuration file while the simulator runs, and one for each other account.

    Args:
        name: The profile; nothing is written if None. The other accounts' are called ``NAME-ACCOUNT``.
        described: What the simulator says of itself.

    Raises:
        ConfigurationError: The file cannot be written, or has a profile of that name that is not ours.
    """
    if name is None:
        yield
        return
    path = Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    profiles: dict[str, Mapping[str, object]] = {name: described}
    others = described.get("other_accounts")
    for one in others if isinstance(others, list) else []:
        if isinstance(one, dict):
            profiles[f"{name}-{one['account_id']}"] = {**described, **one}
    _write(path, profiles)
    try:
        yield
    finally:
        _write(path, dict.fromkeys(profiles))


def _write(path: Path, profiles: Mapping[str, Mapping[str, object] | None]) -> None:
    """Replace our profiles in a file, or take them out; everything else stays as it stands."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        kept = _without(text, frozenset(profiles), path)
        added = "".join(_sections(name, one) for name, one in profiles.items() if one is not None)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        # It holds secrets, if only simulated ones: for its owner alone, from the beginning.
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as out:
            out.write(kept + added)
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write the profile to {path}: {error.strerror}") from error


def _without(text: str, names: frozenset[str], path: Path) -> str:
    kept: list[str] = []
    ours = False
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        section = _SECTION.match(line)
        if section is not None:
            ours = section["name"] in names or section["name"].removesuffix("-simulator") in names
            if ours and _MARK not in (lines[number + 1] if number + 1 < len(lines) else ""):
                raise ConfigurationError(
                    f"{path} has a profile {section['name']} that simulate has not written"
                )
        if not ours:
            kept.append(line)
    return "".join(kept)


def _sections(name: str, described: Mapping[str, object]) -> str:
    services = "".join(f"{service} =\n  endpoint_url = {described['url']}\n" for service in SERVICES)
    return (
        f"[profile {name}]\n{_MARK}\n"
        f"region = {described['region']}\n"
        f"aws_access_key_id = {described['access_key_id']}\n"
        f"aws_secret_access_key = {described['secret_access_key']}\n"
        f"services = {name}-simulator\n"
        f"[services {name}-simulator]\n{_MARK}\n{services}"
    )
