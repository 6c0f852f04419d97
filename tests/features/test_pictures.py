"""Images, in every API, whole and streamed."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anthropic
import openai
import pytest

from tests.features.apis import APIS, MESSAGES, Api, Wish
from tests.gguf_maker import Shape, make_tiny_llama
from tests.live import LiveServer, write_models
from tests.mmproj_maker import make_mmproj, png

WIDTH = 128
PICTURE = base64.b64encode(png()).decode()
SEER = "name: seer\nmmproj: eyes.gguf\nparameters: {model: text.gguf}\n"


def fill(folder: Path) -> Path:
    write_models(folder, {"seer.yaml": SEER})
    shape = Shape(layers=1, embedding=WIDTH, heads=2, kv_heads=2, feed_forward=128)
    make_tiny_llama(folder / "text.gguf", shape=shape)
    make_mmproj(folder / "eyes.gguf", text_size=WIDTH)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    base = tmp_path_factory.mktemp("pictures")
    data = str(base / "data")
    with LiveServer(fill(base / "models"), "--allow-private-fetch", "--data-path", data) as running:
        yield running


class Page(BaseHTTPRequestHandler):
    """An image on the web."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.end_headers()
        self.wfile.write(png())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def size(server: LiveServer, api: Api, kind: str, what: str, *, streams: bool) -> int:
    wish = Wish(picture=(kind, what) if kind else None, limit=2)
    return api.ask(server, "seer", wish, streams=streams).prompt_tokens


@pytest.mark.covers("Images as base64", "chat responses messages ollama")
def test_an_image_in_the_request(server: LiveServer, api: Api, *, streams: bool) -> None:
    plain = size(server, api, "", "", streams=streams)
    assert size(server, api, "data", PICTURE, streams=streams) > plain + 3


@pytest.mark.covers("Images by their address", "chat responses messages")
def test_an_image_on_the_web(server: LiveServer, api: Api, *, streams: bool) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{web.server_port}/a.png"
        fetched = size(server, api, "url", url, streams=streams)
        web.shutdown()
    assert fetched == size(server, api, "data", PICTURE, streams=streams)


@pytest.mark.covers("Images that were uploaded, by id", "chat responses messages")
def test_an_uploaded_image(server: LiveServer, api: Api, *, streams: bool) -> None:
    if api is APIS[MESSAGES]:
        with server.anthropic() as client:
            file_id = client.beta.files.upload(file=("a.png", png(), "image/png")).id
    else:
        with server.openai() as other:
            file_id = other.files.create(file=("a.png", png()), purpose="vision").id
    seen = size(server, api, "file", file_id, streams=streams)
    assert seen == size(server, api, "data", PICTURE, streams=streams)


@pytest.mark.covers(
    "Addresses that are private are refused, if nobody allows them", "chat responses messages"
)
def test_a_private_address(server_that_is_careful: LiveServer, api: Api, *, streams: bool) -> None:
    hosts = ("127.0.0.1", "localhost", "[::1]", "0x7f.1", "169.254.169.254", "[::ffff:10.0.0.1]")
    for host in hosts:
        with pytest.raises((openai.BadRequestError, anthropic.BadRequestError)) as refused:
            size(server_that_is_careful, api, "url", f"http://{host}/a.png", streams=streams)
        assert f"http://{host}/a.png" in str(refused.value)
        assert "points into a private network" in str(refused.value)


@pytest.fixture(scope="module")
def server_that_is_careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(fill(tmp_path_factory.mktemp("careful") / "models")) as running:
        yield running
