"""A hub that the real `huggingface_hub` client takes for Hugging Face."""

from __future__ import annotations

import json
from urllib.parse import quote

from tests.downloads.file_server import Answer, Asked, FileServer, sha256

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_secret"


class HubServer(FileServer):
    """Serves repositories (`owner/name` -> path -> content); those in `gated` want the token."""

    def __init__(self) -> None:
        super().__init__()
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.revisions = {"main": COMMIT, "v1": COMMIT, COMMIT: COMMIT}
        self.gated: set[str] = set()

    def answer(self, asked: Asked) -> Answer:
        pieces = asked.path.strip("/").split("/")
        if pieces[:2] == ["api", "models"]:
            return self._info(
                "/".join(pieces[2:4]), pieces[5] if len(pieces) > 5 else "main", asked
            )
        if len(pieces) > 4 and pieces[2] == "resolve":
            return self._resolve("/".join(pieces[:2]), pieces[3], "/".join(pieces[4:]), asked)
        return super().answer(asked)

    def _refusal(self, repository: str, revision: str, asked: Asked) -> Answer | None:
        if repository not in self.repositories:
            return Answer(b"{}", status=401, headers={"X-Error-Code": "RepoNotFound"})
        if repository in self.gated and asked.headers.get("authorization") != f"Bearer {TOKEN}":
            said = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}
            return Answer(b"{}", status=403, headers=said)
        if revision not in self.revisions:
            return Answer(b"{}", status=404, headers={"X-Error-Code": "RevisionNotFound"})
        return None

    def _info(self, repository: str, revision: str, asked: Asked) -> Answer:
        refused = self._refusal(repository, revision, asked)
        if refused is not None:
            return refused
        siblings = [
            {
                "rfilename": path,
                "size": len(data),
                "blobId": "1" * 40,
                **({"lfs": {"size": len(data), "sha256": sha256(data), "pointerSize": 130}} if len(data) > 100 else {}),
            }
            for path, data in self.repositories[repository].items()
        ]  # fmt: skip
        body = {"id": repository, "modelId": repository, "sha": self.revisions[revision], "siblings": siblings}  # fmt: skip
        return Answer(json.dumps(body).encode(), headers={"Content-Type": "application/json"})

    def _resolve(self, repository: str, revision: str, path: str, asked: Asked) -> Answer:
        refused = self._refusal(repository, revision, asked)
        if refused is not None:
            return refused
        data = self.repositories[repository].get(path)
        if data is None:
            return Answer(status=404, headers={"X-Error-Code": "EntryNotFound"})
        place = f"/cdn/{sha256(data)}"
        self.files[place] = data
        return Answer(
            status=302, headers={"Location": f"{self.origin}{place}?sig={quote('a/b+c')}"}
        )
