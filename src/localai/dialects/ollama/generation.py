"""What both bodies share, as domain values: sampling, stops, output format, limits."""

from __future__ import annotations

import msgspec

from localai.dialects.contract import Origin
from localai.dialects.fields import check_limits
from localai.dialects.json_body import json_object
from localai.dialects.ollama.requests import MOST_STOPS, GenerationBody, Options
from localai.domain.errors import InvalidRequest
from localai.domain.generation import (
    CONTEXT_OPTION,
    GenerationRequest,
    JsonSchema,
    JsonValue,
    OutputFormat,
    PlainText,
    Prompt,
    Sampling,
)

REASONING_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_EFFORT_OF_TRUE = "medium"


def generation_request(body: GenerationBody, prompt: Prompt, origin: Origin) -> GenerationRequest:
    """A request with everything that the bodies share. Raises InvalidRequest."""
    options = body.options or Options()
    check_limits(options, "options.")
    check_limits(body)
    return GenerationRequest(
        model=body.model or "",
        prompt=prompt,
        sampling=_sampling(options),
        max_tokens=options.num_predict if (options.num_predict or 0) > 0 else None,
        stop=_stop(options.stop),
        output=_output(body.format),
        reasoning_effort=_reasoning_effort(body.think),
        logprobs=_logprobs(body),
        client=origin.client,
        engine_options={} if options.num_ctx is None else {CONTEXT_OPTION: str(options.num_ctx)},
    )


def _sampling(options: Options) -> Sampling:
    return Sampling(
        temperature=options.temperature,
        top_k=0 if options.top_k == -1 else options.top_k,
        top_p=options.top_p,
        min_p=options.min_p,
        typical_p=options.typical_p,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        repeat_penalty=options.repeat_penalty,
        repeat_last_n=options.repeat_last_n,
        mirostat=options.mirostat,
        mirostat_tau=options.mirostat_tau,
        mirostat_eta=options.mirostat_eta,
        seed=None if options.seed == -1 else options.seed,
        n_keep=options.num_keep,
    )


def _stop(stop: str | list[str] | None) -> tuple[str, ...]:
    texts = tuple(filter(None, [stop] if isinstance(stop, str) else stop or ()))
    if len(texts) > MOST_STOPS:
        message = f"options.stop has {len(texts)} texts; it may have at most {MOST_STOPS}."
        raise InvalidRequest(message, param="options.stop")
    return texts


def _output(form: msgspec.Raw) -> OutputFormat:
    match bytes(form):
        case b"null" | b'""':
            return PlainText()
        case b'"json"':
            return JsonValue()
        case data if data.startswith(b"{"):
            return JsonSchema(schema=json_object(form, "format") or "{}", param="format")
        case _:
            message = 'format must be "json" or a JSON Schema as an object.'
            raise InvalidRequest(message, param="format")


def _reasoning_effort(think: bool | str | None) -> str | None:  # noqa: FBT001
    if think is None or think == "":
        return None
    if isinstance(think, bool):
        return _EFFORT_OF_TRUE if think else "none"
    if think not in REASONING_EFFORTS:
        allowed = ", ".join(REASONING_EFFORTS)
        message = f"think is {think[:40]!r}; it must be true, false or one of {allowed}."
        raise InvalidRequest(message, param="think")
    return think


def _logprobs(body: GenerationBody) -> int | None:
    if body.logprobs:
        return body.top_logprobs or 0
    if body.top_logprobs:
        message = "top_logprobs needs logprobs to be true."
        raise InvalidRequest(message, param="top_logprobs")
    return None
