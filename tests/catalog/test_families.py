"""Model families told by names."""

import pytest

from localai.catalog.families import FAMILIES, family_sampling


@pytest.mark.parametrize(
    ("name", "temperature", "top_p", "top_k"),
    [
        ("Qwen3-4B-Instruct", 0.6, 0.95, 20),
        ("Qwen_Qwen3.5-27B", 0.7, 0.8, 20),
        ("qwen3-coder-30b", 0.7, 0.8, 20),
        ("Qwen2.5-7B-Instruct", 0.7, 0.8, 20),
        ("qwen2.5-coder:7b", 1.5, 0.95, -1),
        ("Qwen2-VL-2B", 1.5, 0.95, -1),
        ("qwen3moe", 0.6, 0.95, 20),
        ("QwQ-32B", 0.6, 0.95, 40),
        ("Meta-Llama-3-8B-Instruct", 1.5, 0.95, -1),
        ("llama3.2:1b", 1.5, 0.95, -1),
        ("Hermes-3-Llama-3.1-8B", 1.5, 0.95, -1),
        ("llama_4_scout", 1.0, 0.9, -1),
        ("gemma-3n-E4B-it", 1.0, 0.95, 64),
        ("gemma3", 1.0, 0.95, 64),
        ("Phi-3-mini-4k-instruct", 0.7, 0.9, -1),
        ("phi-4", 0.8, 0.95, -1),
        ("Mistral-Small-24B", 0.15, 0.95, -1),
        ("Mistral Nemo Instruct", 0.7, 0.95, -1),
        ("DeepSeek-R1-Distill-Qwen-7B", 0.6, 0.95, -1),
        ("Kimi-K2-Instruct", 0.6, 0.95, -1),
        ("kimi-k3", 1.0, 0.95, -1),
        ("GLM-4.5-Air", 1.0, 0.95, -1),
        ("MiniMax-M2", 1.0, 0.95, 40),
        ("gpt-oss-20b", 1.0, 1.0, 0),
        ("granite-4.0-h-tiny", 0.0, 1.0, 0),
        ("LFM2-1.2B", 0.1, 0.1, 50),
    ],
)
def test_families_are_told(name: str, temperature: float, top_p: float, top_k: int) -> None:
    sampling = family_sampling(name)
    assert sampling is not None
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (temperature, top_p, top_k)


@pytest.mark.parametrize(
    "name", ["open_llama_3b", "llama-30b", "llama-2-7b", "llama", "mistral-7b", "", "birdseed-7b"]
)
def test_other_names_tell_no_family(name: str) -> None:
    assert family_sampling(name) is None


def test_the_first_name_that_tells_decides() -> None:
    assert family_sampling("mine", "phi-4", "qwen3") == family_sampling("phi-4")


def test_every_family_is_found_by_its_own_names() -> None:
    for family in FAMILIES:
        for name in family.names:
            assert family_sampling(name) == family.sampling, name
