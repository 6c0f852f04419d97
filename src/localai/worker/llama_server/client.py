"""The HTTP client of one llama-server."""

from __future__ import annotations

import dataclasses
import json
import math
from contextlib import aclosing
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from localai.domain.batches import Batches, Take, batches_of, taken
from localai.domain.errors import EngineFailed, InvalidRequest, Unsupported
from localai.domain.events import (
    BlockEnded,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    FinishReason,
    TokenLogprob,
)
from localai.domain.generation import (
    MEDIA_MARKER,
    Chat,
    Completion,
    GenerationRequest,
    JsonSchema,
)
from localai.domain.parts import MediaKind, Text
from localai.domain.vectors import (
    DetokenizeRequest,
    Embeddings,
    EmbedRequest,
    PlainAnswer,
    Ranking,
    RerankRequest,
    TokenCount,
    TokenizeRequest,
    Tokens,
)
from localai.wire.functions import FunctionSettings
from localai.wire.http_client import HttpClient
from localai.worker.llama_server import chunks, requests, vectors
from localai.worker.llama_server.calls_or_form import Reader, call_or_answer
from localai.worker.llama_server.forced_calls import ForcedCalls
from localai.worker.llama_server.one_call import until_second_call, wants_one_call
from localai.worker.llama_server.output_grammar import OutputGrammars
from localai.worker.llama_server.pace import Pace
from localai.worker.llama_server.thinking import Thinking
from localai.worker.llama_server.tool_plan import ToolPlans
from localai.worker.parsers.call_stream import CallStream
from localai.worker.parsers.thinking import ThinkingReader, ThinkingTags
from localai.worker.stop_guard import StopGuard

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

_LARGEST_VOCABULARY = 2**31  # where the engine does not tell
_OK = 200
_FORCE = 1000.0  # added to a logit, this makes a token certain without changing its own probability
_KNOWN_TAGS = ThinkingTags()
_MODALITIES = {MediaKind.IMAGE: "vision", MediaKind.AUDIO: "audio"}  # as llama-server calls them
_chat_decoder = chunks.decoder(chunks.ChatChunk)
_completion_decoder = chunks.decoder(chunks.CompletionChunk)


class Purpose(StrEnum):
    """What a llama-server was started for; it embeds or ranks only when it was told so."""

    GENERATE = "generate"
    EMBED = "embed"
    RERANK = "rerank"


class LlamaServer:
    """One llama-server at `address`: `unix:///path.sock` or `http://host:port`.

    `slots` is its number of parallel sequences; more choices than that run in turns. `functions`
    is how the model file wants tools to be called, `thinking` are the tags of thinking that the
    engine may not find itself; None leaves it all to the engine.
    """

    def __init__(
        self,
        address: str,
        *,
        key: str,
        slots: int,
        purpose: Purpose = Purpose.GENERATE,
        functions: FunctionSettings | None = None,
        thinking: ThinkingTags | None = _KNOWN_TAGS,
    ) -> None:
        self._slots = slots
        self._purpose = purpose
        self._context_size = 0  # tokens; `properties` finds it out
        self._tools = ToolPlans(functions or FunctionSettings(), self._post)
        self._vocabulary_size = 0  # `_check_ids` finds it out
        self._media_marker = MEDIA_MARKER  # what stands for an image; `properties` finds it out
        self._modalities: dict[str, bool] = {}
        self._shows_format = False  # whether the template writes a schema into the prompt
        self._forced_calls = ForcedCalls(self._stream, self._post)
        self._thinking = Thinking(thinking, self._post)
        self._grammars = OutputGrammars(self._thinking)
        self._http = HttpClient(address, token=key, reopens=True)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def properties(self) -> dict[str, Any]:
        """The server's `/props`."""
        async with await self._http.get("/props") as answer:
            properties: dict[str, Any] = msgspec.json.decode(await answer.whole())
        self._context_size = properties["default_generation_settings"]["n_ctx"]
        known = properties.get("chat_template_caps", {})
        self._tools.knows_tools = bool(known.get("supports_tools", True))
        self._media_marker = properties.get("media_marker") or MEDIA_MARKER
        self._modalities = properties.get("modalities", {})
        self._shows_format = "response_format" in properties.get("chat_template", "")
        if self._purpose is Purpose.GENERATE and properties.get("chat_template"):
            await self._thinking.look_at_template()
        return properties

    def generate(self, request: GenerationRequest) -> Batches[Event]:
        """Answer `request` as events; ending early stops the engine.

        Raises RequestError and EngineFailed.
        """
        return Batches(partial(self._deliver, request))

    async def _deliver(self, request: GenerationRequest, take: Take[Event]) -> None:
        plan = await self._tools.plan(request)
        request = plan.request
        if isinstance(request.prompt, Completion) and request.prompt.token_ids is not None:
            await self._check_ids(request.prompt.token_ids, "prompt")
        prompt_logprobs: tuple[TokenLogprob, ...] = ()
        if request.prompt_logprobs:
            prompt_logprobs = await self._score_prompt(request)
        read: Reader | None = None
        if not plan.is_forced and not plan.is_either:
            thinking = await self._thinking.reader(request)
            if thinking is not None or plan.calls is not None:
                read = _in_turn(thinking, plan.calls)
        guarded = requests.matches_stops_itself(request)
        one_call = wants_one_call(request)
        alone = guarded or plan.is_forced or plan.is_either or one_call
        together = 1 if alone else self._slots
        ending = _Ending(take)
        completion_tokens = 0
        for first in range(0, request.choices, together):
            turn = _turn(request, first, min(together, request.choices - first))
            translator = chunks.Translator(
                logprobs=request.logprobs, first_choice=first, prompt_logprobs=prompt_logprobs
            )
            answer = self._stream(turn, translator)
            if plan.is_either:
                begun = _in_turn(await self._thinking.reader(turn), plan.calls)
                formed = _in_turn(await self._thinking.reader(turn))
                answer = batches_of(call_or_answer(self._stream, turn, translator, begun, formed))
            if plan.is_forced:
                answer = batches_of(self._forced_calls.answer(turn, translator))
            elif guarded:
                answer = batches_of(_until_stop(answer, StopGuard(request.stop), translator))
            elif request.max_tokens == 0:
                answer = batches_of(_without_text(answer, translator))
            if read is not None:
                answer = _read_by(answer, read)
            if one_call:
                answer = batches_of(until_second_call(answer, translator))
            is_last = first + turn.choices == request.choices
            await answer.into(partial(ending.take, translator, turn.choices) if is_last else take)
            completion_tokens += translator.completion_tokens
            if not first:
                total = translator
        total.completion_tokens = completion_tokens
        await taken(take, [*ending.events, total.finish()])

    def _endpoint(self, request: GenerationRequest) -> tuple[str, dict[str, Any]]:
        match request.prompt:
            case Chat(messages=messages):
                return "/v1/chat/completions", requests.chat_body(request, messages)
            case Completion() as prompt:
                path = "/completion" if prompt.suffix is None else "/infill"
                self._check_media(prompt)
                shown = self._thinking.tags_in(prompt)
                marker = self._media_marker
                return path, requests.completion_body(request, prompt, shown=shown, marker=marker)
            case other:
                message = f"llama.cpp takes chats and completions, not {type(other).__name__}."
                raise Unsupported(message, feature="prompt")

    def _check_media(self, prompt: Completion) -> None:
        """Raise Unsupported for what the engine would fail on without a word of which it was."""
        for part in prompt.media:
            if not self._modalities.get(_MODALITIES.get(part.kind, ""), False):
                raise chunks.takes_no(part.kind.value)

    def _stream(self, request: GenerationRequest, translator: chunks.Translator) -> Batches[Event]:
        """What the engine answers, as `translator` reads it."""
        return Batches(partial(self._follow, request, translator))

    async def _follow(
        self, request: GenerationRequest, translator: chunks.Translator, take: Take[Event]
    ) -> None:
        path, body = self._endpoint(request)
        body |= await self._grammars.fields(request)
        if self._shows_format and isinstance(request.output, JsonSchema):
            shown = {"response_format": json.loads(request.output.schema)}
            body["chat_template_kwargs"] = shown | body.get("chat_template_kwargs", {})
        requests.bound_look_back(body, self._context_size)
        lines = _Lines(_reader(path, translator), take)
        asked = self._http.post(path, msgspec.json.encode(body), lines.read)
        async with await asked as answer:
            if answer.status != _OK:
                raise chunks.body_to_error(answer.status, await answer.whole())
            if not requests.is_cut_short(request):  # whose tokens are counted one by one
                lines.rest = answer.rest
            await answer.follow(lines.read)
        if translator.ended_choices < request.choices:
            message = "The engine stopped before the end of its answer."
            raise EngineFailed(message, hint="Look at the worker's log.")

    async def count(self, request: GenerationRequest) -> TokenCount:
        """The tokens of the prompt that `request` makes, as rendered, without its images and sounds."""
        request = self._tools.told(request)
        prompt = request.prompt
        if isinstance(prompt, Chat):
            body = requests.chat_body(request, prompt.messages)
            text = (await self._post("/apply-template", body))["prompt"]
            prompt = Completion(text=text.replace(self._media_marker, ""))
        if not isinstance(prompt, Completion):
            message = f"llama.cpp takes chats and completions, not {type(prompt).__name__}."
            raise Unsupported(message, feature="prompt")
        if prompt.media:
            prompt = Completion(text=(prompt.text or "").replace(MEDIA_MARKER, ""))
        return TokenCount(prompt_tokens=len(await self._tokens(prompt)))

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """One vector per input. Raises Unsupported when the model was not loaded for it."""
        if self._purpose is not Purpose.EMBED:
            message = "This model is not loaded for embeddings."
            hint = "Add `embeddings: true` to its model file, or use an embedding model."
            raise Unsupported(message, feature="embed", hint=hint, param="model")
        for i, item in enumerate(request.inputs):
            if not isinstance(item, str):
                await self._check_ids(item, f"input[{i}]")
        if request.prompt_name:
            message = "A GGUF model has no prompts of its own."
            hint = "Put the prompt before the text, and leave prompt_name out."
            raise Unsupported(message, feature="prompt_name", hint=hint, param="prompt_name")
        return await vectors.embed(self._post, request)

    async def rerank(self, request: RerankRequest) -> Ranking:
        """One score per document. Raises Unsupported when the model was not loaded for it."""
        if self._purpose is not Purpose.RERANK:
            message = "This model is not loaded for reranking."
            hint = "Add `reranking: true` to its model file, or use a reranker."
            raise Unsupported(message, feature="rerank", hint=hint, param="model")
        return await vectors.rerank(self._post, request)

    async def tokenize(self, request: TokenizeRequest) -> Tokens:
        """The token ids of a text."""
        return await vectors.tokenize(self._post, request)

    async def detokenize(self, request: DetokenizeRequest) -> PlainAnswer:
        """The text of token ids."""
        await self._check_ids(request.token_ids, "tokens")
        return await vectors.detokenize(self._post, request)

    async def _score_prompt(self, request: GenerationRequest) -> tuple[TokenLogprob, ...]:
        """The log probability of every prompt token, one forced step each.

        llama-server has no call for this. Each step evaluates one token on top of the cached
        ones, so it costs what generating the prompt would.
        """
        prompt = request.prompt
        if not isinstance(prompt, Completion) or prompt.suffix is not None:
            message = "Log probabilities of the prompt are for plain completions."
            raise Unsupported(message, feature="prompt_logprobs", param="echo")
        token_ids = await self._tokens(prompt)
        if not token_ids:
            return ()
        top = request.logprobs or 0
        piece = await self._post("/detokenize", {"tokens": token_ids[:1]})
        first = str(piece.get("content", ""))
        scored = [TokenLogprob(token_ids[0], first, first.encode(), math.nan)] if first else []
        for count in range(1, len(token_ids)):
            body = {
                "prompt": token_ids[:count],
                "n_predict": 1,
                "n_probs": max(1, top),
                "temperature": 0.0,
                "logit_bias": [[token_ids[count], _FORCE]],
                "cache_prompt": True,
                "response_fields": ["completion_probabilities"],
            }
            reply = msgspec.convert(await self._post("/completion", body), chunks.CompletionChunk)
            scored.extend(
                chunks.to_logprob(item, top) for item in reply.completion_probabilities[:1]
            )
        return tuple(scored)

    async def _check_ids(self, token_ids: Sequence[int], param: str) -> None:
        """Raise InvalidRequest for a token that the model does not have: the engine would break."""
        if not self._vocabulary_size:
            async with await self._http.get("/v1/models") as answer:
                listed = msgspec.json.decode(await answer.whole())
            meta = listed["data"][0].get("meta") or {}
            self._vocabulary_size = meta.get("n_vocab") or _LARGEST_VOCABULARY
        for position, token_id in enumerate(token_ids):
            if not 0 <= token_id < self._vocabulary_size:
                where = f"{param}[{position}]"
                message = f"{where} is {token_id}; this model has {self._vocabulary_size} tokens."
                raise InvalidRequest(message, param=where)

    async def _tokens(self, prompt: Completion) -> list[int]:
        if prompt.token_ids is not None:
            return list(prompt.token_ids)
        body = {"content": prompt.text or "", "add_special": True, "parse_special": True}
        tokens: list[int] = (await self._post("/tokenize", body))["tokens"]
        return tokens

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with await self._http.post(path, msgspec.json.encode(body)) as answer:
            data = await answer.whole()
        if answer.status != _OK:
            raise chunks.body_to_error(answer.status, data)
        reply: dict[str, Any] = msgspec.json.decode(data)
        return reply


class _Lines:
    """Hands the events in llama-server's lines to `take`, those of one piece together."""

    __slots__ = ("_begun", "_pace", "_take", "_translate", "rest")

    def __init__(self, translate: Callable[[bytes], list[Event]], take: Take[Event]) -> None:
        self._translate = translate
        self._take = take
        self._pace = Pace()
        self._begun = b""  # a line
        self.rest: Callable[[float], None] | None = None

    def read(self, piece: bytes) -> Awaitable[None] | None:
        """Read a piece of the answer. Raises the engine's own error."""
        *lines, self._begun = (self._begun + piece).split(b"\n")
        events: list[Event] = []
        count = 0
        for line in lines:
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                count += 1
                events.extend(self._translate(line[6:]))
            elif line.startswith(b"error: "):
                raise chunks.body_to_error(500, b'{"error":' + line[7:] + b"}")
        if self.rest is not None and (rest_s := self._pace.rest_s(count)):
            self.rest(rest_s)
        return self._take(events) if events else None


class _Ending:
    """Keeps back the end of the last choice, which goes out together with the last event."""

    __slots__ = ("_take", "events")

    def __init__(self, take: Take[Event]) -> None:
        self._take = take
        self.events: list[Event] = []

    def take(
        self, translator: chunks.Translator, choices: int, events: Sequence[Event]
    ) -> Awaitable[None] | None:
        """Hand on events, until all `choices` have ended."""
        if translator.ended_choices == choices:
            self.events += events
            return None
        return self._take(events) if events else None


def _reader(path: str, translator: chunks.Translator) -> Callable[[bytes], list[Event]]:
    if path == "/v1/chat/completions":
        return lambda payload: translator.chat(_chat_decoder.decode(payload))
    return lambda payload: translator.completion(_completion_decoder.decode(payload))


def _in_turn(*readers: ThinkingReader | CallStream | None) -> Reader:
    """What hands each event from one reader to the next; those that are None are left out."""
    feeds = [reader.feed for reader in readers if reader is not None]
    if len(feeds) == 1:
        return feeds[0]

    def read(event: Event) -> list[Event]:
        events = [event]
        for feed in feeds:
            events = [made for given in events for made in feed(given)]
        return events

    return read


def _turn(request: GenerationRequest, first: int, count: int) -> GenerationRequest:
    """The part of `request` that makes `count` choices from `first` on, each with its own seed."""
    if count == request.choices:
        return request
    sampling = request.sampling
    if first and sampling.seed is not None:
        sampling = dataclasses.replace(sampling, seed=sampling.seed + first)
    return dataclasses.replace(request, choices=count, sampling=sampling)


async def _until_stop(
    answer: Batches[Event], guard: StopGuard, translator: chunks.Translator
) -> AsyncGenerator[Sequence[Event], None]:
    """One choice's events up to the first stop sequence, which ends the engine's work."""
    async with aclosing(answer) as batches:
        async for batch in batches:
            out: list[Event] = []
            for event in batch:
                if not isinstance(event, Delta):
                    if isinstance(event, BlockEnded):
                        out.extend(guard.release())
                    out.append(event)
                    continue
                out.extend(guard.feed(event))
                if guard.found is not None:
                    translator.completion_tokens = translator.generated
                    out.append(BlockEnded(event.choice, event.block, Text(text="")))
                    out.append(ChoiceEnded(event.choice, FinishReason.STOP_SEQUENCE, guard.found))
                    yield out
                    return
            yield out


def _read_by(answer: Batches[Event], read: Reader) -> Batches[Event]:
    """What a reader makes of an answer."""

    async def deliver(take: Take[Event]) -> None:
        await answer.into(lambda batch: take([made for event in batch for made in read(event)]))

    return Batches(deliver)


async def _without_text(
    answer: Batches[Event], translator: chunks.Translator
) -> AsyncGenerator[Sequence[Event], None]:
    """An answer of no tokens: llama-server makes one even when it is asked for none."""
    async with aclosing(answer) as batches:
        async for batch in batches:
            yield [
                event for event in batch if not isinstance(event, Delta | BlockStarted | BlockEnded)
            ]
    translator.completion_tokens = 0
