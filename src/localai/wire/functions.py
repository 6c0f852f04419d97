"""How a model file wants tools to be called: its `function:` section, as the worker gets it.

It travels in `LoadRequest.settings["function"]`. Fields are named like LocalAI's keys, with
`grammar_` before those of `function.grammar`. Texts that are patterns are in Go's syntax and have
been checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from localai.domain.generation import GenerationRequest, ToolMode, ToolSpec

SETTING: Final = "function"
"""The key of these settings among those of a LoadRequest."""

MESSAGE: Final = "message"
"""The argument of the pseudo tool that holds the answer."""

NAME_GROUPS: Final = ("name", "function")
ARGUMENT_GROUPS: Final = ("arguments", "parameters")
"""What the groups of `response_regex` are called, besides the keys that a file names."""

_NAME: Final = "answer"
_DESCRIPTION: Final = "Answers the user in words, without calling any other function."


class Replacement(msgspec.Struct, frozen=True, omit_defaults=True):
    """Matches of the pattern `key` become `value`, in which `$1` and `${name}` stand for groups."""

    key: str
    value: str = ""


class Trigger(msgspec.Struct, frozen=True, omit_defaults=True):
    """A text that begins a call; with `at_start` only when the answer begins with it."""

    word: str
    at_start: bool = False


class Markers(msgspec.Struct, frozen=True, omit_defaults=True, tag="json"):
    """Texts around a call in JSON, or around a list of such calls; `close` may be missing."""

    open: str
    close: str = ""


class TagFormat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="tags"):
    """Calls between tags.

        scope_start { tool_start NAME tool_sep ARGUMENTS tool_end } scope_end

    ARGUMENTS is a JSON object when `key_start` is empty, else any number of

        key_start KEY key_val_sep [key_val_sep2] VALUE val_end

    `raw_argval` says whether values are texts (true) or JSON (false); None: by the tool's schema.
    `last_val_end` and `last_tool_end` may stand for the ends of the last value and the last call.
    """

    tool_start: str
    tool_sep: str = ""
    tool_end: str = ""
    key_start: str = ""
    key_val_sep: str = ""
    key_val_sep2: str = ""
    val_end: str = ""
    scope_start: str = ""
    scope_end: str = ""
    last_val_end: str | None = None
    last_tool_end: str | None = None
    raw_argval: bool | None = None
    trim_raw_argval: bool = False
    allow_toolcall_in_think: bool = False


class FunctionSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The section; a model file without one has all defaults.

    `format` is what calls look like, `further_formats` what else to look for. None is "not said".
    """

    disable_no_action: bool | None = None
    no_action_function_name: str = ""
    no_action_description_name: str = ""
    function_name_key: str = ""
    function_arguments_key: str = ""
    response_regex: tuple[str, ...] = ()
    json_regex_match: tuple[str, ...] = ()
    argument_regex: tuple[str, ...] = ()
    argument_regex_key_name: str = "key"
    argument_regex_value_name: str = "value"
    replace_function_results: tuple[Replacement, ...] = ()
    replace_llm_results: tuple[Replacement, ...] = ()
    capture_llm_results: tuple[str, ...] = ()
    format: TagFormat | Markers | None = None
    further_formats: tuple[TagFormat | Markers, ...] = ()
    automatic_tool_parsing_fallback: bool = False
    grammar_disable: bool = False
    grammar_parallel_calls: bool | None = None
    grammar_disable_parallel_new_lines: bool = False
    grammar_mixed_mode: bool = False
    grammar_no_mixed_free_string: bool = False
    grammar_expect_strings_after_json: bool = False
    grammar_prefix: str = ""
    grammar_properties_order: tuple[str, ...] = ()
    grammar_schema_type: Literal["json", "llama3.1"] = "json"
    grammar_triggers: tuple[Trigger, ...] = ()

    @property
    def no_action(self) -> ToolSpec | None:
        """The pseudo tool for answering in words; None unless the section asks for it.

        Without it a model says what it wants to say, which small models do better.
        """
        named = self.no_action_function_name or self.no_action_description_name
        if self.disable_no_action or not (named or self.disable_no_action is False):
            return None
        described = {"type": "string", "description": "The message to reply the user with."}
        schema = {"type": "object", "properties": {MESSAGE: described}, "required": [MESSAGE]}
        return ToolSpec(
            name=self.no_action_function_name or _NAME,
            description=self.no_action_description_name or _DESCRIPTION,
            parameters=json.dumps(schema),
        )


def function_settings(settings: Mapping[str, Any]) -> FunctionSettings:
    """The section among a model's settings. Raises msgspec.ValidationError."""
    return msgspec.convert(settings.get(SETTING, {}), FunctionSettings)


def offered_tools(request: GenerationRequest, settings: FunctionSettings) -> tuple[ToolSpec, ...]:
    """The tools that `request` lets the model choose from, with the pseudo tool where it may."""
    tools = request.tools
    match request.tool_policy.mode:
        case ToolMode.NONE:
            return ()
        case ToolMode.NAMED:
            return tuple(tool for tool in tools if tool.name == request.tool_policy.name)
        case ToolMode.REQUIRED:
            return tools
        case ToolMode.AUTO:
            extra = settings.no_action
            if not tools or extra is None or extra.name in {tool.name for tool in tools}:
                return tools
            return (*tools, extra)
