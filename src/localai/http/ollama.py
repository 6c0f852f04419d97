"""Ollama's endpoints about models, and how long they stay loaded.

The generating endpoints share `generation.GenerationRoute`; what is Ollama's own about them, an
empty prompt that only loads a model and `keep_alive`, is here.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from localai.catalog.ollama_prompts import OllamaTemplate
from localai.dialects import ollama
from localai.domain.errors import LocalAIError
from localai.http.body import MEGABYTE, HungUp, read_body
from localai.http.framing import NDJSON
from localai.http.generation import GenerationRoute
from localai.http.one_shot import OneShotRoute
from localai.inference.generate import prepared

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from localai.catalog.gguf import GgufFacts
    from localai.catalog.spec import ModelSpec
    from localai.dialects.contract import Call, OneShotCall
    from localai.http.services import Services

_BILLION, _MILLION = 1e9, 1e6
# What the template of a model that thinks speaks of.
_THINKING_WORDS = ("enable_thinking", "reasoning_content", "</think>", "[/THINK]")


class OllamaRoute(GenerationRoute):
    """/api/chat and /api/generate."""

    def __init__(self, endpoint: Any, services: Services) -> None:
        super().__init__(endpoint, services, NDJSON)

    async def serve(
        self, call: Call, spec: ModelSpec, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer, or only load; then remember how long the model is wanted."""
        assert isinstance(call, ollama.GenerationCall)
        pool = self._services.pool
        if call.is_load_only:
            await self._load_only(call, spec, scope, receive, send)
            return
        await super().serve(call, spec, scope, receive, send)
        if call.keep_alive_s is not None:
            await pool.keep(spec.name, call.keep_alive_s)

    async def _load_only(
        self,
        call: ollama.GenerationCall,
        spec: ModelSpec,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        services = self._services
        if call.keep_alive_s != 0:
            library, pool = services.library, services.pool
            complete = await prepared(call.requests[0], spec, library=library, pool=pool)
            await pool.load(complete)
        if call.keep_alive_s is not None:
            await services.pool.keep(spec.name, call.keep_alive_s)
        named = call.requests[0].model or spec.name
        body = call.loaded(named)
        media_type = NDJSON.content_type.decode() if call.streams else "application/json"
        await Response(body, media_type=media_type)(scope, receive, send)


class OllamaEmbedRoute(OneShotRoute):
    """/api/embed and /api/embeddings."""

    async def result(self, call: OneShotCall, spec: ModelSpec, model: str, *, client: str) -> bytes:
        """The vectors, or the answer to a call that only loads a model."""
        assert isinstance(call, ollama.EmbedCall)
        pool = self._services.pool
        if not call.is_load_only:
            body = await super().result(call, spec, model, client=client)
        else:
            body = call.loaded(model)
            if call.keep_alive_s != 0:
                await pool.load(spec)
        if call.keep_alive_s is not None:
            await pool.keep(spec.name, call.keep_alive_s)
        return body


class OllamaEndpoints:
    """What Ollama's clients ask about models."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def root(self, _request: Request) -> Response:
        """The sentence that clients look for."""
        return Response(ollama.RUNNING, media_type="text/plain")

    async def version(self, _request: Request) -> Response:
        """The version of Ollama's API that is spoken."""
        return _json(ollama.encode_version())

    async def tags(self, _request: Request) -> Response:
        """Every model."""
        specs = self._services.library.catalog().specs.values()
        cards = await asyncio.gather(*(self._card(spec) for spec in specs if not spec.disabled))
        return _json(ollama.encode_tags(cards))

    async def ps(self, _request: Request) -> Response:
        """The loaded models."""
        cards = []
        for name, lane in self._services.pool.lanes.items():
            spec = self._services.library.catalog().specs.get(name)
            if lane.worker is None or spec is None:
                continue
            left_s = lane.expires_in_s(now_s=time.monotonic())
            cards.append(
                ollama.LoadedModelCard(
                    facts=await self._card(spec),
                    size_bytes=lane.worker.memory_bytes() or 0,
                    expires_unix_s=None if left_s is None else time.time() + left_s,
                    context_length=lane.worker.facts.context_size,
                )
            )
        return _json(ollama.encode_ps(cards))

    async def show(self, request: Request) -> Response:
        """One model."""
        services = self._services
        try:
            limit_bytes = services.settings.upload_limit * MEGABYTE
            body = await read_body(request.scope, request.receive, limit_bytes=limit_bytes)
            asked = ollama.decode_show(body)
            spec = services.library.find_listed(asked.model)
            facts = await services.library.facts(spec)
        except HungUp:
            return Response(status_code=400)
        except LocalAIError as error:
            return services.error_response(request.scope, error, ollama.error_reply)
        card = ollama.ModelDetailsCard(
            facts=_card(spec, facts),
            template=_template(spec, facts),
            system=spec.system_prompt,
            license=spec.license,
            messages=spec.messages,
            parameters=_parameters(spec),
            architecture=facts.architecture if facts else "",
            context_length=facts.context_length if facts else None,
            embedding_length=facts.embedding_length if facts else None,
            parameter_count=facts.parameters if facts else None,
            metadata=facts.values if facts else {},
        )
        return _json(ollama.encode_show(card, is_verbose=asked.is_verbose))

    async def _card(self, spec: ModelSpec) -> ollama.ModelFactsCard:
        try:
            return _card(spec, await self._services.library.facts(spec))
        except LocalAIError:  # its file cannot be read; the list shows it all the same
            return _card(spec, None)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _card(spec: ModelSpec, facts: GgufFacts | None) -> ollama.ModelFactsCard:
    identity = f"{spec.name}\n{spec.revision}"  # the digest of the weights would take minutes
    return ollama.ModelFactsCard(
        name=spec.name,
        size_bytes=facts.size_bytes if facts else 0,
        modified_unix_s=float(spec.created_unix_s),
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        family=facts.architecture if facts else "",
        parameter_size=_count(facts.parameters) if facts else "",
        quantization=facts.file_type if facts else "",
        capabilities=_capabilities(spec, facts),
    )


def _count(parameters: int) -> str:
    if parameters >= _BILLION:
        return f"{parameters / _BILLION:.1f}B"
    return f"{parameters / _MILLION:.2f}M"


def _capabilities(spec: ModelSpec, facts: GgufFacts | None) -> tuple[str, ...]:
    """Ollama's words for what a model can do. Every chat model can call tools here."""
    if facts is not None and facts.pooling not in (None, "none"):
        return ("embedding",)
    template = (facts.chat_template or "") if facts else ""
    found = {
        "completion": True,
        "tools": bool(template),
        "insert": bool(facts and facts.has_fill_in_middle),
        "vision": bool(spec.settings.get("mmproj")),
        "thinking": any(word in template for word in _THINKING_WORDS),
    }
    return tuple(word for word, has in found.items() if has)


def _template(spec: ModelSpec, facts: GgufFacts | None) -> str:
    """How conversations are written: as its model file says, else as its weights do."""
    own = spec.templates.ollama if spec.templates is not None else None
    if isinstance(own, OllamaTemplate):
        return own.source
    return (facts.chat_template or "") if facts is not None else ""


def _parameters(spec: ModelSpec) -> dict[str, Any]:
    sampling = spec.sampling
    named = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "seed": sampling.seed,
        "num_predict": spec.max_tokens,
        "num_ctx": spec.settings.get("context_size"),
        "stop": spec.stop or None,
    }
    return {name: value for name, value in named.items() if value is not None}
