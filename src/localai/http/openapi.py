"""The OpenAPI 3.1 description, made from the route table and the types behind it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from localai.dialects.openai import replies as of_openai
from localai.http.answers import ANSWERS, Answers, Query
from localai.version import __version__

if TYPE_CHECKING:
    from localai.http.rows import RouteRow

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_REFERENCE = "#/components/schemas/"
_JSON = "application/json"
_EVERYTHING_ELSE = Answers(whole=Any)


def describe(rows: tuple[RouteRow, ...]) -> bytes:
    """The description as JSON. Aliases are described once, under their `/v1` path."""
    shown = [row for row in rows if not row.is_alias]
    schemas = Schemas(shown)
    paths: dict[str, dict[str, Any]] = {}
    for row in shown:
        paths.setdefault(path_of(row), {})[row.method.lower()] = _operation(row, schemas)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "local-ai",
            "version": __version__,
            "description": "Every path under /v1 is also served without that prefix.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }
    return msgspec.json.encode(document)


def path_of(row: RouteRow) -> str:
    """The row's path as it is described: without the types of its parameters."""
    return _PARAMETER.sub(r"{\1}", row.path)


def answers_of(row: RouteRow) -> Answers | None:
    """What the row answers, or None if the table of answers does not know it."""
    return ANSWERS.get(f"{row.method} {path_of(row)}")


class Schemas:
    """The schemas of all types that rows name. A component's name begins with its row's tag."""

    def __init__(self, rows: list[RouteRow]) -> None:
        self.components: dict[str, Any] = {}
        self._of: dict[tuple[str, Any], Any] = {}
        wanted: dict[str, list[Any]] = defaultdict(list)
        for row in rows:
            answers = answers_of(row) or _EVERYTHING_ELSE
            types = [row.body, row.form, answers.piece]
            types += [*_each(answers.whole), *_each(answers.error)]
            types += [kind for _, kind in answers.others.values()]
            wanted[row.tag] += [kind for kind in types if kind is not None]
        for tag, kinds in wanted.items():
            template = _REFERENCE + tag + "{name}"
            schemas, named = msgspec.json.schema_components(kinds, ref_template=template)
            self.components |= {f"{tag}{name}": schema for name, schema in named.items()}
            self._of |= {(tag, kind): schema for kind, schema in zip(kinds, schemas, strict=True)}

    def of(self, row: RouteRow, kind: Any) -> Any:
        """The schema of a type that the row names, or of one of several."""
        found = [self._of[row.tag, one] for one in _each(kind)]
        return found[0] if len(found) == 1 else {"anyOf": found}


def _each(kind: Any) -> tuple[Any, ...]:
    return kind if isinstance(kind, tuple) else (kind,)


def _operation(row: RouteRow, schemas: Schemas) -> dict[str, Any]:
    answers = answers_of(row)
    operation: dict[str, Any] = {
        "summary": row.summary,
        "tags": [row.tag],
        "operationId": _operation_id(row),
        "responses": _responses(row, answers, schemas),
    }
    parameters = [_in_path(name) for name in _PARAMETER.findall(row.path)]
    parameters += [_in_query(field) for field in (answers.query if answers else ())]
    if parameters:
        operation["parameters"] = parameters
    accepted: dict[str, Any] = {}
    if row.body is not None:
        accepted[row.body_media_type] = {"schema": schemas.of(row, row.body)}
    if row.form is not None:
        accepted["multipart/form-data"] = {"schema": _with_file(schemas.of(row, row.form))}
    if accepted:
        operation["requestBody"] = {"required": True, "content": accepted}
    return operation


def _with_file(fields: dict[str, Any]) -> dict[str, Any]:
    """The schema of a form: its fields, and the file beside them."""
    file = {"type": "string", "format": "binary", "description": "The audio, in any format"}
    return {"allOf": [fields, {"properties": {"file": file}, "required": ["file"]}]}


def _responses(row: RouteRow, answers: Answers | None, schemas: Schemas) -> dict[str, Any]:
    if answers is None:
        error = _content(_JSON, schemas.of(row, of_openai.Error))
        return {
            "200": {"description": "The answer", "content": {row.media_type: {"schema": {}}}},
            "default": {"description": "An error", "content": error},
        }
    content = _content(row.media_type, schemas.of(row, answers.whole))
    for media_type in answers.kinds:
        content |= _content(media_type, {"type": "string"})
    if answers.piece is not None:
        pieces = [schemas.of(row, answers.piece), schemas.of(row, answers.error)]
        content |= _content(answers.stream_type, {"anyOf": pieces})
    responses: dict[str, Any] = {"200": {"description": "The answer", "content": content}}
    error = _content(_JSON, schemas.of(row, answers.error))
    for status, kinds in answers.statuses(row.method).items():
        responses[str(status)] = {"description": ", ".join(kinds), "content": error}
    for status, (description, kind) in answers.others.items():
        content = _content(_JSON, schemas.of(row, kind))
        responses[str(status)] = {"description": description, "content": content}
    return responses


def _content(media_type: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": schema}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(field: Query) -> dict[str, Any]:
    return {
        "name": field.name,
        "in": "query",
        "description": field.description,
        "schema": field.schema,
    }


def _operation_id(row: RouteRow) -> str:
    words = re.findall(r"[A-Za-z0-9.]+", row.path.removeprefix("/v1"))
    return "_".join([row.method.lower(), *(word.replace(".", "_") for word in words)])
