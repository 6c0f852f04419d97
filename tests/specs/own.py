"""Our own description, /openapi.json, as a judge of our answers: paths, statuses, types, schemas."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from localai.assemble import build_services
from localai.http import openapi, routes
from localai.http.answers import NDJSON, SSE
from localai.settings import ServerSettings
from tests.specs.judge import Judge
from tests.specs.pieces import ndjson_pieces, sse_pieces


class Operation(NamedTuple):
    """One operation: how its addresses look, and how it is described."""

    name: str
    addresses: re.Pattern[str]
    described: Mapping[str, Any]


class Description:
    """A description that knows which operation an answer belongs to."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._judge = Judge(document["components"]["schemas"])
        self.operations = [
            Operation(f"{method.upper()} {path}", addresses(path), described)
            for path, methods in document["paths"].items()
            for method, described in methods.items()
        ]

    def find(self, method: str, path: str) -> Operation | None:
        """The operation of a request, also under its other addresses."""
        fitting = [
            operation
            for operation in self.operations
            if operation.name.startswith(f"{method} ") and operation.addresses.fullmatch(path)
        ]
        return min(fitting, key=lambda operation: operation.name.count("{"), default=None)

    def check(self, method: str, path: str, status: int, kind: str, body: bytes) -> None:
        """Raise AssertionError unless the answer is what the operation's description says."""
        operation = self.find(method, path)
        if operation is None or not body:
            return
        if b"route_not_found" in body or b"method_not_allowed" in body:  # routes can be off
            return
        responses = operation.described["responses"]
        response = responses.get(str(status), responses.get("default"))
        assert response is not None, f"{operation.name} does not describe the status {status}"
        content = response["content"]
        described = next((content[key] for key in (kind, _any_of(kind)) if key in content), None)
        assert described is not None, f"{operation.name} does not describe the type {kind}"
        schema = described["schema"]
        name = f"answer {status} of {operation.name} as {kind}"
        if kind == SSE:
            for piece in sse_pieces(body):
                self._judge.check_inline(schema, piece, name)
        elif kind == NDJSON:
            for piece in ndjson_pieces(body):
                self._judge.check_inline(schema, piece, name)
        elif kind == "application/json":
            self._judge.check_inline(schema, json.loads(body), name)


def _any_of(kind: str) -> str:
    """The range of media types that one belongs to."""
    return f"{kind.partition('/')[0]}/*"


def addresses(path: str) -> re.Pattern[str]:
    """The addresses of a described path: also without /v1, and below an engine."""
    given = re.sub(r"\{\w+\}", "[^/]+", re.escape(path).replace(r"\{", "{").replace(r"\}", "}"))
    given = given.replace("/models/[^/]+", "/models/.+")
    return re.compile(re.sub("^/v1/", "/(?:v1/)?(?:engines/.+/)?", given) + "/?")


@cache
def description() -> Description:
    """The description of a server with all routes."""
    with tempfile.TemporaryDirectory() as folder:
        settings = ServerSettings(models_path=Path(folder), data_path=Path(folder))
        rows = routes.table(build_services(settings))
    return Description(json.loads(openapi.describe(rows)))
