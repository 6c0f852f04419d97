"""Prompts from a model file's Go templates: a request's conversation, completion or edit as text.

Pure: what is read from files comes in through a function. This is for model files that bring their
own templates; with `use_tokenizer_template` the engine renders messages, and nothing here is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from localai.catalog.gotemplate import GoTemplateError, Record, Template, parse
from localai.catalog.gotemplate.json_text import NotJson, decode, encode
from localai.catalog.ollama_prompts import (
    OllamaTemplate,
    Said,
    Tool,
    parse_ollama,
    render_ollama,
)
from localai.domain.errors import InvalidRequest, SpecInvalid, Unsupported
from localai.domain.generation import (
    MEDIA_MARKER,
    Chat,
    Completion,
    Edit,
    GenerationRequest,
    PlainText,
    ToolSpec,
)
from localai.domain.parts import Media, MediaKind, Message, Role, Text, ToolCall, ToolResult
from localai.wire.functions import FunctionSettings, offered_tools

_OLDER_MARKERS: Final = {MediaKind.IMAGE: "[img-{}]", MediaKind.AUDIO: "[audio-{}]"}
CALLS_ROLE: Final = "assistant_function_call"
"""The key of `roles` for messages of the assistant that hold calls."""

_KEYS: Final = ("chat", "chat_message", "completion", "edit", "function", "multimodal", "ollama")
SUFFIX: Final = ".tmpl"
_LONGEST_STEM: Final = 250  # a name of a file has at most 255 bytes
_HINT: Final = (
    "Correct the template in the model file, or set `template.use_tokenizer_template: true` "
    "to use the one that comes with the model."
)

Read = Callable[[str], str | None]
"""Gives the text of a file by its name in the models folder, None if it is not there."""


@dataclass(frozen=True, slots=True)
class BrokenTemplate:
    """A template that does not parse; only requests that need it fail, with `problem`."""

    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTemplates:
    """The templates of one model, parsed; None where it has none. Names are the keys of its YAML.

    `join_chat_messages_by_character` None means a newline; "" is a value. `origin` is the
    `file:line` to blame.
    """

    chat: Template | BrokenTemplate | None = None
    chat_message: Template | BrokenTemplate | None = None
    completion: Template | BrokenTemplate | None = None
    edit: Template | BrokenTemplate | None = None
    function: Template | BrokenTemplate | None = None
    multimodal: Template | BrokenTemplate | None = None
    ollama: OllamaTemplate | BrokenTemplate | None = None
    join_chat_messages_by_character: str | None = None
    use_tokenizer_template: bool = False
    roles: Mapping[str, str] = field(default_factory=dict)
    system_prompt: str = ""
    origin: str = ""

    @property
    def renders_chat(self) -> bool:
        """Whether conversations are for `render_chat`, not for the engine's own template."""
        has_any = self.chat or self.chat_message or self.function or self.ollama
        return has_any is not None and not self.use_tokenizer_template

    @property
    def has_any(self) -> bool:
        """Whether there is any template at all."""
        return any(getattr(self, key) is not None for key in _KEYS)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with those that do not parse: `file:line: template.KEY:LINE:COLUMN: ...`."""
        found = (getattr(self, key) for key in _KEYS)
        return tuple(found.problem for found in found if isinstance(found, BrokenTemplate))


def prompt_templates(
    section: Mapping[str, Any],
    *,
    model_file: str = "",
    read: Read = lambda _: None,
    roles: Mapping[str, str] | None = None,
    system_prompt: str = "",
    origin: str = "",
) -> PromptTemplates:
    """Find and parse the templates that the `template:` section of a model file names.

    `model_file` is `parameters.model`, relative to the models folder. Never raises: templates that
    do not parse are in `problems`.
    """
    found: dict[str, Any] = {}
    for key in _KEYS:
        name, source = _source(key, section.get(key) or "", model_file, read)
        if source is None:
            continue
        try:
            found[key] = (parse_ollama if key == "ollama" else parse)(source, name)
        except GoTemplateError as error:
            found[key] = BrokenTemplate(_problem(name, error, origin))
    return PromptTemplates(
        **found,
        join_chat_messages_by_character=section.get("join_chat_messages_by_character"),
        use_tokenizer_template=bool(section.get("use_tokenizer_template")),
        roles=dict(roles or {}),
        system_prompt=system_prompt,
        origin=origin,
    )


def _source(key: str, written: str, model_file: str, read: Read) -> tuple[str, str | None]:
    """Give what to call the template, and its text: from a file if one has the name written."""
    name = f"template.{key}"
    if key in ("multimodal", "ollama"):
        return name, written or None
    has_file_of_model = key != "chat_message"
    stem = written or (model_file if has_file_of_model else "")
    if may_be_file(stem) and (text := read(stem + SUFFIX)) is not None:
        return f"{name} ({stem}{SUFFIX})", text
    return name, written or None


def may_be_file(stem: str) -> bool:
    """Say whether a text can be the name of a file inside the models folder."""
    if not stem.strip() or not stem.isprintable() or "{{" in stem or "\\" in stem:
        return False
    if stem.startswith("/"):
        return False
    return all(
        part != ".." and len(part.encode("utf-8", "replace")) <= _LONGEST_STEM
        for part in stem.split("/")
    )


def _problem(name: str, error: GoTemplateError, origin: str) -> str:
    return f"{f'{origin}: ' if origin else ''}{name}:{error.line}:{error.column}: {error.message}"


def _rendered(template: Template | BrokenTemplate, data: Any, origin: str) -> str:
    if isinstance(template, BrokenTemplate):
        raise _invalid(template.problem)
    try:
        return template.render(data)
    except GoTemplateError as error:
        raise _invalid(_problem(template.name, error, origin)) from None


def _invalid(problem: str) -> SpecInvalid:
    return SpecInvalid(f"A prompt template is wrong: {problem}", problems=(problem,), hint=_HINT)


# --- conversations


def render_chat(
    request: GenerationRequest,
    templates: PromptTemplates,
    *,
    tools: tuple[ToolSpec, ...] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Give the prompt of a conversation: each message rendered, joined, and wrapped.

    `tools` are those that may be called, None for those of the request.

    The function template wraps when tools may be called, else the chat template; without either,
    the joined messages are the prompt. Raises SpecInvalid when a template fails.
    """
    if not isinstance(request.prompt, Chat):
        raise TypeError("render_chat renders conversations only")
    if tools is None:
        tools = offered_tools(request, FunctionSettings())
    if templates.ollama is not None:
        return _in_ollamas_form(request.prompt, templates, templates.ollama, tools)
    has_grammar = bool(tools) or not isinstance(request.output, PlainText)
    texts: list[str] = []
    suppresses_system_prompt = False
    turns = list(_turns(request.prompt.messages, templates))
    for index, turn in enumerate(turns):
        if templates.chat_message is None:
            texts.append(_plain_turn(turn, templates.roles))
            suppresses_system_prompt |= turn.role == Role.SYSTEM and bool(turn.content)
            continue
        is_last = index == len(turns) - 1
        data = _turn_data(turn, templates, index, is_last=is_last, has_grammar=has_grammar)
        if text := _rendered(templates.chat_message, data, templates.origin):
            texts.append(text)
    joiner = templates.join_chat_messages_by_character
    joined = ("\n" if joiner is None else joiner).join(texts)
    wrapper = (templates.function if tools else None) or templates.chat
    return _wrapped(
        wrapper,
        joined,
        templates,
        SuppressSystemPrompt=suppresses_system_prompt,
        Functions=[_function_data(tool) for tool in tools],
        ReasoningEffort=request.reasoning_effort or "",
        Metadata=dict(metadata or {}),
    )


def _in_ollamas_form(
    prompt: Chat,
    templates: PromptTemplates,
    parsed: OllamaTemplate | BrokenTemplate,
    tools: tuple[ToolSpec, ...],
) -> str:
    if isinstance(parsed, BrokenTemplate):
        raise _invalid(parsed.problem)
    said = [
        Said(role="system" if turn.role == Role.DEVELOPER else str(turn.role), content=turn.content,
             calls=tuple((call.name, call.arguments) for call in turn.calls), name=turn.name)
        for turn in _turns(prompt.messages, replace(templates, roles={}))
    ]  # fmt: skip
    if templates.system_prompt and not any(one.role == "system" for one in said):
        said.insert(0, Said(role="system", content=templates.system_prompt))
    listed = [
        Tool(name=tool.name, description=tool.description or "", parameters=tool.parameters or "")
        for tool in tools
    ]
    return render_ollama(
        parsed, said, listed, render=lambda part, data: _rendered(part, data, templates.origin)
    )


def _wrapped(
    template: Template | BrokenTemplate | None, text: str, templates: PromptTemplates, **fields: Any
) -> str:
    """Render one of the templates that make a whole prompt; they all know the same fields."""
    if template is None:
        return text
    values = {
        "SystemPrompt": templates.system_prompt,
        "SuppressSystemPrompt": False,
        "Input": text,
        "Instruction": "",
        "Functions": [],
        "MessageIndex": 0,
        "ReasoningEffort": "",
        "Metadata": {},
    }
    return _rendered(template, Record("PromptTemplateData", values | fields), templates.origin)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """What one message, or one result of a tool, gives to a template."""

    role: str
    content: str
    name: str
    calls: tuple[ToolCall, ...] = ()


def media_of(prompt: Chat) -> tuple[Media, ...]:
    """The media of a conversation in the order of their markers: of each message, sounds first.

    Raises Unsupported for others than images and sounds, which have no marker.
    """
    found: list[Media] = []
    for message in prompt.messages:
        media = [part for part in message.parts if isinstance(part, Media)]
        for part in media:
            if part.kind not in _OLDER_MARKERS:
                said = f"Templates of model files carry images and sound, but no {part.kind}."
                raise Unsupported(said, feature=part.kind.value, param="messages")
        found += sorted(media, key=lambda part: part.kind is not MediaKind.AUDIO)
    return tuple(found)


def _turns(messages: tuple[Message, ...], templates: PromptTemplates) -> Iterator[_Turn]:
    counts = dict.fromkeys(MediaKind, 0)
    if any(isinstance(part, Media) for message in messages for part in message.parts):
        messages = tuple(map(_without_markers, messages))
    for message in messages:
        name = message.name or ""
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for result in results:
            yield _Turn(role=Role.TOOL, content=result.text, name=name)
        if results and len(results) == len(message.parts):
            continue
        calls = tuple(part for part in message.parts if isinstance(part, ToolCall))
        role = _role(message.role, templates.roles, has_calls=bool(calls))
        content = _content(message, counts, templates)
        yield _Turn(role=role, content=content, name=name, calls=calls)


def _without_markers(message: Message) -> Message:
    """A message whose own words cannot be taken for the place of an image."""
    apart = MEDIA_MARKER.replace(">", " >")
    parts = tuple(
        replace(part, text=part.text.replace(MEDIA_MARKER, apart))
        if isinstance(part, Text | ToolResult)
        else part
        for part in message.parts
    )
    return replace(message, parts=parts)


def _role(role: Role, roles: Mapping[str, str], *, has_calls: bool) -> str:
    if role is Role.ASSISTANT and has_calls and CALLS_ROLE in roles:
        return CALLS_ROLE
    if role is Role.DEVELOPER and role not in roles:
        return Role.SYSTEM  # most templates were written before the role, and would drop it
    return role


def _content(message: Message, counts: dict[MediaKind, int], templates: PromptTemplates) -> str:
    """Give a message's text, with markers for its media; `counts` run through the conversation."""
    text = "".join(part.text for part in message.parts if isinstance(part, Text))
    ids: dict[MediaKind, list[int]] = {kind: [] for kind in MediaKind}
    for part in message.parts:
        if isinstance(part, Media):
            ids[part.kind].append(counts[part.kind])
            counts[part.kind] += 1
    if not any(ids.values()):
        return text
    if templates.multimodal is None:
        markers = MEDIA_MARKER * (len(ids[MediaKind.AUDIO]) + len(ids[MediaKind.IMAGE]))
        return markers + "".join(f"[vid-{i}]" for i in ids[MediaKind.VIDEO]) + text
    values: dict[str, Any] = {"Text": text}
    for name, kind in (
        ("Images", MediaKind.IMAGE),
        ("Audio", MediaKind.AUDIO),
        ("Video", MediaKind.VIDEO),
    ):
        values[name] = [Record("MultimodalContent", {"ID": i}) for i in ids[kind]]
    data = Record("MultiModalOptions", values)
    content = _rendered(templates.multimodal, data, templates.origin)
    if MEDIA_MARKER in content:
        return content
    for kind, marker in _OLDER_MARKERS.items():
        for i in ids[kind]:
            content = content.replace(marker.format(i), MEDIA_MARKER, 1)
    if MEDIA_MARKER in content:
        return content
    return MEDIA_MARKER * (len(ids[MediaKind.AUDIO]) + len(ids[MediaKind.IMAGE])) + content


def _plain_turn(turn: _Turn, roles: Mapping[str, str]) -> str:
    """Give a message as it is without a template: the prefix of its role, its text, its calls."""
    prefix = roles.get(turn.role, "")
    text = prefix + turn.content if turn.content else ""
    if not turn.calls:
        return text
    calls = encode([_call_data(i, call) for i, call in enumerate(turn.calls)])
    return f"{text}{chr(10) if text else ''}{f'{prefix} ' if prefix else ''}{calls}"


def _turn_data(
    turn: _Turn, templates: PromptTemplates, index: int, *, is_last: bool, has_grammar: bool
) -> Record:
    return Record(
        "ChatMessageTemplateData",
        {
            "SystemPrompt": templates.system_prompt,
            "Role": templates.roles.get(turn.role, ""),
            "RoleName": str(turn.role),
            "FunctionName": turn.name,
            "Content": turn.content,
            "MessageIndex": index,
            "Function": is_last and has_grammar,
            "FunctionCall": [_call_data(i, call) for i, call in enumerate(turn.calls)] or None,
            "LastMessage": is_last,
        },
    )


def _call_data(index: int, call: ToolCall) -> Record:
    function = Record(
        "FunctionCall",
        {"Name": call.name, "Arguments": call.arguments},
        {"Name": "name", "Arguments": "arguments"},
        frozenset({"Name"}),
    )
    return Record(
        "ToolCall",
        {"Index": index, "ID": call.call_id, "Type": "function", "FunctionCall": function},
        {"Index": "index", "ID": "id", "Type": "type", "FunctionCall": "function"},
    )


def _function_data(tool: ToolSpec) -> Record:
    try:
        parameters = decode(tool.parameters) if tool.parameters else {}
    except (NotJson, RecursionError) as error:
        raise InvalidRequest(
            f"The parameters of the tool {tool.name!r} are no JSON: {error}", param="tools"
        ) from None
    return Record(
        "Function",
        {
            "Name": tool.name,
            "Description": tool.description,
            "Strict": tool.strict,
            "Parameters": parameters,
        },
        {
            "Name": "name",
            "Description": "description",
            "Strict": "strict",
            "Parameters": "parameters",
        },
    )


# --- everything else


def render_completion(request: GenerationRequest, templates: PromptTemplates) -> str:
    """Give the prompt of a text to go on from; without a template, the text itself."""
    if not isinstance(request.prompt, Completion) or request.prompt.text is None:
        raise TypeError("render_completion renders texts only, no conversations or token ids")
    return _wrapped(templates.completion, request.prompt.text, templates)


def render_edit(request: GenerationRequest, templates: PromptTemplates) -> str:
    """Give the prompt of an edit; without a template, the instruction and then the text."""
    prompt = request.prompt
    if not isinstance(prompt, Edit):
        raise TypeError("render_edit renders edits only")
    if templates.edit is None:
        return "\n\n".join(part for part in (prompt.instruction, prompt.text) if part)
    return _wrapped(templates.edit, prompt.text, templates, Instruction=prompt.instruction)
