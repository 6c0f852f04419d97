"""Text to token ids and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from localai.dialects.contract import ErrorReply, Origin
from localai.dialects.fields import INT32_MAX
from localai.dialects.json_body import read_body
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.tasks import Task
from localai.domain.vectors import DetokenizeRequest, PlainAnswer, TokenizeRequest, Tokens

TokenId = Annotated[int, Meta(extra_json_schema={"minimum": 0, "maximum": INT32_MAX})]


class TokenizeBody(msgspec.Struct, kw_only=True):
    """The body of a tokenize call."""

    content: Annotated[str, Meta(description="The text")]
    model: Annotated[str | None, Meta(description="Name of the model")] = None
    add_special: Annotated[bool | None, Meta(description="Begin with the start token")] = None


class DetokenizeBody(msgspec.Struct, kw_only=True):
    """The body of a detokenize call."""

    tokens: Annotated[list[TokenId], Meta(description="The token ids")]
    model: Annotated[str | None, Meta(description="Name of the model")] = None


_tokenize_decoder = msgspec.json.Decoder(TokenizeBody)
_detokenize_decoder = msgspec.json.Decoder(DetokenizeBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeCall:
    """A decoded tokenize call."""

    model: str
    request: TokenizeRequest
    task: Task = Task.TOKENIZE

    def encode(self, result: Tokens, model: str) -> bytes:  # noqa: ARG002 - the answer names none
        """Spell the ids."""
        return msgspec.json.encode({"tokens": result.token_ids})


@dataclass(frozen=True, slots=True, kw_only=True)
class DetokenizeCall:
    """A decoded detokenize call."""

    model: str
    request: DetokenizeRequest
    task: Task = Task.DETOKENIZE

    def encode(self, result: PlainAnswer, model: str) -> bytes:  # noqa: ARG002 - the answer names none
        """Spell the text."""
        return msgspec.json.encode({"content": result.text})


class TokenizeEndpoint:
    """POST /v1/tokenize."""

    def __init__(self, spell_error: Callable[[LocalAIError], ErrorReply]) -> None:
        self.error = spell_error

    def decode(self, body: bytes, origin: Origin) -> TokenizeCall:  # noqa: ARG002 - nothing in it counts
        """Read a request body. Raises RequestError with `param`."""
        asked = read_body(_tokenize_decoder, body)
        request = TokenizeRequest(text=asked.content, add_special=bool(asked.add_special))
        return TokenizeCall(model=asked.model or "", request=request)


class DetokenizeEndpoint:
    """POST /v1/detokenize."""

    def __init__(self, spell_error: Callable[[LocalAIError], ErrorReply]) -> None:
        self.error = spell_error

    def decode(self, body: bytes, origin: Origin) -> DetokenizeCall:  # noqa: ARG002 - nothing in it counts
        """Read a request body. Raises RequestError with `param`."""
        asked = read_body(_detokenize_decoder, body)
        for position, token_id in enumerate(asked.tokens):
            if not 0 <= token_id <= INT32_MAX:
                message = f"tokens[{position}] is {token_id}, which is no token id."
                raise InvalidRequest(message, param=f"tokens[{position}]")
        request = DetokenizeRequest(token_ids=tuple(asked.tokens))
        return DetokenizeCall(model=asked.model or "", request=request)
