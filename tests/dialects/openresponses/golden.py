"""Golden files of the Responses API, as those of the OpenAI dialect. To write them anew:

python -m tests.dialects.openresponses.golden
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localai.dialects.contract import Origin
from localai.dialects.openresponses import ResponsesCall, ResponsesEndpoint
from localai.domain.errors import LocalAIError
from tests.dialects import golden_files
from tests.dialects.golden_files import ORIGIN, Spelled, plain, refusal, write

HERE = Path(__file__).parent / "golden"
REQUESTS = sorted((HERE / "requests").glob("*.json"))
ANSWERS = sorted((HERE / "answers").glob("*.json"))

ENDPOINT = ResponsesEndpoint(clock=lambda: 1700000009.5)

LEAST = {"model": "llama", "input": "Hi"}


def decode(body: Any, origin: Origin = ORIGIN) -> ResponsesCall:
    return ENDPOINT.decode(json.dumps(body).encode(), origin)


def decoded(body: Any) -> Any:
    """Spell what a body decodes to, or the error that it is."""
    try:
        call = decode(body)
    except LocalAIError as error:
        return refusal(error)
    request = shown(call)["GenerationRequest"]
    request.pop("client")
    facts = {
        "streams": call.streams,
        "store": call.store,
        "background": call.background,
        "previous_response_id": call.previous_response_id,
        "conversation_id": call.conversation_id,
        "references": [list(reference) for reference in call.references],
    }
    told = {key: value for key, value in facts.items() if value != USUAL.get(key, value is None)}
    items = [json.loads(data) for _, data in call.input_items]
    said = items != USUAL_ITEMS
    return told | {"request": request} | ({"input_items": items} if said else {})


def shown(call: ResponsesCall) -> Any:
    """Spell the request of a call; media are shown as base64."""
    (request,) = call.requests
    spelled = json.dumps(plain(request), default=lambda data: base64.b64encode(data).decode())
    return json.loads(spelled)


USUAL: Mapping[str, Any] = {
    "streams": False,
    "store": True,
    "background": False,
    "previous_response_id": None,
    "conversation_id": None,
    "references": [],
}
USUAL_ITEMS = [
    {
        "id": "msg_1_in0",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi"}],
    }
]


def spelled(case: Mapping[str, Any]) -> Spelled:
    """Spell the events of a case."""
    call = decode(
        case["body"], dataclasses.replace(ORIGIN, with_timings=case.get("with_timings", False))
    )
    return golden_files.spelled(call, case["events"], is_queued=call.background)


def answered(case: Mapping[str, Any]) -> dict[str, Any]:
    """Spell the events of a case as the stream and as the whole answer that they make."""
    usual = json.loads(decode(LEAST).queued("llama"))
    answer = spelled(case)
    result: dict[str, Any] = {}
    if answer.frames:
        result["frames"] = [_frame(frame.event, frame.data, usual) for frame in answer.frames]
    if answer.whole is not None:
        whole = json.loads(answer.whole)
        result["whole"] = whole if case.get("shows_all") else _told(whole, usual)
    return result


def _frame(name: str, data: bytes, usual: Mapping[str, Any]) -> Any:
    if data == b"[DONE]":
        return "[DONE]"
    event = json.loads(data)
    assert event["type"] == name
    if "response" in event:
        event["response"] = _told(event["response"], usual)
    return event


def _told(response: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what every response repeats, so that the rest reads well."""
    assert response.keys() >= usual.keys()
    return {
        key: value
        for key, value in response.items()
        if key not in usual or value != usual[key] or key == "status"
    }


if __name__ == "__main__":
    write(REQUESTS, lambda case: decoded(case["body"]), ANSWERS, answered)
