"""Conversations: lists of items that responses go on with and add to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from localai.dialects.json_body import read_body
from localai.dialects.openresponses.generation import check_metadata
from localai.dialects.openresponses.items import REFERENCE, InputItem, full_items
from localai.dialects.openresponses.messages import conversation, placed
from localai.dialects.openresponses.response import to_json
from localai.domain.errors import InvalidRequest

MOST_ITEMS = 20  # as OpenAI: more come in several calls


class ConversationBody(msgspec.Struct, kw_only=True):
    """POST /v1/conversations."""

    items: Annotated[
        list[InputItem] | None, Meta(description="What the conversation begins with")
    ] = None
    metadata: Annotated[dict[str, str] | None, Meta(description="Up to 16 pairs")] = None


class MetadataBody(msgspec.Struct, kw_only=True):
    """POST /v1/conversations/{id}."""

    metadata: Annotated[dict[str, str] | None, Meta(description="Replaces the pairs")]


class ItemsBody(msgspec.Struct, kw_only=True):
    """POST /v1/conversations/{id}/items."""

    items: Annotated[list[InputItem], Meta(description="Added at the end; at most 20")]


_conversation_decoder = msgspec.json.Decoder(ConversationBody)
_metadata_decoder = msgspec.json.Decoder(MetadataBody)
_items_decoder = msgspec.json.Decoder(ItemsBody)


def decode_conversation(
    body: bytes, fresh_id: str
) -> tuple[Mapping[str, str], tuple[tuple[str, bytes], ...]]:
    """The metadata and the items, as id and JSON, of a new conversation. Raises RequestError."""
    read = read_body(_conversation_decoder, body or b"{}")
    check_metadata(read.metadata)
    return read.metadata or {}, _full(read.items or [], fresh_id)


def decode_metadata(body: bytes) -> Mapping[str, str]:
    """The metadata that replaces that of a conversation. Raises RequestError."""
    read = read_body(_metadata_decoder, body)
    check_metadata(read.metadata)
    return read.metadata or {}


def decode_items(body: bytes, fresh_id: str) -> tuple[tuple[str, bytes], ...]:
    """The items to add to a conversation, as id and JSON. Raises RequestError."""
    return _full(read_body(_items_decoder, body).items, fresh_id)


def encode_conversation(
    conversation_id: str, created_unix_s: int, metadata: Mapping[str, str]
) -> bytes:
    """Spell a conversation."""
    return to_json(
        {
            "id": conversation_id,
            "object": "conversation",
            "created_at": created_unix_s,
            "metadata": metadata,
        }
    )


def encode_deleted_conversation(conversation_id: str) -> bytes:
    """Spell that a conversation is no more."""
    return to_json({"id": conversation_id, "object": "conversation.deleted", "deleted": True})


def _full(items: list[InputItem], fresh_id: str) -> tuple[tuple[str, bytes], ...]:
    if len(items) > MOST_ITEMS:
        message = f"items has {len(items)} items; one call may have at most {MOST_ITEMS}."
        raise InvalidRequest(message, param="items")
    full = full_items(items, fresh_id, path="items")
    for i, item in enumerate(full):
        if item["type"] == REFERENCE:
            message = f"items[{i}] is a reference; send the item itself."
            raise InvalidRequest(message, param=f"items[{i}]")
    conversation(None, placed(full, "items"))  # media that cannot be read are refused here
    return tuple((item["id"], to_json(item)) for item in full)
