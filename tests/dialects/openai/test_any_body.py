"""Whatever bytes come in, the answer is a call or an error that names what is wrong."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localai.dialects.openai import requests
from localai.dialects.openai.requests import ChatBody, CompletionBody, EditBody
from localai.domain.errors import InvalidRequest, RequestError
from tests.dialects.golden_files import ORIGIN, plain
from tests.dialects.openai.golden import ENDPOINTS, REQUESTS

BODIES = {"chat": ChatBody, "completions": CompletionBody, "edits": EditBody}
NAMES = sorted({name for body in BODIES.values() for name in body.__struct_encode_fields__})
LEAST = {
    "chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "completions": {"prompt": "Hi"},
    "edits": {"instruction": "Fix."},
}
VALID = [
    (case["endpoint"], case["body"])
    for path in REQUESTS
    for case in json.loads(path.read_text())
    if isinstance(case["body"], dict)
]

endpoints = st.sampled_from(sorted(ENDPOINTS))
numbers = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, -1, 5.0, 1e300, 2**31, 2**63, 2**64])
)
keys = st.sampled_from(
    [*NAMES, "type", "role", "content", "text", "function", "name", "schema", "id", "tools"]
)
words = st.text(max_size=5) | st.sampled_from(["user", "tool", "function", "text", "auto", "{}"])
anything = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def check(endpoint: str, body: bytes) -> None:
    try:
        call = ENDPOINTS[endpoint].decode(body, ORIGIN)
    except RequestError as error:
        assert error.message
        assert error.sentence.endswith(".")
        reply = ENDPOINTS[endpoint].error(error)
        assert reply.status == 400
        spelled = json.loads(reply.body)["error"]
        assert spelled["message"] == error.sentence
        assert spelled["param"] == error.fields["param"]
        return
    assert call.requests
    json.dumps([plain(one, bytes.hex) for one in call.requests], ensure_ascii=False).encode()
    call.whole_encoder("llama")
    if call.streams:
        call.stream_encoder("llama")


@given(endpoints, st.binary(max_size=60))
@example("chat", b"\xef\xbb\xbf{}")
@example("chat", b'{"messages": [{"role": "user", "content": "\\ud800"}]}')
@example("chat", b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}')
@example(
    "chat",
    b'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:"}]}]}',
)
@example("completions", b'{"prompt": "a", "temperature": NaN}')
@example("completions", b'{"prompt": "a", "temperature": Infinity}')
@example("completions", b'{"prompt": "a", "n": 1e400}')
@example("completions", b'{"prompt": "a", "n": ' + b"9" * 5000 + b"}")
@example("completions", b'{"prompt": "a", "seed": -' + b"9" * 400 + b"}")
@example("completions", b'{"prompt": "a", "prompt": 5}')
@example("completions", b'{"prompt": "\\u0000"}')
def test_any_bytes(endpoint: str, body: bytes) -> None:
    check(endpoint, body)


@given(endpoints, anything)
def test_any_json(endpoint: str, value: Any) -> None:
    check(endpoint, json.dumps(value).encode())


@given(endpoints, st.dictionaries(keys, anything, max_size=6))
def test_any_fields(endpoint: str, fields: dict[str, Any]) -> None:
    check(endpoint, json.dumps(LEAST[endpoint] | fields).encode())


@settings(max_examples=300)
@given(st.sampled_from(VALID), st.data())
def test_any_change_of_a_body(case: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
    endpoint, body = case
    changed = json.loads(json.dumps(body))
    place, key = changed, data.draw(st.sampled_from(sorted(changed)))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else [0]))
    place[key] = data.draw(anything)
    check(endpoint, json.dumps(changed).encode())


@given(st.sampled_from(VALID), st.integers(0, 10_000), st.integers(0, 255))
def test_any_change_of_a_byte(case: tuple[str, Any], place: int, byte: int) -> None:
    body = bytearray(json.dumps(case[1]).encode())
    body[place % len(body)] = byte
    check(case[0], bytes(body))


@pytest.mark.parametrize("depth", [50, 2_000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize(
    "name", ["ignored", "prompt", "stop", "response_format", "grammar_json_functions"]
)
def test_any_depth(name: str, opening: bytes, closing: bytes, depth: int) -> None:
    nested = opening * depth + b"1" + closing * depth
    body = b'{"prompt": "Hi", "%s": %s}' % (name.encode(), nested)
    check("completions", body)
    check("completions", body[: len(body) // 2])
    check("completions", nested)
    check("completions", body.replace(b"1", b"1.5"))


@pytest.mark.parametrize("body", [b"", b" ", b"nonsense", b"{", b"[1]", b"null", b"\xff", b'"a"'])
@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_a_body_that_is_no_object_says_so(endpoint: str, body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ENDPOINTS[endpoint].decode(body, ORIGIN)
    assert caught.value.message.startswith("failed parsing request body:")
    assert caught.value.fields["param"] is None


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_every_optional_field_accepts_null(endpoint: str) -> None:
    nulls = {
        field.name: None for field in msgspec.structs.fields(BODIES[endpoint]) if not field.required
    }
    with_nulls = ENDPOINTS[endpoint].decode(json.dumps(LEAST[endpoint] | nulls).encode(), ORIGIN)
    without = ENDPOINTS[endpoint].decode(json.dumps(LEAST[endpoint]).encode(), ORIGIN)
    assert with_nulls == without


@pytest.mark.parametrize("endpoint", sorted(ENDPOINTS))
def test_every_limit_is_enforced_at_its_edge(endpoint: str) -> None:
    properties = msgspec.json.schema(BODIES[endpoint])["$defs"][BODIES[endpoint].__name__]
    limited = 0
    for name, schema in properties["properties"].items():
        for edge, step in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0)):
            if edge not in schema:
                continue
            limited += 1
            body = LEAST[endpoint] | {name: schema[edge] + step}
            with pytest.raises(InvalidRequest) as caught:
                ENDPOINTS[endpoint].decode(json.dumps(body).encode(), ORIGIN)
            assert caught.value.fields["param"] == name
            assert str(schema[edge]) in caught.value.message
    assert limited > 30


def test_a_schema_can_be_made_of_every_body() -> None:
    schemas, _ = msgspec.json.schema_components(BODIES.values())
    assert json.dumps(schemas)


def test_every_field_of_a_body_is_described() -> None:
    undescribed = {"messages", "prompt", "stream_options"}
    for body in BODIES.values():
        schema = msgspec.json.schema(body)["$defs"][body.__name__]["properties"]
        assert {name for name, field in schema.items() if "description" not in field} <= undescribed
    assert requests.__doc__
