"""Who finds the thinking in an answer of a llama-server: the engine, or this side.

llama.cpp finds it when it understands the model's template; it leaves it in the text of every
other model, and of every prompt that came to it rendered. Where it finds thinking, nothing is left
for this side to find, but for one case: when a template ends every prompt in an open tag, text
without one is thinking or not, depending on who has read the tag. So that is asked once.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from localai.domain.errors import LocalAIError
from localai.domain.generation import (
    Chat,
    Completion,
    GenerationRequest,
    Grammar,
    PlainText,
)
from localai.worker.llama_server import requests
from localai.worker.parsers.thinking import TagPair, ThinkingReader, ThinkingTags

Post = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]

_PROBE = [{"role": "user", "content": "Hi"}]
_WAYS_TO_ASK: tuple[dict[str, Any], ...] = (
    {},
    {"enable_thinking": True},
    {"enable_thinking": False},
)
# In the engine's grammar for a format, what allows thinking before it: text until its end tag.
_THINKING_FIRST = re.compile(r"^until-\d+ ::=", re.MULTILINE)


class Thinking:
    """The two ways, over one llama-server; `tags` None leaves everything to the engine."""

    def __init__(self, tags: ThinkingTags | None, post: Post) -> None:
        self._tags = tags
        self._post = post
        self._may_be_open = False  # whether any prompt of this template ends in an open tag
        self._engine_knows: bool | None = None

    async def look_at_template(self) -> None:
        """Find out whether the template begins the thinking itself."""
        if self._tags is None:
            return
        for variables in _WAYS_TO_ASK:
            body = {"messages": _PROBE, "chat_template_kwargs": variables}
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
        if self._tags is None or not isinstance(request.output, PlainText | Grammar):
            return None
        match request.prompt:
            case Completion(is_chat=False):
                return None
            case Completion(text=str(text)):
                opened = self._tags.opened_by(text)
            case Chat():
                opened = await self._opened(request)
            case _:
                return None
        if not isinstance(request.output, PlainText):
            opened = None  # a grammar begins with the answer's first character
        return ThinkingReader(self._tags, opened=opened)

    async def _opened(self, request: GenerationRequest) -> TagPair | None:
        assert self._tags is not None
        assert isinstance(request.prompt, Chat)
        if not self._may_be_open or await self._is_for_engine():
            return None
        body = requests.chat_body(request, request.prompt.messages)
        rendered = await self._post("/apply-template", body)
        return self._tags.opened_by(str(rendered["prompt"]))

    async def _is_for_engine(self) -> bool:
        """Whether the engine understands how this model thinks; its grammars show it."""
        if self._engine_knows is None:
            body = {
                "messages": _PROBE,
                "json_schema": {"const": ""},
                "n_predict": 1,
                "verbose": True,
            }
            try:
                reply = await self._post("/v1/chat/completions", body)
            except LocalAIError:  # the open tag does not fit into a grammar without thinking
                reply = {}
            used = reply.get("__verbose", {}).get("generation_settings", {})
            self._engine_knows = bool(_THINKING_FIRST.search(used.get("grammar", "")))
        return self._engine_knows
