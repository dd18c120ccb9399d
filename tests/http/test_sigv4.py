"""Our signature is botocore's, byte for byte."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from workspaces_apps import ConfigurationError
from workspaces_apps._http.signing import SigningTemplate, SigV4

URLS = (
    "https://workspaces.eu-west-1.amazonaws.com/",
    "https://workspaces.eu-west-1.amazonaws.com",
    "https://workspaces.eu-west-1.amazonaws.com:443/",
    "https://proxy.example:8443/a//b/../c d/é/?z=1&a=2&a=1&flag",
    "http://127.0.0.1:8080/",
    "http://[::1]:8080/~x",
    "http://LOCALHOST:80/",
)
visible = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
texts = st.text(visible, max_size=30)
names = st.text(st.sampled_from("abcXYZ-0"), min_size=1, max_size=12)
unique = st.dictionaries(names, texts, max_size=4).filter(
    lambda found: len({name.lower() for name in found}) == len(found)
)


@given(
    url=st.sampled_from(URLS),
    headers=unique,
    blacklisted=st.booleans(),
    body=st.binary(max_size=200),
    keys=st.tuples(texts, texts, texts | st.none()),
    moment=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1)),  # noqa: DTZ001 - UTC is added
)
def test_it_is_the_signature_that_botocore_makes(
    url: str,
    headers: dict[str, str],
    blacklisted: bool,
    body: bytes,
    keys: tuple[str, str, str | None],
    moment: datetime,
) -> None:
    """For any URL, headers, body, credentials and time."""
    headers = {"X-Amz-Target": "WorkspacesService.DescribeTags", **headers}
    if blacklisted:
        headers |= {"User-Agent": "x", "X-Amzn-Trace-Id": "y", "traceparent": "z"}
    theirs = AWSRequest("POST", url, headers=headers, data=body)
    with patch("botocore.auth.get_current_datetime", lambda: moment):
        SigV4Auth(Credentials(*keys), "workspaces", "eu-west-1").add_auth(theirs)

    signer = SigV4("workspaces", "eu-west-1")
    template = SigningTemplate(url, headers)
    ours = signer.sign(template, ReadOnlyCredentials(*keys), moment.replace(tzinfo=UTC), body)

    assert headers | ours.headers() == dict(theirs.headers.items())


def test_a_region_that_would_break_the_head_signs_nothing() -> None:
    """It stands in the header Authorization, which the fast path writes as it is."""
    with pytest.raises(ConfigurationError, match="region must be"):
        SigV4("workspaces", "eu-west-1\r\nX-Injected: 1")


def test_the_key_is_derived_anew_for_another_day_and_another_secret() -> None:
    """One signer used with two secrets on two days signs as four signers would."""
    moment = datetime(2026, 1, 1, 23, 59, tzinfo=UTC)
    cases = [
        (ReadOnlyCredentials("id", secret, None), moment + timedelta(days=day))
        for secret in ("one", "two")
        for day in (0, 1)
    ]
    shared = SigV4("workspaces", "eu-west-1")

    def sign(signer: SigV4, case: tuple[ReadOnlyCredentials, datetime]) -> str:
        return signer.sign(SigningTemplate(URLS[0], {}), *case, b"").authorization

    found = [sign(shared, case) for case in cases * 2]

    assert found == [sign(SigV4("workspaces", "eu-west-1"), case) for case in cases * 2]
    assert len(set(found)) == 4
