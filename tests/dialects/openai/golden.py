"""Golden files: a call as a client sends it, and what must come of it, as JSON that reads well.

`golden/requests/*.json` holds bodies and the domain values that they decode to; fields at their
defaults are left out. `golden/answers/*.json` holds a body, events, and the frames and the whole
answer that spell them. To write what the code gives now, and to review it as a diff:

    python -m tests.dialects.openai.golden
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localai.dialects.contract import Endpoint, Frame
from localai.dialects.openai import ChatEndpoint, CompletionEndpoint, EditEndpoint
from localai.domain.errors import LocalAIError
from localai.version import __version__
from tests.dialects import golden_files
from tests.dialects.golden_files import ORIGIN, Spelled, plain, refusal, write

HERE = Path(__file__).parent / "golden"
REQUESTS = sorted((HERE / "requests").glob("*.json"))
ANSWERS = sorted((HERE / "answers").glob("*.json"))

ENDPOINTS: Mapping[str, Endpoint] = {
    "chat": ChatEndpoint(),
    "completions": CompletionEndpoint(),
    "edits": EditEndpoint(),
}
HEAD = {"id", "object", "created", "model", "system_fingerprint"}


def decoded(endpoint: str, body: Any) -> Any:
    """Spell what a body decodes to, or the error that it is."""
    try:
        call = ENDPOINTS[endpoint].decode(json.dumps(body).encode(), ORIGIN)
    except LocalAIError as error:
        return refusal(error)
    requests = [plain(request, bytes.decode) for request in call.requests]
    for request in requests:
        request["GenerationRequest"].pop("client")
    return {"streams": call.streams, "requests": requests}


def spelled(case: Mapping[str, Any]) -> Spelled:
    """Spell the events of a case."""
    origin = dataclasses.replace(ORIGIN, with_timings=case.get("with_timings", False))
    call = ENDPOINTS[case["endpoint"]].decode(json.dumps(case["body"]).encode(), origin)
    return golden_files.spelled(call, case["events"])


def answered(case: Mapping[str, Any]) -> dict[str, Any]:
    """Spell the events of a case as the stream and as the whole answer that they make."""
    answer = spelled(case)
    result: dict[str, Any] = {}
    if answer.frames:
        frames = [_read(frame) for frame in answer.frames]
        heads = [_take_head(frame) for frame in frames if "choices" in frame]
        assert all(head == heads[0] for head in heads)
        result |= {"head": heads[0], "frames": frames}
    if answer.whole is not None:
        whole = json.loads(answer.whole)
        assert _take_head(whole).keys() == HEAD
        result["whole"] = whole
    return result


def _take_head(answer: dict[str, Any]) -> dict[str, Any]:
    """Take away what all chunks of an answer share, so that the rest reads well."""
    head = {key: answer.pop(key) for key in list(answer) if key in HEAD}
    head["system_fingerprint"] = head["system_fingerprint"].removesuffix(__version__) + "VERSION"
    return head


def _read(frame: Frame) -> Any:
    assert frame.event == ""
    return "[DONE]" if frame.data == b"[DONE]" else json.loads(frame.data)


if __name__ == "__main__":
    write(REQUESTS, lambda case: decoded(case["endpoint"], case["body"]), ANSWERS, answered)
