"""Settings of the environment that cannot work: told before anything is sent, by name and value."""

from pathlib import Path

import pytest

from tests.http.conftest import CREDENTIALS, make_config
from tests.http.server import ScriptedServer, ok
from workspaces_apps import ClientConfig, ConfigurationError, WorkSpacesClient


async def told(endpoint_url: str | None = "https://127.0.0.1:9", config: ClientConfig | None = None) -> str:
    """Return the message of a client that cannot be opened."""
    ws = WorkSpacesClient(
        region="eu-west-1", endpoint_url=endpoint_url, credentials=CREDENTIALS, config=config
    )
    try:
        with pytest.raises(ConfigurationError) as caught:
            await ws.__aenter__()
    finally:
        await ws.aclose()
    return str(caught.value)


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "no certificate"])
async def test_certificate_authorities(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_CA_BUNDLE must be a file with certificates; it is no fault of the network if it is none."""
    path = tmp_path / "ca.pem"
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_text("" if kind == "empty" else "not a certificate")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(path))

    message = await told()

    assert message.startswith("AWS_CA_BUNDLE must be")
    assert str(path) in message


async def test_certificate_authorities_of_a_profile(aws_environment: Path) -> None:
    """The same for `ca_bundle` in a profile."""
    (aws_environment / "config").write_text("[default]\nca_bundle = /no/such.pem\n")

    assert (await told()).startswith("ca_bundle in the profile must be")


@pytest.mark.parametrize("how", ["argument", "environment"])
async def test_certificate_authorities_for_a_proxy(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are looked at where the way to the proxy is TLS, whatever the endpoint is."""
    path = tmp_path / "ca.pem"
    path.write_text("not a certificate")
    config = ClientConfig(proxy="HTTPS://127.0.0.1:9", ca_bundle=path if how == "argument" else None)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(path))

    message = await told("http://127.0.0.1:9", config)

    name = "ClientConfig.ca_bundle" if how == "argument" else "AWS_CA_BUNDLE"
    assert message.startswith(f"{name} must be")


async def test_certificate_authorities_beside_an_endpoint_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are looked at wherever they would be read, and so not only by the endpoint's scheme."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such.pem")
    monkeypatch.setenv("AWS_ENDPOINT_URL_WORKSPACES", "http://127.0.0.1:9")

    assert (await told(None)).startswith("AWS_CA_BUNDLE must be")


async def test_certificate_authorities_that_nothing_needs(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without TLS on the way they are neither looked at nor read: neither to the service nor to a proxy."""
    server.respond(lambda _: ok())
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such.pem")
    config = make_config(proxy=server.url)

    async with WorkSpacesClient(
        region="eu-west-1", endpoint_url="http://127.0.0.1:9", credentials=CREDENTIALS, config=config
    ) as ws:
        await ws.describe_account()

    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize(
    "value",
    [
        "socks5://ada:lovelace@proxy:1",
        "http://proxy:99999",
        "http://",
        "http://a:b",
        "http://ada:lovelace@proxy:3128\n",
        "http://my proxy:3128",
        "proxy:3128\r\n",
        "http://ada:love\tlace@proxy:3128",
    ],
)
async def test_proxies(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is none is named with its variable, and without its password."""
    monkeypatch.setenv(name, value)

    message = await told()

    assert message.startswith(f"{name} must be")
    assert "lovelace" not in message


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_WORKSPACES", "AWS_ENDPOINT_URL"])
@pytest.mark.parametrize(
    "value", ["nonsense", "ftp://a", "http://example.org", "https://a:99999", "https://a\n"]
)
async def test_endpoints(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that cannot be is named with its variable and value."""
    monkeypatch.setenv(name, value)

    assert (await told(None)).startswith(f"{name}={value}: ")
