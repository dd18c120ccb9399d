"""Journals in S3 without credentials: the same line of advice and the same exit code as without a journal there."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from tests.cli.fleet import write_manifest
from tests.cli.process import run_command
from tests.distributed.places import Bucket
from tests.distributed.proxy import Forward, Interfere, S3Proxy
from tests.distributed.test_lease import intent
from tests.distributed.test_s3 import store_of
from tests.distributed.test_stores import started
from tests.rollout.site import manifest, site
from workspaces_apps import ConfigurationError, CredentialsError
from workspaces_apps.cli._console import ExitCode, exit_code
from workspaces_apps.rollout import Deployed, JournalError, open_journal, read_events
from workspaces_apps.rollout._journal.segments import RealTime, SegmentJournal, steady_seconds

SSO = """[profile corp]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = desk
region = us-east-1
[sso-session corp]
sso_region = us-east-1
sso_start_url = https://corp.awsapps.com/start
sso_registration_scopes = sso:account:access
"""


def nothing(folder: Path, config: str = "") -> dict[str, str]:
    """An environment in which no credentials are found, but for those of a configuration file."""
    path = folder / "config"
    path.write_text(config, encoding="utf-8")
    return {
        "HOME": str(folder),
        "AWS_CONFIG_FILE": str(path),
        "AWS_SHARED_CREDENTIALS_FILE": "nowhere",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
    }


def test_a_profile_of_sso_without_a_token_is_told_in_one_line(tmp_path: Path) -> None:
    """With the command that helps, and exit code 77, whichever command asks for the journal."""
    url = "s3://journals/rollouts/office?region=us-east-1"
    fleet = str(write_manifest(tmp_path))
    for command, profile in (
        (["apply", fleet, "--yes", "--journal", url], {"AWS_PROFILE": "corp"}),
        (["report", f"{url}&profile=corp"], {}),
    ):
        ended = run_command(*command, **nothing(tmp_path, SSO), **profile)
        assert ended.returncode == ExitCode.CREDENTIALS, ended.stderr
        assert "Traceback" not in ended.stderr
        assert "aws sso login --profile corp" in ended.stderr.splitlines()[-1]
        assert all(line.startswith("workspaces-apps: ") for line in ended.stderr.splitlines())


@pytest.mark.parametrize(
    "config, options, code, message",
    [
        (
            "",
            "region=us-east-1",
            ExitCode.CREDENTIALS,
            "no AWS credentials were found: set AWS_ACCESS_KEY_ID",
        ),
        (
            "[profile corp]\nregion = us-east-1\ncredential_process = /bin/false\n",
            "profile=corp",
            ExitCode.CREDENTIALS,
            "see why the credential_process of the profile corp gives none",
        ),
        (
            "",
            "profile=nosuch",
            ExitCode.USAGE,
            "(nosuch) could not be found. Check profile in the journal's URL",
        ),
        ("", "region=eu+west", ExitCode.USAGE, "region_name 'eu west' doesn't match"),
        (
            "",
            "region=us-east-1&endpoint_url=http://u:hunter2@h",
            ExitCode.USAGE,
            "the endpoint URL of s3://journals",
        ),
        ("", "region=us-east-1&endpoint_url=h", ExitCode.USAGE, "the endpoint URL of s3://journals"),
    ],
)
def test_what_s3_cannot_be_called_with_is_told_in_one_line(
    tmp_path: Path, config: str, options: str, code: ExitCode, message: str
) -> None:
    """No credentials exit with 77, a wrong profile, Region or endpoint with 64."""
    ended = run_command("report", f"s3://journals/rollouts/office?{options}", **nothing(tmp_path, config))
    assert (ended.returncode, ended.stderr.count("\n")) == (code, 1), ended.stderr
    assert message in ended.stderr
    assert "hunter2" not in ended.stderr


def answering(code: str, path: str = "") -> Interfere:
    """Answer requests of such a path as S3 does when it does not take the credentials."""

    async def answer(request: web.Request, forward: Forward) -> web.Response:
        if path not in request.path:
            return await forward()
        body = f"<Error><Code>{code}</Code></Error>".encode()
        return web.Response(status=400, body=body, content_type="application/xml")

    return answer


@pytest.mark.parametrize(
    "code",
    [
        "ExpiredToken",
        # Each waits for a lease to expire.
        pytest.param("InvalidAccessKeyId", marks=pytest.mark.long),
        pytest.param("RequestTimeTooSkewed", marks=pytest.mark.long),
    ],
)
async def test_an_apply_ends_without_credentials_for_its_journal(
    s3_bucket: Bucket, proxy: S3Proxy, code: str
) -> None:
    """It is both a fault of the journal and lost credentials; the same command goes on later."""
    url = s3_bucket.url(f"lost-{code}", through=proxy.endpoint)
    async with site(6) as here:
        plan = await here.rollout.plan(manifest(max_in_flight=2))
        with pytest.raises(CredentialsError, match=f"S3 cannot be called: .*{code}") as lost:  # noqa: PT012 - until then all is well
            async with here.rollout.apply(plan, journal=url) as events:
                async for event in events:
                    if isinstance(event, Deployed):
                        proxy.interfere = answering(code)
        proxy.interfere = None
        assert isinstance(lost.value, JournalError)
        assert exit_code(lost.value) == ExitCode.CREDENTIALS
        async with here.rollout.apply(plan, journal=url) as events:
            assert (await events.finished()).ending == "complete"
        assert set(here.deployments().values()) == {1}


async def test_a_lease_that_is_lost_with_the_credentials_says_so(s3_bucket: Bucket, proxy: S3Proxy) -> None:
    """A writer that waits for the loss hears of it, and so does one that writes afterwards."""
    url = s3_bucket.url("lost-lease", through=proxy.endpoint)
    quick = RealTime(steady=lambda: steady_seconds() * 10, sleep=lambda seconds: asyncio.sleep(seconds / 10))
    journal = await store_of(url, quick).open("lost-lease")
    assert isinstance(journal, SegmentJournal)
    proxy.interfere = answering("ExpiredToken", "lease")
    lost = await journal.until_lost()
    assert isinstance(lost, CredentialsError)
    assert "the lease of the journal s3://journals/rollouts/lost-lease cannot be renewed" in str(lost)
    with pytest.raises(CredentialsError):
        await journal.append(started(), intent(1), durable=True)
    await journal.close()


async def test_an_endpoint_of_the_environment_that_is_none_is_told_unseen(
    s3_keys: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold a password."""
    del s3_keys
    for endpoint in ("tester:hunter2@h", "http://tester:hunter2@h:x"):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
        with pytest.raises(
            ConfigurationError, match="its endpoint URL or its Region is not valid"
        ) as refused:
            await open_journal("s3://journals/rollouts/office?region=us-east-1")
        assert "hunter2" not in str(refused.value)


async def test_a_bucket_that_refuses_is_no_loss_of_credentials(s3_bucket: Bucket, proxy: S3Proxy) -> None:
    """Neither is access that is denied, which is about what good credentials may do."""
    proxy.interfere = answering("AccessDenied")
    url = s3_bucket.url("denied", through=proxy.endpoint)
    with pytest.raises(JournalError, match="S3 refuses the bucket journals: AccessDenied") as refused:
        await read_events(url)
    assert not isinstance(refused.value, CredentialsError | ConfigurationError)
