"""The shapes that cross between server and worker, version 1.

    POST /load      LoadRequest        -> ModelFacts | WireError
    POST /generate  GenerateCall       -> one WireEvent a line, the last one finished or failed
    POST /task/NAME the request of a one-shot task (domain.tasks) -> its result | WireError
    POST /audio/NAME a task with sound (wire.audio)
    GET  /health                       -> Health

Each wire event has a tag `event`. `b64` fields are bytes, which msgspec writes as base64.
"""

from __future__ import annotations

from typing import Any

import msgspec

from localai.domain.events import BlockKind, FinishReason
from localai.domain.generation import Sampling, ToolMode
from localai.domain.parts import Role

VERSION = 1
_ANY_SAMPLING = Sampling()


class LoadRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker needs to load its one model.

    `model_path` is a path on the worker's host; `model_id` is what the model file calls the model,
    perhaps the name of a repository, or empty. `settings` are the model file's engine keys
    (context_size, threads, ...), `options` its `key:value` strings in order.
    """

    model: str
    model_path: str
    model_id: str = ""
    settings: dict[str, Any] = {}
    options: list[str] = []
    version: int = VERSION


class Voice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A voice of a model that speaks; `language` is a code or empty."""

    voice_id: str
    name: str = ""
    language: str = ""


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a model once it is loaded.

    `context_size` is the number of tokens one request may use; `slots` how many requests run
    together; `device` a sentence for people; `voices` those it can speak with; `warnings` what the
    operator should look at.
    """

    context_size: int = 0
    slots: int = 1
    device: str = ""
    has_chat_template: bool = False
    load_ms: float = 0.0
    fingerprint: str = ""
    voices: list[Voice] = []
    warnings: list[str] = []


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a worker: `starting`, `ready` or `failed`."""

    state: str
    model: str = ""
    running: int = 0
    version: int = VERSION


class WireError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A domain error on the wire: `kind` and `fields` rebuild it."""

    kind: str
    message: str
    hint: str = ""
    fields: dict[str, Any] = {}


class WirePart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of a message; `type` says which fields count."""

    type: str
    text: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    is_error: bool = False
    media_kind: str = ""
    media_type: str = ""
    data: bytes = b""


class WireMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One turn of the conversation."""

    role: Role
    parts: list[WirePart]
    name: str | None = None


class WireTool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool the model may call; `parameters` is JSON Schema text."""

    name: str
    description: str = ""
    parameters: str = "{}"
    strict: bool = False
    param: str = ""


class GenerateCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A generation request; the prompt is `messages`, `text` or `token_ids`."""

    messages: list[WireMessage] | None = None
    text: str | None = None
    token_ids: list[int] | None = None
    suffix: str | None = None
    is_chat: bool = False
    media: list[WirePart] = []
    sampling: Sampling = _ANY_SAMPLING
    max_tokens: int | None = None
    stop: list[str] = []
    tools: list[WireTool] = []
    tool_mode: ToolMode = ToolMode.AUTO
    tool_name: str | None = None
    parallel_tools: bool = True
    output: str = "text"
    output_definition: str = ""
    output_param: str = ""
    reasoning_effort: str | None = None
    choices: int = 1
    logprobs: int | None = None
    prompt_logprobs: bool = False
    counts_prompt_first: bool = False
    engine_options: dict[str, str] = {}


class WireLogprob(msgspec.Struct, frozen=True, array_like=True):
    """A token's log probability: [token_id, text, bytes, logprob, top]. NaN travels as null."""

    token_id: int
    text: str
    data: bytes
    logprob: float | None
    top: list[WireLogprob] = []


class WProgress(msgspec.Struct, frozen=True, tag_field="event", tag="progress"):
    """See domain.events.Progress."""

    stage: str
    done: int
    total: int


class WStarted(msgspec.Struct, frozen=True, tag_field="event", tag="started", omit_defaults=True):
    """See domain.events.Started."""

    prompt_tokens: int
    cached_tokens: int = 0
    prompt_logprobs: list[WireLogprob] = []


class WBlockStarted(
    msgspec.Struct, frozen=True, tag_field="event", tag="block", omit_defaults=True
):
    """See domain.events.BlockStarted."""

    choice: int
    block: int
    kind: BlockKind
    call_id: str | None = None
    call_name: str | None = None


class WDelta(msgspec.Struct, frozen=True, tag_field="event", tag="delta", omit_defaults=True):
    """See domain.events.Delta. The short defaults keep a text token near 40 bytes."""

    text: str = ""
    choice: int = 0
    block: int = 0
    kind: BlockKind = BlockKind.TEXT
    data: bytes = b""
    logprobs: list[WireLogprob] = []


class WBlockEnded(
    msgspec.Struct, frozen=True, tag_field="event", tag="block_end", omit_defaults=True
):
    """See domain.events.BlockEnded; the server fills in the part."""

    choice: int = 0
    block: int = 0


class WChoiceEnded(
    msgspec.Struct, frozen=True, tag_field="event", tag="choice_end", omit_defaults=True
):
    """See domain.events.ChoiceEnded."""

    choice: int
    reason: FinishReason
    stop_sequence: str | None = None


class WFinished(msgspec.Struct, frozen=True, tag_field="event", tag="finished", omit_defaults=True):
    """See domain.events.Finished: usage and timings, flat."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int | None = None
    prompt_ms: float | None = None
    generation_ms: float | None = None


class WFailed(msgspec.Struct, frozen=True, tag_field="event", tag="failed"):
    """See domain.events.Failed."""

    error: WireError


WireEvent = (
    WProgress | WStarted | WBlockStarted | WDelta | WBlockEnded | WChoiceEnded | WFinished | WFailed
)
