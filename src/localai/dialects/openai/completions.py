"""POST /v1/completions: the endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from localai.dialects.contract import ErrorReply, Origin
from localai.dialects.fields import check_limits
from localai.dialects.json_body import read_body
from localai.dialects.openai.completion_answer import CompletionStream, CompletionWhole, Layout
from localai.dialects.openai.errors import error_reply
from localai.dialects.openai.generation import generation_request, token_logprobs
from localai.dialects.openai.requests import MOST_CHOICES, CompletionBody
from localai.dialects.openai.spelling import Spelling, spelling
from localai.domain.errors import InvalidRequest, LocalAIError, Unsupported
from localai.domain.generation import Completion, GenerationRequest

_decoder = msgspec.json.Decoder(CompletionBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionCall:
    """A decoded completion call."""

    requests: tuple[GenerationRequest, ...]
    streams: bool
    spelled: Spelling
    layout: Layout

    def stream_encoder(self, model: str) -> CompletionStream:
        """An encoder for a stream."""
        return CompletionStream(self.spelled, model, self.layout)

    def whole_encoder(self, model: str) -> CompletionWhole:
        """An encoder for a whole answer."""
        return CompletionWhole(self.spelled, model, self.layout)


class CompletionEndpoint:
    """Completions of raw text."""

    def decode(self, body: bytes, origin: Origin) -> CompletionCall:
        """Read a request body. Raises RequestError with `param`."""
        completion = read_body(_decoder, body)
        prompts = _prompts(completion.prompt, completion.suffix)
        first = _request(completion, prompts[0], origin)
        _check_counts(completion, len(prompts), first.choices)
        options = completion.stream_options
        return CompletionCall(
            requests=(first, *(replace(first, prompt=prompt) for prompt in prompts[1:])),
            streams=bool(completion.stream),
            spelled=spelling(
                "cmpl-",
                origin,
                include_usage=options is not None and bool(options.include_usage),
            ),
            layout=Layout(
                choices_per_prompt=first.choices,
                echoes=tuple(prompt.text for prompt in prompts) if completion.echo else None,
                n_prompts=len(prompts),
                has_logprobs=_logprobs(completion) is not None,
            ),
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error that came before the first byte of the answer."""
        return error_reply(error)


def _request(body: CompletionBody, prompt: Completion, origin: Origin) -> GenerationRequest:
    check_limits(body)
    logprobs = _logprobs(body)
    # The text of a prompt of token ids is known only from its tokens.
    needs_prompt_tokens = bool(body.echo) and (logprobs is not None or _has_ids(body.prompt))
    if needs_prompt_tokens and body.suffix is not None:
        why = "token ids" if logprobs is None else "logprobs"
        raise InvalidRequest(f"echo with {why} does not go with suffix.", param="suffix")
    return generation_request(
        body,
        prompt,
        origin,
        logprobs=0 if needs_prompt_tokens and logprobs is None else logprobs,
        prompt_logprobs=needs_prompt_tokens,
    )


def _logprobs(body: CompletionBody) -> int | None:
    return token_logprobs(body.logprobs, zero=0)


def _has_ids(prompt: str | list[str | int | list[int]]) -> bool:
    return isinstance(prompt, list) and any(not isinstance(item, str) for item in prompt)


def _prompts(
    prompt: str | list[str | int | list[int]], suffix: str | None
) -> tuple[Completion, ...]:
    if isinstance(prompt, str):
        return (Completion(text=prompt, suffix=suffix),)
    if not prompt:
        message = "prompt is an empty list; send a text, or a list of token ids."
        raise InvalidRequest(message, param="prompt")
    ids = [item for item in prompt if isinstance(item, int)]
    if len(ids) == len(prompt):
        return (Completion(token_ids=_token_ids(ids, "prompt"), suffix=suffix),)
    if ids:
        message = "prompt mixes token ids with texts or lists; send one kind."
        raise InvalidRequest(message, param="prompt")
    return tuple(
        Completion(text=item, suffix=suffix)
        if isinstance(item, str)
        else Completion(token_ids=_token_ids(item, f"prompt[{i}]"), suffix=suffix)
        for i, item in enumerate(prompt)
        if not isinstance(item, int)
    )


def _token_ids(ids: Sequence[int], path: str) -> tuple[int, ...]:
    if not ids:
        raise InvalidRequest(f"{path} is an empty list of token ids.", param=path)
    if min(ids) < 0 or max(ids) > 2**31 - 1:
        raise InvalidRequest(f"{path} has a number that is no token id.", param=path)
    return tuple(ids)


def _check_counts(body: CompletionBody, n_prompts: int, n: int) -> None:
    if n_prompts * n > MOST_CHOICES:
        message = f"{n_prompts} prompts with n {n} make {n_prompts * n} answers; the limit is {MOST_CHOICES}."
        raise InvalidRequest(message, param="prompt" if n_prompts > MOST_CHOICES else "n")
    if body.best_of is not None and body.best_of < n:
        message = f"best_of is {body.best_of}; it must be at least n, which is {n}."
        raise InvalidRequest(message, param="best_of")
    if body.best_of is not None and body.best_of > n:
        message = (
            f"best_of is {body.best_of} and n is {n}; choosing the best answers is not supported."
        )
        raise Unsupported(message, feature="best_of", param="best_of", hint="Leave best_of out.")
