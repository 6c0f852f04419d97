"""A decoded call, which both endpoints make."""

from __future__ import annotations

from dataclasses import dataclass

from localai.dialects.ollama.answer import AnswerStream, AnswerWhole, Spelling, load_body
from localai.domain.generation import GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationCall:
    """What to generate, how to spell it, and how long the model stays loaded afterwards.

    `keep_alive_s`: 0 unloads after the answer, infinity never, None is the server's setting.
    `is_load_only`: there is nothing to answer; load the model (unload it when `keep_alive_s` is
    0), do not run the request, and answer with `loaded(model)`, streamed or not.
    """

    requests: tuple[GenerationRequest, ...]
    streams: bool
    spelled: Spelling
    keep_alive_s: float | None = None
    is_load_only: bool = False

    def stream_encoder(self, model: str) -> AnswerStream:
        """An encoder for a stream."""
        return AnswerStream(self.spelled, model)

    def whole_encoder(self, model: str) -> AnswerWhole:
        """An encoder for a whole answer."""
        has_logprobs = self.requests[0].logprobs is not None
        return AnswerWhole(self.spelled, model, has_logprobs=has_logprobs)

    def loaded(self, model: str) -> bytes:
        """The response body of a call that only loads or unloads."""
        return load_body(self.spelled, model, "unload" if self.keep_alive_s == 0 else "load")
