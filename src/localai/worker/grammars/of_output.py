"""The grammar of an answer's form, for any engine that obeys GBNF.

Engines make grammars from JSON Schemas themselves, but leave out what they cannot say. So the
grammar is made here, from the whole schema or not at all.
"""

from __future__ import annotations

from typing import assert_never

from localai.domain.errors import InvalidRequest, SpecInvalid
from localai.domain.generation import Grammar, JsonSchema, JsonValue, OutputFormat, PlainText
from localai.worker.grammars.gbnf_check import GrammarProblem, parse_grammar
from localai.worker.json_schema import SchemaProblem, compile_schema
from localai.worker.json_schema.errors import schema_error

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
    if output.with_thinking:  # made here
        return output.gbnf
    try:
        parse_grammar(output.gbnf)
    except GrammarProblem as problem:
        message = f"The grammar is wrong at {problem}."
        if not output.param:
            hint = "Correct `grammar` in the model file."
            raise SpecInvalid(message, problems=(message,), hint=hint) from None
        raise InvalidRequest(message, param=output.param, hint=_GRAMMAR_HINT) from None
    return output.gbnf
