"""Whatever bytes come in, the answer is a call or an error that names what is wrong."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localai.dialects.openresponses import (
    ResponsesBody,
    decode_conversation,
    decode_items,
    decode_metadata,
    item_query,
    stream_query,
)
from localai.dialects.openresponses.items import ContentPart, ImageAddress, InputAudio, InputItem
from localai.dialects.openresponses.requests import TextFormat, Tool
from localai.domain.errors import InvalidRequest, RequestError
from tests.dialects.golden_files import ORIGIN
from tests.dialects.openresponses.golden import ENDPOINT, LEAST, REQUESTS, decode, shown

VALID = [case["body"] for path in REQUESTS for case in json.loads(path.read_text())]
STRUCTS = (ResponsesBody, InputItem, ContentPart, ImageAddress, InputAudio, Tool, TextFormat)
NAMES = sorted({name for struct in STRUCTS for name in struct.__struct_encode_fields__})
TYPES = [
    "message", "reasoning", "function_call", "function_call_output", "item_reference",
    "input_text", "output_text", "refusal", "input_image", "input_audio", "image_url", "function", "allowed_tools",
    "json_schema", "user", "assistant", "auto", "required", "text",
]  # fmt: skip

numbers = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, -1, 5.0, 1e300, 2**31, 2**63, 2**64])
)
keys = st.sampled_from(NAMES)
words = st.text(max_size=5) | st.sampled_from(TYPES)
anything = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
items = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(TYPES[:5])},
        optional={
            "id": words,
            "role": st.sampled_from(["user", "assistant", "system", "tool"]),
            "content": words
            | st.lists(st.fixed_dictionaries({"type": words, "text": words}), max_size=2),
            "call_id": words,
            "name": words,
            "arguments": words,
            "output": words,
            "summary": st.lists(st.fixed_dictionaries({"type": words, "text": words}), max_size=2),
        },
    ),
    max_size=4,
)


def check(body: bytes) -> None:
    try:
        call = ENDPOINT.decode(body, ORIGIN)
    except RequestError as error:
        assert error.sentence.endswith(".")
        reply = ENDPOINT.error(error)
        assert reply.status == 400
        spelled = json.loads(reply.body)["error"]
        assert (spelled["message"], spelled["param"]) == (error.sentence, error.fields["param"])
        return
    json.dumps(shown(call), ensure_ascii=False).encode()
    assert json.loads(call.queued("llama"))["status"] == "queued"
    ids = [item_id for item_id, _ in call.input_items]
    assert [json.loads(data)["id"] for _, data in call.input_items] == ids
    history = [data for _, data in call.input_items if b'"item_reference"' not in data[:99]]
    found = {reference.item_id: b'{"type":"reasoning"}' for reference in call.references}
    try:
        call.after(history, found)
    except InvalidRequest as error:
        assert error.fields["param"] == "input"


@settings(deadline=None)
@given(st.binary(max_size=60))
@example(b"\xef\xbb\xbf{}")
@example(b'{"input": "\\ud800"}')
@example(b'{"input": "\xed\xa0\x80"}')
@example(b'{"input": "a", "temperature": NaN}')
@example(b'{"input": "a", "seed": -' + b"9" * 400 + b"}")
@example(b'{"input": "\\u0000"}')
def test_any_bytes(body: bytes) -> None:
    check(body)


@settings(deadline=None)
@given(anything)
def test_any_json(value: Any) -> None:
    check(json.dumps(value).encode())


@settings(deadline=None)
@given(st.dictionaries(keys, anything, max_size=6))
def test_any_fields(fields: dict[str, Any]) -> None:
    check(json.dumps(LEAST | fields).encode())


@settings(max_examples=200, deadline=None)
@given(items)
def test_any_items(value: list[Any]) -> None:
    check(json.dumps({"input": value}).encode())
    for decoder in (decode_conversation, decode_items):
        try:
            decoder(json.dumps({"items": value}).encode(), "1")
        except RequestError as error:
            assert error.fields["param"]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(VALID), st.data())
def test_any_change_of_a_body(body: dict[str, Any], data: st.DataObject) -> None:
    changed = json.loads(json.dumps(body))
    place, key = changed, data.draw(st.sampled_from(sorted(changed)))
    while isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else [0]))
    place[key] = data.draw(anything)
    check(json.dumps(changed).encode())


@pytest.mark.parametrize("depth", [50, 2_000, 100_000])
@pytest.mark.parametrize("name", ["ignored", "input", "text", "tools", "prompt", "metadata"])
def test_any_depth(name: str, depth: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        nested = opening * depth + b"1" + closing * depth
        check(b'{"input": "Hi", "%s": %s}' % (name.encode(), nested))
        check(nested)
    schema = b'{"a":' * depth + b"1" + b"}" * depth
    check(
        b'{"input": "Hi", "tools": [{"type": "function", "name": "x", "parameters": %s}]}' % schema
    )


def test_every_optional_field_accepts_null() -> None:
    nulls = {field.name: None for field in msgspec.structs.fields(ResponsesBody)}
    assert decode(nulls | {"input": "Hi"}) == decode({"input": "Hi"})


def test_every_limit_is_enforced_at_its_edge() -> None:
    properties = msgspec.json.schema(ResponsesBody)["$defs"]["ResponsesBody"]["properties"]
    limited = 0
    for name, schema in properties.items():
        for edge, step in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0)):
            if edge not in schema:
                continue
            limited += 1
            with pytest.raises(InvalidRequest) as caught:
                decode(LEAST | {name: schema[edge] + step})
            assert caught.value.fields["param"] == name
            assert str(schema[edge]) in caught.value.message
    assert limited > 18


def test_every_field_of_a_body_is_described() -> None:
    schema = msgspec.json.schema(ResponsesBody)["$defs"]["ResponsesBody"]["properties"]
    assert [name for name, field in schema.items() if "description" not in field] == []


def test_queries() -> None:
    query = item_query({})
    assert (query.limit, query.is_ascending, query.after) == (20, False, None)
    query = item_query({"limit": "5", "order": "asc", "after": "msg_1"})
    assert (query.limit, query.is_ascending, query.after) == (5, True, "msg_1")
    assert not stream_query({}).streams
    assert stream_query({"stream": "true", "starting_after": "-1"}).starting_after == -1


@pytest.mark.parametrize(
    ("query", "param"),
    [({"limit": "0"}, "limit"), ({"limit": "101"}, "limit"), ({"limit": "x"}, "limit"), ({"order": "up"}, "order")],
)  # fmt: skip
def test_wrong_queries(query: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        item_query(query)
    assert caught.value.fields["param"] == param


@pytest.mark.parametrize("query", [{"stream": "maybe"}, {"starting_after": "9" * 40}])
def test_wrong_stream_queries(query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        stream_query(query)
    assert caught.value.fields["param"] in query


def test_metadata_of_a_conversation() -> None:
    assert decode_metadata(b'{"metadata": {"a": "b"}}') == {"a": "b"}
    assert decode_metadata(b'{"metadata": null}') == {}
    for body, param in ((b"{}", "metadata"), (b'{"metadata": {"a": 5}}', "metadata")):
        with pytest.raises(InvalidRequest) as caught:
            decode_metadata(body)
        assert caught.value.fields["param"] == param


def test_items_of_a_conversation_are_no_references_and_not_many() -> None:
    for items, param in (
        ([{"type": "item_reference", "id": "a"}], "items[0]"),
        ([{"role": "user", "content": ""}] * 21, "items"),
        ([{"role": "user"}], "items[0].content"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            decode_items(json.dumps({"items": items}).encode(), "1")
        assert caught.value.fields["param"] == param


def test_a_call_goes_on_from_what_is_kept() -> None:
    before = decode({"input": [{"role": "user", "content": "1"}]}).input_items
    said = decode({"input": [{"role": "assistant", "content": "2"}]}).input_items
    call = decode(
        {"instructions": "Be brief.", "input": [{"id": "msg_9"}, {"role": "user", "content": "4"}]}
    )
    kept = decode({"input": [{"role": "assistant", "id": "msg_9", "content": "3"}]}).input_items
    after = call.after([data for _, data in (*before, *said)], dict(kept))
    messages = after.requests[0].prompt.messages  # type: ignore[union-attr]
    shown = [(message.role.value, message.text) for message in messages]
    assert shown == [("system", "Be brief."), ("user", "1"), ("assistant", "23"), ("user", "4")]
    assert [item_id for item_id, _ in after.input_items] == ["msg_9", "msg_1_in1"]
    assert after.references == ()


def test_nothing_may_be_left_to_answer() -> None:
    call = decode({"previous_response_id": "resp_0"})
    with pytest.raises(InvalidRequest):
        call.after([], {})
