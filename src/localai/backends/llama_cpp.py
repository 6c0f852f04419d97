"""llama.cpp: GGUF models on CPU and GPU. https://github.com/ggml-org/llama.cpp (MIT)

Uses the wheel `xllamacpp`, which carries llama.cpp's own server with continuous batching, prompt
cache and Jinja templates. That server listens on a Unix socket inside the worker's private folder
and wants a random key; `worker.llama_server` speaks to it, as it would to a fork's binary.

Context   `context_size` tokens for each of `parallel` slots, out of one pool of their product, so
          that no request can take the room another was promised.
Devices   what the installed build has; the wheel from PyPI computes on the CPU (docs/howto/gpu.md).
"""

from __future__ import annotations

import difflib
import secrets
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import xllamacpp as x

from localai.domain.errors import SpecInvalid, StartFailed, Unsupported
from localai.wire.functions import function_settings
from localai.wire.messages import LoadRequest, ModelFacts
from localai.worker.llama_devices import device_sentence, missing_card
from localai.worker.llama_server import LlamaServer, LlamaServerTasks, Purpose
from localai.worker.parsers.thinking import ThinkingTags, tags_of_model
from localai.worker.runtime import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MIB = 1 << 20
_DEFAULT_CONTEXT = 4096
_DEFAULT_SLOTS = 4
_MAX_DEVICES = 128  # the length of llama.cpp's tensor_split
_TRUE = frozenset({"true", "1", "yes", "on", "enabled", ""})
_FALSE = frozenset({"false", "0", "no", "off", "disabled"})
_EXPERTS_ON_CPU = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"
_CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl")
_SPECULATIVE = {
    "draft": "DRAFT_SIMPLE",
    "draft-simple": "DRAFT_SIMPLE",
    "draft-eagle3": "DRAFT_EAGLE3",
    "draft-mtp": "DRAFT_MTP",
    "draft-dflash": "DRAFT_DFLASH",
    "draft-dspark": "DRAFT_DSPARK",
    "ngram-simple": "NGRAM_SIMPLE",
    "ngram-map-k": "NGRAM_MAP_K",
    "ngram-map-k4v": "NGRAM_MAP_K4V",
    "ngram-mod": "NGRAM_MOD",
    "ngram-cache": "NGRAM_CACHE",
}


class _BadValue(ValueError):
    """A setting's value cannot be used; the text says what would be."""


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        message = "must be true or false"
        raise _BadValue(message)
    return word in _TRUE


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        message = "must be a whole number"
        raise _BadValue(message) from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        message = "must be a number"
        raise _BadValue(message) from None


def _one_of(choices: Mapping[str, Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return choices[text.strip().lower()]
        except KeyError:
            message = f"must be one of {', '.join(choices)}"
            raise _BadValue(message) from None

    return parse


def _enum(kind: Any, prefix: str, names: Sequence[str]) -> Callable[[str], Any]:
    return _one_of({name: getattr(kind, prefix + name.upper().replace("-", "_")) for name in names})


def _flash_attention(text: str) -> Any:
    word = text.strip().lower()
    prefix = "LLAMA_FLASH_ATTN_TYPE_"
    if word == "auto":
        return getattr(x.llama_flash_attn_type, prefix + "AUTO")
    return getattr(x.llama_flash_attn_type, prefix + ("ENABLED" if _boolean(word) else "DISABLED"))


def _cache_type(text: str) -> Any:
    return _enum(x.ggml_type, "GGML_TYPE_", _CACHE_TYPES)(text)


def _megabytes_per_device(text: str) -> list[int]:
    sizes = [_integer(item) * _MIB for item in text.split(",")]
    return sizes if len(sizes) > 1 else sizes * _MAX_DEVICES


def _fractions(text: str) -> list[float]:
    values = [_number(item) for item in text.split(",") if item.strip()]
    if len(values) > _MAX_DEVICES:
        message = f"must have at most {_MAX_DEVICES} values"
        raise _BadValue(message)
    return values + [0.0] * (_MAX_DEVICES - len(values))


def _speculative_types(text: str) -> list[Any]:
    prefix = "COMMON_SPECULATIVE_TYPE_"
    by_name = {
        word: getattr(x.common_speculative_type, prefix + name)
        for word, name in _SPECULATIVE.items()
    }
    return [_one_of(by_name)(word) for word in text.split(",")] if text != "none" else []


@dataclass(frozen=True, slots=True)
class _Option:
    """One `key:value` option: its names, how its text is read, and where it goes."""

    names: tuple[str, ...]
    parse: Callable[[str], Any]
    target: str  # a dotted path below CommonParams


def _options() -> tuple[_Option, ...]:
    """Every option, LocalAI's documented ones first."""
    pooling = _enum(
        x.llama_pooling_type, "LLAMA_POOLING_TYPE_", ("none", "mean", "cls", "last", "rank")
    )
    split = _enum(x.llama_split_mode, "LLAMA_SPLIT_MODE_", ("none", "layer", "row"))
    reasoning = _enum(
        x.common_reasoning_format,
        "COMMON_REASONING_FORMAT_",
        ("none", "auto", "deepseek", "deepseek-legacy"),
    )
    rows: list[tuple[str, Callable[[str], Any], str]] = [
        ("use_jinja/jinja", _boolean, "use_jinja"),
        ("context_shift", _boolean, "ctx_shift"),
        ("cache_ram", _integer, "cache_ram_mib"),
        ("parallel/n_parallel", _integer, "n_parallel"),
        ("fit_params/fit", _boolean, "fit_params"),
        ("fit_params_target/fit_target", _megabytes_per_device, "fit_params_target"),
        ("fit_params_min_ctx/fit_ctx", _integer, "fit_params_min_ctx"),
        ("n_cache_reuse/cache_reuse", _integer, "n_cache_reuse"),
        ("slot_prompt_similarity/sps", _number, "slot_prompt_similarity"),
        ("swa_full", _boolean, "swa_full"),
        ("cont_batching/continuous_batching", _boolean, "cont_batching"),
        ("kv_unified/unified_kv", _boolean, "kv_unified"),
        ("n_ctx_checkpoints/ctx_checkpoints", _integer, "n_ctx_checkpoints"),
        (
            "checkpoint_min_step/checkpoint_min_spacing/checkpoint_every_nt/checkpoint_every_n_tokens",
            _integer,
            "checkpoint_min_step",
        ),
        ("cache_idle_slots/idle_slots_cache", _boolean, "cache_idle_slots"),
        ("n_ubatch/ubatch", _integer, "n_ubatch"),
        ("threads_batch/n_threads_batch", _integer, "cpuparams_batch.n_threads"),
        ("check_tensors", _boolean, "check_tensors"),
        ("warmup", _boolean, "warmup"),
        ("no_op_offload", _boolean, "no_op_offload"),
        ("split_mode/sm", split, "split_mode"),
        ("override_tensor/tensor_buft_overrides", str, "tensor_buft_overrides"),
        ("pooling_type/pooling", pooling, "pooling_type"),
        ("embd_normalize/embedding_normalize", _integer, "embd_normalize"),
        ("reasoning_format", reasoning, "reasoning_format"),
        ("enable_reasoning/reasoning_budget", _integer, "enable_reasoning"),
        ("prefill_assistant", _boolean, "prefill_assistant"),
        ("mmproj_use_gpu/mmproj_offload", _boolean, "mmproj_use_gpu"),
        ("image_min_tokens", _integer, "image_min_tokens"),
        ("image_max_tokens", _integer, "image_max_tokens"),
        ("verbosity", _integer, "verbosity"),
        ("spec_type/speculative_type", _speculative_types, "speculative.types"),
        ("spec_n_max/draft_max", _integer, "speculative.draft.n_max"),
        ("spec_n_min/draft_min", _integer, "speculative.draft.n_min"),
        ("spec_p_min/draft_p_min", _number, "speculative.draft.p_min"),
        ("spec_p_split", _number, "speculative.draft.p_split"),
        ("spec_ngram_size_n", _integer, "speculative.ngram_simple.size_n"),
        ("spec_ngram_size_m", _integer, "speculative.ngram_simple.size_m"),
        ("spec_ngram_min_hits", _integer, "speculative.ngram_simple.min_hits"),
        ("spec_ngram_mod_n_min", _integer, "speculative.ngram_mod.n_min"),
        ("spec_ngram_mod_n_max", _integer, "speculative.ngram_mod.n_max"),
        ("spec_ngram_mod_n_match", _integer, "speculative.ngram_mod.n_match"),
        ("spec_lookup_cache_static", str, "speculative.ngram_cache.lookup_cache_static"),
        ("spec_lookup_cache_dynamic", str, "speculative.ngram_cache.lookup_cache_dynamic"),
        ("draft_gpu_layers/spec_gpu_layers", _integer, "speculative.draft.n_gpu_layers"),
        ("draft_cache_type_k/spec_cache_type_k", _cache_type, "speculative.draft.cache_type_k"),
        ("draft_cache_type_v/spec_cache_type_v", _cache_type, "speculative.draft.cache_type_v"),
        ("draft_threads/spec_threads", _integer, "speculative.draft.cpuparams.n_threads"),
        (
            "draft_threads_batch/spec_threads_batch",
            _integer,
            "speculative.draft.cpuparams_batch.n_threads",
        ),
        (
            "draft_override_tensor/spec_override_tensor",
            str,
            "speculative.draft.tensor_buft_overrides",
        ),
    ]
    rows += [
        (f"spec_ngram_map_{kind}_{name}", _integer, f"speculative.ngram_map_{kind}.{name}")
        for kind in ("k", "k4v")
        for name in ("size_n", "size_m", "min_hits")
    ]
    return tuple(_Option(tuple(names.split("/")), parse, target) for names, parse, target in rows)


# Options that LocalAI knows and this build of llama.cpp has no switch for.
_NOT_IN_THIS_BUILD = frozenset({"device", "devices", "n_rs_seq", "rs_seq", "draft_ctx_size"})
_RPC = frozenset({"grpc_servers", "rpc_servers"})
_SPECIAL = frozenset(
    {"direct_io", "use_direct_io", "cpu_moe", "n_cpu_moe", "draft_cpu_moe", "draft_n_cpu_moe"}
)


class _Parameters:
    """Builds llama.cpp's parameters from a load request and collects what is wrong with it."""

    def __init__(self, request: LoadRequest) -> None:
        self._settings = dict(request.settings)
        self._options = {name: option for option in _options() for name in option.names}
        self._problems: list[str] = []
        self.warnings: list[str] = []
        self.params = x.CommonParams()
        self.context_size = _DEFAULT_CONTEXT
        self.purpose = Purpose.GENERATE
        self._base(request.model_path)
        self._apply_settings()
        self._apply_options(request.options)
        self._size_context()
        self.gpu_layers = self.params.n_gpu_layers
        self._check_card()
        self.thinking = self._thinking()
        if self._problems:
            message = f"The settings of the model {request.model!r} cannot be used: {'; '.join(self._problems)}."
            raise SpecInvalid(
                message, problems=tuple(self._problems), hint="Correct them in the model file."
            )

    def _base(self, model_path: str) -> None:
        params = self.params
        params.model.path = model_path
        params.ui = False
        params.n_parallel = _DEFAULT_SLOTS
        params.kv_unified = True
        params.cont_batching = True
        params.warmup = (
            False  # the first request warms up just as well, and the start is twice as quick
        )
        params.verbosity = 1  # errors; its warnings come with every request

    def _apply_settings(self) -> None:
        """The model file's engine keys, under LocalAI's names."""
        self.context_size = int(self._settings.get("context_size") or _DEFAULT_CONTEXT)
        settings, params = self._settings, self.params
        rows: list[tuple[str, Callable[[str], Any], str]] = [
            ("parallel", _integer, "n_parallel"),
            ("threads", _integer, "cpuparams.n_threads"),
            ("batch", _integer, "n_batch"),
            ("cache_ram", _integer, "cache_ram_mib"),
            ("gpu_layers", _integer, "n_gpu_layers"),
            ("main_gpu", _integer, "main_gpu"),
            ("tensor_split", _fractions, "tensor_split"),
            ("flash_attention", _flash_attention, "flash_attn_type"),
            ("no_kv_offloading", _boolean, "no_kv_offload"),
            ("low_vram", _boolean, "no_kv_offload"),
            ("cache_type_k", _cache_type, "cache_type_k"),
            ("cache_type_v", _cache_type, "cache_type_v"),
            ("rope_freq_base", _number, "rope_freq_base"),
            ("rope_freq_scale", _number, "rope_freq_scale"),
            ("rope_scaling", _enum(x.llama_rope_scaling_type, "LLAMA_ROPE_SCALING_TYPE_", ("none", "linear", "yarn")),
             "rope_scaling_type"),
            ("yarn_ext_factor", _number, "yarn_ext_factor"),
            ("yarn_attn_factor", _number, "yarn_attn_factor"),
            ("yarn_beta_fast", _number, "yarn_beta_fast"),
            ("yarn_beta_slow", _number, "yarn_beta_slow"),
            ("embeddings", _boolean, "embedding"),
            ("mmproj", str, "mmproj.path"),
        ]  # fmt: skip
        if settings.get("f16") is not None and settings.get("cache_type_k") is None:
            settings["cache_type_k"] = settings["cache_type_v"] = (
                "f16" if settings["f16"] else "f32"
            )
        for key, parse, target in rows:
            if settings.get(key) is not None:
                self._set(key, str(settings[key]), parse, target)
        if _truth(settings.get("numa")):
            params.numa = x.ggml_numa_strategy.GGML_NUMA_STRATEGY_DISTRIBUTE
        params.load_mode = _load_mode(mmap=settings.get("mmap"), mlock=settings.get("mmlock"))
        if _truth(settings.get("reranking")):
            params.embedding = True
            params.pooling_type = x.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
            self.purpose = Purpose.RERANK
        elif _truth(settings.get("embeddings")):
            self.purpose = Purpose.EMBED
        self._add_adapters()
        self._add_draft()
        if settings.get("grpc_servers"):
            self._no_rpc(str(settings["grpc_servers"]))

    def _add_adapters(self) -> None:
        paths = list(self._settings.get("lora_adapters") or [])
        scales = list(self._settings.get("lora_scales") or [])
        if self._settings.get("lora_adapter"):
            paths.insert(0, self._settings["lora_adapter"])
            scales.insert(0, self._settings.get("lora_scale") or 1.0)
        scales += [1.0] * (len(paths) - len(scales))
        for path in paths:
            if not Path(path).is_file():
                self._problems.append(f"lora_adapter: there is no file {Path(path).name!r}")
        if not self._problems:
            self.params.lora_adapters = [
                x.CommonAdapterLoraInfo(str(path), float(scale))
                for path, scale in zip(paths, scales, strict=False)
            ]

    def _add_draft(self) -> None:
        speculative = self.params.speculative
        if self._settings.get("draft_model"):
            speculative.types = _speculative_types("draft-simple")
            speculative.draft.mparams.path = str(self._settings["draft_model"])
        if self._settings.get("n_draft"):
            self._set(
                "n_draft", str(self._settings["n_draft"]), _integer, "speculative.draft.n_max"
            )

    def _apply_options(self, options: Sequence[str]) -> None:
        for text in options:
            name, _, value = text.partition(":")  # the first colon only: values hold host:port
            name = name.strip()
            if name in self._options:
                option = self._options[name]
                self._set(name, value.strip(), option.parse, option.target)
            elif name in _RPC:
                self._no_rpc(value)
            elif name in _SPECIAL:
                self._set_special(name, value.strip())
            elif name in _NOT_IN_THIS_BUILD or name.startswith("-"):
                self.warnings.append(
                    f"The option {name!r} has no effect: this build of llama.cpp cannot be told so."
                )
            else:
                self._warn_unknown(name)

    def _set_special(self, name: str, value: str) -> None:
        overrides = self.params.speculative.draft if name.startswith("draft_") else self.params
        try:
            if name.endswith("n_cpu_moe"):
                layers = [f"blk\\.{layer}{_EXPERTS_ON_CPU}" for layer in range(_integer(value))]
                overrides.tensor_buft_overrides = ",".join(layers)
            elif not _boolean(value):
                return
            elif name.endswith("cpu_moe"):
                overrides.tensor_buft_overrides = _EXPERTS_ON_CPU
            else:
                self.params.load_mode = x.llama_load_mode.LLAMA_LOAD_MODE_DIRECT_IO
        except _BadValue as error:
            self._problems.append(f"{name}: {value!r} {error}")

    def _warn_unknown(self, name: str) -> None:
        known = [*self._options, *_RPC, *_SPECIAL, *_NOT_IN_THIS_BUILD]
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        self.warnings.append(f"The option {name!r} is not known and has no effect.{meant}")

    def _no_rpc(self, servers: str) -> None:
        message = f"This build of llama.cpp cannot use other machines (grpc_servers, or LLAMACPP_GRPC_SERVERS: {servers!r})."
        raise Unsupported(message, feature="grpc_servers", hint="Remove that setting.")

    def _thinking(self) -> ThinkingTags | None:
        """How the model marks what it thinks; None where that shall stay in its text."""
        formats = x.common_reasoning_format
        kept = (
            formats.COMMON_REASONING_FORMAT_NONE,
            formats.COMMON_REASONING_FORMAT_DEEPSEEK_LEGACY,
        )
        tags, warnings = tags_of_model(self._settings)
        self.warnings += warnings
        return None if self.params.reasoning_format in kept else tags

    def _check_card(self) -> None:
        """With `split_mode:none` one card has all layers: `main_gpu`, or below 0 none."""
        if self.params.split_mode == x.llama_split_mode.LLAMA_SPLIT_MODE_NONE:
            self.gpu_layers = self.params.n_gpu_layers if self.params.main_gpu >= 0 else 0
            problem = missing_card(x.get_device_info(), self.params.main_gpu)
            self._problems += [problem] if problem else []

    def _size_context(self) -> None:
        """One pool that gives every slot its full context."""
        params = self.params
        if params.n_parallel < 1:
            self._problems.append(f"parallel: {params.n_parallel} must be at least 1")
            return
        params.n_ctx = self.context_size * params.n_parallel
        if params.kv_unified:
            params.kv_unified_per_slot = self.context_size
        if params.embedding:  # an input must fit in one batch
            params.n_batch = params.n_ubatch = self.context_size

    def _set(self, key: str, text: str, parse: Callable[[str], Any], target: str) -> None:
        try:
            value = parse(text)
            *path, last = target.split(".")
            holder: Any = self.params
            for name in path:
                holder = getattr(holder, name)
            setattr(holder, last, value)
        except _BadValue as error:
            self._problems.append(f"{key}: {text!r} {error}")
        except (OverflowError, TypeError, ValueError, AssertionError) as error:
            self._problems.append(f"{key}: {text!r} is refused by llama.cpp ({error})")


def _truth(value: object) -> bool:
    return value is not None and _boolean(str(value))


def _load_mode(*, mmap: object, mlock: object) -> Any:
    modes = x.llama_load_mode
    mapped, locked = mmap is None or _truth(mmap), _truth(mlock)
    if mapped and locked:
        return modes.LLAMA_LOAD_MODE_MMAP_MLOCK
    if locked:
        return modes.LLAMA_LOAD_MODE_MLOCK
    return modes.LLAMA_LOAD_MODE_MMAP if mapped else modes.LLAMA_LOAD_MODE_NONE


class Backend(LlamaServerTasks):
    """llama.cpp's server inside this process; its tasks are those of any llama-server."""

    def __init__(self, server: Any, client: LlamaServer, facts: ModelFacts, folder: Path) -> None:
        super().__init__(client)
        self._server = server
        self._facts = facts
        self._folder = folder

    @classmethod
    async def load(cls, request: LoadRequest) -> Self:
        """Load the GGUF. Raises SpecInvalid for settings, StartFailed when llama.cpp refuses."""
        began = time.monotonic()
        parameters = _Parameters(request)
        folder = Path(tempfile.mkdtemp(prefix="localai-llama-"))  # mode 0700
        key = secrets.token_urlsafe(32)
        params = parameters.params
        params.hostnames = [str(folder / "engine.sock")]
        params.api_keys = [key]
        try:
            server = await in_thread(x.Server, params)
        except RuntimeError as error:
            shutil.rmtree(folder, ignore_errors=True)
            message = f"llama.cpp could not load {Path(request.model_path).name!r}."
            hint = "The last lines of its log say why."
            raise StartFailed(message, hint=hint) from error
        client = LlamaServer(
            server.listening_address, key=key, slots=params.n_parallel, purpose=parameters.purpose,
            functions=function_settings(request.settings), thinking=parameters.thinking,
        )  # fmt: skip
        properties = await client.properties()
        facts = ModelFacts(
            context_size=properties["default_generation_settings"]["n_ctx"],
            slots=params.n_parallel,
            device=device_sentence(x.get_device_info(), parameters.gpu_layers),
            has_chat_template=bool(properties.get("chat_template")),
            load_ms=(time.monotonic() - began) * 1000,
            fingerprint=f"llama.cpp-{x.__version__}",
            warnings=parameters.warnings,
        )
        return cls(server, client, facts, folder)

    @property
    def facts(self) -> ModelFacts:
        """What llama.cpp says of the model."""
        return self._facts

    async def close(self) -> None:
        """Stop the server and remove its socket."""
        await self._client.close()
        self._server = None
        shutil.rmtree(self._folder, ignore_errors=True)
