"""Workers that crash, freeze or never start, seen from a client."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conftest import StartServer
from tests.gguf_maker import make_scripted
from tests.live import (
    SENTENCE,
    SPOKEN,
    LiveServer,
    echo_yaml,
    is_alive,
    read_to_end,
    read_until,
    wait_until,
    write_models,
)

PATH = "/v1/chat/completions"
HI: Any = [{"role": "user", "content": "one two three"}]
GGUF = "name: {name}\nparameters: {{model: {name}.gguf}}\ncontext_size: 512\nthreads: 1\noptions: [parallel:1]\n"


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of its own, whose workers may be killed."""
    folder = tmp_path_factory.mktemp("fragile") / "models"
    write_models(
        folder,
        {
            "victim.yaml": echo_yaml("victim", delay_s=0.02, repeat=100_000),
            "bystander.yaml": echo_yaml("bystander", delay_s=0.02, repeat=100_000),
            "engine.yaml": GGUF.format(name="engine"),
            "fails.yaml": echo_yaml("fails", fail_load="out of cheese"),
            "odd.yaml": echo_yaml("odd", no_such_setting=1),
            "nobackend.yaml": "name: nobackend\nbackend: llama-cqp\n",
            "crash-twice.yaml": echo_yaml("crash-twice", crash_after=1),
            "empty.yaml": GGUF.format(name="empty"),
            "cut.yaml": GGUF.format(name="cut"),
            "torn.yaml": GGUF.format(name="torn"),
            "words.yaml": GGUF.format(name="words"),
            "folder.yaml": GGUF.format(name="folder"),
            "gone.yaml": GGUF.format(name="gone"),
            "broken.yaml": "name: broken\nbackend: echo\ncontext_size: many\n",
        },
    )
    whole = make_scripted(folder / "engine.gguf", SPOKEN).read_bytes()
    (folder / "empty.gguf").write_bytes(b"")
    (folder / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    (folder / "torn.gguf").write_bytes(whole[:200] + os.urandom(5000) + whole[5200:])
    (folder / "words.gguf").write_text("this is no model\n" * 100)
    (folder / "folder.gguf").mkdir()
    with LiveServer(folder) as running:
        yield running


@pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the log names pids; kill needs one"
)
def test_killing_a_worker_ends_its_streams_with_an_error(fragile: LiveServer) -> None:
    with fragile.openai() as client:
        stream = client.chat.completions.create(model="victim", messages=HI, stream=True)
        other = fragile.open_stream(PATH, {"model": "bystander", "messages": HI, "stream": True})
        with other:
            read_until(other, b'"content":"one"')
            assert [next(stream).choices[0].index for _ in range(4)] == [0] * 4
            os.kill(fragile.workers("victim")[-1], signal.SIGKILL)
            with pytest.raises(openai.APIError) as caught:
                list(stream)
            assert "died" in caught.value.message
            assert caught.value.code == "crashed"
            read_until(other, b'"content":" two"')  # another model's stream goes on
    # A fresh worker answers at once, without a pause.
    with fragile.open_stream(
        PATH, {"model": "victim", "messages": HI, "stream": True}
    ) as connection:
        read_until(connection, b'"content":"one"')
    assert len(set(fragile.workers("victim"))) >= 2


def test_the_bytes_of_a_stream_that_breaks(fragile: LiveServer) -> None:
    with fragile.open_stream(
        PATH, {"model": "bystander", "messages": HI, "stream": True}, {"Connection": "close"}
    ) as connection:
        data = read_until(connection, b'"content":" two"')
        os.kill(fragile.workers("bystander")[-1], signal.SIGKILL)
        data += read_to_end(connection)
    events = [line for line in data.split(b"\n") if line.startswith(b"data: ")]
    assert events[-1].strip() == b"data: [DONE]"
    assert b'"error"' in events[-2]
    assert b'finish_reason":"stop' not in data


def test_killing_an_engine_while_it_answers(fragile: LiveServer) -> None:
    fields: Any = {"ignore_eos": True, "max_tokens": 400}
    with fragile.open_stream(
        PATH, {"model": "engine", "messages": HI, "stream": True, **fields}
    ) as connection:
        read_until(connection, b"This ")
        os.kill(fragile.workers("engine")[-1], signal.SIGKILL)
    wait_until(lambda: fragile.metric("localai_workers", model="engine") == 0, "the loss")
    reply = fragile.say("engine", "Hi")
    assert reply.json["choices"][0]["message"]["content"] == SENTENCE


def test_a_failed_start_is_told_and_then_rests(fragile: LiveServer) -> None:
    reply = fragile.say("fails", "Hi")
    assert reply.status == 500
    assert reply.error["code"] == "start_failed"
    assert "out of cheese" in reply.error["message"]
    assert reply.headers["x-should-retry"] == "false"
    again = fragile.say("fails", "Hi", stream=True)
    assert again.status == 503
    assert again.error["code"] == "cooling_down"
    assert "out of cheese" in again.error["message"]
    assert 1 <= int(again.headers["retry-after"]) <= 10


def test_a_changed_file_ends_the_rest(fragile: LiveServer) -> None:
    name = fragile.folder / "repaired.yaml"
    name.write_text(echo_yaml("repaired", fail_load="no"))
    wait_until(lambda: fragile.say("repaired", "Hi").status == 500, "the failed start")
    assert fragile.say("repaired", "Hi").status == 503
    name.write_text(echo_yaml("repaired"))
    wait_until(
        lambda: fragile.say("repaired", "Hi").status == 200, "the repaired model", timeout_s=9
    )


def test_crashing_again_and_again_rests_too(fragile: LiveServer) -> None:
    statuses = [fragile.say("crash-twice", "one two three").status for _ in range(3)]
    assert statuses == [500, 500, 503]


def test_wrong_settings_of_an_engine(fragile: LiveServer) -> None:
    reply = fragile.say("odd", "Hi")
    assert reply.status == 500
    assert reply.error["code"] == "spec_invalid"
    assert "no_such_setting" in reply.error["message"]


def test_a_backend_that_is_not_there(fragile: LiveServer) -> None:
    reply = fragile.say("nobackend", "Hi")
    assert reply.status == 501
    assert "'llama-cpp'" in reply.error["message"]


@pytest.mark.parametrize("name", ["empty", "cut", "torn", "words", "folder", "gone"])
def test_weights_that_are_none(fragile: LiveServer, name: str) -> None:
    reply = fragile.say(name, "Hi")
    assert reply.status == 500
    assert reply.error["code"] in {"model_file_invalid", "start_failed"}
    assert name in reply.error["message"]
    assert fragile.say(name, "Hi").status in {500, 503}
    assert fragile.process.poll() is None


def test_a_model_file_with_problems_says_them(fragile: LiveServer) -> None:
    reply = fragile.say("broken", "Hi")
    assert reply.status == 500
    assert "broken.yaml:3: context_size" in reply.error["message"]


def test_an_engine_that_aborts_while_it_loads(tmp_path: Path, start_server: StartServer) -> None:
    folder = write_models(tmp_path / "models", {"abort.yaml": GGUF.format(name="abort")})
    whole = make_scripted(folder / "abort.gguf", ["first", "other"]).read_bytes()
    assert whole.count(b"other") == 1
    (folder / "abort.gguf").write_bytes(
        whole.replace(b"other", b"first")
    )  # one word for two tokens
    server = start_server(folder)
    reply = server.say("abort", "Hi")
    assert reply.status == 500
    assert reply.error["code"] == "start_failed"
    assert "died while it loaded (signal 6)" in reply.error["message"]
    assert "last lines" in reply.error["message"]
    assert server.say("abort", "Hi").status == 503


def test_a_frozen_worker_is_replaced(tmp_path: Path, start_server: StartServer) -> None:
    folder = write_models(tmp_path / "models", {"ice.yaml": echo_yaml("ice", hang_after=2)})
    server = start_server(folder, "--watchdog-busy-timeout", "1s")
    with server.openai() as client, pytest.raises(openai.APIError) as caught:
        for _ in client.chat.completions.create(model="ice", messages=HI, stream=True):
            pass
    assert "1 s" in caught.value.message
    assert caught.value.code == "timed_out"
    pid = server.workers("ice")[-1]
    wait_until(lambda: not is_alive(pid), "the end of the stalled worker")
    reply = server.say("ice", "one two")
    assert reply.status == 200
    assert server.workers("ice")[-1] != pid
