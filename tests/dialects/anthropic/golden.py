"""Golden files: a call as a client sends it, and what must come of it, as JSON that reads well.

They are laid out like those of the OpenAI dialect. To write what the code gives now, and to
review it as a diff:

    python -m tests.dialects.anthropic.golden
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from localai.dialects.anthropic import CountTokensEndpoint, MessagesEndpoint
from localai.dialects.contract import Call
from localai.domain.errors import LocalAIError
from localai.domain.events import Event
from localai.domain.generation import GenerationRequest
from localai.domain.stream_rules import StreamRules, fold
from tests.dialects.golden_files import ORIGIN, event, plain, refusal, write

HERE = Path(__file__).parent / "golden"
REQUESTS = sorted((HERE / "requests").glob("*.json"))
ANSWERS = sorted((HERE / "answers").glob("*.json"))

ENDPOINT = MessagesEndpoint()
COUNT = CountTokensEndpoint()


def spelled(request: GenerationRequest) -> Any:
    """Spell a request as JSON; the bytes of an image are shown as text."""
    value = _readable(plain(dataclasses.replace(request, client="")))
    return value["GenerationRequest"]


def _readable(value: Any) -> Any:
    match value:
        case bytes():
            return value.decode("latin-1")
        case dict():
            return {key: _readable(item) for key, item in value.items()}
        case list():
            return [_readable(item) for item in value]
        case _:
            return value


def decoded(case: Mapping[str, Any]) -> Any:
    """Spell what a body decodes to, or the error that it is."""
    body = json.dumps(case["body"]).encode()
    try:
        if case.get("counts"):
            return {"request": spelled(COUNT.decode(body, ORIGIN).request)}
        call = ENDPOINT.decode(body, ORIGIN)
    except LocalAIError as error:
        return refusal(error)
    (request,) = call.requests
    return {"streams": call.streams, "request": spelled(request)}


def answered(case: Mapping[str, Any]) -> dict[str, Any]:
    """Spell the events of a case as the stream and as the whole answer that they make."""
    origin = dataclasses.replace(ORIGIN, with_timings=case.get("with_timings", False))
    call = ENDPOINT.decode(json.dumps(case["body"]).encode(), origin)
    rules = StreamRules()
    checked = [rules.feed(event(written)) for written in case["events"]]
    result: dict[str, Any] = {}
    if call.streams:
        result["frames"] = list(_frames(call, checked))
    answer = fold(checked)
    if answer.error is None:
        result["whole"] = json.loads(call.whole_encoder("llama").encode(answer))
    return result


def _frames(call: Call, checked: list[Event]) -> Iterator[Any]:
    encoder = call.stream_encoder("llama")
    for checked_event in checked:
        for frame in encoder.feed(checked_event):
            data = json.loads(frame.data)
            assert frame.event == data["type"]
            yield data


if __name__ == "__main__":
    write(REQUESTS, decoded, ANSWERS, answered)
