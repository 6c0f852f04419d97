"""What an answer must look like, as a mask over the vocabulary, by xgrammar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.generation import (
    GenerationRequest,
    Grammar,
    JsonSchema,
    JsonValue,
)
from localai.worker.grammars.of_output import grammar_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

_KEPT = 64  # compiled grammars


class Grammars:
    """Compiles the grammars of one model. Thread-safe as far as xgrammar's compiler is."""

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._compiler: Any = None
        self._known: dict[str, Any] = {}

    def mask(self, request: GenerationRequest) -> Callable[[], Mask] | None:
        """What makes a mask for one choice; None when anything may be said.

        Raises RequestError for a schema or grammar that cannot be obeyed.
        """
        key = _key(request)
        if not key:
            return None
        compiled = self._known.get(key)
        if compiled is None:
            compiled = self._compile(request)
            if len(self._known) >= _KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[key] = compiled
        return lambda: Mask(compiled, self._vocabulary)

    def _compile(self, request: GenerationRequest) -> Any:
        grammar = grammar_of(request.output)
        xgrammar, compiler = self._engine()
        try:
            return compiler.compile_grammar(xgrammar.Grammar.from_ebnf(grammar))
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0].partition("] ")[2] or str(error)
            param = "grammar" if isinstance(request.output, Grammar) else "response_format"
            message = f"The form of the answer cannot be compiled: {reason.rpartition(': ')[2]}"
            raise InvalidRequest(f"{message.rstrip('.')}.", param=param) from error

    def _engine(self) -> tuple[Any, Any]:
        try:
            import xgrammar
        except ImportError as error:
            raise Unsupported(
                f"This build has no grammars: {error}", feature="grammar", param="response_format"
            ) from error
        if self._compiler is None:
            info = xgrammar.TokenizerInfo.from_huggingface(
                self._tokenizer, vocab_size=self._vocabulary
            )
            self._compiler = xgrammar.GrammarCompiler(info, max_threads=1)
        return xgrammar, self._compiler


class Mask:
    """Where one choice stands in its grammar."""

    def __init__(self, compiled: Any, vocabulary: int) -> None:
        import xgrammar

        self._xgrammar = xgrammar
        self._matcher = xgrammar.GrammarMatcher(compiled)
        self._bits = xgrammar.allocate_token_bitmask(1, vocabulary)

    def __call__(self, scores: torch.Tensor) -> None:
        """Forbid, in place, every token that cannot come next."""
        self._matcher.fill_next_token_bitmask(self._bits, 0)
        self._xgrammar.apply_token_bitmask_inplace(scores.unsqueeze(0), self._bits)

    def accept(self, token_id: int) -> bool:
        """Go on by one token; True when the answer is whole."""
        if self._matcher.is_terminated():
            return True
        self._matcher.accept_token(token_id)
        return bool(self._matcher.is_terminated())


def _key(request: GenerationRequest) -> str:
    match request.output:
        case JsonValue():
            return "json"
        case JsonSchema(schema=schema):
            return f"schema {schema}"
        case Grammar(gbnf=gbnf):
            return f"gbnf {gbnf}"
        case _:
            return ""
