"""The endpoints about the server itself: health, version, models, metrics, documentation."""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from localai.dialects import anthropic, openai
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.inference.system_report import system_report
from localai.regexp import BadPattern, Pattern
from localai.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from localai.catalog.spec import ModelSpec
    from localai.http.services import Services

_MAX_FILTER = 200
_ANTHROPIC = "anthropic-version"  # a header that Anthropic's clients send and no others
_MOST_FILTER_STEPS = 100_000  # about a quarter of a second


class SystemEndpoints:
    """What the server says of itself."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.describe: Callable[[], bytes]  # set by `app`, from the finished table

    async def healthz(self, _request: Request) -> Response:
        """The process is alive."""
        return Response(b"", media_type="text/plain")

    async def readyz(self, _request: Request) -> Response:
        """Whether requests can be taken."""
        reason = self._services.not_ready
        if reason:
            return JSONResponse(
                {"status": "starting", "reason": reason},
                status_code=503,
                headers={"Retry-After": "1"},
            )
        return Response(b"", media_type="text/plain")

    async def version(self, _request: Request) -> Response:
        """The version of the package."""
        return JSONResponse({"version": __version__})

    async def system(self, _request: Request) -> Response:
        """This machine, the engines, the loaded models, the versions."""
        services = self._services
        report = await asyncio.to_thread(
            system_report,
            services.stock,
            services.library,
            services.settings.models_path,
            services.pool,
        )
        return JSONResponse(report)

    async def metrics(self, _request: Request) -> Response:
        """Prometheus' text."""
        metrics = self._services.metrics
        return Response(metrics.text(), headers={"Content-Type": metrics.content_type})

    async def models(self, request: Request) -> Response:
        """Every model, by name; `?filter=` is a regular expression on it.

        Two APIs have this path; Anthropic's clients say that they are.
        """
        listed = self._services.library.catalog().specs
        try:
            matches = _filter(request.query_params.get("filter", ""))
            specs = [spec for name, spec in listed.items() if matches(name)]
        except LocalAIError as error:
            return self._refused(request, error)
        if _ANTHROPIC in request.headers:
            body = anthropic.encode_models([_anthropic_card(spec) for spec in specs])
        else:
            body = openai.encode_models([_card(spec) for spec in specs])
        return Response(body, media_type="application/json")

    async def model(self, request: Request) -> Response:
        """One model; its name may hold slashes."""
        name = request.path_params["model"]
        try:
            spec = self._services.library.find_listed(name)
        except LocalAIError as error:
            return self._refused(request, error)
        if _ANTHROPIC in request.headers:
            body = anthropic.encode_model(_anthropic_card(spec))
        else:
            body = openai.encode_model(_card(spec))
        return Response(body, media_type="application/json")

    async def openapi(self, _request: Request) -> Response:
        """The OpenAPI description."""
        description = await asyncio.to_thread(self.describe)
        return Response(description, media_type="application/json")

    async def docs(self, _request: Request) -> Response:
        """A page that shows the description; it loads nothing from elsewhere."""
        page = resources.files("localai.http").joinpath("assets/docs.html").read_bytes()
        policy = "default-src 'self'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'"
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": policy})

    def _refused(self, request: Request, error: LocalAIError) -> Response:
        spell = anthropic.error_reply if _ANTHROPIC in request.headers else None
        return self._services.error_response(request.scope, error, spell)


def _card(spec: ModelSpec) -> openai.ModelCard:
    return openai.ModelCard(model_id=spec.name, created_unix_s=spec.created_unix_s)


def _anthropic_card(spec: ModelSpec) -> anthropic.ModelCard:
    return anthropic.ModelCard(model_id=spec.name, created_unix_s=spec.created_unix_s)


def _filter(source: str) -> Callable[[str], bool]:
    """A test for names by a regular expression, whose work is limited. Raises InvalidRequest."""
    if not source:
        return lambda _: True
    if len(source) > _MAX_FILTER:
        message = f"The filter is {len(source)} characters; at most {_MAX_FILTER} are allowed."
        raise InvalidRequest(message, param="filter")
    try:
        pattern = Pattern(source)
    except BadPattern as error:
        message = f"The filter {source!r} is not a regular expression: {error}."
        raise InvalidRequest(message, param="filter") from error
    left = _MOST_FILTER_STEPS

    def charge(steps: int) -> None:
        nonlocal left
        left -= steps
        if left < 0:
            message = f"The filter {source!r} takes too many steps."
            raise InvalidRequest(message, param="filter", hint="Send a simpler one.")

    return lambda name: pattern.search(name, 0, charge) is not None
