"""Settings for what is assumed of the service: each says how it is known, and what was assumed.

Marks: ``doc`` AWS documentation or the service model says so; ``seen`` measured against botocore; ``field``
reported by people who run fleets; ``assumed`` no source found.
"""

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar, get_args

from workspaces_apps._base.public import public
from workspaces_apps._base.text import advice
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._arguments import (
    check_flag,
    check_kind,
    check_mapping,
    check_number,
    check_whole,
    is_number,
    unfit,
)

Mark: TypeAlias = Literal["doc", "seen", "field", "assumed"]
RefusalCondition: TypeAlias = Literal[
    "uninstall only",
    "operating system",
    "compute type",
    "edition or version",
    "associated already",
    "not associated",
    "change in flight",
    "workspace not ready",
]
"""Reasons to refuse an application operation; which exception says so is documented nowhere."""
T = TypeVar("T")


@public("workspaces_apps.simulator")
@dataclass(frozen=True, slots=True)
class Span:
    """A duration between two bounds, in seconds of simulated time; drawn evenly from the seeded source.

    Examples:
        >>> from workspaces_apps.simulator import SimulatorSettings, Span
        >>> settings = SimulatorSettings(pending_delay=Span(5, 5), install_duration=Span(60, 120))
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (is_number(self.low) and is_number(self.high) and 0 <= self.low <= self.high):
            raise ConfigurationError(
                f"a Span goes from 0 or more upwards, not from {self.low!r} to {self.high!r}"
            )

    def draw(self, source: random.Random) -> float:
        """Check one duration."""
        return source.uniform(self.low, self.high)


@public("workspaces_apps.simulator")
@dataclass(frozen=True, slots=True)
class Assumption:
    """One row of the page that says how true the simulator is."""

    name: str
    default: str
    mark: Mark
    note: str


def _setting(default: T, mark: Mark, note: str) -> T:
    described: T = field(default=default, metadata={"mark": mark, "note": note})
    return described


@public("workspaces_apps.simulator")
@dataclass(frozen=True, kw_only=True)
class SimulatorSettings:
    """Everything about the service that no source settles. Durations are in simulated seconds.

    Examples:
        >>> from workspaces_apps.simulator import Simulator, SimulatorSettings, Span
        >>> slow = SimulatorSettings(install_duration=Span(1_800, 3_600), failure_rate=0.05)
        >>> sim = Simulator(settings=slow)
    """

    removed_rows_linger: bool = _setting(
        False, "assumed", "Whether an association that was uninstalled stays listed as REMOVED."
    )
    deploy_nothing: Literal["accept", "refuse"] = _setting(
        "accept",
        "assumed",
        "Deploy with nothing staged: answered with an empty deployment, or OperationNotSupportedException.",
    )
    error_record: Literal["restate", "keep", "refuse"] = _setting(
        "restate",
        "assumed",
        "Associate and Disassociate on a record in ERROR: stage it anew in the asked direction, answer with the "
        "record unchanged, or refuse.",
    )
    staging_needs_ready_workspace: bool = _setting(
        True, "doc", "Associate and Disassociate need an AVAILABLE or STOPPED WorkSpace, as Deploy does."
    )
    account_applications_installable: bool = _setting(
        False,
        "doc",
        "Only applications offered through AWS can be managed; the exception for others is assumed.",
    )
    pending_delay: Span = _setting(
        Span(5, 30),
        "assumed",
        "From Deploy until an association leaves PENDING_INSTALL or PENDING_UNINSTALL.",
    )
    install_duration: Span = _setting(
        Span(480, 1200), "assumed", "How long an installation takes; AWS publishes nothing."
    )
    uninstall_duration: Span = _setting(Span(180, 480), "assumed", "How long a removal takes.")
    failure_rate: float = _setting(
        0.0, "assumed", "Share of installations and removals that end in DeploymentError.InternalServerError."
    )
    system_disk_gib: int = _setting(
        40,
        "assumed",
        "What Windows itself takes of the root volume; what is left must hold the applications.",
    )
    create_visible_delay: Span = _setting(
        Span(2, 10), "assumed", "How long a new WorkSpace's id is absent from DescribeWorkspaces."
    )
    create_duration: Span = _setting(Span(600, 1500), "assumed", "From CreateWorkspaces until AVAILABLE.")
    start_duration: Span = _setting(Span(60, 180), "assumed", "STARTING until AVAILABLE.")
    stop_duration: Span = _setting(Span(60, 180), "assumed", "STOPPING until STOPPED.")
    reboot_duration: Span = _setting(Span(60, 240), "assumed", "REBOOTING until AVAILABLE.")
    rebuild_duration: Span = _setting(Span(1200, 2400), "assumed", "REBUILDING until AVAILABLE.")
    restore_duration: Span = _setting(Span(1200, 2400), "assumed", "RESTORING until AVAILABLE.")
    migrate_duration: Span = _setting(
        Span(1800, 3600), "assumed", "Migration until the new WorkSpace is AVAILABLE."
    )
    terminate_duration: Span = _setting(
        Span(60, 300), "assumed", "TERMINATING until the WorkSpace is absent."
    )
    modify_duration: Span = _setting(
        Span(300, 1800),
        "assumed",
        "How long a ModificationStates entry stays; half of it as UPDATE_INITIATED.",
    )
    running_mode_duration: Span = _setting(
        Span(5, 60), "assumed", "From ModifyWorkspaceProperties until the new running mode shows."
    )
    volume_groups: bool = _setting(
        True,
        "doc",
        "Root and user volume come in sizes that go together; False lets them be anything that is not smaller.",
    )
    volume_cooling_off: float = _setting(
        21_600.0, "doc", "How long after a change of a volume there is no other: 6 hours."
    )
    larger_compute_cooling_off: float = _setting(
        21_600.0,
        "doc",
        "How long after its creation, or a change, a WorkSpace gets no larger compute type; 6 hours in an older guide.",
    )
    smaller_compute_cooling_off: float = _setting(
        2_592_000.0,
        "doc",
        "How long after a change of its compute type a WorkSpace gets no smaller one; 30 days in an older guide.",
    )
    modifying_refuses_commands: bool = _setting(
        True,
        "assumed",
        "While a property is being modified, another running mode, Reboot, Rebuild, Restore and Migrate are refused.",
    )
    manual_running_mode: bool = _setting(
        False, "doc", "Whether the running mode MANUAL, which is for WorkSpaces Core, can be asked for."
    )
    one_protocol: bool = _setting(
        True,
        "assumed",
        "A WorkSpace streams by one protocol, and a list of two is refused; False: the first counts.",
    )
    operating_system_stays: bool = _setting(
        True,
        "assumed",
        "Another operating system takes another bundle, and so Migrate; False: to ask for one changes nothing.",
    )
    one_property_at_a_time: bool = _setting(
        True,
        "assumed",
        "No two properties of a WorkSpace change in one request; False: only volumes and compute type exclude one "
        "another, as documented.",
    )
    user_names_ignore_case: bool = _setting(True, "doc", "A directory's user names differ in more than case.")
    self_service_enables_all: bool = _setting(
        True,
        "assumed",
        "EnableSelfService gives all self-service permissions; False: it changes nothing but what is described.",
    )
    certificate_auth_needs_saml: bool = _setting(
        True, "field", "Certificate-based authentication can be enabled only while SAML is."
    )
    deleted_relay_state_is_default: bool = _setting(
        True,
        "assumed",
        "A relay state parameter name that is deleted is RelayState again; False: it is absent.",
    )
    pools_apart: bool = _setting(
        True,
        "assumed",
        "WorkSpaces Pools go in directories of the type POOLS, WorkSpaces in those of the type PERSONAL.",
    )
    pools_keep_directory: bool = _setting(
        True, "assumed", "A directory cannot be deregistered while it has pools."
    )
    images_bring_applications: bool = _setting(
        True,
        "assumed",
        "What is installed on a WorkSpace goes into an image of it, and so into bundles, and WorkSpaces made of those.",
    )
    encrypted_can_be_imaged: bool = _setting(
        False, "assumed", "Whether an image can be made of a WorkSpace with an encrypted volume."
    )
    ip_rules_with_host_bits: bool = _setting(
        True, "assumed", "An IP rule such as 10.0.0.1/16 is accepted, though the range begins at 10.0.0.0."
    )
    ip_rules_per_group: int = _setting(10, "assumed", "More rules in an IP group are a limit exceeded.")
    ip_groups_per_directory: int = _setting(
        25, "assumed", "More IP groups of a directory are a limit exceeded."
    )
    image_duration: Span = _setting(Span(1800, 3600), "assumed", "How long an image stays PENDING.")
    pool_duration: Span = _setting(Span(120, 600), "assumed", "STARTING and STOPPING of a pool.")
    register_duration: Span = _setting(Span(30, 120), "assumed", "REGISTERING until REGISTERED.")
    restore_shows_drift: bool = _setting(
        True,
        "assumed",
        "Restore takes away what was installed since the last snapshot; whether its association goes too, or "
        "stays COMPLETED, is not documented.",
    )
    exceptions: Mapping[RefusalCondition, str] | None = _setting(
        None,
        "assumed",
        "The error code that a condition of the application operations raises, where it is not to be the natural one: "
        + ", ".join(get_args(RefusalCondition))
        + ".",
    )
    encrypted_share: float = _setting(
        0.0, "assumed", "Share of the sample fleet's WorkSpaces with encrypted volumes."
    )
    presence: Literal["still", "seeded"] = _setting(
        "still",
        "assumed",
        "Whether users come and go by themselves, by a pattern from the seed: who comes starts an AUTO_STOP WorkSpace, "
        "which stops when nobody has been connected for as long as its timeout says.",
    )
    session_duration: Span = _setting(
        Span(1800, 14_400), "assumed", "How long a user stays connected, where users come and go."
    )
    absence_duration: Span = _setting(
        Span(3600, 57_600), "assumed", "How long a user stays away, where users come and go."
    )
    snapshot_interval: float = _setting(43200.0, "doc", "Snapshots are made every 12 hours.")
    page_token_lifetime: float = _setting(86400.0, "assumed", "How long a page token can be used.")
    default_page_size: int = _setting(25, "assumed", "Items on a page for which no size was asked.")
    tags_per_resource: int = _setting(
        50, "doc", "More tags on one resource are ResourceLimitExceededException."
    )
    clock_skew: float = _setting(300.0, "doc", "How far a signature's date may be off, in real seconds.")
    max_body_bytes: int = _setting(
        16 * 1024 * 1024, "assumed", "A longer request body is refused with HTTP 413."
    )
    body_timeout: float = _setting(
        20.0, "assumed", "Real seconds a client may take to send a request's body."
    )

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            _check_kind(item.name, getattr(self, item.name), item.default)
        if not self.snapshot_interval:
            raise ConfigurationError("snapshot_interval is above 0")
        for share in ("failure_rate", "encrypted_share"):
            if not 0 <= getattr(self, share) <= 1:
                raise ConfigurationError(f"{share} is a share from 0 to 1, not {getattr(self, share)}")
        if not 1 <= self.default_page_size <= 25:
            raise ConfigurationError(f"default_page_size is 1 to 25, not {self.default_page_size}")
        unknown = (self.exceptions or {}).keys() - set(get_args(RefusalCondition))
        if unknown:
            raise ConfigurationError(
                f"exceptions names conditions, which are {', '.join(get_args(RefusalCondition))};"
                f" not {', '.join(sorted(unknown))}"
            )
        for name, allowed in (
            ("deploy_nothing", ("accept", "refuse")),
            ("error_record", ("restate", "keep", "refuse")),
            ("presence", ("still", "seeded")),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigurationError(
                    f"{name} is one of {', '.join(allowed)}, not {getattr(self, name)!r}"
                )

    @classmethod
    def instant(cls) -> "SimulatorSettings":
        """Set every duration to a second or less: for tests on a real clock that want an answer, not a story."""
        settings = cls()
        for item in dataclasses.fields(cls):
            # Frozen, and still being made: nobody else has seen it.
            if isinstance(item.default, Span):
                object.__setattr__(settings, item.name, Span(0.05, 0.2))
            elif item.name.endswith("_cooling_off"):
                object.__setattr__(settings, item.name, 0.0)
        return settings

    @classmethod
    def of(cls, given: Mapping[object, object]) -> "SimulatorSettings":
        """Make settings of a mapping, such as a file's or a marker's: a duration is seconds, or a pair of bounds.

        Raises:
            ConfigurationError: A name is unknown, or a value is of another type than its setting.
        """
        defaults = {item.name: item.default for item in dataclasses.fields(cls)}
        changes: dict[str, object] = {}
        for name, value in given.items():
            if name not in defaults:
                raise ConfigurationError(f"{name!r} is no setting; {advice(name, defaults)}")
            changes[str(name)] = _span(str(name), value) if isinstance(defaults[str(name)], Span) else value
        return cls(**changes)  # type: ignore[arg-type]  # each is held against its default

    @classmethod
    def assumptions(cls) -> tuple[Assumption, ...]:
        """Give every setting with its default, its mark and one sentence."""
        return tuple(
            Assumption(item.name, repr(item.default), item.metadata["mark"], item.metadata["note"])
            for item in dataclasses.fields(cls)
        )


def _span(name: str, value: object) -> Span:
    match value:
        case Span():
            return value
        case (int() | float() as low, int() | float() as high) if is_number(low) and is_number(high):
            return Span(low, high)
        case int() | float() if is_number(value):
            return Span(value, value)
        case _:
            raise unfit(name, "a duration in seconds, or a pair of them", value)


def _check_kind(name: str, value: object, default: object) -> None:
    match default:
        case Span():
            check_kind(name, value, Span, f"a Span of seconds, such as {default!r}")
        case bool():
            check_flag(name, value)
        case int():
            check_whole(name, value)
        case float():
            check_number(name, value)
        case None if value is not None:
            check_mapping(name, value)
        case _:
            # Texts are held against those that are allowed.
            pass
