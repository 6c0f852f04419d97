"""What the bodies share, as domain values: sampling, stops, output format, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypedDict, Unpack

from localai.dialects.contract import Origin
from localai.dialects.fields import NULL, logit_bias, out_of_bounds, stop_texts
from localai.dialects.json_body import json_object
from localai.dialects.openai.requests import (
    MOST_STOPS,
    MOST_TOP_LOGPROBS,
    GenerationBody,
    ResponseFormat,
)
from localai.domain.errors import InvalidRequest
from localai.domain.generation import (
    GenerationRequest,
    Grammar,
    JsonSchema,
    JsonValue,
    OutputFormat,
    PlainText,
    Prompt,
    Sampling,
    ToolPolicy,
    ToolSpec,
)

_PLAIN: Final = PlainText()


class Chosen(TypedDict, total=False):
    """What only some bodies decide; the names are those of `GenerationRequest`."""

    max_tokens: int | None
    tools: tuple[ToolSpec, ...]
    tool_policy: ToolPolicy
    reasoning_effort: str | None
    logprobs: int | None
    prompt_logprobs: bool
    engine_options: Mapping[str, str]


def generation_request(
    body: GenerationBody, prompt: Prompt, origin: Origin, **chosen: Unpack[Chosen]
) -> GenerationRequest:
    """A request with everything that the bodies share, and what else is `chosen`.

    The body's numbers are within their limits. Raises InvalidRequest.
    """
    chosen.setdefault("max_tokens", None if body.max_tokens == -1 else body.max_tokens)
    return GenerationRequest(
        model=body.model or "",
        prompt=prompt,
        sampling=_sampling(body),
        stop=stop_texts(body.stop, "stop", MOST_STOPS) if body.stop is not None else (),
        output=_output(body),
        choices=1 if body.n is None else body.n,
        backend=body.backend or None,
        client=origin.client,
        **chosen,
    )


def token_logprobs(value: bool | int | None, *, zero: int | None) -> int | None:  # noqa: FBT001
    """How many likeliest tokens `logprobs` asks for; `zero` is the meaning of 0."""
    if value is None or value is False:
        return None
    if value is True:
        return 0
    if not 0 <= value <= MOST_TOP_LOGPROBS:
        raise out_of_bounds("logprobs", value, 0, MOST_TOP_LOGPROBS)
    return value or zero


def _sampling(body: GenerationBody) -> Sampling:
    return Sampling(
        temperature=body.temperature,
        top_k=0 if body.top_k == -1 else body.top_k,
        top_p=body.top_p,
        min_p=body.min_p,
        typical_p=body.typ_p if body.typical_p is None else body.typical_p,
        top_n_sigma=body.top_n_sigma,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        repeat_penalty=body.repeat_penalty,
        repeat_last_n=body.repeat_last_n,
        mirostat=body.mirostat,
        mirostat_tau=body.mirostat_tau,
        mirostat_eta=body.mirostat_eta,
        dry_multiplier=body.dry_multiplier,
        dry_base=body.dry_base,
        dry_allowed_length=body.dry_allowed_length,
        dry_penalty_last_n=body.dry_penalty_last_n,
        xtc_probability=body.xtc_probability,
        xtc_threshold=body.xtc_threshold,
        seed=None if body.seed == -1 else body.seed,
        logit_bias=logit_bias(body.logit_bias) if body.logit_bias is not None else None,
        ignore_eos=body.ignore_eos,
        n_keep=body.n_keep,
    )


def _output(body: GenerationBody) -> OutputFormat:
    if body.response_format is None and not body.grammar and body.grammar_json_functions == NULL:
        return _PLAIN
    schema = json_object(body.grammar_json_functions, "grammar_json_functions")
    wanted: dict[str, OutputFormat] = {}
    formatted = _response_format(body.response_format)
    if not isinstance(formatted, PlainText):
        wanted["response_format"] = formatted
    if body.grammar:
        wanted["grammar"] = Grammar(gbnf=body.grammar, param="grammar")
    if schema is not None:
        param = "grammar_json_functions"
        wanted[param] = JsonSchema(schema=schema, param=param)
    if len(wanted) > 1:
        names = list(wanted)
        message = f"{' and '.join(names)} both decide the form of the answer; send one of them."
        raise InvalidRequest(message, param=names[1])
    return next(iter(wanted.values()), _PLAIN)


def _response_format(value: str | ResponseFormat | None) -> OutputFormat:
    if value is None:
        return _PLAIN
    form = ResponseFormat(type=value) if isinstance(value, str) else value
    match form.type:
        case "text":
            return _PLAIN
        case "json_object":
            param = "response_format.schema"
            schema = json_object(form.schema, param)
            return JsonValue() if schema is None else JsonSchema(schema=schema, param=param)
        case "json_schema":
            return _json_schema(form)
        case other:
            allowed = "it must be text, json_object or json_schema"
            message = f"response_format.type is {other[:40]!r}; {allowed}."
            raise InvalidRequest(message, param="response_format.type")


def _json_schema(form: ResponseFormat) -> JsonSchema:
    if form.json_schema is None:
        param = "response_format.json_schema"
        raise InvalidRequest(f"{param} is missing.", param=param)
    param = "response_format.json_schema.schema"
    schema = json_object(form.json_schema.schema, param)
    if schema is None:
        raise InvalidRequest(f"{param} is missing.", param=param)
    return JsonSchema(schema=schema, name=form.json_schema.name or "", param=param)
