"""Golden files: a call as a client sends it, and what must come of it, as JSON that reads well.

`golden/requests/*.json` holds bodies and the domain values that they decode to; fields at their
defaults are left out. `golden/answers/*.json` holds a body, events, and the lines and the whole
answer that spell them, without the head that they all have. To write what the code gives now, and to review it as a diff:

    python -m tests.dialects.ollama.golden
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localai.dialects.contract import Frame
from localai.dialects.ollama import ChatEndpoint, GenerateEndpoint
from localai.domain.errors import LocalAIError
from tests.dialects import golden_files
from tests.dialects.golden_files import ORIGIN, Spelled, refusal, write

HERE = Path(__file__).parent / "golden"
REQUESTS = sorted((HERE / "requests").glob("*.json"))
ANSWERS = sorted((HERE / "answers").glob("*.json"))

ENDPOINTS: Mapping[str, ChatEndpoint | GenerateEndpoint] = {
    "chat": ChatEndpoint(),
    "generate": GenerateEndpoint(),
}
HEAD = {"model": "llama", "created_at": "2023-11-14T22:13:20.000000000Z"}


def plain(value: Any) -> Any:
    """Spell a domain value as JSON; images are shown in hexadecimal."""
    return golden_files.plain(value, bytes.hex)


def decoded(endpoint: str, body: Any) -> Any:
    """Spell what a body decodes to, or the error that it is."""
    try:
        call = ENDPOINTS[endpoint].decode(json.dumps(body).encode(), ORIGIN)
    except LocalAIError as error:
        return refusal(error)
    (request,) = (plain(request) for request in call.requests)
    request["GenerationRequest"].pop("client")
    gives = {"streams": call.streams, "request": request}
    if call.keep_alive_s is not None:
        gives["keep_alive_s"] = str(call.keep_alive_s)
    if call.is_load_only:
        gives["loaded"] = _without_head(call.loaded("llama"))
    return gives


def spelled(case: Mapping[str, Any]) -> Spelled:
    """Spell the events of a case."""
    call = ENDPOINTS[case["endpoint"]].decode(json.dumps(case["body"]).encode(), ORIGIN)
    return golden_files.spelled(call, case["events"])


def answered(case: Mapping[str, Any]) -> dict[str, Any]:
    """Spell the events of a case as the stream and as the whole answer that they make."""
    answer = spelled(case)
    result: dict[str, Any] = {"lines": [_line(frame) for frame in answer.frames]}
    if answer.whole is not None:
        result["whole"] = _without_head(answer.whole)
    return result


def _line(frame: Frame) -> Any:
    assert frame.event == ""
    assert len(frame.data.decode().splitlines()) == 1
    return _without_head(frame.data)


def _without_head(data: bytes) -> dict[str, Any]:
    """Take away what all lines of an answer share, so that the rest reads well."""
    line: dict[str, Any] = json.loads(data)
    if "error" not in line:
        assert {key: line.pop(key) for key in HEAD} == HEAD
    return line


if __name__ == "__main__":
    write(
        REQUESTS,
        lambda case: decoded(case["endpoint"], case["body"]),
        ANSWERS,
        answered,
        ascii_only=True,
    )
