"""What fills the gaps of requests and specs."""

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.catalog.defaults import complete, memory_bytes, over, with_defaults
from localai.catalog.gguf import GgufFacts, read_gguf
from localai.catalog.prompts import prompt_templates
from localai.catalog.spec import ModelSpec
from localai.domain.errors import ModelFileInvalid, SpecInvalid
from localai.domain.generation import (
    MEDIA_MARKER,
    Chat,
    Completion,
    Edit,
    GenerationRequest,
    Grammar,
    JsonValue,
    PlainText,
    Prompt,
    Sampling,
    ToolSpec,
)
from localai.domain.parts import Media, MediaKind, Message, Role, Text
from localai.hardware import Hardware
from tests.gguf_maker import make_tiny_llama

GIB = 1 << 30
ROOMY = Hardware(cores=6, memory_bytes=64 * GIB, available_bytes=60 * GIB)


def message(role: Role, text: str) -> Message:
    return Message(role=role, parts=(Text(text=text),))


USER = message(Role.USER, "Hi")
CHAT = GenerationRequest(model="m", prompt=Chat(messages=(USER,)))


@pytest.fixture
def facts(tmp_path: Path) -> GgufFacts:
    return read_gguf(make_tiny_llama(tmp_path / "m.gguf", context_length=131_072))


# ---- requests

NUMBERS = st.none() | st.just(0) | st.integers(0, 9)
SAMPLINGS = st.fixed_dictionaries({field.name: NUMBERS for field in fields(Sampling)}).map(
    lambda values: Sampling(**values)
)


@given(SAMPLINGS, SAMPLINGS)
def test_a_request_goes_over_its_spec_field_by_field(first: Sampling, second: Sampling) -> None:
    merged = over(first, second)
    for field in fields(Sampling):
        asked = getattr(first, field.name)
        expected = asked if asked is not None else getattr(second, field.name)
        assert getattr(merged, field.name) == expected


def test_limits_and_stops() -> None:
    spec = ModelSpec(name="m", max_tokens=50, stop=("a", "b"), sampling=Sampling(top_k=3))
    filled = with_defaults(replace(CHAT, stop=("b", "c")), spec)
    assert (filled.max_tokens, filled.stop) == (50, ("a", "b", "c"))
    assert filled.sampling.top_k == 3
    assert with_defaults(replace(CHAT, max_tokens=0), spec).max_tokens == 0


def test_the_system_prompt_goes_first_unless_there_is_one() -> None:
    spec = ModelSpec(name="m", system_prompt="Be brief.")
    filled = with_defaults(CHAT, spec).prompt
    assert filled == Chat(messages=(message(Role.SYSTEM, "Be brief."), USER))
    for role in (Role.SYSTEM, Role.DEVELOPER):
        own = Chat(messages=(USER, message(role, "Mine")))
        assert with_defaults(replace(CHAT, prompt=own), spec).prompt is own


def test_a_model_begins_its_conversations() -> None:
    given = (("user", "Hi"), ("assistant", "Ahoy!"))
    begun = (Message(role=Role.USER, parts=(Text(text="Hi"),)), Message(role=Role.ASSISTANT, parts=(Text(text="Ahoy!"),)))  # fmt: skip
    spec = ModelSpec(name="m", system_prompt="Be brief.", messages=given)
    system = Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),))
    assert with_defaults(CHAT, spec).prompt == Chat(messages=(system, *begun, USER))
    own = Message(role=Role.SYSTEM, parts=(Text(text="Be long."),))
    asked = replace(CHAT, prompt=Chat(messages=(own, USER)))
    assert with_defaults(asked, spec).prompt == Chat(messages=(own, *begun, USER))


def test_an_edit_becomes_a_conversation() -> None:
    edit = replace(CHAT, prompt=Edit(instruction="Fix it", text="teh"))
    plain = with_defaults(edit, ModelSpec(name="m")).prompt
    assert plain == Chat(messages=(message(Role.USER, "Fix it\n\nteh"),))
    led = with_defaults(edit, ModelSpec(name="m", system_prompt="S")).prompt
    assert isinstance(led, Chat)
    assert [entry.role for entry in led.messages] == [Role.SYSTEM, Role.USER]
    bare = replace(CHAT, prompt=Edit(instruction="Sing", text=""))
    assert with_defaults(bare, ModelSpec(name="m")).prompt == Chat(
        messages=(message(Role.USER, "Sing"),)
    )


def test_a_completion_stays_as_it_is() -> None:
    prompt = Completion(text="Once")
    spec = ModelSpec(name="m", system_prompt="S")
    assert with_defaults(replace(CHAT, prompt=prompt), spec).prompt is prompt


def test_media_go_with_the_prompt_that_has_their_places() -> None:
    picture = Media(kind=MediaKind.IMAGE, media_type="image/png", data=b"1")
    look = Message(role=Role.USER, parts=(Text(text="Look"), picture))
    asked = replace(CHAT, prompt=Chat(messages=(look, USER)))

    def prompt(**section: str) -> Prompt:
        spec = ModelSpec(name="m", origin="m.yaml:1", templates=prompt_templates(section))
        return with_defaults(asked, spec).prompt

    kept = prompt(chat="{{.Input}}|")
    assert kept == Completion(text=f"{MEDIA_MARKER}Look\nHi|", is_chat=True, media=(picture,))
    with pytest.raises(SpecInvalid, match="0 places for 1") as failed:
        prompt(chat_message="{{.RoleName}}")
    assert "m.yaml:1" in failed.value.sentence
    with pytest.raises(SpecInvalid, match="2 places for 1"):
        prompt(chat="{{.Input}}{{.Input}}")
    assert with_defaults(asked, ModelSpec(name="m")).prompt == asked.prompt


def test_effort_and_grammar_of_the_file_are_defaults() -> None:
    spec = ModelSpec(name="m", settings={"reasoning_effort": "low", "grammar": "root ::= x"})
    filled = with_defaults(CHAT, spec)
    assert (filled.reasoning_effort, filled.output) == ("low", Grammar(gbnf="root ::= x"))
    asked = replace(CHAT, reasoning_effort="high", output=JsonValue())
    filled = with_defaults(asked, spec)
    assert (filled.reasoning_effort, filled.output) == ("high", JsonValue())
    with_tools = replace(CHAT, tools=(ToolSpec(name="t"),))
    assert with_defaults(with_tools, spec).output == PlainText()


def variables(spec: ModelSpec, effort: str | None = None, **asked: object) -> dict[str, object]:
    """The template variables that a request with these of its own gets."""
    options = {"chat_template_kwargs": json.dumps(asked)} if asked else {}
    request = replace(CHAT, reasoning_effort=effort, engine_options=options)
    filled = with_defaults(request, spec).engine_options.get("chat_template_kwargs", "{}")
    found: dict[str, object] = json.loads(filled)
    return found


def test_template_variables_of_the_file_give_way_to_the_request() -> None:
    said = {"enable_thinking": False, "style": "dry"}
    spec = ModelSpec(name="m", settings={"chat_template_kwargs": said})
    assert variables(spec) == said
    assert variables(spec, "high") == {"style": "dry"}
    assert variables(spec, style="wet") == {"enable_thinking": False, "style": "wet"}
    assert variables(spec, "none", enable_thinking=True) == {
        "style": "dry",
        "enable_thinking": True,
    }


def test_thinking_that_is_switched_off_stays_off() -> None:
    spec = ModelSpec(name="m", settings={"reasoning_disable": True, "reasoning_effort": "high"})
    assert variables(spec, "high", enable_thinking=True) == {"enable_thinking": False}
    asked = replace(CHAT, reasoning_effort="high", engine_options={"thinking_budget_tokens": "9"})
    filled = with_defaults(asked, spec)
    assert filled.reasoning_effort == "none"
    assert "thinking_budget_tokens" not in filled.engine_options


def test_template_variables_of_file_and_request_are_merged() -> None:
    key = "chat_template_kwargs"
    spec = ModelSpec(name="m", settings={key: {"thinking": True, "style": "old"}})
    assert json.loads(with_defaults(CHAT, spec).engine_options[key])["thinking"] is True
    asked = replace(CHAT, engine_options={key: '{"style": "new"}', "other": "x"})
    options = with_defaults(asked, spec).engine_options
    assert json.loads(options[key]) == {"thinking": True, "style": "new"}
    assert options["other"] == "x"
    assert with_defaults(asked, ModelSpec(name="m")).engine_options is asked.engine_options


# ---- specs


def test_a_bare_spec_is_completed(facts: GgufFacts) -> None:
    spec = complete(ModelSpec(name="m", model_path=facts.path), facts, ROOMY)
    assert spec.backend == "llama-cpp"
    assert spec.settings == {
        "context_size": 8192,
        "threads": 6,
        "parallel": 4,
        "cache_ram": 6144,
    }
    assert spec.sampling == Sampling(temperature=0.9, top_p=0.95, top_k=40, min_p=0.0)


def test_yaml_goes_over_the_operator_and_both_over_guesses(facts: GgufFacts) -> None:
    app = {"context_size": 1024, "threads": 3, "f16": True, "parallel": 2}
    spec = complete(ModelSpec(name="m"), facts, ROOMY, **app)
    assert spec.settings == app | {"cache_ram": 6144}
    written = {"context_size": 512, "threads": 1, "f16": False, "parallel": 1}
    said = ModelSpec(name="m", backend="llama", settings=written)
    spec = complete(said, facts, ROOMY, **app)
    assert (spec.settings, spec.backend) == (written | {"cache_ram": 6144}, "llama")


def test_the_family_fills_what_the_file_leaves_open(facts: GgufFacts) -> None:
    said = ModelSpec(name="Phi-4", sampling=Sampling(temperature=0.0))
    sampling = complete(said, facts, ROOMY).sampling
    assert (sampling.temperature, sampling.top_k, sampling.repeat_penalty) == (0.0, -1, 1.0)


@pytest.mark.parametrize(
    "known",
    [
        {"name": "mine", "model_path": Path("/models/phi-4-Q4_K_M.gguf")},
        {"name": "phi-4"},
    ],
)
def test_the_family_is_told_by_model_and_file_name(
    facts: GgufFacts, known: dict[str, object]
) -> None:
    assert complete(ModelSpec(**known), facts, ROOMY).sampling.temperature == 0.8


def test_the_family_is_told_by_the_weights(facts: GgufFacts) -> None:
    named = replace(facts, name="Phi 4")
    assert complete(ModelSpec(name="m"), named, ROOMY).sampling.temperature == 0.8
    built = replace(facts, name="", architecture="gemma3")
    assert complete(ModelSpec(name="m"), built, ROOMY).sampling.top_k == 64


@pytest.mark.parametrize(
    ("kind", "says"), [("adapter", "LoRA"), ("mmproj", "projector"), ("imatrix", "'imatrix'")]
)
def test_what_is_no_model_is_refused(facts: GgufFacts, kind: str, says: str) -> None:
    with pytest.raises(ModelFileInvalid, match=says):
        complete(ModelSpec(name="m"), replace(facts, kind=kind), ROOMY)


# ---- context size


def context(facts: GgufFacts, settings: dict[str, object] | None = None, **app: object) -> int:
    spec = ModelSpec(name="m", settings=settings or {})
    return complete(spec, facts, ROOMY, **app).settings["context_size"]


def test_the_context_size_follows_its_rules(facts: GgufFacts) -> None:
    trained = replace(facts, context_length=3000)
    unknown = replace(facts, context_length=0)
    assert context(facts) == 8192
    assert context(trained) == 3000
    assert context(unknown) == 4096
    assert context(facts, {"context_size": -1}) == 131_072
    assert context(trained, {"context_size": 9000}) == 9000
    assert context(trained, {"context_size": 0}) == 3000
    assert context(trained, context_size=9000) == 3000
    assert context(trained, {"rope_scaling": "yarn"}, context_size=9000) == 9000
    assert context(facts, context_size=-1) == 131_072
    assert context(unknown, context_size=9000) == 9000
    assert context(facts, disable_guessing=True) == 4096
    assert context(trained, disable_guessing=True) == 3000


def test_a_caller_gets_more_context_where_nobody_set_it(facts: GgufFacts) -> None:
    trained = replace(facts, context_length=20_000)
    assert context(trained, asked_context=12_000) == 12_000
    assert context(trained, asked_context=30_000) == 20_000
    assert context(trained, asked_context=100) == 8192
    assert context(trained, {"context_size": 512}, asked_context=12_000) == 512
    assert context(trained, context_size=1024, asked_context=12_000) == 1024
    assert context(trained, disable_guessing=True, asked_context=5000) == 5000
    assert context(replace(facts, context_length=0), asked_context=9000) == 9000


def test_a_caller_gets_as_much_context_as_the_memory_holds(facts: GgufFacts) -> None:
    light = replace(facts, size_bytes=0)
    spec = ModelSpec(name="m")

    def given(room: int, asked: int) -> int:
        free = memory_bytes(spec, light, room)
        hardware = Hardware(cores=1, memory_bytes=free, available_bytes=free)
        done = complete(spec, light, hardware, asked_context=asked).settings
        return int(done["context_size"])

    assert given(20_000, 20_000) == 20_000
    assert given(20_000, 21_500) == 21_500 - 2 * 1024
    assert given(8_200, 20_000) == 8192
    assert given(4_500, 20_000) == 4096


@pytest.mark.parametrize(
    ("share", "expected"), [(1.0, 8192), (0.99, 6144), (0.7, 4096), (0.45, 2048), (0.01, 2048)]
)
def test_the_context_shrinks_until_it_fits(facts: GgufFacts, share: float, expected: int) -> None:
    light = replace(facts, size_bytes=0)
    spec = ModelSpec(name="m")
    free = int(memory_bytes(spec, light, 8192) * share)
    hardware = Hardware(cores=1, memory_bytes=free, available_bytes=free)
    assert complete(spec, light, hardware).settings["context_size"] == expected


def test_unknown_memory_is_no_reason_to_shrink(facts: GgufFacts) -> None:
    hardware = Hardware(cores=1, memory_bytes=0, available_bytes=0)
    assert complete(ModelSpec(name="m"), facts, hardware).settings["context_size"] == 8192


def test_slots_give_way_before_the_context_does(facts: GgufFacts) -> None:
    light = replace(facts, size_bytes=0)
    one_slot = memory_bytes(ModelSpec(name="m"), light, 8192)

    def chosen(share: float, *options: str, **settings: object) -> tuple[int, int]:
        free = int(one_slot * share) + 8
        hardware = Hardware(cores=1, memory_bytes=free, available_bytes=free)
        spec = ModelSpec(name="m", options=options, settings=settings)
        done = complete(spec, light, hardware).settings
        return done["context_size"], done["parallel"]

    assert chosen(4.0) == (8192, 4)
    assert chosen(3.9) == (8192, 3)
    assert chosen(1.0) == (8192, 1)
    assert chosen(0.6) == (4096, 1)
    assert chosen(2.1, context_size=4096) == (4096, 4)
    assert chosen(1.0, context_size=4096) == (4096, 2)
    assert chosen(1.0, parallel=2) == (4096, 2)
    assert chosen(1.0, "parallel:4")[0] == 2048
    assert chosen(1.0, "parallel:many")[0] == 8192


def test_memory_counts_weights_and_cache_types(facts: GgufFacts) -> None:
    def cache(**settings: object) -> float:
        spec = ModelSpec(name="m", settings=settings)
        return memory_bytes(spec, facts, 1000) / 1.2 - facts.size_bytes

    plain = facts.kv_bytes(1000)
    assert cache() == pytest.approx(plain, abs=2)
    small = cache(cache_type_k="q8_0", cache_type_v="q8_0")
    assert small == pytest.approx(plain * 34 / 64, abs=2)


def test_the_file_says_that_a_model_embeds_or_ranks(facts: GgufFacts) -> None:
    def purpose(pooling: str | None, **settings: object) -> tuple[object, object]:
        spec = ModelSpec(name="m", settings=settings)
        done = complete(spec, replace(facts, pooling=pooling), ROOMY).settings
        return done.get("embeddings"), done.get("reranking")

    assert purpose(None) == (None, None)
    assert purpose("mean") == (True, None)
    assert purpose("rank") == (None, True)
    assert purpose("last", embeddings=False) == (False, None)
