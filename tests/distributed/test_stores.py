"""Journals in S3 and PostgreSQL: kept, read back, one writer at a time, and nothing secret in what is shown."""

import asyncio
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.distributed.places import Postgresql
from workspaces_apps.rollout import (
    Event,
    Intent,
    JournalBusyError,
    JournalError,
    Report,
    Started,
    copy_journal,
    open_journal,
    read_events,
    write_control,
)
from workspaces_apps.rollout._journal.lines import LineReader
from workspaces_apps.rollout._journal.segments import SegmentJournal
from workspaces_apps.rollout._journal.stores import locate, parse_database, parse_url, title_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def started(name: str = "office", run: str = "r1") -> Event:
    """The beginning of a run."""
    return Started(at=NOW, run=run, name=name, plan="p", workspaces=1, changes=1)


def intent(number: int = 1) -> Event:
    """An intent."""
    return Intent(
        at=NOW,
        run="r1",
        workspace_id=f"ws-{number:09}",
        application_id="wsa-123456789",
        operation="DeployWorkspaceApplications",
        direction="install",
    )


async def test_what_was_written_is_read_back_by_whoever_opens_it(journal_url: str) -> None:
    """While it is written to, and by the next writer, in the order of the appends."""
    journal = await open_journal(journal_url, of="office")
    assert journal.past == []
    await journal.append(started())
    await journal.append(*(intent(number) for number in range(5)), durable=True)
    events = [started(), *(intent(number) for number in range(5))]

    assert list(await read_events(journal_url)) == events
    await journal.append(intent(9))
    await journal.close()
    again = await open_journal(journal_url, of="office")
    assert list(again.past) == [*events, intent(9)]
    await again.close()
    assert (await Report.load(journal_url)).name == "office"


async def test_a_long_journal_is_replayed_beside_the_loop(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where leases of other journals must be renewed meanwhile."""
    journal = await open_journal(journal_url, of="office")
    await journal.append(started(), *(intent(number) for number in range(2000)), durable=True)
    await journal.close()
    threads: list[int] = []
    read = LineReader.read

    def noted(reader: LineReader, content: bytes) -> Iterator[Event]:
        threads.append(threading.get_ident())
        return read(reader, content)

    monkeypatch.setattr(LineReader, "read", noted)
    assert len(await read_events(journal_url) or ()) == 2001
    again = await open_journal(journal_url, of="office")
    await again.close()
    # What the takeover adds is a line.
    assert threads.count(threading.get_ident()) == 1 < len(threads)


async def test_one_writes_at_a_time(journal_url: str) -> None:
    """Whoever comes second is told so in seconds, and hears no password."""
    journal = await open_journal(journal_url)
    try:
        with pytest.raises(JournalBusyError) as refused:
            await open_journal(journal_url)
    finally:
        await journal.close()
    assert "hunter2" not in str(refused.value)


async def test_the_journal_of_another_roll_out_is_refused(journal_url: str) -> None:
    """And left as it is, free for its own."""
    journal = await open_journal(journal_url)
    await journal.append(started("visio"), durable=True)
    await journal.close()

    with pytest.raises(JournalError, match="of the roll-out 'visio', not of 'office'"):
        await open_journal(journal_url, of="office")
    await (await open_journal(journal_url, of="visio")).close()


async def test_the_control_record_is_replaced_whoever_writes_at_the_same_time(journal_url: str) -> None:
    """Four commands at once have four numbers."""
    records = await asyncio.gather(*(write_control(journal_url, "pause", reason=str(n)) for n in range(4)))

    assert sorted(record.sequence for record in records) == list(range(1, 5))
    location = locate(journal_url)
    content = await location.store.read_control(location.name)
    assert content is not None
    assert len(content.splitlines()) == 4


async def test_there_is_no_journal_until_somebody_writes(journal_url: str) -> None:
    """Reading it says so."""
    with pytest.raises(JournalError, match="there is no journal ") as refused:
        await read_events(journal_url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url,rule",
    [
        ("redis://u:hunter2@host/1", r"redis://…; this release knows"),
        ("s3://bucket", "names no journal"),
        ("s3://u:hunter2@bucket/office", "no credentials"),
        ("s3://bucket/a/office?sses=AES256&secret=hunter2", "unknown option .*secret, sses"),
        ("postgresql://u:hunter2@host/db", "needs one name"),
    ],
)
async def test_a_url_that_names_no_journal_is_refused(url: str, rule: str) -> None:
    """With what would be right, and without what may be secret."""
    with pytest.raises(JournalError, match=rule) as refused:
        await open_journal(url)
    assert "hunter2" not in f"{refused.value}{refused.value.__cause__}"


@pytest.mark.parametrize(
    "url,place",
    [
        ("postgresql:///roll?host=/var/run/postgresql", "postgresql:///roll?host=%2Fvar%2Frun%2Fpostgresql"),
        ("postgresql://u:p%2F@%2Fvar%2Frun/roll", "postgresql://u:p%2F@%2Fvar%2Frun/roll"),
        ("postgres://u@[::1]:5432,other:5433/roll", "postgresql://u@[::1]:5432,other:5433/roll"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_a_database_may_be_a_socket_or_several_hosts(url: str, place: str) -> None:
    """As the driver takes it; what is left out is found by the driver."""
    database = parse_database(url)
    assert database.place == place
    with_name = parse_url(f"{url}{'&' if '?' in url else '?'}name=office")
    assert with_name is not None
    assert (with_name.place, with_name.name) == (place, "office")


async def test_a_journal_is_kept_through_a_unix_socket(server: Postgresql, database: str) -> None:
    """By the folder of the socket, as a parameter or as the host."""
    folder, port, name = server.folder, server.port, database.rpartition("/")[2]
    as_parameter = f"postgresql://tester@/{name}?host={folder}&port={port}&name=office"
    journal = await open_journal(as_parameter)
    await journal.append(started(), durable=True)
    await journal.close()
    as_host = f"postgresql://tester@{quote(str(folder), safe='')}:{port}/{name}?name=office"
    assert list(await read_events(as_host)) == [started()]
    assert list(
        await read_events(f"postgresql:///{name}?user=tester&host={folder}&port={port}&name=office")
    ) == [started()]


async def test_a_database_that_is_not_there_is_told_without_the_password() -> None:
    """With where it was looked for, and as whom."""
    pytest.importorskip("psycopg_pool", reason="the extra distributed is not installed")
    with pytest.raises(
        JournalError, match=r"cannot reach the database postgresql://u@127\.0\.0\.1:1/db"
    ) as refused:
        await open_journal("postgresql://u:hunter2@127.0.0.1:1/db?name=office")
    assert "hunter2" not in f"{refused.value}{refused.value.__cause__}"


def test_a_url_is_never_a_path(tmp_path: Path) -> None:
    """A function that takes a file refuses it, and the name of a store shows no password."""
    with pytest.raises(JournalError, match="not a URL: postgresql://u@host/db"):
        Report.from_journal("postgresql://u:hunter2@host/db?name=office&password=hunter2")
    assert "hunter2" not in repr(locate("postgresql://u:hunter2@host/db?name=office&password=hunter2"))
    assert repr(locate(tmp_path / "a.journal").name) == "'a.journal'"


async def test_a_journal_is_copied_from_store_to_store(journal_url: str, tmp_path: Path) -> None:
    """Whole, once, and only where there is none."""
    file = tmp_path / "office.journal"
    journal = await open_journal(file)
    await journal.append(started(), *(intent(number) for number in range(3)), durable=True)
    with pytest.raises(JournalBusyError):
        await copy_journal(file, journal_url)
    await journal.close()

    assert await copy_journal(file, journal_url) == 4
    assert list(await read_events(journal_url)) == list(await read_events(file))
    with pytest.raises(JournalError, match="is a journal already, with 4 events"):
        await copy_journal(file, journal_url)
    with pytest.raises(JournalError, match="there is no journal "):
        await copy_journal(tmp_path / "nothing.journal", journal_url)
    with pytest.raises(JournalError, match="is both the journal and the place for its copy"):
        await copy_journal(journal_url, journal_url)


async def test_a_busy_journal_is_called_by_its_url(journal_url: str) -> None:
    """The message names what somebody can pass to `report`."""
    writer = await open_journal(journal_url)
    with pytest.raises(JournalBusyError, match=re.escape(title_of(journal_url).partition("&")[0])):
        await open_journal(journal_url)
    await writer.close()


async def copied_in_part(to: str, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy the first group of a journal's events, and break off."""
    append = SegmentJournal.append

    async def append_once(journal: SegmentJournal, *events: Event, durable: bool = False) -> None:
        await append(journal, *events, durable=durable)
        raise JournalError("the machine is gone")

    with monkeypatch.context() as patched:
        patched.setattr(SegmentJournal, "append", append_once)
        with pytest.raises(JournalError, match="the machine is gone"):
            await copy_journal(source, to)


async def test_a_copy_that_was_broken_off_is_gone_on_with(
    journal_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the beginning of the source, and the same command writes the rest; what goes on otherwise is left alone."""
    file = tmp_path / "office.journal"
    journal = await open_journal(file)
    await journal.append(started(), *(intent(number) for number in range(2500)), durable=True)
    await journal.close()
    await copied_in_part(journal_url, file, monkeypatch)
    assert len(await read_events(journal_url)) == 1000

    assert await copy_journal(file, journal_url) == 2501
    assert list(await read_events(journal_url)) == list(await read_events(file))
    with pytest.raises(JournalError, match="is a journal already, with 2,501 events"):
        await copy_journal(file, journal_url)

    other = await open_journal(tmp_path / "other.journal")
    await other.append(started(), *(intent(number + 1) for number in range(3000)), durable=True)
    await other.close()
    with pytest.raises(JournalError, match="is a journal already, with 2,501 events"):
        await copy_journal(tmp_path / "other.journal", journal_url)
