"""What calls look like in a model's answers, as its model file says; and what reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from localai.domain.generation import ToolSpec
from localai.regexp import compiled
from localai.regexp.steps import Steps
from localai.wire.call_formats import HERMES
from localai.wire.functions import (
    ARGUMENT_GROUPS,
    NAME_GROUPS,
    FunctionSettings,
    Markers,
    TagFormat,
)
from localai.worker.parsers.call_scanner import CallScanner, Opening
from localai.worker.parsers.json_calls import JsonCalls, JsonForm
from localai.worker.parsers.pattern_calls import PatternCalls
from localai.worker.parsers.shapes import as_markers, as_tags
from localai.worker.parsers.tagged_calls import TagForm, TaggedCalls

Reader = CallScanner | PatternCalls
Form = Markers | TagFormat

_LLAMA_31: Final = TagFormat(tool_start="<function=", tool_sep=">", tool_end="</function>")
_BARE: Final = ("{", "[")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallForms:
    """The forms to look for; the first is the one that models are told and held to.

    `is_said` whether the model file says any of it. `needs_all` when only its patterns can find
    calls, in a whole answer. `takes_bare` when JSON without anything around it may be a call.
    `at_start` are forms that count only at the beginning of an answer.
    """

    forms: tuple[Form, ...]
    is_said: bool
    needs_all: bool = False
    takes_bare: bool = True
    at_start: frozenset[Form] = frozenset()


def call_forms(settings: FunctionSettings) -> CallForms:
    """What the settings say of the forms of calls, with LocalAI's order of preference."""
    found = _said(settings)
    forms = tuple(dict.fromkeys((*found.forms, *settings.further_formats)))
    return replace(found, forms=forms, takes_bare=found.takes_bare or len(forms) > len(found.forms))


def _said(settings: FunctionSettings) -> CallForms:
    if settings.format is not None:
        return CallForms(forms=(settings.format,), is_said=True, takes_bare=False)
    if settings.grammar_schema_type == "llama3.1" and not settings.grammar_disable:
        return CallForms(forms=(_LLAMA_31,), is_said=True, takes_bare=False)
    if settings.response_regex or settings.json_regex_match or settings.replace_function_results:
        return _of_patterns(settings)
    if settings.grammar_prefix.strip():
        opening = settings.grammar_prefix.strip()
        return CallForms(forms=(Markers(opening, _close(opening)),), is_said=True)
    if settings.grammar_triggers:
        marked = {
            Markers(word, _close(word)): trigger.at_start
            for trigger in settings.grammar_triggers
            for word in [trigger.word.strip()]
        }
        late = frozenset(form for form, at_start in marked.items() if at_start)
        return CallForms(forms=tuple(marked), is_said=True, at_start=late)
    return CallForms(forms=(HERMES,), is_said=bool(settings.further_formats))


def _of_patterns(settings: FunctionSettings) -> CallForms:
    """The forms of patterns that are simple enough; else they need the whole answer."""
    forms: list[Form | None] = []
    if settings.response_regex and not settings.argument_regex:
        names = {settings.function_name_key, *NAME_GROUPS}
        arguments = {settings.function_arguments_key, *ARGUMENT_GROUPS}
        forms += [
            as_tags(compiled(text), names=names, arguments=arguments)
            for text in settings.response_regex
        ]
    elif not settings.response_regex and not settings.replace_function_results:
        marked: dict[str, Form | None] = {}
        for text in settings.json_regex_match:
            found = as_markers(compiled(text))
            marked.setdefault(found.open if found else "", found)
        forms += marked.values()
    known = tuple(form for form in forms if form is not None)
    if not known or len(known) < len(forms):
        return CallForms(forms=(HERMES,), is_said=True, needs_all=True)
    return CallForms(forms=known, is_said=True, takes_bare=not settings.response_regex)


def _close(opening: str) -> str:
    """What usually ends what `opening` begins."""
    if opening.startswith("<") and opening.endswith(">") and not opening.startswith("<|"):
        return f"</{opening[1:]}"
    if opening.startswith("[") and opening.endswith("]"):
        return f"[/{opening[1:]}"
    return ""


# --- readers


def call_reader(
    forms: CallForms,
    settings: FunctionSettings,
    tools: Sequence[ToolSpec],
    *,
    is_certain: bool,
    steps: Steps,
) -> Reader:
    """A reader of one answer.

    `is_certain` says that a grammar makes the calls; then their arguments are passed on as they
    come, and the patterns of the model file are not needed.
    """
    schemas = {tool.name: schema_of(tool) for tool in tools}
    types = {name: argument_types(schema) for name, schema in schemas.items()}
    form = JsonForm(
        tools={name: tuple(known) for name, known in types.items()},
        name_key=settings.function_name_key,
        arguments_key=settings.function_arguments_key,
        is_certain=is_certain and _names_first(settings),
        wraps_text=settings.automatic_tool_parsing_fallback,
    )
    if forms.needs_all and not is_certain:
        return PatternCalls(settings, form, types, steps)
    return CallScanner([*_openings(forms, form, types, is_certain=is_certain)])


def _names_first(settings: FunctionSettings) -> bool:
    order = settings.grammar_properties_order
    name = settings.function_name_key or "name"
    arguments = settings.function_arguments_key or "arguments"
    return arguments not in order or (name in order and order.index(name) < order.index(arguments))


def _openings(
    forms: CallForms,
    form: JsonForm,
    types: Mapping[str, Mapping[str, frozenset[str]]],
    *,
    is_certain: bool,
) -> Iterator[Opening]:
    unsure = JsonForm(
        tools=form.tools,
        name_key=form.name_key,
        arguments_key=form.arguments_key,
        wraps_text=form.wraps_text,
    )
    for number, known in enumerate(forms.forms):
        certain = is_certain and number == 0
        at_start = known in forms.at_start
        if isinstance(known, Markers):
            spelled = form if certain else unsure
            yield Opening(known.open, _json(spelled, known.close), at_start)
        else:
            tags = TagForm(format=known, types=types, is_certain=certain)
            for text in dict.fromkeys((known.scope_start, known.tool_start)):
                if text.strip():
                    yield Opening(text.strip(), _tagged(tags, text), at_start)
    if forms.takes_bare:
        for mark in _BARE:
            if is_certain:
                yield Opening(mark, _bare(form), at_start=True, read_too=True)
            yield Opening(mark, _bare(unsure), read_too=True)


def _json(form: JsonForm, close: str) -> Any:
    return lambda: JsonCalls(form, close=close)


def _bare(form: JsonForm) -> Any:
    return lambda: JsonCalls(form, is_bare=True)


def _tagged(form: TagForm, opening: str) -> Any:
    return lambda: TaggedCalls(form, opening)


# --- what tools say of their arguments


def schema_of(tool: ToolSpec) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments; that of any object if it has none that can be used."""
    try:
        schema = json.loads(tool.parameters or "{}")
    except (ValueError, RecursionError):
        schema = {}
    if not isinstance(schema, dict):
        return {"type": "object"}
    return (
        schema
        if schema.get("type") == "object" or "$ref" in schema
        else {**schema, "type": "object"}
    )


def argument_types(schema: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The JSON types of each argument that a schema names; an empty set where it does not say."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    return {str(name): frozenset(_types(value)) for name, value in properties.items()}


def _types(schema: Any, depth: int = 0) -> Iterator[str]:
    if not isinstance(schema, dict) or depth > 8:  # noqa: PLR2004 - deeper is no argument of a tool
        return
    written = schema.get("type")
    if isinstance(written, str):
        yield written
    elif isinstance(written, list):
        yield from (name for name in written if isinstance(name, str))
    elif "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        yield from (_type_of(value) for value in values if isinstance(values, list))
    else:
        for option in schema.get("anyOf") or schema.get("oneOf") or []:
            yield from _types(option, depth + 1)


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case str():
            return "string"
        case int() | float():
            return "number"
        case None:
            return "null"
        case list():
            return "array"
        case _:
            return "object"
