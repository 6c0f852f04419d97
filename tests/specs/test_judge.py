"""The judge finds what is wrong, and nothing in its files is there for no reason."""

from __future__ import annotations

import copy
import json
from functools import cache
from typing import Any

import pytest

from localai.http.answers import SSE
from tests.specs.books import schemas
from tests.specs.extensions import EXTENSIONS, Extension
from tests.specs.judge import Judge
from tests.specs.own import description
from tests.specs.reduce import HERE, ORIGINS, Reducer
from tests.specs.replies import ANSWERS, BY_TYPE, OURS, UNPUBLISHED, Sent, published
from tests.specs.samples import golden, golden_answers, others

BOOK = {
    "Thing": {
        "allOf": [
            {"$ref": "#/components/schemas/Named"},
            {
                "type": "object",
                "properties": {
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
                    "any": {"type": "object"},
                },
                "required": ["parts"],
            },
        ]
    },
    "Named": {"type": "object", "properties": {"name": {"type": "string"}}},
    "Part": {
        "oneOf": [
            {"$ref": "#/components/schemas/Named"},
            {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
        ]
    },
    "StartEvent": {"type": "object", "properties": {"type": {"const": "start"}}},
}
THING: dict[str, Any] = {"name": "a", "parts": [{"name": "b"}, {"n": 1}], "any": {"x": 1}}


def test_a_value_that_fits() -> None:
    Judge(BOOK).check("Thing", THING)


@pytest.mark.parametrize(
    ("place", "key", "value", "said"),
    [
        ((), "more", 1, "'more' was unexpected"),
        ((), "name", 5, "$.name: 5 is not of type"),
        (("parts", 0), "more", 1, "$.parts[0]"),
        (("parts", 1), "n", "x", "$.parts[1].n"),
        (("parts", 1), "name", "both", "$.parts[1]"),
        ((), "parts", None, "$.parts"),
    ],
)
def test_a_value_that_does_not(place: tuple[Any, ...], key: str, value: Any, said: str) -> None:
    wrong = copy.deepcopy(THING)
    at = wrong
    for step in place:
        at = at[step]
    at[key] = value
    judge = Judge(BOOK)
    assert said in "\\n".join(judge.violations("Thing", wrong))
    with pytest.raises(AssertionError, match="not a Thing"):
        judge.check("Thing", wrong)


def test_events_are_told_apart_by_their_type() -> None:
    assert Judge(BOOK).event("start") == "StartEvent"
    with pytest.raises(AssertionError, match="no event 'stop'"):
        Judge(BOOK).event("stop")


def test_every_schema_of_an_answer_exists() -> None:
    for answers in ANSWERS.values():
        for answer in answers:
            named = {answer.whole, answer.piece} - {"", BY_TYPE}
            assert named <= schemas(answer.spec).keys()


def test_every_answer_is_described_by_somebody_or_the_reason_is_known() -> None:
    foreign = {
        operation.name
        for operation in description().operations
        if operation.described["tags"][0] not in OURS
        and {"application/json", SSE} & operation.described["responses"]["200"]["content"].keys()
    }
    assert not ANSWERS.keys() & UNPUBLISHED.keys()
    assert foreign == ANSWERS.keys() | UNPUBLISHED.keys()


@pytest.mark.parametrize("spec", ORIGINS)
def test_a_description_is_as_its_maker_makes_it(spec: str) -> None:
    whole = json.loads((HERE / f"{spec}.json").read_text())
    origin = ORIGINS[spec]
    assert whole["origin"]["commit"] == origin.commit
    schemas = whole["components"]["schemas"]
    roots = [*origin.roots, *(name for name in schemas if name.endswith("StreamingEvent"))]
    assert Reducer(whole).reduced(roots) == schemas
    assert (HERE / f"{spec}.LICENSE").read_text()


@cache
def sent() -> tuple[Sent, ...]:
    """Give values that we send."""
    replies = [reply for name, path in golden_answers() for reply in golden(name, path)]
    return tuple(one for reply in (*replies, *others()) for one in published(reply))


@pytest.mark.parametrize("extension", EXTENSIONS, ids=lambda one: f"{one.spec} {one.schema}")
def test_an_extension_ends_with_its_reason(extension: Extension) -> None:
    without = [one for one in EXTENSIONS if one.spec == extension.spec and one is not extension]
    judge = Judge(schemas(extension.spec), without)
    values = [one for one in sent() if one.spec == extension.spec]
    assert any(judge.violations(one.schema, one.value) for one in values), "nothing needs it"
