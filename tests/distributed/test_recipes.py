"""The recipes of docs/distributed.md, carried out as far as they can be here: processes, a simulator, and S3 from moto.

Commands, environments and what starts them again are read from the page's blocks, so that a slip there fails here.
"""

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import boto3
import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from tests.distributed.places import bucket
from tests.distributed.test_processes import PATIENCE, deployments
from tests.docs.pages import ROOT, blocks
from tests.rollout.site import OFFICE
from workspaces_apps.rollout import Report
from workspaces_apps.simulator import Simulator, SimulatorSettings, Span

yaml = pytest.importorskip("yaml", reason="the extra yaml is not installed")

pytestmark = [pytest.mark.checkout, pytest.mark.long]

PAGE: Final = "docs/distributed.md"
RECIPES: Final = {one.title: one.code for one in blocks(PAGE) if one.title is not None}

REGION: Final = "AWS_DEFAULT_REGION"

MANIFEST: Final = f"""\
name = "office"

[[rules]]
select = {{ everything = true }}
present = ["{OFFICE}"]

[policy]
max_in_flight = 2
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Command of a scheduler.

    Attributes:
        arguments: The arguments of the container.
        environment: Its environment.
        retries: How often it is started again.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str]
    retries: int


def kubernetes() -> Recipe:
    """The Job, whose pod is started again where it failed."""
    job = yaml.safe_load(RECIPES["job.yaml"])
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "OnFailure"
    (container,) = pod["containers"]
    return Recipe(
        container["args"],
        {one["name"]: one["value"] for one in container["env"]},
        job["spec"]["backoffLimit"],
    )


def batch() -> Recipe:
    """The job definition, as AWS Batch would take it."""
    definition = json.loads(RECIPES["job-definition.json"])
    check_request("batch", "RegisterJobDefinition", definition)
    container = definition["containerProperties"]
    return Recipe(
        container["command"],
        {one["name"]: one["value"] for one in container["environment"]},
        # The first attempt counts there.
        definition["retryStrategy"]["attempts"] - 1,
    )


def ecs() -> Recipe:
    """The state of a state machine, with what ECS is asked for."""
    state = json.loads(RECIPES["state.json"])
    assert state["Resource"] == "arn:aws:states:::ecs:runTask.sync"
    check_request("ecs", "RunTask", in_camel_case(state["Parameters"]))
    (container,) = state["Parameters"]["Overrides"]["ContainerOverrides"]
    (retry,) = state["Retry"]
    assert retry["ErrorEquals"] == ["States.TaskFailed"]
    return Recipe(
        container["Command"],
        {one["Name"]: one["Value"] for one in container["Environment"]},
        retry["MaxAttempts"],
    )


def in_camel_case(value: object) -> Any:
    """Return parameters as ECS names them; Step Functions writes each with a capital."""
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {name[0].lower() + name[1:]: in_camel_case(one) for name, one in members.items()}
    if isinstance(value, list):
        return [in_camel_case(one) for one in cast("list[object]", value)]
    return value


def check_request(service: str, operation: str, parameters: Mapping[str, object]) -> None:
    """See that a service's API knows every parameter."""
    model: Any = get_session().get_service_model(service).operation_model(operation)
    report: Any = ParamValidator().validate(parameters, model.input_shape)
    assert not report.has_errors(), report.generate_report()


def container(arguments: Sequence[str], manifest: Path) -> list[str]:
    """Return the command line of the container, as a process with the manifest that was copied into it."""
    lines = dict(
        line.split(" ", 1) for line in RECIPES["Dockerfile"].splitlines() if not line.startswith("RUN")
    )
    entry = json.loads(lines["ENTRYPOINT"])
    assert entry == ["workspaces-apps"]
    source, copied = lines["COPY"].split()
    assert source == manifest.name
    assert copied in arguments
    return [
        sys.executable,
        "-m",
        "workspaces_apps",
        *(str(manifest) if one == copied else one for one in arguments),
    ]


def journal_of(arguments: Sequence[str]) -> str:
    """Return the journal of a command."""
    return arguments[arguments.index("--journal") + 1]


@dataclass(slots=True)
class Cloud:
    """A fleet and S3, without time or place of the developer's own.

    Attributes:
        sim: The fleet.
        environment: The environment of whatever runs there.
        folder: A folder for logs.
        processes: What was started.
    """

    sim: Simulator
    environment: Mapping[str, str]
    folder: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list["subprocess.Popen[bytes]"])

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        """Start a command, as the leader of its group."""
        with self.log(len(self.processes)).open("wb") as log:
            self.processes.append(
                subprocess.Popen(
                    command,
                    env={**self.environment, **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            )
        return self.processes[-1]

    def log(self, number: int) -> Path:
        """Return the file with what a process has said."""
        return self.folder / f"{number}.log"

    def said(self) -> str:
        """Return what all have said, for a failure's message."""
        return "\n".join(self.log(number).read_text("utf-8") for number in range(len(self.processes)))

    async def begun(self, process: "subprocess.Popen[bytes]") -> None:
        """Wait until a process has begun some deployments."""
        for _ in range(PATIENCE * 5):
            assert process.poll() is None, self.said()
            if len(deployments(self.sim)) >= 3:
                return
            await asyncio.sleep(0.2)
        raise AssertionError(self.said())

    def end(self) -> None:
        """Kill what is left."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)


@contextmanager
def cloud(journal: str, region: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Cloud]:
    """Start the fleet of a Region, and S3 with the bucket of a journal."""
    quick = SimulatorSettings(pending_delay=Span(0.5, 1), install_duration=Span(3, 5))
    with (
        bucket() as s3,
        Simulator.in_thread(region=region, workspaces=10, seed=7, settings=quick, throttle=None) as sim,
    ):
        named = {
            "AWS_ACCESS_KEY_ID": sim.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": sim.credentials.secret_access_key,
            "AWS_ENDPOINT_URL_S3": s3.endpoint,
            "AWS_ENDPOINT_URL_WORKSPACES": sim.url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        for variable, value in named.items():
            monkeypatch.setenv(variable, value)
        # For this process, which reads the journal.
        monkeypatch.setenv(REGION, region)
        service = cast("Any", boto3).resource("s3", region_name="us-east-1")
        kept = service.create_bucket(Bucket=journal.removeprefix("s3://").partition("/")[0])
        found = Cloud(sim, others | named, folder)
        try:
            yield found
        finally:
            found.end()
            # All of moto's servers in a process have the same buckets.
            kept.objects.delete()


@pytest.mark.parametrize("recipe", [kubernetes, batch, ecs])
async def test_a_container_that_is_killed_is_started_again_and_goes_on(
    recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command takes over and completes; nothing is deployed twice."""
    told: Recipe = recipe()
    assert told.retries > 0
    manifest = tmp_path / "fleet.toml"
    manifest.write_text(MANIFEST, "utf-8")
    command = container(told.arguments, manifest)
    journal = journal_of(command)
    with cloud(journal, told.environment[REGION], tmp_path, monkeypatch) as here:
        first = here.start(command, told.environment)
        await here.begun(first)
        first.kill()
        assert await asyncio.to_thread(first.wait, PATIENCE) == -signal.SIGKILL
        before = len(deployments(here.sim))
        second = here.start(command, told.environment)
        assert await asyncio.to_thread(second.wait, PATIENCE) == 0, here.said()

        report = await Report.load(journal)
        assert [run.ending for run in report.runs] == [None, "complete"]
        assert set(deployments(here.sim).values()) == {1}
        assert len(deployments(here.sim)) > before


async def test_of_two_machines_that_cron_starts_at_once_one_applies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other ends with the exit code that the page says, and leaves no trace in the journal."""
    assignments, command = crontab()
    journal = journal_of(shlex.split(command))
    (code,) = set(re.findall(r"ends with exit code (\d+)", page_text()))
    folder, _, name = next(one for one in shlex.split(command) if one.endswith(".toml")).rpartition("/")
    programs = tmp_path / "bin"
    assert assignments["PATH"].split(":")[0] == f"{folder}/bin"
    programs.mkdir()
    (tmp_path / name).write_text(MANIFEST, "utf-8")
    installed = programs / "workspaces-apps"
    installed.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m workspaces_apps "$@"\n', "utf-8")
    installed.chmod(0o755)
    environment = assignments | {"PATH": assignments["PATH"].replace(folder, str(tmp_path))}
    line = ["/bin/sh", "-c", command.replace(folder, str(tmp_path))]
    with cloud(journal, assignments[REGION], tmp_path, monkeypatch) as here:
        both = [here.start(line, environment) for _ in range(2)]
        waits = [asyncio.create_task(asyncio.to_thread(one.wait, PATIENCE)) for one in both]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        alone = [one.poll() for one in both]
        codes = await asyncio.gather(*waits)

        assert sorted(codes) == [0, int(code)], here.said()
        assert alone[codes.index(0)] is None, "the other one ends while this one works"
        assert "another apply" in here.log(codes.index(int(code))).read_text("utf-8")
        report = await Report.load(journal)
        assert [run.ending for run in report.runs] == ["complete"]
        assert set(deployments(here.sim).values()) == {1}


def crontab() -> tuple[dict[str, str], str]:
    """Return the assignments and the command of the crontab, as cron reads it."""
    *head, line = RECIPES["crontab"].splitlines()
    assignments = dict(one.split("=", 1) for one in head)
    *when, command = line.split(maxsplit=5)
    assert len(when) == 5
    assert all(re.fullmatch(r"(\*|\d+)(/\d+)?", one) for one in when)
    # A percent sign would end the command.
    assert "%" not in command
    return assignments, command


def page_text() -> str:
    """Return the page without its line breaks."""
    return " ".join((ROOT / PAGE).read_text("utf-8").split())
