"""Every check of the project, each a session: `python3 dev.py test` runs the default ones in one environment.

With `--no-venv` the sessions run in the environment that is active (dev.py's); otherwise each gets one of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHON_CLASSIFIER = "Programming Language :: Python :: "
PYTHONS = [
    line.removeprefix(PYTHON_CLASSIFIER)
    for line in PROJECT["classifiers"]
    if line.startswith(PYTHON_CLASSIFIER + "3.")
]
CHECKED = [
    name
    for name in ("src", "codegen", "docsite", "tests", "examples", "benchmarks", "noxfile.py", "dev.py")
    if (ROOT / name).exists()
]

# One more than there are processors: some tests wait for a process.
IN_PARALLEL = ("-n", str((os.cpu_count() or 1) + 1), "--dist", "worksteal")
# What an installed package may do otherwise than a checkout: entry points, data files, extras, processes.
ON_THE_WHEEL = (
    "pytest_plugin/test_fixtures.py",
    "rollout/report/test_page.py",
    "cli/test_command.py",
    "test_environment.py",
    "test_examples.py",
    "test_lazy_package.py",
)

BRIEFLY = ("--quiet", "--disable-pip-version-check", "--no-compile")
"""Options of `pip install`: most modules are never imported, and compiling the others on import saves time."""

LOCKS = {
    "constraints.txt": ("pyproject.toml", "--all-extras", "--group", "dev"),
    "constraints-aws-cli.txt": ("tests/peers/aws-cli.in",),
    "constraints-docs.txt": ("--group", "docs", "--group", "release"),
}
"""The locks, and what each is made from."""

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "codegen", "typecheck", "interface", "tests", "aws_cli", "container", "build"]
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False
nox.options.error_on_external_run = False


def install_development(session: nox.Session) -> None:
    """Give a session with an environment of its own what dev.py gives the shared one."""
    if session.venv_backend == "none":
        return
    session.install("--require-hashes", "-r", "constraints.txt")
    session.install("--no-deps", "--no-build-isolation", "--editable", ".")


def run_tests(session: nox.Session) -> None:
    """Run the tests, but for those that need minutes of real time."""
    install_development(session)
    session.run("python", "-m", "pytest", *IN_PARALLEL, *(session.posargs or ["-m", "not long"]))


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on this Python; arguments after -- go to pytest."""
    run_tests(session)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests with the branches of handwritten code counted, subprocesses included; takes half as long again."""
    install_development(session)
    session.run("python", "-m", "coverage", "erase")
    chosen = session.posargs or ["-m", "not long"]
    session.run("python", "-m", "coverage", "run", "-m", "pytest", *IN_PARALLEL, *chosen)
    session.run("python", "-m", "coverage", "combine", "--quiet")
    if session.posargs:
        # Of some tests the bar says nothing; the exit code 1 is for having nothing to report.
        session.run("python", "-m", "coverage", "report", "--fail-under=0", success_codes=[0, 1])
    else:
        session.run("python", "-m", "coverage", "report")


@nox.session(python=PYTHONS)
def tests_all(session: nox.Session) -> None:
    """Run the tests on every supported Python that is installed."""
    run_tests(session)


@nox.session
def aws_cli(session: nox.Session) -> None:
    """Run the AWS CLI, from an environment of its own because of the botocore it brings, against the simulator."""
    install_development(session)
    python = install_aws_cli(session)
    session.run(
        "python", "-m", "pytest", "tests/peers/test_aws_cli.py", "tests/pytest_plugin/test_docs.py",
        "-k", "cli or prompt", *session.posargs,
        env={"WORKSPACES_AWS_CLI_PYTHON": str(python)},
    )  # fmt: skip


def install_aws_cli(session: nox.Session) -> Path:
    """Make `.venv-aws-cli` fit its lock, if it does not yet, and return its Python."""
    return locked_environment(session, ".venv-aws-cli", "constraints-aws-cli.txt")


def locked_environment(session: nox.Session, name: str, lock_name: str) -> Path:
    """Make an environment of the checkout fit its lock, hashes checked, if it does not yet, and return its Python."""
    folder = ROOT / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    lock, installed = ROOT / lock_name, folder / "installed.txt"
    if not installed.is_file() or installed.read_bytes() != lock.read_bytes():
        session.run("python", "-m", "venv", "--clear", str(folder))
        install = (str(python), "-m", "pip", "install", *BRIEFLY)
        session.run(*install, "--require-hashes", "-r", str(lock), external=True)
        shutil.copy(lock, installed)
    return python


PEERS = {"newest": ("boto3",), "c7n": ("c7n",), "prowler": ("prowler",), "ddtrace": ("ddtrace",)}
"""Tools of others that live in an environment of their own, and what is installed there: always the newest."""

CHECKERS = ("mypy", "pyright[nodejs]", "basedpyright", "ty", "pyrefly", "zuban")
RUN_TIME_CHECKERS = ("beartype", "typeguard", "freezegun", "time-machine", "python-dateutil", "six")


@nox.session
def peers(session: nox.Session) -> None:
    """Run other people's tools against the simulator and take what they found into docs/simulator-truth.md.

    The newest boto3, the JavaScript SDK, Cloud Custodian, Prowler and ddtrace come from their package registries.
    Terraform is used where it is on the machine and the variable WORKSPACES_TERRAFORM_PROVIDERS names the folder of its AWS
    provider, laid out as for `terraform init -plugin-dir`. `-- javascript` and the like choose tests by name.
    """
    install_development(session)
    folder = ROOT / ".venv-peers"
    for name, packages in PEERS.items():
        if not (folder / name / "installed.txt").is_file():
            python = str(folder / name / "bin" / "python")
            session.run("python", "-m", "venv", "--clear", str(folder / name))
            install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            session.run(*install, *packages, external=True)
            (folder / name / "installed.txt").touch()
    javascript = folder / "javascript"
    if shutil.which("npm") and not (javascript / "node_modules").is_dir():
        javascript.mkdir(parents=True, exist_ok=True)
        (javascript / "package.json").write_text('{"private": true}', encoding="utf-8")
        with session.chdir(javascript):
            session.run("npm", "install", "--silent", "@aws-sdk/client-workspaces", external=True)
    results = folder / "results.json"
    results.unlink(missing_ok=True)
    chosen = ("-k", " or ".join(session.posargs)) if session.posargs else ()
    session.run(
        "python", "-m", "pytest", "tests/peers", *chosen,
        env={
            "WORKSPACES_PEERS": str(folder),
            "WORKSPACES_PEERS_RESULTS": str(results),
            "WORKSPACES_AWS_CLI_PYTHON": str(install_aws_cli(session)),
        },
    )  # fmt: skip
    session.run("python", "-m", "codegen.simulator_truth", "--peers", str(results))


@nox.session
def checkers(session: nox.Session) -> None:
    """Read the samples of tests/typing with the newest of each type checker, and write their table in docs/models.md.

    Also runs the tests that need beartype, typeguard, freezegun and time-machine. `-- NAME` chooses checkers, and writes nothing.
    """
    install_development(session)
    folder = ROOT / ".venv-checkers"
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade")
    if not (folder / "installed.txt").is_file():
        session.run("python", "-m", "venv", "--clear", str(folder))
        # Beside the packages of the lock: none of these may replace one of them.
        session.run(
            *install, "--no-deps", "--target", str(folder / "run-time"), *RUN_TIME_CHECKERS, external=True
        )
        (folder / "installed.txt").touch()
    # Every time: it is the newest that the table is about.
    session.run(*install, *PROJECT["dependencies"], *CHECKERS, external=True)
    chosen = ("--only", *session.posargs) if session.posargs else ("--write",)
    session.run("python", "-m", "tests.typing.checkers", str(folder), *chosen)
    session.run(
        "python", "-m", "pytest", "tests/typing/test_at_run_time.py",
        env={"PYTHONPATH": str(folder / "run-time")},
    )  # fmt: skip


@nox.session
def airflow(session: nox.Session) -> None:
    """Run the deferrable task of examples/airflow in the newest Airflow, from an environment of its own."""
    install_development(session)
    folder = ROOT / ".venv-airflow"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "installed.txt").is_file():
        session.run("python", "-m", "venv", "--clear", str(folder))
        install = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        session.run(*install, "apache-airflow", str(ROOT), external=True)
        (folder / "installed.txt").touch()
    # Not the copy that was installed, but what is here.
    session.run(
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--force-reinstall",
        str(ROOT),
        external=True,
    )
    session.run(
        "python", "-m", "pytest", "tests/distributed/test_airflow.py", *session.posargs,
        env={"WORKSPACES_AIRFLOW_PYTHON": str(python)},
    )  # fmt: skip


@nox.session
def container(session: nox.Session) -> None:
    """Build the simulator's image and try it; without a container engine, run its steps in an environment."""
    install_development(session)
    image = "workspaces-apps-simulator:test"
    engine = shutil.which("docker")
    # A client alone builds nothing.
    works = engine and subprocess.run([engine, "info"], capture_output=True, check=False).returncode == 0
    if works:
        session.run("docker", "build", "--tag", image, str(ROOT), external=True)
    session.run(
        "python", "-m", "pytest", "tests/simulator/test_container.py", *session.posargs,
        env={"WORKSPACES_CONTAINER_IMAGE": image} if works else {"WORKSPACES_CONTAINER_STEPS": "1"},
    )  # fmt: skip


@nox.session
def chaos(session: nox.Session) -> None:
    """Run the fault campaign with a seed of its own, and longer; `-- SEED` runs one again, `-- SEED pytest's…`."""
    install_development(session)
    seed, *rest = session.posargs or [str(secrets.randbelow(10**9))]
    session.log(f"the seed is {seed}; `nox -s chaos -- {seed}` runs the same campaign again")
    session.run(
        "python", "-m", "pytest", "tests/chaos", *rest,
        env={"WORKSPACES_CHAOS_SEED": seed, "WORKSPACES_CHAOS_SCALE": "4"},
    )  # fmt: skip
    session.run(
        "python", "-m", "pytest", "tests/rollout/test_crash.py",
        env={"WORKSPACES_APPS_CHAOS_KILLS": "50", "WORKSPACES_APPS_CHAOS_WORKSPACES": "500"},
    )  # fmt: skip


@nox.session
def hostile(session: nox.Session) -> None:
    """Attack the client with every kind of answer, and its files; `-- SEED` runs one campaign again."""
    install_development(session)
    seed, *_ = session.posargs or [str(secrets.randbelow(10**9))]
    session.log(f"the seed is {seed}; `nox -s hostile -- {seed}` runs the same campaign again")
    session.run("python", "-m", "tests.hostile.campaign", seed)


@nox.session
def long(session: nox.Session) -> None:
    """Run the tests that need minutes: workers as processes that are killed and paused, and models by many examples."""
    install_development(session)
    session.run("python", "-m", "pytest", "-m", "long", "tests/distributed", *session.posargs)
    session.run("python", "-m", "pytest", *IN_PARALLEL, "tests/model", env={"HYPOTHESIS_PROFILE": "long"})


@nox.session
def scenarios(session: nox.Session) -> None:
    """Print the table of scenarios that both ways to install must pass; `-- WORDS` chooses rows by their names."""
    install_development(session)
    session.run("python", "-m", "tests.reconcile.table", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and lint; `-- --fix` mends what can be mended."""
    install_development(session)
    if "--fix" in session.posargs:
        session.run("python", "-m", "ruff", "check", "--fix", *CHECKED)
        session.run("python", "-m", "ruff", "format", *CHECKED)
    else:
        session.run("python", "-m", "ruff", "format", "--check", *CHECKED)
        session.run("python", "-m", "ruff", "check", *CHECKED)


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check types with mypy and pyright, side by side; `interface` holds that users find all of them.

    pyright and the node that runs it are packages of constraints.txt: nothing else is fetched.
    """
    install_development(session)
    python = str(session.run("python", "-c", "import sys; print(sys.executable)", silent=True)).strip()
    with subprocess.Popen([python, "-m", "mypy", *CHECKED], stdout=subprocess.PIPE, text=True) as mypy:
        # The configuration is named: pyright would prefer a file of its own in any folder further up.
        pyright = ("python", "-m", "pyright", "--project", str(ROOT / "pyproject.toml"))
        without_looking_for_newer = {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
        try:
            session.run(*pyright, env=without_looking_for_newer)
        finally:
            said, _ = mypy.communicate()
            session.log(f"mypy: {said.strip()}")
    if mypy.returncode:
        session.error("mypy found errors")


@nox.session
def interface(session: nox.Session) -> None:
    """Check as users do that the public interface is typed to the end: the newest pyright, the runtime dependencies only.

    Among the packages of the development environment are stubs that hide what users lack.
    """
    install_development(session)
    folder = ROOT / ".venv-interface"
    pythons = [
        folder / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        for name in ("pyright", "users")
    ]
    lock_file, installed = ROOT / "constraints.txt", folder / "installed.txt"
    with tempfile.TemporaryDirectory(prefix="workspaces-apps-") as name:
        pins = Path(name, "pins.txt")
        pins.write_text(versions_only(lock_file.read_text(encoding="utf-8")), encoding="utf-8")
        quiet = ("-m", "pip", "install", *BRIEFLY)
        if not installed.is_file() or installed.read_bytes() != lock_file.read_bytes():
            for python in pythons:
                session.run("python", "-m", "venv", "--clear", str(python.parent.parent))
            session.run(str(pythons[1]), *quiet, "-c", str(pins), *PROJECT["dependencies"], external=True)
            shutil.copy(lock_file, installed)
        session.run(str(pythons[0]), *quiet, "--upgrade", "pyright[nodejs]", external=True)
        session.run("python", "-m", "build", "--no-isolation", "--wheel", "--outdir", name, ".", silent=True)
        (wheel,) = Path(name).glob("*.whl")
        session.run(
            str(pythons[1]), *quiet, "--force-reinstall", "--no-deps", str(wheel), external=True
        )  # fmt: skip
        # Away from the checkout, whose configuration and sources pyright would find.
        with session.chdir(name):
            session.run(
                str(pythons[0]), "-m", "pyright", "--pythonpath", str(pythons[1]),
                "--verifytypes", "workspaces_apps", "--ignoreexternal", external=True, env={"PYTHONPATH": None},
            )  # fmt: skip


@nox.session
def codegen(session: nox.Session) -> None:
    """Fail when the generated files or the lock are stale; `-- --report WHEEL` and the like are passed on."""
    install_development(session)
    session.run("python", "-m", "codegen", *(session.posargs or ["--check"]))


@nox.session
def model(session: nox.Session) -> None:
    """Check the kept service model against the wheel that the lock names; `-- VERSION` takes that botocore instead."""
    install_development(session)
    lock = json.loads((ROOT / "codegen" / "lock.json").read_text(encoding="utf-8"))
    wanted = f"botocore=={session.posargs[0] if session.posargs else lock['botocore']}"
    with tempfile.TemporaryDirectory(prefix="workspaces-apps-") as name:
        requirement = Path(name, "requirement.txt")
        pinned = wanted if session.posargs else f"{wanted} --hash=sha256:{lock['wheel']}"
        requirement.write_text(f"{pinned}\n", encoding="utf-8")
        session.run(
            "python", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--only-binary", ":all:", "--dest", name, "--requirement", str(requirement),
        )  # fmt: skip
        (wheel,) = Path(name).glob("*.whl")
        session.run(
            "python", "-m", "codegen", "--from", str(wheel), *([] if session.posargs else ["--check"])
        )


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against other clients and write docs/benchmarks.md; `-- --calls-only` and the like are passed on."""
    install_development(session)
    session.run("python", "-m", "benchmarks", *session.posargs)
    if not session.posargs:
        for name in ("call_tree", "start"):
            # Its exit code 1 is for a goal that is missed.
            session.run(
                *("python", "-m", f"benchmarks.{name}", "--page", "docs/benchmarks.md"), success_codes=[0, 1]
            )


@nox.session
def bench_scale(session: nox.Session) -> None:
    """Measure large fleets in one process, and write their section of docs/benchmarks.md; takes hours."""
    install_development(session)
    session.run(
        *("python", "-m", "benchmarks.scale", "--page", "docs/benchmarks.md", *session.posargs),
        success_codes=[0, 1],
    )


@nox.session
def bench_fleets(session: nox.Session) -> None:
    """Measure roll-outs and waiters beside an earlier commit, and write their sections of docs/benchmarks.md."""
    install_development(session)
    for name in ("rollout", "waiters"):
        # Its exit code 1 is for a goal that is missed.
        session.run(
            "python",
            "-m",
            f"benchmarks.{name}",
            "--output",
            "docs/benchmarks.md",
            *session.posargs,
            success_codes=[0, 1],
        )


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demonstration."""
    install_development(session)
    session.run("workspaces-apps", "demo", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site into build/site, strictly; `-- --serve` then shows it on port 8000.

    The pages are written in the development environment, which has the package; the generator has an environment and a
    lock of its own, because its packages are no business of whoever tests.
    """
    install_development(session)
    python = locked_environment(session, ".venv-docs", "constraints-docs.txt")
    session.run("python", "-m", "docsite")
    # The variable silences the theme's advertisement of another generator.
    session.run(
        str(python), "-m", "mkdocs", "build", "--strict", "--config-file", str(ROOT / "build" / "mkdocs.yml"),
        env={"NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}, external=True,
    )  # fmt: skip
    if "--serve" in session.posargs:
        session.log("http://127.0.0.1:8000/ has the site; Ctrl-C ends it")
        site = str(ROOT / "build" / "site")
        session.run("python", "-m", "http.server", "8000", "--bind", "127.0.0.1", "--directory", site)


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel twice, compare and check them, and run tests on the installed wheel, away from the checkout."""
    install_development(session)
    with tempfile.TemporaryDirectory(prefix="workspaces-apps-") as name:
        away = Path(name)
        artefacts = built_twice(session, away)
        wheel = next(path for path in artefacts if path.suffix == ".whl")
        test_wheel(session, wheel, away)


def built(session: nox.Session, folder: Path) -> list[Path]:
    """Build into an empty folder, check the metadata, and return the files."""
    # The wheel is built from the sdist, so both are known to be complete.
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(folder), ".")
    artefacts = sorted(folder.iterdir())
    session.run("python", "-m", "twine", "check", "--strict", *map(str, artefacts))
    return artefacts


def built_twice(session: nox.Session, away: Path) -> list[Path]:
    """Build twice, and return the files of the first time; they must be those of the second, byte for byte."""
    first, second = (built(session, away / attempt) for attempt in ("first", "second"))
    differing = [one.name for one, two in zip(first, second, strict=True) if digest(one) != digest(two)]
    if differing:
        session.error(f"not reproducible: {', '.join(differing)}")
    return first


@nox.session
def release(session: nox.Session) -> None:
    """Put into dist/ what a release is made of: sdist, wheel, bill of materials, notes and checksums.

    It is a dry run: nothing is uploaded and no file of the checkout changes. `-- --write` also moves the fragments of
    changelog.d into CHANGELOG.md.
    """
    install_development(session)
    tools = locked_environment(session, ".venv-docs", "constraints-docs.txt")
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="workspaces-apps-") as name:
        away = Path(name)
        dist.mkdir()
        for artefact in built_twice(session, away):
            shutil.copy(artefact, dist)
        write_bill_of_materials(session, tools, next(dist.glob("*.whl")), away)
    version = session.run("python", "-c", "import workspaces_apps as w; print(w.__version__)", silent=True)
    towncrier = (str(tools), "-m", "towncrier", "build", "--version", str(version).strip())
    notes = str(session.run(*towncrier, "--draft", silent=True, external=True))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (dist / "NOTES.md").write_text(f"{notes.strip()}\n\n{unreleased(changes)}", encoding="utf-8")
    if "--write" in session.posargs:
        session.run(*towncrier, "--yes", external=True)
    sums = "".join(f"{digest(path)}  {path.name}\n" for path in sorted(dist.iterdir()))
    (dist / "SHA256SUMS").write_text(sums, encoding="utf-8")
    session.log(f"dist/ has\n{sums}")


def write_bill_of_materials(session: nox.Session, tools: Path, wheel: Path, away: Path) -> None:
    """Write the CycloneDX document of the wheel and what it brings by itself, at the versions of the lock."""
    session.run("python", "-m", "venv", str(away / "installed"))
    python = away / "installed" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pins = away / "pins.txt"
    pins.write_text(versions_only((ROOT / "constraints.txt").read_text(encoding="utf-8")), encoding="utf-8")
    install = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(pins))
    session.run(*install, str(wheel), external=True)
    # pip came with the environment, not with the package.
    session.run(str(python), "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools", "pip", external=True)
    session.run(
        str(tools), "-m", "cyclonedx_py", "environment", "--output-reproducible", "--pyproject", str(ROOT / "pyproject.toml"),
        "--output-file", str(wheel.parent / "bill-of-materials.cdx.json"), str(python), external=True,
    )  # fmt: skip


@nox.session
def bom(session: nox.Session) -> None:
    """Write a CycloneDX bill of materials of every lock into build/bill-of-materials, and list the licences."""
    install_development(session)
    folder = ROOT / "build" / "bill-of-materials"
    folder.mkdir(parents=True, exist_ok=True)
    tools = str(locked_environment(session, ".venv-docs", "constraints-docs.txt"))
    environments = {"constraints-aws-cli.txt": str(install_aws_cli(session)), "constraints-docs.txt": tools}
    of_environments: list[str] = []
    for lock_file in LOCKS:
        bill = folder / f"{Path(lock_file).stem}.cdx.json"
        cyclonedx = (tools, "-m", "cyclonedx_py")
        session.run(
            *cyclonedx, "requirements", "--output-reproducible", "--output-file", str(bill), lock_file, external=True
        )  # fmt: skip
        # A lock names no licences: those are told by what was installed from it.
        python = environments.get(lock_file) or str(
            session.run("python", "-c", "import sys; print(sys.executable)", silent=True)
        ).strip()  # fmt: skip
        of_environments.append(str(folder / f"{Path(lock_file).stem}.installed.cdx.json"))
        session.run(
            *cyclonedx, "environment", "--output-reproducible", "--output-file", of_environments[-1], python,
            external=True,
        )  # fmt: skip
    session.run("python", "-m", "codegen.supply_chain", "licences", *of_environments)


@nox.session
def audit(session: nox.Session) -> None:
    """Look every locked package up in the advisory service; what could not be looked up is told as not done."""
    install_development(session)
    tools = str(locked_environment(session, ".venv-docs", "constraints-docs.txt"))
    with tempfile.TemporaryDirectory(prefix="workspaces-apps-") as name:
        reports = [Path(name, lock_file).with_suffix(".json") for lock_file in LOCKS]
        for lock_file, report in zip(LOCKS, reports, strict=True):
            # Its exit code 1 is for vulnerabilities, and for a service that it could not reach.
            session.run(
                tools, "-m", "pip_audit", "--progress-spinner", "off", "--require-hashes", "--disable-pip",
                "--format", "json", "--output", str(report), "--requirement", lock_file,
                external=True, success_codes=[0, 1], silent=True,
            )  # fmt: skip
        session.run("python", "-m", "codegen.supply_chain", "audit", *map(str, reports))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unreleased(changes: str) -> str:
    """Return what the changelog still has below "Unreleased", from before there were fragments."""
    return changes.partition("## [Unreleased]\n")[2].partition("\n## [")[0].strip() + "\n"


def test_wheel(session: nox.Session, wheel: Path, away: Path) -> None:
    """Install the wheel into an empty environment and run tests from a folder without the sources."""
    session.run("python", "-m", "venv", str(away / "venv"))
    scripts = away / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = str(scripts / "python")
    pins = away / "pins.txt"
    pins.write_text(versions_only((ROOT / "constraints.txt").read_text(encoding="utf-8")), encoding="utf-8")
    install = (python, "-m", "pip", "install", *BRIEFLY, "-c", str(pins))
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    # The wheel by itself first: its own metadata must bring all that an import needs.
    session.run(*install, str(wheel))
    with session.chdir(away):
        session.run(python, "-c", "from workspaces_apps import *")
    session.run(*install, f"{wheel}[cli,simulator,yaml]", *groups["tests"])
    bench = away / "tests-of-the-wheel"
    for folder in ("tests", "examples"):
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, bench / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", bench)
    path = os.pathsep.join((str(scripts), os.environ.get("PATH", os.defpath)))
    with session.chdir(bench):
        session.run(
            python,
            "-m",
            "pytest",
            *IN_PARALLEL,
            "-m",
            "not checkout and not campaign and not long",
            *(str(path) for pattern in ON_THE_WHEEL for path in sorted((bench / "tests").glob(pattern))),
            env={
                "PATH": path,
                "VIRTUAL_ENV": str(away / "venv"),
                "PYTHONPATH": None,
                "HYPOTHESIS_PROFILE": "few",
            },
        )


def versions_only(locked: str) -> str:
    """Return the lock without its hashes: pip takes no hashes from constraints for what is named without a version."""
    pins = (line for line in locked.splitlines() if line and not line.startswith((" ", "#")))
    return "".join(pin.removesuffix("\\").rstrip() + "\n" for pin in pins)


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Write the locks anew, for all systems and supported Pythons; `-- --upgrade` renews.

    The only session that needs uv, which need not be installed for anything else.
    """
    for lock_file, sources in LOCKS.items():
        session.run(
            "uv", "pip", "compile", *sources, "--universal",
            "--python-version", PYTHONS[0], "--generate-hashes", "--no-annotate", "--no-config", "--quiet",
            "--custom-compile-command", "python3 dev.py nox -s lock", "--output-file", lock_file, *session.posargs,
        )  # fmt: skip
