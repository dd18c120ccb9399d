"""Setting a client up: what is refused, and what is said then."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import AioSession

from tests.http.conftest import CREDENTIALS, Connect
from tests.http.server import ScriptedServer
from workspaces_apps import (
    AssumeRole,
    ClientConfig,
    ConfigurationError,
    Credentials,
    CredentialsError,
    SystemClock,
    WorkSpacesClient,
)

ROLE = "arn:aws:iam::123456789012:role/roll-out"


# What is wrong on purpose is not for a checker to see.
CLIENT: Callable[..., object] = WorkSpacesClient
CONFIG: Callable[..., object] = ClientConfig


@pytest.mark.parametrize(
    "arguments,named",
    [
        ({"session": AioSession(), "profile": "p"}, ("session", "profile")),
        ({"credentials": CREDENTIALS, "profile": "p"}, ("credentials", "profile")),
        ({"credentials": AssumeRole(ROLE, source=CREDENTIALS), "profile": "p"}, ("credentials", "profile")),
        (
            {"endpoint_url": "https://localhost", "config": ClientConfig(use_fips=True)},
            ("endpoint_url", "use_fips"),
        ),
        (
            {"endpoint_url": "https://localhost", "config": ClientConfig(use_dualstack=True)},
            ("endpoint_url", "use_dualstack"),
        ),
        ({"endpoint_url": "localhost:4566"}, ("endpoint_url",)),
        ({"endpoint_url": "ftp://localhost"}, ("endpoint_url",)),
        ({"endpoint_url": "https://"}, ("endpoint_url",)),
        ({"endpoint_url": "http://[::1"}, ("endpoint_url",)),
        ({"endpoint_url": "https://localhost:99999"}, ("endpoint_url",)),
        ({"endpoint_url": "https://local host"}, ("endpoint_url",)),
        ({"endpoint_url": "https://localhost/a b"}, ("endpoint_url",)),
        ({"endpoint_url": "https://localhost\n"}, ("endpoint_url",)),
        ({"endpoint_url": ""}, ("endpoint_url",)),
        ({"endpoint_url": 5}, ("endpoint_url", "int")),
        ({"endpoint_url": "https://ada:lovelace@localhost"}, ("endpoint_url", "password")),
        ({"endpoint_url": "http://workspaces.example"}, ("https", "allow_insecure_endpoint")),
        ({"endpoint_url": "http://localhost.example"}, ("https", "allow_insecure_endpoint")),
        ({"region": 5}, ("region", "int")),
        ({"region": ""}, ("region",)),
        ({"region": "eu-west-1\n"}, ("region", r"'eu-west-1\n'")),
        ({"region": "eu west 1"}, ("region", "eu-west-1")),
        ({"region": "eu-west-"}, ("region", "eu-west-1")),
        ({"region": "eu-wést-1"}, ("region", "eu-west-1")),
        ({"profile": 5}, ("profile", "int")),
        ({"session": "default"}, ("session", "AioSession")),
        ({"session": AioSession}, ("session", "the class AioSession")),
        ({"credentials": AssumeRole}, ("credentials", "the class AssumeRole")),
        ({"clock": SystemClock}, ("clock", "the class SystemClock")),
        ({"config": {}}, ("config", "ClientConfig")),
        ({"credentials": ("key", "secret")}, ("credentials", "tuple")),
        ({"clock": 5}, ("clock", "Clock")),
    ],
)
def test_arguments_that_cannot_be_right(arguments: dict[str, Any], named: tuple[str, ...]) -> None:
    """The constructor refuses them, and the message names each that matters, and no secret."""
    with pytest.raises(ConfigurationError) as caught:
        CLIENT(**arguments)

    assert [name for name in named if name not in str(caught.value)] == []
    assert "lovelace" not in str(caught.value)
    assert CREDENTIALS.secret_access_key not in str(caught.value)


@pytest.mark.parametrize(
    "name,value",
    [
        ("timeout", -1),
        ("timeout", 0),
        ("timeout", timedelta(seconds=-1)),
        ("timeout", float("nan")),
        ("timeout", "5"),
        ("timeout", True),
        ("timeout", 10**400),
        ("timeout", -(10**400)),
        ("connect_timeout", 1e308),
        ("read_timeout", 1e14),
        ("connect_timeout", 0),
        ("connect_timeout", None),
        ("read_timeout", float("inf")),
        ("max_connections", 0),
        ("max_connections", True),
        ("max_connections", 1.5),
        ("max_connections", "50"),
        ("request_checks", "none"),
        ("retry", None),
        ("pacing", "off"),
        ("hooks", print),
        ("pacing_registry", {}),
        ("proxy", "proxy.example:3128"),
        ("proxy", "http://proxy.example:3128\n"),
        ("proxy", "http://proxy example:3128"),
        ("proxy", "http://ada:love\tlace@proxy.example"),
        ("proxy", 3128),
        ("ca_bundle", "no/such/file.pem"),
        ("ca_bundle", 5),
        ("use_fips", "yes"),
        ("use_dualstack", 1),
        ("allow_insecure_endpoint", None),
        ("user_agent_extra", "two\r\nlines: x"),
        ("user_agent_extra", 5),
        ("random", 3),
    ],
)
def test_settings_that_cannot_be_right(name: str, value: object) -> None:
    """`ClientConfig` refuses them, and the message begins with the setting."""
    with pytest.raises(ConfigurationError) as caught:
        CONFIG(**{name: value})

    assert str(caught.value).startswith(name)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Credentials("", "secret"),
        lambda: Credentials("AKIA", "  "),
        lambda: Credentials("AKIA\n", "secret"),
        lambda: Credentials("AKIA", "secret\r\n"),
        lambda: Credentials("AKIA", "secret", "tok en"),
        lambda: Credentials("AKIA", "secret", "tok\u00e9n"),
        lambda: Credentials(None, "secret"),  # type: ignore[arg-type]  # wrong on purpose
        lambda: Credentials("AKIA", "secret", 5),  # type: ignore[arg-type]  # wrong on purpose
        lambda: Credentials("AKIA", "secret", None, 123456789012),  # type: ignore[arg-type]  # wrong on purpose
        lambda: Credentials("AKIA", "secret", expires_at="2099-01-01"),  # type: ignore[arg-type]  # wrong on purpose
        lambda: AssumeRole(ROLE, region="eu-west-1\n"),
        lambda: AssumeRole(ROLE, region=5),  # type: ignore[arg-type]  # wrong on purpose
        lambda: AssumeRole("roll-out"),
        lambda: AssumeRole("arn:aws:iam::123456789012:user/ada"),
        lambda: AssumeRole(5),  # type: ignore[arg-type]  # wrong on purpose
        lambda: AssumeRole(ROLE, source="default"),  # type: ignore[arg-type]  # wrong on purpose
    ],
)
def test_credentials_that_cannot_be_right(make: Callable[[], object]) -> None:
    """They are refused where they are made."""
    with pytest.raises(ConfigurationError):
        make()


async def test_no_region_says_what_to_set() -> None:
    """Neither argument nor environment nor profile: the message says how to give one."""
    with pytest.raises(ConfigurationError, match=r"region=.*AWS_DEFAULT_REGION.*profile"):
        await WorkSpacesClient(credentials=CREDENTIALS).describe_account()


@pytest.mark.parametrize("name", ["AWS_DEFAULT_REGION", "AWS_REGION", "region in the profile or the session"])
async def test_a_region_that_cannot_be(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, aws_environment: Path, name: str
) -> None:
    """It is named with where it comes from, before a request has it in its head."""
    session = AioSession()
    if name.startswith("AWS"):
        monkeypatch.setenv(name, "eu-west-1\n")
    else:
        session.set_config_variable("region", "eu-west-1\n")
    async with AsyncExitStack() as closing:
        ws = WorkSpacesClient(endpoint_url=server.url, credentials=CREDENTIALS, session=session)
        closing.push_async_callback(ws.aclose)
        with pytest.raises(ConfigurationError, match=f"^{name} must be") as caught:
            await ws.describe_account()

    assert r"'eu-west-1\n'" in str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize("how", ["argument", "environment", "session"])
async def test_an_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """However it was chosen, the message names the profile and where to look."""
    if how == "environment":
        monkeypatch.setenv("AWS_PROFILE", "nobody")
    session = AioSession(profile="nobody") if how == "session" else None
    client = WorkSpacesClient(profile="nobody" if how == "argument" else None, session=session)

    with pytest.raises(ConfigurationError, match=r"nobody.*AWS_PROFILE"):
        await client.describe_account()


async def test_no_credentials_say_what_to_run(server: ScriptedServer, connect: Connect) -> None:
    """The message says what to set and what to run; nothing was sent."""
    with pytest.raises(CredentialsError, match=r"AWS_ACCESS_KEY_ID.*aws sso login"):
        await connect(credentials=None).describe_account()

    assert server.requests == []


async def test_half_of_the_credentials_are_not_enough(
    server: ScriptedServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key without its secret: the message names the missing half."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")

    with pytest.raises(CredentialsError, match="AWS_SECRET_ACCESS_KEY"):
        await connect(credentials=None).describe_account()

    assert server.requests == []


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_WORKSPACES", "AWS_ENDPOINT_URL"])
async def test_plain_http_to_another_machine_is_refused_from_the_environment_too(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The guard looks at the endpoint that was found, wherever it came from."""
    monkeypatch.setenv(name, "http://workspaces.example")
    client = WorkSpacesClient(region="eu-west-1", credentials=CREDENTIALS)

    with pytest.raises(ConfigurationError, match="allow_insecure_endpoint"):
        await client.describe_account()


@pytest.mark.parametrize("host", ["127.0.0.2", "127.255.0.1", "[::1]", "[0:0:0:0:0:0:0:1]", "LOCALHOST"])
def test_plain_http_to_this_machine_is_allowed(host: str) -> None:
    """Each address of loopback is this machine."""
    assert host in repr(WorkSpacesClient(region="eu-west-1", endpoint_url=f"http://{host}:8080"))


async def test_plain_http_to_another_machine_can_be_allowed() -> None:
    """With the setting, the client opens."""
    config = ClientConfig(allow_insecure_endpoint=True)

    async with WorkSpacesClient(
        region="eu-west-1",
        endpoint_url="http://workspaces.example",
        credentials=CREDENTIALS,
        config=config,
    ):
        pass
