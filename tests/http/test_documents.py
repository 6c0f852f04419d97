"""Documents reach a model as text, in every API that has them; what cannot be read is told."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import pytest

from tests.gguf_maker import Shape, make_tiny_llama
from tests.live import LiveServer, Reply, echo_yaml, write_models
from tests.mmproj_maker import make_audio_mmproj, make_mmproj, png, wav
from tests.pdf_maker import make_bomb, make_locked, make_pdf, make_scan

WIDTH = 128
REPORT = make_pdf(["It rained.", "Then it stopped."])
READ = "<document> <title>report.pdf</title> It rained. Then it stopped. </document>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = write_models(
        tmp_path_factory.mktemp("documents") / "models", {"echo.yaml": echo_yaml("echo")}
    )
    shape = Shape(layers=1, embedding=WIDTH, heads=2, kv_heads=2, feed_forward=128)
    make_tiny_llama(folder / "text.gguf", shape=shape)
    make_mmproj(folder / "mmproj-eyes.gguf", text_size=WIDTH)
    make_audio_mmproj(folder / "mmproj-ears.gguf", text_size=WIDTH)
    for name, more in (
        ("plain", ""),
        ("seer", "mmproj: mmproj-eyes.gguf\n"),
        ("hearer", "mmproj: mmproj-ears.gguf\n"),
    ):
        (folder / f"{name}.yaml").write_text(
            f"name: {name}\n{more}parameters: {{model: text.gguf}}\n"
            "context_size: 2048\nthreads: 1\noptions: [parallel:1]\n"
        )
    with LiveServer(folder, "--allow-private-fetch") as running:
        yield running


@contextlib.contextmanager
def anthropics(server: LiveServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


@contextlib.contextmanager
def uploaded(server: LiveServer, name: str, data: bytes) -> Iterator[str]:
    with server.openai() as client:
        made = client.files.create(file=(name, data), purpose="user_data")
        yield made.id
        client.files.delete(made.id)


@contextlib.contextmanager
def page(data: bytes, media_type: str) -> Iterator[str]:
    """The address of a web server that has `data` at any path."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", media_type)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def chat(server: LiveServer, *parts: dict[str, Any], model: str = "echo") -> Reply:
    messages = [{"role": "user", "content": list(parts)}]
    body = {"model": model, "max_tokens": 1000, "messages": messages}
    return server.post("/v1/chat/completions", body)


def file(data: bytes, name: str = "") -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": encoded(data), "filename": name}}


def said(reply: Reply) -> str:
    assert reply.status == 200, reply.body
    text: str = reply.json["choices"][0]["message"]["content"]
    return text


def prompt_tokens(reply: Reply) -> int:
    assert reply.status == 200, reply.body
    tokens: int = reply.json["usage"]["prompt_tokens"]
    return tokens


@pytest.mark.covers("Documents, read as text", "chat")
def test_openais_client_sends_documents(server: LiveServer) -> None:
    data = f"data:application/pdf;base64,{encoded(REPORT)}"
    with server.openai() as client, uploaded(server, "report.pdf", REPORT) as file_id:
        for given in (
            {"file_id": file_id},
            {"file_data": data, "filename": "report.pdf"},
            {"file_data": encoded(REPORT), "filename": "report.pdf"},
        ):
            answer = client.chat.completions.create(
                model="echo",
                messages=[
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "Sum up:"},
                            {"type": "file", "file": given},  # type: ignore[typeddict-item]
                        ],
                    }
                ],
            )
            assert answer.choices[0].message.content == f"Sum up: {READ}"


@pytest.mark.covers("Documents, read as text", "responses")
def test_openais_client_sends_documents_with_responses(server: LiveServer) -> None:
    with (
        server.openai() as client,
        uploaded(server, "report.pdf", REPORT) as file_id,
        page(REPORT, "application/pdf") as address,
    ):
        for given in (
            {"file_id": file_id},
            {"file_data": encoded(REPORT), "filename": "report.pdf"},
            {"file_url": f"{address}/to/report.pdf?now"},
        ):
            part: Any = {"type": "input_file", **given}
            answer = client.responses.create(
                model="echo", input=[{"role": "user", "content": [part]}]
            )
            assert answer.output_text == READ
            kept = client.responses.input_items.list(answer.id).data[0].to_dict()
            assert kept["content"] == [part]


def test_a_document_is_read_again_with_the_next_turn(server: LiveServer) -> None:
    with server.openai() as client:
        with uploaded(server, "report.pdf", REPORT) as file_id:
            part: Any = {"type": "input_file", "file_id": file_id}
            first = client.responses.create(
                model="plain", input=[{"role": "user", "content": [part]}], max_output_tokens=1
            )
            assert first.usage is not None
            second = client.responses.create(
                model="plain", input="And?", previous_response_id=first.id, max_output_tokens=1
            )
            assert second.usage is not None
            assert second.usage.input_tokens > first.usage.input_tokens > 40
        body = {"model": "plain", "input": "And?", "previous_response_id": first.id}
        gone = server.post("/v1/responses", body)
        assert gone.status == 404, "the file was deleted"
        assert gone.error["param"] == "previous_response_id[0].content[0].file_id"


@pytest.mark.covers("Documents, read as text", "messages")
def test_anthropics_client_sends_documents(server: LiveServer) -> None:
    with (
        anthropics(server) as client,
        uploaded(server, "report.pdf", REPORT) as file_id,
        page(REPORT, "application/pdf") as address,
    ):
        pdf = {"type": "base64", "media_type": "application/pdf", "data": encoded(REPORT)}
        sources: list[dict[str, Any]] = [
            pdf,
            {"type": "file", "file_id": file_id},
            {"type": "url", "url": f"{address}/report.pdf"},
            {"type": "text", "media_type": "text/plain", "data": "It rained. Then it stopped."},
            {"type": "content", "content": [{"type": "text", "text": "It rained. Then it stopped."}]},
        ]  # fmt: skip
        for source in sources:
            block: Any = {"type": "document", "source": source, "title": "report.pdf"}
            answer = client.messages.create(
                model="echo", max_tokens=100, messages=[{"role": "user", "content": [block]}]
            )
            assert answer.content[0].to_dict()["text"] == READ
        block = {"type": "document", "source": sources[1], "context": "From May"}
        answer = client.messages.create(
            model="echo", max_tokens=100, messages=[{"role": "user", "content": [block]}]
        )
        assert answer.content[0].to_dict()["text"] == READ.replace(
            "</title>", "</title> <context>From May</context>"
        )


def test_the_tokens_of_a_document_are_counted(server: LiveServer) -> None:
    with anthropics(server) as client, uploaded(server, "report.pdf", REPORT) as file_id:
        block: Any = {"type": "document", "source": {"type": "file", "file_id": file_id}}
        messages: Any = [{"role": "user", "content": [block]}]
        counted = client.messages.count_tokens(model="plain", messages=messages)
        answer = client.messages.create(model="plain", max_tokens=1, messages=messages)
    usage = answer.usage
    assert counted.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0) > 40


def test_a_tools_result_may_be_a_document(server: LiveServer) -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": encoded(REPORT)}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "document", "source": source}]}  # fmt: skip
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    turns = [
        {"role": "user", "content": "Look it up"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    whole = server.post("/v1/messages", {"model": "plain", "max_tokens": 1, "messages": turns})
    result["content"] = [{"type": "text", "text": ""}]
    empty = server.post("/v1/messages", {"model": "plain", "max_tokens": 1, "messages": turns})
    tokens = [
        sum(value for key, value in reply.json["usage"].items() if "input_tokens" in key)
        for reply in (whole, empty)
    ]
    assert tokens[0] > tokens[1] + 20


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.csv", b"\xef\xbb\xbfname,age\r\nAda,36\r\n", "name,age Ada,36"),
        ("a.json", b'{"name": "Ada"}', '{"name": "Ada"}'),
        ("a.md", b"# Title\n\n* one", "# Title * one"),
        ("a.html", b"<style>p{}</style><p>Ada &amp; <b>Bob</b>", "Ada & Bob"),
        ("a.txt", b"<!doctype html><title>x</title><p>Ada", "Ada"),
        ("a.py", b"print('<p>')", "print('<p>')"),
    ],
)
def test_text_of_many_kinds_is_read(server: LiveServer, name: str, data: bytes, text: str) -> None:
    framed = f"<document> <title>{name}</title> {text} </document>"
    assert said(chat(server, file(data, name))) == framed
    assert said(chat(server, file(make_pdf(["in a PDF"]), name))) == framed.replace(
        text, "in a PDF"
    )


def test_an_image_or_sound_that_came_as_a_file_is_one(server: LiveServer) -> None:
    ask = {"type": "text", "text": "what is it?"}
    without = prompt_tokens(chat(server, ask, model="seer"))
    url = {"url": f"data:image/png;base64,{encoded(png())}"}
    seen = prompt_tokens(chat(server, ask, {"type": "image_url", "image_url": url}, model="seer"))
    assert prompt_tokens(chat(server, ask, file(png(), "a.png"), model="seer")) == seen
    heard = prompt_tokens(chat(server, ask, file(wav(), "a.wav"), model="hearer"))
    assert heard > without
    with uploaded(server, "a.png", png()) as file_id, anthropics(server) as client:
        source: Any = {"type": "file", "file_id": file_id}
        answer = client.messages.create(
            model="seer", max_tokens=1,
            messages=[{"role": "user", "content": [ask, {"type": "image", "source": source}]}],  # type: ignore[list-item]
        )  # fmt: skip
        usage = answer.usage
        assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == seen
        part = {"type": "input_image", "file_id": file_id}
        content = [{"type": "input_text", "text": "what is it?"}, part]
        body = {"model": "seer", "max_output_tokens": 1, "input": [{"role": "user", "content": content}]}  # fmt: skip
        assert server.post("/v1/responses", body).json["usage"]["input_tokens"] == seen


def test_a_scan_is_shown_to_a_model_that_sees(server: LiveServer) -> None:
    one, three = (
        prompt_tokens(chat(server, file(make_scan(pages), "a.pdf"), model="seer"))
        for pages in (1, 3)
    )
    assert three > one + 20
    blind = chat(server, file(make_scan(3), "a.pdf"), model="plain")
    assert blind.status == 400
    assert "its 3 pages are images" in blind.error["message"]
    assert "a model that sees images" in blind.error["message"]


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (REPORT[:300], "a.pdf", "'a.pdf' is damaged"),
        (b"just text", "a.pdf", "said to be a PDF"),
        (make_locked(), "a.pdf", "password"),
        (b"caf\xe9", "a.txt", "UTF-8"),
        (bytes(100), "a.txt", "UTF-8"),
        (b" \n", "a.txt", "holds no text"),
        (b"PK\x03\x04" + bytes(30), "a.docx", "application/zip"),
        (b"a" * 40_000, "a.txt", "more than 32768 characters"),
        (make_pdf([("a" * 90 + "\n") * 40] * 20), "", "more than 32768 characters"),
        (b"\0\0\0\x18ftypmp42", "a.mp4", "video"),
    ],
)
def test_what_cannot_be_read_is_told(server: LiveServer, data: bytes, name: str, says: str) -> None:
    reply = chat(server, {"type": "text", "text": "Look:"}, file(data, name), model="plain")
    assert reply.status == 400, reply.body
    assert says in reply.error["message"]
    assert str(reply.error["param"]).startswith("messages[0]")


def test_a_document_that_is_too_long_by_a_little_is_counted_by_the_engine(
    server: LiveServer,
) -> None:
    reply = chat(server, file(b"word " * 3000, "a.txt"), model="plain")
    assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")


def test_a_bomb_is_refused_and_others_are_answered(server: LiveServer) -> None:
    bomb = make_bomb(1500)
    assert len(bomb) < 200_000
    replies: list[Reply] = []
    reading = threading.Thread(target=lambda: replies.append(chat(server, file(bomb, "b.pdf"))))
    reading.start()
    assert said(chat(server, {"type": "text", "text": "still there?"})) == "still there?"
    reading.join()
    assert replies[0].status == 400
    assert replies[0].error["code"] == "document_unreadable"


def test_a_name_that_nobody_knows_is_not_found(server: LiveServer) -> None:
    part = {"type": "file", "file": {"file_id": "file-unknown"}}
    reply = chat(server, part)
    assert (reply.status, reply.error["param"]) == (404, "messages[0].content[0].file.file_id")
    item = {"role": "user", "content": [{"type": "input_file", "file_id": "../../x"}]}
    reply = server.post("/v1/responses", {"model": "echo", "input": [item]})
    assert (reply.status, reply.error["param"]) == (404, "input[0].content[0].file_id")
    block: Any = {"type": "document", "source": {"type": "file", "file_id": "file-unknown"}}
    messages: Any = [{"role": "user", "content": [block]}]
    with anthropics(server) as client, pytest.raises(anthropic.NotFoundError):
        client.messages.create(model="echo", max_tokens=1, messages=messages)


def test_files_in_one_request_have_a_limit(server: LiveServer) -> None:
    parts = [file(b"a", f"{n}.txt") for n in range(33)]
    reply = chat(server, *parts)
    assert (reply.status, reply.error["param"]) == (400, "messages[0].content[32].file.file_data")
    assert said(chat(server, *parts[:32])).count("<document>") == 32


@pytest.mark.parametrize(
    ("data", "media_type", "says"),
    [(b"<p>Ada", "text/html", ""), (b"\0", "video/mp4", "is video/mp4")],
)
def test_an_address_is_read_by_what_is_there(
    server: LiveServer, data: bytes, media_type: str, says: str
) -> None:
    with page(data, media_type) as address:
        item = {"role": "user", "content": [{"type": "input_file", "file_url": address}]}
        reply = server.post("/v1/responses", {"model": "echo", "input": [item]})
    if says:
        assert says in reply.error["message"]
        assert reply.error["param"] == "input[0].content[0].file_url"
    else:
        text = reply.json["output"][0]["content"][0]["text"]
        assert text == "<document> Ada </document>"
