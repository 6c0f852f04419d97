"""POST /v1/edits: the endpoint and its encoder. OpenAI retired it; LocalAI's users still call it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from localai.dialects.contract import ErrorReply, Origin, StreamEncoder
from localai.dialects.fields import check_limits
from localai.dialects.json_body import read_body
from localai.dialects.openai.errors import error_reply
from localai.dialects.openai.generation import generation_request
from localai.dialects.openai.requests import MOST_CHOICES, EditBody
from localai.dialects.openai.spelling import Spelling, spelling, to_json
from localai.domain.errors import InvalidRequest, LocalAIError
from localai.domain.generation import Edit, GenerationRequest
from localai.domain.stream_rules import Answer

_decoder = msgspec.json.Decoder(EditBody)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditCall:
    """A decoded edit call."""

    requests: tuple[GenerationRequest, ...]
    spelled: Spelling
    streams: bool = False

    def stream_encoder(self, model: str) -> StreamEncoder:
        """Edits have no stream: this raises InvalidRequest."""
        raise _no_stream(model)

    def whole_encoder(self, model: str) -> EditWhole:
        """An encoder for a whole answer."""
        return EditWhole(self.spelled, model)


class EditEndpoint:
    """Edits of a text by instruction."""

    def decode(self, body: bytes, origin: Origin) -> EditCall:
        """Read a request body. Raises RequestError with `param`."""
        edit = read_body(_decoder, body)
        if edit.stream:
            raise _no_stream(edit.model or "")
        texts = _texts(edit.input)
        prompts = [Edit(instruction=edit.instruction, text=text) for text in texts]
        check_limits(edit)
        first = generation_request(edit, prompts[0], origin)
        n_answers = len(prompts) * first.choices
        if n_answers > MOST_CHOICES:
            message = f"The inputs with n {first.choices} make {n_answers} answers; the limit is {MOST_CHOICES}."
            raise InvalidRequest(message, param="input")
        requests = tuple(replace(first, prompt=prompt) for prompt in prompts)
        return EditCall(requests=requests, spelled=spelling("edit-", origin))

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error that came before the first byte of the answer."""
        return error_reply(error)


class EditWhole:
    """Spells one whole answer as an edit object."""

    def __init__(self, spelled: Spelling, model: str) -> None:
        self._spelled = spelled
        self._model = model

    def encode(self, answer: Answer) -> bytes:
        """The response body."""
        body = self._spelled.head("edit", self._model)
        body["choices"] = [
            {"index": index, "text": choice.text}
            for index, choice in sorted(answer.choices.items())
        ]
        body["usage"] = self._spelled.usage(answer.usage, answer.timings)
        return to_json(body)


def _texts(value: str | list[str] | None) -> list[str]:
    if value == []:
        raise InvalidRequest("input is an empty list; send a text or leave it out.", param="input")
    return value if isinstance(value, list) else [value or ""]


def _no_stream(model: str) -> InvalidRequest:
    of_model = f" of {model!r}" if model else ""
    return InvalidRequest(f"Edits{of_model} cannot be streamed; leave out stream.", param="stream")
