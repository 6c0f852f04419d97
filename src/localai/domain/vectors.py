"""Requests and results of the tasks that turn text into numbers: embeddings, ranking, tokens."""

from __future__ import annotations

from dataclasses import dataclass

Input = str | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest:
    """Texts, or lists of token ids, to embed.

    `prompt_name` is one of the model's own prompts, put before each text: `query`, `document`.
    `truncate` says whether what is too long is cut or refused; None leaves it to the model's file.
    """

    inputs: tuple[Input, ...]
    prompt_name: str | None = None
    truncate: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """One vector per input, in order: float32, little-endian, L2-normalized where the engine does.

    Source of the pooling: the model's own file.
    """

    vectors: tuple[bytes, ...]
    prompt_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankRequest:
    """Documents to put in order of how well they answer `query`."""

    query: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """One score per document, in the order of the request; higher is better."""

    scores: tuple[float, ...]
    prompt_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizeRequest:
    """A text to cut into tokens; `add_special` puts the model's start token before it."""

    text: str
    add_special: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """The ids of a text's tokens."""

    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetokenizeRequest:
    """Token ids to turn into text."""

    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainAnswer:
    """A text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCount:
    """How many tokens a request's prompt has, template included."""

    prompt_tokens: int
