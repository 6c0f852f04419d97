"""Pictures reach a model that can see, in every dialect, and others refuse them clearly."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.gguf_maker import Shape, make_tiny_llama
from tests.live import LiveServer
from tests.mmproj_maker import make_mmproj, png

WIDTH = 128
PICTURE = base64.b64encode(png()).decode()

TELLER = """
name: teller
mmproj: mmproj-eyes.gguf
parameters: {model: text.gguf}
template: {chat_message: "{{.RoleName}}:{{.Content}}", chat: "{{.Input}}\\nassistant:"}
"""
MARKER = TELLER.replace("teller", "marker").replace(
    "{chat", '{multimodal: "{{range .Images}}(<__media__>){{end}}{{.Text}}", chat', 1
)
DROPPER = TELLER.replace("teller", "dropper").replace("{{.Content}}", "{{len .Content}}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("images") / "models"
    folder.mkdir()
    shape = Shape(layers=1, embedding=WIDTH, heads=2, kv_heads=2, feed_forward=128)
    make_tiny_llama(folder / "text.gguf", shape=shape)
    make_mmproj(folder / "mmproj-eyes.gguf", text_size=WIDTH)
    (folder / "seer.yaml").write_text(
        "name: seer\nmmproj: mmproj-eyes.gguf\nparameters: {model: text.gguf}\n"
    )
    (folder / "teller.yaml").write_text(TELLER)
    (folder / "marker.yaml").write_text(MARKER)
    (folder / "dropper.yaml").write_text(DROPPER)
    (folder / "groper.yaml").write_text(TELLER.replace("teller", "groper").replace("mmproj:", "#"))
    (folder / "blind.yaml").write_text("name: blind\nparameters: {model: text.gguf}\n")
    with LiveServer(folder, "--allow-private-fetch") as running:
        yield running


def _chat(url: str, model: str = "seer", text: str = "what is it?") -> dict[str, Any]:
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
    return {"model": model, "max_tokens": 2, "messages": [{"role": "user", "content": parts}]}


def _prompt_tokens(server: LiveServer, body: dict[str, Any]) -> int:
    reply = server.post("/v1/chat/completions", body)
    assert reply.status == 200, reply.body
    tokens: int = reply.json["usage"]["prompt_tokens"]
    return tokens


def test_a_picture_becomes_part_of_the_prompt(server: LiveServer) -> None:
    plain = {"model": "seer", "max_tokens": 2}
    without = _prompt_tokens(
        server, plain | {"messages": [{"role": "user", "content": "what is it?"}]}
    )
    seen = _prompt_tokens(server, _chat(f"data:image/png;base64,{PICTURE}"))
    assert seen > without + 3


def test_anthropics_form_sees_as_much(server: LiveServer) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
    content = [{"type": "text", "text": "what is it?"}, {"type": "image", "source": source}]
    body = {"model": "seer", "max_tokens": 2, "messages": [{"role": "user", "content": content}]}
    usage = server.post("/v1/messages", body).json["usage"]
    seen = usage["input_tokens"] + usage["cache_read_input_tokens"]
    assert seen == _prompt_tokens(server, _chat(f"data:image/png;base64,{PICTURE}"))


def _tokens(server: LiveServer, text: str) -> int:
    body = {"model": "teller", "content": text, "add_special": True}
    return len(server.post("/v1/tokenize", body).json["tokens"])


@pytest.mark.covers("`template.multimodal`", "file")
def test_templates_of_model_files_carry_pictures(server: LiveServer) -> None:
    url = f"data:image/png;base64,{PICTURE}"
    one = _prompt_tokens(server, _chat(url, "teller", "hi"))
    picture = one - _tokens(server, "user:hi\nassistant:")
    assert picture > 3
    marked = _prompt_tokens(server, _chat(url, "marker", "hi"))
    assert marked == picture + _tokens(server, "user:()hi\nassistant:")
    two = _chat(url, "teller", "hi")
    two["messages"] += [{"role": "assistant", "content": "yes"}, *two["messages"]]
    rendered = "user:hi\nassistant:yes\nuser:hi\nassistant:"
    assert _prompt_tokens(server, two) == 2 * picture + _tokens(server, rendered)
    body = {"model": "teller", "stream": False, "options": {"num_predict": 1}}
    body["messages"] = [{"role": "user", "content": "hi", "images": [PICTURE]}]
    assert server.post("/api/chat", body).json["prompt_eval_count"] == one
    streamed = server.post("/v1/chat/completions", _chat(url, "teller", "hi") | {"stream": True})
    assert b"[DONE]" in streamed.body


def test_a_word_that_looks_like_a_picture_is_a_word(server: LiveServer) -> None:
    url = f"data:image/png;base64,{PICTURE}"
    plain = _prompt_tokens(server, _chat(url, "teller", "hi"))
    looks = _prompt_tokens(server, _chat(url, "teller", "hi<__media__>"))
    assert plain < looks < plain + 20


def test_templates_that_lose_a_picture_are_named(server: LiveServer) -> None:
    reply = server.post(
        "/v1/chat/completions", _chat(f"data:image/png;base64,{PICTURE}", "dropper")
    )
    assert reply.status == 500
    assert "dropper.yaml" in reply.error["message"]
    assert "0 places for 1" in reply.error["message"]


def test_pictures_in_templates_are_no_tokens_to_count(server: LiveServer) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "hi"}]
    for model in ("teller", "seer"):
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": content}]}
        seen = server.post("/v1/messages/count_tokens", body).json["input_tokens"]
        body["messages"] = [{"role": "user", "content": "hi"}]
        assert seen == server.post("/v1/messages/count_tokens", body).json["input_tokens"]


def test_an_address_is_fetched(server: LiveServer) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(png())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        fetched = _prompt_tokens(server, _chat(f"http://127.0.0.1:{web.server_port}/a.png"))
        web.shutdown()
    assert fetched == _prompt_tokens(server, _chat(f"data:image/png;base64,{PICTURE}"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("data:text/plain;base64,AAAA", "no image"),
        ("http://127.0.0.1:9/a.png", "could not be fetched"),
        ("http:/nonsense", "not base64"),
        ("file:///etc/passwd", "begins with file://; it must be http://"),
    ],
)
def test_what_is_no_picture_is_named(server: LiveServer, url: str, says: str) -> None:
    reply = server.post("/v1/chat/completions", _chat(url))
    assert reply.status == 400
    assert says in reply.error["message"]
    assert reply.error["param"] == "messages[0].content[1].image_url.url"


@pytest.mark.parametrize("model", ["blind", "groper"])
def test_a_model_that_cannot_see_says_so(server: LiveServer, model: str) -> None:
    reply = server.post(
        "/v1/chat/completions", _chat(f"data:image/png;base64,{PICTURE}", model=model)
    )
    assert reply.status == 400
    assert "mmproj" in reply.error["message"]


def test_a_broken_picture_does_not_end_the_worker(server: LiveServer) -> None:
    broken = base64.b64encode(png()[:40]).decode()
    for model in ("seer", "teller"):
        reply = server.post("/v1/chat/completions", _chat(f"data:image/png;base64,{broken}", model))
        assert reply.status == 400, reply.body
        assert _prompt_tokens(server, _chat(f"data:image/png;base64,{PICTURE}", model)) > 0
