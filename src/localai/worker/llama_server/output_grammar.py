"""The grammar that an answer obeys, in the words of a llama-server."""

from __future__ import annotations

from typing import Any

from localai.domain.generation import Completion, GenerationRequest, Grammar, PlainText
from localai.worker.grammars.of_output import grammar_of
from localai.worker.llama_server import frames
from localai.worker.llama_server.thinking import Thinking
from localai.worker.runtime import in_thread


class OutputGrammars:
    """Gives each request's answer its grammar, and lets models think before they obey it."""

    def __init__(self, thinking: Thinking) -> None:
        self._thinking = thinking

    async def fields(self, request: GenerationRequest) -> dict[str, Any]:
        """The fields of a body that make the engine obey. Raises RequestError, SpecInvalid."""
        if isinstance(request.output, PlainText):
            return {}
        grammar = await in_thread(grammar_of, request.output)  # a large schema takes its time
        if grammar is None:
            return {}
        if isinstance(request.output, Grammar) and request.output.with_thinking:
            return {"grammar": grammar}
        if isinstance(request.prompt, Completion):
            opened = self._thinking.opened_by_text(request.prompt)
            return {"grammar": frames.after_thinking(opened, grammar) if opened else grammar}
        frame = await self._thinking.frame(request)
        if frame is None:
            opened = await self._thinking.opened(request)
            return {"grammar": frames.after_thinking(opened, grammar) if opened else grammar}
        is_open = self._thinking.is_opened_by(frame.prompt_end)
        if isinstance(request.output, Grammar) and not is_open:
            return {"grammar": grammar}  # it rules the answer from its first character on
        # The engine moves such a grammar past what the prompt has said already.
        return {"grammar": frame.around(grammar), "grammar_type": "tool_calls"}
