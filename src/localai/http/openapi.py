"""The OpenAPI 3.1 description, made from the route table and the types behind it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from localai.version import __version__

if TYPE_CHECKING:
    from localai.http.routes import RouteRow

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_ERROR_SCHEMA = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def describe(rows: tuple[RouteRow, ...]) -> bytes:
    """The description as JSON. Aliases are described once, under their `/v1` path."""
    shown = [row for row in rows if not row.is_alias]
    bodies = [kind for row in shown for kind in (row.body, row.form) if kind is not None]
    schemas, components = msgspec.json.schema_components(
        bodies, ref_template="#/components/schemas/{name}"
    )
    references = dict(zip(bodies, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for row in shown:
        path = _PARAMETER.sub(r"{\1}", row.path)
        paths.setdefault(path, {})[row.method.lower()] = _operation(row, references)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "local-ai",
            "version": __version__,
            "description": "Every path under /v1 is also served without that prefix.",
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR_SCHEMA},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }
    return msgspec.json.encode(document)


def _operation(row: RouteRow, references: dict[type, dict[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {row.media_type: {"schema": {}}}
    if row.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    operation: dict[str, Any] = {
        "summary": row.summary,
        "tags": [row.tag],
        "operationId": _operation_id(row),
        "responses": {
            "200": {"description": "The answer", "content": content},
            "default": {
                "description": "An error",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    }
    parameters = _PARAMETER.findall(row.path)
    if parameters:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in parameters
        ]
    accepted: dict[str, Any] = {}
    if row.body is not None:
        accepted[row.body_media_type] = {"schema": references[row.body]}
    if row.form is not None:
        accepted["multipart/form-data"] = {"schema": _with_file(references[row.form])}
    if accepted:
        operation["requestBody"] = {"required": True, "content": accepted}
    return operation


def _with_file(fields: dict[str, Any]) -> dict[str, Any]:
    """The schema of a form: its fields, and the file beside them."""
    file = {"type": "string", "format": "binary", "description": "The audio, in any format"}
    return {"allOf": [fields, {"properties": {"file": file}, "required": ["file"]}]}


def _operation_id(row: RouteRow) -> str:
    words = re.findall(r"[A-Za-z0-9.]+", row.path.removeprefix("/v1"))
    return "_".join([row.method.lower(), *(word.replace(".", "_") for word in words)])
