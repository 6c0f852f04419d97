"""Sends a server requests that are made from its own description, good and bad ones.

None may answer 500, hang, or have a status or a form that is not described.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from tests.bert_maker import make_bert
from tests.fuzz.description import Known, narrowed
from tests.gguf_maker import HERMES, make_scripted
from tests.live import LiveServer, echo_yaml, write_models
from tests.specs.replies import Reply, check_reply

LONGEST_S = 60.0
SPOKEN = ["Hm", " one", " two", "<tool_call>", "{}", " ünï", "\u2028x", " end"]
CHANGES = "Backends"  # installing engines is no play
FETCHES = {"/api/pull", "/api/create", "/models/apply", "/models/import-uri"}  # as is asking others
NOT_IMPLEMENTED = 501
BUILT_IN = ["not_a_server_error", "status_code_conformance", "content_type_conformance"]


@dataclass
class Findings:
    """What came of a run: how many requests had which status, and what was wrong."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    slowest: tuple[float, str] = (0.0, "")

    @property
    def requests(self) -> int:
        """How many were sent."""
        return self.statuses.total()

    def __str__(self) -> str:
        told = ", ".join(f"{status}: {n}" for status, n in sorted(self.statuses.items()))
        seconds, slowest = self.slowest
        lines = [
            f"{self.requests} requests ({told}); the slowest took {seconds:.1f} s: {slowest}",
            *(f"\n{what}\n{how}" for what, how in self.failures.items()),
        ]
        return "\n".join(lines)


def fill(folder: Path) -> Path:
    """Write the models that are played with: each small, and quick to say something."""
    write_models(
        folder,
        {
            "talker.yaml": "name: talker\nparameters: {model: talker.gguf}\n"
            "context_size: 256\nthreads: 1\noptions: [parallel:2]\n",
            "echo.yaml": echo_yaml("echo", slots=4),
            "off.yaml": "name: off\nbackend: echo\ndisabled: true\n",
        },
    )
    make_scripted(folder / "talker.gguf", SPOKEN, template=HERMES)
    make_bert(folder / "embedder.gguf")
    make_bert(folder / "ranker.gguf", ranks=True)
    return folder


def fuzz(server: LiveServer, count: int, start: int) -> Findings:
    """Send about `count` requests; the same ones for the same `start`."""
    findings = Findings()
    document, known = server.get("/openapi.json").json, _known(server)
    plays = sorted(_plays(document, known), key=lambda play: play.operation.method == "delete")
    whole = sum(play.weight for play in plays)
    for number, play in enumerate(plays):
        share = max(1, round(count * play.weight / whole))
        _run(server, play, share, start + number, findings)
        assert server.process.poll() is None, f"the server ended:\n{server.log[-5000:]}"
    return findings


class Play(NamedTuple):
    """An operation, and what its requests are like."""

    operation: Any
    mode: GenerationMode
    weight: int


def _known(server: LiveServer) -> Known:
    """Models, and a response and a conversation that exist."""
    made = server.post("/v1/responses", {"model": "echo", "input": "Hi", "store": True}).json
    talk = server.post("/v1/conversations", {"items": [{"role": "user", "content": "Hi"}]}).json
    items = server.get(f"/v1/conversations/{talk['id']}/items").json["data"]
    models = {
        "Embed": ["embedder"],
        "Rerank": ["ranker"],
        "okenize": ["talker"],
        "": ["talker", "echo"],
    }
    ids = {
        "response_id": [made["id"]],
        "conversation_id": [talk["id"]],
        "item_id": [item["id"] for item in items],
        "model": ["echo", "talker"],
    }
    return Known(models, ids)


def _plays(document: Any, known: Known) -> Iterator[Play]:
    """Give every operation with usual, any, and bad values; those with a body count more."""
    for is_usual, mode, weight in (
        (True, GenerationMode.POSITIVE, 8),
        (False, GenerationMode.POSITIVE, 6),
        (False, GenerationMode.NEGATIVE, 4),
    ):
        schema = schemathesis.openapi.from_dict(narrowed(document, known, is_usual=is_usual))
        for result in schema.get_all_operations():
            operation = result.ok()
            described = operation.definition.raw
            if CHANGES in described["tags"] and operation.method != "get":
                continue
            if operation.path in FETCHES and mode is GenerationMode.POSITIVE:
                continue
            if "requestBody" in described:
                yield Play(operation, mode, weight)
            elif is_usual or described.get("parameters"):
                yield Play(operation, mode, 1)


def _run(server: LiveServer, play: Play, count: int, start: int, findings: Findings) -> None:
    @seed(start)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=play.operation.as_strategy(generation_mode=play.mode))
    def send(case: Any) -> None:
        _send(server, case, findings)

    with contextlib.suppress(Unsatisfiable):  # nothing of it can be wrong
        send()


def _send(server: LiveServer, case: Any, findings: Findings) -> None:
    name = f"{case.method} {case.path}"
    began_s = time.monotonic()
    try:
        response = case.call(base_url=server.url, timeout=LONGEST_S)
    except requests.RequestException as error:
        findings.failures.setdefault(f"{name}: {type(error).__name__}", case.as_curl_command())
        findings.statuses[0] += 1
        return
    took_s = time.monotonic() - began_s
    findings.statuses[response.status_code] += 1
    findings.slowest = max(findings.slowest, (took_s, name))
    for what in _wrong(case, response):
        key = f"{name} answered {response.status_code}: {what}"
        findings.failures.setdefault(key[:400], case.as_curl_command()[:3000])


def _wrong(case: Any, response: Any) -> Iterator[str]:
    # Sound needs engines that are installed apart; a server without them says so.
    is_sound = "Audio" in case.operation.tags or "ElevenLabs" in case.operation.tags
    lacks_engine = is_sound and response.status_code == NOT_IMPLEMENTED
    for check in BUILT_IN[lacks_engine:]:
        try:
            case.validate_response(response, checks=[CHECKS.get_one(check)])
        except AssertionError as error:  # schemathesis's own
            yield f"{check}: {str(error)[:300]}"
        except BaseExceptionGroup as error:
            yield f"{check}: {error.exceptions}"[:300]
    kind = response.headers.get("content-type", [""])[0].partition(";")[0]
    path = response.request.path_url.partition("?")[0]
    try:
        check_reply(Reply(case.method, path, response.status_code, kind, response.content))
    except (AssertionError, ValueError) as error:
        yield str(error)[:600]
