"""Sounds reach a model that can hear; those that lie about themselves do not end its worker."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gguf_maker import Shape, make_tiny_llama
from tests.live import LiveServer, Reply
from tests.mmproj_maker import flac, make_audio_mmproj, mp3, wav

WIDTH = 128
TOKENS = 15  # of half a minute of sound


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("sounds") / "models"
    folder.mkdir()
    shape = Shape(layers=1, embedding=WIDTH, heads=2, kv_heads=2, feed_forward=128)
    make_tiny_llama(folder / "text.gguf", shape=shape)
    make_audio_mmproj(folder / "mmproj-ears.gguf", text_size=WIDTH)
    (folder / "hearer.yaml").write_text(
        "name: hearer\nmmproj: mmproj-ears.gguf\nparameters: {model: text.gguf}\n"
        "threads: 1\noptions: [parallel:1]\n"
    )
    (folder / "deaf.yaml").write_text("name: deaf\nparameters: {model: text.gguf}\n")
    with LiveServer(folder) as running:
        yield running


def heard(server: LiveServer, *sounds: bytes, model: str = "hearer", form: str = "wav") -> Reply:
    data = [base64.b64encode(sound).decode() for sound in sounds]
    parts: list[dict[str, Any]] = [
        {"type": "input_audio", "input_audio": {"data": text, "format": form}} for text in data
    ]
    messages = [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, *parts]}]
    body = {"model": model, "max_tokens": 2, "messages": messages}
    return server.post("/v1/chat/completions", body)


def prompt_tokens(reply: Reply) -> int:
    assert reply.status == 200, reply.body
    tokens: int = reply.json["usage"]["prompt_tokens"]
    return tokens


def test_a_sound_becomes_part_of_the_prompt(server: LiveServer) -> None:
    silent = prompt_tokens(server.say("hearer", "what is it?", max_tokens=2))
    assert prompt_tokens(heard(server, wav())) == silent + TOKENS
    assert prompt_tokens(heard(server, wav(40.0))) == silent + 2 * TOKENS
    assert prompt_tokens(heard(server, wav(), wav(pitch_hz=880.0))) == silent + 2 * TOKENS
    assert prompt_tokens(heard(server, mp3(), form="mp3")) == silent + TOKENS


@pytest.mark.covers("Sounds, for models that hear", "chat")
def test_the_official_client_sends_sounds(server: LiveServer) -> None:
    data = base64.b64encode(wav()).decode()
    with server.openai() as client:
        answer = client.chat.completions.create(
            model="hearer",
            max_tokens=2,
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
                    ],
                }
            ],
        )
        response = client.responses.create(
            model="hearer",
            max_output_tokens=2,
            input=[
                {
                    "role": "user",
                    "content": [
                        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
                    ],
                }
            ],  # type: ignore[list-item]  # the API takes it, the types of this version do not
        )
    assert answer.usage is not None
    assert response.usage is not None
    assert answer.usage.prompt_tokens == response.usage.input_tokens > TOKENS


def test_a_model_that_cannot_hear_says_so(server: LiveServer) -> None:
    reply = heard(server, wav(), model="deaf")
    assert reply.status == 400
    assert "audio" in reply.error["message"]
    assert "mmproj" in reply.error["message"]


def lying(size: int) -> bytes:
    """A tone whose header claims another number of bytes."""
    honest = wav()
    return honest[:40] + struct.pack("<I", size) + honest[44:]


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFF0, 32001])
def test_a_header_that_claims_too_much_is_not_believed(server: LiveServer, size: int) -> None:
    # What a recorder leaves that writes into a pipe; a decoder may reserve gigabytes for it.
    assert prompt_tokens(heard(server, lying(size))) == prompt_tokens(heard(server, wav()))


@pytest.mark.parametrize("mark", [b"Xing", b"Info"])
def test_an_mp3_that_claims_too_much_is_not_believed(server: LiveServer, mark: bytes) -> None:
    claim = mark + struct.pack(">II", 1, 0xFFFFFFFF)  # flags, and a number of frames
    silence = mp3()
    claiming = silence[:36] + claim + silence[36 + len(claim) :]
    assert prompt_tokens(heard(server, claiming)) == prompt_tokens(heard(server, silence))


@pytest.mark.parametrize(
    ("sound", "says"),
    [
        (wav(0.0), "0 s long"),
        (wav(0.0001), "between 0.1 and 3600 s"),  # llama.cpp aborts on a single sample
        (wav()[:40], "before its first sample"),
        (wav()[:12] + b"data" + wav()[40:], "does not say its format"),
        (wav()[:20] + b"\x02" + wav()[21:], "compressed"),
        (wav()[:24] + struct.pack("<I", 1) + wav()[28:], "16000 s long"),
        (flac(1, 1 << 35), "between 0.1"),
        (flac(16000, 0), "how long it is"),
        (flac(16000, 16000)[:20], "ends in its header"),
        (flac(16000, 16000)[:26], "damaged"),
        (b"OggS" + bytes(60), "WAV, MP3 or FLAC"),
        (b"ID3\x03" + bytes(60), "damaged"),
    ],
)
def test_a_sound_that_cannot_be_read_is_refused(
    server: LiveServer, sound: bytes, says: str
) -> None:
    reply = heard(server, sound)
    assert reply.status == 400, reply.body
    assert says in reply.error["message"]
    assert len(server.workers("hearer")) == 1, "no worker died of it"
