"""Stores that do not answer: nothing begins that is not on record, the display says what is waited for, and it goes on."""

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.distributed.memory import Content, MemoryStorage
from tests.distributed.places import Postgresql, postgresql
from tests.distributed.test_lease import intent
from tests.distributed.test_stores import started
from tests.rollout.site import manifest, site
from workspaces_apps.rollout import Deployed, Intent, JournalError, open_journal, read_events
from workspaces_apps.rollout._journal.segments import (
    RealTime,
    SegmentedStore,
    SegmentStorage,
    StoreUnavailableError,
)


class Failing(MemoryStorage):
    """A store that answers, or does not, as the test says."""

    away = False

    async def put(self, number: int, body: bytes, *, epoch: int) -> bool:
        """Write a segment, unless the store is away."""
        if self.away:
            raise StoreUnavailableError("S3 answers SlowDown")
        return await super().put(number, body, epoch=epoch)


def store_of(storage: MemoryStorage, lease: float = 15.0, real_time: RealTime = RealTime()) -> SegmentedStore:  # noqa: B008 - frozen
    """A store with one connection."""

    @asynccontextmanager
    async def connect(_name: str) -> AsyncGenerator[SegmentStorage, None]:
        yield storage

    return SegmentedStore(connect, where="memory://", lease=lease, real_time=real_time)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    for _ in range(12_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never is")


async def test_an_apply_waits_for_its_store_and_goes_on() -> None:
    """No Deploy leaves meanwhile; `paused` says what is waited for."""
    storage = Failing(Content())
    async with site(6) as here:
        plan = await here.rollout.plan(manifest())
        async with here.rollout.apply(plan, journal=store_of(storage)) as events:
            storage.away = True
            await until(lambda: "waiting for the journal memory:/test: S3 answers SlowDown" in events.paused)
            await asyncio.sleep(0.2)
            assert not here.deployments()
            storage.away = False
            told = [event async for event in events]
        assert events.result is not None
        assert events.result.ending == "complete"
        assert events.paused == ""
        assert any(isinstance(event, Deployed) for event in told)
        assert set(here.deployments().values()) == {1}


async def test_an_apply_is_stopped_although_its_store_does_not_answer() -> None:
    """It gives the last words up after a while, and ends with the reason: SIGTERM must not wait for ever."""
    storage = Failing(Content())
    passed = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        await asyncio.sleep(0)

    store = store_of(storage, real_time=RealTime(steady=lambda: passed, sleep=sleep))
    async with site(4) as here:
        plan = await here.rollout.plan(manifest())

        async def carry_out() -> None:
            async with here.rollout.apply(plan, journal=store) as events:
                setattr(events, "_real_sleep", sleep)  # noqa: B010 - nothing public sets real time
                storage.away = True
                await until(lambda: "S3 answers SlowDown" in events.paused)

        with pytest.raises(JournalError, match="S3 answers SlowDown"):
            await carry_out()
        assert not here.deployments()


async def test_an_apply_whose_journal_is_taken_over_begins_nothing_more() -> None:
    """It ends with the reason, at once, although it has nothing to write just then."""
    content, hours = Content(), 3600.0
    passed = 0.0

    async def never(_seconds: float) -> None:
        await asyncio.sleep(hours)

    first = store_of(MemoryStorage(content), real_time=RealTime(steady=lambda: passed, sleep=never))
    async with site(4) as here:
        plan = await here.rollout.plan(manifest())

        async def carry_out() -> None:
            nonlocal passed
            async with here.rollout.apply(plan, journal=first) as events:
                passed = 14.0
                assert content.lease is not None
                # As another would, once this one has not renewed it for its length.
                content.lease = content.lease[0].model_copy(update={"epoch": 9, "owner": "x"}), 99
                content.segments[max(content.segments) + 1] = b"taken"
                async for _ in events:
                    pass

        with pytest.raises(JournalError, match="taken over by another apply"):
            await carry_out()
        assert not here.deployments()


@contextmanager
def small_disk(server: Postgresql) -> Generator[Path]:
    """Lend a file system of 8 MB that the server may write to, or skip the test where none may be mounted."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    with tempfile.TemporaryDirectory(prefix="small-disk-") as folder:
        made = mount and subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=8m", "none", folder], capture_output=True, check=False
        )
        if not made or made.returncode or umount is None:
            pytest.skip("only root may mount a file system, and not everywhere")
        server.give(Path(folder))
        try:
            yield Path(folder)
        finally:
            server.stop()
            subprocess.run([umount, folder], check=True)


def fill_disk(disk: Path) -> Path:
    """Write a file until nothing more fits; returns it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    return filler


async def test_a_database_whose_disk_is_full_is_waited_for() -> None:
    """Nothing begins that PostgreSQL cannot store; the display has its words; with room again, the run goes on."""
    with postgresql() as server, small_disk(server) as disk:
        database = server.make("full")
        url = f"{database}?name=full"
        await (await open_journal(url)).close()
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as admin:
            await admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'".encode())
            await admin.execute("ALTER TABLE workspaces_apps.segment SET TABLESPACE small")
            # Each row asks for a page of its own.
            await admin.execute("ALTER TABLE workspaces_apps.segment SET (fillfactor = 10)")
        async with site(6) as here:
            plan = await here.rollout.plan(manifest())
            filler = fill_disk(disk)
            async with here.rollout.apply(plan, journal=url) as events:
                await until(lambda: "No space left on device" in events.paused)
                assert "waiting for the journal" in events.paused
                assert "hunter2" not in events.paused
                assert not here.deployments()
                filler.unlink()
                async for _ in events:
                    pass
            assert events.result is not None
            assert events.result.ending == "complete"
            assert set(here.deployments().values()) == {1}
        intents = [one for one in await read_events(url) if isinstance(one, Intent)]
        assert sum(one.operation == "DeployWorkspaceApplications" for one in intents) == 6


async def test_a_database_that_refuses_to_grow_is_waited_for(database: str) -> None:
    """The same by PostgreSQL's own code for a full disk, where no file system can be mounted; midway this time."""
    url = f"{database}?name=full"
    await (await open_journal(url)).close()
    async with (
        await psycopg.AsyncConnection.connect(database, autocommit=True) as admin,
        site(6) as here,
    ):
        await admin.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
        )
        plan = await here.rollout.plan(manifest(max_in_flight=2))
        async with here.rollout.apply(plan, journal=url) as events:
            async for event in events:
                if isinstance(event, Deployed):
                    break
            await admin.execute(
                "CREATE TRIGGER full_disk BEFORE INSERT ON workspaces_apps.segment EXECUTE FUNCTION refuse()"
            )
            await until(lambda: "could not extend file" in events.paused)
            begun = here.deployments()
            await asyncio.sleep(0.2)
            assert here.deployments() == begun
            await admin.execute("DROP TRIGGER full_disk ON workspaces_apps.segment")
            async for _ in events:
                pass
        assert events.result is not None
        assert events.result.ending == "complete"
        assert set(here.deployments().values()) == {1}


class Cutter:
    """A TCP proxy before PostgreSQL that cuts a connection once the server has answered certain words.

    Attributes:
        words: What a client's message must have in it; empty to cut nothing.
        cuts: Connections that were cut.
    """

    def __init__(self, port: int) -> None:
        self.words = b""
        self.cuts = 0
        self._port = port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry the bytes of one connection."""
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        doomed = False

        async def ask() -> None:
            nonlocal doomed
            while data := await reader.read(65536):
                if self.words and self.words in data:
                    self.words, doomed = b"", True
                to_server.write(data)

        async def answer() -> None:
            while data := await from_server.read(65536):
                # With autocommit on, the server answers once the row is there for good.
                if doomed and b"INSERT 0 1" in data:
                    self.cuts += 1
                    return
                writer.write(data)

        both = [asyncio.create_task(ask()), asyncio.create_task(answer())]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        writer.transport.abort()
        to_server.transport.abort()


async def test_a_connection_that_is_cut_after_the_insert_loses_nothing(
    database: str, server: Postgresql
) -> None:
    """The row stands once, and its number, which is taken now, is no sign of another writer."""
    cutter = Cutter(server.port)
    listening = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        journal = await open_journal(f"{database.replace(f':{server.port}/', f':{port}/')}?name=cut")
        cutter.words = b"INSERT INTO workspaces_apps.segment"
        await journal.append(started(), intent(1), durable=True)
        assert cutter.cuts == 1
        await journal.append(intent(2), durable=True)
        await journal.close()

    assert list(await read_events(f"{database}?name=cut")) == [started(), intent(1), intent(2)]
