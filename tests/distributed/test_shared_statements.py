"""Statements that journals of one database share: what belongs to which, and what becomes of it where one fails."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString

import pytest

from workspaces_apps.rollout import JournalError
from workspaces_apps.rollout._journal.postgresql import (
    Database,
    PostgresqlStorage,
    SharedStatements,
    StatementBatcher,
    open_database,
)
from workspaces_apps.rollout._journal.segments import Lease, StoreUnavailableError
from workspaces_apps.rollout._journal.stores import parse_database


async def turns() -> None:
    """Let other tasks run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_comes_during_a_statement_goes_with_the_next() -> None:
    """One at a time; who is cancelled while it waits is left out, and the others get their own answers."""
    statements: list[Sequence[int]] = []
    free = asyncio.Event()

    async def execute(requests: Sequence[int]) -> Sequence[int]:
        statements.append(requests)
        await free.wait()
        return [10 * one for one in requests]

    batcher = StatementBatcher(execute)
    first = [asyncio.create_task(batcher.ask(one)) for one in (1, 2)]
    await turns()
    others = [asyncio.create_task(batcher.ask(one)) for one in (3, 4, 5)]
    await turns()
    others[1].cancel()
    free.set()

    assert await asyncio.gather(*first, others[0], others[2]) == [10, 20, 30, 50]
    assert statements == [[1, 2], [3, 5]]
    assert await batcher.ask(6) == 60


async def test_one_that_is_refused_does_not_refuse_the_others() -> None:
    """Where the database refuses a statement for several, each is tried by itself."""

    async def execute(requests: Sequence[int]) -> Sequence[int]:
        if 2 in requests:
            raise JournalError("2 is refused")
        return requests

    batcher = StatementBatcher(execute)
    found = await asyncio.gather(*map(batcher.ask, range(4)), return_exceptions=True)

    assert [one if isinstance(one, int) else str(one) for one in found] == [0, 1, "2 is refused", 3]


async def test_nobody_waits_for_a_statement_that_broke() -> None:
    """Whatever the error is."""

    def ignore(_loop: asyncio.AbstractEventLoop, _context: dict[str, object]) -> None:
        """Leave out the message that a task's error was never retrieved."""

    asyncio.get_running_loop().set_exception_handler(ignore)

    async def execute(_: Sequence[int]) -> Sequence[int]:
        raise ArithmeticError

    batcher = StatementBatcher(execute)
    found = await asyncio.gather(*map(batcher.ask, range(2)), return_exceptions=True)

    assert [type(one) for one in found] == [asyncio.CancelledError] * 2


async def test_a_statement_carries_a_limited_number_of_bytes() -> None:
    """Large ones go in several, and one that is larger than that by itself."""
    statements: list[Sequence[int]] = []

    async def execute(requests: Sequence[int]) -> Sequence[int]:
        statements.append(requests)
        return requests

    batcher = StatementBatcher(execute, size=lambda megabytes: megabytes << 20)
    await asyncio.gather(*map(batcher.ask, [9, 1, 2, 1, 3, 1]))

    assert statements == [[9], [1, 2, 1], [3, 1]]


@pytest.mark.parametrize("error", [StoreUnavailableError("gone"), JournalError("refused")], ids=type)
async def test_a_statement_that_fails_fails_for_all_and_not_for_ever(error: Exception) -> None:
    """Each hears of it by an error of its own, and the next statement is another one."""
    failing = True

    async def execute(requests: Sequence[int]) -> Sequence[int]:
        if failing:
            raise error
        return requests

    batcher = StatementBatcher(execute)
    found = await asyncio.gather(*map(batcher.ask, range(3)), return_exceptions=True)
    assert {(type(one), str(one)) for one in found} == {(type(error), str(error))}
    assert len({id(one) for one in found}) == 3

    failing = False
    assert await batcher.ask(7) == 7


async def test_no_statement_takes_any_number_of_requests() -> None:
    """A thousand are several statements."""
    sizes: list[int] = []

    async def execute(requests: Sequence[int]) -> Sequence[int]:
        sizes.append(len(requests))
        return requests

    assert await asyncio.gather(*map(StatementBatcher(execute).ask, range(1000))) == list(range(1000))
    assert sum(sizes) == 1000
    assert max(sizes) == 200


class Statements:
    """The statements that a database has executed.

    Attributes:
        count: How many.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        execute = Database.rows

        async def counted(
            database: Database, query: LiteralString, *parameters: object
        ) -> Sequence[tuple[object, ...]]:
            self.count += 1
            return await execute(database, query, *parameters)

        monkeypatch.setattr(Database, "rows", counted)


@asynccontextmanager
async def journals(database: str, count: int) -> AsyncGenerator[list[PostgresqlStorage]]:
    """Journals of one database, each with a lease of the first epoch."""
    opened = await open_database(parse_database(database))
    try:
        shared = SharedStatements(opened)
        storages = [PostgresqlStorage(shared, f"journal-{number:03}") for number in range(count)]
        for storage in storages:
            token = await storage.write_lease(Lease(epoch=1, owner="a", seconds=60), instead_of=None)
            assert token == "1.0"
        yield storages
    finally:
        await opened.close()


async def test_journals_share_statements(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments, renewals and control records of thirty journals are three statements, and each gets its own."""
    async with journals(database, 30) as storages:
        assert await storages[7].write_control(b"pause", instead_of=None)
        statements = Statements(monkeypatch)
        bodies = [f"body {number}".encode() for number in range(30)]
        put = await asyncio.gather(
            *(one.put(1, body, epoch=1) for one, body in zip(storages, bodies, strict=True))
        )
        beats = await asyncio.gather(
            *(
                one.write_lease(Lease(epoch=1, owner="a", beat=1, seconds=60), instead_of="1.0")
                for one in storages
            )
        )
        controls = await asyncio.gather(*(one.read_control() for one in storages))

        assert statements.count == 3
        assert list(put) == [True] * 30
        assert list(beats) == ["1.1"] * 30
        assert controls == [(b"pause", "1") if number == 7 else None for number in range(30)]
        assert [await one.read(1) for one in storages] == [[body] for body in bodies]
        found = [await one.read_lease() for one in storages]
        assert {lease for lease in found if lease is not None} == {
            (Lease(epoch=1, owner="a", beat=1, seconds=60), "1.1")
        }


async def test_who_has_lost_a_journal_writes_nothing_beside_those_who_have_not(database: str) -> None:
    """In one statement: the old epoch, a number that is taken, and a beat that is not the last are left out."""
    async with journals(database, 2) as (lost, held):
        over = await lost.write_lease(Lease(epoch=2, owner="b", seconds=60), instead_of="1.0")
        assert over == "2.0"
        first = await asyncio.gather(
            lost.put(1, b"late", epoch=1), lost.put(1, b"mine", epoch=2), held.put(1, b"other", epoch=1)
        )
        second = await asyncio.gather(
            lost.put(2, b"next", epoch=2), held.put(1, b"again", epoch=1), held.put(2, b"further", epoch=1)
        )
        renewed = await asyncio.gather(
            lost.write_lease(Lease(epoch=1, owner="a", beat=1, seconds=60), instead_of="1.0"),
            lost.write_lease(Lease(epoch=2, owner="b", beat=1, seconds=60), instead_of="2.0"),
            held.write_lease(Lease(epoch=1, owner="a", beat=9, seconds=60), instead_of="1.8"),
        )

        assert [*first, *second] == [False, True, True, True, False, True]
        assert list(renewed) == [None, "2.1", None]
        assert await lost.read(1) == [b"mine", b"next"]
        assert await held.read(1) == [b"other", b"further"]


@pytest.mark.parametrize(
    "asked,idle", [("", "4"), ("?keepalives_idle=60&connect_timeout=9", "60")], ids=["ours", "the URL's"]
)
async def test_a_connection_whose_other_end_is_gone_fails_by_itself(
    database: str, asked: str, idle: str
) -> None:
    """Within seconds, not after the hours of the system's defaults; the URL may say otherwise."""
    opened = await open_database(parse_database(database + asked))
    try:
        async with opened.connection() as connection:
            parameters = connection.info.get_parameters()
    finally:
        await opened.close()

    assert parameters["keepalives_idle"] == idle
    assert parameters["tcp_user_timeout"] == "10000"
    assert parameters.get("connect_timeout") == ("9" if asked else "5")
