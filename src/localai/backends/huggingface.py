"""Hugging Face Inference API: models that run elsewhere. https://huggingface.co/docs/huggingface_hub (Apache-2.0)

Model     `parameters.model` as it is written: a repository's name, or what `endpoint` calls it
Token     HF_TOKEN or HUGGINGFACEHUB_API_TOKEN in the server's environment, or `hf auth login`
Address   the provider Hugging Face chooses, `provider`, or `endpoint`, an address of your own
"""

from __future__ import annotations

import dataclasses
import os
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from localai.domain.errors import (
    CapacityError,
    EngineFailed,
    InvalidRequest,
    SpecInvalid,
    TimedOut,
    Unsupported,
)
from localai.domain.events import ChoiceEnded, Delta, Event, Finished, FinishReason, Usage
from localai.domain.generation import (
    Chat,
    Completion,
    GenerationRequest,
    Grammar,
    JsonSchema,
    JsonValue,
    ToolMode,
)
from localai.wire.messages import LoadRequest, ModelFacts
from localai.worker.llama_server import chunks
from localai.worker.llama_server.requests import chat_body
from localai.worker.options import read_options
from localai.worker.stop_guard import StopGuard

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

_TOKEN_VARIABLE: Final = "HUGGINGFACEHUB_API_TOKEN"  # noqa: S105 - the name LocalAI's users know
_SAMPLING: Final = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_ELSEWHERE: Final = ("mirostat", "dry_multiplier", "xtc_probability", "typical_p")
_NO_ID: Final = -1  # the API shows tokens by their text
_REFUSED, _MISSING, _BUSY = (401, 403), 404, (429, 503)
_BAD: Final = (400, 413, 422)
_PAUSE_S: Final = 10.0  # until a busy API is worth another try


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a model behind the API.

    `endpoint` is an address that speaks it, such as an Inference Endpoint; `provider` one of the
    names that Hugging Face routes to. `timeout_s` is the longest silence; `slots` are calls at once.
    """

    endpoint: str = ""
    provider: str = ""
    bill_to: str = ""
    timeout_s: float = 120.0
    slots: int = 16


class Backend:
    """A client of the API; nothing is computed here."""

    def __init__(self, model: str, options: Options, token: str | None) -> None:
        self._model = model
        self._options = options
        self._token = token

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Check what calls will need. Nothing is sent yet."""
        from huggingface_hub import get_token

        options = read_options(request, Options)
        if not request.model_id:
            message = "A model of the Hugging Face API needs its name."
            raise SpecInvalid(message, hint="Say it as `parameters.model: OWNER/NAME`.")
        if options.endpoint and not options.endpoint.startswith(("http://", "https://")):
            message = f"options: endpoint is {options.endpoint!r}, which is no http address."
            raise SpecInvalid(message)
        token = os.environ.get(_TOKEN_VARIABLE) or get_token()
        if not token and not options.endpoint:
            raise SpecInvalid(
                "The Hugging Face API needs a token, and there is none.",
                hint="Start the server with HF_TOKEN in its environment; "
                "https://huggingface.co/settings/tokens makes one.",
            )
        return cls(request.model_id, options, token)

    @property
    def facts(self) -> ModelFacts:
        """Where it runs; its limits are the API's own."""
        where = self._options.endpoint or self._options.provider or "Hugging Face"
        return ModelFacts(
            slots=self._options.slots,
            device=f"not this machine: {where} computes",
            has_chat_template=True,
        )

    async def close(self) -> None:
        """Nothing to free: each call has its own connection, which ends with it."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Sequence[Event], None]:
        """Answer with what the API says, choice after choice."""
        _refuse_unknown(request)
        usage = Usage(0, 0)
        for choice in range(request.choices):
            translator = chunks.Translator(logprobs=request.logprobs, first_choice=choice)
            async with aclosing(self._choice(_turn(request, choice), translator)) as batches:
                async for batch in batches:
                    if batch:
                        yield batch
            if not translator.ended_choices:
                message = "The Hugging Face API stopped answering before its answer ended."
                raise EngineFailed(message)
            usage = Usage(
                translator.prompt_tokens or usage.prompt_tokens,
                usage.completion_tokens + translator.completion_tokens,
            )
        yield [Finished(usage)]

    async def _choice(
        self, request: GenerationRequest, translator: chunks.Translator
    ) -> AsyncGenerator[Sequence[Event], None]:
        from huggingface_hub import AsyncInferenceClient, errors

        options = self._options
        try:
            async with AsyncInferenceClient(
                base_url=options.endpoint or None,
                provider=options.provider or None,  # type: ignore[arg-type]  # it checks the name
                token=self._token,
                timeout=options.timeout_s,
                bill_to=options.bill_to or None,
            ) as client:
                say = self._chat if isinstance(request.prompt, Chat) else self._completion
                async with aclosing(say(client, request, translator)) as batches:
                    async for batch in batches:
                        yield batch
        except (errors.HTTPError, OSError, ValueError) as error:  # type: ignore[attr-defined]  # it is there
            raise _told(error, options.timeout_s) from error

    async def _chat(
        self, client: Any, request: GenerationRequest, translator: chunks.Translator
    ) -> AsyncGenerator[Sequence[Event], None]:
        assert isinstance(request.prompt, Chat)
        answer: AsyncIterator[Any] = await client.chat_completion(
            model=self._model, stream=True, **_chat_fields(request)
        )
        async for said in answer:
            yield translator.chat(_chat_chunk(said))

    async def _completion(
        self, client: Any, request: GenerationRequest, translator: chunks.Translator
    ) -> AsyncGenerator[Sequence[Event], None]:
        """A text goes on. The API keeps the stop sequence in its text; here it is cut off."""
        assert isinstance(request.prompt, Completion)
        model = None if self._options.endpoint else self._model
        answer: AsyncIterator[Any] = await client.text_generation(
            request.prompt.text, model=model, stream=True, details=True, **_text_fields(request)
        )
        guard = StopGuard(request.stop)
        async for said in answer:
            events = translator.completion(_completion_chunk(said))
            kept: list[Event] = []
            for event in events:
                if isinstance(event, Delta):
                    kept += guard.feed(event) if guard.found is None else []
                    continue
                if guard.found is None:
                    kept += guard.release()
                kept.append(_ended_by(event, guard.found))
            yield kept


def _refuse_unknown(request: GenerationRequest) -> None:
    """Raise Unsupported for what the API has no words for."""
    prompt, refused = request.prompt, None
    if isinstance(prompt, Completion) and prompt.text is None:
        refused = ("token ids", "prompt")
    elif isinstance(prompt, Completion) and prompt.suffix is not None:
        refused = ("a suffix", "suffix")
    elif isinstance(request.output, Grammar):
        refused = ("GBNF grammars", "grammar")
    elif request.prompt_logprobs:
        refused = ("probabilities of the prompt", "echo")
    for name in _ELSEWHERE:
        if getattr(request.sampling, name):
            refused = (name, name)
    if refused is not None:
        what, param = refused
        message = f"The Hugging Face API does not take {what}."
        raise Unsupported(message, feature=param, param=param, hint="Leave it out.")


def _turn(request: GenerationRequest, choice: int) -> GenerationRequest:
    """The request for one of several choices, each with a seed of its own."""
    seed = request.sampling.seed
    if seed is None or not choice:
        return request
    return dataclasses.replace(
        request, sampling=dataclasses.replace(request.sampling, seed=seed + choice)
    )


def _chat_fields(request: GenerationRequest) -> dict[str, Any]:
    assert isinstance(request.prompt, Chat)
    messages = chat_body(dataclasses.replace(request, tools=()), request.prompt.messages)
    fields: dict[str, Any] = {"messages": messages["messages"], **_tool_fields(request)}
    fields |= {name: getattr(request.sampling, name) for name in (*_SAMPLING, "seed")}
    fields |= {"max_tokens": request.max_tokens, "stop": list(request.stop) or None}
    fields["stream_options"] = {"include_usage": True}
    if request.logprobs is not None:
        fields |= {"logprobs": True, "top_logprobs": request.logprobs or None}
    match request.output:
        case JsonValue():
            fields["response_format"] = {"type": "json_object"}
        case JsonSchema(schema=schema, name=name):
            described = {"name": name or "answer", "schema": msgspec.json.decode(schema)}
            fields["response_format"] = {"type": "json_schema", "json_schema": described}
        case _:
            pass
    if request.reasoning_effort is not None:
        fields["extra_body"] = {"reasoning_effort": request.reasoning_effort}
    return fields


def _tool_fields(request: GenerationRequest) -> dict[str, Any]:
    policy = request.tool_policy
    if not request.tools or policy.mode is ToolMode.NONE:
        return {}
    choice: Any = "auto" if policy.mode is ToolMode.AUTO else "required"
    if policy.mode is ToolMode.NAMED:
        choice = {"type": "function", "function": {"name": policy.name}}
    functions = [
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": msgspec.json.decode(tool.parameters),
        }
        for tool in request.tools
    ]
    return {
        "tools": [{"type": "function", "function": function} for function in functions],
        "tool_choice": choice,
    }


def _text_fields(request: GenerationRequest) -> dict[str, Any]:
    sampling = request.sampling
    samples = sampling.temperature is None or sampling.temperature > 0
    fields: dict[str, Any] = {
        "max_new_tokens": request.max_tokens,
        "stop": list(request.stop) or None,
        "do_sample": samples or None,
        "seed": sampling.seed,
        "repetition_penalty": sampling.repeat_penalty,
        "frequency_penalty": sampling.frequency_penalty,
    }
    if samples:
        fields |= {"temperature": sampling.temperature, "top_p": _below_one(sampling.top_p)}
        fields["top_k"] = sampling.top_k if sampling.top_k and sampling.top_k > 0 else None
    if request.logprobs:
        fields["top_n_tokens"] = request.logprobs
    if isinstance(request.output, JsonSchema):
        value = msgspec.json.decode(request.output.schema)
        fields["grammar"] = {"type": "json", "value": value}
    return fields


def _below_one(share: float | None) -> float | None:
    """The API takes no 1, which means all."""
    return share if share is not None and share < 1 else None


def _chat_chunk(said: Any) -> chunks.ChatChunk:
    """A chunk of the API in llama-server's form, which has the same origin."""
    choices = []
    for choice in said.get("choices") or ():
        delta = choice.get("delta") or {}
        logprobs = (choice.get("logprobs") or {}).get("content") or []
        choices.append(
            {
                "index": 0,
                "delta": {
                    "content": delta.get("content"),
                    "reasoning_content": delta.get("reasoning_content") or delta.get("reasoning"),
                    "tool_calls": [
                        _call(call, place)
                        for place, call in enumerate(delta.get("tool_calls") or ())
                    ],
                },
                "finish_reason": choice.get("finish_reason"),
                "logprobs": {"content": [_logprob(item) for item in logprobs]},
            }
        )
    usage = said.get("usage")
    counts = {name: (usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")} if usage else None  # fmt: skip
    return msgspec.convert({"choices": choices, "usage": counts}, chunks.ChatChunk)


def _call(call: Any, place: int) -> dict[str, Any]:
    function = call.get("function") or {}
    return {
        "index": call.get("index") if call.get("index") is not None else place,
        "id": call.get("id") or None,
        "function": {
            "name": function.get("name"),
            "arguments": function.get("arguments") or "",
        },
    }


def _logprob(item: Any) -> dict[str, Any]:
    text = str(item.get("token") or item.get("text") or "")
    return {
        "id": item.get("id", _NO_ID),
        "token": text,
        "bytes": list(text.encode()),
        "logprob": item.get("logprob") or 0.0,
        "top_logprobs": [_logprob(other) for other in item.get("top_logprobs") or ()],
    }


def _completion_chunk(said: Any) -> chunks.CompletionChunk:
    token, details = said.get("token") or {}, said.get("details")
    is_said = bool(token) and not token.get("special")
    chosen = _logprob(token) | {
        "top_logprobs": [_logprob(other) for other in said.get("top_tokens") or ()]
    }
    fields: dict[str, Any] = {
        "content": token.get("text") or "" if is_said else "",
        "completion_probabilities": [chosen] if is_said else [],
    }
    if details is not None:
        fields |= {
            "stop": True,
            "stop_type": details.get("finish_reason") or "",
            "tokens_predicted": details.get("generated_tokens") or 0,
            "tokens_evaluated": details.get("input_length") or 0,
        }
    return msgspec.convert(fields, chunks.CompletionChunk)


def _ended_by(event: Event, stop: str | None) -> Event:
    if stop is None or not isinstance(event, ChoiceEnded):
        return event
    return dataclasses.replace(event, reason=FinishReason.STOP_SEQUENCE, stop_sequence=stop)


def _told(error: Exception, timeout_s: float) -> Exception:
    """What went wrong at the API, as one of our errors; `error` itself where it is none of its."""
    from huggingface_hub import errors

    said = str(error).strip() or type(error).__name__
    is_late = type(error).__name__.endswith("Timeout")  # of the library below, in a stream
    if is_late or isinstance(error, errors.InferenceTimeoutError):
        return TimedOut("The answer of the Hugging Face API", timeout_s=timeout_s)
    if isinstance(error, errors.OfflineModeIsEnabled):
        message = "HF_HUB_OFFLINE is set, and this model is behind the Hugging Face API."
        return EngineFailed(message, hint="Start the server without that variable.")
    if isinstance(error, errors.OverloadedError):
        return CapacityError(f"The Hugging Face API is busy: {said}", retry_after_s=_PAUSE_S)
    if isinstance(error, errors.ValidationError):
        return InvalidRequest(f"The Hugging Face API refused the request: {said}")
    if not isinstance(error, errors.HfHubHTTPError):
        return EngineFailed(f"The Hugging Face API gave no answer: {said}")
    status = error.response.status_code
    message = f"The Hugging Face API answered with status {status}: {_reason(said)}"
    if status in _REFUSED:
        return EngineFailed(message, hint="Look at the token's rights, and at the model's license.")
    if status == _MISSING:
        return EngineFailed(message, hint="Look at `parameters.model`, and at `provider`.")
    if status in _BUSY:
        return CapacityError(message, hint="Try again in a moment.", retry_after_s=_PAUSE_S)
    if status in _BAD:
        return InvalidRequest(message)
    return EngineFailed(message)


def _reason(said: str) -> str:
    """The API's own sentence, where its last line is the JSON it answers with."""
    line = said.splitlines()[-1]
    try:
        found = msgspec.json.decode(line, type=dict[str, Any]).get("error")
    except msgspec.MsgspecError:
        return line
    return found if isinstance(found, str) else line
