"""What is stored comes back, to its owner only, and goes when its time has come."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from localai.domain.errors import InvalidRequest, SetupError, ShuttingDown
from localai.domain.jobs import Job, JobState
from localai.state import (
    Database,
    Item,
    JobStore,
    NotStored,
    PageQuery,
    ResponseStore,
    SqliteStore,
    StoredConversation,
    StoredResponse,
)
from tests.clock import Clock
from tests.live import clean_environment

ME, YOU = "me", "you"


Use = Callable[[ResponseStore], Awaitable[None]]


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "data" / "state.db" if request.param == "file" else None


def run(use: Use, path: Path | None, **more: Any) -> None:
    async def open_and_use() -> None:
        clock = {"clock": more.pop("clock")} if "clock" in more else {}
        store = SqliteStore(Database(path, **clock), **more)
        try:
            await use(store)
        finally:
            await store.close()

    asyncio.run(open_and_use())


def row(number: int | str, status: str = "completed", **more: Any) -> StoredResponse:
    fields = {"created_unix_s": 5, "owner": ME, "response": b'{"n":%d}' % len(str(number))}
    return StoredResponse(response_id=f"resp_{number}", status=status, **(fields | more))


def items(*ids: str) -> list[Item]:
    return [(item_id, json.dumps({"id": item_id}).encode()) for item_id in ids]


def ids(found: Sequence[Item]) -> list[str]:
    assert all(json.loads(data)["id"] == item_id for item_id, data in found)
    return [item_id for item_id, _ in found]


def texts(found: Sequence[bytes]) -> list[str]:
    return [json.loads(data)["id"] for data in found]


async def missing(work: Coroutine[Any, Any, Any]) -> NotStored:
    with pytest.raises(NotStored) as caught:
        await work
    return caught.value


def test_a_response_comes_back_to_its_owner_only(path: Path | None) -> None:
    async def use(store: ResponseStore) -> None:
        kept = row(1, previous_id="resp_0", conversation_id="conv_1", streams=True)
        await store.add(kept, items("a"), items("b"))
        assert await store.get("resp_1", ME) == kept
        for work in (
            store.get("resp_1", YOU),
            store.get("resp_2", ME),
            store.delete("resp_1", YOU),
            store.history("resp_1", YOU),
            store.input_items("resp_1", YOU, PageQuery()),
        ):
            await missing(work)
        assert await store.find_items(["a", "b", "c"], ME) == dict(items("a", "b"))
        assert await store.find_items(["a", "b"], YOU) == {}
        await store.delete("resp_1", ME)
        await missing(store.get("resp_1", ME))
        assert await store.find_items(["a", "b"], ME) == {}

    run(use, path)


def test_an_id_is_used_once(path: Path | None) -> None:
    async def use(store: ResponseStore) -> None:
        await store.add(row(1), items("a"))
        for owner in (ME, YOU):
            with pytest.raises(InvalidRequest):
                await store.add(row(1, owner=owner), items("b"))
        page = await store.input_items("resp_1", ME, PageQuery())
        assert ids(page.items) == ["a"]

    run(use, path)


def test_history_goes_back_to_the_beginning(path: Path | None) -> None:
    async def use(store: ResponseStore) -> None:
        for n in range(50):
            before = f"resp_{n - 1}" if n else None
            await store.add(row(n, previous_id=before), items(f"in{n}"), items(f"out{n}"))
        await store.add(row("fork", previous_id="resp_3"), items("x"))
        told = [f"{what}{n}" for n in range(50) for what in ("in", "out")]
        assert texts(await store.history("resp_49", ME)) == told
        assert texts(await store.history("resp_fork", ME)) == [*told[:8], "x"]
        await store.delete("resp_20", ME)
        assert "resp_20" in (await missing(store.history("resp_49", ME))).message
        assert texts(await store.history("resp_19", ME)) == told[:40]

    run(use, path)


def test_input_comes_in_pages(path: Path | None) -> None:
    async def use(store: ResponseStore) -> None:
        names = [f"i{n}" for n in range(5)]
        await store.add(row(1), items(*names), items("out"))
        page = await store.input_items("resp_1", ME, PageQuery(limit=2))
        assert (ids(page.items), page.has_more) == (["i4", "i3"], True)
        page = await store.input_items("resp_1", ME, PageQuery(limit=3, after="i3"))
        assert (ids(page.items), page.has_more) == (["i2", "i1", "i0"], False)
        page = await store.input_items("resp_1", ME, PageQuery(is_ascending=True, after="i0"))
        assert (ids(page.items), page.has_more) == (names[1:], False)
        error = await missing(store.input_items("resp_1", ME, PageQuery(after="zz")))
        assert error.fields["param"] == "after"

    run(use, path)


def test_a_running_response_ends_once(path: Path | None) -> None:
    async def use(store: ResponseStore) -> None:
        await store.add(row(1, "queued", streams=True), items("a"))
        assert (await store.get("resp_1", ME)).is_running
        assert await store.update("resp_1", "in_progress", b"{}")
        await store.append_events("resp_1", 0, [(b"0", "x"), (b"1", "y")])
        last = [(b"2", "z")]
        assert await store.end(row(1, "completed", streams=True), items("b"), 2, last)
        assert not await store.end(row(1, "failed", streams=True), items("c"), 3, last)
        assert not await store.update("resp_1", "in_progress", b"{}")
        assert (await store.get("resp_1", ME)).status == "completed"
        assert texts(await store.history("resp_1", ME)) == ["a", "b"]
        assert await store.events("resp_1", -1, 9) == (
            (0, b"0", "x"),
            (1, b"1", "y"),
            (2, b"2", "z"),
        )
        assert await store.events("resp_1", 0, 1) == ((1, b"1", "y"),)
        await store.drop_events("resp_1", 2)
        assert await store.events("resp_1", -1, 9) == ((2, b"2", "z"),)
        await store.delete("resp_1", ME)
        assert await store.events("resp_1", -1, 9) == ()
        assert not await store.end(row(1), (), 0, last)
        await store.append_events("resp_1", 0, last)
        assert await store.events("resp_1", -1, 9) == ()

    run(use, path)


def test_responses_expire_but_not_what_is_gone_on_from(path: Path | None) -> None:
    clock = Clock()

    async def use(store: ResponseStore) -> None:
        await store.add(row(1), items("a"))
        await store.add(row(2), items("b"))
        clock.now_s += 60
        await store.add(row(3, previous_id="resp_1"), items("c"))
        await store.add(row(4, "queued"), items("d"))
        clock.now_s += 61
        await missing(store.get("resp_2", ME))
        assert texts(await store.history("resp_3", ME)) == ["a", "c"]
        await store.add(row(5), ())
        assert await store.find_items(["b"], ME) == {}, "it was thrown away"
        clock.now_s += 1000
        assert (await store.get("resp_4", ME)).is_running
        await missing(store.get("resp_1", ME))

    run(use, path, ttl_s=100, clock=clock)


def test_nothing_expires_without_a_limit(path: Path | None) -> None:
    clock = Clock()

    async def use(store: ResponseStore) -> None:
        await store.add(row(1), items("a"))
        clock.now_s += 1e9
        await store.add(row(2), items("b"))
        assert await store.get("resp_1", ME) == row(1)

    run(use, path, clock=clock)


def test_conversations(path: Path | None) -> None:
    async def use(store: ResponseStore) -> None:
        made = StoredConversation(
            conversation_id="conv_1", created_unix_s=5, owner=ME, metadata={"a": "b"}
        )
        await store.add_conversation(made, items("a", "b"))
        assert await store.conversation("conv_1", ME) == made
        changed = await store.update_conversation("conv_1", ME, {"c": "d"})
        assert changed.metadata == {"c": "d"}
        assert await store.conversation("conv_1", ME) == changed
        await store.add_items("conv_1", ME, items("c", "a"))
        assert texts(await store.conversation_history("conv_1", ME)) == ["a", "b", "c"]
        page = await store.conversation_items("conv_1", ME, PageQuery(limit=2))
        assert (ids(page.items), page.has_more) == (["c", "b"], True)
        assert texts([await store.conversation_item("conv_1", "b", ME)]) == ["b"]
        await store.delete_item("conv_1", "b", ME)
        for work in (
            store.conversation_item("conv_1", "b", ME),
            store.delete_item("conv_1", "b", ME),
            store.conversation("conv_1", YOU),
            store.update_conversation("conv_1", YOU, {}),
            store.delete_conversation("conv_1", YOU),
            store.add_items("conv_1", YOU, items("x")),
            store.conversation_items("conv_1", YOU, PageQuery()),
            store.conversation_history("conv_1", YOU),
            store.conversation_item("conv_1", "a", YOU),
        ):
            await missing(work)
        await store.delete_conversation("conv_1", ME)
        await missing(store.conversation("conv_1", ME))
        assert await store.find_items(["a", "c"], ME) == {}

    run(use, path)


def test_a_conversation_grows_by_what_is_said_in_it(path: Path | None) -> None:
    async def use(store: ResponseStore) -> None:
        made = StoredConversation(conversation_id="conv_1", created_unix_s=5, owner=ME)
        await store.add_conversation(made, ())
        await store.add(row(1, conversation_id="conv_1"), items("a"), items("b"))
        await store.add(row(2, "queued", conversation_id="conv_1"), items("c"))
        assert texts(await store.conversation_history("conv_1", ME)) == ["a", "b"]
        await store.end(row(2, conversation_id="conv_1"), items("d"), 0, ())
        assert texts(await store.conversation_history("conv_1", ME)) == ["a", "b", "c", "d"]
        await store.delete_conversation("conv_1", ME)
        await store.add(row(3, conversation_id="conv_1"), items("e"), items("f"))
        page = await store.input_items("resp_3", ME, PageQuery())
        assert ids(page.items) == ["e"]

    run(use, path)


def test_a_response_of_a_conversation_remembers_what_came_before_it(path: Path | None) -> None:
    async def use(store: ResponseStore) -> None:
        made = StoredConversation(conversation_id="conv_1", created_unix_s=5, owner=ME)
        await store.add_conversation(made, items("zero"))
        for n in (1, 2, 3):
            kept = row(n, conversation_id="conv_1")
            await store.add(kept, items(f"in{n}"), items(f"out{n}") if n < 3 else ())
        await store.add(row(4, previous_id="resp_2"), items("in4"), items("out4"))
        told = ["zero", "in1", "out1", "in2", "out2"]
        assert texts(await store.history("resp_2", ME)) == told
        assert texts(await store.history("resp_4", ME)) == [*told, "in4", "out4"]
        assert texts(await store.history("resp_3", ME)) == [*told, "in3"]
        await store.delete_conversation("conv_1", ME)
        assert "conv_1" in (await missing(store.history("resp_4", ME))).message

    run(use, path)


def test_many_at_once(path: Path | None) -> None:
    async def use(store: ResponseStore) -> None:
        async def one(n: int) -> None:
            await store.add(row(n, "queued", streams=True), items(f"i{n}"))
            for place in range(10):
                await store.append_events(f"resp_{n}", place, [(b"%d" % place, "e")])
            assert await store.end(row(n, streams=True), items(f"o{n}"), 10, ())

        await asyncio.gather(*(one(n) for n in range(30)))
        for n in range(30):
            assert texts(await store.history(f"resp_{n}", ME)) == [f"i{n}", f"o{n}"]
            assert len(await store.events(f"resp_{n}", -1, 99)) == 10

    run(use, path)


def test_no_file_is_made_before_something_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "data" / "state.db"

    async def use(store: ResponseStore) -> None:
        assert await store.recover(lambda _row, _number: (b"", ())) == 0

    run(use, path)
    assert list(tmp_path.iterdir()) == []


def test_others_may_not_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    run(lambda store: store.add(row(1), items("a")), path)
    assert path.stat().st_mode & 0o077 == 0


def test_a_closed_store_says_so(path: Path | None) -> None:
    async def use(store: ResponseStore) -> None:
        await store.close()
        with pytest.raises(ShuttingDown):
            await store.get("resp_1", ME)

    run(use, path)


@pytest.mark.parametrize("content", [b"this is no database" * 50, None])
def test_a_file_that_cannot_be_used_says_so(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state.db"
    if content is not None:
        path.write_bytes(content)
    else:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()

    async def use(store: ResponseStore) -> None:
        with pytest.raises(SetupError) as caught:
            await store.get("resp_1", ME)
        assert str(path) in caught.value.message

    run(use, path)


def test_an_error_of_the_database_is_one_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    async def use(store: ResponseStore) -> None:
        await store.add(row(1), ())
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE items")
        other.close()
        with pytest.raises(SetupError):
            await store.history("resp_1", ME)

    run(use, path)


DYING = """
import asyncio, pathlib, sys
from localai.state import Database, SqliteStore, StoredResponse
async def main():
    store = SqliteStore(Database(pathlib.Path(sys.argv[1])))
    for n, status in enumerate(["completed", "queued", "in_progress"]):
        await store.add(StoredResponse(response_id=f"resp_{n}", created_unix_s=5, status=status,
                        owner="me", response=b'{"was":"' + status.encode() + b'"}', streams=True),
                        [(f"i{n}", b'{"id":"i%d"}' % n)])
    number = 0
    while True:
        await store.append_events("resp_2", number, [(b"%d" % number, "e")])
        number += 1
        if number == 20:
            print("running", flush=True)
asyncio.run(main())
"""


def test_what_a_killed_server_left_running_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with subprocess.Popen(
        [sys.executable, "-c", DYING, str(path)],
        stdout=subprocess.PIPE,
        env=clean_environment(),
    ) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == b"running\n"
        dying.send_signal(signal.SIGKILL)

    asked: list[tuple[str, int]] = []

    def ending(stored: StoredResponse, number: int) -> tuple[bytes, Sequence[tuple[bytes, str]]]:
        asked.append((stored.response_id, number))
        return b'{"is":"failed"}', [(b"last", "end")]

    async def use(store: ResponseStore) -> None:
        assert await store.recover(ending) == 2
        assert (await store.get("resp_0", ME)).status == "completed"
        for name, number in asked:
            found = await store.get(name, ME)
            assert (found.status, found.response) == ("failed", b'{"is":"failed"}')
            events = await store.events(name, -1, 10_000)
            assert [event[0] for event in events] == list(range(number + 1)), "none is missing"
            assert events[-1] == (number, b"last", "end")
        assert await store.recover(ending) == 0
        assert texts(await store.history("resp_2", ME)) == ["i2"]

    run(use, path)
    assert list((tmp_path / "servers").iterdir()) == [], "the dead one's file is gone, too"
    assert min(asked) == ("resp_1", 0)
    assert max(asked)[1] >= 20


def test_two_servers_may_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    async def use(store: ResponseStore) -> None:
        other = SqliteStore(Database(path))

        async def fill(one: ResponseStore, name: str) -> None:
            for n in range(20):
                await one.add(row(f"{name}{n}"), items(f"{name}{n}"))

        await asyncio.gather(fill(store, "a"), fill(other, "b"))
        for name in ("a19", "b19"):
            assert texts(await store.history(f"resp_{name}", ME)) == [name]
            assert texts(await other.history(f"resp_{name}", ME)) == [name]
        await other.close()

    run(use, path)


def failed(stored: StoredResponse, number: int) -> tuple[bytes, Sequence[tuple[bytes, str]]]:
    del stored, number
    return b'{"is":"failed"}', [(b"last", "end")]


def test_what_a_living_server_works_on_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    async def use(store: ResponseStore) -> None:
        first = SqliteStore(Database(path))
        await first.add(row(1, "in_progress"), ())
        await first.add(row(2, "queued"), ())
        assert await store.recover(failed) == 0
        assert await store.runs_elsewhere("resp_1")
        assert not await first.runs_elsewhere("resp_1")
        assert await first.end(row(1), (), 0, ())
        assert not await store.runs_elsewhere("resp_1")
        await first.close()
        assert not await store.runs_elsewhere("resp_2"), "nobody works on it any more"
        assert await store.recover(failed) == 1
        assert [(await store.get(f"resp_{n}", ME)).status for n in (1, 2)] == [
            "completed",
            "failed",
        ]

    run(use, path)
    assert list((tmp_path / "servers").iterdir()) == []


def test_what_dead_servers_left_of_themselves_goes(tmp_path: Path) -> None:
    """Also that of one that was working on nothing."""
    folder = tmp_path / "servers"
    folder.mkdir()
    for name in ("dead", "old.new", "young.new"):
        (folder / name).touch()
    os.utime(folder / "old.new", (1.0, 1.0))

    async def use(store: ResponseStore) -> None:
        await store.add(row(1), ())
        assert {path.name for path in folder.iterdir()} > {"young.new"}
        assert not {"dead", "old.new"} & {path.name for path in folder.iterdir()}

    run(use, tmp_path / "state.db")
    assert [path.name for path in folder.iterdir()] == ["young.new"]


def test_jobs_are_taken_over_from_dead_servers_only(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    async def use() -> None:
        bases = [Database(path) for _ in range(3)]
        first, second, third = map(JobStore, bases)
        await first.put(Job(job_id="a", kind="model", subject="m", request={"written": "m"}))
        await first.put(Job(job_id="b", kind="model", subject="m", state=JobState.DONE))
        assert [job.job_id for job in await second.take_over()] == ["b"]
        await bases[0].close()
        assert [job.job_id for job in await second.take_over()] == ["a", "b"]
        assert [job.job_id for job in await third.take_over()] == ["b"], "the second has it now"
        await bases[1].close()
        await bases[2].close()

    asyncio.run(use())


def test_a_file_of_the_version_before_is_read(tmp_path: Path) -> None:
    """One from before rows named the server that works on them: that one is dead."""
    path = tmp_path / "state.db"

    async def use(store: ResponseStore) -> None:
        await store.add(row(1, "in_progress"), ())

    async def look(store: ResponseStore) -> None:
        assert await store.recover(failed) == 1

    run(use, path)
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE responses DROP COLUMN server")
        db.execute("ALTER TABLE jobs DROP COLUMN server")
        db.execute("PRAGMA user_version = 3")
    db.close()
    run(look, path)
