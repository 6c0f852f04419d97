"""Model files as LocalAI's documentation shows them load as they are written, with small weights in their place.

The files in `examples` are from LocalAI's pages on text generation and on audio (MIT license,
copyright Ettore Di Giacinto); what the pages say of single keys is in the table below.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from localai.engines.manifest import Manifest
from tests.bert_maker import make_bert_folder
from tests.engines.installed import ENVIRONMENTS, FOLDER, ROOT, skip_without
from tests.hf_maker import make_scripted_hf, make_tiny_hf
from tests.http.sounding import upload
from tests.inference_api import TOKEN, inference_api
from tests.live import PATIENCE_S, LiveServer, Reply
from tests.piper_maker import make_voice
from tests.sounds import sine, wav
from tests.whisper_maker import TEXT, make_ggml

pytestmark = pytest.mark.timeout(10 * PATIENCE_S)  # an engine may take a minute to be imported

FILES = Path(__file__).with_name("examples")
PIECES = ["The", " answer", " is", " 42", "."]
SAID = "".join(PIECES)
STARLING = "fakezeta/Starling-LM-7B-beta-openvino-int8"

Ask = Callable[[LiveServer, str], Reply]


def _chat(server: LiveServer, model: str) -> Reply:
    return server.say(model, "How are you?", temperature=0, max_tokens=16)


def _complete(server: LiveServer, model: str) -> Reply:
    """The question of the page, whose sampling the tests make sure."""
    body = {"model": model, "prompt": "Hello, my name is\n", "temperature": 0, "top_p": 0.1}
    return server.post("/v1/completions", body | {"max_tokens": 16})


def _embed(server: LiveServer, model: str) -> Reply:
    return server.post("/v1/embeddings", {"model": model, "input": ["the cat", "a dog"]})


def _rerank(server: LiveServer, model: str) -> Reply:
    return server.post("/v1/rerank", {"model": model, "query": "cat", "documents": ["dog", "cat"]})


def _transcribe(server: LiveServer, model: str) -> Reply:
    return upload(server, wav(sine(3.0)), model=model)


def _speak(server: LiveServer, model: str) -> Reply:
    return server.post("/tts", {"model": model, "input": "Hello."})


def _detect(server: LiveServer, model: str) -> Reply:
    return server.post("/v1/vad", {"model": model, "audio": [0.0] * 1600})


def _chat_answer(reply: Reply) -> bool:
    return bool(reply.json["choices"][0]["message"]["content"] == SAID)


def _text_answer(reply: Reply) -> bool:
    return bool(reply.json["choices"][0]["text"].strip())


def _vectors(reply: Reply) -> bool:
    return len(reply.json["data"]) == 2


@dataclass(frozen=True)
class Example:
    """A model file, how it is asked, and how its answer shows that it was understood."""

    name: str
    engine: str
    ask: Ask
    shows: Callable[[Reply], bool]
    yaml: str = ""  # else the file of that name
    log: str = ""


def _transformers(name: str, more: str, **how: str) -> Example:
    yaml = f"name: {name}\nbackend: transformers\nparameters:\n  model: writer\n{more}"
    return Example(name, how.pop("engine", "transformers"), _chat, _chat_answer, yaml, **how)


def _encoder(name: str, more: str, engine: str = "transformers") -> Example:
    yaml = f"name: {name}\nbackend: transformers\nparameters:\n  model: embedder\n{more}"
    return Example(name, engine, _embed, _vectors, yaml)


def _plain(name: str, engine: str, model: str, ask: Ask, shows: Callable[[Reply], bool]) -> Example:
    yaml = f"name: {name}\nbackend: {name}\nparameters:\n  model: {model}\n"
    return Example(name, engine, ask, shows, yaml)


EXAMPLES = [
    Example("whisper-1", "whisper", _transcribe, lambda reply: reply.json["text"].strip() == TEXT),
    Example("transformers", "transformers", _complete, _text_answer),
    Example("starling-openvino", "openvino", _complete, lambda reply: reply.json["choices"][0]["text"] == SAID),
    _transformers(
        "keys",
        "type: AutoModelForCausalLM\nf16: true\ntrust_remote_code: true\ncontext_size: 8192\n"
        "quantization: xpu_8bit\ntemplate:\n  use_tokenizer_template: true\n"
        'stopwords:\n- "<|eot_id|>"\n- "<|end_of_text|>"\n',
        log="is computed by bitsandbytes, as bnb_8bit",
    ),
    _encoder("vectors", "embeddings: true\n"),
    _encoder("openvino-vectors", "type: OVModelForFeatureExtraction\nembeddings: true\nmain_gpu: AUTO\n", "openvino"),
    _plain("huggingface-embeddings", "sentencetransformers", "embedder", _embed, _vectors),
    _plain("rerankers", "rerankers", "ranker", _rerank, lambda reply: len(reply.json["results"]) == 2),
    _plain("langchain-huggingface", "huggingface", "gpt2", _chat, lambda reply: reply.json["choices"][0]["message"]["content"].startswith("How are you?")),
    _plain("piper", "piper", "voice.onnx", _speak, lambda reply: reply.body[:4] == b"RIFF"),
    _plain("silero-vad", "silero-vad", "silero-vad.onnx", _detect, lambda reply: reply.json["segments"] == []),
]  # fmt: skip
REFUSED = {
    "cuda": "type: AutoModelForCausalLM\nmain_gpu: cuda.0\n",
    "not-the-cpu": "type: OVModelForCausalLM\nmain_gpu: AUTO:-CPU\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("examples") / "models"
    folder.mkdir()
    make_ggml(folder / "whisper-en")
    make_voice(folder / "voice.onnx")
    make_bert_folder(folder / "embedder")
    make_bert_folder(folder / "ranker", ranks=True)
    make_tiny_hf(folder / "facebook" / "opt-125m")
    make_scripted_hf(folder / "writer", PIECES)
    converter = ENVIRONMENTS.find(Manifest().find("openvino"))
    if converter is not None:
        make = [
            converter.python,
            "-m",
            "tests.openvino_maker",
            folder / "writer",
            folder / STARLING,
        ]
        offline = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": ""}
        subprocess.run(make, env={**os.environ, **offline}, check=True, capture_output=True)
    with inference_api() as api:
        for example in EXAMPLES:
            if example.yaml:
                more = (
                    f"options: ['endpoint:{api.url}']\n" if example.engine == "huggingface" else ""
                )
                (folder / f"{example.name}.yaml").write_text(example.yaml + more)
            else:
                shutil.copy(FILES / f"{example.name}.yaml", folder)
        for name, more in REFUSED.items():
            yaml = _transformers(name, more).yaml
            (folder / f"{name}.yaml").write_text(yaml)
        environment = {"HF_TOKEN": TOKEN, "HF_HOME": str(folder.parent), "NO_PROXY": "127.0.0.1"}
        more_settings = ("--backends-path", str(FOLDER), "--max-active-backends", "2")
        with LiveServer(folder, *more_settings, environment=environment) as running:
            yield running


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_it_loads_as_it_is_written(example: Example, server: LiveServer) -> None:
    skip_without(Manifest().find(example.engine))
    reply = example.ask(server, example.name)
    assert reply.status == 200, reply.body
    assert example.shows(reply), reply.body
    assert example.log in server.log


@pytest.mark.parametrize(
    ("name", "engine", "words"),
    [
        ("cuda", "transformers", "no CUDA device was found"),
        ("not-the-cpu", "openvino", "leaves no device: OpenVINO found CPU"),
    ],
)
def test_a_device_that_is_not_there_is_told(
    server: LiveServer, name: str, engine: str, words: str
) -> None:
    skip_without(Manifest().find(engine))
    reply = _chat(server, name)
    if reply.status == 200:
        pytest.skip("this machine has such a device")
    assert words in reply.error["message"]


def test_every_file_is_tried() -> None:
    assert {path.stem for path in FILES.iterdir()} == {one.name for one in EXAMPLES if not one.yaml}


def test_every_name_of_the_compatibility_tables_is_known() -> None:
    """Of the engines that are here; the tables list others as well."""
    names = {
        "llama.cpp": "llama-cpp", "llama": "llama-cpp", "whisper": "whisper", "piper": "piper",
        "langchain-huggingface": "huggingface", "sentencetransformers": "sentencetransformers",
        "bert": "sentencetransformers", "rerankers": "rerankers", "transformers": "transformers",
        "silero-vad": "silero-vad",
    }  # fmt: skip
    assert {name: Manifest().find(name).name for name in names} == names
