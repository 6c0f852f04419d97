"""The measurements of hearing and speaking: ours over HTTP against the library called directly, in turns."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from benchmarks.bare import Library, engine_python, library, surroundings, where_installed
from benchmarks.connection import Client, request
from benchmarks.measures import Effort, Row
from benchmarks.processes import Process, cpu_s, models_folder, server
from tests.command_model import ENGLISH, make_commands_ggml
from tests.engines.installed import FOLDER
from tests.http.sounding import form
from tests.piper_maker import make_voice
from tests.sounds import RATE_HZ, heard, joined, silence, wav

MINUTES = 4
_APART_S = 10.0  # from one phrase to the next: three in a window of Whisper's
_SETTLE_S = 0.05  # until a connection is accepted, or a call that was hung up has ended
_BACKENDS = ("--backends-path", str(FOLDER))
_WHISPER = {
    "whisper": "backend: whisper\nparameters: {model: commands.bin}\nthreads: 1\n"
    "flash_attention: 'off'\noptions: ['temperature_inc:0']\n",
    "faster-whisper": "backend: faster-whisper\nparameters: {model: commands}\nthreads: 1\n"
    "options: ['beam_size:1']\n",
}
SENTENCES = (
    "The river was quiet that morning, and the old boat lay at its place under the trees.",
    "Nobody had used it since the winter, but its paint was still as blue as the sky.",
    "A boy came down the path with a basket of bread and a letter in his hand.",
    "He put both into the boat, sat down, and looked at the water for a long time.",
    "Then the bell of the village began to ring, first slowly, then faster and faster.",
    "People ran out of their houses and asked each other what had happened.",
    "The baker said that the bridge was open again, after more than two years.",
    "Some of them laughed, some of them cried, and most of them walked to the river.",
    "The boy took the letter, tore it into small pieces, and let the wind have them.",
    "When they found him, he was asleep in the boat, and the basket was empty.",
)


@dataclass
class _Turns:
    """What each side took, turn by turn: seconds of the clock, and of the processors."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    our_cpu: list[float] = field(default_factory=list)
    bare_cpu: list[float] = field(default_factory=list)

    async def take(self, rounds: int, ours: _Side, bare: _Side) -> None:
        """Both sides in turns, after one to warm up; the side that begins alternates."""
        sides = [(ours, self.ours, self.our_cpu), (bare, self.bare, self.bare_cpu)]
        for turn in range(-1, rounds):
            for side, seconds, cpu in sides if turn % 2 else reversed(sides):
                before = sum(map(cpu_s, side.pids))
                took = await side.work()
                if turn >= 0:
                    seconds.append(took)
                    cpu.append(sum(map(cpu_s, side.pids)) - before)

    @property
    def ratio(self) -> float:
        """The median of the ratios of neighbouring runs, so that a busy minute hits both."""
        return statistics.median(a / b for a, b in zip(self.ours, self.bare, strict=True))

    @property
    def noise(self) -> float:
        """How far the same work was apart in two halves of the same minutes."""
        one, other = statistics.median(self.bare[::2]), statistics.median(self.bare[1::2])
        return abs(one / other - 1)


@dataclass(frozen=True)
class _Side:
    """Work that gives its seconds, and the processes that do it."""

    work: Callable[[], Awaitable[float]]
    pids: Sequence[int]


async def transcription(effort: Effort) -> list[Row]:
    """A few minutes of speech, uploaded as a file, against the library that opens the same file."""
    with models_folder("espeak", "backend: espeak\n") as folder:
        for name, yaml in _WHISPER.items():
            (folder / f"{name}.yaml").write_text(f"name: {name}\n{yaml}", encoding="utf-8")
        make_commands_ggml(folder / "commands.bin")
        make = [engine_python("faster-whisper"), "-m", "tests.command_model", folder / "commands"]
        subprocess.run(make, check=True, capture_output=True, env=surroundings())  # noqa: ASYNC221 - nothing else runs
        sound = folder / "speech.wav"
        async with server(folder, "espeak", arguments=_BACKENDS) as local:
            client = await Client.open(local.port)
            sound.write_bytes(wav(await _speech(client)))
            client.close()
        return [await _transcription(effort, folder, name, sound) for name in _WHISPER]


async def _speech(client: Client) -> np.ndarray:
    """Phrases of two words, one every ten seconds."""
    pieces = []
    for pair in islice(
        cycle(zip(ENGLISH[::2], ENGLISH[1::2], strict=True)), round(MINUTES * 60 / _APART_S)
    ):
        body = {"model": "espeak", "input": " ".join(pair), "response_format": "wav"}
        samples, rate_hz = heard(await client.post("/v1/audio/speech", body))
        places = np.arange(0, len(samples) - 1, rate_hz / RATE_HZ)
        said = np.interp(places, np.arange(len(samples)), samples).astype(np.float32)
        pieces += [said, silence(_APART_S - len(said) / RATE_HZ)]
    return joined(*pieces)


async def _transcription(effort: Effort, folder: Path, name: str, sound: Path) -> Row:
    model = folder / ("commands.bin" if name == "whisper" else "commands")
    fields = {"model": name, "language": "en", "temperature": "0"}
    kind, body = form(fields, sound.read_bytes(), name=sound.name)  # noqa: ASYNC240 - nothing else runs
    upload = request("/v1/audio/transcriptions", body, kind)
    turns = _Turns()
    async with (
        library(name, name, model) as direct,
        server(folder, name, arguments=_BACKENDS) as local,
    ):
        client = await Client.open(local.port)

        async def ours() -> float:
            began = time.perf_counter()
            await client.ask(upload)
            return time.perf_counter() - began

        await turns.take(
            effort.count(9, least=3),
            _Side(ours, (local.pid, local.worker_pid)),
            _Side(lambda: direct.seconds(str(sound)), (direct.pid,)),
        )
        client.close()
    middle = statistics.median
    note = (
        f"{middle(turns.ours):.2f} s against {middle(turns.bare):.2f} s for {MINUTES} minutes; "
        f"CPU {middle(turns.our_cpu):.2f} s against {middle(turns.bare_cpu):.2f} s"
    )
    return Row(measure=f"transcription by {name}, of the library's time", value=turns.ratio, unit="", target=1.05, note=note, noise=turns.noise)  # fmt: skip


async def first_sound(effort: Effort) -> list[Row]:
    """Ten sentences, streamed, until the first sound; against the library for the first sentence."""
    voices = {"piper": "parameters: {model: voice.onnx}\n", "espeak": ""}
    rows = []
    for name, more in voices.items():
        with models_folder(name, f"backend: {name}\n{more}") as folder:
            make_voice(folder / "voice.onnx", speakers=1)
            async with (
                library(name, name, folder / "voice.onnx") as direct,
                server(folder, name, arguments=_BACKENDS) as local,
            ):
                rows.append(await _first_sound(effort, name, direct, local))
    return rows


async def _first_sound(effort: Effort, name: str, direct: Library, local: Process) -> Row:
    body = {"model": name, "input": " ".join(SENTENCES), "response_format": "pcm"}
    turns = _Turns()

    async def ours() -> float:
        client = await Client.open(local.port)
        await asyncio.sleep(_SETTLE_S)
        try:
            return await client.first_byte_s("/v1/audio/speech", body)
        finally:
            client.close()
            await asyncio.sleep(
                0.05
            )  # the rest is not spoken; it ends before the other side begins

    await turns.take(
        effort.count(40, least=9),
        _Side(ours, (local.pid, local.worker_pid)),
        _Side(lambda: direct.seconds(SENTENCES[0]), (direct.pid,)),
    )
    middle = statistics.median
    note = f"{middle(turns.ours) * 1e3:.1f} ms against {middle(turns.bare) * 1e3:.1f} ms"
    return Row(measure=f"first sound of ten sentences by {name}, of the library's time for the first", value=turns.ratio, unit="", target=1.3, note=note, noise=turns.noise)  # fmt: skip


ALL: dict[str, Callable[[Effort], Awaitable[list[Row]]]] = {
    "transcription": where_installed(transcription),
    "first-sound": where_installed(first_sound),
}
