"""What both bodies share, as domain values: sampling, stops, output format, limits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import get_args

import msgspec

from localai.dialects.contract import Origin
from localai.dialects.json_body import json_object
from localai.dialects.ollama.requests import INT32_MAX, MOST_STOPS, GenerationBody, Options
from localai.domain.errors import InvalidRequest
from localai.domain.generation import (
    GenerationRequest,
    JsonSchema,
    JsonValue,
    OutputFormat,
    PlainText,
    Prompt,
    Sampling,
)

REASONING_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
CONTEXT_OPTION = "num_ctx"  # in engine_options: the context size that this call needs, in tokens

_EFFORT_OF_TRUE = "medium"
_MOST_SHOWN_BITS = 64


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


@cache
def bounds(body: type[msgspec.Struct]) -> Mapping[str, tuple[float | None, float | None, bool]]:
    """The least and most of each limited field, and whether the least itself is left out."""
    found = {}
    for field in msgspec.structs.fields(body):
        for meta in get_args(field.type):
            limits = getattr(meta, "extra_json_schema", None) or {}
            above = limits.get("exclusiveMinimum")
            least = limits.get("minimum", above)
            if limits:
                found[field.name] = (least, limits.get("maximum"), above is not None)
    return found


def check_limits(body: msgspec.Struct, path: str = "") -> None:
    """Raise InvalidRequest for the first number that is out of its bounds."""
    for name, (least, most, is_above) in bounds(type(body)).items():
        value = getattr(body, name)
        if value is None:
            continue
        too_low = least is not None and (value <= least if is_above else value < least)
        if too_low or (most is not None and value > most):
            allowed = _allowed(value, least, most, is_above=is_above)
            message = f"{path}{name} is {_shown(value)}; it must be {allowed}."
            raise InvalidRequest(message, param=f"{path}{name}")


def _allowed(value: float, least: float | None, most: float | None, *, is_above: bool) -> str:
    if is_above:
        return f"more than {least} and at most {most}"
    if least is not None and value < least and (most is None or most >= INT32_MAX):
        return f"{least} or more"
    return f"between {least} and {most}"


def _shown(value: float) -> str:
    if isinstance(value, int) and value.bit_length() > _MOST_SHOWN_BITS:
        return "too large a number"
    return str(value).removesuffix(".0")


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
            return JsonSchema(schema=json_object(form, "format") or "{}")
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
