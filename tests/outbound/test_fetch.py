"""Fetching keeps to its limits and stays out of private networks."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from localai.domain.errors import FetchFailed
from localai.outbound import Fetched, Fetcher, FetchSettings
from localai.outbound.addresses import is_public
from localai.outbound.library import PublicResolver

Handler = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def web() -> Iterator[tuple[str, dict[str, Handler], list[dict[str, str]]]]:
    """A server on loopback: its address, its pages, and the headers it was sent."""
    pages: dict[str, Handler] = {}
    seen: list[dict[str, str]] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            pages[self.path](self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", pages, seen
    running.shutdown()
    thread.join()
    running.server_close()


def page(body: bytes, media_type: str = "image/png", status: int = 200, **headers: str) -> Handler:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", media_type)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def fetch(address: str, *, allow_private: bool = True, max_bytes: int = 1000) -> Fetched:
    async def run() -> Fetched:
        settings = FetchSettings(max_bytes=max_bytes, timeout_s=2.0, allow_private=allow_private)
        fetcher = Fetcher(settings)
        try:
            return await fetcher.fetch(address, kinds=("image",))
        finally:
            await fetcher.close()

    return asyncio.run(run())


def test_what_is_there_comes(web) -> None:
    base, pages, seen = web
    pages["/a"] = page(b"picture")
    assert fetch(f"{base}/a") == Fetched(b"picture", "image/png")
    assert not {"Cookie", "Authorization"} & set(seen[0])


def test_redirects_are_followed_to_an_end(web) -> None:
    base, pages, seen = web
    pages["/a"] = page(b"", status=302, Location="/b", **{"Set-Cookie": "k=v"})
    pages["/b"] = page(b"picture")
    assert fetch(f"{base}/a").data == b"picture"
    assert "Cookie" not in seen[1]
    pages["/loop"] = page(b"", status=301, Location="/loop")
    with pytest.raises(FetchFailed, match="redirects"):
        fetch(f"{base}/loop")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (page(b"x" * 1001), "larger"),
        (page(b"", **{"Content-Length": "5000"}), "larger"),
        (page(b"<html>", "text/html"), "text/html"),
        (page(b"", status=404), "404"),
        (page(b"", status=302, Location="file:///etc/passwd"), "no http"),
        (page(b"", status=302, Location="http://u:p@127.0.0.1/"), "password"),
    ],
)
def test_limits_say_what_they_are(web, answer: Handler, says: str) -> None:
    base, pages, _ = web
    pages["/a"] = answer
    with pytest.raises(FetchFailed, match=says):
        fetch(f"{base}/a")


def test_a_silent_server_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(FetchFailed, match="longer than 2 s"),
    ):
        fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "127.1",
        "0.0.0.0",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
        "224.0.0.1",
    ],
)
def test_every_spelling_of_a_private_address_is_refused(web, host: str) -> None:
    base, pages, seen = web
    pages["/a"] = page(b"secret")
    port = base.rpartition(":")[2]
    with pytest.raises(FetchFailed):
        fetch(f"http://{host}:{port}/a", allow_private=False)
    assert not seen


def test_only_public_addresses_pass() -> None:
    for public in ("1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"):
        assert is_public(ipaddress.ip_address(public)), public


def test_a_name_that_points_inside_is_refused() -> None:
    with pytest.raises(OSError, match="private"):
        asyncio.run(PublicResolver().resolve("localhost", 80))
