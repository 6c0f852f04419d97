"""llama.cpp's settings and options: each is read, arrives in the engine and still generates."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from localai.domain.errors import LocalAIError, SpecInvalid, StartFailed, Unsupported
from localai.domain.events import Failed, Finished
from localai.engines.manifest import Manifest
from localai.wire.messages import LoadRequest
from localai.worker.llama_devices import device_sentence, missing_card
from tests.backends.lone import complete, loaded, run
from tests.gguf_maker import Shape, make_scripted, make_tiny_llama
from tests.live import PATIENCE_S

llama_cpp = pytest.importorskip("localai.backends.llama_cpp", reason="xllamacpp is not installed")
ENTRY = Manifest().find("llama-cpp")
SPOKEN = ["This ", "is ", "it."]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    make_tiny_llama(folder / "tiny.gguf", context_length=4096)
    make_tiny_llama(folder / "draft.gguf", shape=Shape(layers=1), context_length=4096, seed=3)
    make_scripted(folder / "words.gguf", SPOKEN)
    make_lora(folder / "lora.gguf")
    (folder / "torn.gguf").write_bytes((folder / "tiny.gguf").read_bytes()[:300_000])
    return folder


def make_lora(path: Path, *, layers: int = 2, width: int = 256, rank: int = 4) -> None:
    """A LoRA adapter of `make_tiny_llama` with large random weights."""
    random = np.random.default_rng(5)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 16.0)
    for layer in range(layers):
        for part, out in (("attn_q", width), ("ffn_up", 2 * width)):
            for letter, dims in (("a", (rank, width)), ("b", (out, rank))):
                values = random.standard_normal(dims).astype(np.float32) * 0.3
                writer.add_tensor(f"blk.{layer}.{part}.weight.lora_{letter}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def parameters(*options: str, **settings: Any) -> Any:
    order = LoadRequest(model="m", model_path="m.gguf", options=list(options), settings=settings)
    return llama_cpp._Parameters(order)


def at(holder: Any, path: str) -> Any:
    for name in path.split("."):
        holder = getattr(holder, name)
    return holder


# ---- options, read


@pytest.mark.parametrize(
    ("names", "value", "target", "expected"),
    [
        ("use_jinja/jinja", "false", "use_jinja", False),
        ("context_shift", "true", "ctx_shift", True),
        ("cache_ram", "2048", "cache_ram_mib", 2048),
        ("cache_ram", "-1", "cache_ram_mib", -1),
        ("parallel/n_parallel", "3", "n_parallel", 3),
        ("fit_params/fit", "false", "fit_params", False),
        ("fit_params_min_ctx/fit_ctx", "2048", "fit_params_min_ctx", 2048),
        ("n_cache_reuse/cache_reuse", "256", "n_cache_reuse", 256),
        ("slot_prompt_similarity/sps", "0.5", "slot_prompt_similarity", 0.5),
        ("slot_prompt_similarity/sps", "0", "slot_prompt_similarity", 0.0),
        ("n_ubatch/ubatch", "128", "n_ubatch", 128),
        ("swa_full", "1", "swa_full", True),
        ("kv_unified/unified_kv", "off", "kv_unified", False),
        ("spec_n_max/draft_max", "7", "speculative.draft.n_max", 7),
        ("spec_p_min/draft_p_min", "0.25", "speculative.draft.p_min", 0.25),
        ("threads_batch/n_threads_batch", "2", "cpuparams_batch.n_threads", 2),
        ("enable_reasoning/reasoning_budget", "0", "enable_reasoning", 0),
    ],
)  # fmt: skip
def test_an_option_arrives_by_each_of_its_names(
    names: str, value: str, target: str, expected: Any
) -> None:
    for name in names.split("/"):
        for text in (f"{name}:{value}", f" {name} : {value} "):
            made = parameters(text)
            assert at(made.params, target) == pytest.approx(expected)
            assert made.warnings == []


def test_the_margin_of_fitting_is_in_megabytes() -> None:
    for name in ("fit_params_target", "fit_target"):
        assert list(parameters(f"{name}:2048").params.fit_params_target)[:2] == [2048 << 20] * 2


def test_every_name_of_every_option_is_its_own() -> None:
    names = [name for option in llama_cpp._options() for name in option.names]
    names += [*llama_cpp._RPC, *llama_cpp._SPECIAL, *llama_cpp._NOT_IN_THIS_BUILD]
    assert len(set(names)) == len(names)


def test_every_option_has_a_place_in_this_build() -> None:
    params = parameters().params
    for option in llama_cpp._options():
        at(params, option.target)  # raises AttributeError


def test_an_option_without_a_value_is_a_yes() -> None:
    assert parameters("context_shift").params.ctx_shift is True
    with pytest.raises(SpecInvalid):
        parameters("cache_ram")


def test_the_last_of_two_options_counts() -> None:
    assert parameters("parallel:2", "n_parallel:3").params.n_parallel == 3


def test_an_explicit_option_wins_over_the_setting_of_the_server() -> None:
    """LLAMACPP_PARALLEL arrives as the setting `parallel`, an explicit 1 in the YAML wins."""
    assert parameters(parallel=4).params.n_parallel == 4
    assert parameters("parallel:1", parallel=4).params.n_parallel == 1


def test_an_unknown_option_is_warned_of_with_the_nearest_name() -> None:
    made = parameters("paralel:4", "nonsense_xyz:1")
    assert any("'paralel'" in text and "'parallel'" in text for text in made.warnings)
    assert any("'nonsense_xyz'" in text for text in made.warnings)


def test_an_option_of_another_build_is_warned_of() -> None:
    assert any("'device'" in text for text in parameters("device:CUDA0").warnings)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("parallel:many", ("parallel", "'many'", "whole number")),
        ("parallel:0", ("parallel", "at least 1")),
        ("parallel:-3", ("parallel", "at least 1")),
        ("cache_ram:1.5", ("cache_ram", "whole number")),
        ("sps:high", ("sps", "number")),
        ("jinja:perhaps", ("jinja", "true or false")),
        ("spec_type:magic", ("spec_type", "draft")),
        ("split_mode:sideways", ("split_mode", "layer")),
        ("cache_ram:99999999999999999999", ("cache_ram",)),
    ],
)
def test_a_wrong_value_is_told(option: str, words: tuple[str, ...]) -> None:
    with pytest.raises(SpecInvalid) as caught:
        parameters(option)
    for word in words:
        assert word in caught.value.message
    assert caught.value.hint


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SpecInvalid) as caught:
        parameters("parallel:x", "sps:y", cache_type_k="q3_x")
    assert len(caught.value.fields["problems"]) == 3


def test_other_machines_are_not_for_this_build() -> None:
    for made in (lambda: parameters("grpc_servers:10.0.0.1:50052,b:50052"), lambda: parameters("rpc_servers:a:1"),
                 lambda: parameters(grpc_servers="a:1")):  # fmt: skip
        with pytest.raises(Unsupported, match="cannot use other machines"):
            made()


# ---- settings, read


@pytest.mark.parametrize(
    ("setting", "target", "expected"),
    [
        ({"threads": 3}, "cpuparams.n_threads", 3),
        ({"batch": 64}, "n_batch", 64),
        ({"gpu_layers": 5}, "n_gpu_layers", 5),
        ({"main_gpu": "1"}, "main_gpu", 1),
        ({"no_kv_offloading": True}, "no_kv_offload", True),
        ({"low_vram": True}, "no_kv_offload", True),
        ({"rope_freq_base": 5000.0}, "rope_freq_base", 5000.0),
        ({"rope_freq_scale": 0.5}, "rope_freq_scale", 0.5),
        ({"yarn_ext_factor": 0.5}, "yarn_ext_factor", 0.5),
        ({"yarn_beta_slow": 2.0}, "yarn_beta_slow", 2.0),
        ({"embeddings": True}, "embedding", True),
        ({"n_draft": 9}, "speculative.draft.n_max", 9),
    ],
)
def test_a_setting_arrives(setting: dict[str, Any], target: str, expected: Any) -> None:
    assert at(parameters(**setting).params, target) == pytest.approx(expected)


def test_settings_that_are_words() -> None:
    x = llama_cpp.x
    assert (
        parameters(flash_attention="on").params.flash_attn_type
        == x.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    )
    assert (
        parameters(flash_attention="off").params.flash_attn_type
        == x.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    assert parameters(cache_type_k="q8_0").params.cache_type_k == x.ggml_type.GGML_TYPE_Q8_0
    assert parameters(f16=False).params.cache_type_v == x.ggml_type.GGML_TYPE_F32
    assert (
        parameters(f16=True, cache_type_k="q4_0").params.cache_type_k == x.ggml_type.GGML_TYPE_Q4_0
    )
    assert (
        parameters(rope_scaling="yarn").params.rope_scaling_type
        == x.llama_rope_scaling_type.LLAMA_ROPE_SCALING_TYPE_YARN
    )
    assert parameters(numa=True).params.numa == x.ggml_numa_strategy.GGML_NUMA_STRATEGY_DISTRIBUTE
    assert list(parameters(tensor_split="0.7,0.3").params.tensor_split)[:3] == pytest.approx(
        [0.7, 0.3, 0.0]
    )


@pytest.mark.parametrize(
    ("mmap", "mmlock", "mode"),
    [
        (None, None, "MMAP"),
        (True, False, "MMAP"),
        (False, None, "NONE"),
        (None, True, "MMAP_MLOCK"),
        (False, True, "MLOCK"),
    ],
)
def test_how_the_file_is_read(mmap: Any, mmlock: Any, mode: str) -> None:
    wanted = getattr(llama_cpp.x.llama_load_mode, f"LLAMA_LOAD_MODE_{mode}")
    assert parameters(mmap=mmap, mmlock=mmlock).params.load_mode == wanted


def test_every_slot_has_its_whole_context() -> None:
    params = parameters("parallel:3", context_size=1000).params
    assert params.n_ctx == 3000
    assert params.kv_unified_per_slot == 1000


def test_an_adapter_that_is_not_there() -> None:
    with pytest.raises(SpecInvalid, match=r"nothing\.gguf"):
        parameters(lora_adapter="/somewhere/nothing.gguf")


# ---- loaded for real


def said(
    weights: Path, *options: str, model: str = "words.gguf", text: str = "Hi\n", **settings: Any
) -> str:
    """What the model says with these settings at temperature 0."""
    found: list[str] = []

    async def test() -> None:
        usual = {"context_size": 512, "threads": 1}
        async with loaded(
            ENTRY, weights / model, options=("parallel:1", *options), **(usual | settings)
        ) as lone:
            assert [text for text in lone.facts.warnings if "Did you mean" in text] == []
            found.append(await lone.say(complete(text, max_tokens=24)))

    run(test())
    return found[0]


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (
            [
                "use_jinja:true",
                "context_shift:true",
                "cache_ram:64",
                "fit_params:false",
                "cache_reuse:16",
                "sps:0.5",
            ],
            {},
        ),
        (
            [
                "fit:true",
                "fit_target:64",
                "fit_ctx:256",
                "warmup:true",
                "check_tensors:true",
                "swa_full:true",
            ],
            {},
        ),
        (
            [
                "kv_unified:false",
                "n_ubatch:32",
                "threads_batch:2",
                "ctx_checkpoints:2",
                "no_op_offload:true",
            ],
            {},
        ),
        ([], {"cache_type_k": "q8_0", "cache_type_v": "q8_0", "flash_attention": "on"}),
        ([], {"cache_type_k": "q4_0", "flash_attention": "off", "f16": True}),
        ([], {"f16": False, "mmap": False, "numa": True}),
        (["direct_io:true", "n_cpu_moe:1"], {}),
        ([], {"mmlock": True, "no_kv_offloading": True, "low_vram": True, "gpu_layers": 99}),
        (
            [],
            {
                "rope_scaling": "yarn",
                "rope_freq_base": 10000.0,
                "rope_freq_scale": 0.5,
                "yarn_ext_factor": 1.0,
            },
        ),
        ([], {"batch": 16, "main_gpu": "0", "tensor_split": "1,0"}),
        (["spec_type:ngram-simple", "spec_ngram_size_n:2", "spec_ngram_size_m:3"], {}),
    ],
    ids=lambda value: "+".join(value) if value else None,
)
def test_it_loads_and_says_the_same(
    weights: Path, options: list[str], settings: dict[str, Any]
) -> None:
    assert said(weights, *options, **settings) == "".join(SPOKEN)


def test_an_adapter_changes_what_is_said(weights: Path) -> None:
    usual = said(weights, model="tiny.gguf")
    lora = str(weights / "lora.gguf")
    assert said(weights, model="tiny.gguf", lora_adapter=lora) != usual
    assert said(weights, model="tiny.gguf", lora_adapters=[lora], lora_scales=[0.0]) == usual


def test_a_draft_model_changes_nothing_but_the_speed(weights: Path) -> None:
    usual = said(weights, model="tiny.gguf")
    draft = str(weights / "draft.gguf")
    assert said(weights, model="tiny.gguf", draft_model=draft, n_draft=4) == usual


def test_facts_are_those_of_the_engine(weights: Path) -> None:
    async def test() -> None:
        async with loaded(
            ENTRY,
            weights / "tiny.gguf",
            options=("parallel:3", "paralel:1"),
            context_size=700,
            threads=1,
        ) as lone:
            assert lone.facts.slots == 3
            assert 700 <= lone.facts.context_size <= 768  # llama.cpp rounds up to 256 or so
            assert lone.facts.has_chat_template
            assert "CPU" in lone.facts.device
            assert any("paralel" in text for text in lone.facts.warnings)
            events = await asyncio.gather(
                *(lone.events(complete(f"{number}", max_tokens=4)) for number in range(5))
            )
            assert all(isinstance(answer[-1], Finished) for answer in events)

    run(test())


def test_context_shift_goes_on_beyond_the_context(weights: Path) -> None:
    async def test() -> None:
        async with loaded(
            ENTRY,
            weights / "tiny.gguf",
            options=("parallel:1", "context_shift:true"),
            context_size=256,
            threads=1,
        ) as lone:
            last = (await lone.events(complete("Hi", max_tokens=400, ignore_eos=True)))[-1]
            assert isinstance(last, Finished | Failed)
            assert isinstance(last, Finished)
            assert last.usage.completion_tokens == 400

    run(test())


@pytest.mark.parametrize("name", ["torn.gguf", "nothing.gguf", "lora.gguf"])
def test_what_cannot_be_loaded_is_told(weights: Path, name: str) -> None:
    async def test() -> None:
        with pytest.raises(LocalAIError) as caught:
            async with (
                asyncio.timeout(PATIENCE_S),
                loaded(ENTRY, weights / name, context_size=256),
            ):
                pass
        assert isinstance(caught.value, StartFailed)
        assert name in caught.value.message

    run(test())


def test_a_prompt_that_is_too_long_is_the_callers(weights: Path) -> None:
    async def test() -> None:
        async with loaded(
            ENTRY, weights / "tiny.gguf", options=("parallel:1",), context_size=256, threads=1
        ) as lone:
            last = (await lone.events(complete("x" * 1000, max_tokens=1)))[-1]
            assert isinstance(last, Failed)
            assert last.error.kind == "context_too_long"
            assert last.error.fields["requested"] == 1000

    run(test())


def test_where_a_model_computes_is_told() -> None:
    kinds = llama_cpp.x.ggml_backend_dev_type
    cpu = {"name": "CPU", "description": "a processor", "type": kinds.GGML_BACKEND_DEVICE_TYPE_CPU}
    card = {"name": "CUDA0", "description": "a card", "type": kinds.GGML_BACKEND_DEVICE_TYPE_GPU}

    tell = device_sentence
    assert tell([cpu], -1) == "CPU, because this build of llama.cpp found no other device"
    assert tell([card, cpu], -1) == tell([card, cpu], 7) == "CUDA0 (a card)"
    off = "CPU, because the model file keeps all layers from CUDA0 (a card)"
    assert tell([card, cpu], 0) == off


def test_a_card_that_is_not_there_is_told() -> None:
    with pytest.raises(SpecInvalid, match="there is no GPU 7"):
        llama_cpp._Parameters(
            LoadRequest(model="m", model_path="x.gguf", settings={"main_gpu": "7"}, options=["split_mode:none"])
        )  # fmt: skip
    kinds = llama_cpp.x.ggml_backend_dev_type
    cards = [
        {"name": f"CUDA{n}", "description": "a card", "type": kinds.GGML_BACKEND_DEVICE_TYPE_GPU}
        for n in range(2)
    ]
    assert missing_card(cards, 1) == missing_card([], 0) == missing_card(cards, -1) == ""
    assert missing_card(cards, 2).endswith("no GPU 2; 0 is CUDA0 (a card), 1 is CUDA1 (a card)")
