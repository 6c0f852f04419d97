"""Who finds the thinking in an answer of a llama-server: the engine, or this side.

llama.cpp finds it when it understands the model's template; it leaves it in the text of every
other model, and of every prompt that came to it rendered. Where it finds thinking, nothing is left
for this side to find, but for one case: when a template ends every prompt in an open tag, text
without one is thinking or not, depending on who has read the tag. So that is asked once.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from localai.domain.errors import LocalAIError
from localai.domain.generation import Chat, Completion, GenerationRequest
from localai.domain.parts import Message, Role, Text
from localai.worker.llama_server import requests
from localai.worker.llama_server.frames import PROBE, Frame
from localai.worker.parsers.thinking import TagPair, ThinkingReader, ThinkingTags

Post = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]

_QUESTION = (Message(role=Role.USER, parts=(Text(text="Hi"),)),)
_WAYS_TO_ASK: tuple[dict[str, Any], ...] = (
    {},
    {"enable_thinking": True},
    {"enable_thinking": False},
)


class Thinking:
    """The two ways, over one llama-server; `tags` None leaves everything to the engine."""

    def __init__(self, tags: ThinkingTags | None, post: Post) -> None:
        self._tags = tags
        self._post = post
        self._may_be_open = False  # whether any prompt of this template ends in an open tag
        self._frames: dict[str, Frame | None] = {}

    async def look_at_template(self) -> None:
        """Find out whether the template begins the thinking itself."""
        if self._tags is None:
            return
        messages = [{"role": "user", "content": "Hi"}]
        for variables in _WAYS_TO_ASK:
            body = {"messages": messages, "chat_template_kwargs": variables}
            try:
                rendered = await self._post("/apply-template", body)
            except LocalAIError:  # a template that wants something else than a question
                continue
            if self._tags.opened_by(str(rendered.get("prompt", ""))):
                self._may_be_open = True

    def tags_in(self, prompt: Completion) -> tuple[str, ...]:
        """The tags that an answer to a rendered prompt may hold; some models have tokens for them."""
        return self._tags.words if self._tags is not None and prompt.is_chat else ()

    async def reader(self, request: GenerationRequest) -> ThinkingReader | None:
        """What finds the thinking in the answer to `request`; None when nothing is to be found."""
        if self._tags is None:
            return None
        if isinstance(request.prompt, Completion):
            if not request.prompt.is_chat:
                return None
            return ThinkingReader(self._tags, opened=self.opened_by_text(request.prompt))
        opened = await self.opened(request) if self._may_be_open else None
        return ThinkingReader(self._tags, opened=opened)

    def opened_by_text(self, prompt: Completion) -> TagPair | None:
        """The tags of the thinking that a rendered conversation has begun."""
        is_chat = prompt.is_chat and prompt.text is not None
        return self.is_opened_by(prompt.text or "") if is_chat else None

    def is_opened_by(self, prompt_end: str) -> TagPair | None:
        """The tags of the thinking that the end of a prompt has begun."""
        return self._tags.opened_by(prompt_end) if self._tags is not None else None

    async def opened(self, request: GenerationRequest) -> TagPair | None:
        """The tags of the thinking that a conversation's prompt has begun, unknown to the engine."""
        if not self._may_be_open or not isinstance(request.prompt, Chat):
            return None
        if await self.frame(request) is not None:
            return None
        body = requests.chat_body(request, request.prompt.messages)
        rendered = await self._post("/apply-template", body)
        return self.is_opened_by(str(rendered["prompt"]))

    async def frame(self, request: GenerationRequest) -> Frame | None:
        """The engine's grammar around a value, if it lets the model think before the value.

        None when the engine does not know how this model thinks. It depends on the variables of
        the template, and on an answer that the conversation ends in.
        """
        if self._tags is None or not isinstance(request.prompt, Chat):
            return None
        messages = request.prompt.messages
        goes_on = bool(messages) and messages[-1].role is Role.ASSISTANT
        body = requests.chat_body(request, messages if goes_on else _QUESTION)
        asked = {name: body[name] for name in requests.TEMPLATE_FIELDS if name in body}
        key = json.dumps(asked, sort_keys=True)
        if goes_on or key not in self._frames:
            asked["messages"] = body["messages"]
            found = await self._ask_for_frame(asked)
            if goes_on:
                return found
            self._frames[key] = found
        return self._frames[key]

    async def _ask_for_frame(self, asked: dict[str, Any]) -> Frame | None:
        body = asked | {"json_schema": {"const": PROBE}, "n_predict": 1, "verbose": True}
        try:
            reply = await self._post("/v1/chat/completions", body)
        except LocalAIError:  # the open tag does not fit into a grammar without thinking
            return None
        used = reply.get("__verbose", {}).get("generation_settings", {})
        frame = Frame(str(used.get("grammar", "")), str(used.get("generation_prompt", "")))
        return frame if frame.allows_thinking else None
