"""Sampling values that the makers of model families recommend.

Source: LocalAI's table of inference defaults, which follows the model cards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from localai.domain.generation import Sampling


@dataclass(frozen=True, slots=True)
class Family:
    """Names that a family's models carry, and how to sample from them."""

    names: tuple[str, ...]
    sampling: Sampling


def _family(
    names: str, temperature: float, top_p: float, top_k: int, min_p: float, **others: float
) -> Family:
    sampling = Sampling(
        temperature=temperature,
        top_p=top_p,
        top_k=top_k,
        min_p=min_p,
        repeat_penalty=others.get("repeat_penalty", 1.0),
        presence_penalty=others.get("presence_penalty"),
    )
    return Family(tuple(names.split()), sampling)


# The longest of these names that occurs in a model's name decides; their order does not matter.
FAMILIES: Final = (
    _family("qwen3.5 qwen3.6 qwen3.8", 0.7, 0.8, 20, 0.0, presence_penalty=1.5),
    _family("qwen3-coder qwen3-next qwen3-vl", 0.7, 0.8, 20, 0.0),
    _family("qwen2 qwen2.5 qwen2.5-omni qwen2.5-math", 0.7, 0.8, 20, 0.0),
    _family("qwen3", 0.6, 0.95, 20, 0.0),
    _family("qwq", 0.6, 0.95, 40, 0.0),
    _family("qwen2.5-coder qwen2.5-vl qwen2-vl", 1.5, 0.95, -1, 0.1),
    _family("llama-3 llama-3.1 llama-3.2 llama-3.3 pixtral", 1.5, 0.95, -1, 0.1),
    _family("llama-4", 1.0, 0.9, -1, 0.01),
    _family("gemma-2 gemma-3 gemma-3n gemma-4 medgemma", 1.0, 0.95, 64, 0.0),
    _family("phi-4", 0.8, 0.95, -1, 0.0),
    _family("phi-3", 0.7, 0.9, -1, 0.01),
    _family("mistral-small ministral", 0.15, 0.95, -1, 0.01),
    _family("mistral-nemo mistral-large magistral devstral", 0.7, 0.95, -1, 0.01),
    _family("smollm olmo falcon ernie seed mimo", 0.7, 0.95, -1, 0.01),
    _family("deepseek-r1 deepseek-v3 kimi kimi-k2", 0.6, 0.95, -1, 0.01),
    _family("deepseek-v4", 1.0, 1.0, -1, 0.0),
    _family("deepseek-ocr", 0.0, 0.95, -1, 0.01),
    _family("glm-4 glm-5 grok", 1.0, 0.95, -1, 0.01),
    _family("kimi-k3", 1.0, 0.95, -1, 0.0),
    _family("minimax", 1.0, 0.95, 40, 0.01),
    _family("nemotron", 1.0, 1.0, -1, 0.01),
    _family("gpt-oss", 1.0, 1.0, 0, 0.01),
    _family("granite-4", 0.0, 1.0, 0, 0.01),
    _family("lfm2", 0.1, 0.1, 50, 0.15, repeat_penalty=1.05),
)


def _pattern(name: str) -> re.Pattern[str]:
    """Make a pattern for one name: separators may be absent, and sizes are not versions.

    `llama-3` occurs in llama3.2 and Meta-Llama-3-8B, but not in open_llama_3b or llama-30b.
    """
    words = re.findall(r"[a-z]+|\d+(?:\.\d+)?", name)
    body = "-?".join(re.escape(word) for word in words)
    ends_in_digit = name[-1].isdigit()
    return re.compile(rf"(?<![a-z]){body}" + (r"(?!\d)(?!\d*b(?![a-z]))" if ends_in_digit else ""))


_PATTERNS: Final = tuple(
    (_pattern(name), family)
    for name, family in sorted(
        ((name, family) for family in FAMILIES for name in family.names),
        key=lambda entry: len(entry[0]),
        reverse=True,
    )
)


def family_sampling(*names: str) -> Sampling | None:
    """Give the recommended sampling for the first of `names` that tells a family; None if none.

    `names` are what is known of a model, the most telling first: its name, its file's, the
    architecture in its weights.
    """
    for name in names:
        normal = re.sub(r"[\s_/:-]+", "-", name.lower())
        for pattern, family in _PATTERNS:
            if pattern.search(normal):
                return family.sampling
    return None
