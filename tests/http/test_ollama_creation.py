"""Ollama's own client makes models of files it sends, and of other models."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import gguf
import ollama
import pytest

from tests.gguf_maker import make_scripted
from tests.live import SENTENCE, SPOKEN, LiveServer, wait_until

OTHER = ["Another ", "text."]
LIMIT_MB = 8


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("creation") / "models"
    folder.mkdir()
    (folder / "parrot.yaml").write_text("name: parrot\nbackend: echo\n")
    with LiveServer(folder, "--model-upload-limit", str(LIMIT_MB)) as running:
        yield running


def make(path: Path, pieces: list[str] = SPOKEN) -> Path:
    make_scripted(path, pieces)
    return path


def seen(live: LiveServer) -> set[str]:
    """Every file of the models folder, but for receipts and what was sent and not taken."""
    inside = (path for path in live.folder.rglob("*") if path.is_file())
    names = {path.relative_to(live.folder).as_posix() for path in inside}
    return {
        name
        for name in names
        if not name.startswith((".local-ai/models/", ".local-ai/blobs/sha256-"))
    }


def talk(client: ollama.Client, model: str) -> str | None:
    return client.chat(model, [{"role": "user", "content": "hello"}]).message.content


def test_the_official_client_makes_a_model_of_a_file(live: LiveServer, tmp_path: Path) -> None:
    file = make(tmp_path / "talker.gguf")
    digest = "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest()
    before = seen(live)
    assert live.request("HEAD", f"/api/blobs/{digest}").status == 404
    with live.ollama() as client:
        assert client.create_blob(file) == digest
        assert live.request("HEAD", f"/api/blobs/{digest}").status == 200
        settings = {"temperature": 0.0, "num_ctx": 512, "stop": ["three"], "num_thread": 1}
        told = client.create(
            "made:latest",
            files={"talker.gguf": digest},
            system="Be kind.",
            license=["MIT", "and more"],
            parameters=settings,
            messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ahoy"}],
            stream=True,
        )
        statuses = [line.status for line in told]
        assert statuses == ["parsing GGUF", f"using existing layer {digest}", "writing manifest", "success"]  # fmt: skip
        assert talk(client, "made") == SENTENCE.removesuffix("three.")
        shown = client.show("made")
        assert shown.license == "MIT\nand more"
        assert "temperature" in (shown.parameters or "")
        assert 'SYSTEM """Be kind."""' in (shown.modelfile or "")
        assert 'MESSAGE assistant """Ahoy"""' in (shown.modelfile or "")
        raw = live.post("/api/show", {"model": "made"}).json
        assert raw["messages"][0] == {"role": "user", "content": "Hi"}

        assert client.create_blob(file) == digest  # an installed file counts, and is not kept twice
        assert not (live.folder / ".local-ai" / "blobs" / digest.replace(":", "-")).exists()

        template = shown.template
        client.create("made", from_="made", template=template)  # its own, as `show` gave it
        assert "ollama" not in (live.folder / "made.yaml").read_text()
        client.create(
            "other", from_="made", template="[{{ .System }}]{{ .Prompt }}:{{ .Response }}"
        )
        assert client.show("other").template == "[{{ .System }}]{{ .Prompt }}:{{ .Response }}"
        assert talk(client, "other") is not None
        client.delete("other")
        made = client.create("child", from_="made", parameters={"stop": []}, system="Be brief.")
        assert made.status == "success"
        assert live.post("/api/show", {"model": "child"}).json["system"] == "Be brief."
        again = client.create("second", files={"other-name.gguf": digest})
        assert again.status == "success"
        client.delete("made")
        assert talk(client, "child") is not None
        assert talk(client, "second") == SENTENCE
        client.delete("child")
        client.delete("second")
    assert seen(live) == before


def test_a_model_that_was_made_is_replaced_with_its_files(live: LiveServer, tmp_path: Path) -> None:
    before = seen(live)
    with live.ollama() as client:
        for pieces in (["One."], OTHER):
            digest = client.create_blob(make(tmp_path / "same-name.gguf", pieces))
            client.create("turncoat", files={"same-name.gguf": digest})
            assert talk(client, "turncoat") == "".join(pieces)
            assert len([name for name in seen(live) if name.endswith(".gguf")]) == 1
        client.copy("turncoat", "twin")
        client.create("twin", from_="twin", system="Changed.")  # a copy may be made anew, too
        client.delete("turncoat")
        assert talk(client, "twin") == "".join(OTHER)
        client.delete("twin")
    assert seen(live) == before


def test_bytes_that_are_not_what_they_should_be_leave_nothing(live: LiveServer) -> None:
    before = seen(live)
    name = "/api/blobs/sha256:" + "0" * 64
    reply = live.post(name, b"something else")
    assert reply.status == 400
    assert "something" not in reply.json["error"]
    assert hashlib.sha256(b"something else").hexdigest() in reply.json["error"]
    assert live.post(name, b"x" * (LIMIT_MB * 1_000_000 + 1)).status == 413
    assert "--model-upload-limit" in live.post(name, b"x" * (LIMIT_MB * 1_000_000 + 1)).json["error"]  # fmt: skip
    for digest in ("sha256:abc", "md5:" + "0" * 64, "sha256:" + "z" * 64):
        assert live.post(f"/api/blobs/{digest}", b"x").status == 400
        assert live.request("HEAD", f"/api/blobs/{digest}").status == 400
    head = f"POST {name} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", live.port)) as sending:
        sending.sendall(head + b"x" * 2_000_000)
        wait_until(lambda: seen(live) != before, "the first bytes on the disk")
    wait_until(lambda: seen(live) == before, "the removal of what came of a caller who hung up")


def test_what_cannot_be_made_is_refused_in_words(live: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("This is a text, no model. " * 20)
    adapter = gguf.GGUFWriter(tmp_path / "adapter.gguf", "llama")
    adapter.add_type("adapter")
    adapter.write_header_to_file()
    adapter.write_kv_data_to_file()
    adapter.close()
    with live.ollama() as client:
        good = client.create_blob(make(tmp_path / "good.gguf", ["Good."]))
        text = client.create_blob(tmp_path / "text.gguf")
        lora = client.create_blob(tmp_path / "adapter.gguf")
        absent = "sha256:" + "1" * 64
        before = seen(live)
        for body, status, said in (
            ({}, 400, "from"),
            ({"from": "parrot", "files": {"a.gguf": good}}, 400, "Only one"),
            ({"files": {"a.gguf": absent}}, 404, absent),
            ({"files": {"a.gguf": "sha256:12"}}, 400, "64 hexadecimal"),
            ({"files": {"../a.gguf": good}}, 400, "leads out"),
            ({"files": {"/etc/a.gguf": good}}, 400, "absolute"),
            ({"files": {"a.gguf": text}}, 400, "a.gguf"),
            ({"files": {"a.gguf": lora}}, 400, "adapter"),
            ({"files": {"a.gguf": good, "b.gguf": good}}, 400, "2 models"),
            ({"files": {"a.gguf": good}, "adapters": {"b.gguf": good}}, 400, "no LoRA adapter"),
            ({"files": {"a.gguf": good}, "parameters": {"temprature": 1}}, 400, "temperature"),
            ({"files": {"a.gguf": good}, "parameters": {"temperature": "hot"}}, 400, "hot"),
            ({"files": {"a.gguf": good}, "template": "{{ .Prompt "}, 400, "template:1"),
            ({"files": {"a.gguf": good}, "template": "{% if x %}"}, 400, "Jinja"),
            ({"files": {"a.gguf": good}, "quantize": "q4_K_M"}, 400, "quantized"),
            ({"files": {"a.gguf": good}, "messages": [{"role": "x", "content": ""}]}, 400, "role"),
            ({"from": "file:///srv/a.gguf", "stream": False}, 403, "/srv/a.gguf"),
            ({"model": "parrot", "files": {"a.gguf": good}}, 400, "by hand"),
            ({"model": "../up", "files": {"a.gguf": good}}, 400, "up"),
        ):
            reply = live.post("/api/create", {"model": "new", **body})
            assert (reply.status, said in reply.body.decode()) == (status, True), (body, reply.body)
        with pytest.raises(ollama.ResponseError) as failed:
            client.push("parrot")
        assert failed.value.status_code == 400
        assert "export" in failed.value.error
        assert seen(live) == before
        talk(client, "parrot")


def test_files_that_no_model_took_are_removed_in_time(tmp_path: Path) -> None:
    from localai.downloads import upkeep
    from localai.downloads.blobs import Blobs

    folder = tmp_path / "models"
    blobs = Blobs(folder, 1000)
    digest = hashlib.sha256(b"abc").hexdigest()
    incoming = blobs.receive(3)
    incoming.write(b"abc")
    blobs.keep(incoming, digest)
    blobs.clean()
    assert blobs.find(digest) is not None
    blobs.clean(now_s=time.time() + 25 * 3600)
    assert blobs.find(digest) is None
    incoming = blobs.receive(3)
    incoming.write(b"abc")
    blobs.keep(incoming, digest)
    assert upkeep.prune(folder)[0] == 1
    assert blobs.find(digest) is None
    assert list((folder / ".local-ai" / "blobs").iterdir()) == []
