"""Golden files: a call as a client sends it, and what must come of it, as JSON that reads well.

They are laid out like those of the OpenAI dialect. To write what the code gives now, and to
review it as a diff:

    python -m tests.dialects.anthropic.golden
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localai.dialects.anthropic import CountTokensEndpoint, MessagesEndpoint
from localai.dialects.contract import Frame
from localai.domain.errors import LocalAIError
from localai.domain.generation import GenerationRequest
from tests.dialects import golden_files
from tests.dialects.golden_files import ORIGIN, Spelled, plain, refusal, write

HERE = Path(__file__).parent / "golden"
REQUESTS = sorted((HERE / "requests").glob("*.json"))
ANSWERS = sorted((HERE / "answers").glob("*.json"))

ENDPOINT = MessagesEndpoint()
COUNT = CountTokensEndpoint()


def shown(request: GenerationRequest) -> Any:
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
            return {"request": shown(COUNT.decode(body, ORIGIN).request)}
        call = ENDPOINT.decode(body, ORIGIN)
    except LocalAIError as error:
        return refusal(error)
    (request,) = call.requests
    return {"streams": call.streams, "request": shown(request)}


def spelled(case: Mapping[str, Any]) -> Spelled:
    """Spell the events of a case."""
    origin = dataclasses.replace(ORIGIN, with_timings=case.get("with_timings", False))
    call = ENDPOINT.decode(json.dumps(case["body"]).encode(), origin)
    return golden_files.spelled(call, case["events"])


def answered(case: Mapping[str, Any]) -> dict[str, Any]:
    """Spell the events of a case as the stream and as the whole answer that they make."""
    answer = spelled(case)
    result: dict[str, Any] = {}
    if answer.frames:
        result["frames"] = [_read(frame) for frame in answer.frames]
    if answer.whole is not None:
        result["whole"] = json.loads(answer.whole)
    return result


def _read(frame: Frame) -> Any:
    data = json.loads(frame.data)
    assert frame.event == data["type"]
    return data


if __name__ == "__main__":
    write(REQUESTS, decoded, ANSWERS, answered)
