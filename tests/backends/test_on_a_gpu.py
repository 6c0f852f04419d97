"""What engines do on a GPU; skipped where there is none. Their other tests run there as well."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localai.domain.errors import LocalAIError
from localai.domain.tasks import Task
from localai.domain.vectors import EmbedRequest, RerankRequest
from localai.engines.manifest import Manifest
from localai.hardware import gpus
from tests.backends.lone import Lone, complete, loaded, run
from tests.bert_maker import make_bert_folder
from tests.engines.installed import device_of, stock
from tests.gguf_maker import make_scripted
from tests.hf_maker import make_scripted_hf, make_tiny_hf
from tests.live import PATIENCE_S

MB = 1_000_000
PIECES = ["This ", "is ", "it."]
TEXTS = ("the cat sat on the mat", "paris", "the capital of france is paris " * 12, "a dog")
DOCUMENTS = ("paris is the capital", "the cat sat", "dog", "france " * 40)
NEAR = 1e-4  # a GPU adds up in another order

pytestmark = pytest.mark.timeout(10 * PATIENCE_S)


def skip_without_gpu(backend: str) -> None:
    """Skip a test when the installed engine has no GPU to compute on."""
    if stock().gpu(backend) is None:
        pytest.skip(f"there is no NVIDIA GPU here, or {backend} is not installed for it")


def on(backend: str, path: Path, *options: str, **settings: Any) -> Any:
    """A worker with a model."""
    return loaded(Manifest().find(backend), path, options=options, **settings)


def free_bytes() -> int:
    """The free memory of the first GPU."""
    return gpus()[0].free_bytes


async def until(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not probe():  # noqa: ASYNC110 - in the driver
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("backend", ["transformers", "sentencetransformers", "rerankers"])
def test_a_model_is_where_its_file_says(tmp_path: Path, backend: str) -> None:
    skip_without_gpu(backend)
    name = gpus()[0].name
    path = (
        make_tiny_hf(tmp_path / "m")
        if backend == "transformers"
        else make_bert_folder(tmp_path / "m", ranks=backend == "rerankers")
    )

    async def test() -> None:
        for wanted, told in (
            ({}, device_of(backend)),
            ({"cuda": True}, f"cuda, {name}"),
            ({"main_gpu": "cuda.0"}, f"cuda:0, {name}"),
            ({"main_gpu": "cpu"}, "CPU, because the model file says so"),
        ):
            async with on(backend, path, **wanted) as lone:
                assert lone.facts.device == told
        with pytest.raises(LocalAIError, match="this machine has") as caught:
            async with on(backend, path, main_gpu="cuda.99"):
                pass
        assert "cuda.0" in caught.value.hint

    run(test())


def test_its_memory_comes_back(tmp_path: Path) -> None:
    skip_without_gpu("transformers")
    path = make_tiny_hf(tmp_path / "m")

    async def test() -> None:
        before = free_bytes()
        async with on("transformers", path) as lone:
            assert await lone.say(complete("Once", max_tokens=4)) is not None
            assert free_bytes() < before - 100 * MB  # what CUDA itself takes is more
        await until(lambda: free_bytes() > before - 50 * MB)

    run(test())


@pytest.mark.parametrize(
    "settings", [{}, {"f16": True}, {"quantization": "bnb_4bit"}, {"quantization": "bnb_8bit"}]
)
def test_every_precision_says_what_the_model_does(tmp_path: Path, settings: dict[str, Any]) -> None:
    skip_without_gpu("transformers")
    path = make_scripted_hf(tmp_path / "m", PIECES)

    async def test() -> None:
        async with on("transformers", path, **settings) as lone:
            assert lone.facts.device == device_of("transformers")
            assert await lone.say(complete("Hello\n", max_tokens=20)) == "".join(PIECES)

    run(test())


async def vectors(lone: Lone) -> list[list[float]]:
    found: Any = await lone.client.call(Task.EMBED, EmbedRequest(inputs=TEXTS))
    return [list(array("f", vector)) for vector in found.vectors]


@pytest.mark.parametrize("backend", ["transformers", "sentencetransformers"])
def test_vectors_are_those_of_the_processor(tmp_path: Path, backend: str) -> None:
    skip_without_gpu(backend)
    path = make_bert_folder(tmp_path / "m")

    async def test() -> None:
        async with on(backend, path, embeddings=True) as lone:
            there = await vectors(lone)
        async with on(backend, path, embeddings=True, main_gpu="cpu") as lone:
            here = await vectors(lone)
        for one, other in zip(there, here, strict=True):
            assert one == pytest.approx(other, abs=NEAR)

    run(test())


@pytest.mark.parametrize("backend", ["rerankers", "sentencetransformers"])
def test_scores_are_those_of_the_processor(tmp_path: Path, backend: str) -> None:
    skip_without_gpu(backend)
    path = make_bert_folder(tmp_path / "m", ranks=True)
    request = RerankRequest(query="capital of france", documents=DOCUMENTS)

    async def test() -> None:
        async with on(backend, path) as lone:
            there: Any = await lone.client.call(Task.RERANK, request)
        async with on(backend, path, main_gpu="cpu") as lone:
            here: Any = await lone.client.call(Task.RERANK, request)
        assert there.scores == pytest.approx(here.scores, abs=NEAR)

    run(test())


def test_a_token_without_weights_is_an_error_and_the_gpu_serves_on(tmp_path: Path) -> None:
    """CUDA answers nothing more to a process in which a kernel failed."""
    skip_without_gpu("transformers")
    path = make_tiny_hf(tmp_path / "m", size=200)

    async def test() -> None:
        async with on("transformers", path) as lone:
            assert await lone.say(complete("Once", max_tokens=4))
            last = (await lone.events(complete("\N{GRINNING FACE}", max_tokens=4)))[-1]
            assert "CUDA error" in last.error.message  # type: ignore[union-attr]  # anything else fails here
            await until(lambda: not lone.is_alive)
        async with on("transformers", path) as lone:
            assert await lone.say(complete("Once", max_tokens=4))

    run(test())


LIST_DEVICES = """
import xllamacpp as x
kinds = x.ggml_backend_dev_type
none = (kinds.GGML_BACKEND_DEVICE_TYPE_CPU, kinds.GGML_BACKEND_DEVICE_TYPE_ACCEL)
for one in x.get_device_info():
    if one["type"] not in none:
        print(f"{one['name']} ({one['description']})")
"""


def llama_gpu() -> str:
    """The first GPU of this build of llama.cpp; skips a test where there is none."""
    asked = [sys.executable, "-c", LIST_DEVICES]  # it takes a GPU's memory until its process ends
    for device in subprocess.run(
        asked, capture_output=True, text=True, check=True
    ).stdout.splitlines():
        return device
    pytest.skip("this build of llama.cpp has no GPU: docs/howto/gpu.md")


@pytest.mark.parametrize(
    "settings",
    [{}, {"gpu_layers": 99}, {"gpu_layers": 1}, {"main_gpu": "0", "tensor_split": "1"}, {"f16": True},
     {"flash_attention": "true", "cache_type_k": "q8_0", "cache_type_v": "q8_0"}],
)  # fmt: skip
def test_llama_cpp_on_a_gpu(tmp_path: Path, settings: dict[str, Any]) -> None:
    card = llama_gpu()
    path = make_scripted(tmp_path / "m.gguf", PIECES)

    async def test() -> None:
        async with on("llama-cpp", path, context_size=512, **settings) as lone:
            assert card in lone.facts.device
            assert await lone.say(complete("Hello\n", max_tokens=20)) == "".join(PIECES)

    run(test())


def test_llama_cpp_says_when_no_layer_is_on_the_gpu(tmp_path: Path) -> None:
    card = llama_gpu()
    path = make_scripted(tmp_path / "m.gguf", PIECES)
    off = f"CPU, because the model file keeps all layers from {card}"

    async def test() -> None:
        for options, settings, told in (
            ((), {"gpu_layers": 0}, off),
            (("split_mode:none",), {"main_gpu": "-1"}, off),
            (("split_mode:none",), {"main_gpu": "0"}, card),
        ):
            async with on("llama-cpp", path, *options, context_size=512, **settings) as lone:
                assert lone.facts.device.startswith(told)
                assert await lone.say(complete("Hello\n", max_tokens=20)) == "".join(PIECES)
        with pytest.raises(LocalAIError, match="there is no GPU 99; 0 is"):
            async with on("llama-cpp", path, "split_mode:none", main_gpu="99"):
                pass

    run(test())
