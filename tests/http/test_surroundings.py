"""Settings of the environment that cannot work: told before anything is sent, by name and value."""

from pathlib import Path

import pytest

from tests.http.conftest import CREDENTIALS
from workspaces_apps import ConfigurationError, WorkSpacesClient


async def told(endpoint_url: str | None = "https://127.0.0.1:9") -> str:
    """Return the message of a client that cannot be opened."""
    ws = WorkSpacesClient(region="eu-west-1", endpoint_url=endpoint_url, credentials=CREDENTIALS)
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


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize(
    "value", ["socks5://ada:lovelace@proxy:1", "http://proxy:99999", "http://", "http://a:b"]
)
async def test_proxies(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is none is named with its variable, and without its password."""
    monkeypatch.setenv(name, value)

    message = await told()

    assert message.startswith(f"{name} must be")
    assert "lovelace" not in message


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_WORKSPACES", "AWS_ENDPOINT_URL"])
@pytest.mark.parametrize("value", ["nonsense", "ftp://a", "http://example.org", "https://a:99999"])
async def test_endpoints(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that cannot be is named with its variable and value."""
    monkeypatch.setenv(name, value)

    assert (await told(None)).startswith(f"{name}={value}: ")
