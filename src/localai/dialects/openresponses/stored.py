"""What is kept, spelled again: lists of items, deletions, responses that ended without an answer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from localai.dialects.contract import Frame
from localai.dialects.openresponses.errors import error_event, failure
from localai.dialects.openresponses.response import to_json
from localai.dialects.openresponses.stream import DONE
from localai.domain.errors import LocalAIError
from localai.domain.vectors import TokenCount


class _ItemId(msgspec.Struct):
    id: str


class _Ended(msgspec.Struct):
    status: str
    output: list[msgspec.Raw]


_id_decoder = msgspec.json.Decoder(_ItemId)
_ended_decoder = msgspec.json.Decoder(_Ended)


class ResponsesSpelling:
    """What the use cases have to know of the form of a Response object."""

    def status_and_output(self, response: bytes) -> tuple[str, tuple[tuple[str, bytes], ...]]:
        """The status of a Response object, and its output items as id and JSON."""
        read = _ended_decoder.decode(response)
        items = (bytes(raw) for raw in read.output)
        return read.status, tuple((_id_decoder.decode(data).id, data) for data in items)

    def cut_off(
        self, response: bytes, number: int, error: LocalAIError
    ) -> tuple[bytes, tuple[Frame, ...]]:
        """A stored Response object that can only fail now, and the end of its stream.

        `number` is that of the next event.
        """
        whole = msgspec.json.decode(response)
        whole |= {"status": "failed", "error": failure(error)}
        events = [error_event(error), {"type": "response.failed", "response": whole}]
        frames = [
            Frame(to_json(event | {"sequence_number": number + i}), event["type"])
            for i, event in enumerate(events)
        ]
        return to_json(whole), (*frames, DONE)


def encode_count(count: TokenCount) -> bytes:
    """Spell how many tokens a prompt is."""
    counted = {"object": "response.input_tokens", "input_tokens": count.prompt_tokens}
    return to_json(counted)


def encode_items(items: Sequence[tuple[str, bytes]], *, has_more: bool) -> bytes:
    """Spell a page of items, given as id and JSON."""
    listed = {
        "object": "list",
        "data": [msgspec.Raw(data) for _, data in items],
        "first_id": items[0][0] if items else "",
        "last_id": items[-1][0] if items else "",
        "has_more": has_more,
    }
    return to_json(listed)


def encode_deleted_response(response_id: str) -> bytes:
    """Spell that a response is no more."""
    return to_json({"id": response_id, "object": "response", "deleted": True})
