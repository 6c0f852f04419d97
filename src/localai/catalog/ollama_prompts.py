"""Prompts from a template in Ollama's form: `.System`, `.Prompt` and `.Response`, or `.Messages`.

It is Go's template language with other names than LocalAI's. Source: the Modelfile reference of
Ollama, "TEMPLATE", and what its own models' templates use. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from localai.catalog.gotemplate import PrintedList, PrintedMap, Record, Template, parse
from localai.catalog.gotemplate.json_text import NotJson, decode, encode

_MESSAGES: Final = re.compile(r"\.Messages\b")
_RESPONSE: Final = re.compile(r"\.Response\b")
_ANSWER: Final = "{{ .Response }}"
_HERE: Final = "\x02answer\x03"  # stands for the answer in the last turn, where the prompt ends

# What Ollama's templates may call besides Go's own functions, in words of ours; texts in quotes stay.
_FUNCTIONS: Final = {
    "currentDate": '(date "2006-01-02" now)',
    "yesterdayDate": '(date "2006-01-02" (sub (now | unixEpoch | int64) 86400))',
    "json": "toJson",
}
_WORD: Final = re.compile(
    r'"(?:\\.|[^"\\])*"|`[^`]*`|(?<![.$\w])(?:currentDate|yesterdayDate|json)\b', re.DOTALL
)
_ACTION: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message as a template sees it. `calls` are pairs of a name and arguments in JSON."""

    role: str
    content: str
    calls: tuple[tuple[str, str], ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool: `parameters` is a JSON Schema."""

    name: str
    description: str
    parameters: str


@dataclass(frozen=True, slots=True)
class OllamaTemplate:
    """A template that parsed, as it was written, and whether it goes through the messages itself."""

    template: Template
    source: str
    has_messages: bool


def parse_ollama(source: str, name: str) -> OllamaTemplate:
    """Parse a template. Raises GoTemplateError."""
    has_messages = _MESSAGES.search(source) is not None
    whole = source if has_messages or _RESPONSE.search(source) else source + _ANSWER
    parsed = parse(_ACTION.sub(_in_our_words, whole), name)
    return OllamaTemplate(parsed, source, has_messages)


def _in_our_words(action: re.Match[str]) -> str:
    return _WORD.sub(lambda word: _FUNCTIONS.get(word[0], word[0]), action[0])


def render_ollama(
    parsed: OllamaTemplate,
    said: Sequence[Said],
    tools: Sequence[Tool],
    *,
    render: Callable[[Template, Any], str],
) -> str:
    """The prompt of a conversation; `render` gives a template's text for its data.

    Messages of one role that follow each other become one, as Ollama has it, but for results of
    tools. What `render` raises goes through.
    """
    turns = list(_joined(said))
    if parsed.has_messages:
        systems = (one.content for one in turns if one.role == "system")
        values = {
            "System": "\n\n".join(systems),
            "Messages": [_message(one) for one in turns],
            "Tools": _tools(tools),
        }
        return render(parsed.template, _values(values))
    return "".join(_exchanges(parsed.template, turns, render))


def _joined(said: Sequence[Said]) -> Iterator[Said]:
    held: Said | None = None
    for one in said:
        if held is not None and held.role == one.role != "tool" and not (held.calls or one.calls):
            held = Said(role=one.role, content=f"{held.content}\n\n{one.content}", name=one.name)
            continue
        if held is not None:
            yield held
        held = one
    if held is not None:
        yield held


def _exchanges(
    template: Template, turns: Sequence[Said], render: Callable[[Template, Any], str]
) -> Iterator[str]:
    """One text for each question with its answer; the last ends where the answer goes on."""
    system = prompt = response = ""
    for one in turns:
        ends = (one.role == "system" and (prompt or response)) or (one.role == "user" and response)
        if ends:
            yield render(
                template, _values({"System": system, "Prompt": prompt, "Response": response})
            )
            system = prompt = response = ""
        match one.role:
            case "system":
                system = one.content
            case "assistant":
                response = one.content
            case _:
                prompt = one.content
    last = _values({"System": system, "Prompt": prompt, "Response": response + _HERE})
    yield render(template, last).partition(_HERE)[0]


def _values(values: dict[str, Any]) -> dict[str, Any]:
    """The data of a template, where what nobody set is empty."""
    empty = {"System": "", "Prompt": "", "Response": "", "Suffix": "", "Messages": [], "Tools": []}
    return {**empty, "Think": False, "ThinkLevel": "", "IsThinkSet": False, **values}


def _message(one: Said) -> Record:
    return Record(
        "Message",
        {
            "Role": one.role,
            "Content": one.content,
            "Thinking": "",
            "Images": [],
            "ToolCalls": [_call(place, name, text) for place, (name, text) in enumerate(one.calls)],
            "ToolName": one.name if one.role == "tool" else "",
            "ToolCallID": "",
        },
        {"Role": "role", "Content": "content", "Thinking": "thinking", "Images": "images",
         "ToolCalls": "tool_calls", "ToolName": "tool_name", "ToolCallID": "tool_call_id"},
        frozenset({"Thinking", "Images", "ToolCalls", "ToolName", "ToolCallID"}),
    )  # fmt: skip


def _call(place: int, name: str, arguments: str) -> Record:
    values = PrintedMap(_object(arguments))
    values.text = encode(dict(values))
    fields = {"Index": place, "Name": name, "Arguments": values}
    names = {"Index": "index", "Name": "name", "Arguments": "arguments"}
    function = Record("ToolCallFunction", fields, names)
    return Record("ToolCall", {"ID": "", "Function": function}, {"ID": "id", "Function": "function"}, frozenset({"ID"}))  # fmt: skip


def _tools(tools: Sequence[Tool]) -> list[Any]:
    listed = PrintedList([_tool(one) for one in tools])
    listed.text = f"[{','.join(one.text for one in listed)}]" if listed else ""
    return listed


def _tool(one: Tool) -> Record:
    schema = _object(one.parameters)
    said = encode(schema)
    about = {"name": one.name, "description": one.description, "parameters": schema}
    found = schema.get("properties")
    listed = found if isinstance(found, dict) else {}
    properties = PrintedMap({name: _property(value) for name, value in listed.items()})
    properties.text = encode(listed)
    parameters = Record(
        "ToolFunctionParameters",
        {"Type": schema.get("type", ""), "Required": schema.get("required") or [], "Properties": properties},
        text=said,
    )  # fmt: skip
    fields = {"Name": one.name, "Description": one.description, "Parameters": parameters}
    function = Record("ToolFunction", fields, text=encode(about))
    whole = encode({"type": "function", "function": about})
    return Record("Tool", {"Type": "function", "Function": function}, text=whole)


def _property(value: Any) -> Record:
    said = value if isinstance(value, dict) else {}
    kind = said.get("type", "")
    return Record(
        "ToolProperty",
        {
            "Type": kind if isinstance(kind, str) else encode(kind),
            "Items": said.get("items"),
            "Description": said.get("description", ""),
            "Enum": said.get("enum") or [],
        },
        text=encode(said),
    )


def _object(text: str) -> dict[str, Any]:
    try:
        found = decode(text) if text.strip() else {}
    except (NotJson, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
