"""A loaded causal language model of transformers as a text generator."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Final

from localai.domain.errors import ContextTooLong, InvalidRequest, Unsupported
from localai.domain.events import Event, Finished, Started, Timings, Usage
from localai.domain.generation import Chat
from localai.domain.vectors import (
    DetokenizeRequest,
    PlainAnswer,
    TokenCount,
    TokenizeRequest,
    Tokens,
)
from localai.wire.call_formats import with_known_formats
from localai.worker.hf.choosing import Chooser, refuse_unknown
from localai.worker.hf.grammars import Grammars
from localai.worker.hf.pieces import Pieces
from localai.worker.hf.prompts import knows_tools, render
from localai.worker.hf.running import Choice, Run, Teller, run_generate
from localai.worker.stop_guard import StopGuard
from localai.worker.tool_use import ToolUse, may_call, must_call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from localai.domain.generation import GenerationRequest
    from localai.wire.functions import FunctionSettings
    from localai.worker.parsers.call_stream import CallStream


_CONTEXT_UNKNOWN: Final = 4096


class TextModel:
    """Generates with `model`, whose context holds `context_size` tokens, `slots` calls at a time.

    `functions` is how the model file wants tools to be called; calls are looked for in all forms
    that models are known to use.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        context_size: int,
        slots: int,
        functions: FunctionSettings,
    ) -> None:
        self._tools = ToolUse(with_known_formats(functions))
        self._model = model
        self._tokenizer = tokenizer
        self._context_size = context_size
        self._places = asyncio.Semaphore(slots)
        self._grammars = Grammars(tokenizer, int(model.config.get_text_config().vocab_size))
        self._ends = _ends(model, tokenizer)

    async def count(self, request: GenerationRequest) -> TokenCount:
        """The size of the prompt."""
        return TokenCount(prompt_tokens=len(await asyncio.to_thread(self._render, request)))

    async def tokenize(self, request: TokenizeRequest) -> Tokens:
        """The token ids of a text."""
        found = self._tokenizer(request.text, add_special_tokens=request.add_special)
        return Tokens(token_ids=tuple(found["input_ids"]))

    async def detokenize(self, request: DetokenizeRequest) -> PlainAnswer:
        """The text of token ids."""
        return PlainAnswer(text=self._tokenizer.decode(list(request.token_ids)))

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Sequence[Event], None]:
        """Answer as events. Closing the iterator ends the engine's call within one token."""
        refuse_unknown(request.sampling)
        if request.prompt_logprobs:
            raise Unsupported(
                "This engine gives no log probabilities of a prompt.", feature="echo", param="echo"
            )
        ids = await asyncio.to_thread(self._render, request)
        if not ids:
            raise InvalidRequest("The prompt is empty: it has no token.", param="prompt")
        room = self._context_size - len(ids)
        if room < 1:
            raise ContextTooLong(limit=self._context_size, requested=len(ids))
        wanted = request.max_tokens
        most = room if wanted is None or wanted < 0 else min(room, wanted)
        request, parser = self._with_calls(request)
        make_mask = await asyncio.to_thread(self._grammars.mask, request)
        async with self._places:
            async for batch in self._run(request, ids, most, make_mask):
                yield (
                    batch
                    if parser is None
                    else [found for event in batch for found in parser.feed(event)]
                )

    def _render(self, request: GenerationRequest) -> list[int]:
        return render(request, self._tokenizer, self._tools)

    def _with_calls(
        self, request: GenerationRequest
    ) -> tuple[GenerationRequest, CallStream | None]:
        """The request with the grammar of its calls, where they are in our form, and their reader."""
        if not may_call(request):
            return request, None
        is_own = isinstance(request.prompt, Chat) and knows_tools(self._tokenizer)
        if is_own and not must_call(request):
            return request, self._tools.sought(request)
        held = self._tools.held(request)
        return held.request, held.calls

    async def _run(
        self, request: GenerationRequest, ids: Sequence[int], most: int, make_mask: Any
    ) -> AsyncGenerator[Sequence[Event], None]:
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[list[Event] | None] = asyncio.Queue()

        def tell(events: list[Event] | None) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, events)

        choices = [self._choice(request, ids, index, make_mask) for index in range(request.choices)]
        run = Run(
            ends=frozenset() if request.sampling.ignore_eos else self._ends,
            most_tokens=most,
            logprobs=request.logprobs,
            name=self._name,
            tell=tell,
        )
        teller = Teller(run, choices)
        began_s = time.monotonic()

        def work() -> None:
            try:
                run_generate(
                    self._model,
                    ids,
                    teller,
                    rows=len(choices),
                    most=most,
                    pad=min(self._ends, default=0),
                )
            finally:
                tell(None)

        yield [Started(len(ids))]
        working = asyncio.create_task(asyncio.to_thread(work))
        first_s: float | None = None
        try:
            while (events := await arrived.get()) is not None:
                first_s = first_s or time.monotonic()
                yield events
            await working
        finally:
            teller.is_cancelled = True
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(asyncio.wait({working}))
        ended_s = time.monotonic()
        timings = Timings(
            1000 * ((first_s or ended_s) - began_s), 1000 * (ended_s - (first_s or ended_s))
        )
        said = sum(choice.tokens for choice in choices)
        yield [Finished(Usage(len(ids), said), timings)]

    def _choice(
        self, request: GenerationRequest, ids: Sequence[int], index: int, make_mask: Any
    ) -> Choice:
        sampling = request.sampling
        mask = make_mask() if make_mask is not None else None
        chooser = Chooser(
            sampling,
            seed=None if sampling.seed is None else sampling.seed + index,
            prompt=ids,
            forbidden=sorted(self._ends) if sampling.ignore_eos else (),
            mask=mask,
        )
        return Choice(
            index=index,
            chooser=chooser,
            pieces=Pieces(self._decode),
            guard=StopGuard(request.stop),
            mask=mask,
        )

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _name(self, token_id: int) -> tuple[str, bytes]:
        text: str = self._tokenizer.decode([token_id])
        return text, text.encode()


def context_size_of(config: Any, asked: int = 0) -> int:
    """The tokens of a context: as many as the model was trained for, or `asked` if fewer."""
    trained = int(getattr(config.get_text_config(), "max_position_embeddings", 0) or 0)
    known = max(0, asked)
    return min(known or trained, trained or known) or _CONTEXT_UNKNOWN


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer."""
    found: set[int] = set()
    for source in (getattr(model, "generation_config", None), tokenizer):
        ids = getattr(source, "eos_token_id", None)
        found.update([ids] if isinstance(ids, int) else ids or [])
    return frozenset(found)
