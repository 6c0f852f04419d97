"""A model hub on loopback: the part of Hugging Face's API that finding and fetching models uses."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)")
_ABOUT = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/[^/]+)?")
_TREE = re.compile(r"/api/models/([^/]+/[^/]+)/tree/[^/]+")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Hub:
    """Repositories with their files, and other pages by path; `asked` has every request line."""

    address: str = ""
    repositories: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def about(self, repository: str) -> bytes:
        """What the hub says of a repository."""
        files = self.repositories[repository]
        return json.dumps(
            {
                "id": repository,
                "modelId": repository,
                "sha": _commit(repository),
                "private": False,
                "tags": [],
                "downloads": 0,
                "siblings": [_sibling(name, data) for name, data in files.items()],
            }
        ).encode()

    def find(self, path: str) -> tuple[bytes, str] | None:
        """What is at a path, and its ETag."""
        if path in self.pages:
            return self.pages[path], "page"
        if match := _ABOUT.fullmatch(path):
            return (self.about(match[1]), "about") if match[1] in self.repositories else None
        if (match := _TREE.fullmatch(path)) and match[1] in self.repositories:
            files = self.repositories[match[1]]
            return json.dumps([_entry(name, data) for name, data in files.items()]).encode(), "tree"
        if match := _RESOLVE.fullmatch(path):
            data = self.repositories.get(match[1], {}).get(match[2])
            return None if data is None else (data, sha256(data).hexdigest())
        return None


def _commit(repository: str) -> str:
    return sha1(repository.encode(), usedforsecurity=False).hexdigest()


def _entry(name: str, data: bytes) -> dict[str, object]:
    sibling = _sibling(name, data)
    entry = {"type": "file", "path": name, "size": len(data), "oid": sibling["blobId"]}
    if "lfs" in sibling:
        entry["lfs"] = {"oid": sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return entry


def _sibling(name: str, data: bytes) -> dict[str, object]:
    found: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": sha1(data, usedforsecurity=False).hexdigest()}  # fmt: skip
    if PurePosixPath(name).suffix in {".gguf", ".safetensors", ".bin", ".onnx"}:
        found["lfs"] = {"size": len(data), "sha256": sha256(data).hexdigest(), "pointerSize": 134}
    return found


@contextmanager
def hub() -> Iterator[Hub]:
    """Serve a hub; fill its repositories and pages at any time."""
    made = Hub()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            found = made.find(path)
            if found is None:
                self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})  # fmt: skip
                return
            data, etag = found
            headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
            if match := _RESOLVE.fullmatch(path):
                headers["X-Repo-Commit"] = _commit(match[1])
            status, asked = 200, _RANGE.fullmatch(self.headers.get("Range", ""))
            whole = len(data)
            if asked and int(asked[1]) < whole:
                first, last = int(asked[1]), min(int(asked[2] or whole), whole - 1)
                data, status = data[first : last + 1], 206
                headers["Content-Range"] = f"bytes {first}-{last}/{whole}"
            self._send(status, data if with_body else b"", headers, length=len(data))

        def _send(
            self, status: int, data: bytes, headers: Mapping[str, str], length: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) if length is None else length))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, form: str, *values: object) -> None:
            made.asked.append(form % values)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
