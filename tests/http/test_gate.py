"""Who may come in: keys, origins, other sites, other hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.conftest import StartServer
from tests.live import LiveServer, echo_yaml, run_cli, write_models

KEY = {"Authorization": "Bearer first-key"}
ECHO = {"model": "echo", "messages": [{"role": "user", "content": "so it is"}]}
PUBLIC = ["/healthz", "/readyz", "/docs", "/openapi.json"]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with two keys, one allowed origin and a tag."""
    folder = write_models(
        tmp_path_factory.mktemp("locked") / "models",
        {"echo.yaml": echo_yaml("echo"), "first.yaml": echo_yaml("first-key")},
    )
    with LiveServer(
        folder, "--cors", "--cors-allow-origins", "https://good.example", "--machine-tag", "m1",
        environment={"LOCALAI_API_KEY": "first-key, second-key"},
    ) as running:  # fmt: skip
        yield running


def test_without_a_key_nobody_comes_in(locked: LiveServer) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "},
                    {"Authorization": "first-key"}, {"x-api-key": "wrong"}):  # fmt: skip
        reply = locked.post("/v1/chat/completions", ECHO, headers)
        assert reply.status == 401
        assert reply.error["code"] == "invalid_api_key"
        assert reply.error["type"] == "invalid_request_error"
        assert reply.headers["www-authenticate"] == "Bearer"
        assert "first-key" not in reply.body.decode()
    for path in ("/v1/models", "/metrics", "/version", "/nothing/here"):
        assert locked.get(path).status == 401


def test_any_key_in_any_header_opens(locked: LiveServer) -> None:
    for headers in (KEY, {"Authorization": "Bearer second-key"}, {"authorization": "bearer first-key"},
                    {"x-api-key": "second-key"}, {"xi-api-key": "first-key"}):  # fmt: skip
        assert locked.post("/v1/chat/completions", ECHO, headers).status == 200


def test_the_official_client_sees_what_it_knows(locked: LiveServer) -> None:
    with locked.openai("second-key") as client:
        assert client.models.retrieve("echo").id == "echo"
    with locked.openai("wrong") as client, pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize("path", PUBLIC)
def test_health_and_documentation_need_no_key(locked: LiveServer, path: str) -> None:
    assert locked.get(path).status == 200


def test_a_key_that_is_a_models_name_selects_it(locked: LiveServer) -> None:
    body = {"messages": ECHO["messages"]}
    reply = locked.post("/v1/chat/completions", body, KEY)
    assert reply.json["model"] == "first-key"


def test_odd_keys_are_no_accident(locked: LiveServer) -> None:
    for key in ("first-key\xff", "first-key " * 1000, "ключ".encode().decode("latin-1")):
        assert locked.get("/v1/models", Authorization=f"Bearer {key}").status == 401
    assert locked.get("/v1/models", **KEY).status == 200


def test_every_answer_has_the_tag_and_is_not_sniffed(locked: LiveServer) -> None:
    for reply in (
        locked.get("/healthz"),
        locked.get("/v1/models"),
        locked.get("/v1/models", **KEY),
    ):
        assert reply.headers["machine-tag"] == "m1"
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_an_allowed_origin_may_read(locked: LiveServer) -> None:
    preflight = locked.request(
        "OPTIONS", "/v1/chat/completions",
        headers={"Origin": "https://good.example", "Access-Control-Request-Method": "POST"},
    )  # fmt: skip
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "https://good.example"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    reply = locked.get("/v1/models", Origin="https://good.example", **KEY)
    assert reply.headers["access-control-allow-origin"] == "https://good.example"
    assert "Origin" in reply.headers["vary"]


def test_another_origin_may_not(locked: LiveServer) -> None:
    preflight = locked.request(
        "OPTIONS", "/v1/models",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"},
    )  # fmt: skip
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in locked.get("/v1/models", Origin="https://evil.example", **KEY).headers  # fmt: skip


def test_pages_of_other_sites_cannot_post(server: LiveServer) -> None:
    body = {"model": "team/echo", "messages": ECHO["messages"]}
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    reply = server.post("/v1/chat/completions", body, foreign)
    assert reply.status == 403
    assert reply.error["code"] == "cross_site"
    assert server.post("/v1/chat/completions", body, foreign | KEY).status == 200
    for site in ("same-origin", "same-site", "none"):
        own = {"Sec-Fetch-Site": site}
        assert server.post("/v1/chat/completions", body, own).status == 200
    assert server.get("/v1/models", **foreign).status == 200


def test_cross_site_requests_can_be_allowed(tmp_path: Path, start_server: StartServer) -> None:
    folder = write_models(tmp_path / "models", {"echo.yaml": echo_yaml("echo")})
    server = start_server(folder, "--disable-csrf", "--opaque-errors")
    assert server.post("/v1/chat/completions", ECHO, {"Sec-Fetch-Site": "cross-site"}).status == 200
    reply = server.post("/v1/chat/completions", {})
    assert (reply.status, reply.body) == (400, b"")


@pytest.mark.parametrize("address", ["0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0"])
def test_the_network_is_not_served_without_a_key(tmp_path: Path, address: str) -> None:
    done = run_cli("run", "--address", address, folder=tmp_path)
    assert done.returncode == 2
    assert "--api-keys" in done.stderr
    assert "--allow-insecure-public-bind" in done.stderr


@pytest.mark.parametrize("arguments", [("--api-keys", "k"), ("--allow-insecure-public-bind",)])
def test_the_network_is_served_with_a_key_or_on_demand(
    tmp_path: Path, start_server: StartServer, arguments: tuple[str, ...]
) -> None:
    folder = write_models(tmp_path / "models", {"echo.yaml": echo_yaml("echo")})
    server = start_server(folder, *arguments, address="0.0.0.0:0")
    assert server.url.startswith("http://localhost:")
    assert server.get("/v1/models", Authorization="Bearer k").status == 200
    wants_key = arguments[0] == "--api-keys"
    assert server.get("/v1/models").status == (401 if wants_key else 200)
    assert ("Authorization: Bearer" in server.log) == wants_key
