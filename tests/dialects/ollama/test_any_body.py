"""Whatever bytes come in, the answer is a call or an error that names what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localai.dialects.ollama import EmbedEndpoint, decode_show
from localai.dialects.ollama.requests import ChatBody, EmbedBody, GenerateBody, Options, ShowBody
from localai.domain.errors import InvalidRequest, RequestError
from tests.dialects.golden_files import ORIGIN
from tests.dialects.ollama.golden import ENDPOINTS, REQUESTS, plain

BODIES: dict[str, type[msgspec.Struct]] = {
    "chat": ChatBody,
    "generate": GenerateBody,
    "embed": EmbedBody,
    "show": ShowBody,
}
NAMES = sorted(
    {name for body in (*BODIES.values(), Options) for name in body.__struct_encode_fields__}
)
LEAST: dict[str, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "generate": {"prompt": "Hi"},
    "embed": {"input": "Hi"},
    "show": {"model": "llama"},
}
READERS: dict[str, Callable[[bytes], Any]] = {
    **{name: lambda body, it=it: it.decode(body, ORIGIN) for name, it in ENDPOINTS.items()},
    "embed": lambda body: EmbedEndpoint().decode(body, ORIGIN),
    "show": decode_show,
}
VALID = [
    (case["endpoint"], case["body"])
    for path in REQUESTS
    for case in json.loads(path.read_text())
    if isinstance(case["body"], dict)
]

endpoints = st.sampled_from(sorted(READERS))
numbers = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, -1, 5.0, 1e300, 2**31, 2**63, 2**64])
)
keys = st.sampled_from([*NAMES, "role", "content", "function", "name", "arguments", "tool_name"])
words = st.text(max_size=5) | st.sampled_from(["user", "tool", "json", "5m", "-1", "{}", "iVBO"])
anything = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def check(endpoint: str, body: bytes) -> None:
    try:
        call = READERS[endpoint](body)
    except RequestError as error:
        assert error.message
        assert error.sentence.endswith(".")
        reply = ENDPOINTS["chat"].error(error)
        assert reply.status == 400
        assert json.loads(reply.body) == {"error": error.sentence}
        return
    if endpoint not in ENDPOINTS:
        assert call.model is not None
        return
    assert len(call.requests) == 1
    json.dumps(plain(call.requests[0]), ensure_ascii=False).encode()
    assert call.keep_alive_s is None or call.keep_alive_s >= 0
    call.whole_encoder("llama")
    call.stream_encoder("llama")
    json.loads(call.loaded("llama"))


@given(endpoints, st.binary(max_size=60))
@example("chat", b"\xef\xbb\xbf{}")
@example("chat", b'{"messages": [{"role": "user", "content": "\\ud800"}]}')
@example("chat", b'{"messages": [{"role": "user", "content": "\xed\xa0\x80"}]}')
@example("chat", b'{"messages": [{"role": "user", "images": ["\\ud83d\\ude00"]}]}')
@example("generate", b'{"prompt": "a", "options": {"temperature": NaN}}')
@example("generate", b'{"prompt": "a", "options": {"num_predict": 1e400}}')
@example("generate", b'{"prompt": "a", "keep_alive": 1e308}')
@example("generate", b'{"prompt": "a", "keep_alive": "' + b"9h" * 500 + b'"}')
@example("generate", b'{"prompt": "a", "options": {"seed": -' + b"9" * 400 + b"}}")
@example("generate", b'{"prompt": "a", "prompt": 5}')
@example("generate", b'{"prompt": "\\u0000"}')
def test_any_bytes(endpoint: str, body: bytes) -> None:
    check(endpoint, body)


@given(endpoints, anything)
def test_any_json(endpoint: str, value: Any) -> None:
    check(endpoint, json.dumps(value).encode())


@given(endpoints, st.dictionaries(keys, anything, max_size=6))
def test_any_fields(endpoint: str, fields: dict[str, Any]) -> None:
    check(endpoint, json.dumps(LEAST[endpoint] | fields).encode())


@given(st.dictionaries(keys, anything, max_size=6))
def test_any_options(fields: dict[str, Any]) -> None:
    check("generate", json.dumps({"prompt": "Hi", "options": fields}).encode())


@settings(max_examples=200)
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
@pytest.mark.parametrize("name", ["ignored", "prompt", "options", "format", "context"])
def test_any_depth(name: str, opening: bytes, closing: bytes, depth: int) -> None:
    nested = opening * depth + b"1" + closing * depth
    body = b'{"prompt": "Hi", "%s": %s}' % (name.encode(), nested)
    check("generate", body)
    check("generate", body[: len(body) // 2])
    check("generate", nested)
    check("generate", body.replace(b"1", b"1.5"))


@pytest.mark.parametrize("body", [b"", b" ", b"nonsense", b"{", b"[1]", b"null", b"\xff", b'"a"'])
@pytest.mark.parametrize("endpoint", sorted(READERS))
def test_a_body_that_is_no_object_says_so(endpoint: str, body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        READERS[endpoint](body)
    assert caught.value.message.startswith("failed parsing request body:")


@pytest.mark.parametrize("endpoint", sorted(READERS))
def test_every_optional_field_accepts_null(endpoint: str) -> None:
    nulls = {field.name: None for field in msgspec.structs.fields(BODIES[endpoint])}
    with_nulls = READERS[endpoint](json.dumps(nulls | LEAST[endpoint]).encode())
    assert with_nulls == READERS[endpoint](json.dumps(LEAST[endpoint]).encode())


def test_every_limit_is_enforced_at_its_edge() -> None:
    limited = 0
    properties = msgspec.json.schema(Options)["$defs"]["Options"]["properties"]
    for name, schema in properties.items():
        for edge, step in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0)):
            if edge not in schema:
                continue
            limited += 1
            body = {"prompt": "Hi", "options": {name: schema[edge] + step}}
            with pytest.raises(InvalidRequest) as caught:
                READERS["generate"](json.dumps(body).encode())
            assert caught.value.fields["param"] == f"options.{name}"
            assert str(schema[edge]) in caught.value.message
    assert limited > 30


def test_a_schema_can_be_made_of_every_body() -> None:
    schemas, _ = msgspec.json.schema_components(BODIES.values())
    assert json.dumps(schemas)


def test_every_field_of_a_body_is_described() -> None:
    for body in (*BODIES.values(), Options):
        schema = msgspec.json.schema(body)["$defs"][body.__name__]["properties"]
        assert [name for name, field in schema.items() if "description" not in field] == []
