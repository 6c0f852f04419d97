"""What this API says of models: the list, one model, and what is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from localai.dialects.json_body import read_body
from localai.dialects.ollama.requests import ShowBody
from localai.dialects.ollama.spelling import FOREVER, rfc3339, to_json, with_tag
from localai.domain.errors import InvalidRequest

RUNNING = b"Ollama is running"
SPOKEN_VERSION = "0.12.11"  # the release whose fields this dialect knows; clients compare it

_LONG = 100  # metadata with more items, such as the vocabulary, is sent only to `verbose` calls

_show_decoder = msgspec.json.Decoder(ShowBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFactsCard:
    """What the list says of a model; empty and 0 stand for unknown.

    `digest` is the SHA-256 of the weights or of the name, in hex. `parameter_size` and
    `quantization` read like "8.0B" and "Q4_K_M". `capabilities` are Ollama's words: completion,
    tools, insert, vision, thinking, embedding.
    """

    name: str
    size_bytes: int = 0
    modified_unix_s: float = 0.0
    digest: str = ""
    family: str = ""
    parameter_size: str = ""
    quantization: str = ""
    format: str = "gguf"
    capabilities: tuple[str, ...] = ("completion",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDetailsCard:
    """Everything `show` tells. `metadata` is added to `model_info` under its own (GGUF) names.

    `parameters` are the model's default options by Ollama's names; a list gives several lines.
    """

    facts: ModelFactsCard
    template: str = ""
    system: str = ""
    license: str = ""
    messages: tuple[tuple[str, str], ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    architecture: str = ""
    context_length: int | None = None
    embedding_length: int | None = None
    parameter_count: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModelCard:
    """A model in memory. `expires_unix_s` None: it stays. `size_bytes` covers all its memory."""

    facts: ModelFactsCard
    size_bytes: int = 0
    size_vram_bytes: int = 0
    expires_unix_s: float | None = None
    context_length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowRequest:
    """Which model to show; `is_verbose` asks for long lists of metadata too."""

    model: str
    is_verbose: bool = False


def decode_show(body: bytes) -> ShowRequest:
    """Read the body of POST /api/show. Raises InvalidRequest."""
    show = read_body(_show_decoder, body)
    model = show.model or show.name
    if not model:
        raise InvalidRequest("model is missing.", param="model")
    return ShowRequest(model=model, is_verbose=bool(show.verbose))


def encode_tags(cards: Iterable[ModelFactsCard]) -> bytes:
    """Spell the answer of GET /api/tags, in the order given."""
    return to_json({"models": [_tag(card) for card in cards]})


def encode_show(card: ModelDetailsCard, *, is_verbose: bool = False) -> bytes:
    """Spell the answer of POST /api/show."""
    parameters = _parameters(card.parameters)
    body: dict[str, Any] = {
        "modelfile": _modelfile(card, parameters),
        "parameters": "\n".join(parameters),
        "template": card.template,
        "details": _details(card.facts),
        "model_info": _model_info(card, is_verbose=is_verbose),
        "capabilities": card.facts.capabilities,
        "modified_at": rfc3339(card.facts.modified_unix_s),
    }
    if card.messages:
        body["messages"] = [{"role": role, "content": text} for role, text in card.messages]
    body |= {name: text for name in ("system", "license") if (text := getattr(card, name))}
    return to_json(body)


def encode_ps(cards: Iterable[LoadedModelCard]) -> bytes:
    """Spell the answer of GET /api/ps, in the order given."""
    return to_json({"models": [_loaded(card) for card in cards]})


def encode_version(version: str = SPOKEN_VERSION) -> bytes:
    """Spell the answer of GET /api/version."""
    return to_json({"version": version})


def _tag(card: ModelFactsCard) -> dict[str, Any]:
    return {
        "name": with_tag(card.name),
        "model": with_tag(card.name),
        "modified_at": rfc3339(card.modified_unix_s),
        "size": card.size_bytes,
        "digest": card.digest,
        "details": _details(card),
        "capabilities": card.capabilities,
    }


def _loaded(card: LoadedModelCard) -> dict[str, Any]:
    expires = card.expires_unix_s
    return {
        "name": with_tag(card.facts.name),
        "model": with_tag(card.facts.name),
        "size": card.size_bytes,
        "digest": card.facts.digest,
        "details": _details(card.facts),
        "expires_at": FOREVER if expires is None else rfc3339(expires),
        "size_vram": card.size_vram_bytes,
        "context_length": card.context_length,
    }


def _details(card: ModelFactsCard) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": card.format,
        "family": card.family,
        "families": [card.family] if card.family else [],
        "parameter_size": card.parameter_size,
        "quantization_level": card.quantization,
    }


def _model_info(card: ModelDetailsCard, *, is_verbose: bool) -> dict[str, Any]:
    known = {
        "general.architecture": card.architecture or None,
        "general.parameter_count": card.parameter_count,
        f"{card.architecture or 'general'}.context_length": card.context_length,
        f"{card.architecture or 'general'}.embedding_length": card.embedding_length,
    }
    info: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
    for name, value in card.metadata.items():
        is_long = isinstance(value, list | tuple) and len(value) > _LONG
        info.setdefault(name, None if is_long and not is_verbose else value)
    return info


def _parameters(parameters: Mapping[str, Any]) -> list[str]:
    """Lines as Ollama writes them: a name padded to 30 characters, and a value."""
    return [
        f"{name:<30} {to_json(value).decode()}"
        for name, values in parameters.items()
        for value in (values if isinstance(values, list | tuple) else (values,))
    ]


def _modelfile(card: ModelDetailsCard, parameters: Iterable[str]) -> str:
    lines = [f"FROM {with_tag(card.facts.name)}"]
    lines += [f'{word} """{text}"""' for word, text in _texts(card) if text]
    lines += [f"PARAMETER {' '.join(line.split(None, 1))}" for line in parameters]
    lines += [f'MESSAGE {role} """{text}"""' for role, text in card.messages]
    return "\n".join(lines) + "\n"


def _texts(card: ModelDetailsCard) -> tuple[tuple[str, str], ...]:
    return (("TEMPLATE", card.template), ("SYSTEM", card.system), ("LICENSE", card.license))
