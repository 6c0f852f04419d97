"""Files are kept whole or not at all, for their owner only, and go when their time has come."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from localai.domain.errors import FileTooLarge, NotStored, SetupError, StorageFull
from localai.domain.files import FileQuery, NewFile, StoredFile
from localai.state import Database, FileStore, PageQuery, SqliteStore, StoredResponse
from localai.state.incoming import RESERVE_BYTES
from localai.state.schema import _RESPONSES
from tests.clock import Clock
from tests.live import clean_environment

ME, YOU = "me", "you"
DAY_S = 86_400.0
ALL = FileQuery(limit=100, is_ascending=True)


def run(
    use: Callable[[FileStore], Awaitable[None]],
    folder: Path,
    *,
    clock: Clock | None = None,
    **more: Any,
) -> None:
    async def open_and_use() -> None:
        database = Database(folder / "state.db", clock=clock or Clock())
        try:
            await use(FileStore(folder / "files", database, **({"limit_bytes": 1000} | more)))
        finally:
            await database.close()

    asyncio.run(open_and_use())


async def kept(
    store: FileStore, data: bytes = b"hello", name: str = "a.txt", owner: str = ME, **new: Any
) -> StoredFile:
    incoming = store.receive(len(data))
    incoming.write(data)
    return await store.keep(
        incoming, NewFile(**new), owner=owner, filename=name, media_type="text/plain"
    )


async def read(store: FileStore, file_id: str, owner: str = ME) -> bytes:
    _, file = await store.open(file_id, owner)
    with file:
        return file.read()


async def names(store: FileStore, query: FileQuery = ALL, owner: str = ME) -> list[str]:
    return [file.filename for file in (await store.list(owner, query)).files]


def on_disk(folder: Path) -> list[Path]:
    return sorted((folder / "files").iterdir())


def test_a_file_comes_back_to_its_owner_only(tmp_path: Path) -> None:
    async def use(store: FileStore) -> None:
        file = await kept(store, b"secret", purpose="user_data")
        assert await store.get(file.file_id, ME) == file
        assert (file.size_bytes, file.purpose, file.expires_unix_s) == (6, "user_data", None)
        assert await read(store, file.file_id) == b"secret"
        for work in (
            store.get(file.file_id, YOU),
            store.open(file.file_id, YOU),
            store.delete(file.file_id, YOU),
            store.list(YOU, FileQuery(limit=5, after=file.file_id)),
        ):
            with pytest.raises(NotStored):
                await work
        assert await names(store, owner=YOU) == []
        [path] = on_disk(tmp_path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    run(use, tmp_path)


@pytest.mark.parametrize(
    "file_id", ["", ".", "..", "../state.db", "/etc/passwd", "file-", "file-../x", "\0", "x" * 9000]
)
def test_an_id_of_a_callers_making_reaches_no_path(tmp_path: Path, file_id: str) -> None:
    async def use(store: FileStore) -> None:
        await kept(store)
        for work in (store.open(file_id, ME), store.delete(file_id, ME)):
            with pytest.raises(NotStored):
                await work
        assert len(on_disk(tmp_path)) == 1

    run(use, tmp_path)
    assert (tmp_path / "state.db").exists()


def test_files_survive_a_restart_and_are_deleted_once(tmp_path: Path) -> None:
    found: list[StoredFile] = []

    async def write(store: FileStore) -> None:
        found.append(await kept(store, b"to stay"))

    async def later(store: FileStore) -> None:
        await store.recover()
        file_id = found[0].file_id
        assert await store.get(file_id, ME) == found[0]
        assert await read(store, file_id) == b"to stay"
        _, opened = await store.open(file_id, ME)
        await store.delete(file_id, ME)
        with opened:
            assert opened.read() == b"to stay", "who was reading reads on"
        with pytest.raises(NotStored):
            await store.delete(file_id, ME)
        assert on_disk(tmp_path) == []

    run(write, tmp_path)
    run(later, tmp_path)


def test_lists_have_pages_orders_and_filters(tmp_path: Path) -> None:
    async def use(store: FileStore) -> None:
        files = [
            await kept(store, name=str(n), purpose="vision" if n % 2 else "batch") for n in range(5)
        ]
        ids = [file.file_id for file in files]
        assert await names(store) == ["0", "1", "2", "3", "4"]
        assert await names(store, FileQuery(limit=9)) == ["4", "3", "2", "1", "0"]
        page = await store.list(ME, FileQuery(limit=2))
        assert ([file.filename for file in page.files], page.has_more) == (["4", "3"], True)
        after = FileQuery(limit=3, after=page.files[-1].file_id)
        page = await store.list(ME, after)
        assert ([file.filename for file in page.files], page.has_more) == (["2", "1", "0"], False)
        assert await names(store, FileQuery(limit=9, purpose="vision")) == ["3", "1"]
        wanted = FileQuery(limit=9, file_ids=(ids[2], "file-unknown", ids[4]))
        assert await names(store, wanted) == ["4", "2"]
        assert await names(store, FileQuery(limit=9, file_ids=())) == []
        with pytest.raises(NotStored) as caught:
            await store.list(ME, FileQuery(limit=9, after="file-unknown"))
        assert caught.value.fields["param"] == "after"

    run(use, tmp_path)


def test_a_file_goes_when_its_time_has_come(tmp_path: Path) -> None:
    clock = Clock()

    async def use(store: FileStore) -> None:
        short = await kept(store, name="short", ttl_s=3600.0)
        usual = await kept(store, name="usual")
        assert short.expires_unix_s == int(clock.now_s) + 3600
        assert usual.expires_unix_s == int(clock.now_s + DAY_S)
        clock.now_s += 3601
        with pytest.raises(NotStored):
            await store.open(short.file_id, ME)
        assert await names(store) == ["usual"]
        last = await kept(store, name="last", ttl_s=10 * DAY_S)  # any change sweeps
        assert {path.name for path in on_disk(tmp_path)} == {usual.file_id, last.file_id}
        clock.now_s += DAY_S
        await store.recover()  # and so does a start
        assert [path.name for path in on_disk(tmp_path)] == [last.file_id]

    run(use, tmp_path, clock=clock, ttl_s=DAY_S)


def test_what_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    async def use(store: FileStore) -> None:
        with pytest.raises(FileTooLarge):
            store.receive(1001)
        incoming = store.receive(0)
        incoming.write(b"x" * 1000)
        with pytest.raises(FileTooLarge):
            incoming.write(b"x")
        incoming.discard()
        incoming.discard()
        assert on_disk(tmp_path) == []

    run(use, tmp_path)


def test_a_full_disk_is_told_before_and_while_it_fills(tmp_path: Path) -> None:
    free = RESERVE_BYTES + 50_000_000

    async def use(store: FileStore) -> None:
        nonlocal free
        with pytest.raises(StorageFull) as caught:
            store.receive(60_000_000)
        assert "needs 60 MB" in caught.value.sentence
        assert "has 50 MB to spare" in caught.value.sentence
        incoming = store.receive(40_000_000)
        free = RESERVE_BYTES - 1
        with pytest.raises(StorageFull):
            incoming.write(bytes(20_000_000))
        incoming.discard()
        assert on_disk(tmp_path) == []

    run(use, tmp_path, limit_bytes=100_000_000, free=lambda _: free)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("a file stands in the way")

    async def use(store: FileStore) -> None:
        with pytest.raises(SetupError, match="cannot take uploads"):
            store.receive(5)

    run(use, tmp_path)


def test_an_upload_that_was_swept_away_is_not_kept(tmp_path: Path) -> None:
    async def use(store: FileStore) -> None:
        incoming = store.receive(5)
        incoming.write(b"hello")
        on_disk(tmp_path)[0].unlink()
        with pytest.raises(SetupError):
            await store.keep(incoming, NewFile(), owner=ME, filename="a", media_type="text/plain")
        assert await names(store) == []

    run(use, tmp_path)


DYING = """
import asyncio, pathlib, sys
from localai.state import Database, FileStore
folder = pathlib.Path(sys.argv[1])
store = FileStore(folder / "files", Database(folder / "state.db"), limit_bytes=1000)
incoming = store.receive(0)
incoming.write(b"half")
print("writing", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_server_was_receiving_is_removed(tmp_path: Path) -> None:
    def make_old() -> Path:
        [path] = [path for path in on_disk(tmp_path) if path.suffix == ".part"]
        os.utime(path, (0, 0))
        return path

    async def recover(store: FileStore) -> None:
        await store.recover()

    async def fill(store: FileStore) -> None:
        await kept(store, name="whole")
        (tmp_path / "files" / "file-unknown").write_text("moved, but the server died then")

    run(fill, tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", DYING, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_environment(),
    ) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == b"writing\n"
        path = make_old()
        run(recover, tmp_path)
        assert path.exists(), "that server still lives"
        dying.send_signal(signal.SIGKILL)
    make_old()
    run(recover, tmp_path)
    assert len(on_disk(tmp_path)) == 1, "only the whole file is left"


def test_a_database_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as older:
        for statement in _RESPONSES.split("\n\n"):
            older.execute(statement)
        older.execute("PRAGMA user_version = 1")
    older.close()

    async def use(store: FileStore) -> None:
        await kept(store, name="new")
        assert await names(store) == ["new"]

    async def responses() -> None:
        store = SqliteStore(Database(path))
        row = StoredResponse(
            response_id="resp_1", created_unix_s=5, status="completed", owner=ME, response=b"{}"
        )
        await store.add(row, [("a", b"{}")])
        assert (await store.input_items("resp_1", ME, PageQuery())).items == (("a", b"{}"),)
        await store.close()

    run(use, tmp_path)
    asyncio.run(responses())
    run(use, tmp_path / "other")
