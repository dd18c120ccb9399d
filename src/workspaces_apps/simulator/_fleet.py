"""The sample fleet, made from a seed; and the way into a simulator's state for tests in the same process."""

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, get_args

from workspaces_apps._base.public import public
from workspaces_apps._base.system import paused
from workspaces_apps.errors import ConfigurationError
from workspaces_apps.simulator._arguments import check_known, check_mapping, check_text, check_whole
from workspaces_apps.simulator._catalogue import AMAZON, application_id, installable
from workspaces_apps.simulator._operations.directories import default_properties, role_arn
from workspaces_apps.simulator._operations.workspaces import address
from workspaces_apps.simulator._records import (
    DEPLOYABLE,
    Application,
    Bundle,
    Direction,
    Directory,
    Image,
    State,
    Workspace,
)
from workspaces_apps.simulator._settings import SimulatorSettings
from workspaces_apps.simulator._state import RegionStore
from workspaces_apps.simulator._transitions import end_deployment


@dataclass(frozen=True, slots=True)
class SampleBundle:
    """A bundle to be made, and how many of twenty WorkSpaces of the sample are made of it."""

    name: str
    operating_system: str
    compute: str
    protocol: str
    root_gib: int
    user_gib: int
    share: int
    own: bool = False
    brings: tuple[str, ...] = ()


_KINDS: Final = (
    SampleBundle("Standard with Windows Server 2022", "WINDOWS_SERVER_2022", "STANDARD", "WSP", 80, 50, 4),
    SampleBundle("Performance with Windows Server 2022", "WINDOWS_SERVER_2022", "PERFORMANCE", "WSP", 80, 100, 3),
    SampleBundle("Standard with Windows Server 2019", "WINDOWS_SERVER_2019", "STANDARD", "PCOIP", 80, 50, 3),
    SampleBundle("Power with Windows 11", "WINDOWS_11", "POWER", "WSP", 175, 100, 2, own=True),
    SampleBundle("Standard with Windows 11", "WINDOWS_11", "STANDARD", "WSP", 80, 50, 2, own=True),
    SampleBundle("Performance with Windows 10", "WINDOWS_10", "PERFORMANCE", "PCOIP", 80, 100, 1, own=True),
    SampleBundle(
        "Office 2021 with Windows 10", "WINDOWS_10", "STANDARD", "WSP", 80, 50, 1, own=True,
        brings=("Microsoft Office LTSC Professional Plus 2021",),
    ),
    SampleBundle("Value with Windows Server 2022", "WINDOWS_SERVER_2022", "VALUE", "WSP", 80, 10, 1),
    SampleBundle("Standard with Windows Server 2016", "WINDOWS_SERVER_2016", "STANDARD", "PCOIP", 80, 50, 1),
    SampleBundle("Standard with Amazon Linux 2", "AMAZON_LINUX_2", "STANDARD", "PCOIP", 80, 50, 1),
    SampleBundle("Standard with Ubuntu 22.04", "UBUNTU_22_04", "STANDARD", "WSP", 80, 50, 1),
)  # fmt: skip
_DIRECTORIES: Final = (
    ("corp.example.com", "AD_CONNECTOR", 5),
    ("emea.example.com", "SIMPLE_AD", 3),
    ("lab.example.com", "SIMPLE_AD", 2),
)
_FIRST: Final = (
    "avery",
    "blake",
    "casey",
    "devon",
    "emery",
    "finley",
    "harper",
    "jordan",
    "kai",
    "logan",
    "morgan",
    "noel",
)
_LAST: Final = (
    "adams",
    "baker",
    "clark",
    "diaz",
    "evans",
    "flores",
    "gray",
    "hughes",
    "ito",
    "jones",
    "khan",
)
_DEPARTMENTS: Final = ("Finance", "Engineering", "Sales", "Support", "Legal")
_RINGS: Final = ("pilot", "early", "broad", "broad", "broad")
_SUITE: Final = (
    "Microsoft Office LTSC Professional Plus 2021",
    "Microsoft Visio LTSC Professional 2021",
    "Microsoft Project Professional 2021",
    "Microsoft Visual Studio Professional 2022",
    "Microsoft Visual Studio Enterprise 2022",
)
_YEAR: Final = 31_536_000.0


def seed_region(store: RegionStore, now: float) -> None:
    """Give a store directories, images and bundles, always the same for the same seed."""
    for name, directory_kind, _ in _DIRECTORIES:
        directory = new_directory(store, name, directory_kind)
        store.directories.add(directory.id, directory.sequence, directory)
    for kind in _KINDS:
        add_bundle(store, kind, now)


def seed_store(
    store: RegionStore,
    now: float,
    workspaces: int,
    associations_per_workspace: int,
    settings: SimulatorSettings,
) -> None:
    """Fill a furnished store with WorkSpaces, always the same for the same seed.

    Args:
        store: The store.
        now: Simulated epoch seconds.
        workspaces: How many WorkSpaces.
        associations_per_workspace: How many installed applications each WorkSpace that can have them gets,
            beyond what its bundle brings.
        settings: Which share is encrypted, and whether users come and go.
    """
    # A collection in the midst of making a million objects only finds that all of them are alive.
    with paused():
        _seed_workspaces(store, now, workspaces, associations_per_workspace)
        enliven(store, now, settings)


def enliven(store: RegionStore, now: float, settings: SimulatorSettings) -> None:
    """Encrypt a share of a store's WorkSpaces, and let users come and go, as the settings say."""
    # Drawn only where it is asked for: otherwise a seed gives the fleet that it has always given.
    key = None
    if settings.encrypted_share:
        key = f"arn:aws:kms:{store.region}:{store.account_id}:key/{store.new_uuid()}"
    for workspace in store.all_workspaces:
        if key is not None and store.source.random() < settings.encrypted_share:
            workspace.volume_key = key
            workspace.user_encrypted = workspace.root_encrypted = True
        if settings.presence == "seeded":
            kind, span = "user-comes", settings.absence_duration
            if workspace.connected:
                kind, span = "user-leaves", settings.session_duration
            # Somewhere in the midst of it: otherwise all would come and go together.
            store.plan(now + span.draw(store.source) * store.source.random(), kind, workspace.id, 0)


def _seed_workspaces(
    store: RegionStore, now: float, workspaces: int, associations_per_workspace: int
) -> None:
    bundles = list(store.bundles.values())
    pattern = [index for index, kind in enumerate(_KINDS) for _ in range(kind.share)]
    homes = [index for index, (_, _, share) in enumerate(_DIRECTORIES) for _ in range(share)]
    store.source.shuffle(pattern)
    store.source.shuffle(homes)
    directories = list(store.directories.values())
    tag_sets = [
        {"Department": department, "Ring": ring}
        for department in _DEPARTMENTS
        for ring in sorted(set(_RINGS))
    ]
    brought = [_brought(store, kind, associations_per_workspace) for kind in _KINDS]
    for index in range(workspaces):
        which = pattern[index % len(pattern)]
        directory = directories[homes[index % len(homes)]]
        workspace = new_workspace(store, _KINDS[which], bundles[which], directory, index, now)
        workspace.tags = tag_sets[store.source.randrange(len(tag_sets))]
        store.add_workspace(workspace)
        for one in brought[which]:
            store.bring(workspace.id, "WORKSPACE", one, workspace.created)


def _brought(store: RegionStore, kind: SampleBundle, further: int) -> list[str]:
    brought = [application_id(AMAZON, name) for name in kind.brings]
    suite = [store.applications[application_id(AMAZON, name)] for name in _SUITE]
    fitting = [
        one.id
        for one in suite
        if kind.operating_system in one.operating_systems
        and kind.compute in one.computes
        and one.id not in brought
    ]
    return brought + fitting[:further]


def new_directory(store: RegionStore, name: str, kind: str) -> Directory:
    """Make a registered directory, not yet in the store."""
    alias = name.partition(".")[0]
    return Directory(
        id=store.new_hex("d-", 10),
        name=name,
        alias=alias,
        kind=kind,
        registration_code=f"SLiad+{store.new_id('', 6).upper()}",
        subnet_ids=[store.new_hex("subnet-", 17), store.new_hex("subnet-", 17)],
        state="REGISTERED",
        sequence=store.number(),
        tenancy="SHARED",
        security_group=store.new_hex("sg-", 17),
        dns_addresses=["10.255.0.2", "10.255.1.2"],
        customer_user="Administrator",
        role_arn=role_arn(store.account_id),
        properties=default_properties("PERSONAL"),
    )


def add_bundle(store: RegionStore, kind: SampleBundle, now: float) -> Bundle:
    """Make a bundle, with its image if it is the account's own and with what it brings, and keep it."""
    created = now - _YEAR
    image_id = store.new_id("wsi-")
    owner = store.account_id if kind.own else AMAZON
    if kind.own:
        image = Image(
            id=image_id,
            name=kind.name.replace(" ", "-"),
            description=f"{kind.name}, as we use it",
            operating_system=kind.operating_system,
            owner=owner,
            created=created,
            sequence=store.number(),
        )
        store.images.add(image_id, image.sequence, image)
    bundle = Bundle(
        id=store.new_id("wsb-"),
        name=kind.name,
        owner=owner,
        description=kind.name,
        image_id=image_id,
        compute=kind.compute,
        operating_system=kind.operating_system,
        protocol=kind.protocol,
        root_gib=kind.root_gib,
        user_gib=kind.user_gib,
        created=created,
        updated=created,
        sequence=store.number(),
    )
    store.bundles.add(bundle.id, bundle.sequence, bundle)
    for name in kind.brings:
        one = application_id(AMAZON, name)
        store.bring(image_id, "IMAGE", one, created)
        store.bring(bundle.id, "BUNDLE", one, created)
    return bundle


def new_workspace(
    store: RegionStore, kind: SampleBundle, bundle: Bundle, directory: Directory, index: int, now: float
) -> Workspace:
    """Make the WorkSpace with this number in the fleet, not yet in the store."""
    number = store.number()
    workspace_id = store.new_id("ws-")
    while workspace_id in store.workspaces:
        workspace_id = store.new_id("ws-")
    auto_stop = index % 2 == 1
    stopped = index % 6 == 1
    connected = not stopped and index % 4 == 0
    first, last = _FIRST[index % len(_FIRST)], _LAST[index % len(_LAST)]
    return Workspace(
        id=workspace_id,
        directory_id=directory.id,
        bundle_id=bundle.id,
        user_name=f"{first}.{last}.{index:04d}",
        state="STOPPED" if stopped else "AVAILABLE",
        sequence=number,
        created=now - _YEAR * store.source.random(),
        ip_address=address(number),
        subnet_id=directory.subnet_ids[index % 2],
        compute=kind.compute,
        operating_system=kind.operating_system,
        protocol=kind.protocol,
        running_mode="AUTO_STOP" if auto_stop else "ALWAYS_ON",
        auto_stop_minutes=60 if auto_stop else None,
        root_gib=kind.root_gib,
        user_gib=kind.user_gib,
        tags={},
        associations={},
        connected=connected,
        last_connection=now - 600.0 if connected else now - 86_400.0 if index % 3 else None,
    )


@public("workspaces_apps.simulator")
class Fleet:
    """The resources of one account in one Region, for tests: nothing here goes over the wire, or is throttled.

    Its methods can be called from any thread, whichever the simulator runs in.

    Args:
        current: The store, with everything carried out that was due.
        settings: The simulator's settings.
        now: Simulated epoch seconds.
        lock: Held by whoever reads or changes the store.
    """

    def __init__(
        self,
        current: Callable[[], RegionStore],
        settings: SimulatorSettings,
        now: Callable[[], float],
        lock: threading.RLock,
    ) -> None:
        self._current = current
        self._settings = settings
        self._now = now
        self._lock = lock

    @property
    def store(self) -> RegionStore:
        """The records themselves, for when no request is being answered: nothing is locked after this."""
        return self._current()

    @contextmanager
    def _locked(self) -> Generator[RegionStore]:
        with self._lock:
            yield self._current()

    def __len__(self) -> int:
        return len(self.store.workspaces)

    def __iter__(self) -> Iterator[str]:
        return iter(self.workspace_ids)

    @property
    def workspace_ids(self) -> list[str]:
        """The WorkSpaces that can be described, oldest first."""
        with self._locked() as store:
            return [workspace.id for workspace in store.all_workspaces if workspace.visible]

    @property
    def application_ids(self) -> list[str]:
        """The catalogue."""
        return list(self.store.applications)

    @property
    def directory_ids(self) -> list[str]:
        """The directories, oldest first."""
        return list(self.store.directories)

    @property
    def bundle_ids(self) -> list[str]:
        """The bundles, oldest first."""
        return list(self.store.bundles)

    @property
    def image_ids(self) -> list[str]:
        """The images, oldest first."""
        return list(self.store.images)

    def workspace(self, workspace_id: str) -> Workspace:
        """Return a WorkSpace's record.

        Raises:
            KeyError: There is none.
        """
        return self.store.workspaces[workspace_id]

    def application(self, name: str) -> str:
        """Return the id of the application whose name contains these words, in any case, the newest first.

        Raises:
            ConfigurationError: There is none.
        """
        words = name.lower().split()
        with self._locked() as store:
            found = [
                one for one in store.applications.order if all(word in one.name.lower() for word in words)
            ]
        if not found:
            raise ConfigurationError(f"the catalogue has no application like {name!r}")
        return max(found, key=lambda one: (one.state == "AVAILABLE", one.version or "")).id

    def associations(self, workspace_id: str) -> dict[str, State]:
        """Return the state of each application on a WorkSpace."""
        with self._locked() as store:
            associations = store.workspaces[workspace_id].associations
            return {one: association.state for one, association in associations.items()}

    def compatible(self, application: str, count: int = 1) -> list[str]:
        """Return the WorkSpaces on which an application can be installed now, and is not.

        Args:
            application: An application id.
            count: How many.

        Raises:
            ConfigurationError: There are not so many, or no such application.
        """
        check_whole("count", count)
        with self._locked() as store:
            wanted = _in_catalogue(store, application)
            found: list[str] = []
            for workspace in store.all_workspaces:
                if len(found) == count:
                    break
                if self._fits(store, workspace, wanted):
                    found.append(workspace.id)
            if len(found) < count:
                raise ConfigurationError(
                    f"only {len(found)} of {len(store.workspaces)} WorkSpaces can take {wanted.name}, not {count}: "
                    "ask for a larger fleet, or add_workspaces()"
                )
        return found

    def _fits(self, store: RegionStore, workspace: Workspace, application: Application) -> bool:
        if (
            workspace.state not in DEPLOYABLE
            or not workspace.visible
            or application.id in workspace.associations
        ):
            return False
        others = [store.applications[one] for one in workspace.associations]
        return installable(application, workspace, others, self._settings)

    def add_workspaces(
        self,
        count: int = 1,
        *,
        operating_system: str = "WINDOWS_SERVER_2022",
        compute: str = "PERFORMANCE",
        state: str = "AVAILABLE",
        running_mode: str = "AUTO_STOP",
        directory_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Add WorkSpaces that are ready at once.

        Args:
            count: How many.
            operating_system: An OperatingSystemName.
            compute: A Compute.
            state: A WorkspaceState.
            running_mode: A RunningMode.
            directory_id: Where; the first directory if None.
            tags: Tags for each.

        Returns:
            Their ids.

        Raises:
            ConfigurationError: An argument is of the wrong kind, or there is no such directory.
        """
        check_whole("count", count)
        for name, text in (
            ("operating_system", operating_system),
            ("compute", compute),
            ("state", state),
            ("running_mode", running_mode),
        ):
            check_text(name, text)
        check_mapping("tags", tags or {})
        kind = SampleBundle(
            f"Test {operating_system} {compute}", operating_system, compute, "WSP", 175, 100, 0
        )
        added: list[str] = []
        with self._locked() as store:
            now = self._now()
            directory_id = directory_id or next(iter(store.directories))
            check_known(directory_id, store.directories, "directory")
            directory = store.directories[directory_id]
            known = [bundle for bundle in store.bundles.values() if bundle.name == kind.name]
            bundle = known[0] if known else add_bundle(store, kind, now)
            for _ in range(count):
                workspace = new_workspace(store, kind, bundle, directory, len(store.workspaces), now)
                workspace.user_name = f"added.{workspace.sequence}"
                workspace.state = state
                workspace.running_mode = running_mode
                workspace.auto_stop_minutes = 60 if running_mode == "AUTO_STOP" else None
                workspace.tags = dict(tags or {})
                store.add_workspace(workspace)
                added.append(workspace.id)
        return added

    def set_state(self, workspace_id: str, state: str) -> None:
        """Put a WorkSpace into a state; whatever it was on its way to is off."""
        check_text("state", state)
        with self._locked() as store:
            workspace = store.workspaces[workspace_id]
            workspace.state = state
            workspace.epoch += 1

    def set_association(
        self,
        workspace_id: str,
        application: str,
        state: State | None,
        *,
        direction: Direction | None = None,
        reason: str | None = None,
    ) -> None:
        """Put an association into a state, whatever the rules say; None takes it away.

        Args:
            workspace_id: The WorkSpace.
            application: The application's id.
            state: An AssociationState.
            direction: What a record in ERROR had failed to become; install if None.
            reason: The StateReason's ErrorCode, for ERROR.

        Raises:
            ConfigurationError: The catalogue has no such application, or an argument is of the wrong kind.
        """
        if direction is not None:
            check_known(direction, get_args(Direction), "direction")
        if reason is not None:
            check_text("reason", reason)
        with self._locked() as store:
            _in_catalogue(store, application)
            workspace = store.workspaces[workspace_id]
            known = workspace.associations.get(application)
            if known is not None:
                store.drop_association(known)
            if state is not None:
                association = store.bring(workspace_id, "WORKSPACE", application, self._now())
                association.state = state
                association.before = "COMPLETED" if state == "PENDING_UNINSTALL_DEPLOYMENT" else "ABSENT"
                association.direction = (
                    None if state in ("COMPLETED", "REMOVED") else direction or _direction(state)
                )
                if state == "ERROR":
                    association.reason_code = reason or "DeploymentError.InternalServerError"
                    association.reason_message = "Set by a test."
            # What was planned for the record that was there is off.
            end_deployment(workspace)


def _in_catalogue(store: RegionStore, application: str) -> Application:
    found = store.applications.get(application)
    if found is None:
        raise ConfigurationError(
            f"the catalogue has no application {application!r}: give its id, as application(name) returns it"
        )
    return found


def _direction(state: State) -> Direction:
    return "uninstall" if "UNINSTALL" in state else "install"
