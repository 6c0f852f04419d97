"""Sound over HTTP: what is spoken is heard, through real workers; everything else is a clear error."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Iterator
from typing import Any

import elevenlabs
import elevenlabs.core
import httpx
import openai
import pytest

from localai.engines.manifest import Manifest
from tests.engines.installed import skip_without
from tests.http.sounding import BACKENDS, events_of, fill, open_upload, speak, upload
from tests.live import PATIENCE_S, LiveServer, read_to_end, read_until, wait_until
from tests.sounds import heard, silence, wav

TEXT = "Hello there, world. Grüße aus 東京!"


@pytest.fixture(scope="module")
def sounding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = fill(tmp_path_factory.mktemp("sounding") / "models")
    with LiveServer(folder, *BACKENDS) as running:
        yield running


@pytest.fixture(scope="module")
def speech(sounding: LiveServer) -> bytes:
    """TEXT as MP3."""
    return speak(sounding, TEXT, response_format="mp3")


# ---- the official clients


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # translations, by its makers
def test_openai_transcribes(sounding: LiveServer, speech: bytes) -> None:
    with sounding.openai() as client:
        create = client.audio.transcriptions.create
        file = ("speech.mp3", speech)
        assert create(model="tones", file=file).text == TEXT
        assert create(model="tones", file=file, response_format="json").text == TEXT
        assert create(model="tones", file=file, response_format="text") == TEXT + "\n"
        assert "-->" in create(model="tones", file=file, response_format="srt")
        assert create(model="tones", file=file, response_format="vtt").startswith("WEBVTT")
        verbose = create(
            model="tones",
            file=file,
            response_format="verbose_json",
            language="de",
            timestamp_granularities=["word", "segment"],
        )
        assert (verbose.text, verbose.language) == (TEXT, "german")
        assert [word.word for word in verbose.words or []] == TEXT.split()
        assert [segment.id for segment in verbose.segments or []] == [0, 1]
        assert verbose.duration == pytest.approx(4.5, abs=0.5)
        translated = client.audio.translations.create(model="tones", file=file)
        assert translated.text == TEXT.upper()


def test_openai_streams_a_transcript(sounding: LiveServer, speech: bytes) -> None:
    with sounding.openai() as client:
        create = client.audio.transcriptions.create
        events = list(create(model="tones", file=("a.mp3", speech), stream=True))
    *deltas, done = events
    assert "".join(event.delta for event in deltas if event.type == "transcript.text.delta") == TEXT
    assert done.type == "transcript.text.done"
    assert done.text == TEXT


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_openai_speaks(sounding: LiveServer, form: Any) -> None:
    kinds = {"mp3": "audio/mpeg", "opus": "audio/ogg"}
    with sounding.openai() as client:
        answer = client.audio.speech.create(
            model="tones", voice="treble", input=TEXT, response_format=form
        )
        assert answer.response.headers["content-type"] == kinds.get(form, f"audio/{form}")
        data = answer.read()
        if form == "pcm":
            data = wav_of_pcm(data, 24_000)
        again = client.audio.transcriptions.create(model="tones", file=("a", data))
        assert again.text == TEXT


def wav_of_pcm(data: bytes, rate_hz: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(data)
    return file.getvalue()


def test_openai_gets_the_first_sound_before_the_last_is_made(sounding: LiveServer) -> None:
    with (
        sounding.openai() as client,
        client.audio.speech.with_streaming_response.create(
            model="tones-slow", voice="bass", input="one. " * 60, response_format="mp3"
        ) as answer,
    ):
        pieces = answer.iter_bytes(100)
        assert next(pieces)
        assert sounding.running("tones-slow") == 1  # of the 18 s that it takes
    wait_until(lambda: sounding.running("tones-slow") == 0, "the end of the call that was left")


def test_openai_reads_errors(sounding: LiveServer, speech: bytes) -> None:
    with sounding.openai() as client:
        with pytest.raises(openai.BadRequestError, match="has no voice 'alto'") as caught:
            client.audio.speech.create(model="tones", voice="alto", input="Hi")
        assert caught.value.param == "voice"
        with pytest.raises(openai.BadRequestError, match="no audio that FFmpeg can read"):
            client.audio.transcriptions.create(model="tones", file=("a.mp3", b"a letter " * 99))
        with pytest.raises(openai.NotFoundError):
            client.audio.transcriptions.create(model="nothing", file=("a.mp3", speech))
        with pytest.raises(openai.BadRequestError, match="does not transcribe"):
            client.audio.transcriptions.create(model="echo", file=("a.mp3", speech))


@pytest.fixture
def labs(sounding: LiveServer) -> Iterator[elevenlabs.ElevenLabs]:
    """ElevenLabs' own client."""
    with httpx.Client(timeout=PATIENCE_S) as transport:
        yield elevenlabs.ElevenLabs(base_url=sounding.url, api_key="none", httpx_client=transport)


def test_elevenlabs_speaks(sounding: LiveServer, labs: elevenlabs.ElevenLabs) -> None:
    convert = labs.text_to_speech.convert
    data = b"".join(convert("treble", text=TEXT, model_id="tones"))
    assert upload(sounding, data).json["text"] == TEXT
    data = b"".join(
        labs.text_to_speech.stream("bass", text=TEXT, model_id="tones", output_format="pcm_16000")
    )
    assert upload(sounding, wav_of_pcm(data, 16_000)).json["text"] == TEXT
    with pytest.raises(elevenlabs.core.ApiError) as caught:
        list(convert("alto", text=TEXT, model_id="tones"))
    assert caught.value.status_code == 404
    assert caught.value.body["detail"]["status"] == "voice_not_found"


def test_elevenlabs_lists_voices(labs: elevenlabs.ElevenLabs) -> None:
    options: Any = {"additional_query_parameters": {"model": "tones"}}
    found = labs.voices.get_all(request_options=options)
    assert [(voice.voice_id, voice.name) for voice in found.voices] == [
        ("bass", "Bass"),
        ("treble", "Treble"),
    ]
    assert labs.voices.get("bass", request_options=options).name == "Bass"
    assert len(labs.voices.search(request_options=options).voices) == 2


# ---- routes and fields


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/audio/transcriptions"])
def test_paths_with_and_without_prefix(sounding: LiveServer, speech: bytes, path: str) -> None:
    assert upload(sounding, speech, path).json["text"] == TEXT


def test_speech_has_several_paths(sounding: LiveServer) -> None:
    body = {"model": "tones", "input": "Hi"}
    kinds = {
        path: sounding.post(path, body).headers["content-type"]
        for path in ("/v1/audio/speech", "/audio/speech", "/tts")
    }
    assert list(kinds.values()) == ["audio/mpeg", "audio/mpeg", "audio/wav"]
    body = {"text": "Hi", "model_id": "tones"}
    for path in (
        "/v1/text-to-speech/bass",
        "/text-to-speech/bass",
        "/v1/text-to-speech/bass/stream",
    ):
        assert sounding.post(path, body).headers["content-type"] == "audio/mpeg"


def test_speech_as_events(sounding: LiveServer) -> None:
    body = {"model": "tones", "input": TEXT, "stream_format": "sse", "response_format": "flac"}
    reply = sounding.post("/v1/audio/speech", body)
    assert reply.headers["content-type"].startswith("text/event-stream")
    *deltas, done = events_of(reply.body)
    data = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert upload(sounding, data).json["text"] == TEXT
    assert done["type"] == "speech.audio.done"


def test_a_wav_file_tells_its_length_and_a_stream_does_not(sounding: LiveServer) -> None:
    with wave.open(io.BytesIO(speak(sounding, "Hello."))) as file:
        assert 0 < file.getnframes() < 40_000
    streamed = speak(sounding, "Hello.", stream=True)
    assert streamed[40:44] == b"\xff\xff\xff\xff"
    assert upload(sounding, streamed).json["text"] == "Hello."


def test_speech_is_found(sounding: LiveServer) -> None:
    sound = heard(speak(sounding, "one two. three."))[0]
    spoken = wav(sound)
    found = upload(sounding, spoken, "/v1/vad").json["segments"]
    assert [round(span["start"], 1) for span in found] == [0.0, 1.2]
    body = {"model": "tones", "audio": [round(float(sample), 5) for sample in sound]}
    assert sounding.post("/vad", body).json["segments"] == found


def test_voices_are_listed(sounding: LiveServer) -> None:
    reply = sounding.get("/v1/audio/voices?model=tones")
    assert [voice["id"] for voice in reply.json["voices"]] == ["bass", "treble"]
    assert sounding.get("/v1/audio/voices?model=nothing").status == 404
    assert sounding.get("/v1/voices/alto?model=tones").json["detail"]["status"] == "voice_not_found"


def test_a_model_is_found_by_what_it_can_do(sounding: LiveServer, speech: bytes) -> None:
    """Without a name: a chat goes to the model that chats, sound to the first that knows sound."""
    kind = {"Content-Type": "application/json"}
    said = sounding.post(
        "/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}, kind
    )
    assert said.json["choices"][0]["message"]["content"] == "a"
    body = {"text": "Hi", "model_id": "eleven_multilingual_v2"}
    assert sounding.post("/v1/text-to-speech/bass", body).status == 200
    assert upload(sounding, speech, model="").json["text"] == TEXT
    assert sounding.post("/v1/audio/speech", {"input": "Hi", "voice": "tones"}).status == 200


def test_an_engine_without_files_is_a_model_by_its_name(sounding: LiveServer) -> None:
    skip_without(Manifest().find("espeak"))
    skip_without(Manifest().find("silero-vad"))
    spoken = speak(sounding, "Good morning, everybody.", model="espeak", voice="nova")
    (span,) = upload(sounding, spoken, "/v1/vad", model="silero-vad").json["segments"]
    assert span["start"] < 0.3
    assert span["end"] > 0.8


def test_an_engine_may_be_named_instead_of_a_model(sounding: LiveServer) -> None:
    """As LocalAI's /tts takes it."""
    assert sounding.post("/tts", {"input": "Hi", "backend": "tones"}).status == 200
    reply = sounding.post("/tts", {"input": "Hi", "backend": "piper-tts"})
    assert (reply.status, reply.error["param"]) == (400, "backend")
    assert "no installed model runs on that engine" in reply.error["message"]
    reply = sounding.post("/tts", {"input": "Hi", "backend": "pipper"})
    assert (reply.status, reply.error["param"]) == (400, "backend")
    reply = sounding.post("/tts", {"input": "Hi", "backend": "espeak", "voice": "martian"})
    assert "martian" in reply.error["message"] or reply.error["code"] == "backend_not_installed"


def test_what_a_model_cannot_do_is_told_before_it_is_loaded(sounding: LiveServer) -> None:
    """With the models that can. No weights of this one are there to be loaded."""
    (sounding.folder / "mute.yaml").write_text("name: mute\nbackend: whisper\n")
    path, body = "/v1/audio/speech", {"model": "mute", "input": "Hi"}
    wait_until(lambda: sounding.post(path, body).status != 404, "the new model")
    reply = sounding.post(path, body)
    assert (reply.status, reply.error["code"]) == (400, "unsupported")
    assert "'mute' runs on whisper, which does not synthesize" in reply.error["message"]
    assert "tones" in reply.error["message"]
    reply = sounding.say("mute", "Hi")
    assert (reply.status, reply.error["code"]) == (400, "unsupported")
    assert "Models that do: echo." in reply.error["message"]
    (sounding.folder / "mute.yaml").unlink()


def test_an_engine_that_is_not_installed_is_named(server: LiveServer) -> None:
    reply = server.post("/v1/audio/speech", {"input": "Hi"})
    assert (reply.status, reply.error["code"]) == (501, "backend_not_installed")
    assert "local-ai backends install espeak" in reply.error["message"]
    reply = server.post("/v1/vad", {"audio": [0.0]})
    assert "local-ai backends install silero-vad" in reply.error["message"]
    reply = upload(server, wav(silence(1)), model="")
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    assert server.get("/v1/voices").json["voices"] == []


BAD_FILES = {
    "empty": (b"", "The file is empty."),
    "text called mp3": (b"This is a letter.\n" * 100, "no audio that FFmpeg can read"),
    "cut in its head": (wav(silence(1))[:20], "no audio that FFmpeg can read"),
    "no sample": (wav(silence(0)), "can be decoded"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused_before_the_model_runs(sounding: LiveServer, name: str) -> None:
    data, why = BAD_FILES[name]
    for fields in ({}, {"stream": "true"}):
        reply = upload(sounding, data, **fields)
        assert (reply.status, reply.error["param"]) == (400, "file")
        assert why in reply.error["message"]
    reply = upload(sounding, data, "/v1/vad")
    assert reply.status == 400


def test_bad_fields_are_refused_before_anything_is_loaded(sounding: LiveServer) -> None:
    for fields, param in (
        ({"response_format": "xml"}, "response_format"),
        ({"language": "klingon"}, "language"),
        ({"temperature": "7"}, "temperature"),
        ({"diarize": "true"}, "diarize"),
    ):
        reply = upload(sounding, wav(silence(1)), model="unknown", **fields)
        assert (reply.status, reply.error["param"]) == (400, param)
    for body, param in (
        ({"input": ""}, "input"),
        ({"input": "a" * 100_000}, "input"),
        ({"input": "...", "model": "tones"}, "input"),
        ({"input": "a", "response_format": "mp4"}, "response_format"),
        (
            {"input": "a", "model": "tones", "sample_rate": 44_100, "response_format": "opus"},
            "sample_rate",
        ),
    ):
        reply = sounding.post("/v1/audio/speech", body)
        assert (reply.status, reply.error["param"]) == (400, param), body


# ---- failures


def test_a_worker_that_dies_while_it_hears(sounding: LiveServer) -> None:
    minutes = speak(sounding, "word. " * 120)  # three windows
    reply = upload(sounding, minutes, model="tones-breaking-hearing")
    assert (reply.status, reply.error["code"]) == (500, "crashed")


BREAKING = {"input": "one. two. three. four.", "response_format": "pcm"}


def test_sound_that_breaks_off_is_not_taken_for_whole(sounding: LiveServer) -> None:
    body = BREAKING | {"model": "tones-breaking-sound"}
    with sounding.open_stream("/v1/audio/speech", body) as connection:
        data = read_to_end(connection)
    assert data.startswith(b"HTTP/1.1 200")
    assert not data.endswith(b"0\r\n\r\n")  # no last chunk: a client sees that it was cut off
    wait_until(lambda: "/v1/audio/speech is cut off" in sounding.log, "a line in the log")


def test_events_that_break_off_say_why(sounding: LiveServer) -> None:
    body = BREAKING | {"model": "tones-breaking-events", "stream_format": "sse"}
    reply = sounding.post("/v1/audio/speech", body)
    assert reply.status == 200
    assert events_of(reply.body)[-1]["error"]["code"] == "crashed"


def test_leaving_stops_the_work(sounding: LiveServer) -> None:
    minutes = speak(sounding, "word. " * 400)
    with open_upload(sounding, minutes, model="tones-slow", stream="true") as connection:
        read_until(connection, b"transcript.text.delta")
        assert sounding.running("tones-slow") == 1
    wait_until(lambda: sounding.running("tones-slow") == 0, "the end of the call")
    body = {"model": "tones-slow", "input": "one. " * 200, "response_format": "mp3"}
    with sounding.open_stream("/v1/audio/speech", body) as connection:
        read_until(connection, b"audio/mpeg")
    wait_until(lambda: sounding.running("tones-slow") == 0, "the end of the call")


def test_seconds_are_counted(sounding: LiveServer) -> None:
    def seconds() -> float:
        return sounding.metric("localai_audio_seconds_total", model="tones", task="transcribe")

    before = seconds()
    upload(sounding, wav(silence(2.5)))
    assert seconds() == pytest.approx(before + 2.5)


def test_it_is_described(sounding: LiveServer) -> None:
    paths = sounding.get("/openapi.json").json["paths"]
    content = paths["/v1/audio/transcriptions"]["post"]["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]
    assert list(paths["/v1/vad"]["post"]["requestBody"]["content"]) == [
        "application/json",
        "multipart/form-data",
    ]
    assert json.dumps(paths).count("binary") == 3
