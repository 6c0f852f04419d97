"""A server that speaks the Hugging Face Inference API on the loopback: chats in OpenAI's form, texts in TGI's.

It says the last words it was told again, one event each, as the `echo` backend does.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

MOST_WORDS = 4096
TOKEN = "hf_tests"


class _Handler(BaseHTTPRequestHandler):
    """One request; what was asked is kept for tests."""

    server: Api

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        api = self.server
        api.asked.append((self.path, self.headers.get("Authorization"), body))
        if api.refusal is not None:
            status, said = api.refusal
            self._answer(status, json.dumps(said).encode())
        elif len(_words(body)) > MOST_WORDS:
            said = {"error": f"`inputs` must have less than {MOST_WORDS} tokens", "error_type": "validation"}  # fmt: skip
            self._answer(422, json.dumps(said).encode())
        else:
            spell = _chat if self.path.endswith("/chat/completions") else _text
            self._stream(spell(body, api))

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, events: Iterator[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.server.streaming += 1
        try:
            for event in events:
                self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")
        except ConnectionError:
            self.server.hung_up += 1
        finally:
            self.server.streaming -= 1


class Api(ThreadingHTTPServer):
    """`refusal` is the status and body every request gets; `delay_s` the pause before each word."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []
        self.refusal: tuple[int, dict[str, Any]] | None = None
        self.delay_s = 0.001
        self.streaming = 0
        self.hung_up = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def inference_api() -> Iterator[Api]:
    """A running server."""
    with Api() as api:
        thread = Thread(target=api.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield api
        api.shutdown()
        thread.join(30)


def _words(body: dict[str, Any]) -> list[str]:
    text = body["messages"][-1]["content"] if "messages" in body else body["inputs"]
    return list(text.split())


def _spoken(words: list[str], most: int | None, stops: list[str], api: Api) -> Iterator[str]:
    """The pieces, and how the text ended at last."""
    spoken = ""
    for count, word in enumerate(itertools.cycle(words) if words else ()):
        if count >= (len(words) if most is None else most):
            yield "length" if most is not None else "stop"
            return
        piece = word if count == 0 else f" {word}"
        time.sleep(api.delay_s)
        spoken += piece
        yield piece
        if any(stop in spoken for stop in stops):
            break
    yield "stop"


def _chat(body: dict[str, Any], api: Api) -> Iterator[dict[str, Any]]:
    words = _words(body)
    head = {"id": "1", "created": 1, "model": body["model"], "system_fingerprint": "t"}
    if body.get("tools"):
        function = {"name": body["tools"][0]["function"]["name"], "arguments": '{"word": "'}
        for arguments in ('{"word": "', words[-1], '"}'):
            call = {"index": 0, "id": "c1", "type": "function", "function": function | {"arguments": arguments}}  # fmt: skip
            yield head | {"choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}}]}  # fmt: skip
        yield head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
        return
    pieces = _with_end(_spoken(words, body.get("max_tokens"), body.get("stop") or [], api))
    count = 0
    for piece, ended in pieces:
        delta = {"role": "assistant", "content": piece}
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": ended}
        if body.get("logprobs") and piece:
            top = [{"token": piece, "logprob": -0.1}] * (body.get("top_logprobs") or 0)
            choice["logprobs"] = {"content": [{"token": piece, "logprob": -0.1, "top_logprobs": top}]}  # fmt: skip
        count += bool(piece)
        yield head | {"choices": [choice]}
    usage = {"prompt_tokens": len(words), "completion_tokens": count, "total_tokens": len(words) + count}  # fmt: skip
    yield head | {"choices": [], "usage": usage}


def _text(body: dict[str, Any], api: Api) -> Iterator[dict[str, Any]]:
    words, asked = _words(body), body["parameters"]
    pieces = _spoken(words, asked.get("max_new_tokens"), asked.get("stop") or [], api)
    count = 0
    for piece, ended in _with_end(pieces):
        count += bool(piece)
        token = {"id": count, "text": piece, "logprob": -0.1, "special": not piece}
        details = None
        if ended:
            reason = {"stop": "eos_token"}.get(ended, ended)
            details = {"finish_reason": reason, "generated_tokens": count, "input_length": len(words)}  # fmt: skip
        yield {"index": count, "token": token, "details": details, "generated_text": None}


def _with_end(pieces: Iterator[str]) -> Iterator[tuple[str, str | None]]:
    """The pieces, and at last an empty one with the reason of the end."""
    before = next(pieces)
    for piece in pieces:
        yield before, None
        before = piece
    yield "", before
