"""POST /api/generate: the endpoint."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from localai.dialects.contract import ErrorReply, Origin
from localai.dialects.json_body import read_body
from localai.dialects.ollama.answer import GENERATE, Spelling
from localai.dialects.ollama.call import GenerationCall
from localai.dialects.ollama.durations import keep_alive_s
from localai.dialects.ollama.errors import error_reply
from localai.dialects.ollama.generation import generation_request
from localai.dialects.ollama.images import images
from localai.dialects.ollama.requests import GenerateBody
from localai.domain.errors import InvalidRequest, LocalAIError, Unsupported
from localai.domain.generation import Chat, Completion, Prompt
from localai.domain.parts import Message, Part, Role, Text

_decoder = msgspec.json.Decoder(GenerateBody)


class GenerateEndpoint:
    """One prompt: answered through the model's template, or gone on from as it is."""

    framing: ClassVar[str] = "ndjson"

    def decode(self, body: bytes, origin: Origin) -> GenerationCall:
        """Read a request body. Raises RequestError with `param`."""
        generate = read_body(_decoder, body)
        request = generation_request(generate, _prompt(generate), origin)
        return GenerationCall(
            requests=(request,),
            streams=generate.stream is not False,
            spelled=Spelling(layout=GENERATE, created_unix_s=origin.created_unix_s),
            keep_alive_s=keep_alive_s(generate.keep_alive),
            is_load_only=not (generate.prompt or generate.suffix or generate.images),
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error that came before the first byte of the answer."""
        return error_reply(error)


def _prompt(body: GenerateBody) -> Prompt:
    if body.template:
        message = "template is not supported: the model's own template is used."
        hint = (
            "Send the rendered prompt with raw set to true, or set the template in the model file."
        )
        raise Unsupported(message, feature="template", param="template", hint=hint)
    if body.raw or body.suffix:
        return _completion(body)
    shown: tuple[Part, ...] = images(body.images, "images")
    if body.prompt or not shown:
        shown = (*shown, Text(text=body.prompt or ""))
    user = Message(role=Role.USER, parts=shown)
    if not body.system:
        return Chat(messages=(user,))
    system = Message(role=Role.SYSTEM, parts=(Text(text=body.system),))
    return Chat(messages=(system, user))


def _completion(body: GenerateBody) -> Completion:
    """Text to go on from, or a gap to fill: nothing renders a system text or images into it."""
    why = "raw is true" if body.raw else "there is a suffix"
    if body.system:
        message = f"system has no place in the prompt when {why}."
        raise InvalidRequest(message, param="system", hint="Put it into the prompt.")
    if body.images:
        message = f"images have no place in the prompt when {why}."
        raise Unsupported(message, feature="images", param="images")
    return Completion(text=body.prompt or "", suffix=body.suffix or None)
