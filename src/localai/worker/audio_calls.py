"""Calls of the tasks with sound: a body with a request and perhaps a file in, events out."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from localai.domain.audio import (
    AudioData,
    AudioEnded,
    AudioEvent,
    AudioStarted,
    DetectionEnded,
    SpeechDetectionRequest,
    SynthesisRequest,
    TranscriptionRequest,
)
from localai.domain.errors import InvalidRequest, Unsupported
from localai.domain.events import Progress
from localai.domain.tasks import AUDIO, LISTENING, Task
from localai.wire.audio import MOST_REQUEST_BYTES, decode_audio_request, encode_audio_event
from localai.worker.audio import Sound
from localai.worker.interfaces import PROTOCOLS
from localai.worker.threads import in_own_thread

if TYPE_CHECKING:
    from localai.domain.audio import AudioChunk
    from localai.worker.audio.encoding import Encoder
    from localai.worker.interfaces import SpeechDetector, Synthesizer, Transcriber
_BEGINNING_S: Final = 0.25  # of an answer, which is sent first


class Body:
    """The body of a call as it comes: a first line with the request, then perhaps a sound file.

    The file has no name, and is gone when this is closed or the process ends.
    """

    def __init__(self) -> None:
        self._head: bytes | None = b""
        self._file: BinaryIO | None = None
        self.line = b""

    @property
    def file(self) -> BinaryIO:
        """The sound file; an empty one where none came."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this
        return self._file

    def write(self, piece: bytes) -> None:
        """The next piece. What comes after a line that is too long is thrown away."""
        if self._head is None:
            self.file.write(piece)
            return
        self._head += piece
        line, newline, rest = self._head.partition(b"\n")
        if newline:
            self.line, self._head = line, None
            if rest:
                self.file.write(rest)
        elif len(self._head) > MOST_REQUEST_BYTES:
            self.line, self._head = self._head, None

    def request(self, task: Task) -> Any:
        """The request in the first line, when all has come. Raises InvalidRequest."""
        if self._file is not None:
            self._file.seek(0)
        try:
            return decode_audio_request(task, self.line if self._head is None else self._head)
        except msgspec.DecodeError as error:
            message = f"The first line is no request to {task.value}: {error}"
            raise InvalidRequest(message) from error

    def close(self) -> None:
        """Forget the file."""
        if self._file is not None:
            self._file.close()


async def answer(backend: Any, name: str, body: Body) -> AsyncGenerator[bytes, None]:
    """The events of one call as lines. Raises LocalAIError and whatever the engine raises."""
    task = next((task for task in AUDIO if task.value == name), None)
    if task is None or not isinstance(backend, PROTOCOLS[task]):
        message = f"This model does not {name.replace('_', ' ')}."
        raise Unsupported(message, feature=name)
    async with aclosing(_batches(backend, task, body)) as batches:
        async for batch in batches:
            yield b"".join(map(encode_audio_event, batch))


async def _batches(
    backend: Any, task: Task, body: Body
) -> AsyncGenerator[tuple[AudioEvent, ...], None]:
    """The events of one call; those that belong together go out together."""
    request = body.request(task)
    if task not in LISTENING:
        async with aclosing(_speak(backend, request)) as spoken:
            async for batch in spoken:
                yield batch
        return
    sound = await Sound.open(body.file)
    hear = _transcribe if task is Task.TRANSCRIBE else _detect
    try:
        async with aclosing(hear(backend, request, sound)) as heard:
            async for event in heard:
                yield (event,)
    finally:
        await sound.close()


async def _transcribe(
    backend: Transcriber, request: TranscriptionRequest, sound: Sound
) -> AsyncGenerator[AudioEvent, None]:
    async with aclosing(backend.transcribe(request, sound)) as heard:
        async for event in heard:
            yield event


async def _detect(
    backend: SpeechDetector, request: SpeechDetectionRequest, sound: Sound
) -> AsyncGenerator[AudioEvent, None]:
    async with aclosing(backend.detect_speech(request, sound)) as heard:
        async for event in heard:
            yield event
    yield DetectionEnded(duration_s=sound.heard_s)


async def _speak(
    backend: Synthesizer, request: SynthesisRequest
) -> AsyncGenerator[tuple[AudioEvent, ...], None]:
    """Encode what the engine says, while it says it."""
    encoder: Encoder | None = None
    async with aclosing(_soon(backend.synthesize(request))) as chunks:
        try:
            async for chunk in chunks:
                if encoder is None:
                    begun, data = await in_own_thread(_begun, request, chunk)
                    encoder = begun
                    started = AudioStarted(media_type=begun.media_type, rate_hz=begun.rate_hz)
                    yield (started, AudioData(data=data)) if data else (started, _spoken(begun))
                    continue
                data = await in_own_thread(encoder.feed, chunk.pcm)
                yield (AudioData(data=data) if data else _spoken(encoder),)
            if encoder is None:
                message = "There is nothing in the text that can be spoken."
                raise InvalidRequest(message, param="input", hint="Send words.")
            for data in await in_own_thread(encoder.finish):
                yield (AudioData(data=data),)
            yield (AudioEnded(duration_s=encoder.duration_s),)
        finally:
            if encoder is not None:
                encoder.close()


async def _soon(chunks: AsyncGenerator[AudioChunk, None]) -> AsyncGenerator[AudioChunk, None]:
    """The same sound, its beginning apart: it is on its way while the rest is encoded."""
    async with aclosing(chunks):
        async for chunk in chunks:
            cut = 2 * int(_BEGINNING_S * chunk.rate_hz)
            yield replace(chunk, pcm=chunk.pcm[:cut])
            if len(chunk.pcm) > cut:
                yield replace(chunk, pcm=chunk.pcm[cut:])
            break
        async for chunk in chunks:
            yield chunk


def _begun(request: SynthesisRequest, chunk: AudioChunk) -> tuple[Encoder, bytes]:
    """An encoder and what the first piece makes: one thread, since a listener waits for this one."""
    from localai.worker.audio.encoding import Encoder

    encoder = Encoder(request, chunk.rate_hz)
    try:
        return encoder, encoder.feed(chunk.pcm)
    except BaseException:
        encoder.close()
        raise


def _spoken(encoder: Encoder) -> Progress:
    """A sign of life while a file is gathered whose length is not known yet."""
    return Progress("speaking", int(encoder.duration_s), 0)
