"""Random schemas of everything that a grammar can say."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = ["a", "b", "ab", "name", "größe", 'q"', "x/y", "~"]
PATTERNS = [
    "^[a-z]+$", "^a.b$", "x", "^(foo|bar)-[0-9]{2,3}$", "[0-9]$", '^[^"]*$', "^\\w+\\s\\d*$", "^$",
    "^(a?)*$", "^\\S+@\\S+\\.com$", "é|ü", '^[\\\\"]{1,3}$', "^a|b$", "^.{2}$",
]  # fmt: skip
notes = st.fixed_dictionaries(
    {},
    optional={
        "title": st.just("T"),
        "description": st.just("D"),
        "default": st.just(0),
        "examples": st.just([1]),
        "x-more": st.just({"$ref": "nowhere"}),
    },
)
small = st.integers(0, 4)
values = st.sampled_from(
    [None, True, 0, 1, -3, 2.5, "", 'a "quoted" \\ text', "größe", [1, "x"], {"k": [None]}]
)


def _bounded(
    low: str, high: str, counts: st.SearchStrategy[int]
) -> st.SearchStrategy[dict[str, Any]]:
    pair = st.tuples(counts, counts).map(sorted)
    return st.one_of(
        st.just({}),
        counts.map(lambda count: {low: count}),
        counts.map(lambda count: {high: count}),
        pair.map(lambda both: {low: both[0], high: both[1]}),
    )


lengths = _bounded("minLength", "maxLength", st.integers(0, 12))
strings = st.one_of(
    lengths.map(lambda said: {"type": "string", **said}),
    st.sampled_from(PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.sampled_from(["date", "time", "date-time", "uuid", "email"]).map(
        lambda name: {"type": "string", "format": name}
    ),
    st.just({"type": "string", "pattern": "^[a-z]+$", "maxLength": 5, "minLength": 2}),
    st.just({"type": "string", "pattern": "abc", "maxLength": 8, "minLength": 5}),
)
integers = st.one_of(
    _bounded("minimum", "maximum", st.integers(-200, 1200)).map(
        lambda said: {"type": "integer", **said}
    ),
    _bounded("exclusiveMinimum", "maximum", st.integers(-9, 9)).map(
        lambda said: (
            {"type": "integer", **said}
            if said.get("exclusiveMinimum") != said.get("maximum", "none")
            else {"type": "integer"}
        )
    ),
    st.sampled_from([2, 5, 12]).map(lambda step: {"type": "integer", "multipleOf": step}),
)
numbers = _bounded("minimum", "maximum", st.integers(-3000, 3000)).map(
    lambda said: {"type": "number"} | {keyword: value / 8 for keyword, value in said.items()}
)
scalars = st.one_of(
    strings,
    integers,
    numbers,
    st.sampled_from(
        [{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}, {"const": 7}]
    ),
    st.lists(values, min_size=1, max_size=3).map(lambda listed: {"enum": listed}),
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    @st.composite
    def make(draw: Any) -> dict[str, Any]:
        properties = draw(st.dictionaries(st.sampled_from(NAMES), inner, max_size=4))
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        names = sorted(properties)
        if names:
            schema["required"] = draw(st.lists(st.sampled_from([*names, "more"]), unique=True))
        others = draw(st.sampled_from([None, True, False, {"type": "integer"}]))
        if others is not None:
            schema["additionalProperties"] = others
        if others is False and "more" in schema.get("required", ()):
            schema["required"].remove("more")
        if draw(st.booleans()):
            required = len(schema.get("required", ()))
            schema["maxProperties"] = draw(st.integers(required, required + 3))
        return schema

    return make()


def _arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    @st.composite
    def make(draw: Any) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", **draw(_bounded("minItems", "maxItems", small))}
        if draw(st.booleans()):
            schema["prefixItems"] = draw(st.lists(inner, min_size=1, max_size=2))
        if draw(st.booleans()):
            schema["items"] = draw(inner)
        return schema

    unique = _bounded("minItems", "maxItems", st.integers(0, 3)).map(
        lambda said: {
            "type": "array",
            "items": {"enum": ["x", "y", 3]},
            "uniqueItems": True,
            **said,
        }
    )
    return st.one_of(make(), unique)


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    nullable = inner.map(lambda schema: {"anyOf": [schema, {"type": "null"}]})
    tagged = st.lists(inner, min_size=2, max_size=3).map(
        lambda options: {
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"kind": {"const": f"k{i}"}, "value": option},
                    "required": ["kind"],
                }
                for i, option in enumerate(options)
            ]
        }
    )
    both = inner.map(lambda schema: {"allOf": [schema], "description": "one of one"})
    extended = st.just(
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"a": {"minimum": 3}, "b": {"type": "string"}}},
            ]
        }
    )
    return st.one_of(
        several.map(lambda options: {"anyOf": options}), nullable, tagged, both, extended
    )


def _with_notes(schema: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(schema, notes).map(lambda both: both[0] | both[1])


schemas = st.recursive(
    _with_notes(scalars),
    lambda inner: _with_notes(st.one_of(_objects(inner), _arrays(inner), _combined(inner))),
    max_leaves=5,
)
