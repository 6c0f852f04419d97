"""The models that the clients talk to: one for each thing that a client can ask for."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

from tests.bert_maker import make_bert
from tests.gguf_maker import THINKING, Shape, make_scripted, make_tiny_llama
from tests.live import echo_yaml, write_models
from tests.mmproj_maker import make_mmproj

_WIDTH = 128


def fill(folder: Path) -> Path:
    """Write the models into `folder`, which is made."""
    write_models(
        folder,
        {
            "endless.yaml": echo_yaml("endless", delay_s=0.02, slots=4, repeat=100000),
            "starter.yaml": "name: local-ai-starter\n"
            "parameters: {model: weights/starter.gguf, temperature: 0}\n",
            "seer.yaml": "name: seer\nmmproj: eyes.gguf\nparameters: {model: weights/seer.gguf}\n",
        },
    )
    thoughts = ["<think>", "Hmm.", "</think>", "All", " done"]
    make_scripted(folder / "thinker.gguf", thoughts, template=THINKING)
    make_bert(folder / "embedder.gguf")
    make_bert(folder / "ranker.gguf", ranks=True)
    weights = folder / "weights"
    weights.mkdir()
    with resources.as_file(resources.files("localai") / "starter" / "starter.gguf") as starter:
        shutil.copy(starter, weights)
    shape = Shape(layers=1, embedding=_WIDTH, heads=2, kv_heads=2, feed_forward=128)
    make_tiny_llama(weights / "seer.gguf", shape=shape)
    make_mmproj(folder / "eyes.gguf", text_size=_WIDTH)
    return folder
