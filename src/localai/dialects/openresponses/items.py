"""Input items: what a request may hold, and the full form in which they are kept and shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from localai.dialects.fields import words
from localai.domain.errors import InvalidRequest, RequestError, Unsupported

Item = dict[str, Any]
"""An item in its full form: with its id, type and status, its content as a list of parts."""

REFERENCE = "item_reference"

_PREFIXES = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "function_call_output": "fco_",
}
_ROLES = ("user", "assistant", "system", "developer")
_TEXTS = frozenset({"input_text", "output_text", "text"})
_UNSUPPORTED = {
    "computer_screenshot": "Screenshots",
    "input_video": "Videos",
}
_HOSTED = (  # what the items of tools begin with that OpenAI's servers run
    "apply_patch", "code_interpreter", "compaction", "computer", "custom_tool", "file_search",
    "image_generation", "local_shell", "mcp", "program", "shell", "tool_search", "web_search",
)  # fmt: skip
_LONGEST_ID = 128

Role = Annotated[str, words(*_ROLES)]
ItemType = Annotated[str, words(*_PREFIXES, REFERENCE)]
PartType = Annotated[
    str,
    words(
        *("input_text", "output_text", "text", "refusal", "input_image", "image_url"),
        *("input_audio", "summary_text", "reasoning_text"),
    ),
]


class ImageAddress(msgspec.Struct, kw_only=True):
    """An image, as chat completions spell it."""

    url: str
    detail: str | None = None


class InputAudio(msgspec.Struct, kw_only=True):
    """A sound in base64."""

    data: str
    format: str | None = None


class ContentPart(msgspec.Struct, kw_only=True):
    """A piece of an item's content."""

    type: PartType
    text: str | None = None
    refusal: str | None = None
    image_url: Annotated[
        str | ImageAddress | None, Meta(description="A data URI, an address or base64")
    ] = None
    detail: str | None = None
    input_audio: InputAudio | None = None
    file_id: Annotated[str | None, Meta(description="An uploaded file")] = None
    file_data: Annotated[str | None, Meta(description="A file as base64 or a data URI")] = None
    file_url: Annotated[str | None, Meta(description="The address of a file")] = None
    filename: str | None = None


class InputItem(msgspec.Struct, kw_only=True):
    """One item of the input; `type` decides which of the fields matter."""

    type: Annotated[
        ItemType | None,
        Meta(description="message, reasoning, function_call, function_call_output, item_reference"),
    ] = None
    id: str | None = None
    role: Role | None = None
    content: str | list[ContentPart] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[ContentPart] | None = None
    summary: list[ContentPart] | None = None
    encrypted_content: str | None = None


def full_items(
    items: str | Sequence[InputItem] | None, answer_id: str, *, path: str = "input"
) -> list[Item]:
    """Every item in its full form, with ids that differ.

    A reference keeps the form `{type, id}`. Raises RequestError whose `param` is the item's path.
    """
    if isinstance(items, str):
        items = [InputItem(type="message", role="user", content=items)]
    found = [_full(item, f"{path}[{i}]") for i, item in enumerate(items or ())]
    taken: set[str] = set()
    for i, item in enumerate(found):
        if item["type"] != REFERENCE:
            given = item["id"]
            if not given or given in taken or len(given) > _LONGEST_ID:
                item["id"] = f"{_PREFIXES[item['type']]}{answer_id}_in{i}"
            taken.add(item["id"])
    return found


def _full(item: InputItem, path: str) -> Item:
    match item.type or _unsaid_type(item, path):
        case "message":
            return _message(item, path)
        case "reasoning":
            return _reasoning(item, path)
        case "function_call":
            named = {key: _text(item, key, path) for key in ("call_id", "name", "arguments")}
            return {"id": item.id, "type": "function_call", **named, "status": "completed"}
        case "function_call_output":
            return _output(item, path)
        case "item_reference":
            return {"type": REFERENCE, "id": _text(item, "id", path)}
        case other:
            raise _unknown_item(other, path)


def _unsaid_type(item: InputItem, path: str) -> str:
    if item.role is not None:
        return "message"
    if item.id is not None and item.content is None:
        return REFERENCE
    raise InvalidRequest(f"{path}.type is missing.", param=f"{path}.type")


def _unknown_item(kind: str, path: str) -> RequestError:
    if kind.startswith(_HOSTED):
        message = f"Items of type {kind[:40]!r} are not supported by this version."
        return Unsupported(message, feature=kind[:40], param=path)
    allowed = ", ".join([*_PREFIXES, REFERENCE])
    message = f"{path}.type is {kind[:40]!r}; it must be one of {allowed}."
    return InvalidRequest(message, param=f"{path}.type")


def _message(item: InputItem, path: str) -> Item:
    if item.role not in _ROLES:
        what = "is missing" if item.role is None else f"is {item.role[:40]!r}"
        message = f"{path}.role {what}; it must be {', '.join(_ROLES[:-1])} or {_ROLES[-1]}."
        raise InvalidRequest(message, param=f"{path}.role")
    content = item.content
    if content is None:
        raise InvalidRequest(f"{path}.content is missing.", param=f"{path}.content")
    if isinstance(content, str):
        content = [ContentPart(type="text", text=content)]
    is_said = item.role == "assistant"
    read = _said_part if is_said else _told_part
    parts = [read(part, f"{path}.content[{i}]") for i, part in enumerate(content)]
    return {
        "id": item.id,
        "type": "message",
        "status": "completed",
        "role": item.role,
        "content": parts,
    }


def _said_part(part: ContentPart, path: str) -> Item:
    """A part of what the model said."""
    if part.type == "refusal":
        return {"type": "refusal", "refusal": _required(part.refusal, f"{path}.refusal")}
    return output_text(_text_part(part, path)["text"])


def _told_part(part: ContentPart, path: str) -> Item:
    """A part of what the model was told. What media hold is looked at by `messages`."""
    match part.type:
        case "input_image" | "image_url":
            return _image(part, path)
        case "input_audio":
            if part.input_audio is None:
                param = f"{path}.input_audio"
                raise InvalidRequest(f"{param} is missing.", param=param)
            audio = {"data": part.input_audio.data, "format": part.input_audio.format}
            return {"type": "input_audio", "input_audio": audio}
        case "input_file":
            return _file(part)
        case _:
            return _text_part(part, path)


def _file(part: ContentPart) -> Item:
    fields = ("file_id", "file_data", "file_url", "filename", "detail")
    given = {name: getattr(part, name) for name in fields}
    return {"type": "input_file"} | {name: value for name, value in given.items() if value}


def _image(part: ContentPart, path: str) -> Item:
    address = part.image_url
    url, detail = (
        (address.url, address.detail) if isinstance(address, ImageAddress) else (address, None)
    )
    if (url is None) == (part.file_id is None):
        param, what = (
            f"{path}.image_url",
            "is missing" if url is None else "and file_id are both there",
        )
        hint = "Send image_url or file_id."
        raise InvalidRequest(f"{param} {what}.", param=param, hint=hint)
    detail = part.detail or detail or "auto"
    return {"type": "input_image", "image_url": url, "detail": detail, "file_id": part.file_id}


def _text_part(part: ContentPart, path: str) -> Item:
    if part.type == "refusal":
        return {"type": "input_text", "text": _required(part.refusal, f"{path}.refusal")}
    if part.type not in _TEXTS:
        raise _no_text(part.type, path)
    return {"type": "input_text", "text": _required(part.text, f"{path}.text")}


def output_text(text: str, logprobs: Sequence[Any] = ()) -> Item:
    """A text that the model wrote."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def _no_text(kind: str, path: str) -> RequestError:
    if kind in {"input_image", "input_audio", "input_file"}:  # of the model, or from a tool
        message = f"{path} is {kind}; only a message to the model may hold it."
        return Unsupported(message, feature=kind, param=path)
    if what := _UNSUPPORTED.get(kind):
        message = f"{what} are not supported by this version."
        return Unsupported(message, feature=kind, param=path)
    message = (
        f"{path}.type is {kind[:40]!r}; "
        "it must be input_text, input_image, input_audio, input_file, output_text or refusal."
    )
    return InvalidRequest(message, param=f"{path}.type")


def _reasoning(item: InputItem, path: str) -> Item:
    if isinstance(item.content, str):
        message = f"{path}.content must be a list of parts."
        raise InvalidRequest(message, param=f"{path}.content")
    full: Item = {"id": item.id, "type": "reasoning"}
    for key, kind, parts in (
        ("summary", "summary_text", item.summary),
        ("content", "reasoning_text", item.content),
    ):
        full[key] = [
            {"type": kind, "text": _required(part.text, f"{path}.{key}[{i}].text")}
            for i, part in enumerate(parts or ())
        ]
    if item.encrypted_content is not None:
        full["encrypted_content"] = item.encrypted_content
    return full | {"status": "completed"}


def _output(item: InputItem, path: str) -> Item:
    output: str | list[Item]
    match item.output:
        case None:
            raise InvalidRequest(f"{path}.output is missing.", param=f"{path}.output")
        case str():
            output = item.output
        case parts:
            output = [_text_part(part, f"{path}.output[{i}]") for i, part in enumerate(parts)]
    return {
        "id": item.id,
        "type": "function_call_output",
        "call_id": _text(item, "call_id", path),
        "output": output,
        "status": "completed",
    }


def _text(item: InputItem, key: str, path: str) -> str:
    """A field that may not be empty, unless it holds the arguments of a call."""
    value: str | None = getattr(item, key)
    if not value and key != "arguments":
        raise InvalidRequest(f"{path}.{key} is missing.", param=f"{path}.{key}")
    return value or "{}"


def _required(text: str | None, param: str) -> str:
    if text is None:
        raise InvalidRequest(f"{param} is missing.", param=param)
    return text
