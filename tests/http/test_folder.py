"""The models folder while the server runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartServer
from tests.gguf_maker import make_scripted
from tests.live import (
    LiveServer,
    echo_yaml,
    is_alive,
    read_until,
    run_cli,
    wait_until,
    write_models,
)

GGUF = "name: words\nparameters: {model: words.gguf, temperature: 0}\ncontext_size: 512\nthreads: 1\noptions: [parallel:1]\n"
STARTER = "local-ai-starter"


def names(server: LiveServer) -> list[str]:
    return [model["id"] for model in server.get("/v1/models").json["data"]]


def said(server: LiveServer, model: str, text: str = "Hi") -> Any:
    reply = server.say(model, text, max_tokens=40)
    return reply.json["choices"][0]["message"]["content"] if reply.status == 200 else None


def test_the_single_model_answers_whatever_is_asked_for(
    tmp_path: Path, start_server: StartServer
) -> None:
    """The three calls of the documentation, with model names that are not installed."""
    folder = tmp_path / "models"
    folder.mkdir()
    make_scripted(folder / "only.gguf", ["This ", "is ", "a ", "test!"])
    server = start_server(folder)
    chat = server.post(
        "/v1/chat/completions",
        {
            "model": "ggml-koala-7b-model-q4_0-r2.bin",
            "messages": [{"role": "user", "content": "Say this is a test!"}],
            "temperature": 0.7,
        },
    )
    assert chat.json["choices"][0]["message"]["content"] == "This is a test!"
    assert chat.json["model"] == "ggml-koala-7b-model-q4_0-r2.bin"
    edit = server.post(
        "/v1/edits",
        {
            "model": "ggml-koala-7b-model-q4_0-r2.bin",
            "instruction": "rephrase",
            "input": "Black cat jumped out of the window",
            "temperature": 0.7,
        },
    )
    assert edit.json["choices"][0]["text"] == "This is a test!"
    completion = server.post(
        "/v1/completions",
        {
            "model": "ggml-koala-7b-model-q4_0-r2.bin",
            "prompt": "A long time ago\n",
            "temperature": 0.7,
        },
    )
    assert completion.json["choices"][0]["text"] == "This is a test!"
    assert names(server) == ["only"]


def test_model_files_come_change_and_go(tmp_path: Path, start_server: StartServer) -> None:
    folder = write_models(tmp_path / "models", {"a.yaml": echo_yaml("a")})
    server = start_server(folder)
    assert names(server) == ["a"]
    (folder / "b.yaml").write_text(echo_yaml("b", repeat=2))
    wait_until(lambda: names(server) == ["a", "b"], "the new model")
    assert said(server, "b", "so") == "so so"
    (folder / "b.yaml").write_text(echo_yaml("b", repeat=3))
    wait_until(lambda: said(server, "b", "so") == "so so so", "the changed model")
    (folder / "b.yaml").write_text("name: b\nbackend: echo\noptions: {\n")
    wait_until(lambda: "b" not in names(server), "the broken file")
    assert said(server, "a", "so") == "so"
    wait_until(lambda: "b.yaml:" in server.log, "a line about the broken file")
    (folder / "b.yaml").unlink()
    (folder / "c.yaml").write_text(echo_yaml("c"))
    wait_until(lambda: names(server) == ["a", "c"], "the end of b")


def test_replaced_weights_are_used(tmp_path: Path, start_server: StartServer) -> None:
    folder = write_models(tmp_path / "models", {"words.yaml": GGUF})
    make_scripted(folder / "words.gguf", ["old ", "answer"])
    server = start_server(folder)
    assert said(server, "words") == "old answer"
    make_scripted(folder / "new.part", ["new ", "answer"])
    (folder / "new.part").replace(folder / "words.gguf")
    wait_until(lambda: said(server, "words") == "new answer", "the new weights")
    assert len(set(server.workers("words"))) == 2


def test_a_running_answer_ends_with_the_weights_it_began_with(
    tmp_path: Path, start_server: StartServer
) -> None:
    folder = write_models(
        tmp_path / "models", {"slow.yaml": echo_yaml("slow", delay_s=0.2, repeat=15)}
    )
    server = start_server(folder)
    body = {"model": "slow", "messages": [{"role": "user", "content": "old"}], "stream": True}
    with server.open_stream("/v1/chat/completions", body) as connection:
        data = read_until(connection, b'"content":"old"')
        (folder / "slow.yaml").write_text(echo_yaml("slow"))
        wait_until(lambda: said(server, "slow", "new") == "new", "the new worker")
        data += read_until(connection, b"data: [DONE]")
    assert data.count(b'"content":" old"') == 14
    assert b'"error"' not in data


def test_workers_of_models_that_are_gone_end_by_themselves(
    tmp_path: Path, start_server: StartServer
) -> None:
    """No request is sent after the change: what nobody can use any more gives its memory back."""
    listed = ("deleted", "renamed", "off", "changed", "kept")
    folder = write_models(
        tmp_path / "models",
        {f"{name}.yaml": echo_yaml(name) for name in listed} | {"words.yaml": GGUF},
    )
    make_scripted(folder / "words.gguf", ["some ", "words"])
    make_scripted(folder / "loose.gguf", ["more ", "words"])
    server = start_server(folder)
    workers = {}
    for name in (*listed, "words", "loose"):
        assert said(server, name)
        workers[name] = wait_until(lambda one=name: server.workers(one), "the line about it")[-1]
    (folder / "deleted.yaml").unlink()
    (folder / "renamed.yaml").write_text(echo_yaml("new-name"))
    (folder / "off.yaml").write_text(echo_yaml("off") + "disabled: true\n")
    (folder / "changed.yaml").write_text(echo_yaml("changed", repeat=2))
    (folder / "words.gguf").unlink()
    (folder / "loose.gguf").rename(folder / "other.gguf")
    for name in workers.keys() - {"kept"}:
        wait_until(lambda pid=workers[name]: not is_alive(pid), f"the end of {name}")
    assert is_alive(workers["kept"])
    assert said(server, "changed", "so") == "so so"


def test_a_change_that_concerns_no_worker_leaves_it_as_it_is(
    tmp_path: Path, start_server: StartServer
) -> None:
    """Other answers, and a pin, need no other worker; another context does."""
    folder = write_models(tmp_path / "models", {"words.yaml": GGUF, "a.yaml": echo_yaml("a")})
    make_scripted(folder / "words.gguf", ["one ", "two ", "three"])
    server = start_server(folder, "--single-active-backend")
    assert said(server, "words") == "one two three"
    (folder / "words.yaml").write_text(GGUF + "stopwords: [two]\ndescription: others\n")
    wait_until(lambda: said(server, "words") == "one ", "the other answer")
    assert server.request("PUT", "/models/toggle-pinned/words/pin").status == 200
    wait_until(
        lambda: said(server, "a", "so") == "so" and server.metric("localai_workers", model="a"),
        "the other",
    )
    assert said(server, "words") == "one "
    wait_until(lambda: server.workers("words"), "the line about it")
    assert len(set(server.workers("words"))) == 1
    assert is_alive(server.workers("words")[-1])
    (folder / "words.yaml").write_text(GGUF.replace("512", "256"))
    wait_until(lambda: said(server, "words") == "one two three", "the smaller context")
    wait_until(lambda: len(set(server.workers("words"))) == 2, "the line about it")


def test_a_running_answer_is_finished_though_its_model_is_gone(
    tmp_path: Path, start_server: StartServer
) -> None:
    folder = write_models(
        tmp_path / "models",
        {"slow.yaml": echo_yaml("slow", delay_s=0.2, repeat=20), "a.yaml": echo_yaml("a")},
    )
    server = start_server(folder)
    body = {"model": "slow", "messages": [{"role": "user", "content": "old"}], "stream": True}
    with server.open_stream("/v1/chat/completions", body) as connection:
        data = read_until(connection, b'"content":"old"')
        (folder / "slow.yaml").unlink()
        wait_until(lambda: "unloading slow" in server.log, "the notice")
        data += read_until(connection, b"data: [DONE]")
    assert data.count(b'"content":" old"') == 19
    assert b'"error"' not in data
    wait_until(lambda: not is_alive(server.workers("slow")[-1]), "the end of the worker")


def test_the_demonstration_leaves_for_an_own_model(
    tmp_path: Path, start_server: StartServer
) -> None:
    folder = tmp_path / "models"
    server = start_server(folder)  # a folder that is not there is made
    assert folder.is_dir()
    assert names(server) == [STARTER]
    assert "demonstration" in server.log
    assert said(server, "whatever") is not None
    (folder / "a.yaml").write_text(echo_yaml("a"))
    wait_until(lambda: names(server) == ["a"], "the own model")
    assert said(server, STARTER, "so") == "so"


def test_pipes_in_the_folder_are_no_models(tmp_path: Path, start_server: StartServer) -> None:
    """Whoever opens one waits for a writer, and a server has none to wait for."""
    folder = write_models(
        tmp_path / "models",
        {"a.yaml": echo_yaml("a"), "named.yaml": "name: named\nparameters: {model: pipe.gguf}\n"},
    )
    (folder / "inner").mkdir()
    for name in ("pipe.yaml", "pipe.gguf", "pipe.bin", "pipe.onnx", "a.tmpl", "inner/config.json"):
        os.mkfifo(folder / name)
    server = start_server(folder)
    assert names(server) == ["a", "named"]
    assert said(server, "a", "so") == "so"
    refused = server.say("named", "Hi")
    assert refused.status >= 400
    assert "pipe.gguf" in refused.error["message"]


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in ("file", "not/there"):
        done = run_cli("run", "--address", "127.0.0.1:0", "--models-path", folder, folder=tmp_path)
        assert done.returncode == 2
        assert folder in done.stderr
        assert "--models-path" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir(mode=0o000)
    done = run_cli("run", "--address", "127.0.0.1:0", "--models-path", str(folder), folder=tmp_path)
    folder.chmod(0o700)
    assert done.returncode == 2
    assert "--models-path" in done.stderr


def test_the_folder_may_vanish_and_come_back(tmp_path: Path, start_server: StartServer) -> None:
    folder = write_models(tmp_path / "models", {"a.yaml": echo_yaml("a")})
    server = start_server(folder)
    folder.rename(tmp_path / "elsewhere")
    wait_until(lambda: "cannot be read" in server.log or names(server) == [STARTER], "the loss")
    assert server.get("/healthz").status == 200
    (tmp_path / "elsewhere").rename(folder)
    wait_until(lambda: names(server) == ["a"], "the folder's return")
    assert said(server, "a", "so") == "so"


def test_a_list_of_models_beside_the_folder(tmp_path: Path, start_server: StartServer) -> None:
    (tmp_path / "list.yaml").write_text("- {name: x, backend: echo}\n- {name: y, backend: echo}\n")
    server = start_server(tmp_path / "models", "--models-config-file", "list.yaml")
    assert names(server) == ["x", "y"]
    assert said(server, "y", "so") == "so"


def test_models_that_come_and_go_leave_no_memory_behind(
    tmp_path: Path, start_server: StartServer
) -> None:
    folder = write_models(tmp_path / "models", {"a.yaml": echo_yaml("a")})
    server = start_server(folder)

    def rounds(numbers: range) -> float:
        """The server's memory after as many workers."""
        for number in numbers:
            (folder / "a.yaml").write_text(echo_yaml("a", repeat=number))
            wait_until(
                lambda count=number: said(server, "a", "x") == " ".join("x" * count), "the new file"
            )
        return server.metric("localai_server_memory_bytes")

    before = rounds(range(2, 4))
    assert rounds(range(4, 8)) < before * 1.1
    assert len(set(server.workers("a"))) >= 7
