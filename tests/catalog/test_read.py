"""Model files in YAML: what they give, and what is said about those that are wrong."""

import time
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localai.catalog import compat
from localai.catalog.compat import Key, Place, Section
from localai.catalog.edits import OutputEdits
from localai.catalog.read import YamlModels, parse_yaml, read_yaml
from localai.catalog.spec import ModelSpec
from localai.domain.downloads import WantedFile
from localai.domain.generation import Sampling

MODELS = Path("/models")


def read(text: str) -> YamlModels:
    return parse_yaml(text, shown="m.yaml", models_path=MODELS)


def one(text: str) -> ModelSpec:
    """Give the only model of a text that has nothing wrong with it."""
    models = read(text)
    assert (models.problems, models.warnings) == ((), ())
    (spec,) = models.specs
    return spec


def problem(text: str) -> str:
    """Give the only problem of a text."""
    models = read(text)
    assert len(models.problems) == 1, models.problems
    return models.problems[0]


def test_a_typical_file() -> None:
    spec = one(
        """
        name: phi
        backend: llama-cpp
        description: A small model
        context_size: 2048
        threads: 6
        f16: true
        mmap: false
        mmproj: projectors/phi.gguf
        stopwords: [<|end|>, <|user|>]
        system_prompt: Be brief.
        known_usecases: [FLAG_CHAT, completion]
        options: ["use_jinja:true", "parallel: 2"]
        limits: {max_concurrent: 3, retry_after_seconds: 2}
        template: {use_tokenizer_template: true}
        parameters:
          model: phi-3.gguf
          temperature: 0
          top_k: 20
          top_p: 0.9
          max_tokens: 100
          seed: 7
          logit_bias: {"12": -1.5}
        """
    )
    assert spec.model_path == MODELS / "phi-3.gguf"
    assert spec.settings == {
        "context_size": 2048,
        "threads": 6,
        "f16": True,
        "mmap": False,
        "mmproj": str(MODELS / "projectors/phi.gguf"),
    }
    assert spec.sampling == Sampling(
        temperature=0.0, top_k=20, top_p=0.9, seed=7, logit_bias={12: -1.5}
    )
    assert spec.stop == ("<|end|>", "<|user|>")
    assert spec.options == ("use_jinja:true", "parallel: 2")
    assert spec.known_usecases == ("chat", "completion")
    assert (spec.max_tokens, spec.max_concurrent, spec.retry_after_s) == (100, 3, 2.0)
    assert (spec.backend, spec.system_prompt) == ("llama-cpp", "Be brief.")
    assert spec.origin == "m.yaml:2"


def test_a_list_gives_several_models() -> None:
    models = read("- {name: a}\n- {name: b, parameters: {model: c.gguf}}\n")
    assert [(spec.name, spec.model_path) for spec in models.specs] == [
        ("a", MODELS / "a"),
        ("b", MODELS / "c.gguf"),
    ]
    assert [spec.origin for spec in models.specs] == ["m.yaml:1", "m.yaml:2"]


def test_several_documents_give_several_models() -> None:
    assert [spec.name for spec in read("name: a\n---\nname: b\n").specs] == ["a", "b"]


def test_an_alias_needs_no_weights() -> None:
    spec = one("name: gpt-4\nalias: phi\n")
    assert (spec.alias, spec.model_path) == ("phi", None)


# ---- leniency


@pytest.mark.parametrize("word", ["true", "yes", "on", "True", "'true'", "1"])
def test_yes_has_many_spellings(word: str) -> None:
    assert one(f"name: a\nf16: {word}\n").settings == {"f16": True}


@pytest.mark.parametrize("word", ["false", "no", "off", "FALSE", "'no'", "0"])
def test_no_has_many_spellings(word: str) -> None:
    assert one(f"name: a\nf16: {word}\n").settings == {"f16": False}


@pytest.mark.parametrize(
    ("written", "meant"),
    [("auto", "auto"), ("true", "on"), ("'on'", "on"), ("disabled", "off"), ("false", "off")],
)
def test_flash_attention_may_be_yes_or_no(written: str, meant: str) -> None:
    assert one(f"name: a\nflash_attention: {written}\n").settings == {"flash_attention": meant}


def test_numbers_may_stand_in_quotes() -> None:
    spec = one("name: a\ncontext_size: '4096'\nparameters: {temperature: '0.5', top_k: 4.0}\n")
    assert spec.settings == {"context_size": 4096}
    assert (spec.sampling.temperature, spec.sampling.top_k) == (0.5, 4)


def test_texts_keep_what_yaml_would_turn_into_something_else() -> None:
    spec = one("name: 1.0\nbackend: no\nstopwords: [yes, 1.50, ~x]\nsystem_prompt: 2024-01-01\n")
    assert (spec.name, spec.backend, spec.system_prompt) == ("1.0", "no", "2024-01-01")
    assert spec.stop == ("yes", "1.50", "~x")


def test_zero_is_a_value_and_nothing_is_not() -> None:
    spec = one("name: a\ngpu_layers: 0\nthreads:\nparameters: {top_k: 0, min_p: 0, top_p: ~}\n")
    assert spec.settings == {"gpu_layers": 0}
    assert spec.sampling == Sampling(top_k=0, min_p=0.0)


@pytest.mark.parametrize("written", ["max_tokens: 0", "max_tokens: -1", "seed: -1"])
def test_localai_words_for_unset_are_unset(written: str) -> None:
    spec = one(f"name: a\nparameters: {{{written}}}\n")
    assert (spec.max_tokens, spec.sampling.seed) == (None, None)


def test_stop_words_of_both_places_add_up() -> None:
    assert one("name: a\nstopwords: [x, y]\nparameters: {stop: [y, z]}\n").stop == ("x", "y", "z")
    assert one("name: a\nstopwords: x\n").stop == ("x",)


def test_options_may_be_written_as_mappings() -> None:
    assert one("name: a\noptions:\n- parallel: 4\n- jinja\n").options == ("parallel:4", "jinja")


def test_anchors_and_merge_keys() -> None:
    models = read(
        "- &base {name: a, context_size: 512, parameters: &p {top_k: 5}}\n"
        "- {<<: *base, name: b}\n"
        "- {<<: [{threads: 2}, *base], name: c, parameters: {<<: *p, top_p: 0.5}}\n"
    )
    assert models.problems == models.warnings == ()
    assert [spec.settings.get("context_size") for spec in models.specs] == [512, 512, 512]
    assert models.specs[1].sampling == Sampling(top_k=5)
    assert models.specs[2].sampling == Sampling(top_k=5, top_p=0.5)


def test_unknown_escapes_stand_for_themselves() -> None:
    assert one('name: a\nstopwords: ["\\d+", "a\\\\b", "\\#"]\n').stop == ("\\d+", "a\\b", "\\#")


def test_kept_mappings_are_plain_values() -> None:
    spec = one("name: a\nchat_template_kwargs: {x: true, y: [1, 2.5, ~, 'no', no]}\n")
    assert spec.settings["chat_template_kwargs"] == {"x": True, "y": [1, 2.5, None, "no", "no"]}


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("huggingface://o/r/dir/w.gguf", "w.gguf"),
        ("https://h.example/a%20b.gguf?download=true", "a b.gguf"),
        ("github:o/r/w.gguf@main", "w.gguf"),
    ],
)
def test_an_address_stands_for_the_file_it_ends_in(address: str, file: str) -> None:
    models = read(f"name: a\nparameters: {{model: '{address}'}}\n")
    assert models.specs[0].model_path == MODELS / file
    assert models.warnings == ()
    assert models.specs[0].downloads == (WantedFile(name=file, uri=address),)


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("huggingface://o/r/w.gguf@v1.0", "w.gguf"),
        ("hf.co/o/r/w.gguf", "w.gguf"),
        ("ollama://llama3.2:1b", "llama3.2-1b.gguf"),
        ("oci://host:5000/team/model:v1", "host-5000-team-model-v1.gguf"),
        ("https://h.example/?id=12", "h.example-id-12.gguf"),
        ("https://h.example/..%2f..%2fx.gguf", "h.example-..-2f..-2fx.gguf"),
        ("https://h.example/.hidden.gguf", "h.example-.hidden.gguf"),
    ],
)
def test_every_address_has_a_file_name(address: str, file: str) -> None:
    models = read(f"name: a\nmmproj: '{address}'\n")
    assert [one.name for one in models.specs[0].downloads] == [file]


def test_a_repository_is_left_to_the_engine() -> None:
    models = read("name: a\nparameters: {model: 'huggingface://o/r'}\n")
    assert models.specs[0].downloads == ()


def test_files_to_download() -> None:
    digest = "a" * 64
    text = "name: a\nparameters: {model: https://h/w.gguf}\ndownload_files:\n"
    models = read(
        f"{text}- {{filename: w.gguf, uri: 'hf://o/r/w.gguf', sha256: {digest}}}\n"
        "- {filename: sub/v.bin, uri: 'https://h/v'}\n"
    )
    assert models.problems == ()
    assert models.specs[0].downloads == (
        WantedFile(name="w.gguf", uri="hf://o/r/w.gguf", sha256=digest),
        WantedFile(name="sub/v.bin", uri="https://h/v"),
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{filename: a.bin}", "`uri`"),
        ("{filename: ../a.bin, uri: x}", "leads out"),
        ("{filename: /a.bin, uri: x}", "absolute"),
        ("{filename: 'https://h/a', uri: x}", "no file"),
        ("{filename: a.bin, uri: x, sha256: beef}", "64"),
        ("{filename: a.bin, uri: x, sha265: beef}", "sha256"),
        ("a.bin", "`filename`"),
    ],
)
def test_files_that_cannot_be_downloaded(written: str, said: str) -> None:
    models = read(f"name: a\ndownload_files:\n- {written}\n")
    assert said in models.problems[0]
    assert models.problems[0].startswith("m.yaml:3: download_files:")


# ---- problems


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x.gguf", "a/../../x", "C:\\x.gguf", "..\\x", "a\\..\\..\\x"]
)
@pytest.mark.parametrize(
    "key", ["parameters: {model: '%s'}", "mmproj: '%s'", "draft_model: '%s'", "lora_adapter: '%s'"]
)
def test_files_stay_in_the_models_folder(path: str, key: str) -> None:
    assert "m.yaml:2: " in problem(f"name: a\n{key % path}\n")


def test_a_name_that_is_no_file_name_needs_a_model() -> None:
    assert "Set `parameters.model`" in problem("name: ../a\n")
    assert one("name: ../a\nparameters: {model: a.gguf}\n").name == "../a"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("context_size: many", "'many' is not a whole number"),
        ("context_size: 1.5", "1.5 is not a whole number"),
        ("context_size: [1]", "this is a list; a whole number is needed"),
        ("context_size: 99999999999", "is outside -1 to 2147483647"),
        ("context_size: .inf", "is not a whole number"),
        ("f16: maybe", "'maybe' is neither true nor false"),
        ("parameters: {top_p: 1.5}", "parameters.top_p: 1.5 is outside 0 to 1"),
        ("parameters: {temperature: nan}", "'nan' is not a number"),
        ("parameters: {temperature: {a: b}}", "this is a mapping; a number is needed"),
        ("parameters: 3", "parameters: a mapping of keys to values is needed"),
        ("parameters: {logit_bias: {x: 1}}", "'x' is not a token id"),
        ("cache_type_k: q3", "'q3' is none of f32,"),
        ("flash_attention: maybe", "is none of auto, on, off"),
        ("backend: ../run", "is no backend"),
        ("stopwords: {a: b}", "a list of texts is needed"),
        ("lora_scales: 1", "a list of numbers is needed"),
        ("chat_template_kwargs: 3", "a mapping is needed"),
    ],
)
def test_a_wrong_value_is_a_problem_with_its_place(line: str, says: str) -> None:
    found = problem(f"name: a\n{line}\n")
    assert found.startswith("m.yaml:2: ")
    assert says in found


@pytest.mark.parametrize("name", ["''", "' '", "~", '"a\\tb"', "x" * 256])
def test_a_model_needs_a_printable_name(name: str) -> None:
    models = read(f"name: {name}\n")
    assert models.specs == ()
    (found,) = models.problems
    assert found.startswith("m.yaml:1: name: ")


def test_every_problem_is_reported_and_the_others_are_read() -> None:
    models = read(
        "- {name: a, context_size: x, f16: x}\n- {name: b}\n- 5\n- {parameters: {top_k: x}}\n"
    )
    assert [spec.name for spec in models.specs] == ["b"]
    assert [text.split(": ")[0] for text in models.problems] == [
        "m.yaml:1", "m.yaml:1", "m.yaml:3", "m.yaml:4", "m.yaml:4",
    ]  # fmt: skip
    assert models.broken == {"a": models.problems[:2]}


def test_models_before_a_syntax_error_are_read() -> None:
    models = read("name: a\n---\nname: [b\n")
    assert [spec.name for spec in models.specs] == ["a"]
    assert "this is not YAML" in models.problems[0]


# ---- warnings


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("contxt_size: 1", "contxt_size: unknown key; did you mean context_size?"),
        ("parameters: {tempreature: 1}", "parameters.tempreature: unknown key; did you mean temp"),
        ("temperature: 1", "temperature: unknown key; it belongs under `parameters:`."),
        ("parameters: {threads: 1}", "it belongs at the top level of the entry."),
        ("limits: {max_concurent: 1}", "did you mean max_concurrent?"),
        ("function: {gramar: {}}", "function.gramar: unknown key; did you mean grammar?"),
        ("zzzzzz: 1", "zzzzzz: unknown key."),
    ],
)
def test_unknown_keys_name_the_nearest_known(text: str, says: str) -> None:
    models = read(f"name: a\n{text}\n")
    assert len(models.specs) == 1
    assert models.warnings[0].startswith("m.yaml:2: ")
    assert says in models.warnings[0]


@pytest.mark.parametrize("text", ["pipeline: {llm: x}", "mcp: {stdio: x}"])
def test_what_only_localai_does_is_a_warning(text: str) -> None:
    models = read(f"name: a\n{text}\n")
    assert len(models.specs) == len(models.warnings) == 1
    assert models.warnings[0].endswith("not acted on by this version.")


def test_how_a_model_thinks() -> None:
    spec = one(
        """
        name: a
        reasoning_effort: MAX
        reasoning:
          disable: true
          strip_reasoning_only: yes
          disable_reasoning_tag_prefill: "true"
          thinking_start_tokens: ["<r>\\n"]
          tag_pairs:
            - start: "<r>"
              end: "</r>"
            - {start: "[R]", end: "[/R]"}
        """
    )
    assert spec.settings == {
        "reasoning_effort": "max",
        "reasoning_disable": True,
        "reasoning_never_prefilled": True,
        "reasoning_start_tokens": ("<r>",),
        "reasoning_tags": (("<r>", "</r>"), ("[R]", "[/R]")),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tag_pairs: <r>", "m.yaml:3: reasoning.tag_pairs: a list"),
        (
            "tag_pairs:\n  - {start: a, end: b}\n  - {start: a}",
            "m.yaml:5: reasoning.tag_pairs: each",
        ),
        ("tag_pairs: [{start: a, end: ''}]", "m.yaml:3: reasoning.tag_pairs: each"),
        ("thinking_start_tokens: ['']", "m.yaml:3: reasoning.thinking_start_tokens: a tag"),
        ("disable: perhaps", "m.yaml:3: reasoning.disable: 'perhaps'"),
    ],
)
def test_wrong_tags_are_told(text: str, says: str) -> None:
    inner = text.replace("\n", "\n  ")
    assert problem(f"name: a\nreasoning:\n  {inner}\n").startswith(says)


def test_what_is_changed_in_answers() -> None:
    spec = one(
        """
        name: a
        cutstrings: ["<.*?>", 'x{2}']
        extract_regex: a+
        trimspace: ["Sure:", ""]
        trimsuffix: [Bye]
        template: {reply_prefix: "> "}
        reasoning: {strip_reasoning_only: true}
        """
    )
    assert spec.edits == OutputEdits(
        cut=("<.*?>", "x{2}"),
        extract=("a+",),
        prefixes=("Sure:", ""),
        suffixes=("Bye",),
        reply_prefix="> ",
        drops_reasoning=True,
    )
    assert one("name: a\ncutstrings: []\nreasoning: {strip_reasoning_only: no}\n").edits is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "cutstrings: ['a(']",
            "m.yaml:2: cutstrings: 'a(' is no pattern that can be used: missing",
        ),
        ("cutstrings:\n  - ok\n  - '*'", "m.yaml:4: cutstrings: '*' is no pattern"),
        ("extract_regex: ['(?=a)']", "m.yaml:2: extract_regex: '(?=a)' is no pattern"),
        ("extract_regex: ['']", "m.yaml:2: extract_regex: a pattern has at least"),
        ("cutstrings: ['(abc){900}']", "too large"),
        ("cutstrings: [{a: b}]", "m.yaml:2: cutstrings: this is a mapping"),
    ],
)
def test_wrong_patterns_are_told(text: str, says: str) -> None:
    assert says in problem(f"name: a\n{text}\n")


@pytest.mark.parametrize("text", ["icon: x.png", "tags: [a]", "function: {}", "tts: ~", "roles:"])
def test_harmless_and_empty_keys_are_silent(text: str) -> None:
    assert one(f"name: a\n{text}\n").name == "a"


def test_a_repeated_key_is_a_warning_and_the_last_counts() -> None:
    models = read("name: a\nf16: true\nf16: false\n")
    assert models.warnings == ("m.yaml:3: f16: is written twice; the last one counts.",)
    assert models.specs[0].settings == {"f16": False}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "[]\n"])
def test_an_empty_file_is_a_warning(text: str) -> None:
    models = read(text)
    assert models.problems == models.specs == ()
    assert models.warnings == ("m.yaml:1: the file holds no model.",)


# ---- files


def test_problems_name_files_below_the_models_folder_shortly(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: [\n")
    assert read_yaml(path, models_path=tmp_path).problems[0].startswith("a.yaml:2: ")
    outside = read_yaml(path, models_path=tmp_path / "models").problems[0]
    assert outside.startswith(f"{path}:2: ")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\r\nf16: true\r\n")
    models = read_yaml(path, models_path=tmp_path)
    assert (models.specs[0].name, models.warnings) == ("a", ())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"name: a\nusage: \xff\n", "a.yaml:2: this is not UTF-8 text"),
        (b"a" * 1_000_001, "a.yaml:1: the file is larger than 1000000 bytes"),
        (b"name: \x00\n", "this is not YAML"),
        (None, "a.yaml:1: the file cannot be read"),
    ],
)
def test_unreadable_files_are_problems(tmp_path: Path, data: bytes | None, says: str) -> None:
    path = tmp_path / "a.yaml"
    if data is not None:
        path.write_bytes(data)
    models = read_yaml(path, models_path=tmp_path)
    assert models.specs == ()
    assert says in models.problems[0]


# ---- hostile files

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
MERGE_BOMB = "- &m0 {k0: v}\n" + "".join(
    f"- &m{level} {{<<: [{','.join([f'*m{level - 1}'] * 40)}], k{level}: v}}\n"
    for level in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "more than 50000 values"),
        (MERGE_BOMB, "more than 50000 values"),
        ("[" * 100_000, "nested deeper than 32"),
        ("{a: " * 100_000, "nested deeper than 32"),
        ("- " * 300_000, "nested deeper than 32"),
        ("a: &a [*a]\n", "stands for nothing"),
        ("a: *nothing\n", "stands for nothing"),
        ("? [a]\n: b\n", "a key must be"),
        ("<<: [1]\n", "needs a mapping"),
        ("a: b\n" * 60_000, "more than 50000 values"),
        ("x: !!python/object/apply:os.system [exit]\n", "name: is missing"),
        ('a: "' + "\\d" * 200 + '"\n', "unknown escapes"),
    ],
)
def test_hostile_files_are_refused_quickly(text: str, says: str) -> None:
    began = time.perf_counter()
    models = read(text)
    assert time.perf_counter() - began < 2.0
    assert any(says in found for found in models.problems)


ALPHABET = "name: a\n-[]{}&*!|>'\"%@`#?,<~\\\t\0\ufeff\u2028é"


@settings(max_examples=300, deadline=None)
@given(st.text() | st.text(ALPHABET, max_size=60))
def test_no_text_is_too_strange(text: str) -> None:
    models = read(text)
    assert models.specs or models.problems or models.warnings


def keys_and_values() -> st.SearchStrategy[str]:
    words = st.sampled_from(
        ["0", "-1", "1e400", "true", "''", "[]", "{}", "[1, x]", "{a: 1}", "../x", "nan", "q8_0"]
    )
    lines = [
        st.builds(f"{name}: {{}}".format, words)
        if isinstance(key, Key)
        else st.builds(f"{name}: {{{{{inner}: {{}}}}}}".format, words)
        for name, key in compat.TOP.items()
        for inner in (key.keys if isinstance(key, Section) else [""])
    ]
    return st.lists(st.one_of(lines), max_size=6).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(keys_and_values())
def test_any_value_of_any_key_is_read_or_refused(text: str) -> None:
    models = read(f"name: a\n{text}\n")
    assert models.specs or models.problems


# ---- tables


def test_every_key_goes_somewhere_that_exists() -> None:
    spec_fields = {field.name for field in fields(ModelSpec)} | {"model"}
    sampling_fields = {field.name for field in fields(Sampling)}
    for section in (compat.TOP, compat.PARAMETERS, compat.LIMITS):
        for name, key in section.items():
            if isinstance(key, Key) and key.place is Place.SPEC:
                assert key.name in spec_fields, name
            if isinstance(key, Key) and key.place is Place.SAMPLING:
                assert key.name in sampling_fields, name


def test_every_sampling_value_can_be_set_in_a_file() -> None:
    reachable = {key.name for key in compat.PARAMETERS.values() if isinstance(key, Key)}
    assert {field.name for field in fields(Sampling)} <= reachable
