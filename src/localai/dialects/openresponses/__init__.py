"""The Responses API of OpenAI, as the Open Responses specification describes it.

`create` holds the endpoint: a decoder from a request body to a call, and the encoders of its
answers. `requests` and `items` list every field that a body may have; `response` spells the
Response object, `stream` the events. `conversations` and `stored` read and spell what the store
keeps: lists of items, conversations, deletions. `errors` is the table of errors.

Stored items are pairs `(id, JSON)`, so that the store and the use cases need not know their form.
Several turns are joined by `ResponsesCall.after`, which is given the turns before this one.
"""

from localai.dialects.openresponses.conversations import (
    ConversationBody,
    ItemsBody,
    MetadataBody,
    decode_conversation,
    decode_items,
    decode_metadata,
    encode_conversation,
    encode_deleted_conversation,
)
from localai.dialects.openresponses.create import ResponsesCall, ResponsesEndpoint
from localai.dialects.openresponses.errors import error_reply
from localai.dialects.openresponses.queries import (
    MOST_LISTED,
    ItemQuery,
    StreamQuery,
    item_query,
    stream_query,
)
from localai.dialects.openresponses.requests import ResponsesBody
from localai.dialects.openresponses.stored import (
    ResponsesSpelling,
    encode_count,
    encode_deleted_response,
    encode_items,
)

__all__ = [
    "MOST_LISTED",
    "ConversationBody",
    "ItemQuery",
    "ItemsBody",
    "MetadataBody",
    "ResponsesBody",
    "ResponsesCall",
    "ResponsesEndpoint",
    "ResponsesSpelling",
    "StreamQuery",
    "decode_conversation",
    "decode_items",
    "decode_metadata",
    "encode_conversation",
    "encode_count",
    "encode_deleted_conversation",
    "encode_deleted_response",
    "encode_items",
    "error_reply",
    "item_query",
    "stream_query",
]
