"""How the tools of a request reach a model, and its calls come back: what all engines share.

A grammar holds the model to whole calls in a form that we choose, or the calls are looked for in
whatever form the model was trained on. The engine's adapter knows which of these it wants.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from localai.domain.generation import Chat, GenerationRequest, Grammar, ToolMode
from localai.domain.parts import ToolCall, ToolResult
from localai.regexp.steps import Steps
from localai.wire.functions import FunctionSettings, Markers, TagFormat, offered_tools
from localai.worker.grammars.call_grammar import CallDemand, call_grammar
from localai.worker.parsers.call_forms import Form, Reader, call_forms, call_reader
from localai.worker.parsers.call_stream import CallRules, CallStream
from localai.worker.parsers.tool_prompt import describe_tools, spelled_out

_FORCED = (ToolMode.REQUIRED, ToolMode.NAMED)
_OF_TOOLS = (ToolCall, ToolResult)
_KEPT_GRAMMARS = 32


def may_call(request: GenerationRequest) -> bool:
    """Whether there is a tool that may be called."""
    return bool(request.tools) and request.tool_policy.mode is not ToolMode.NONE


def must_call(request: GenerationRequest) -> bool:
    """Whether the answer has to be a call."""
    return bool(request.tools) and request.tool_policy.mode in _FORCED


@dataclass(frozen=True, slots=True)
class HeldCalls:
    """A request without tools, whose output is their grammar; and what its answer goes through."""

    request: GenerationRequest
    calls: CallStream


class ToolUse:
    """The ways of one model, as its file wants them."""

    def __init__(self, settings: FunctionSettings) -> None:
        self._settings = settings
        self._forms = call_forms(settings)
        self.is_said = self._forms.is_said  # whether the file says anything of the form of calls
        self._grammars: dict[CallDemand, str | None] = {}
        self.tags = tuple(dict.fromkeys(tag for form in self._forms.forms for tag in _tags(form)))

    def told(self, request: GenerationRequest) -> GenerationRequest:
        """`request` with its tools and calls in words, for templates with no place for them."""
        if not isinstance(request.prompt, Chat):
            return request
        messages = request.prompt.messages
        if may_call(request):
            tools = offered_tools(request, self._settings)
            messages = describe_tools(messages, tools, self._forms, self._settings)
        elif any(isinstance(part, _OF_TOOLS) for message in messages for part in message.parts):
            messages = spelled_out(messages, self._forms, self._settings)
        else:
            return request
        return replace(request, prompt=Chat(messages=messages))

    def held(self, request: GenerationRequest, *, is_thinking: bool = False) -> HeldCalls:
        """Hold the answer to text and whole calls, or to a call where there must be one.

        `is_thinking` says that the prompt ends inside the model's thoughts.
        """
        demand = CallDemand(
            tools=offered_tools(request, self._settings),
            is_required=must_call(request),
            parallel=request.tool_policy.parallel,
            output=request.output,
            is_thinking=is_thinking,
        )
        grammar = self._grammar(demand)
        held = replace(request, tools=())
        if grammar is not None:
            held = replace(held, output=Grammar(gbnf=grammar, with_thinking=True))
        if demand.is_required:
            held = replace(held, stop=())  # a stop sequence inside a call would break it
        return HeldCalls(held, self._stream(request, is_certain=grammar is not None))

    def _grammar(self, demand: CallDemand) -> str | None:
        """The grammar of a demand, made once: conversations ask for the same one again and again."""
        if demand not in self._grammars:
            if len(self._grammars) >= _KEPT_GRAMMARS:
                self._grammars.pop(next(iter(self._grammars)))
            self._grammars[demand] = call_grammar(self._forms, self._settings, demand)
        return self._grammars[demand]

    def sought(self, request: GenerationRequest) -> CallStream:
        """What finds calls in an answer that nothing holds to their form."""
        return self._stream(request, is_certain=False)

    def _stream(self, request: GenerationRequest, *, is_certain: bool) -> CallStream:
        settings, forms = self._settings, self._forms
        tools = offered_tools(request, settings)

        def make_reader(steps: Steps) -> Reader:
            return call_reader(forms, settings, tools, is_certain=is_certain, steps=steps)

        answer = settings.no_action
        is_free = answer is not None and answer.name not in {tool.name for tool in request.tools}
        first = forms.forms[0]
        rules = CallRules(
            make_reader=make_reader,
            settings=settings,
            parallel=request.tool_policy.parallel and settings.grammar_parallel_calls is not False,
            is_required=must_call(request),
            reads_thoughts=isinstance(first, TagFormat) and first.allow_toolcall_in_think,
            answer_tool=answer.name if answer is not None and is_free else None,
        )
        return CallStream(rules)


def _tags(form: Form) -> list[str]:
    if isinstance(form, Markers):
        texts = [form.open, form.close]
    else:
        texts = [
            form.scope_start, form.tool_start, form.tool_sep, form.key_start, form.key_val_sep,
            form.key_val_sep2, form.val_end, form.tool_end, form.scope_end,
        ]  # fmt: skip
    return [text.strip() for text in texts if text.strip()]
