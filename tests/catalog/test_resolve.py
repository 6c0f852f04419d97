"""The choice of a model by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localai.catalog.resolve import resolve
from localai.catalog.spec import Catalog, ModelSpec
from localai.domain.errors import (
    InvalidRequest,
    LocalAIError,
    ModelDisabled,
    ModelNotFound,
    SpecInvalid,
)


def catalog(*specs: ModelSpec, **others: object) -> Catalog:
    return Catalog(specs={spec.name: spec for spec in specs}, **others)


A, B, C = (ModelSpec(name=name) for name in "abc")
ALIAS = ModelSpec(name="gpt-4", alias="b")
OFF = ModelSpec(name="off", disabled=True)
EMBED = ModelSpec(name="aa-embed", known_usecases=("embeddings",))
RANK = ModelSpec(name="aa-rank", settings={"reranking": True})
TWO = catalog(A, B, file_names={"b.gguf": "b", "weights": "b"})


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("a", "a"),
        ("b.gguf", "b"),
        ("weights", "b"),
        ("a:latest", "a"),
        ("b.gguf:latest", "b"),
        (" a ", "a"),
    ],
)
def test_a_name_or_file_name_is_found(asked: str, found: str) -> None:
    assert resolve(asked, TWO).name == found


def test_an_exact_name_goes_before_a_shortened_one() -> None:
    tagged = ModelSpec(name="a:latest")
    assert resolve("a:latest", catalog(A, tagged)) is tagged


def test_an_alias_leads_to_its_target() -> None:
    assert resolve("gpt-4", catalog(A, B, ALIAS)) is B
    by_file = ModelSpec(name="x", alias="b.gguf")
    assert resolve("x", catalog(A, B, by_file, file_names={"b.gguf": "b"})) is B


@pytest.mark.parametrize(
    ("target", "says"), [(None, "is not installed"), ("gpt-4", "is an alias itself")]
)
def test_an_alias_that_leads_nowhere_is_the_files_fault(target: str | None, says: str) -> None:
    specs = [A, B, ALIAS, ModelSpec(name="x", alias=target or "missing")]
    with pytest.raises(InvalidRequest, match=says):
        resolve("x", catalog(*specs))


def test_the_only_model_answers_to_every_name() -> None:
    for others in ([], [OFF], [ModelSpec(name="gpt-4", alias="a")]):
        assert resolve("whatever", catalog(A, *others)) is A
        assert resolve("", catalog(A, *others)) is A


def test_a_disabled_model_is_refused() -> None:
    with pytest.raises(ModelDisabled):
        resolve("off", catalog(A, OFF))
    with pytest.raises(ModelDisabled):
        resolve("x", catalog(A, OFF, ModelSpec(name="x", alias="off")))


def test_a_request_without_a_name_gets_the_hinted_or_the_first_that_chats() -> None:
    several = catalog(RANK, EMBED, OFF, C, B)
    assert resolve("", several).name == "b"
    assert resolve("", several, hint="c").name == "c"
    assert resolve("", several, hint="c.*").name == "b"
    assert resolve("b", several, hint="c").name == "b"
    with pytest.raises(ModelNotFound):
        resolve("", catalog(RANK, EMBED))


def test_an_unknown_name_comes_with_near_ones() -> None:
    names = ("llama-3-8b", "Qwen3-4B", "llama-3-70b")
    known = catalog(*(ModelSpec(name=name) for name in names), file_names={"q4b.gguf": "Qwen3-4B"})
    with pytest.raises(ModelNotFound) as caught:
        resolve("lama-3-8B", known)
    assert caught.value.fields["near"] == ["llama-3-8b", "llama-3-70b"]
    with pytest.raises(ModelNotFound) as caught:
        resolve("qwen3-4b", known)
    assert caught.value.fields["near"][0] == "Qwen3-4B"


def test_nothing_installed_is_not_found() -> None:
    for name in ("", "a"):
        with pytest.raises(ModelNotFound):
            resolve(name, Catalog())


def test_a_model_whose_file_has_problems_says_so() -> None:
    broken = {"bad": ("bad.yaml:2: f16: 'x' is neither true nor false.",)}
    with pytest.raises(SpecInvalid) as caught:
        resolve("bad", catalog(A, B, broken=broken))
    assert caught.value.fields["problems"] == list(broken["bad"])
    with pytest.raises(SpecInvalid):
        resolve("bad", catalog(A, broken=broken))


NAMES = st.sampled_from(["a", "b", "c", "gpt", "a.gguf", "off", ""]) | st.text(max_size=300)
SPECS = st.builds(
    ModelSpec,
    name=NAMES,
    alias=st.none() | NAMES,
    disabled=st.booleans(),
    known_usecases=st.sampled_from([(), ("chat",), ("embeddings",)]),
)


@given(st.lists(SPECS, max_size=5), st.dictionaries(NAMES, NAMES, max_size=3), NAMES, NAMES)
def test_the_answer_is_a_usable_model_or_a_known_error(
    specs: list[ModelSpec], file_names: dict[str, str], name: str, hint: str
) -> None:
    known = catalog(*specs, file_names=file_names)
    try:
        found = resolve(name, known, hint=hint)
    except LocalAIError as error:
        assert isinstance(error, ModelNotFound | ModelDisabled | InvalidRequest)
    else:
        assert found in specs
        assert not found.disabled
        assert found.alias is None


def test_only_models_that_serve_the_task_are_thought_of() -> None:
    found = catalog(*(ModelSpec(name=name) for name in ("hears", "chats", "speaks")))
    for name in ("hears", "speaks"):
        for asked in ("", "whisper-1"):
            chosen = resolve(asked, found, serves=lambda one, name=name: one.name == name)
            assert chosen.name == name
    with pytest.raises(ModelNotFound):
        resolve("whisper-1", found, serves=lambda one: one.name != "chats")
    assert resolve("chats", found, serves=lambda one: one.name == "hears").name == "chats"
