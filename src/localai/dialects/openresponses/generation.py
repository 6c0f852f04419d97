"""A body as domain values: sampling, form of the answer, limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from localai.dialects.contract import Origin
from localai.dialects.fields import check_limits, logit_bias, stop_texts
from localai.dialects.json_body import json_object
from localai.dialects.openresponses.requests import MOST_STOPS, ResponsesBody, TextFormat
from localai.dialects.openresponses.tools import tools_and_policy
from localai.domain.errors import InvalidRequest
from localai.domain.generation import (
    Chat,
    GenerationRequest,
    JsonSchema,
    JsonValue,
    OutputFormat,
    PlainText,
    Sampling,
)
from localai.domain.parts import Message

LOGPROBS = "message.output_text.logprobs"
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SUMMARIES = ("auto", "concise", "detailed")
MOST_METADATA = 16
LONGEST_KEY = 64
LONGEST_VALUE = 512

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "truncation": ("auto", "disabled"),
    "text.verbosity": ("low", "medium", "high"),
    "reasoning.effort": EFFORTS,
    "reasoning.summary": SUMMARIES,
    "reasoning.generate_summary": SUMMARIES,
}


def generation_request(
    body: ResponsesBody, messages: tuple[Message, ...], origin: Origin
) -> GenerationRequest:
    """What to generate after `messages`. Raises RequestError."""
    check_limits(body)
    _check_choices(body)
    check_metadata(body.metadata)
    tools, policy = tools_and_policy(body)
    return GenerationRequest(
        model=body.model or "",
        prompt=Chat(messages=messages),
        sampling=Sampling(
            temperature=body.temperature,
            top_k=0 if body.top_k == -1 else body.top_k,
            top_p=body.top_p,
            min_p=body.min_p,
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
            repeat_penalty=body.repeat_penalty,
            seed=None if body.seed == -1 else body.seed,
            logit_bias=logit_bias(body.logit_bias),
        ),
        max_tokens=body.max_output_tokens,
        stop=stop_texts(body.stop, "stop", MOST_STOPS),
        tools=tools,
        tool_policy=policy,
        output=_output(body),
        reasoning_effort=body.reasoning.effort if body.reasoning else None,
        logprobs=_logprobs(body),
        backend=body.backend or None,
        client=origin.client,
    )


def text_format(body: ResponsesBody) -> tuple[TextFormat | None, str]:
    """The form that was asked for, and the path of the field that did."""
    if body.text is not None and body.text.format is not None:
        return body.text.format, "text.format"
    if isinstance(body.text_format, str):
        return TextFormat(type=body.text_format), "text_format"
    return body.text_format, "text_format"


def echoed_format(body: ResponsesBody) -> dict[str, Any]:
    """The form of the answer as the response repeats it."""
    form, _ = text_format(body)
    if form is None:
        return {"type": "text"}
    if form.type != "json_schema":
        return {"type": form.type}
    inner = form.json_schema or form
    return {
        "type": "json_schema",
        "name": inner.name or "",
        "description": inner.description
        or "",  # OpenAI forbids null, Open Responses leaving it out
        "schema": msgspec.json.decode(inner.schema),
        "strict": bool(inner.strict),
    }


def check_metadata(metadata: Mapping[str, str] | None) -> None:
    """Raise InvalidRequest when there are too many pairs, or one is too long."""
    pairs = metadata or {}
    if len(pairs) > MOST_METADATA:
        message = f"metadata has {len(pairs)} pairs; it may have at most {MOST_METADATA}."
        raise InvalidRequest(message, param="metadata")
    for key, value in pairs.items():
        for what, text, longest in (("key", key, LONGEST_KEY), ("value", value, LONGEST_VALUE)):
            if len(text) > longest:
                message = f"metadata has a {what} of {len(text)} characters; the most is {longest}."
                raise InvalidRequest(message, param="metadata")


def _check_choices(body: ResponsesBody) -> None:
    values = {"truncation": body.truncation}
    if body.text is not None:
        values["text.verbosity"] = body.text.verbosity
    if body.reasoning is not None:
        values["reasoning.effort"] = body.reasoning.effort
        values["reasoning.summary"] = body.reasoning.summary
        values["reasoning.generate_summary"] = body.reasoning.generate_summary
    for param, value in values.items():
        if value is not None and value not in _CHOICES[param]:
            message = f"{param} is {value[:40]!r}; it must be one of {', '.join(_CHOICES[param])}."
            raise InvalidRequest(message, param=param)


def _logprobs(body: ResponsesBody) -> int | None:
    if LOGPROBS in (body.include or ()) or body.top_logprobs:
        return body.top_logprobs or 0
    return None


def _output(body: ResponsesBody) -> OutputFormat:
    form, path = text_format(body)
    if form is None or form.type == "text":
        return PlainText()
    if form.type == "json_object":
        return JsonValue()
    if form.type == "json_schema":
        inner = form.json_schema or form
        schema = json_object(inner.schema, f"{path}.schema")
        if schema is None:
            raise InvalidRequest(f"{path}.schema is missing.", param=f"{path}.schema")
        return JsonSchema(schema=schema, name=inner.name or "", param=f"{path}.schema")
    allowed = "it must be text, json_object or json_schema"
    message = f"{path}.type is {form.type[:40]!r}; {allowed}."
    raise InvalidRequest(message, param=f"{path}.type")
