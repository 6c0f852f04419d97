"""What is said of models, where the official client does not look closely."""

from __future__ import annotations

import json
import math

import pytest

from localai.dialects.ollama import (
    SPOKEN_VERSION,
    LoadedModelCard,
    ModelDetailsCard,
    ModelFactsCard,
    decode_show,
    encode_ps,
    encode_show,
    encode_tags,
    encode_version,
)
from localai.dialects.ollama.spelling import rfc3339, with_tag
from localai.domain.errors import InvalidRequest

FACTS = ModelFactsCard(name="qwen:4b", family="qwen3", capabilities=("completion", "tools"))


@pytest.mark.parametrize(
    ("name", "tagged"),
    [
        ("llama", "llama:latest"),
        ("llama:latest", "llama:latest"),
        ("a/llama:8b", "a/llama:8b"),
        ("host:5000/llama", "host:5000/llama:latest"),
    ],
)
def test_every_name_has_a_tag(name: str, tagged: str) -> None:
    assert with_tag(name) == tagged


@pytest.mark.parametrize(
    ("unix_s", "spelled"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (1700000000.5, "2023-11-14T22:13:20.500000000Z"),
        (-0.25, "1969-12-31T23:59:59.750000000Z"),
        (-6e10, "0068-09-03T13:20:00.000000000Z"),
        (1e20, "9999-12-31T23:59:59.000000000Z"),
        (math.inf, "9999-12-31T23:59:59.000000000Z"),
        (-1e20, "0001-01-01T00:00:00.000000000Z"),
    ],
)
def test_times_are_in_utc_to_the_nanosecond(unix_s: float, spelled: str) -> None:
    assert rfc3339(unix_s) == spelled


def test_a_tag() -> None:
    assert json.loads(encode_tags([FACTS])) == {
        "models": [
            {
                "name": "qwen:4b",
                "model": "qwen:4b",
                "modified_at": "1970-01-01T00:00:00.000000000Z",
                "size": 0,
                "digest": "",
                "details": {
                    "parent_model": "",
                    "format": "gguf",
                    "family": "qwen3",
                    "families": ["qwen3"],
                    "parameter_size": "",
                    "quantization_level": "",
                },
                "capabilities": ["completion", "tools"],
            }
        ]
    }
    assert json.loads(encode_tags([])) == {"models": []}


def test_all_of_a_model() -> None:
    card = ModelDetailsCard(
        facts=FACTS,
        template="{{ .Prompt }}",
        system="Be brief.",
        parameters={"stop": ["<|im_end|>", "</s>"], "temperature": 0.7},
        architecture="qwen3",
        context_length=32768,
        embedding_length=1024,
        parameter_count=4_000_000_000,
        metadata={"tokenizer.ggml.tokens": ["a"] * 101, "qwen3.block_count": 36},
    )
    shown = json.loads(encode_show(card))
    assert shown["parameters"].splitlines() == [
        'stop                           "<|im_end|>"',
        'stop                           "</s>"',
        "temperature                    0.7",
    ]
    assert shown["modelfile"].splitlines() == [
        "FROM qwen:4b",
        'TEMPLATE """{{ .Prompt }}"""',
        'SYSTEM """Be brief."""',
        'PARAMETER stop "<|im_end|>"',
        'PARAMETER stop "</s>"',
        "PARAMETER temperature 0.7",
    ]
    assert shown["system"] == "Be brief."
    assert "license" not in shown
    assert shown["model_info"] == {
        "general.architecture": "qwen3",
        "general.parameter_count": 4_000_000_000,
        "qwen3.context_length": 32768,
        "qwen3.embedding_length": 1024,
        "tokenizer.ggml.tokens": None,
        "qwen3.block_count": 36,
    }
    verbose = json.loads(encode_show(card, is_verbose=True))
    assert len(verbose["model_info"]["tokenizer.ggml.tokens"]) == 101


def test_a_model_of_which_little_is_known() -> None:
    shown = json.loads(encode_show(ModelDetailsCard(facts=FACTS, context_length=2048)))
    assert shown["model_info"] == {"general.context_length": 2048}
    assert shown["modelfile"] == "FROM qwen:4b\n"


def test_a_loaded_model() -> None:
    cards = [LoadedModelCard(facts=FACTS, expires_unix_s=1700000000), LoadedModelCard(facts=FACTS)]
    first, second = json.loads(encode_ps(cards))["models"]
    assert first["expires_at"] == "2023-11-14T22:13:20.000000000Z"
    assert second["expires_at"] == "9999-12-31T23:59:59.000000000Z"


def test_the_version() -> None:
    assert json.loads(encode_version()) == {"version": SPOKEN_VERSION}
    assert json.loads(encode_version("1.0.0")) == {"version": "1.0.0"}


def test_which_model_to_show() -> None:
    assert decode_show(b'{"name": "llama", "verbose": true}').is_verbose
    assert decode_show(b'{"model": "a", "name": "b"}').model == "a"
    with pytest.raises(InvalidRequest) as caught:
        decode_show(b"{}")
    assert caught.value.fields["param"] == "model"
