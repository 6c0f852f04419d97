"""One way to ask and to listen, through the official client of each API.

What is asked is said in no API's words (`Wish`), and so is what comes back (`Heard`), so that one
test holds every API to the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

from tests.live import LiveServer

CHAT, COMPLETIONS, RESPONSES = "chat", "completions", "responses"
MESSAGES, OLLAMA = "messages", "ollama"
LONGEST = 600  # tokens, where a wish has no limit: noise may never end by itself


class Tool(NamedTuple):
    """A function that may be called."""

    name: str
    schema: Mapping[str, Any]
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to ask. `choice` is none, required, or a tool's name; `then` goes on after a call.

    `picture` is a kind (url, data, file) and the address, the base64, or the id.
    """

    text: str = "hello"
    then: tuple[Heard, str] | None = None
    tools: tuple[Tool, ...] = ()
    choice: str = ""
    one_call: bool = False
    schema: Mapping[str, Any] | None = None
    any_object: bool = False
    effort: str = ""
    picture: tuple[str, str] | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    bias: Mapping[str, float] | None = None
    top_logprobs: int = 0
    limit: int = LONGEST
    temperature: float | None = None


class Call(NamedTuple):
    """A call, with its arguments as a value."""

    call_id: str
    name: str
    arguments: Any


@dataclass(kw_only=True)
class Heard:
    """What came. `end` is what the API calls it; `pieces` are those of the arguments."""

    text: str = ""
    thought: str = ""
    calls: list[Call] = field(default_factory=list)
    end: str = ""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    tokens: list[str] = field(default_factory=list)  # those with a log probability
    pieces: list[str] = field(default_factory=list)
    turn: Any = None  # the answer, as the next request shows it


class Api(Protocol):
    """An API."""

    ends: Mapping[str, str]  # what it calls the end of a text, of a call, at a limit, at a stop

    def ask(self, server: LiveServer, model: str, wish: Wish, *, streams: bool) -> Heard:
        """Ask, and listen to the end."""


def _set(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", (), [], {})}


class _Chat:
    ends: ClassVar = {"text": "stop", "call": "tool_calls", "limit": "length", "stop": "stop"}

    def ask(self, server: LiveServer, model: str, wish: Wish, *, streams: bool) -> Heard:
        body = self._body(wish) | {"model": model, "stream": streams}
        if streams:
            body["stream_options"] = {"include_usage": True}
        with server.openai() as client:
            answer: Any = client.chat.completions.create(**body)
            heard = self._stream(answer) if streams else self._whole(answer)
        calls = [
            {"id": c.call_id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(c.arguments)}}
            for c in heard.calls
        ]  # fmt: skip
        heard.turn = [{"role": "assistant", "content": heard.text or None} | _set(tool_calls=calls)]
        return heard

    def _body(self, wish: Wish) -> dict[str, Any]:
        content: Any = wish.text
        if wish.picture:
            kind, what = wish.picture
            address = what if kind == "url" else f"data:image/png;base64,{what}"
            part: Any = {"type": "image_url", "image_url": {"url": address}}
            if kind == "file":
                part = {"type": "file", "file": {"file_id": what}}
            content = [{"type": "text", "text": wish.text}, part]
        messages: list[Any] = [{"role": "user", "content": content}]
        if wish.then:
            before, result = wish.then
            messages += before.turn
            messages += [
                {"role": "tool", "tool_call_id": call.call_id, "content": result}
                for call in before.calls
            ]
        named = {"type": "function", "function": {"name": wish.choice}}
        form: Any = {"type": "json_object"} if wish.any_object else None
        if wish.schema is not None:
            form = {"type": "json_schema", "json_schema": {"name": "n", "schema": wish.schema}}
        return {"messages": messages} | _set(
            tools=[
                {"type": "function", "function": {"name": t.name, "parameters": t.schema, "strict": t.strict}}
                for t in wish.tools
            ],
            tool_choice=wish.choice if wish.choice in {"", "none", "required"} else named,
            parallel_tool_calls=None,
            response_format=form,
            reasoning_effort=wish.effort,
            stop=list(wish.stop),
            seed=wish.seed,
            logit_bias=wish.bias,
            logprobs=True if wish.top_logprobs else None,
            top_logprobs=wish.top_logprobs or None,
            max_tokens=wish.limit,
        ) | ({"parallel_tool_calls": False} if wish.one_call else {}) | _hot(wish)  # fmt: skip

    def _whole(self, answer: Any) -> Heard:
        (choice,) = answer.choices
        message = choice.message
        heard = Heard(
            text=message.content or "",
            thought=getattr(message, "reasoning_content", None) or "",
            end=choice.finish_reason,
            prompt_tokens=answer.usage.prompt_tokens,
            answer_tokens=answer.usage.completion_tokens,
        )
        if choice.logprobs:
            heard.tokens = [token.token for token in choice.logprobs.content]
        for call in message.tool_calls or ():
            heard.pieces.append(call.function.arguments)
            heard.calls.append(Call(call.id, call.function.name, json.loads(heard.pieces[-1])))
        return heard

    def _stream(self, chunks: Iterable[Any]) -> Heard:
        heard = Heard()
        begun: list[tuple[str, str]] = []
        texts: list[str] = []
        for chunk in chunks:
            if chunk.usage:
                heard.prompt_tokens = chunk.usage.prompt_tokens
                heard.answer_tokens = chunk.usage.completion_tokens
            for choice in chunk.choices:
                heard.text += choice.delta.content or ""
                heard.thought += getattr(choice.delta, "reasoning_content", None) or ""
                heard.end = choice.finish_reason or heard.end
                if choice.logprobs:
                    heard.tokens += [token.token for token in choice.logprobs.content]
                for call in choice.delta.tool_calls or ():
                    if call.index == len(begun):
                        begun.append((call.id, call.function.name))
                        texts.append("")
                    piece = call.function.arguments or ""
                    heard.pieces += [piece] if piece else []
                    texts[call.index] += piece
        heard.calls = [
            Call(*head, json.loads(text)) for head, text in zip(begun, texts, strict=True)
        ]
        return heard


class _Completions:
    ends: ClassVar = {"text": "stop", "limit": "length", "stop": "stop"}

    def ask(self, server: LiveServer, model: str, wish: Wish, *, streams: bool) -> Heard:
        body: Any = {"model": model, "prompt": f"{wish.text}\n", "stream": streams}
        if streams:
            body["stream_options"] = {"include_usage": True}
        extra: Any = {"type": "json_object"} if wish.any_object else None
        if wish.schema is not None:
            extra = {"type": "json_schema", "json_schema": {"name": "n", "schema": wish.schema}}
        body |= _set(
            stop=list(wish.stop), seed=wish.seed, logit_bias=wish.bias, max_tokens=wish.limit,
            logprobs=wish.top_logprobs or None,
        ) | _hot(wish)  # fmt: skip
        with server.openai() as client:
            answer: Any = client.completions.create(**body, extra_body=_set(response_format=extra))
            heard = Heard()
            for part in answer if streams else [answer]:
                if part.usage:
                    heard.prompt_tokens = part.usage.prompt_tokens
                    heard.answer_tokens = part.usage.completion_tokens
                for choice in part.choices:
                    heard.text += choice.text
                    heard.end = choice.finish_reason or heard.end
                    heard.tokens += choice.logprobs.tokens if choice.logprobs else []
        return heard


class _Responses:
    ends: ClassVar = {
        "text": "completed",
        "call": "completed",
        "limit": "incomplete",
        "stop": "completed",
    }

    def ask(self, server: LiveServer, model: str, wish: Wish, *, streams: bool) -> Heard:
        body = self._body(wish) | {"model": model, "stream": streams, "store": False}
        pieces: list[str] = []
        with server.openai() as client:
            answer: Any = client.responses.create(**body)
            if streams:
                events = list(answer)
                kind = "response.function_call_arguments.delta"
                pieces += [event.delta for event in events if event.type == kind]
                answer = events[-1].response
        heard = Heard(
            end=answer.status,
            prompt_tokens=answer.usage.input_tokens,
            answer_tokens=answer.usage.output_tokens,
            pieces=pieces,
            turn=[item.to_dict() for item in answer.output],
        )
        for item in answer.output:
            match item.type:
                case "reasoning":
                    heard.thought += "".join(part.text for part in item.content)
                case "message":
                    heard.text += "".join(part.text for part in item.content)
                    heard.tokens += [
                        token.token for part in item.content for token in part.logprobs or ()
                    ]
                case "function_call":
                    heard.calls.append(Call(item.call_id, item.name, json.loads(item.arguments)))
        return heard

    def _body(self, wish: Wish) -> dict[str, Any]:
        content: Any = wish.text
        if wish.picture:
            kind, what = wish.picture
            address = what if kind == "url" else f"data:image/png;base64,{what}"
            part: Any = {"type": "input_image", "detail": "auto", "image_url": address}
            if kind == "file":
                part = {"type": "input_image", "detail": "auto", "file_id": what}
            content = [{"type": "input_text", "text": wish.text}, part]
        items: list[Any] = [{"role": "user", "content": content}]
        if wish.then:
            before, result = wish.then
            items += before.turn
            items += [
                {"type": "function_call_output", "call_id": call.call_id, "output": result}
                for call in before.calls
            ]
        named = {"type": "function", "name": wish.choice}
        form: Any = {"type": "json_object"} if wish.any_object else None
        if wish.schema is not None:
            form = {"type": "json_schema", "name": "n", "schema": wish.schema}
        ours = _set(stop=list(wish.stop), seed=wish.seed, logit_bias=wish.bias)
        return {"input": items} | _set(
            tools=[
                {"type": "function", "name": t.name, "parameters": t.schema, "strict": t.strict}
                for t in wish.tools
            ],
            tool_choice=wish.choice if wish.choice in {"", "none", "required"} else named,
            text={"format": form} if form else None,
            reasoning={"effort": wish.effort} if wish.effort else None,
            include=["message.output_text.logprobs"] if wish.top_logprobs else None,
            top_logprobs=wish.top_logprobs or None,
            max_output_tokens=wish.limit,
            extra_body=ours,
        ) | ({"parallel_tool_calls": False} if wish.one_call else {}) | _hot(wish)  # fmt: skip


class _Messages:
    ends: ClassVar = {
        "text": "end_turn",
        "call": "tool_use",
        "limit": "max_tokens",
        "stop": "stop_sequence",
    }

    def ask(self, server: LiveServer, model: str, wish: Wish, *, streams: bool) -> Heard:
        body = self._body(wish) | {"model": model}
        pieces: list[str] = []
        with server.anthropic() as client:
            if streams:
                with client.messages.stream(**body) as stream:
                    pieces += [e.partial_json for e in stream if e.type == "input_json"]
                    answer = stream.get_final_message()
            else:
                answer = client.messages.create(**body)
        usage = answer.usage
        heard = Heard(
            end=answer.stop_reason or "",
            prompt_tokens=usage.input_tokens + (usage.cache_read_input_tokens or 0),
            answer_tokens=usage.output_tokens,
            pieces=[piece for piece in pieces if piece],
            turn=[{"role": "assistant", "content": [b.to_dict() for b in answer.content]}],
        )
        for block in answer.content:
            match block.type:
                case "thinking":
                    heard.thought += block.thinking
                case "text":
                    heard.text += block.text
                case "tool_use":
                    heard.calls.append(Call(block.id, block.name, block.input))
        return heard

    def _body(self, wish: Wish) -> dict[str, Any]:
        content: Any = wish.text
        if wish.picture:
            kind, what = wish.picture
            source = {
                "url": {"type": "url", "url": what},
                "data": {"type": "base64", "media_type": "image/png", "data": what},
                "file": {"type": "file", "file_id": what},
            }[kind]
            content = [{"type": "text", "text": wish.text}, {"type": "image", "source": source}]
        messages: list[Any] = [{"role": "user", "content": content}]
        if wish.then:
            before, result = wish.then
            results = [
                {"type": "tool_result", "tool_use_id": call.call_id, "content": result}
                for call in before.calls
            ]
            messages += [*before.turn, {"role": "user", "content": results}]
        words = {"none": {"type": "none"}, "required": {"type": "any"}, "": {"type": "auto"}}
        choice: Any = words.get(wish.choice, {"type": "tool", "name": wish.choice})
        if wish.one_call:
            choice["disable_parallel_tool_use"] = True
        form = {"format": {"type": "json_schema", "schema": wish.schema}}
        thinking = {"type": "disabled"} if wish.effort == "none" else {"type": "enabled", "budget_tokens": 1024}  # fmt: skip
        return {"messages": messages, "max_tokens": wish.limit} | _set(
            tools=[
                {"name": t.name, "input_schema": t.schema} | ({"strict": True} if t.strict else {})
                for t in wish.tools
            ],
            tool_choice=choice if wish.tools else None,
            output_config=form if wish.schema is not None else None,
            thinking=thinking if wish.effort else None,
            stop_sequences=list(wish.stop),
            extra_body=_hot(wish),  # its client knows no temperature any more
        )


class _Ollama:
    ends: ClassVar = {"text": "stop", "call": "stop", "limit": "length", "stop": "stop"}

    def ask(self, server: LiveServer, model: str, wish: Wish, *, streams: bool) -> Heard:
        with server.ollama() as client:
            answer: Any = client.chat(model, **self._body(wish), stream=streams)
            parts = list(answer) if streams else [answer]
        heard = Heard(end=parts[-1].done_reason or "")
        heard.prompt_tokens = parts[-1].prompt_eval_count or 0
        heard.answer_tokens = parts[-1].eval_count or 0
        said: list[Any] = []
        for part in parts:
            heard.text += part.message.content or ""
            heard.thought += part.message.thinking or ""
            heard.tokens += [token.token for token in part.logprobs or ()]
            said += part.message.tool_calls or ()
        for call in said:
            call_id = getattr(call, "id", "") or ""
            heard.calls.append(Call(call_id, call.function.name, dict(call.function.arguments)))
        called = [call.model_dump() for call in said]
        heard.turn = [{"role": "assistant", "content": heard.text} | _set(tool_calls=called)]
        return heard

    def _body(self, wish: Wish) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "user", "content": wish.text}
        if wish.picture:
            message["images"] = [wish.picture[1]]
        messages = [message]
        if wish.then:
            before, result = wish.then
            messages += before.turn
            messages += [
                {"role": "tool", "tool_name": call.name, "content": result} for call in before.calls
            ]
        options = _set(stop=list(wish.stop), seed=wish.seed, num_predict=wish.limit) | _hot(wish)
        return {"messages": messages, "options": options} | _set(
            tools=[
                {"type": "function", "function": {"name": t.name, "parameters": t.schema}}
                for t in wish.tools
            ],
            format="json" if wish.any_object else wish.schema,
            think={"": None, "none": False}.get(wish.effort, wish.effort),
            logprobs=True if wish.top_logprobs else None,
            top_logprobs=wish.top_logprobs or None,
        ) | ({"think": False} if wish.effort == "none" else {})  # fmt: skip


def _hot(wish: Wish) -> dict[str, Any]:
    return {} if wish.temperature is None else {"temperature": wish.temperature}


APIS: Mapping[str, Api] = {
    CHAT: _Chat(),
    COMPLETIONS: _Completions(),
    RESPONSES: _Responses(),
    MESSAGES: _Messages(),
    OLLAMA: _Ollama(),
}
