"""Domain value <-> bytes on the wire."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from localai.domain.error_fields import error_from_fields
from localai.domain.errors import LocalAIError
from localai.domain.events import (
    BlockEnded,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Failed,
    Finished,
    Progress,
    Started,
    Timings,
    TokenLogprob,
    Usage,
)
from localai.domain.generation import (
    Chat,
    Completion,
    GenerationRequest,
    Grammar,
    JsonSchema,
    JsonValue,
    OutputFormat,
    PlainText,
    Prompt,
    ToolMode,
    ToolPolicy,
    ToolSpec,
)
from localai.domain.parts import (
    Media,
    MediaKind,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from localai.domain.tasks import ONE_SHOT, Task
from localai.wire import messages as w

if TYPE_CHECKING:
    from collections.abc import Iterable

_encoder = msgspec.json.Encoder()
_event_decoder = msgspec.json.Decoder(w.WireEvent)
_EMPTY_PART = Text(text="")
_PLAIN = PlainText()
_FREE = ToolPolicy()


def encode(value: msgspec.Struct) -> bytes:
    """Any wire struct as JSON."""
    return _encoder.encode(value)


def encode_events(events: Iterable[Event]) -> bytes:
    """Events as NDJSON, ready for one write."""
    encode_one = _encoder.encode
    return b"".join([encode_one(_event_to_wire(event)) + b"\n" for event in events])


def decode_event(line: bytes) -> Event:
    """One line of NDJSON as an event. Raises msgspec.DecodeError on anything else."""
    message = _event_decoder.decode(line)
    if type(message) is w.WDelta:  # the token path
        logprobs = tuple(map(_logprob_from_wire, message.logprobs)) if message.logprobs else ()
        return Delta(
            message.choice,
            message.block,
            message.kind,
            message.text,
            message.data,
            logprobs,
        )
    return _event_from_wire(message)


def encode_task_request(request: object) -> bytes:
    """The request of a one-shot task. Its fields are spelled as in the domain."""
    if isinstance(request, GenerationRequest):
        return encode(request_to_wire(request))
    return msgspec.json.encode(request)


def decode_task_request(task: Task, body: bytes) -> Any:
    """The request of a one-shot task, as its domain type."""
    if task is Task.COUNT:
        return request_from_wire(msgspec.json.decode(body, type=w.GenerateCall))
    return msgspec.json.decode(body, type=ONE_SHOT[task].request)


def encode_task_result(result: object) -> bytes:
    """The result of a one-shot task."""
    return msgspec.json.encode(result)


def decode_task_result(task: Task, body: bytes) -> Any:
    """The result of a one-shot task, as its domain type."""
    return msgspec.json.decode(body, type=ONE_SHOT[task].result)


def error_to_wire(error: LocalAIError) -> w.WireError:
    """A domain error as its wire struct."""
    return w.WireError(kind=error.kind, message=error.message, hint=error.hint, fields=error.fields)


def error_from_wire(error: w.WireError) -> LocalAIError:
    """The domain error that `error` describes."""
    return error_from_fields(error.kind, error.message, error.hint, error.fields)


def _event_to_wire(event: Event) -> msgspec.Struct:
    match event:
        case Delta():
            return w.WDelta(
                event.text,
                event.choice,
                event.block,
                event.kind,
                event.data,
                [_logprob_to_wire(item) for item in event.logprobs] if event.logprobs else [],
            )
        case Progress():
            return w.WProgress(event.stage, event.done, event.total)
        case Started():
            logprobs = [_logprob_to_wire(item) for item in event.prompt_logprobs]
            return w.WStarted(event.prompt_tokens, event.cached_tokens, logprobs)
        case BlockStarted():
            return w.WBlockStarted(
                event.choice, event.block, event.kind, event.call_id, event.call_name
            )
        case BlockEnded():
            return w.WBlockEnded(event.choice, event.block)
        case ChoiceEnded():
            return w.WChoiceEnded(event.choice, event.reason, event.stop_sequence)
        case Finished():
            usage, timings = event.usage, event.timings
            return w.WFinished(
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.cached_tokens,
                usage.reasoning_tokens,
                timings.prompt_ms,
                timings.generation_ms,
            )
        case Failed():
            return w.WFailed(error_to_wire(event.error))
        case _:
            assert_never(event)


def _event_from_wire(message: w.WireEvent) -> Event:
    match message:
        case w.WProgress():
            return Progress(message.stage, message.done, message.total)
        case w.WStarted():
            logprobs = tuple(map(_logprob_from_wire, message.prompt_logprobs))
            return Started(message.prompt_tokens, message.cached_tokens, logprobs)
        case w.WBlockStarted():
            return BlockStarted(
                message.choice, message.block, message.kind, message.call_id, message.call_name
            )
        case w.WBlockEnded():
            return BlockEnded(message.choice, message.block, _EMPTY_PART)
        case w.WChoiceEnded():
            return ChoiceEnded(message.choice, message.reason, message.stop_sequence)
        case w.WFinished():
            usage = Usage(
                message.prompt_tokens,
                message.completion_tokens,
                message.cached_tokens,
                message.reasoning_tokens,
            )
            return Finished(usage, Timings(message.prompt_ms, message.generation_ms))
        case w.WFailed():
            return Failed(error_from_wire(message.error))
        case w.WDelta():
            return Delta(message.choice, message.block, message.kind, message.text, message.data)
        case _:
            assert_never(message)


def _logprob_to_wire(item: TokenLogprob) -> w.WireLogprob:
    logprob = None if math.isnan(item.logprob) else item.logprob
    return w.WireLogprob(
        item.token_id, item.text, item.data, logprob, [_logprob_to_wire(top) for top in item.top]
    )


def _logprob_from_wire(item: w.WireLogprob) -> TokenLogprob:
    logprob = math.nan if item.logprob is None else item.logprob
    return TokenLogprob(
        item.token_id, item.text, item.data, logprob, tuple(map(_logprob_from_wire, item.top))
    )


def request_to_wire(request: GenerationRequest) -> w.GenerateCall:
    """A generation request without its name and client: the worker has one model."""
    output, definition, param = _output_to_wire(request.output)
    prompt = request.prompt
    if not isinstance(prompt, Chat | Completion):
        message = f"{type(prompt).__name__} must become a chat or a completion before it reaches a worker."
        raise TypeError(message)
    chat = prompt if isinstance(prompt, Chat) else None
    completion = prompt if isinstance(prompt, Completion) else Completion()
    token_ids = completion.token_ids
    return w.GenerateCall(
        messages=list(map(_message_to_wire, chat.messages)) if chat else None,
        text=completion.text,
        token_ids=None if token_ids is None else list(token_ids),
        suffix=completion.suffix,
        is_chat=completion.is_chat,
        media=list(map(_part_to_wire, completion.media)),
        sampling=request.sampling,
        max_tokens=request.max_tokens,
        stop=list(request.stop),
        tools=list(map(_tool_to_wire, request.tools)),
        tool_mode=request.tool_policy.mode,
        tool_name=request.tool_policy.name,
        parallel_tools=request.tool_policy.parallel,
        output=output,
        output_definition=definition,
        output_param=param,
        reasoning_effort=request.reasoning_effort,
        choices=request.choices,
        logprobs=request.logprobs,
        prompt_logprobs=request.prompt_logprobs,
        counts_prompt_first=request.counts_prompt_first,
        engine_options=dict(request.engine_options),
    )


def request_from_wire(call: w.GenerateCall) -> GenerationRequest:
    """The request a worker sees; `model` is empty because a worker has just one."""
    prompt: Prompt
    if call.messages is not None:
        prompt = Chat(messages=tuple(map(_message_from_wire, call.messages)))
    else:
        token_ids = None if call.token_ids is None else tuple(call.token_ids)
        prompt = Completion(
            text=call.text,
            token_ids=token_ids,
            suffix=call.suffix,
            is_chat=call.is_chat,
            media=tuple(map(_media_from_wire, call.media)),
        )
    return GenerationRequest(
        model="",
        prompt=prompt,
        sampling=call.sampling,
        max_tokens=call.max_tokens,
        stop=tuple(call.stop),
        tools=tuple(map(_tool_from_wire, call.tools)),
        tool_policy=_policy_from_wire(call),
        output=_output_from_wire(call.output, call.output_definition, call.output_param),
        reasoning_effort=call.reasoning_effort,
        choices=call.choices,
        logprobs=call.logprobs,
        prompt_logprobs=call.prompt_logprobs,
        counts_prompt_first=call.counts_prompt_first,
        engine_options=call.engine_options,
    )


def _tool_to_wire(tool: ToolSpec) -> w.WireTool:
    return w.WireTool(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        strict=tool.strict,
        param=tool.param,
    )


def _tool_from_wire(tool: w.WireTool) -> ToolSpec:
    return ToolSpec(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        strict=tool.strict,
        param=tool.param,
    )


def _policy_from_wire(call: w.GenerateCall) -> ToolPolicy:
    if call.tool_mode is ToolMode.AUTO and call.parallel_tools:
        return _FREE
    return ToolPolicy(mode=call.tool_mode, name=call.tool_name, parallel=call.parallel_tools)


def _output_to_wire(output: OutputFormat) -> tuple[str, str, str]:
    match output:
        case PlainText():
            return "text", "", ""
        case JsonValue():
            return "json", "", ""
        case JsonSchema():
            return "json_schema", output.schema, output.param
        case Grammar():
            return "grammar", output.gbnf, output.param
        case _:
            assert_never(output)


def _output_from_wire(name: str, definition: str, param: str) -> OutputFormat:
    match name:
        case "json":
            return JsonValue()
        case "json_schema":
            return JsonSchema(schema=definition, param=param)
        case "grammar":
            return Grammar(gbnf=definition, param=param)
        case _:
            return _PLAIN


def _message_to_wire(message: Message) -> w.WireMessage:
    return w.WireMessage(
        role=message.role, parts=list(map(_part_to_wire, message.parts)), name=message.name
    )


def _message_from_wire(message: w.WireMessage) -> Message:
    parts = tuple(map(_part_from_wire, message.parts))
    return Message(role=message.role, parts=parts, name=message.name)


def _part_to_wire(part: Part) -> w.WirePart:
    match part:
        case Text():
            return w.WirePart(type="text", text=part.text)
        case Reasoning():
            return w.WirePart(type="reasoning", text=part.text)
        case ToolCall():
            return w.WirePart(
                type="tool_call", call_id=part.call_id, name=part.name, arguments=part.arguments
            )
        case ToolResult():
            return w.WirePart(
                type="tool_result", call_id=part.call_id, text=part.text, is_error=part.is_error
            )
        case Media():
            return w.WirePart(
                type="media", media_kind=part.kind.value, media_type=part.media_type, data=part.data
            )
        case _:
            assert_never(part)


def _part_from_wire(part: w.WirePart) -> Part:
    match part.type:
        case "text":
            return Text(text=part.text)
        case "reasoning":
            return Reasoning(text=part.text)
        case "tool_call":
            return ToolCall(call_id=part.call_id, name=part.name, arguments=part.arguments)
        case "tool_result":
            return ToolResult(call_id=part.call_id, text=part.text, is_error=part.is_error)
        case "media":
            return _media_from_wire(part)
        case other:
            message = f"unknown part type {other!r}"
            raise ValueError(message)


def _media_from_wire(part: w.WirePart) -> Media:
    return Media(kind=MediaKind(part.media_kind), media_type=part.media_type, data=part.data)


def to_builtins(value: Any) -> Any:
    """A struct as plain dicts and lists, for people to read."""
    return msgspec.to_builtins(value)
