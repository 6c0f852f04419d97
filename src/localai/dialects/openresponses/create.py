"""POST /v1/responses: the endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec

from localai.dialects.contract import ErrorReply, Origin
from localai.dialects.json_body import read_body
from localai.dialects.openresponses.answer import ResponseWhole
from localai.dialects.openresponses.errors import error_reply
from localai.dialects.openresponses.generation import generation_request
from localai.dialects.openresponses.items import REFERENCE, Item, full_items
from localai.dialects.openresponses.messages import conversation, placed
from localai.dialects.openresponses.requests import ResponsesBody
from localai.dialects.openresponses.response import (
    QUEUED,
    Spelling,
    conversation_named,
    spelling,
    to_json,
)
from localai.dialects.openresponses.stream import ResponseStream
from localai.domain.errors import InvalidRequest, LocalAIError, Unsupported
from localai.domain.generation import Chat, GenerationRequest

_decoder = msgspec.json.Decoder(ResponsesBody)


class Reference(NamedTuple):
    """An item of the input that stands for a stored one; `param` is where it stands."""

    item_id: str
    param: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesCall:
    """A decoded call, and what has to be known of the store before it can be answered.

    `previous_response_id`, `conversation_id` and `references` name what `after` wants.
    """

    requests: tuple[GenerationRequest, ...]
    streams: bool
    store: bool
    background: bool
    previous_response_id: str | None
    conversation_id: str | None
    spelled: Spelling
    instructions: str | None
    items: tuple[Item, ...]

    @property
    def response_id(self) -> str:
        """The id of the response."""
        return self.spelled.response_id

    @property
    def created_unix_s(self) -> int:
        """When the call came, in seconds of Unix time."""
        return self.spelled.created_unix_s

    @property
    def references(self) -> tuple[Reference, ...]:
        """The items of the input that are to be replaced by stored ones."""
        return tuple(
            Reference(item["id"], f"input[{i}].id")
            for i, item in enumerate(self.items)
            if item["type"] == REFERENCE
        )

    @property
    def input_items(self) -> tuple[tuple[str, bytes], ...]:
        """The items of the input as they are kept: id and JSON."""
        return tuple((item["id"], to_json(item)) for item in self.items)

    def after(self, history: Sequence[bytes], referenced: Mapping[str, bytes]) -> ResponsesCall:
        """The call as it goes on from stored items, its references replaced by what they mean.

        Raises InvalidRequest when that leaves nothing to answer.
        """
        items = tuple(
            msgspec.json.decode(referenced[item["id"]]) if item["type"] == REFERENCE else item
            for item in self.items
        )
        whence = "conversation" if self.conversation_id else "previous_response_id"
        before = placed((msgspec.json.decode(data) for data in history), whence)
        messages = conversation(self.instructions, [*before, *placed(items)])
        if not messages:
            raise _nothing_to_answer()
        request = replace(self.requests[0], prompt=Chat(messages=messages))
        return replace(self, requests=(request,), items=items)

    def stream_encoder(self, model: str) -> ResponseStream:
        """An encoder for a stream."""
        return ResponseStream(self.spelled, model)

    def whole_encoder(self, model: str) -> ResponseWhole:
        """An encoder for a whole answer."""
        return ResponseWhole(self.spelled, model)

    def queued(self, model: str) -> bytes:
        """The Response object of a background call that has not begun."""
        return to_json(self.spelled.response(model, QUEUED))


class ResponsesEndpoint:
    """Responses. `clock` gives the Unix time at which an answer ends."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def decode(self, body: bytes, origin: Origin) -> ResponsesCall:
        """Read a request body. Raises RequestError with `param`."""
        read = read_body(_decoder, body)
        _refuse_unsupported(read)
        _check_storing(read)
        items = full_items(read.input, origin.answer_id)
        said = [place for place in placed(items) if place[1]["type"] != REFERENCE]
        messages = conversation(read.instructions, said)
        request = generation_request(read, messages, origin)
        previous_id, conversation_id = read.previous_response_id or None, conversation_named(read)
        comes_later = previous_id or conversation_id or len(said) < len(items)
        if not comes_later and not (items and messages):
            raise _nothing_to_answer()
        return ResponsesCall(
            requests=(request,),
            streams=bool(read.stream),
            store=read.store is not False,
            background=bool(read.background),
            previous_response_id=previous_id,
            conversation_id=conversation_id,
            spelled=spelling(read, origin, self._clock),
            instructions=read.instructions,
            items=tuple(items),
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error that came before the first byte of the answer."""
        return error_reply(error)


def _refuse_unsupported(body: ResponsesBody) -> None:
    if bytes(body.prompt) != b"null":
        message = "Prompt templates are not supported."
        hint = "Send their text as instructions and input."
        raise Unsupported(message, feature="prompt", param="prompt", hint=hint)


def _check_storing(body: ResponsesBody) -> None:
    if body.background and body.store is False:
        message = "background needs the response to be stored, and store is false."
        raise InvalidRequest(message, param="background", hint="Leave store out.")
    if body.previous_response_id and conversation_named(body):
        message = "previous_response_id and conversation both say what to go on from; send one."
        raise InvalidRequest(message, param="conversation")


def _nothing_to_answer() -> InvalidRequest:
    return InvalidRequest("input is missing; send a text or a list of items.", param="input")
