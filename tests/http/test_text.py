"""Text from outside: harmless wherever it is read, and without secrets."""

import logging
import pickle
import re
import sys
import threading
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.conftest import CREDENTIALS, Connect
from tests.http.server import Answer, ScriptedServer, fault
from workspaces_apps import MalformedResponseError, RetryPolicy, ServiceError
from workspaces_apps._base.logs import HarmlessFormatter, relay_warnings
from workspaces_apps._base.text import (
    _SECRET,  # pyright: ignore[reportPrivateUsage]
    HIDDEN,
    MESSAGE_LIMIT,
    bounded,
    harmless,
    hide,
    redacted,
)
from workspaces_apps._http.connection import printable_name

ESCAPES = "\x1b[2J\r\n2026-01-01 INFO forged\x9b1m\u202e\u2066\x07"
SECRET, TOKEN = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY", "FwoGZXIvYXdzEBYaDExample+/=="


@given(
    st.lists(
        st.sampled_from(
            (
                "Signature",
                "X-Amz-Security-Token",
                "aws_session_token",
                "=",
                ":",
                "%3A",
                "%3d",
                ",",
                '"',
                "\\",
                " ",
                "abc",
            )
        )
    ).map("".join)
)
def test_the_quick_look_for_a_secret_misses_none(said: str) -> None:
    """A text without a separator is not searched for one; the search would find nothing in it."""
    assert redacted(said) == re.sub(_SECRET, lambda found: f"{found[1]}{HIDDEN}", said)


@pytest.mark.parametrize(
    "said",
    [
        f"key {SECRET}",
        f"key {quote(SECRET, safe='')}",
        f"key {quote(SECRET)}",
        f"AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host;x-amz-security-token;x-amz-target, Signature={'0af' * 21}",
        f"?X-Amz-Security-Token={quote(TOKEN, safe='')}&X-Amz-Signature=abcdef0123",
        f"'X-Amz-Security-Token': b'{TOKEN}'",
        f"x-amz-security-token:{TOKEN}\nx-amz-target:a",
        f"aws_secret_access_key = {TOKEN}",
        f'{{"aws_secret_access_key": "{TOKEN}"}}',
        f"('aws_secret_access_key', '{TOKEN}')",
        f"aws_session_token,{TOKEN}",
    ],
)
def test_secrets_are_hidden(said: str) -> None:
    """The client's own values, in any form, and what stands where secrets stand."""
    hide(SECRET, None, "short")

    shown = harmless(said)

    assert HIDDEN in shown
    for secret in (SECRET, quote(SECRET, safe=""), TOKEN, quote(TOKEN, safe=""), "0af" * 21, "abcdef0123"):
        assert secret not in shown


@pytest.mark.parametrize(
    "said",
    [
        "ws-123456789 of arn:aws:iam::123456789012:role/fleet",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z",
        "11111111-2222-3333-4444-555555555555 short SignedHeaders=host;x-amz-security-token;x-amz-target",
        "Büro 東京 naïve",
        "C:\\Program Files & [bold]not markup[/bold]",
        "",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`",
    ],
)
def test_what_people_look_for_stays(said: str) -> None:
    """Ids, hashes and words of every language are shown as they are."""
    assert harmless(said) == said


@given(st.text())
def test_no_text_can_steer_a_terminal(text: str) -> None:
    """Whatever the text, what is shown is one line of characters that a terminal only prints."""
    shown = harmless(text)

    assert len(shown.splitlines()) <= 1
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_text_is_one_line_with_an_end() -> None:
    """Control characters, directions, the invisible and lone surrogates are gone, and of megabytes a line is left."""
    shown = harmless(ESCAPES + "\ufeff\u00ad\u061c\U000e0041\ud800" + "x" * 10_000_000, 100)

    assert len(shown) == 100
    assert shown.startswith("[2J 2026-01-01 INFO forged 1m x")
    assert shown.isprintable()
    assert (printable_name("a b\x1b[31m"), printable_name("\x1b"), bounded("abc", 3)) == (
        "a b [31m",
        None,
        "abc",
    )


async def test_what_the_service_says_is_harmless(
    server: ScriptedServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Code, message, ids and the answer's own id, in the error and in every line of the log."""
    caplog.set_level(logging.DEBUG, logger="workspaces_apps")
    said = fault(f"Odd{ESCAPES}", f"{ESCAPES}{CREDENTIALS.secret_access_key}{'x' * 5000}", ResourceId=ESCAPES)
    body = said.body.replace(b"Odd", b"ThrottlingException#Odd")
    server.respond(lambda _: Answer(status=429, body=body, headers={"x-amzn-RequestId": "a\u202eb"}))

    with pytest.raises(ServiceError) as caught:
        await connect(retry=RetryPolicy(max_attempts=2)).describe_account()

    error = caught.value
    assert len(error.message) <= MESSAGE_LIMIT
    lines = [record.getMessage() for record in caplog.records]
    assert lines
    for shown in (str(error), repr(error), error.code or "", error.resource_id or "", *lines):
        assert shown.isprintable()
        assert CREDENTIALS.secret_access_key not in shown


async def test_a_raw_body_stays_where_it_is(server: ScriptedServer, connect: Connect) -> None:
    """`.raw` is the body byte for byte, and stands in no repr, text or pickle."""
    server.script(Answer(body=b'{"DedicatedTenancySupport": 7, "x": "\x1b[2J raw"}'))

    with pytest.raises(MalformedResponseError) as caught:
        await connect().describe_account()

    error = caught.value
    again = pickle.loads(pickle.dumps(error))
    assert b"\x1b[2J raw" in error.raw
    assert not any("raw" in shown for shown in (str(error), repr(error)))
    assert b'raw"' not in pickle.dumps(error)
    assert (type(again), str(again), again.raw) == (MalformedResponseError, str(error), b"")


@pytest.mark.parametrize(
    "library,ours",
    [
        ("aiobotocore.tokens", "workspaces_apps.aws"),
        ("procrastinate.utils", "workspaces_apps.distributed"),
        ("psycopg.pool", "workspaces_apps.distributed"),
    ],
)
def test_warnings_of_the_libraries_are_ours(
    library: str, ours: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line without a traceback, where nobody else has a handler for them."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger("workspaces_apps"), "handlers", [caplog.handler])
    relay_warnings()
    relay_warnings()

    try:
        raise ValueError
    except ValueError:
        logging.getLogger(library).warning("refresh failed\x1b[2J\nat once", exc_info=True)
        logging.getLogger(library).info("nothing of note")

    (record,) = caplog.records
    assert (record.name, record.getMessage()) == (
        ours,
        f"{library}: refresh failed [2J at once",
    )
    assert record.exc_info is None


def test_secrets_of_several_threads_are_hidden() -> None:
    """Each client refreshes its credentials in a thread of its own: none of that fails, more secrets than are kept or not."""
    failures: list[Exception] = []

    def refresh(client: int) -> None:
        try:
            for number in range(2000):
                hide(f"secret/{client}/{number}")
        except Exception as error:  # noqa: BLE001 - whichever it is, it must be known in the test's own thread
            failures.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=refresh, args=(client,)) for client in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not failures
    hide("secret/0/0")
    assert harmless("keys secret/0/0, secret/0/1") == f"keys {HIDDEN}, secret/0/1"


def test_a_traceback_keeps_its_lines() -> None:
    """With --debug there is more, and that is harmless too."""
    hide(SECRET)
    formatter = HarmlessFormatter("%(message)s")
    try:
        raise ValueError(f"{SECRET}\x1b[2J")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.DEBUG, "", 0, "a\nb %s", (SECRET,), (type(error), error, error.__traceback__)
        )

    lines = formatter.format(record).split("\n")

    assert lines[0] == f"a b {HIDDEN}"
    assert lines[1].startswith("Traceback")
    assert lines[2].startswith("  File")
    assert lines[-1] == f"ValueError: {HIDDEN} [2J"
