"""A registry of the OCI distribution protocol, with tokens, and of Ollama's models."""

from __future__ import annotations

import json
from typing import Any

from tests.downloads.file_server import Answer, Asked, FileServer, sha256

TOKEN = "let-me-in"


class RegistryServer(FileServer):
    """Serves manifests and blobs; with `wants_token`, only to those who asked for a token."""

    def __init__(self) -> None:
        super().__init__()
        self.wants_token = False
        self.tokens_given = 0

    @property
    def host(self) -> str:
        return self.origin.removeprefix("http://")

    def push(self, repository: str, tag: str, layers: list[tuple[str, bytes, dict[str, str]]], **more: Any) -> str:  # fmt: skip
        """Add an image; gives the digest of its manifest."""
        described = []
        for media_type, data, notes in layers:
            self.files[f"/v2/{repository}/blobs/sha256:{sha256(data)}"] = data
            described.append({"mediaType": media_type, "digest": f"sha256:{sha256(data)}", "size": len(data), "annotations": notes})  # fmt: skip
        manifest = json.dumps({"schemaVersion": 2, "layers": described, **more}).encode()
        digest = f"sha256:{sha256(manifest)}"
        for reference in (tag, digest):
            self.files[f"/v2/{repository}/manifests/{reference}"] = manifest
        return digest

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/token":
            self.tokens_given += 1
            return Answer(json.dumps({"token": TOKEN, "expires_in": 60}).encode())
        if self.wants_token and asked.headers.get("authorization") != f"Bearer {TOKEN}":
            challenge = f'Bearer realm="{self.origin}/token",service="here",scope="pull"'
            return Answer(b"{}", status=401, headers={"WWW-Authenticate": challenge})
        return super().answer(asked)
