"""An engine's library, called directly in one process: `PYTHON -m benchmarks.library KIND MODEL`.

It is run by the engine's own Python. What to do comes as a line of JSON on stdin: `[texts, batch size]`, or
`[path]` of a sound, or `[text]` to speak. The seconds that the library took for it go to stdout, a line each.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Work = Callable[..., Any]


def vectors(model: str) -> Work:
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(model, device="cpu", local_files_only=True)
    return lambda texts, size: loaded.encode(texts, batch_size=size, show_progress_bar=False)


def pairs(model: str) -> Work:
    from sentence_transformers import CrossEncoder

    loaded = CrossEncoder(model, device="cpu", local_files_only=True)
    return lambda texts, size: loaded.rank(
        texts[0], texts[1:], batch_size=size, show_progress_bar=False
    )


def rerankers(model: str) -> Work:
    from rerankers import Reranker

    loaded = Reranker(model, model_type="cross-encoder", device="cpu", dtype="float32", verbose=0)
    return lambda texts, size: loaded.rank(
        texts[0], texts[1:], doc_ids=list(range(len(texts) - 1)), batch_size=size
    )


def faster_whisper(model: str) -> Work:
    from faster_whisper import WhisperModel

    loaded = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=1)

    def transcribe(path: str) -> None:
        segments, _ = loaded.transcribe(
            path, language="en", beam_size=1, temperature=0.0, condition_on_previous_text=False
        )
        list(segments)  # it is computed while they are taken

    return transcribe


def whisper(model: str) -> Work:
    from pywhispercpp.model import Model

    loaded = Model(model, n_threads=1, context_params={"flash_attn": False}, print_progress=False)
    return lambda path: loaded.transcribe(path, language="en", temperature_inc=0.0)


def piper(model: str) -> Work:
    from piper import PiperVoice

    loaded = PiperVoice.load(model)
    return lambda text: list(loaded.synthesize(text))


def espeak(_: str) -> Work:
    import ctypes

    import espeakng_loader

    library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
    library.espeak_Initialize(2, 0, str(espeakng_loader.get_data_path()).encode(), 0)
    taken: list[bytes] = []
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
    )

    def take(samples: Any, count: int, _events: Any) -> int:
        if samples:
            taken.append(ctypes.string_at(samples, count * 2))
        return 0

    held = kind(take)
    library.espeak_SetSynthCallback(held)
    library.espeak_SetVoiceByName(b"en-us")

    def speak(text: str, _held: Any = held) -> None:
        taken.clear()
        data = text.encode() + b"\0"
        library.espeak_Synth(data, len(data), 0, 1, 0, 1, None, None)
        library.espeak_Synchronize()

    return speak


_KINDS: dict[str, Callable[[str], Work]] = {
    "vectors": vectors, "pairs": pairs, "rerankers": rerankers, "faster-whisper": faster_whisper,
    "whisper": whisper, "piper": piper, "espeak": espeak,
}  # fmt: skip


def make_ranker(source: str, folder: str) -> None:
    """A cross-encoder of the size of the model in `source`, with a head of random weights."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=1)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(folder)


def main() -> None:
    kind, model, *more = sys.argv[1:]
    if kind == "make-ranker":
        make_ranker(model, *more)
        return
    work = _KINDS[kind](str(Path(model)))
    print("ready", flush=True)
    for line in sys.stdin:
        given = json.loads(line)
        began = time.perf_counter()
        work(*given)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
