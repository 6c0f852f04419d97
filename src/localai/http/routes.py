"""One table of everything this server answers: method, path, endpoint, documentation.

Starlette's routes and `/openapi.json` are both made from it. Every path under `/v1` exists
without the prefix too, as LocalAI's users expect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from localai.dialects import openai
from localai.dialects.openai.requests import ChatBody, CompletionBody, EditBody
from localai.http.generation import GenerationEndpoint
from localai.http.system import SystemEndpoints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localai.http.services import Services

_PREFIX = "/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """One operation. `body` is the msgspec type of its JSON body; `streams` adds event streams."""

    method: str
    path: str
    endpoint: Any
    summary: str
    tag: str
    body: type | None = None
    streams: bool = False
    is_alias: bool = False
    media_type: str = "application/json"


def table(services: Services) -> tuple[RouteRow, ...]:
    """Every operation, the aliases without `/v1` and below `/v1/engines/{model}` included."""
    return tuple(row for listed in _listed(services) for row in _with_aliases(listed))


def routes(rows: tuple[RouteRow, ...]) -> list[Route]:
    """The table as Starlette's routes; a GET answers HEAD as well."""
    return [Route(row.path, row.endpoint, methods=[row.method]) for row in rows]


def _listed(services: Services) -> tuple[RouteRow, ...]:
    system = SystemEndpoints(services)
    rows = [
        RouteRow(
            method="POST", path="/v1/chat/completions", tag="OpenAI", body=ChatBody, streams=True,
            endpoint=GenerationEndpoint(openai.ChatEndpoint(), services),
            summary="Answer a conversation",
        ),
        RouteRow(
            method="POST", path="/v1/completions", tag="OpenAI", body=CompletionBody, streams=True,
            endpoint=GenerationEndpoint(openai.CompletionEndpoint(), services),
            summary="Go on from a text",
        ),
        RouteRow(
            method="POST", path="/v1/edits", tag="OpenAI", body=EditBody,
            endpoint=GenerationEndpoint(openai.EditEndpoint(), services),
            summary="Change a text as an instruction says",
        ),
        RouteRow(method="GET", path="/v1/models", tag="OpenAI", endpoint=system.models, summary="List the models"),
        RouteRow(
            method="GET", path="/v1/models/{model:path}", tag="OpenAI", endpoint=system.model,
            summary="Show one model",
        ),
        RouteRow(method="GET", path="/healthz", tag="System", endpoint=system.healthz, summary="Is the process alive"),
        RouteRow(
            method="GET", path="/readyz", tag="System", endpoint=system.readyz,
            summary="Can it take requests; 503 with the reason until it can",
        ),
        RouteRow(method="GET", path="/version", tag="System", endpoint=system.version, summary="The version"),
        RouteRow(method="GET", path="/openapi.json", tag="System", endpoint=system.openapi, summary="This description"),
        RouteRow(
            method="GET", path="/docs", tag="System", endpoint=system.docs, media_type="text/html",
            summary="This description, to read and try",
        ),
    ]  # fmt: skip
    if not services.settings.disable_metrics_endpoint:
        rows.append(
            RouteRow(
                method="GET",
                path="/metrics",
                tag="System",
                endpoint=system.metrics,
                media_type="text/plain",
                summary="Counters for Prometheus",
            )
        )
    return tuple(rows)


def _with_aliases(row: RouteRow) -> Iterator[RouteRow]:
    yield row
    if not row.path.startswith(_PREFIX):
        return
    paths = [row.path.removeprefix(_PREFIX)]
    if row.path == "/v1/completions":
        paths.append("/v1/engines/{model:path}/completions")
    for path in paths:
        yield RouteRow(
            method=row.method, path=path, endpoint=row.endpoint, summary=row.summary, tag=row.tag,
            body=row.body, streams=row.streams, is_alias=True, media_type=row.media_type,
        )  # fmt: skip
