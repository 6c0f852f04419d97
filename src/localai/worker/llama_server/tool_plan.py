"""Who writes the tools into a prompt of a llama-server, and finds the calls in the answer.

Where the model's template knows tools, llama.cpp does; what it does not recognize is looked for as
the model file says. Otherwise we do both: a prompt that was rendered already has its tools in it,
any other gets them in words, and a grammar holds the model to calls that are whole.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from localai.domain.generation import Chat, Completion, GenerationRequest, PlainText
from localai.wire.functions import FunctionSettings
from localai.worker.grammars.call_grammar import THINK
from localai.worker.llama_server import requests
from localai.worker.llama_server.calls_or_form import may_call_or_answer
from localai.worker.parsers.call_stream import CallStream
from localai.worker.tool_use import ToolUse, may_call, must_call

Post = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class ToolPlan:
    """A request as the engine gets it, and what its answer goes through.

    `is_forced` when the engine must be made to call a tool in its own form, `is_either` when what
    is no call has a form that the engine cannot hold it to at the same time.
    """

    request: GenerationRequest
    calls: CallStream | None = None
    is_forced: bool = False
    is_either: bool = False


class ToolPlans:
    """Makes plans for one model. `knows_tools` is whether its template does."""

    def __init__(self, settings: FunctionSettings, post: Post) -> None:
        self.knows_tools = True
        self._use = ToolUse(settings)
        self._post = post

    async def plan(self, request: GenerationRequest) -> ToolPlan:
        """The plan for `request`. Raises what the engine raises."""
        if not may_call(request):
            return ToolPlan(self.told(request))
        if isinstance(request.prompt, Chat) and self.knows_tools:
            if must_call(request):  # a call is no text: the form of one has nothing to shape
                return ToolPlan(replace(request, output=PlainText()), is_forced=True)
            calls = self._use.sought(request) if self._use.is_said else None
            return ToolPlan(request, calls, is_either=may_call_or_answer(request))
        told = self.told(request)
        held = self._use.held(told, is_thinking=await self._begins_in_thoughts(told))
        shown = {requests.PRESERVED: json.dumps(self._use.tags)}
        options = {**request.engine_options, **shown}
        is_either = may_call_or_answer(request) and held.request.output == request.output
        held_request = replace(held.request, engine_options=options)
        return ToolPlan(held_request, held.calls, is_either=is_either)

    def told(self, request: GenerationRequest) -> GenerationRequest:
        """`request` with its tools and calls in words, where the template has no place for them."""
        return request if self.knows_tools else self._use.told(request)

    async def _begins_in_thoughts(self, request: GenerationRequest) -> bool:
        """Whether the prompt ends where the model's thoughts begin."""
        prompt = request.prompt
        if isinstance(prompt, Chat):
            body = requests.chat_body(replace(request, tools=()), prompt.messages)
            text = str((await self._post("/apply-template", body)).get("prompt", ""))
        else:
            text = (prompt.text or "") if isinstance(prompt, Completion) else ""
        return text.rstrip().endswith(THINK[0])
