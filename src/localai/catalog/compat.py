"""LocalAI's model files: every key they may hold, and what becomes of it here.

This is the only file that knows LocalAI's spellings. Sources: LocalAI's documentation of the
model YAML, and the keys that files of its gallery use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from localai.catalog import functions, values
from localai.catalog.edits import pattern
from localai.catalog.functions import FunctionKey
from localai.catalog.values import BadValue, Reader
from localai.catalog.yaml_nodes import Mapping as MappingNode
from localai.catalog.yaml_nodes import Node, Scalar, Sequence
from localai.regexp import BadPattern

LARGEST_INTEGER: Final = 2**31 - 1  # the engine's own integers
LARGEST_SEED: Final = 2**32 - 1
LONGEST_NAME: Final = 255
_ROLES: Final = ("system", "user", "assistant")


class Place(Enum):
    """Where the value of a key goes."""

    SPEC = "a field of ModelSpec"
    SAMPLING = "a field of Sampling"
    SETTING = "an engine setting"
    TEMPLATE = "a part of the prompt templates"
    FUNCTION = "a field of FunctionSettings"
    INSTEAD = "without effect here; its name is what to say of it"
    EDIT = "a field of OutputEdits"
    NOTHING = "read by people or other programs; nothing to do here"
    LATER = "LocalAI acts on it, this version does not: worth a warning"


@dataclass(frozen=True, slots=True)
class Key:
    """What becomes of one key: how its value is read, and where it goes under which name."""

    place: Place
    name: str = ""
    read: Reader = values.text
    is_file: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A key that holds further keys."""

    keys: Mapping[str, Key | Section]
    place: Place | None = None  # of the section as a whole, when its keys share one


LATER: Final = Key(Place.LATER)
NOTHING: Final = Key(Place.NOTHING)


def _spec(name: str, read: Reader) -> Key:
    return Key(Place.SPEC, name, read)


def _each(place: Place, read: Reader, *names: str) -> dict[str, Key]:
    return {name: Key(place, name, read) for name in names}


def _setting(read: Reader, *names: str) -> dict[str, Key]:
    return _each(Place.SETTING, read, *names)


def _file(read: Reader, *names: str) -> dict[str, Key]:
    return {name: Key(Place.SETTING, name, read, is_file=True) for name in names}


def _all(key: Key, names: str) -> dict[str, Key]:
    return dict.fromkeys(names.split(), key)


def _unless(unset: int, read: Reader) -> Reader:
    """Make a reader for which one number, and all below it, means that nothing is set."""

    def maybe(node: Node) -> Any:
        value = read(node)
        return None if value <= unset else value

    return maybe


def _name(node: Node) -> str:
    name = values.text(node).strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadValue(f"a name is 1 to {LONGEST_NAME} printable characters, not {name[:80]!r}.")
    return name


def _backend(node: Node) -> str | None:
    name = values.text(node).strip()
    if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise BadValue(f"{name[:80]!r} is no backend: letters, digits, dots, dashes only.")
    return name or None


def _options(node: Node) -> tuple[str, ...]:
    """Read `key:value` texts; a space after the colon makes YAML see a mapping, which is fine."""
    if not isinstance(node, Sequence):
        return values.texts(node)
    found: list[str] = []
    for item in node.items:
        if isinstance(item, MappingNode):
            found += [f"{key}:{values.text(value)}" for key, value in item.entries.items()]
        else:
            found.append(values.text(item))
    return tuple(found)


def _usecases(node: Node) -> tuple[str, ...]:
    return tuple(name.strip().lower().removeprefix("flag_") for name in values.texts(node))


def _mapping(node: Node) -> dict[str, Any]:
    if not isinstance(node, MappingNode):
        raise BadValue("a mapping is needed.")
    return {key: values.anything(value) for key, value in node.entries.items()}


def _texts_by_name(node: Node) -> dict[str, str]:
    if not isinstance(node, MappingNode):
        raise BadValue("a mapping of roles to texts is needed.")
    return {key: values.text(value) for key, value in node.entries.items()}


def _messages(node: Node) -> tuple[tuple[str, str], ...]:
    """Read the messages that every conversation begins with."""
    if not isinstance(node, Sequence):
        raise BadValue("a list of messages is needed, each with `role` and `content`.")
    messages = []
    for item in node.items:
        found = _texts_by_name(item) if isinstance(item, MappingNode) else {}
        if set(found) != {"role", "content"} or found["role"] not in _ROLES:
            said = f"each message has a `role` ({', '.join(_ROLES)}) and a `content`."
            raise BadValue(said, item.line)
        messages.append((found["role"], found["content"]))
    return tuple(messages)


def _license(node: Node) -> str:
    """Read the terms, for people: a text or several."""
    items = node.items if isinstance(node, Sequence) else [node]
    return "\n".join(item.text for item in items if isinstance(item, Scalar) and not item.is_null)


def _patterns(node: Node) -> tuple[str, ...]:
    """Read regular expressions in Go's syntax."""
    items = node.items if isinstance(node, Sequence) else [node]
    sources = []
    for item in items:
        source = values.text(item)
        if not source:
            raise BadValue("a pattern has at least one character.", item.line)
        try:
            pattern(source)
        except BadPattern as bad:
            raise BadValue(
                f"{source[:80]!r} is no pattern that can be used: {bad}.", item.line
            ) from None
        sources.append(source)
    return tuple(sources)


def _tags(node: Node) -> tuple[str, ...]:
    tags = tuple(tag.strip() for tag in values.texts(node))
    if not all(tags):
        raise BadValue("a tag may not be empty.")
    return tags


def _tag_pairs(node: Node) -> tuple[tuple[str, str], ...]:
    if not isinstance(node, Sequence):
        raise BadValue("a list of pairs is needed, each with `start` and `end`.")
    pairs = []
    for item in node.items:
        found = _texts_by_name(item) if isinstance(item, MappingNode) else {}
        if set(found) != {"start", "end"} or not all(tag.strip() for tag in found.values()):
            raise BadValue("each pair has a `start` and an `end`, and nothing else.", item.line)
        pairs.append((found["start"].strip(), found["end"].strip()))
    return tuple(pairs)


_COUNT = values.integer(0, LARGEST_INTEGER)
_WHOLE = values.integer(-LARGEST_INTEGER, LARGEST_INTEGER)
_SHARE = values.number(0.0, 1.0)
_REAL = values.number(-1e9, 1e9)
_PENALTY = values.number(-100.0, 100.0)
_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")

_MIROSTAT: Final = {
    "mirostat": Key(Place.SAMPLING, "mirostat", values.integer(0, 2)),
    **_each(Place.SAMPLING, values.number(0.0, 1000.0), "mirostat_tau", "mirostat_eta"),
}

PARAMETERS: Final[Mapping[str, Key | Section]] = {
    "model": _spec("model", values.file),
    "max_tokens": _spec("max_tokens", _unless(0, _WHOLE)),
    "stop": _spec("stop", values.texts),
    **_each(Place.SAMPLING, values.number(0.0, 100.0), "temperature", "repeat_penalty"),
    **_each(Place.SAMPLING, _SHARE, "top_p", "min_p", "typical_p"),
    **_each(Place.SAMPLING, _SHARE, "xtc_probability", "xtc_threshold"),
    **_each(Place.SAMPLING, _PENALTY, "presence_penalty", "frequency_penalty", "top_n_sigma"),
    **_each(Place.SAMPLING, values.number(0.0, 100.0), "dry_multiplier", "dry_base"),
    **_each(Place.SAMPLING, _COUNT, "dry_allowed_length"),
    **_each(Place.SAMPLING, _WHOLE, "top_k", "repeat_last_n", "dry_penalty_last_n", "n_keep"),
    **_MIROSTAT,
    "seed": Key(
        Place.SAMPLING, "seed", _unless(-1, values.integer(-LARGEST_INTEGER, LARGEST_SEED))
    ),
    "logit_bias": Key(Place.SAMPLING, "logit_bias", values.token_biases),
    "ignore_eos": Key(Place.SAMPLING, "ignore_eos", values.flag),
    **_setting(_unless(0, _COUNT), "batch"),
    **_setting(values.number(0.0, 1e9), "rope_freq_base", "rope_freq_scale"),
    "tfz": NOTHING,  # no engine has tail-free sampling any more
    **_all(
        LATER,
        "n echo logprobs top_logprobs negative_prompt negative_prompt_scale "
        "clip_skip encoding_format pooling_half_life_tokens tokenizer pooling model_base_name",
    ),
    **_setting(values.text, "language"),
    **_setting(values.flag, "translate"),
}

LIMITS: Final[Mapping[str, Key | Section]] = {
    "max_concurrent": _spec("max_concurrent", _unless(0, _COUNT)),
    "retry_after_seconds": _spec("retry_after_s", _unless(0, values.number(0.0, 86_400.0))),
}

TEMPLATE: Final = Section(
    {
        "use_tokenizer_template": Key(Place.TEMPLATE, "use_tokenizer_template", values.flag),
        "reply_prefix": Key(Place.EDIT, "reply_prefix", values.text),
        **_each(
            Place.TEMPLATE,
            values.text,
            "chat",
            "chat_message",
            "completion",
            "edit",
            "function",
            "multimodal",
            "join_chat_messages_by_character",
            "ollama",
        ),
    }
)


def _function(keys: Mapping[str, FunctionKey]) -> dict[str, Key]:
    return {name: Key(Place.FUNCTION, key.field, key.read) for name, key in keys.items()}


FUNCTION: Final = Section(
    {
        **_function(functions.KEYS),
        "grammar": Section(_function(functions.GRAMMAR_KEYS)),
        "disable_peg_parser": Key(Place.INSTEAD, functions.ONE_PARSER, values.flag),
        "return_name_in_function_response": NOTHING,  # it is what LocalAI always does by now
    }
)

REASONING: Final = Section(
    {
        "disable": Key(Place.SETTING, "reasoning_disable", values.flag),
        "strip_reasoning_only": Key(Place.EDIT, "drops_reasoning", values.flag),
        "disable_reasoning_tag_prefill": Key(
            Place.SETTING, "reasoning_never_prefilled", values.flag
        ),
        "thinking_start_tokens": Key(Place.SETTING, "reasoning_start_tokens", _tags),
        "tag_pairs": Key(Place.SETTING, "reasoning_tags", _tag_pairs),
    }
)

ENGINE: Final[Mapping[str, Key | Section]] = {
    "context_size": Key(Place.SETTING, "context_size", values.integer(-1, LARGEST_INTEGER)),
    **_setting(_unless(0, values.integer(0, 4096)), "threads"),
    **_setting(values.integer(-1, LARGEST_INTEGER), "gpu_layers"),
    **_setting(values.flag, "f16", "embeddings", "reranking", "mmap", "mmlock", "low_vram"),
    **_setting(values.flag, "numa", "no_kv_offloading"),
    **_setting(values.text, "main_gpu", "tensor_split", "grammar"),
    **_setting(values.switch, "flash_attention"),
    **_setting(values.one_of(*_CACHE_TYPES), "cache_type_k", "cache_type_v"),
    **_setting(values.one_of("none", "linear", "yarn"), "rope_scaling"),
    **_setting(_REAL, "yarn_ext_factor", "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow"),
    **_setting(_REAL, "lora_scale"),
    **_setting(values.numbers, "lora_scales"),
    **_setting(_unless(0, _COUNT), "n_draft"),
    **_file(values.file, "mmproj", "draft_model", "lora_adapter"),
    **_file(values.files, "lora_adapters"),
    **_MIROSTAT,
    # Engines other than llama.cpp
    **_setting(values.text, "type", "quantization", "dtype"),
    **_setting(values.flag, "cuda", "trust_remote_code"),
    **_setting(_mapping, "tts"),
}

TOP: Final[Mapping[str, Key | Section]] = {
    "name": _spec("name", _name),
    "backend": _spec("backend", _backend),
    "alias": _spec("alias", _name),
    "description": _spec("description", values.text),
    "usage": _spec("usage", values.text),
    "disabled": _spec("disabled", values.flag),
    "pinned": _spec("pinned", values.flag),
    "known_usecases": _spec("known_usecases", _usecases),
    "stopwords": _spec("stop", values.texts),
    "system_prompt": _spec("system_prompt", values.text),
    "messages": _spec("messages", _messages),  # ours, for what Ollama's models begin with
    "license": _spec("license", _license),
    "download_files": _spec("downloads", values.downloads),
    "options": _spec("options", _options),
    "parameters": Section(PARAMETERS),
    "limits": Section(LIMITS),
    "template": TEMPLATE,
    "roles": Key(Place.TEMPLATE, "roles", _texts_by_name),
    "cutstrings": Key(Place.EDIT, "cut", _patterns),
    "extract_regex": Key(Place.EDIT, "extract", _patterns),
    "trimspace": Key(Place.EDIT, "prefixes", values.texts),
    "trimsuffix": Key(Place.EDIT, "suffixes", values.texts),
    "function": FUNCTION,
    "reasoning": REASONING,
    **_setting(values.one_of(*_EFFORTS), "reasoning_effort"),
    **_setting(_mapping, "chat_template_kwargs"),
    **ENGINE,
    # Read by people, galleries and tools
    **_all(
        NOTHING,
        "icon tags urls url config_file known_input_modalities known_output_modalities "
        "feature_flags debug grpc no_mulmatq ngqa rms_norm_eps",
    ),
    # Acted on by LocalAI only
    **_all(
        LATER,
        "concurrency_groups lora_base overrides artifacts mcp agent compression proxy router pii "
        "pii_detection mitm pipeline "
        "prompt_cache_path prompt_cache_all prompt_cache_ro load_format "
        "gpu_memory_utilization enforce_eager swap_space max_model_len tensor_parallel_size "
        "disable_log_stats limit_mm_per_prompt engine_args step cfg_scale diffusers",
    ),
}
