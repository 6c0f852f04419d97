"""POST /api/chat: the endpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import msgspec

from localai.dialects.contract import ErrorReply, Origin
from localai.dialects.json_body import read_body
from localai.dialects.ollama.answer import CHAT, Spelling
from localai.dialects.ollama.call import GenerationCall
from localai.dialects.ollama.durations import keep_alive_s
from localai.dialects.ollama.errors import error_reply
from localai.dialects.ollama.generation import generation_request
from localai.dialects.ollama.messages import conversation
from localai.dialects.ollama.requests import ChatBody
from localai.dialects.ollama.tools import tool_specs
from localai.domain.errors import LocalAIError
from localai.domain.generation import Chat

_decoder = msgspec.json.Decoder(ChatBody)


class ChatEndpoint:
    """Conversations."""

    framing: ClassVar[str] = "ndjson"

    def decode(self, body: bytes, origin: Origin) -> GenerationCall:
        """Read a request body. Raises RequestError with `param`."""
        chat = read_body(_decoder, body)
        messages = conversation(chat.messages or [])
        request = generation_request(chat, Chat(messages=messages), origin)
        return GenerationCall(
            requests=(replace(request, tools=tool_specs(chat.tools)),),
            streams=chat.stream is not False,
            spelled=Spelling(layout=CHAT, created_unix_s=origin.created_unix_s),
            keep_alive_s=keep_alive_s(chat.keep_alive),
            is_load_only=not messages,
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error that came before the first byte of the answer."""
        return error_reply(error)
