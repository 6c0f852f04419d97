"""What installing an entry takes: its build, its files, its model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from localai.catalog.read import parse_yaml
from localai.domain.errors import InvalidRequest
from localai.gallery.entry import Entry, EntryFile
from localai.gallery.index import Base, read_base
from localai.gallery.plan import ChosenEntry, choose, make_plan
from localai.hardware import Gpu

GB = 1_000_000_000
FILE = EntryFile(filename="m.gguf", uri="https://example.org/m.gguf", sha256="a" * 64)


def config(entry: Entry, base: Base | None = None, **overrides: Any) -> dict[str, Any]:
    plan = make_plan(ChosenEntry(entry, ""), base or Base(config={}), overrides, name=entry.name)
    found = yaml.safe_load(plan.model_yaml)
    assert isinstance(found, dict)
    return found


def test_layers_lie_over_each_other_and_lists_are_replaced() -> None:
    base = Base(
        config={"stopwords": ["a", "b"], "f16": True, "parameters": {"top_k": 1, "top_p": 0.5}}
    )
    entry = Entry(
        name="m", config={"stopwords": ["c"]}, files=(FILE,),
        overrides={"parameters": {"model": "m.gguf", "top_k": 2}},
    )  # fmt: skip
    assert config(entry, base, parameters={"top_p": 0.9}) == {
        "name": "m",
        "stopwords": ["c"],
        "f16": True,
        "parameters": {"top_k": 2, "top_p": 0.9, "model": "m.gguf"},
    }


def test_keys_that_bases_write_below_parameters_go_where_they_work() -> None:
    base = read_base(b"config_file: |\n  parameters: {context_size: 8192, f16: true, top_k: 3}\n")
    plan = make_plan(ChosenEntry(Entry(name="m", files=(FILE,)), ""), base, {}, name="m")
    read = parse_yaml(plan.model_yaml, shown="m.yaml", models_path=Path("/models"))
    assert (read.problems, read.warnings) == ((), ())
    (spec,) = read.specs
    assert spec.settings["context_size"] == 8192
    assert spec.settings["f16"] is True
    assert spec.sampling.top_k == 3


def test_the_model_is_the_file_that_is_one() -> None:
    projector = EntryFile(filename="mmproj-m.gguf", uri="https://example.org/p.gguf")
    assert config(Entry(name="m", files=(projector, FILE)))["parameters"] == {"model": "m.gguf"}


def test_a_template_is_kept_to_the_last_character() -> None:
    template = "<|im_start|>{{ .RoleName }}\n{{ .Content }}<|im_end|>\n\n"
    base = Base(config={"template": {"chat": template}})
    assert config(Entry(name="m", files=(FILE,)), base)["template"]["chat"] == template


def test_a_name_of_its_own() -> None:
    plan = make_plan(
        ChosenEntry(Entry(name="m", gallery="g", files=(FILE,)), ""), Base(config={}), {}, name="maker/m"
    )  # fmt: skip
    assert (plan.name, plan.yaml_name, plan.entry_id) == ("maker/m", "maker__m.yaml", "g@m")
    assert yaml.safe_load(plan.model_yaml)["name"] == "maker/m"


def test_an_entry_that_says_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="names no files and no configuration"):
        make_plan(ChosenEntry(Entry(name="m"), ""), Base(config={}), {}, name="m")


def test_problems_of_the_model_file_are_told_before_anything_is_downloaded() -> None:
    entry = Entry(name="m", files=(FILE,), overrides={"threads": "many"})
    with pytest.raises(InvalidRequest, match="threads"):
        make_plan(ChosenEntry(entry, ""), Base(config={}), {}, name="m")


SMALL = Entry(name="m", gallery="g", size_bytes=GB, variants=("m-q8", "m-vllm"), files=(FILE,))
LARGE = Entry(name="m-q8", gallery="g", size_bytes=2 * GB, files=(FILE,))
OTHER = Entry(name="m-vllm", gallery="g", size_bytes=3 * GB, overrides={"backend": "vllm"})


def runs(entry: Entry) -> bool:
    return entry.backend == "llama-cpp"


def test_the_largest_variant_that_fits_and_runs_here() -> None:
    chosen = choose(SMALL, [LARGE, OTHER], 100 * GB, runs)
    assert chosen.entry is LARGE
    assert chosen.why.startswith("m-q8 (2.0 GB): it is the largest of 2 builds that fits")
    assert choose(SMALL, [LARGE, OTHER], 3 * GB, runs).entry is SMALL


@pytest.mark.parametrize(("asked", "entry"), [("m", SMALL), ("M-Q8", LARGE)])
def test_a_variant_that_is_asked_for(asked: str, entry: Entry) -> None:
    assert choose(SMALL, [LARGE], GB, runs, asked=asked).entry is entry


def test_what_computes_on_a_gpu_has_to_fit_into_its_memory() -> None:
    gpu = Gpu(name="NVIDIA L4", memory_bytes=24 * GB, free_bytes=20 * GB)
    chosen = choose(SMALL, [LARGE], 3 * GB, runs, gpu=gpu)
    assert chosen.entry is LARGE
    assert chosen.why.endswith("20.0 GB are free on the GPU (NVIDIA L4).")
    full = Gpu(name="NVIDIA L4", memory_bytes=24 * GB, free_bytes=3 * GB)
    assert choose(SMALL, [LARGE], 100 * GB, runs, gpu=full).entry is SMALL


def test_a_variant_that_does_not_exist_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidRequest) as caught:
        choose(SMALL, [LARGE], GB, runs, asked="q2")
    assert "'m', 'm-q8'" in caught.value.hint


def test_a_quantisation_names_a_variant() -> None:
    files = [EntryFile(filename=f"m-{name}.gguf", uri="https://x/y") for name in ("Q4_K_M", "Q8_0")]
    first, second = (
        Entry(name=f"n{i}", size_bytes=GB, files=(file,)) for i, file in enumerate(files)
    )
    assert choose(first, [second], GB, runs, asked="q8_0").entry is second
