"""What a live server says of itself: models, health, metrics, its own description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import openai
import pytest

from localai.assemble import build_services
from localai.http import answers, openapi, routes
from localai.settings import ServerSettings
from localai.version import __version__
from tests.conftest import StartServer
from tests.live import LiveServer, echo_yaml, wait_until, write_models

METRICS = {
    "localai_requests_total",
    "api_call_count",
    "localai_time_to_first_token_seconds_count",
    "localai_prompt_tokens_total",
    "localai_cached_prompt_tokens_total",
    "localai_completion_tokens_total",
    "localai_failures_total",
    "localai_server_memory_bytes",
    "localai_running_requests",
    "localai_waiting_requests",
    "localai_workers",
    "localai_worker_memory_bytes",
}


def test_models_are_listed(server: LiveServer) -> None:
    with server.openai() as client:
        listed = {model.id: model for model in client.models.list()}
    assert {"text", "stopping", "noise", "team/echo", "slow", "other-name"} <= set(listed)
    assert list(listed) == sorted(listed)
    assert {model.object for model in listed.values()} == {"model"}
    assert all(model.created > 0 for model in listed.values())


def test_models_are_filtered(server: LiveServer) -> None:
    found = server.get("/v1/models?filter=^(text|slow)$").json["data"]
    assert [model["id"] for model in found] == ["slow", "text"]
    reply = server.get("/v1/models?filter=(")
    assert reply.status == 400
    assert reply.error["param"] == "filter"


@pytest.mark.parametrize(
    "pattern", ["((.|.|.|.|.|.|.|.|.)*)*Z", "(.+)+(.+)+(.+)+(.+)+(.+)+Z", "(.*)*Z" * 33]
)
def test_no_filter_keeps_the_server_busy(server: LiveServer, pattern: str) -> None:
    reply = server.get(f"/v1/models?{urlencode({'filter': pattern})}")
    assert (reply.status, reply.json.get("data")) == (200, [])


def test_a_filter_that_is_too_much_work_is_refused(server: LiveServer) -> None:
    costly = "(((.?){18}){18}){6}Z"
    reply = server.get(f"/v1/models?{urlencode({'filter': costly})}")
    assert (reply.status, reply.error["param"]) == (400, "filter")
    assert "too many steps" in reply.error["message"]


@pytest.mark.parametrize("path", ["/v1/models/team/echo", "/models/team%2Fecho", "/v1/models/text"])
def test_one_model_is_shown(server: LiveServer, path: str) -> None:
    reply = server.get(path)
    assert reply.status == 200
    assert reply.json["id"] in {"team/echo", "text"}


def test_the_client_retrieves_a_name_with_a_slash(server: LiveServer) -> None:
    with server.openai() as client:
        assert client.models.retrieve("team/echo").id == "team/echo"
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("team/ecko")
    assert "team/echo" in caught.value.message


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_paths_exist_with_and_without_v1_and_a_slash_behind(server: LiveServer, path: str) -> None:
    assert server.get(path).json == server.get(path + "/").json


def test_health_and_version(server: LiveServer) -> None:
    for path in ("/healthz", "/readyz"):
        reply = server.get(path)
        assert (reply.status, reply.body) == (200, b"")
    assert server.get("/version").json == {"version": __version__}
    assert server.request("HEAD", "/healthz").status == 200


def test_metrics_count(server: LiveServer) -> None:
    def values() -> list[float]:
        route = "/v1/chat/completions"
        return [
            server.metric("localai_requests_total", route=route, status="200"),
            server.metric("api_call_count", method="POST", path=route),
            server.metric("localai_time_to_first_token_seconds_count", model="team/echo"),
            server.metric("localai_prompt_tokens_total", model="team/echo"),
            server.metric("localai_completion_tokens_total", model="team/echo"),
        ]

    before = values()
    assert server.say("team/echo", "one two three").status == 200
    assert [now - then for now, then in zip(values(), before, strict=True)] == [1, 1, 1, 3, 3]
    text = server.get("/metrics").body.decode()
    assert {name for name in METRICS if not re.search(rf"^{name}(\{{| )", text, re.MULTILINE)} <= {
        "localai_failures_total"
    }
    assert server.metric("localai_workers", model="team/echo") == 1
    assert server.metric("localai_worker_memory_bytes", model="team/echo") > 1e6
    assert server.metric("localai_server_memory_bytes") > 1e6


def test_a_streamed_answer_counts_as_well(server: LiveServer) -> None:
    before = server.metric("localai_completion_tokens_total", model="team/echo")
    firsts = server.metric("localai_time_to_first_token_seconds_count", model="team/echo")
    assert server.say("team/echo", "one two three", stream=True).status == 200
    assert server.metric("localai_completion_tokens_total", model="team/echo") == before + 3
    now = server.metric("localai_time_to_first_token_seconds_count", model="team/echo")
    assert now == firsts + 1


def test_failures_count(server: LiveServer) -> None:
    before = server.metric("localai_failures_total", kind="model_not_found")
    server.say("nobody-knows-it", "Hi")
    assert server.metric("localai_failures_total", kind="model_not_found") == before + 1


def test_unknown_paths_make_no_new_metrics(server: LiveServer) -> None:
    for number in range(3):
        server.get(f"/nothing/{number}")
    text = server.get("/metrics").body.decode()
    assert "/nothing" not in text
    assert server.metric("localai_requests_total", route="other", status="404") >= 3


def test_the_metrics_can_be_switched_off(tmp_path: Any, start_server: StartServer) -> None:
    folder = write_models(tmp_path / "models", {"echo.yaml": echo_yaml("echo")})
    server = start_server(folder, "--disable-metrics-endpoint")
    assert server.get("/metrics").status == 404
    assert "/metrics" not in server.get("/openapi.json").json["paths"]


# ---- the description


def references(value: Any) -> Iterator[str]:
    """Every $ref in a document."""
    match value:
        case dict():
            for key, inner in value.items():
                if key == "$ref":
                    yield inner
                else:
                    yield from references(inner)
        case list():
            for inner in value:
                yield from references(inner)


def test_the_description_has_no_loose_ends(server: LiveServer) -> None:
    document = server.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    found = set(references(document))
    assert found
    for reference in found:
        at: Any = document
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]
        assert at
    operations = [row for path in document["paths"].values() for row in path.values()]
    identities = [row["operationId"] for row in operations]
    assert len(set(identities)) == len(identities)
    for row in operations:
        assert row["summary"]
        assert row["responses"]["200"]
    for path, methods in document["paths"].items():
        wanted = set(re.findall(r"\{(\w+)\}", path))
        for row in methods.values():
            named = row.get("parameters", ())
            assert {item["name"] for item in named if item["in"] == "path"} == wanted


def test_every_route_of_the_table_is_described(tmp_path: Path) -> None:
    rows = routes.table(build_services(ServerSettings(models_path=tmp_path / "models")))
    document = json.loads(openapi.describe(rows))
    shown = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    listed = {
        f"{row.method} {re.sub(r':[a-z]+}', '}', row.path)}" for row in rows if not row.is_alias
    }
    assert shown == listed
    aliases = {f"{row.method} {row.path}" for row in rows if row.is_alias}
    without = {name.replace(" /v1/", " /") for name in listed if " /v1/" in name}
    assert {re.sub(r":[a-z]+}", "}", name) for name in aliases} >= without


def test_every_answer_is_described(tmp_path: Path) -> None:
    rows = routes.table(build_services(ServerSettings(models_path=tmp_path / "models")))
    undescribed = [row for row in rows if openapi.answers_of(row) is None and not row.is_alias]
    assert [f"{row.method} {row.path}" for row in undescribed] == []
    described = {f"{row.method} {openapi.path_of(row)}" for row in rows}
    assert described == answers.ANSWERS.keys() | {
        f"{row.method} {openapi.path_of(row)}" for row in rows if row.is_alias
    }


def test_what_is_described_exists(server: LiveServer) -> None:
    for path, methods in server.get("/openapi.json").json["paths"].items():
        for method in methods:
            body = b"" if method == "post" else None
            reply = server.request(method.upper(), re.sub(r"\{\w+\}", "nothing", path), body)
            assert reply.status < 500, path
            assert reply.status != 405, path
            assert path == "/metrics" or b"route_not_found" not in reply.body, path


def test_the_bodies_are_described(server: LiveServer) -> None:
    document = server.get("/openapi.json").json
    operation = document["paths"]["/v1/chat/completions"]["post"]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    body = document["components"]["schemas"][reference.rpartition("/")[2]]
    assert {"messages", "model", "stream", "temperature"} <= body["properties"].keys()
    assert "text/event-stream" in operation["responses"]["200"]["content"]


def test_the_documentation_page_needs_no_other_host(server: LiveServer) -> None:
    reply = server.get("/docs")
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/html")
    page = reply.body.decode()
    assert "openapi.json" in page
    assert re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", page) == []
    assert "default-src 'self'" in reply.headers["content-security-policy"]


def test_a_server_that_loads_is_alive_and_not_ready(
    tmp_path: Any, start_server: StartServer
) -> None:
    folder = write_models(tmp_path / "models", {"echo.yaml": echo_yaml("echo", load_s=600)})
    server = LiveServer(folder, "echo")
    try:
        port = wait_until(lambda: _free_port_of(server), "the listening socket")
        server.url = f"http://127.0.0.1:{port}"
        reply = wait_until(
            lambda: "echo" in (got := server.get("/readyz")).json["reason"] and got, "the loading"
        )
        assert reply.status == 503
        assert reply.headers["retry-after"]
        assert server.get("/healthz").status == 200
    finally:
        assert server.stop() == 0


def _free_port_of(server: LiveServer) -> int:
    """The port a server listens on before it says so, from the table of the kernel."""
    inodes = set()
    try:
        for entry in Path(f"/proc/{server.process.pid}/fd").iterdir():
            found = re.match(r"socket:\[(\d+)\]", str(entry.readlink()))
            if found:
                inodes.add(found[1])
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and fields[3] == "0A":
                return int(fields[1].rpartition(":")[2], 16)
    except OSError:
        return 0
    return 0


def test_the_report_of_the_system_has_the_loaded_models(server: LiveServer) -> None:
    assert server.say("team/echo", "Hi").status == 200
    report = server.get("/system").json
    (loaded,) = [one for one in report["loaded_models"] if one["id"] == "team/echo"]
    assert loaded["backend"] == "echo"
    assert loaded["worker"].startswith("pid ")
    assert (loaded["running"], loaded["waiting"]) == (0, 0)
    assert "echo" in report["backends"]
