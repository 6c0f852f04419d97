"""Whatever bytes come in, the answer is a call or an error that names what is wrong."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localai.dialects.anthropic.requests import FOREIGN_BLOCKS, MessagesBody, PromptBody
from localai.domain.errors import InvalidRequest, RequestError, Unsupported
from localai.domain.generation import Chat
from tests.dialects.anthropic.golden import COUNT, ENDPOINT, REQUESTS, shown
from tests.dialects.golden_files import ORIGIN

LEAST: dict[str, Any] = {"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}
CASES = [case for path in REQUESTS for case in json.loads(path.read_text())]
VALID = [case["body"] for case in CASES if isinstance(case["body"], dict) and case["body"]]

numbers = (
    st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, -1, 5.0, 1e300, 2**31, 2**63, 2**64])
)
keys = st.sampled_from(
    [
        *MessagesBody.__struct_encode_fields__,
        *("type", "role", "content", "text", "source", "data", "media_type", "name", "id"),
        *("input", "tool_use_id", "budget_tokens", "display", "schema", "format", "effort"),
    ]
)
words = st.text(max_size=5) | st.sampled_from(
    [
        *("user", "assistant", "text", "image", "document", "tool_use", "tool_result", "thinking"),
        *("base64", "url", "auto", "any", "enabled", "json_schema", "server_tool_use", "AAAA"),
    ]
)
anything = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def check(body: bytes) -> None:
    try:
        call = ENDPOINT.decode(body, ORIGIN)
    except RequestError as error:
        assert error.sentence.endswith(".")
        param = error.fields["param"]
        assert param is None or error.message.startswith((param, param.rpartition(".")[0]))
        reply = ENDPOINT.error(error)
        assert reply.status == 400
        assert json.loads(reply.body)["error"]["message"] == error.sentence
        return
    (request,) = call.requests
    json.dumps(shown(request), ensure_ascii=False).encode()
    call.whole_encoder("llama")
    call.stream_encoder("llama")
    COUNT.decode(body, ORIGIN)


@given(st.binary(max_size=60))
@example(b"\xef\xbb\xbf{}")
@example(b'{"max_tokens": 5, "messages": [{"role": "user", "content": "\\ud800"}]}')
@example(b'{"max_tokens": 5, "messages": [{"role": "user", "content": "\xed\xa0\x80"}]}')
@example(b'{"max_tokens": NaN, "messages": []}')
@example(b'{"max_tokens": 1e400, "messages": []}')
@example(b'{"max_tokens": ' + b"9" * 5000 + b', "messages": []}')
@example(b'{"max_tokens": 5, "max_tokens": 6, "messages": []}')
@example(
    b'{"max_tokens": 5, "messages": [{"role": "user", "content": [{"type": "a"}]}], "messages": []}'
)
@example(b'{"max_tokens": 0, "max_tokens": "a", "messages": []}')
@example(b'{"max_tokens": 5.5, "messages": 1e999}')
def test_any_bytes(body: bytes) -> None:
    check(body)


@given(anything)
def test_any_json(value: Any) -> None:
    check(json.dumps(value).encode())


@given(st.dictionaries(keys, anything, max_size=6))
def test_any_fields(fields: dict[str, Any]) -> None:
    check(json.dumps(LEAST | fields).encode())


@settings(max_examples=300)
@given(st.sampled_from(VALID), st.data())
def test_any_change_of_a_body(body: dict[str, Any], data: st.DataObject) -> None:
    changed = json.loads(json.dumps(body))
    place, key = changed, data.draw(st.sampled_from(sorted(changed)))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else [0]))
    place[key] = data.draw(anything)
    check(json.dumps(changed).encode())


@given(st.sampled_from(VALID), st.integers(0, 10_000), st.integers(0, 255))
def test_any_change_of_a_byte(body: dict[str, Any], place: int, byte: int) -> None:
    changed = bytearray(json.dumps(body).encode())
    changed[place % len(changed)] = byte
    check(bytes(changed))


@pytest.mark.parametrize("depth", [50, 2_000, 100_000])
@pytest.mark.parametrize("name", ["ignored", "container", "messages", "tools", "output_format"])
def test_any_depth(name: str, depth: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"type":"text","a":', b"}]")):
        deep = opening * depth + b"1" + closing * depth
        before = json.dumps(LEAST | {"tools": None})[:-1].encode()
        check(before + b', "%b": ' % name.encode() + deep + b"}")
        call = b'{"type": "tool_use", "id": "a", "name": "b", "input": ' + deep + b"}"
        turn = b'{"role": "assistant", "content": [' + call + b"]}"
        check(b'{"max_tokens": 5, "messages": [' + turn + b"]}")


@pytest.mark.parametrize("depth", [2, 250, 100_000])
def test_documents_in_documents(depth: int) -> None:
    opening = b'{"type": "document", "source": {"type": "content", "content": ['
    block = opening * depth + b'{"type": "text", "text": "a"}' + b"]}}" * depth
    check(b'{"max_tokens": 5, "messages": [{"role": "user", "content": [' + block + b"]}]}")


def test_many_turns_take_no_longer_than_their_number() -> None:
    turns = [{"role": "user", "content": "a"}] * 100_000
    call = ENDPOINT.decode(json.dumps(LEAST | {"messages": turns}).encode(), ORIGIN)
    assert isinstance(call.requests[0].prompt, Chat)
    (message,) = call.requests[0].prompt.messages
    assert len(message.parts) == 100_000


@pytest.mark.parametrize("body", [b"", b" ", b"nonsense", b"{", b"[1]", b"null", b"\xff", b'"a"'])
def test_a_body_that_is_no_object_says_so(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ENDPOINT.decode(body, ORIGIN)
    assert caught.value.message.startswith("failed parsing request body:")
    assert caught.value.fields["param"] is None


def test_every_optional_field_accepts_null() -> None:
    fields = msgspec.structs.fields(MessagesBody)
    nulls = {field.name: None for field in fields if not field.required}
    with_nulls = ENDPOINT.decode(json.dumps(LEAST | nulls).encode(), ORIGIN)
    assert with_nulls == ENDPOINT.decode(json.dumps(LEAST).encode(), ORIGIN)


def test_every_limit_is_enforced_at_its_edge() -> None:
    properties = msgspec.json.schema(MessagesBody)["$defs"]["MessagesBody"]["properties"]
    limited = 0
    for name, schema in properties.items():
        for option in schema.get("anyOf", [schema]):
            for edge, step in (("minimum", -1), ("maximum", 1)):
                if edge not in option:
                    continue
                limited += 1
                body = LEAST | {name: option[edge] + step}
                with pytest.raises(InvalidRequest) as caught:
                    ENDPOINT.decode(json.dumps(body).encode(), ORIGIN)
                assert caught.value.fields["param"] == name
                assert str(option[edge]) in caught.value.message
                ENDPOINT.decode(json.dumps(LEAST | {name: option[edge]}).encode(), ORIGIN)
    assert limited == 8


@pytest.mark.parametrize("kind", sorted(FOREIGN_BLOCKS))
def test_blocks_of_anthropics_servers_are_refused_by_name(kind: str) -> None:
    turn = {"role": "assistant", "content": [{"type": kind}]}
    with pytest.raises(Unsupported) as caught:
        ENDPOINT.decode(json.dumps(LEAST | {"messages": [turn]}).encode(), ORIGIN)
    assert kind in caught.value.message
    assert caught.value.fields["param"] == "messages[0].content[0]"


def test_a_schema_can_be_made_of_every_body() -> None:
    schemas, _ = msgspec.json.schema_components([MessagesBody, PromptBody])
    assert json.dumps(schemas)


def test_every_field_of_a_body_is_described() -> None:
    schema = msgspec.json.schema(MessagesBody)["$defs"]["MessagesBody"]["properties"]
    assert [name for name, field in schema.items() if not field.get("description")] == []
