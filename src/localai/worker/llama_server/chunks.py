"""llama-server's stream, chunk by chunk, as domain events.

Both `/v1/chat/completions` (OpenAI chunks with llama.cpp's extras) and `/completion` (native
chunks) become the same events. Only fields that are used are decoded.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from localai.domain.errors import (
    ContextTooLong,
    EngineFailed,
    InvalidRequest,
    LocalAIError,
    Unsupported,
)
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Finished,
    FinishReason,
    Progress,
    Started,
    Timings,
    TokenLogprob,
    Usage,
)
from localai.domain.parts import Text

# llama-server's words for an input to embed that is longer than a batch, which is the context here
_OVER_BATCH = re.compile(r"\((\d+) tokens\) is too large.*batch size: (\d+)")
# what C++ says of a token id that is not in the vocabulary
_NO_TOKEN = re.compile(
    r"_M_range_check: __n \(which is (\d+)\) >= this->size\(\) \(which is (\d+)\)"
)
_UNUSED_PART = Text(text="")  # the server completes blocks itself
_TEXT = BlockKind.TEXT
_ENDED = frozenset({"stop", "tool_calls"})  # also when a stop sequence came, within a call or not
_SHORT_PROMPT = 512  # tokens to evaluate; their first token comes before anybody misses the start


class Logprob(msgspec.Struct):
    """One token with its probability."""

    id: int
    token: str
    bytes: list[int] = []
    logprob: float = 0.0
    top_logprobs: list[Logprob] = []


class _Logprobs(msgspec.Struct):
    content: list[Logprob] = []


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    index: int = 0
    id: str | None = None
    function: _Function = msgspec.field(default_factory=_Function)


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta = msgspec.field(default_factory=_Delta)
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _CachedTokens(msgspec.Struct):
    cached_tokens: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _CachedTokens = msgspec.field(default_factory=_CachedTokens)


class _Timings(msgspec.Struct):
    prompt_ms: float | None = None
    predicted_ms: float | None = None
    predicted_n: int = 0
    cache_n: int = 0


class _Progress(msgspec.Struct):
    total: int
    cache: int = 0
    processed: int = 0


class EngineError(msgspec.Struct):
    """llama-server's error object."""

    message: str = ""
    type: str = ""
    code: int = 500
    n_prompt_tokens: int = 0
    n_ctx: int = 0


class _Verbose(msgspec.Struct):
    stop_type: str = ""
    stopping_word: str = ""


class ChatChunk(msgspec.Struct):
    """One chunk of `/v1/chat/completions`."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    timings: _Timings | None = None
    prompt_progress: _Progress | None = None
    verbose: _Verbose | None = msgspec.field(default=None, name="__verbose")
    error: EngineError | None = None


class CompletionChunk(msgspec.Struct):
    """One chunk of `/completion` or `/infill`."""

    content: str = ""
    index: int = 0
    stop: bool = False
    stop_type: str = ""
    stopping_word: str = ""
    tokens_predicted: int = 0
    tokens_evaluated: int = 0
    timings: _Timings | None = None
    prompt_progress: _Progress | None = None
    completion_probabilities: list[Logprob] = []
    error: EngineError | None = None


class _ErrorBody(msgspec.Struct):
    error: EngineError


def to_error(error: EngineError) -> LocalAIError:
    """An engine error as the domain's."""
    if error.type == "exceed_context_size_error":
        return ContextTooLong(limit=error.n_ctx, requested=error.n_prompt_tokens)
    if over := _OVER_BATCH.search(error.message):
        return ContextTooLong(limit=int(over[2]), requested=int(over[1]), param="input")
    if wrong := _NO_TOKEN.search(error.message):
        return InvalidRequest(
            f"{wrong[1]} is no token id of this model, which has {wrong[2]} tokens.", param="tokens"
        )
    if "input is not supported" in error.message:  # an image or sound, which needs an mmproj
        return takes_no(error.message.partition(" input is not supported")[0])
    if "Failed to load image or audio" in error.message:
        message = "An image or sound in the request cannot be read: it is damaged, or llama.cpp does not know its format."
        hint = "Send PNG, JPEG or WebP, or WAV, MP3 or FLAC."
        return InvalidRequest(message, param="messages", hint=hint)
    if "does not support logits" in error.message:  # an encoder, such as BERT
        message = "This model writes no text; it turns texts into vectors or ranks them."
        hint = "Ask a chat model, or send this one texts to embed or documents to rank."
        return Unsupported(message, feature="generate", hint=hint, param="model")
    if error.type == "not_supported_error":
        return Unsupported(f"The engine cannot do that: {error.message}", feature="engine")
    if error.type == "invalid_request_error" or error.code == 400:  # noqa: PLR2004 - HTTP's "bad request"
        return InvalidRequest(f"The engine refused the request: {error.message}")
    return EngineFailed(f"The engine failed: {error.message}")


def takes_no(what: str) -> Unsupported:
    """The error for an image or sound that the model was not made for, or has no projector for."""
    message = f"This model takes no {what}."
    hint = "Name its projector as `mmproj` in the model file, or use a model that takes it."
    return Unsupported(message, feature=what, hint=hint, param="messages")


def body_to_error(status: int, body: bytes) -> LocalAIError:
    """The error in a response that is not a stream."""
    try:
        return to_error(msgspec.json.decode(body, type=_ErrorBody).error)
    except msgspec.DecodeError:
        text = body[:500].decode(errors="replace").strip()
        return EngineFailed(f"The engine answered with status {status}: {text or 'nothing'}")


def to_logprob(item: Logprob, top: int) -> TokenLogprob:
    """A token's probability with the `top` most likely ones."""
    alternatives = tuple(to_logprob(other, 0) for other in item.top_logprobs[:top])
    return TokenLogprob(item.id, item.token, bytes(item.bytes), item.logprob, alternatives)


class _Blocks:
    """The blocks of one choice: opens and closes them as the kind of text changes."""

    __slots__ = ("block", "choice", "kind", "opened", "tool_index")

    def __init__(self, choice: int) -> None:
        self.choice = choice
        self.block = -1
        self.kind = _TEXT
        self.opened = False
        self.tool_index = -1

    def open(
        self,
        kind: BlockKind,
        out: list[Event],
        *,
        call_id: str | None = None,
        name: str | None = None,
    ) -> None:
        self.close(out)
        self.block += 1
        self.kind, self.opened = kind, True
        out.append(BlockStarted(self.choice, self.block, kind, call_id, name))

    def close(self, out: list[Event]) -> None:
        if self.opened:
            out.append(BlockEnded(self.choice, self.block, _UNUSED_PART))
            self.opened = False

    def text(
        self, kind: BlockKind, text: str, out: list[Event], logprobs: tuple[TokenLogprob, ...] = ()
    ) -> None:
        if not self.opened or self.kind is not kind:
            self.open(kind, out)
        out.append(Delta(self.choice, self.block, kind, text, b"", logprobs))

    def tool_call(self, call: _ToolCall, out: list[Event]) -> None:
        if call.index != self.tool_index or not self.opened or self.kind is not BlockKind.TOOL_CALL:
            self.tool_index = call.index
            call_id = call.id or f"call_{self.choice}_{call.index}"
            self.open(BlockKind.TOOL_CALL, out, call_id=call_id, name=call.function.name or "")
        if call.function.arguments:
            out.append(Delta(self.choice, self.block, BlockKind.TOOL_CALL, call.function.arguments))


class Translator:
    """Turns the chunks of one call into events. Feed every chunk, then `finish`."""

    def __init__(
        self,
        *,
        logprobs: int | None,
        first_choice: int = 0,
        prompt_logprobs: tuple[TokenLogprob, ...] = (),
    ) -> None:
        self._top = logprobs
        self._first = first_choice
        self._prompt_logprobs = prompt_logprobs
        self._blocks: dict[int, _Blocks] = {}
        self._started = first_choice > 0
        self._held_start: Started | None = None
        self._ended: set[int] = set()
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.completion_tokens = 0
        self.called_tools = False
        self.generated = 0  # tokens of the choice under way, where each chunk says so
        self.timings = Timings()

    def chat(self, chunk: ChatChunk) -> list[Event]:
        """The events of one chat chunk. Raises the domain error the chunk holds."""
        out: list[Event] = []
        if chunk.error is not None:
            raise to_error(chunk.error)
        if chunk.prompt_progress is not None:
            self._progress(chunk.prompt_progress, out)
            return out
        for choice in chunk.choices:
            self._start()
            self._chat_choice(choice, chunk.verbose, out)
        if chunk.usage is not None:
            usage = chunk.usage
            self._count(
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.prompt_tokens_details.cached_tokens,
            )
        if chunk.timings is not None:
            self._time(chunk.timings)
        return self._with_start(out)

    def completion(self, chunk: CompletionChunk) -> list[Event]:
        """The events of one native chunk. Raises the domain error the chunk holds."""
        out: list[Event] = []
        if chunk.error is not None:
            raise to_error(chunk.error)
        if chunk.prompt_progress is not None:
            self._progress(chunk.prompt_progress, out)
            return out
        self._start(chunk.tokens_evaluated)
        blocks = self._choice(chunk.index)
        logprobs = self._logprobs(chunk.completion_probabilities)
        if chunk.content or logprobs:
            blocks.text(_TEXT, chunk.content, out, logprobs)
        timings = chunk.timings or _Timings()
        if chunk.timings is not None:
            self._time(timings)
        if chunk.stop:
            blocks.close(out)
            out.append(self._end(chunk.index, chunk.stop_type, chunk.stopping_word))
            self._count(chunk.tokens_evaluated, chunk.tokens_predicted, timings.cache_n)
        return self._with_start(out)

    def begin_again(self) -> None:
        """Forget how far the choices are: they come once more, from another call."""
        for blocks in self._blocks.values():
            blocks.opened = False
        self._ended.clear()

    def finish(self) -> Finished:
        """The last event, with the sums of all choices."""
        usage = Usage(self.prompt_tokens, self.completion_tokens, self.cached_tokens)
        return Finished(usage, self.timings)

    @property
    def ended_choices(self) -> int:
        """How many choices have ended."""
        return len(self._ended)

    def _chat_choice(self, choice: _Choice, verbose: _Verbose | None, out: list[Event]) -> None:
        blocks = self._choice(choice.index)
        delta = choice.delta
        logprobs = self._logprobs(choice.logprobs.content) if choice.logprobs is not None else ()
        if delta.reasoning_content:
            blocks.text(
                BlockKind.REASONING, delta.reasoning_content, out, () if delta.content else logprobs
            )
        if delta.content or (logprobs and not delta.reasoning_content and not delta.tool_calls):
            blocks.text(_TEXT, delta.content or "", out, logprobs)
        for call in delta.tool_calls or ():
            self.called_tools = True
            blocks.tool_call(call, out)
        if choice.finish_reason is not None:
            blocks.close(out)
            stop_type = choice.finish_reason
            if verbose is not None and verbose.stop_type == "word" and stop_type in _ENDED:
                stop_type = "word"
            out.append(self._end(choice.index, stop_type, verbose.stopping_word if verbose else ""))

    def _logprobs(self, items: list[Logprob]) -> tuple[TokenLogprob, ...]:
        if self._top is None or not items:
            return ()
        return tuple(to_logprob(item, self._top) for item in items)

    def _choice(self, index: int) -> _Blocks:
        blocks = self._blocks.get(index)
        if blocks is None:
            blocks = self._blocks[index] = _Blocks(self._first + index)
        return blocks

    def _end(self, index: int, stop_type: str, word: str) -> ChoiceEnded:
        self._ended.add(index)
        match stop_type:
            case "word":
                return ChoiceEnded(self._first + index, FinishReason.STOP_SEQUENCE, word)
            case "length" | "limit":
                return ChoiceEnded(self._first + index, FinishReason.LENGTH)
            case "tool_calls":
                return ChoiceEnded(self._first + index, FinishReason.TOOL_CALLS)
            case _:
                return ChoiceEnded(self._first + index, FinishReason.STOP)

    def _progress(self, progress: _Progress, out: list[Event]) -> None:
        if not self._started:
            self._started = True
            self.prompt_tokens, self.cached_tokens = progress.total, progress.cache
            started = Started(progress.total, progress.cache, self._prompt_logprobs)
            if progress.total - progress.cache > _SHORT_PROMPT:
                out.append(started)
            else:
                self._held_start = started
        elif 0 < progress.processed < progress.total:
            out.append(Progress("prompt", progress.processed, progress.total))

    def _start(self, prompt_tokens: int = 0) -> None:
        if not self._started:
            self._started = True
            self._held_start = Started(prompt_tokens, 0, self._prompt_logprobs)

    def _with_start(self, out: list[Event]) -> list[Event]:
        """Add the start that waited for the first event: one write less before the first token."""
        if out and self._held_start is not None:
            out.insert(0, self._held_start)
            self._held_start = None
        return out

    def _time(self, timings: _Timings) -> None:
        self.timings = Timings(timings.prompt_ms, timings.predicted_ms)
        self.generated = timings.predicted_n

    def _count(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int) -> None:
        if not self.completion_tokens:
            self.cached_tokens = cached_tokens
        self.prompt_tokens = prompt_tokens or self.prompt_tokens
        self.completion_tokens += completion_tokens


def decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    """A decoder for one kind of chunk."""
    return msgspec.json.Decoder(kind)
