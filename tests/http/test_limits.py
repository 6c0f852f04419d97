"""More requests than places: all are answered, in turns; too many are turned away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conftest import StartServer
from tests.live import SENTENCE, LiveServer, echo_yaml, read_until, wait_until, write_models

PATH = "/v1/chat/completions"
HI: Any = [{"role": "user", "content": "one two three"}]


def at_once(count: int, call: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(call, range(count)))


def test_more_requests_than_slots_are_all_answered(server: LiveServer) -> None:
    replies = at_once(12, lambda _: server.say("slow", "one two three"))
    assert {reply.json["choices"][0]["message"]["content"] for reply in replies} == {
        "one two three"
    }
    replies = at_once(8, lambda number: server.say("text", f"Hi {number}", stream=number % 2 == 0))
    assert {reply.status for reply in replies} == {200}
    assert [
        SENTENCE in reply.json["choices"][0]["message"]["content"] for reply in replies[1::2]
    ] == [True] * 4


def test_no_more_run_than_there_are_slots(server: LiveServer) -> None:
    most = 0.0
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(server.say, "slow", "a b c d e f g h") for _ in range(8)]
        while not all(call.done() for call in calls):
            most = max(most, server.running("slow"))
    assert 1 <= most <= 2


def test_a_full_queue_turns_away(tmp_path: Path, start_server: StartServer) -> None:
    folder = write_models(
        tmp_path / "models",
        {"endless.yaml": echo_yaml("endless", delay_s=0.05, slots=1, repeat=100_000)},
    )
    server = start_server(folder, "--max-queued-requests", "2")
    held = [server.open_stream(PATH, {"model": "endless", "messages": HI, "stream": True})]
    try:
        read_until(held[0], b'"content":"one"')
        for expected in (1, 2):
            held.append(server.open_stream(PATH, {"model": "endless", "messages": HI}))
            wait_until(lambda count=expected: server.waiting("endless") == count, "the queue")
        with server.openai() as client, pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(model="endless", messages=HI)
        assert caught.value.code == "queue_full"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        assert server.say("endless", "Hi", stream=True).status == 429
        assert server.metric("localai_failures_total", kind="queue_full") == 2
    finally:
        for connection in held:
            connection.close()
    wait_until(lambda: server.running("endless") + server.waiting("endless") == 0, "the end of all")


def test_a_models_own_limit(tmp_path: Path, start_server: StartServer) -> None:
    limits = "limits: {max_concurrent: 1, retry_after_seconds: 7}\n"
    folder = write_models(
        tmp_path / "models",
        {"one.yaml": echo_yaml("one", delay_s=0.05, slots=4, repeat=100_000) + limits},
    )
    server = start_server(folder)
    with server.open_stream(PATH, {"model": "one", "messages": HI, "stream": True}) as held:
        read_until(held, b'"content":"one"')
        reply = server.say("one", "Hi")
        assert reply.status in {429, 503}
        assert reply.headers["retry-after"] == "7"


def test_a_flood_from_one_client_does_not_starve_another(server: LiveServer) -> None:
    """Two slots, forty requests of one client: another's single one is answered long before."""
    order: list[str] = []
    lock = threading.Lock()

    def ask(key: str) -> None:
        reply = server.post(
            PATH, {"model": "slow", "messages": HI}, {"Authorization": f"Bearer {key}"}
        )
        assert reply.status == 200
        with lock:
            order.append(key)

    with ThreadPoolExecutor(41) as threads:
        flood = [threads.submit(ask, "key-a") for _ in range(40)]
        wait_until(lambda: server.waiting("slow") >= 20, "the flood")
        already = len(order)
        single = threads.submit(ask, "key-b")
        for call in (*flood, single):
            call.result()
    # At most the two that run, the few that came before and those of one turn are ahead of it.
    assert order.index("key-b") - already < 15
