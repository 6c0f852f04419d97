"""Making sure that a model calls a tool when it must.

With `tool_choice: required`, llama.cpp's grammar still allows any text before the call, so a model
that prefers to chat never calls. Two ways close that gap:

* The grammar itself says how a call begins in this model's format (`<tool_call>`,
  `[TOOL_CALLS]`, ...). That beginning is put into the model's mouth as the start of its answer,
  after which the grammar leaves nothing but a call.
* Where a format has no such beginning, or the engine does not see the call in the end, the answer
  is made anew as a JSON object of the tool's name and arguments, by a grammar that allows no more.
"""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from localai.domain.batches import Batches
from localai.domain.errors import EngineFailed
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    FinishReason,
    Started,
)
from localai.domain.generation import (
    Chat,
    Completion,
    GenerationRequest,
    JsonSchema,
    ToolMode,
    ToolSpec,
)
from localai.domain.parts import Message, Role, Text
from localai.worker.json_schema.lenient import lenient, relocated
from localai.worker.llama_server import chunks, requests
from localai.worker.llama_server.gbnf import Gbnf
from localai.worker.llama_server.tool_schemas import is_obeyed as is_obeyed_by_engine

Events = AsyncGenerator[Sequence[Event], None]
Stream = Callable[[GenerationRequest, chunks.Translator], Batches[Event]]
Post = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]

_FREE_TEXT = re.compile(r"until-\d+\??$")
_CALL_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*')
_UNUSED_PART = Text(text="")


def call_opening(grammar: str, generation_prompt: str) -> str:
    """How a call must begin, by the grammar of a request that requires one.

    Empty when the calls that the grammar allows begin in no common way.
    """
    gbnf = Gbnf(grammar)
    parts = gbnf.sequence("root")
    free = [position for position, part in enumerate(parts) if _FREE_TEXT.match(part)]
    opening = ""
    for part in parts[free[-1] + 1 :] if free else ():
        beginning = gbnf.beginning(part)
        opening += beginning.text
        if not beginning.is_whole:
            break
    return opening.removeprefix(generation_prompt)


class ForcedCalls:
    """The two ways, over one llama-server."""

    def __init__(self, stream: Stream, post: Post) -> None:
        self._stream = stream
        self._post = post
        self._openings: dict[str, str] = {}  # by the offered tools; a format may spell their names

    async def answer(self, request: GenerationRequest, translator: chunks.Translator) -> Events:
        """One choice that is a call. Raises what the engine raises."""
        is_obeyed = all(is_obeyed_by_engine(tool) for tool in request.tools if tool.strict)
        opening = await self._opening(request) if is_obeyed else ""
        started = False
        if opening:
            prefilled = _with_beginning(request, opening)
            async with aclosing(_calls_only(self._stream(prefilled, translator))) as batches:
                async for batch in batches:
                    started = started or any(isinstance(event, Started) for event in batch)
                    if batch:
                        yield batch
            if translator.called_tools:
                return
        async with aclosing(self._as_json(request, translator)) as batches:
            async for batch in batches:
                yield [event for event in batch if not (started and isinstance(event, Started))]

    async def _opening(self, request: GenerationRequest) -> str:
        """Ask the engine for the grammar it would use; the prompt stays in its cache."""
        key = "\n".join(sorted(tool.name for tool in request.tools))
        known = self._openings.get(key)
        if known is None:
            assert isinstance(request.prompt, Chat)
            body = requests.chat_body(request, request.prompt.messages)
            body |= {"stream": False, "return_progress": False, "verbose": True, "n_predict": 1}
            body["n_cmpl"] = 1
            reply = await self._post("/v1/chat/completions", body)
            used = reply.get("__verbose", {}).get("generation_settings", {})
            known = call_opening(used.get("grammar", ""), used.get("generation_prompt", ""))
            self._openings[key] = known
        return known

    async def _as_json(self, request: GenerationRequest, translator: chunks.Translator) -> Events:
        """The call as a JSON object of name and arguments, after the model's own prompt."""
        assert isinstance(request.prompt, Chat)
        body = requests.chat_body(request, request.prompt.messages)
        rendered = await self._post("/apply-template", body)
        plain = dataclasses.replace(
            request,
            prompt=Completion(text=rendered["prompt"]),
            output=JsonSchema(schema=json.dumps(call_schema(request))),
            stop=(),
        )
        reader = CallReader()
        async with aclosing(self._stream(plain, translator)) as batches:
            async for batch in batches:
                yield [made for event in batch for made in reader.feed(event)]


def call_schema(request: GenerationRequest) -> dict[str, Any]:
    """The JSON Schema of one call of one of the tools that may be called."""
    named = request.tool_policy.name if request.tool_policy.mode is ToolMode.NAMED else None
    tools = [tool for tool in request.tools if named in (None, tool.name)]
    if len(tools) == 1:
        return _one_call(tools[0], "")
    return {"anyOf": [_one_call(tool, f"/anyOf/{place}") for place, tool in enumerate(tools)]}


def _one_call(tool: ToolSpec, place: str) -> dict[str, Any]:
    """The schema of a call, which stands at `place` in another; a strict tool's is not eased."""
    arguments = json.loads(tool.parameters) if tool.strict else lenient(tool.parameters)
    return {
        "type": "object",
        "properties": {
            "name": {"const": tool.name},
            "arguments": relocated(arguments, f"{place}/properties/arguments")
            or {"type": "object"},
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _with_beginning(request: GenerationRequest, opening: str) -> GenerationRequest:
    assert isinstance(request.prompt, Chat)
    begun = Message(role=Role.ASSISTANT, parts=(Text(text=opening),))
    return dataclasses.replace(request, prompt=Chat(messages=(*request.prompt.messages, begun)))


async def _calls_only(answer: Batches[Event]) -> Events:
    """Leave out text, and the end of a choice that holds no call: another way takes over."""
    called = False
    async with aclosing(answer) as batches:
        async for batch in batches:
            kept: list[Event] = []
            text_block = -1
            for event in batch:
                match event:
                    case BlockStarted(kind=BlockKind.TOOL_CALL):
                        called = True
                    case BlockStarted(kind=BlockKind.TEXT, block=block):
                        text_block = block
                        continue
                    case Delta(kind=BlockKind.TEXT):
                        text_block = event.block
                        continue
                    case BlockEnded(block=block) if not called or block == text_block:
                        continue
                    case ChoiceEnded() if not called:
                        continue
                kept.append(event)
            yield kept


class CallReader:
    """Turns the text of a forced JSON call into the events of a tool call, as it comes."""

    def __init__(self) -> None:
        self._text = ""
        self._is_open = False
        self._has_begun = False
        self._depth = 0
        self._in_string = False
        self._is_escaped = False
        self._is_done = False

    def feed(self, event: Event) -> list[Event]:
        """The events to pass on for `event`."""
        match event:
            case Delta(kind=BlockKind.TEXT):
                return self._read(event)
            case BlockStarted() | BlockEnded():
                return []  # the call has a block of its own
            case ChoiceEnded():
                return self._end(event)
            case _:
                return [event]

    def _read(self, delta: Delta) -> list[Event]:
        out: list[Event] = []
        text = delta.text
        if not self._is_open:
            self._text += text
            head = _CALL_HEAD.match(self._text)
            if head is None:
                return []
            self._is_open = True
            name = msgspec.json.decode(head[1].encode(), type=str)
            call_id = f"call_{secrets.token_hex(12)}"
            out.append(BlockStarted(delta.choice, 0, BlockKind.TOOL_CALL, call_id, name))
            text = self._text[head.end() :]
        if not self._has_begun:
            text = text.lstrip()
            self._has_begun = bool(text)
        arguments = self._within_arguments(text)
        if arguments:
            out.append(Delta(delta.choice, 0, BlockKind.TOOL_CALL, arguments))
        return out

    def _within_arguments(self, text: str) -> str:
        """The part of `text` that belongs to the arguments; the closing brace of the call does not."""
        for position, character in enumerate(text):
            if self._is_done:
                return text[:position]
            if self._in_string:
                if self._is_escaped:
                    self._is_escaped = False
                elif character == "\\":
                    self._is_escaped = True
                elif character == '"':
                    self._in_string = False
                continue
            if character == '"':
                self._in_string = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                self._is_done = self._depth == 0
        return text

    def _end(self, event: ChoiceEnded) -> list[Event]:
        if not self._is_open:
            if event.reason is FinishReason.LENGTH:
                return [event]  # no token was left for the name of a tool
            message = "The model was to call a tool, but its answer ended before the call."
            raise EngineFailed(message, hint="Try again, or use another model.")
        reason = event.reason if event.reason is FinishReason.LENGTH else FinishReason.TOOL_CALLS
        return [BlockEnded(event.choice, 0, _UNUSED_PART), ChoiceEnded(event.choice, reason)]
