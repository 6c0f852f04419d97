"""A client that leaves takes its work with it."""

from __future__ import annotations

import pytest

from tests.conftest import StartServer
from tests.gguf_maker import Shape, make_tiny_llama
from tests.live import LiveServer, echo_yaml, read_until, wait_until, write_models

PATH = "/v1/chat/completions"


def body(model: str, *, stream: bool = True, text: str = "on and on") -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}


def test_leaving_a_stream_stops_it(server: LiveServer) -> None:
    with server.open_stream(PATH, body("endless")) as connection:
        read_until(connection, b'"content":"on"')
        assert server.running("endless") == 1
    wait_until(lambda: server.running("endless") == 0, "the end of the call")


def test_leaving_an_answer_that_does_not_stream_stops_it(server: LiveServer) -> None:
    with server.open_stream(PATH, body("endless", stream=False)):
        wait_until(lambda: server.running("endless") == 1, "the call")
    wait_until(lambda: server.running("endless") == 0, "the end of the call")


def test_leaving_the_queue_frees_the_place_in_it(server: LiveServer) -> None:
    held = [server.open_stream(PATH, body("endless")) for _ in range(2)]  # both slots
    try:
        for connection in held:
            read_until(connection, b'"content":"on"')
        with (
            server.open_stream(PATH, body("endless")),
            server.open_stream(PATH, body("endless", stream=False)),
        ):
            wait_until(lambda: server.waiting("endless") == 2, "two in the queue")
        wait_until(lambda: server.waiting("endless") == 0, "an empty queue")
        assert server.running("endless") == 2
    finally:
        for connection in held:
            connection.close()
    wait_until(lambda: server.running("endless") == 0, "the end of both calls")


def test_leaving_an_engine_stops_it(server: LiveServer) -> None:
    endless = body("noise") | {"ignore_eos": True}
    with server.open_stream(PATH, endless) as connection:
        read_until(connection, b'"content":"')
    wait_until(lambda: server.running("noise") == 0, "the end of the call")
    # The engine's own slots are free as well: as many calls as it has slots are answered together.
    assert server.say("noise", "Hi", n=2, max_tokens=2).status == 200


@pytest.mark.parametrize("stream", [True, False])
def test_leaving_while_the_prompt_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    start_server: StartServer,
    stream: bool,  # noqa: FBT001 - a value of the table
) -> None:
    folder = tmp_path_factory.mktemp("prompt") / "models"
    write_models(
        folder,
        {
            "wide.yaml": "name: wide\nparameters: {model: wide.gguf}\ncontext_size: 8192\nthreads: 1\noptions: [parallel:1]\n"
        },
    )
    shape = Shape(layers=6, embedding=512, heads=8, kv_heads=8, feed_forward=2048)
    make_tiny_llama(folder / "wide.gguf", shape=shape, context_length=8192)
    server = start_server(folder)
    assert server.say("wide", "Hi", max_tokens=1).status == 200
    with server.open_stream(PATH, body("wide", stream=stream, text="word " * 1500)):
        wait_until(lambda: server.running("wide") == 1, "the call")
    wait_until(lambda: server.running("wide") == 0, "the end of the call")
    assert server.metric("localai_completion_tokens_total", model="wide") == 1
    assert server.say("wide", "Hi", max_tokens=1).status == 200


def test_leaving_while_the_model_loads_keeps_the_load(
    tmp_path_factory: pytest.TempPathFactory, start_server: StartServer
) -> None:
    folder = tmp_path_factory.mktemp("loading") / "models"
    server = start_server(write_models(folder, {"late.yaml": echo_yaml("late", load_s=1)}))
    with server.open_stream(PATH, body("late")):
        wait_until(lambda: server.waiting("late") == 1, "the call")
    wait_until(lambda: server.waiting("late") == 0, "the end of the call")
    wait_until(lambda: server.workers("late"), "the loaded worker")
    assert server.say("late", "here").status == 200
    assert len(server.workers("late")) == 1
