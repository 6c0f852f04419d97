"""Files arrive whole and verified, whatever their server does."""

from __future__ import annotations

import asyncio
import os
import resource
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from localai.domain.downloads import ModelPlan, RemoteFile
from localai.domain.errors import ChecksumMismatch, InvalidRequest, LocalAIError, StorageFull
from localai.domain.source_errors import DownloadFailed, SourceForbidden, SourceNotFound
from localai.downloads.digest import Digest
from localai.downloads.partial import Partial
from localai.downloads.settings import DownloadSettings
from tests.downloads.file_server import Answer, Asked, FileServer, Rule, content, running, sha256
from tests.downloads.installing import QUICK, Bench, install, plan_of, quarantined, visible

SIZE = 4_000_000
ON_THE_WAY = 600_000  # bytes that a broken connection may hold
DATA = content(SIZE)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with running() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def dies_after(size: int) -> Rule:
    """A server that sends `size` bytes of its first answer, and then never anything."""
    return lambda asked, answer: replace(answer, stall_after=0 if asked.number else size)


def test_a_file_comes_in_parts_and_is_verified(server: FileServer, folder: Path) -> None:
    steps = install(folder, plan_of(server.add("/m.gguf", DATA), DATA))
    assert visible(folder) == {"m.gguf": DATA}
    assert len({asked.range for asked in server.asked}) > 1
    assert steps[-1].text == "done"
    assert (steps[-1].done_bytes, steps[-1].total_bytes) == (SIZE, SIZE)
    assert [step.done_bytes for step in steps] == sorted(step.done_bytes for step in steps)
    assert quarantined(folder) == []


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize("tenth", range(10))
def test_a_cut_at_every_tenth_costs_only_what_was_lost(
    server: FileServer, folder: Path, *, tenth: int, is_announced: bool
) -> None:
    address = server.add("/m.gguf", DATA)

    def cut(asked: Asked, answer: Answer) -> Answer:
        return replace(answer, cut_after=SIZE * tenth // 10) if asked.number == 0 else answer

    server.rule = cut
    plan = plan_of(address, DATA if is_announced else None)
    install(folder, plan, piece_bytes=SIZE)
    assert visible(folder) == {"m.gguf": DATA}
    assert server.sent["/m.gguf"] <= SIZE + ON_THE_WAY


@pytest.mark.parametrize("tenth", [0, 3, 9])
def test_a_cut_without_ranges_begins_anew(server: FileServer, folder: Path, tenth: int) -> None:
    server.has_ranges = False
    address = server.add("/m.gguf", DATA)
    server.rule = lambda asked, answer: (
        replace(answer, cut_after=SIZE * tenth // 10) if asked.number < 2 else answer
    )
    install(folder, plan_of(address, DATA))
    assert visible(folder) == {"m.gguf": DATA}


def test_what_came_is_kept_for_the_next_process(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)
    server.rule = dies_after(900_000)
    with pytest.raises(DownloadFailed) as failed:
        install(folder, plan_of(address, DATA), stall_s=0.1, piece_bytes=1_000_000)
    assert "nothing for a while" in failed.value.message
    assert visible(folder) == {}
    assert len(quarantined(folder)) == 1
    came = server.sent["/m.gguf"]
    server.rule = lambda _, answer: answer
    install(folder, plan_of(address, DATA))
    assert visible(folder) == {"m.gguf": DATA}
    assert server.sent["/m.gguf"] <= SIZE + min(came, ON_THE_WAY)


def test_a_file_that_changed_meanwhile_begins_anew(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)
    server.rule = dies_after(100_000)
    with pytest.raises(DownloadFailed):
        install(folder, plan_of(address, None), stall_s=0.1)
    other = content(SIZE, seed=2)
    server.add("/m.gguf", other)
    server.rule = lambda _, answer: answer
    install(folder, plan_of(address, None))
    assert visible(folder) == {"m.gguf": other}


def test_a_file_that_changes_while_it_comes_begins_anew(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)
    other = content(SIZE, seed=2)

    def change(asked: Asked, answer: Answer) -> Answer:
        if asked.number == 1:
            server.add("/m.gguf", other)
        return answer

    server.rule = change
    install(folder, plan_of(address, None), connections=1)
    assert visible(folder) == {"m.gguf": other}


def test_old_bytes_of_another_content_are_noticed_by_the_checksum(
    server: FileServer, folder: Path
) -> None:
    address = server.add("/m.gguf", content(SIZE, seed=2))
    server.rule = dies_after(100_000)
    with pytest.raises(DownloadFailed):
        install(folder, plan_of(address, DATA), stall_s=0.1)
    server.add("/m.gguf", DATA)
    server.rule = lambda _, answer: answer
    install(folder, plan_of(address, DATA))
    assert visible(folder) == {"m.gguf": DATA}


def test_a_wrong_checksum_leaves_nothing(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", content(SIZE, seed=2))
    with pytest.raises(ChecksumMismatch) as failed:
        install(folder, plan_of(address, DATA))
    assert sha256(DATA) in failed.value.message
    assert visible(folder) == {}
    assert quarantined(folder) == []


@pytest.mark.parametrize("announced", [SIZE - 1, SIZE + 1, 0])
def test_a_wrong_length_is_refused(server: FileServer, folder: Path, announced: int) -> None:
    address = server.add("/m.gguf", DATA)
    with pytest.raises(DownloadFailed) as failed:
        install(folder, plan_of(address, None, size_bytes=announced))
    assert str(SIZE) in failed.value.message
    assert visible(folder) == {}


@pytest.mark.parametrize("claimed", [-1, SIZE + 1000, SIZE - 1000])
def test_a_length_that_lies_never_gives_half_a_file(
    server: FileServer, folder: Path, claimed: int
) -> None:
    server.has_ranges = False
    address = server.add("/m.gguf", DATA)
    server.rule = lambda asked, answer: replace(answer, length=claimed, cut_after=SIZE)
    try:
        install(folder, plan_of(address, DATA))
    except LocalAIError:
        assert visible(folder) == {}
    else:
        assert visible(folder) == {"m.gguf": DATA}


def test_another_range_than_asked_for_is_refused(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)
    server.rule = lambda asked, answer: replace(
        answer, headers={**answer.headers, "Content-Range": f"bytes 7-{SIZE}/{SIZE}"}
    )
    with pytest.raises(DownloadFailed):
        install(folder, plan_of(address, DATA))
    assert visible(folder) == {}


def test_compressed_answers_are_refused(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)
    server.rule = lambda asked, answer: replace(
        answer, headers={**answer.headers, "Content-Encoding": "gzip"}
    )
    with pytest.raises(DownloadFailed):
        install(folder, plan_of(address, DATA))


def test_redirects_are_followed_and_loops_end(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)

    def redirect(asked: Asked, answer: Answer) -> Answer:
        if asked.path == "/m.gguf":
            return Answer(status=302, headers={"Location": "/there"})
        if asked.path == "/there":
            return replace(server.answer(replace(asked, path="/m.gguf")))
        return Answer(status=307, headers={"Location": f"/loop{asked.number % 2}"})

    server.rule = redirect
    install(folder, plan_of(address, DATA))
    assert visible(folder) == {"m.gguf": DATA}
    with pytest.raises(DownloadFailed) as failed:
        install(folder, plan_of(server.address("/loop0"), DATA, name="n"))
    assert "redirects more than 10 times" in failed.value.message


def test_a_token_goes_to_its_own_server_only(server: FileServer, folder: Path) -> None:
    with running() as other:
        other.add("/m.gguf", DATA)
        server.files["/m.gguf"] = DATA
        server.rule = lambda asked, answer: Answer(
            status=302, headers={"Location": other.address("/m.gguf")}
        )

        async def credentials(again: object) -> dict[str, str]:
            return {"Authorization": "Bearer secret"}

        plan = plan_of(server.address("/m.gguf"), DATA, credentials=credentials)
        install(folder, plan)
        assert {asked.headers.get("authorization") for asked in server.asked} == {"Bearer secret"}
        assert {asked.headers.get("authorization") for asked in other.asked} == {None}


def test_a_token_that_ran_out_is_asked_for_again(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)
    given: list[object] = []

    async def credentials(again: object) -> dict[str, str]:
        given.append(again)
        return {"Authorization": f"Bearer {len([one for one in given if one])}"}

    server.rule = lambda asked, answer: (
        answer if asked.headers["authorization"] != "Bearer 0" else Answer(status=401)
    )
    install(folder, plan_of(address, DATA, credentials=credentials), connections=1)
    assert visible(folder) == {"m.gguf": DATA}
    assert True in given


@pytest.mark.parametrize("status", [429, 503, 500, 502])
def test_a_busy_server_is_asked_again(server: FileServer, folder: Path, status: int) -> None:
    address = server.add("/m.gguf", DATA)
    began_s = time.monotonic()
    server.rule = lambda asked, answer: (
        Answer(status=status, headers={"Retry-After": "0.3"}) if asked.number < 2 else answer
    )
    install(folder, plan_of(address, DATA))
    assert visible(folder) == {"m.gguf": DATA}
    assert time.monotonic() - began_s >= 0.6


def test_a_server_that_stays_busy_is_given_up(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)
    server.rule = lambda asked, answer: Answer(status=429)
    with pytest.raises(DownloadFailed) as failed:
        install(folder, plan_of(address, DATA))
    assert "status 429" in failed.value.message
    assert len(server.asked) == 3
    server.rule = lambda asked, answer: Answer(status=503, headers={"Retry-After": "86400"})
    with pytest.raises(DownloadFailed) as failed:
        install(folder, plan_of(address, DATA))
    assert "86400 s" in failed.value.message


@pytest.mark.parametrize(
    ("status", "headers", "error"),
    [
        (404, {}, SourceNotFound),
        (410, {}, SourceNotFound),
        (401, {}, SourceForbidden),
        (403, {"X-Error-Code": "GatedRepo"}, SourceForbidden),
        (418, {}, DownloadFailed),
    ],
)
def test_a_final_answer_is_a_sentence_and_asked_once(
    server: FileServer,
    folder: Path,
    status: int,
    headers: dict[str, str],
    error: type[LocalAIError],
) -> None:
    server.rule = lambda asked, answer: Answer(status=status, headers=headers)
    with pytest.raises(error) as failed:
        install(folder, plan_of(server.address("/m.gguf?signature=secret"), DATA))
    assert len(server.asked) == 1
    assert "secret" not in failed.value.sentence
    assert failed.value.hint


def test_nobody_there(folder: Path) -> None:
    with running() as gone:
        address = gone.address("/m.gguf")
    with pytest.raises(DownloadFailed) as failed:
        install(folder, plan_of(address, DATA))
    assert failed.value.hint


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(folder: Path) -> None:
    server = FileServer()
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(Path(__file__).with_name("untrusted.pem"))
    with running(server):
        with pytest.raises(DownloadFailed) as failed:
            install(folder, plan_of(server.address("/m.gguf"), DATA))
        assert "certificate of 127.0.0.1 is not trusted" in failed.value.message
        assert "SSL_CERT_FILE" in failed.value.hint
        assert server.asked == []


def test_the_own_network_is_not_asked_unless_allowed(server: FileServer, folder: Path) -> None:
    port = server.origin.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost", "[::1]"):
        with pytest.raises(DownloadFailed) as failed:
            install(folder, plan_of(f"http://{host}:{port}/m.gguf", DATA), allow_private=False)
        assert "private network" in failed.value.message
        assert "--allow-private-fetch" in failed.value.hint
    assert server.asked == []


def test_an_empty_file_is_a_file(server: FileServer, folder: Path) -> None:
    install(folder, plan_of(server.add("/m.gguf", b""), None))
    assert visible(folder) == {"m.gguf": b""}


def test_a_full_disk_is_a_sentence_and_loses_nothing(server: FileServer, folder: Path) -> None:
    data = content(6_000_000)
    plan = plan_of(server.add("/m.gguf", data), data)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))
    try:
        with pytest.raises(StorageFull):
            install(folder, plan)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert visible(folder) == {}
    sent = server.sent["/m.gguf"]
    install(folder, plan)
    assert visible(folder) == {"m.gguf": data}
    assert server.sent["/m.gguf"] < len(data) + sent


def test_what_does_not_fit_is_not_begun(server: FileServer, folder: Path) -> None:
    plan = plan_of(server.add("/m.gguf", DATA), None, size_bytes=1 << 60)
    with pytest.raises(StorageFull) as failed:
        install(folder, plan)
    assert server.asked == []
    assert failed.value.fields["needed_bytes"] == 1 << 60


def test_what_turns_out_not_to_fit_is_not_fetched(server: FileServer, folder: Path) -> None:
    plan = plan_of(server.add("/m.gguf", DATA), None)
    with pytest.raises(StorageFull) as failed:
        install(folder, plan, spare_bytes=1 << 60)
    assert failed.value.fields["needed_bytes"] == SIZE
    assert (len(server.asked), visible(folder)) == (1, {})


@pytest.mark.parametrize("blocked", [".local-ai", "sub", "sub/m.gguf/folder"])
def test_what_is_in_the_way_is_a_sentence(server: FileServer, folder: Path, blocked: str) -> None:
    (folder / blocked).parent.mkdir(parents=True)
    (folder / blocked).write_text("mine")
    file = RemoteFile(name="sub/m.gguf", address=server.add("/m.gguf", DATA))
    with pytest.raises((InvalidRequest, DownloadFailed)) as failed:
        install(folder, ModelPlan(name="m", files=(file,)))
    assert str(folder) in failed.value.message
    assert failed.value.hint
    assert server.asked == []
    assert (folder / blocked).read_text() == "mine"


def test_a_file_that_is_cut_from_outside_is_told(folder: Path) -> None:
    folder.mkdir()
    partial = Partial(folder, RemoteFile(name="m.gguf", address="http://h/m.gguf"))
    partial.open()
    partial.write(0, [DATA])
    partial.add(0, SIZE)
    os.truncate(partial.path, SIZE // 2)

    async def follow(threads: ThreadPoolExecutor) -> None:
        digest = Digest(partial, threads)
        digest.wake(is_complete=True)
        await asyncio.wait_for(digest.follow(), 60)

    with ThreadPoolExecutor(1) as threads, pytest.raises(DownloadFailed) as failed:
        asyncio.run(follow(threads))
    assert "what was written is gone" in failed.value.message
    partial.close()


def test_two_installs_share_one_download(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)
    server.rule = lambda asked, answer: replace(answer, pause_s=0.01)
    plan = plan_of(address, DATA)

    async def run() -> None:
        bench = Bench(folder)
        await asyncio.gather(*(bench.install(replace(plan, name=f"m{i}")) for i in range(3)))
        await bench.close()

    asyncio.run(run())
    assert visible(folder) == {"m.gguf": DATA}
    assert server.sent["/m.gguf"] == SIZE


def test_one_that_gives_up_does_not_stop_the_other(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)
    server.rule = lambda asked, answer: replace(answer, pause_s=0.02)
    plan = plan_of(address, DATA)

    async def run() -> None:
        bench = Bench(folder)
        first = asyncio.create_task(bench.install(plan))
        second = asyncio.create_task(bench.install(replace(plan, name="n")))
        await asyncio.sleep(0.1)
        first.cancel()
        await second
        await bench.close()

    asyncio.run(run())
    assert visible(folder) == {"m.gguf": DATA}


def test_what_is_there_is_not_fetched_again(server: FileServer, folder: Path) -> None:
    plan = plan_of(server.add("/m.gguf", DATA), DATA)
    install(folder, plan)
    asked = len(server.asked)
    install(folder, plan)
    assert len(server.asked) == asked
    (folder / "m.gguf").write_bytes(content(SIZE, seed=3))  # damaged since: it is ours to repair
    install(folder, plan)
    assert visible(folder) == {"m.gguf": DATA}
    install(folder, plan, force=True)
    assert visible(folder) == {"m.gguf": DATA}


def test_a_users_own_file_is_not_replaced_unasked(server: FileServer, folder: Path) -> None:
    folder.mkdir()
    (folder / "m.gguf").write_bytes(b"mine")
    plan = plan_of(server.add("/m.gguf", DATA), DATA)
    with pytest.raises(InvalidRequest) as failed:
        install(folder, plan)
    assert "--force" in failed.value.hint
    assert visible(folder) == {"m.gguf": b"mine"}
    install(folder, plan, force=True)
    assert visible(folder) == {"m.gguf": DATA}


def test_a_model_is_visible_when_it_is_whole(server: FileServer, folder: Path) -> None:
    other = content(300_000, seed=4)
    plan = ModelPlan(
        name="m",
        files=(
            RemoteFile(name="sub/m.gguf", address=server.add("/m", DATA), sha256=sha256(DATA)),
            RemoteFile(name="mmproj.gguf", address=server.add("/p", other)),
        ),
        texts={"m.yaml": "name: m\n"},
    )

    def breaks_halfway(asked: Asked, answer: Answer) -> Answer:
        if asked.path == "/m":
            return answer
        return Answer(status=404 if server.sent.get("/m", 0) >= SIZE / 2 else 503)

    server.rule = breaks_halfway
    with pytest.raises(SourceNotFound):
        install(folder, plan, stall_s=20.0, attempts=10_000)
    assert visible(folder) == {}
    server.rule = lambda _, answer: answer
    install(folder, plan)
    assert visible(folder) == {"sub/m.gguf": DATA, "mmproj.gguf": other, "m.yaml": b"name: m\n"}  # fmt: skip
    assert server.sent["/m"] <= SIZE + DownloadSettings().connections * QUICK["piece_bytes"]


@pytest.mark.parametrize("name", ["../m.gguf", "/m.gguf", "a/../../m.gguf", ".local-ai/x", "m.yaml", "nul"])  # fmt: skip
def test_hostile_names_are_refused_before_anything_is_asked(
    server: FileServer, folder: Path, name: str
) -> None:
    file = RemoteFile(name=name, address=server.add("/m.gguf", DATA))
    with pytest.raises(InvalidRequest):
        install(folder, ModelPlan(name="m", files=(file,)))
    assert server.asked == []


def test_names_that_differ_in_case_only_are_refused(server: FileServer, folder: Path) -> None:
    address = server.add("/m.gguf", DATA)
    files = tuple(RemoteFile(name=name, address=address) for name in ("m.gguf", "M.gguf"))
    with pytest.raises(InvalidRequest):
        install(folder, ModelPlan(name="m", files=files))


def test_a_limit_of_speed_is_kept(server: FileServer, folder: Path) -> None:
    plan = plan_of(server.add("/m.gguf", DATA), DATA)
    began_s = time.monotonic()
    install(folder, plan, bytes_per_s=SIZE * 2)
    assert time.monotonic() - began_s >= 0.3


def test_a_proxy_of_the_environment_is_used(server: FileServer, folder: Path) -> None:
    server.add("http://models.example/m.gguf", DATA)  # a proxy is asked with the whole address
    plan = plan_of("http://models.example/m.gguf", DATA)
    install(folder, plan, environment={"HTTP_PROXY": server.origin}, allow_private=False)
    assert visible(folder) == {"m.gguf": DATA}
    with pytest.raises(DownloadFailed):
        install(
            folder,
            plan_of("http://127.0.0.1:9/n.gguf", DATA, name="n"),
            environment={"HTTP_PROXY": server.origin, "NO_PROXY": "127.0.0.1"},
        )


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "http://127.0.0.1:port"])
def test_a_proxy_of_another_kind_is_told(server: FileServer, folder: Path, proxy: str) -> None:
    plan = plan_of(server.add("/m.gguf", DATA), DATA)
    with pytest.raises(DownloadFailed) as failed:
        install(folder, plan, environment={"http_proxy": proxy})
    assert f"the proxy {proxy} of the environment is no HTTP proxy" in failed.value.message


@pytest.mark.parametrize(
    "target", ["http://[::1", f"http://{'a' * 70}.example/m.gguf", "ftp://h/m"]
)
def test_a_redirect_that_leads_nowhere_is_a_sentence(
    server: FileServer, folder: Path, target: str
) -> None:
    plan = plan_of(server.add("/m.gguf", DATA), DATA)
    server.rule = lambda asked, answer: Answer(status=302, headers={"Location": target})
    with pytest.raises(DownloadFailed) as failed:
        install(folder, plan)
    assert "address" in failed.value.message
    assert len(server.asked) == 1


def test_files_of_this_machine_are_copied_and_verified(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "a b.gguf"
    source.write_bytes(DATA)
    install(folder, plan_of(source.as_uri(), DATA))
    assert visible(folder) == {"m.gguf": DATA}
    with pytest.raises(ChecksumMismatch):
        install(folder, plan_of(source.as_uri(), None, name="n", sha256="0" * 64))
    with pytest.raises(SourceNotFound):
        install(folder, plan_of((tmp_path / "none").as_uri(), None, name="o"))
    assert visible(folder) == {"m.gguf": DATA}
