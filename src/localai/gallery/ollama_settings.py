"""Ollama's parameters of a model, as a model file says them. Pure.

Source: "Valid Parameters and Values" of Ollama's Modelfile reference, and the options of its API.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Final

from localai.domain.errors import InvalidRequest

_SAMPLING: Final = {
    name: name
    for name in (
        *("temperature", "seed", "top_k", "top_p", "min_p", "typical_p", "repeat_penalty"),
        *("repeat_last_n", "presence_penalty", "frequency_penalty"),
        *("mirostat", "mirostat_tau", "mirostat_eta"),
    )
} | {"num_predict": "max_tokens", "num_keep": "n_keep", "num_batch": "batch"}
_TOP: Final = {
    "num_ctx": "context_size",
    "num_thread": "threads",
    "num_gpu": "gpu_layers",
    "main_gpu": "main_gpu",
    "stop": "stopwords",
    "use_mmap": "mmap",
    "use_mlock": "mmlock",
    "low_vram": "low_vram",
    "numa": "numa",
    "f16_kv": "f16",
}
# Of engines that Ollama does not have any more; nothing to do for them here either.
_NOTHING: Final = frozenset({"tfs_z", "penalize_newline", "vocab_only", "logits_all", "embedding_only"})  # fmt: skip


def model_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What `parameters` are in a model file; those that nobody knows are left out."""
    said = {name: value for name, value in parameters.items() if value is not None}
    config: dict[str, Any] = {ours: said[theirs] for theirs, ours in _TOP.items() if theirs in said}
    sampling = {ours: said[theirs] for theirs, ours in _SAMPLING.items() if theirs in said}
    if sampling:
        config["parameters"] = sampling
    return config


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for a parameter that Ollama does not have."""
    known = {*_SAMPLING, *_TOP, *_NOTHING}
    for name in parameters:
        if name not in known:
            near = difflib.get_close_matches(name[:100], known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(sorted(known))}."
            raise InvalidRequest(
                f"There is no parameter {name[:100]!r}.", param="parameters", hint=hint
            )
