"""Transports of the official clients' HTTP libraries that look at every answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import httpx2

from localai.http.answers import NDJSON, SSE
from tests.specs.recording import record

STREAMS = (SSE, NDJSON)


class RecordedStream(httpx.SyncByteStream, httpx2.SyncByteStream):
    """The body of an answer; it is looked at when it was read, a stream as far as it was."""

    def __init__(self, request: Any, response: Any) -> None:
        self._request = request
        self._response = response
        self._stream = response.stream

    def __iter__(self) -> Iterator[bytes]:
        pieces = []
        kind = self._response.headers.get("content-type", "")
        is_read = kind.partition(";")[0] in STREAMS  # OpenAI's client reads no further than [DONE]
        try:
            for piece in self._stream:
                pieces.append(piece)
                yield piece
            is_read = True
        finally:
            if is_read:
                method, path = self._request.method, self._request.url.path
                record(method, path, self._response.status_code, kind, b"".join(pieces))

    def close(self) -> None:
        """Give the connection back."""
        self._stream.close()


class RecordingTransport(httpx.HTTPTransport):
    """The transport of a client that looks at all answers."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request."""
        response = super().handle_request(request)
        response.stream = RecordedStream(request, response)
        return response


class RecordingTransport2(httpx2.HTTPTransport):
    """The same for the clients that use the second httpx."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request."""
        response = super().handle_request(request)
        response.stream = RecordedStream(request, response)
        return response
