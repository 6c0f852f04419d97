"""The grammar that holds a model to whole calls of the offered tools, and lets it speak else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from localai.domain.generation import (
    Grammar,
    JsonSchema,
    OutputFormat,
    PlainText,
    ToolSpec,
)
from localai.wire.functions import FunctionSettings, Markers, TagFormat
from localai.worker.grammars.gbnf_text import EMPTY, Until, joined, literal
from localai.worker.json_schema.lenient import SchemaRules, check_strict
from localai.worker.parsers.call_forms import CallForms, Form, argument_types, schema_of

_SPACES: Final = " \t\r\n"
_TEXT: Final = frozenset({"string"})
THINK: Final = ("<think>", "</think>")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDemand:
    """What an answer may be.

    `is_required` when it must be a call; `parallel` when there may be several. `output` is the
    form of an answer that is no call. `is_thinking` when it begins inside the model's thoughts.
    """

    tools: tuple[ToolSpec, ...]
    is_required: bool = False
    parallel: bool = True
    output: OutputFormat = PlainText()
    is_thinking: bool = False


def call_grammar(forms: CallForms, settings: FunctionSettings, demand: CallDemand) -> str | None:
    """GBNF for an answer; None when it cannot or should not be held to one.

    A call that is required is in the first form. Otherwise calls in text are held to their form
    from their opening on, and JSON without an opening at the beginning of the answer only.
    Raises RequestError for a strict tool, or a form, that no grammar can say.
    """
    is_free = not demand.is_required
    if is_free and (settings.grammar_disable or forms.needs_all):
        return None
    if is_free and isinstance(demand.output, Grammar):
        return None
    for tool in demand.tools:
        if tool.strict:
            check_strict(tool.name, tool.parameters, tool.param)
    return joined(_Writer(forms, settings, demand).rules())


class _Writer:
    def __init__(self, forms: CallForms, settings: FunctionSettings, demand: CallDemand) -> None:
        self._forms = forms
        self._settings = settings
        self._demand = demand
        self._schemas = SchemaRules(settings.grammar_properties_order)
        self._parallel = demand.parallel and settings.grammar_parallel_calls is not False
        self._keys = (
            settings.function_name_key or "name",
            settings.function_arguments_key or "arguments",
        )
        self._form: Form = forms.forms[0]
        opening = self._form.open if isinstance(self._form, Markers) else _first_tag(self._form)
        self._opening = opening.strip(_SPACES)

    def rules(self) -> Mapping[str, str]:
        """All rules; the first is `root`."""
        self._define("behind", self._behind())
        self._define("calls", f"{literal(self._opening)} {self._rest()}")
        is_call = self._demand.is_required or self._is_strict()
        answer = "ws calls" if is_call else self._free()
        is_plain = isinstance(self._demand.output, PlainText)
        behind = "answer" if is_plain else "behind-thoughts"
        thoughts = Until("think", {THINK[1]: behind}, may_end=not self._demand.is_required)
        self._schemas.rules |= thoughts.rules()
        self._define("answer", answer)
        self._define("behind-thoughts", '("\\n" "\\n"?)? answer')
        if self._demand.is_thinking:
            self._define("root", thoughts.start)
        elif self._demand.is_required:  # a model that may think first may never come to its call
            self._define("root", "answer")
        else:
            start = "ws " if is_plain else ""
            self._define("root", f"{start}{literal(THINK[0])} {thoughts.start} | answer")
        return self._schemas.rules

    def _define(self, name: str, body: str) -> None:
        self._schemas.rules[name] = body

    def _is_strict(self) -> bool:
        """Whether the model answers by calling the pseudo tool, and never in plain text."""
        settings = self._settings
        return settings.no_action is not None and not settings.grammar_mixed_mode

    # --- answers in text

    def _free(self) -> str:
        output = self._demand.output
        if not isinstance(output, PlainText):
            any_object = JsonSchema(schema="{}")
            value = self._schemas.add_output(
                output if isinstance(output, JsonSchema) else any_object
            )
            return f"calls | {value}"  # white space would be a part of the answer
        is_apart = self._settings.grammar_no_mixed_free_string
        is_late = self._form not in self._forms.at_start and not is_apart
        text = Until(
            "text", {self._opening: self._define_rest() if is_late else None}, may_end=True
        )
        self._schemas.rules |= text.rules()
        options = [text.start] if is_late else ["ws calls", text.start]
        if not self._forms.takes_bare or not isinstance(self._form, Markers):
            return " | ".join(options)
        self._lead(text)
        return " | ".join([*options[:-1], "lead"])

    def _define_rest(self) -> str:
        self._define("rest", self._rest())
        return "rest"

    def _lead(self, text: Until) -> None:
        """Text that begins with no call in plain JSON, or such a call."""
        self._define("bare", f"{self._json_rest()} behind")
        self._define("bare-list", f"{self._json_rest()} {self._list_rest()} behind")
        head = json.dumps(self._ordered_keys()[0], ensure_ascii=False)
        brackets = "{[" if self._parallel else "{"
        options = ["[ \\t\\r\\n] lead", '"{" lead-object', *text.unless(brackets + _SPACES), EMPTY]
        if self._parallel:
            options.insert(2, '"[" lead-list')
            within = ["[ \\t\\r\\n] lead-list", '"{" lead-in-list', *text.unless("{" + _SPACES)]
            self._define("lead-list", " | ".join([*within, EMPTY]))
            self._key_path("lead-in-list", head, "bare-list", text)
        self._define("lead", " | ".join(options))
        self._key_path("lead-object", head, "bare", text)

    def _key_path(self, name: str, head: str, goal: str, text: Until) -> None:
        """Rules that follow `head` character by character to `goal`, and else go on as text."""
        for place, character in enumerate(head):
            own = f"{name}-{place}" if place else name
            target = f"{name}-{place + 1}" if place + 1 < len(head) else goal
            options = [f"{literal(character)} {target}"]
            left_out = character
            if place == 0:
                options.append(f"[ \\t\\r\\n] {own}")
                left_out += _SPACES
            self._define(own, " | ".join([*options, *text.unless(left_out), EMPTY]))

    # --- calls

    def _rest(self) -> str:
        """A call and all that follow it, without the first opening."""
        if isinstance(self._form, TagFormat):
            return self._tagged_rest(self._form)
        return self._marked_rest(self._form)

    def _behind(self) -> str:
        """What may come behind the calls."""
        if not self._settings.grammar_expect_strings_after_json:
            return "ws"
        text = Until("last", {self._opening: None}, may_end=True)
        self._schemas.rules |= text.rules()
        return text.start

    def _marked_rest(self, form: Markers) -> str:
        inner = f'"{{" ws {_json_key(self._ordered_keys()[0])} {self._json_rest()}'
        self._define("call", inner)
        several = f'"[" {self._gap()} call {self._list_rest()}'
        what = f"(call | {several})" if self._parallel else "call"
        close = f" ws {literal(form.close.strip(_SPACES))}" if form.close.strip(_SPACES) else ""
        self._define("block", f"ws {what}{close}")
        if not self._parallel:
            return "block behind"
        return f"block (ws {literal(self._opening)} block)* behind"

    def _gap(self) -> str:
        """The white space between the calls of a list."""
        return '" "?' if self._settings.grammar_disable_parallel_new_lines else "ws"

    def _list_rest(self) -> str:
        return f'({self._gap()} "," {self._gap()} call)* {self._gap()} "]"'

    def _ordered_keys(self) -> tuple[str, str]:
        order = self._settings.grammar_properties_order
        name, arguments = self._keys
        if arguments in order and (name not in order or order.index(arguments) < order.index(name)):
            return arguments, name
        return name, arguments

    def _json_rest(self) -> str:
        """A call in JSON, behind its first key."""
        if "call-rest" not in self._schemas.rules:
            name_key, _ = self._keys
            first, second = self._ordered_keys()
            options = []
            for number, tool in enumerate(self._demand.tools):
                name = literal(json.dumps(tool.name, ensure_ascii=False))
                arguments = self._schemas.add(f"tool{number}", schema_of(tool))
                values = (name, arguments) if first == name_key else (arguments, name)
                options.append(f'{values[0]} ws "," ws {_json_key(second)} ws ":" ws {values[1]}')
            self._define("call-rest", f'ws ":" ws ({" | ".join(options)}) ws "}}"')
        return "call-rest"

    # --- calls between tags

    def _tagged_rest(self, form: TagFormat) -> str:
        options = [
            self._tagged_call(form, f"tool{number}", tool)
            for number, tool in enumerate(self._demand.tools)
        ]
        self._define("tagged", " | ".join(options))
        call = f"{literal(form.tool_start.strip(_SPACES))} tagged"
        more = f"(ws {call})*" if self._parallel else ""
        if not form.scope_start.strip():
            return f"tagged {more} behind"
        end = literal(form.scope_end.strip(_SPACES)) if form.scope_end.strip() else EMPTY
        return f"ws {call} {more} ws {end} behind"

    def _tagged_call(self, form: TagFormat, rule: str, tool: ToolSpec) -> str:
        schema = schema_of(tool)
        if form.key_start:
            arguments = self._pairs(form, rule, schema)
        else:
            arguments = self._schemas.add(rule, schema)
        separator = literal(form.tool_sep) if form.tool_sep else '"\\n"?'
        return f"{literal(tool.name)} {separator} ws {arguments} ws {literal(form.tool_end.strip(_SPACES))}"

    def _pairs(self, form: TagFormat, rule: str, schema: dict[str, Any]) -> str:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return self._any_pairs(form, rule)
        listed = schema.get("required")
        required = listed if isinstance(listed, list) else []
        types = argument_types(schema)
        parts = []
        for number, key in enumerate(properties):
            is_text = form.raw_argval or (form.raw_argval is None and types[str(key)] == _TEXT)
            body = self._value(form, f"{rule}-{number}", schema, str(key), is_text=bool(is_text))
            pair = f"{self._key_tags(form, literal(str(key)))} {body} ws"
            parts.append(pair if key in required else f"({pair})?")
        return self._schemas.define(f"{rule}-pairs", " ".join(parts) or EMPTY)

    def _any_pairs(self, form: TagFormat, rule: str) -> str:
        value = self._until_end(form, f"{rule}-any")
        pair = f"{self._key_tags(form, '[A-Za-z0-9_.-]+')} {value} ws"
        return self._schemas.define(f"{rule}-pairs", f"({pair})*")

    def _key_tags(self, form: TagFormat, key: str) -> str:
        second = f" ws {literal(form.key_val_sep2)}" if form.key_val_sep2 else ""
        return f"{literal(form.key_start)} {key} {literal(form.key_val_sep)}{second}"

    def _value(
        self, form: TagFormat, rule: str, schema: dict[str, Any], key: str, *, is_text: bool
    ) -> str:
        """A value with its end tag."""
        wanted = schema["properties"][key]
        choices = wanted.get("enum") if isinstance(wanted, dict) else None
        end = literal(form.val_end)
        if is_text and isinstance(choices, list) and choices:
            words = " | ".join(literal(str(word)) for word in choices)
            return f"ws ({words}) ws {end}"
        if is_text:
            return self._until_end(form, rule)
        inner = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
        whole = {**inner, **wanted} if isinstance(wanted, dict) else wanted
        return f"ws {self._schemas.add(rule, whole)} ws {end}"

    def _until_end(self, form: TagFormat, rule: str) -> str:
        text = Until(f"{rule}-text", {form.val_end: ""}, may_end=False)
        self._schemas.rules |= text.rules()
        return text.start


def _json_key(key: str) -> str:
    """A key of JSON, as it stands in a text."""
    return literal(json.dumps(key, ensure_ascii=False))


def _first_tag(form: TagFormat) -> str:
    return form.scope_start if form.scope_start.strip() else form.tool_start
