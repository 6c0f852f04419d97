"""The grammar that an answer obeys, in the words of a llama-server.

llama.cpp makes grammars from JSON Schemas itself, but leaves out what it cannot say. So the
grammar is made here, from the whole schema or not at all.
"""

from __future__ import annotations

from typing import Any, assert_never

from localai.domain.errors import InvalidRequest, SpecInvalid
from localai.domain.generation import (
    Completion,
    GenerationRequest,
    Grammar,
    JsonSchema,
    JsonValue,
    OutputFormat,
    PlainText,
)
from localai.worker.json_schema import SchemaProblem, compile_schema
from localai.worker.llama_server import frames
from localai.worker.llama_server.grammar_check import GrammarProblem, parse_grammar
from localai.worker.llama_server.schema_errors import schema_error
from localai.worker.llama_server.thinking import Thinking
from localai.worker.runtime import in_thread

_GRAMMAR_HINT = "The form of grammars is that of llama.cpp: see its grammars/README.md."


def grammar_of(output: OutputFormat) -> str | None:
    """The grammar of an output format; None for free text. Raises RequestError, SpecInvalid."""
    match output:
        case PlainText():
            return None
        case JsonValue():
            return compile_schema("{}")
        case JsonSchema():
            return _of_schema(output)
        case Grammar():
            return _checked(output)
        case _:
            assert_never(output)


def _of_schema(output: JsonSchema) -> str:
    try:
        return compile_schema(output.schema)
    except SchemaProblem as problem:
        raise schema_error(problem, what="The schema", param=output.param) from None


def _checked(output: Grammar) -> str:
    try:
        parse_grammar(output.gbnf)
    except GrammarProblem as problem:
        message = f"The grammar is wrong at {problem}."
        if not output.param:
            hint = "Correct `grammar` in the model file."
            raise SpecInvalid(message, problems=(message,), hint=hint) from None
        raise InvalidRequest(message, param=output.param, hint=_GRAMMAR_HINT) from None
    return output.gbnf


class OutputGrammars:
    """Gives each request's answer its grammar, and lets models think before they obey it."""

    def __init__(self, thinking: Thinking) -> None:
        self._thinking = thinking

    async def fields(self, request: GenerationRequest) -> dict[str, Any]:
        """The fields of a body that make the engine obey. Raises RequestError, SpecInvalid."""
        if isinstance(request.output, PlainText):
            return {}
        if isinstance(request.output, Grammar) and request.output.with_thinking:
            return {"grammar": request.output.gbnf}
        grammar = await in_thread(grammar_of, request.output)  # a large schema takes its time
        if grammar is None:
            return {}
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
