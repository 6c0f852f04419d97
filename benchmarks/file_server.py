"""A plain file server: one file, ranges, the kernel's own copying. `python -m benchmarks.file_server FILE`."""

from __future__ import annotations

import os
import re
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    path_of_file = Path()

    def do_GET(self) -> None:
        with self.path_of_file.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start, end = 0, size
            if match is not None:
                start, end = int(match[1]), min(int(match[2] or size) + 1, size)
            self.send_response(206 if match is not None else 200)
            self.send_header("Content-Length", str(end - start))
            self.send_header("ETag", '"the-same"')
            if match is not None:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            self.end_headers()
            self.wfile.flush()
            while start < end:
                start += os.sendfile(self.connection.fileno(), file.fileno(), start, end - start)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: object) -> None:
        """A client that leaves is none of ours."""


if __name__ == "__main__":
    Handler.path_of_file = Path(sys.argv[1])
    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
