"""Models of every backend that hears or speaks, and short ways to ask them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localai.domain.audio import (
    AudioData,
    AudioEvent,
    SpeechDetectionRequest,
    SpeechSpan,
    SynthesisRequest,
    TranscriptionRequest,
)
from localai.domain.audio_rules import AudioRules, Transcript, transcript
from localai.domain.errors import LocalAIError
from localai.domain.events import Failed
from localai.domain.tasks import audio_task
from localai.engines.manifest import Manifest
from tests.backends.lone import Lone
from tests.engines.installed import ENVIRONMENTS
from tests.piper_maker import make_voice
from tests.sounds import Bytes
from tests.whisper_maker import make_ggml

ROOT = Path(__file__).parents[2]

# What each backend is given to load.
SOUND_WEIGHTS = {
    "tones": "none",
    "whisper": "scripted.bin",
    "faster-whisper": "ct2",
    "silero-vad": "none",
    "espeak": "none",
    "piper": "voice.onnx",
}


def make_sound_models(folder: Path) -> None:
    """Write the models; that of an engine that is not installed only where it is not needed for it."""
    make_ggml(folder / "scripted.bin")
    make_voice(folder / "voice.onnx")
    installed = ENVIRONMENTS.find(Manifest().find("faster-whisper"))
    if installed is not None:
        make = [installed.python, "-m", "tests.whisper_maker", str(folder / "ct2")]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        subprocess.run(make, env={**os.environ, "PYTHONPATH": paths}, check=True)


async def events(lone: Lone, request: Any, source: bytes | None = None) -> list[AudioEvent]:
    """Every event of one call, checked."""
    rules = AudioRules(audio_task(request))
    file = None if source is None else Bytes(source)
    answer = lone.client.audio(request, file)
    found = [rules.feed(event) async for batch in answer for event in batch]
    rules.close()
    return found


async def speak(lone: Lone, text: str, **fields: Any) -> bytes:
    """The sound of a text."""
    found = await events(lone, SynthesisRequest(text=text, **fields))
    assert not isinstance(found[-1], Failed), found[-1].error
    return b"".join(event.data for event in found if isinstance(event, AudioData))


async def hear(lone: Lone, data: bytes, **fields: Any) -> Transcript:
    """What is said in a file."""
    found = await events(lone, TranscriptionRequest(**fields), data)
    assert not isinstance(found[-1], Failed), found[-1].error
    return transcript(found)


async def find(lone: Lone, data: bytes, **fields: Any) -> Sequence[SpeechSpan]:
    """Where somebody speaks in a file."""
    found = await events(lone, SpeechDetectionRequest(**fields), data)
    assert not isinstance(found[-1], Failed), found[-1].error
    return [event for event in found if isinstance(event, SpeechSpan)]


async def error_of(lone: Lone, request: Any, source: bytes | None = None) -> LocalAIError:
    """The error of a call that fails before it gives anything."""
    (only,) = await events(lone, request, source)
    assert isinstance(only, Failed)
    return only.error
