"""What installing the files of a repository takes: which of them, and the model file they make."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from localai.domain.downloads import Listing, ModelPlan, RemoteFile
from localai.domain.errors import InvalidRequest
from localai.gallery.listing_plan import plan_listing

GB = 1_000_000_000


def listing(*names: str, sizes: dict[str, int] | None = None, **more: Any) -> Listing:
    files = tuple(
        RemoteFile(name=name, address=f"https://x/{name}", size_bytes=(sizes or {}).get(name, GB))
        for name in names
    )
    fields = {"source": "huggingface", "uri": "huggingface://o/r", "model_name": "r-GGUF", **more}
    return Listing(files=files, **fields)


def config(plan: ModelPlan) -> dict[str, Any]:
    (text,) = plan.texts.values()
    found = yaml.safe_load(text)
    assert isinstance(found, dict)
    return found


SIZES = {"r-Q8_0.gguf": 9 * GB, "r-Q4_K_M.gguf": 5 * GB, "r-F16.gguf": 16 * GB}
REPOSITORY = listing(
    "README.md", *SIZES, "mmproj-F32.gguf", "mmproj-F16.gguf", "imatrix.gguf", sizes=SIZES
)


def test_the_build_that_fits_with_its_projector_in_a_folder_of_its_own() -> None:
    plan = plan_listing(REPOSITORY, 13 * GB)
    assert [file.name for file in plan.files] == ["r/r-Q8_0.gguf", "r/r-Q8_0-mmproj.gguf"]
    assert plan.files[1].address == "https://x/mmproj-F16.gguf"
    assert config(plan) == {
        "name": "r",
        "parameters": {"model": "r/r-Q8_0.gguf"},
        "mmproj": "r/r-Q8_0-mmproj.gguf",
    }
    assert (plan.name, plan.backend, list(plan.texts)) == ("r", "llama-cpp", ["r.yaml"])
    assert plan.why.startswith("r-Q8_0.gguf (9.0 GB): it is the largest of 2 builds that fits")
    assert plan_listing(REPOSITORY, 9 * GB).files[0].name == "r/r-Q4_K_M.gguf"


def test_what_is_asked_for() -> None:
    assert plan_listing(REPOSITORY, GB, variant="f16").files[0].name == "r/r-F16.gguf"
    told = listing(*SIZES, texts={"quantization": "Q4_K_M"})
    assert plan_listing(told, 90 * GB, name="mine").files[0].name == "mine/r-Q4_K_M.gguf"
    with pytest.raises(InvalidRequest) as caught:
        plan_listing(REPOSITORY, GB, variant="Q3_K_S")
    assert "Q4_K_M, Q8_0, F16" in caught.value.hint


def test_all_parts_of_a_build_are_taken() -> None:
    parts = [f"Q8_0/r-Q8_0-0000{part}-of-00003.gguf" for part in (1, 2, 3)]
    plan = plan_listing(listing("r-Q4_K_M.gguf", *parts), 90 * GB)
    assert [file.name for file in plan.files] == [f"r/{part[5:]}" for part in parts]
    assert config(plan)["parameters"]["model"] == "r/r-Q8_0-00001-of-00003.gguf"


def test_one_file_lies_in_the_models_folder_itself() -> None:
    plan = plan_listing(listing("sub/r.gguf", is_exact=True, model_name="r"), 0)
    assert [file.name for file in plan.files] == ["r.gguf"]


def test_what_a_model_of_ollama_says_is_taken_over() -> None:
    plan = plan_listing(
        listing(
            "llama3.2-1b.gguf", source="ollama", is_exact=True, model_name="llama3.2:1b",
            texts={
                "system": "Be kind.",
                "template": "{{ .Prompt }}",
                "params": json.dumps({"stop": ["<|eot|>"], "temperature": 0.5, "num_ctx": 4096, "num_keep": 5}),
            },
        ),
        8 * GB,
        overrides={"parameters": {"top_k": 7}},
    )  # fmt: skip
    assert config(plan) == {
        "name": "llama3.2:1b",
        "parameters": {"model": "llama3.2-1b.gguf", "temperature": 0.5, "n_keep": 5, "top_k": 7},
        "system_prompt": "Be kind.",
        "context_size": 4096,
        "stopwords": ["<|eot|>"],
    }


def test_a_folder_of_safetensors_without_its_copies() -> None:
    plan = plan_listing(
        listing(
            "config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin", "onnx/model.onnx",
            "1_Pooling/config.json", "2_Dense/pytorch_model.bin", "tf_model.h5", model_name="mini",
        ),
        8 * GB,
    )  # fmt: skip
    assert sorted(file.name for file in plan.files) == [
        "mini/1_Pooling/config.json",
        "mini/2_Dense/pytorch_model.bin",
        "mini/config.json",
        "mini/model.safetensors",
        "mini/tokenizer.json",
    ]
    assert config(plan) == {"name": "mini", "parameters": {"model": "mini"}}
    assert plan.backend == ""  # its files decide


def test_a_folder_of_another_format_is_kept_whole() -> None:
    plan = plan_listing(listing("config.json", "model.bin", "vocabulary.txt", model_name="w"), 0)
    assert len(plan.files) == 3


def test_a_voice_and_its_description() -> None:
    plan = plan_listing(
        listing("a/voice.onnx", "a/voice.onnx.json", is_exact=True, model_name="voice.onnx"), 0
    )
    assert [file.name for file in plan.files] == ["voice.onnx", "voice.onnx.json"]
    assert config(plan) == {"name": "voice", "parameters": {"model": "voice.onnx"}}


def test_of_several_models_one_must_be_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan_listing(listing("ggml-base.bin", "ggml-tiny.bin"), 0)
    assert "ggml-base.bin, ggml-tiny.bin" in caught.value.hint


@pytest.mark.parametrize(
    "names", [(), ("README.md",), ("mmproj-a.gguf",), ("weights.zip", "x.txt")]
)
def test_what_is_no_model_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest, match="huggingface://o/r holds"):
        plan_listing(listing(*names), 0)


def test_overrides_that_make_no_model_file_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="threads"):
        plan_listing(REPOSITORY, 0, overrides={"threads": "many"})


def test_archives_are_refused_in_words() -> None:
    with pytest.raises(InvalidRequest) as refused:
        plan_listing(listing("model.tar.gz", is_exact=True, model_name="model"), 0)
    assert "archives are not unpacked here" in refused.value.message
    assert "Unpack it yourself" in refused.value.hint
